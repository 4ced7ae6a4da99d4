"""A detector that does harm, by the name of the source; in a module of its own, for it has no scores."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tests.unit.curate.standins import act

from worldfoundry.protocols.curation import Meter, SourceInfo, Timeline, View


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    name: str = "fault"
    version: int = 1
    mended: str = ""
    """A file: once it is there, nothing goes wrong any more."""

    def begin(self, source: SourceInfo) -> Meter:
        return _Fault("" if self.mended and Path(self.mended).exists() else Path(source.source).name)


class _Fault:
    def __init__(self, kind: str):
        self.kind, self.count = kind, 0

    def observe(self, view: View) -> None:
        self.count += 1
        if self.count == 3:
            act(self.kind)

    def finish(self) -> Timeline:
        return {"seconds": np.zeros(0)}
