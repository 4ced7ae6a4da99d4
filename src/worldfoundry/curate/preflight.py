"""The pre-flight check: what would fail for every source is found before the first one is begun."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from worldfoundry.core.errors import DataError
from worldfoundry.curate.config import CurateConfig
from worldfoundry.curate.ingest import Source, inspect
from worldfoundry.curate.local import LocalExecutor
from worldfoundry.curate.records import Analysis
from worldfoundry.curate.scoring import candidates
from worldfoundry.curate.store import Store, local_copy
from worldfoundry.data.video_write import VideoWriter
from worldfoundry.data.views import Views
from worldfoundry.protocols.curation import Detector, Failure

_FRAMES = 8
_FEWEST = 2  # one source that fails may be to blame itself


@dataclass(frozen=True, slots=True)
class Check:
    """Shows a few frames of a source to the detectors, scores and encodes them, in a worker."""

    detectors: tuple[Detector, ...]
    """What is measured."""
    config: CurateConfig
    """Settings."""

    def __call__(self, source: Source) -> str:
        """What is wrong with the source itself; empty if nothing is. A fault of anything else raises."""
        frames: list[np.ndarray] = []
        wrong = ""
        try:
            with local_copy(source.url) as path:
                frames = self._measure(path, source)
        except DataError as error:
            wrong = str(error)
        frames = frames or [np.zeros((64, 64, 3), np.uint8)]
        with tempfile.TemporaryDirectory(prefix="worldfoundry-") as folder:
            writer = VideoWriter(
                Path(folder, "check.mp4"), fps=24, crf=self.config.encode.crf, pad_to_even=True
            )
            with writer:
                for pixels in frames:
                    writer.write(pixels)
        return wrong

    def _measure(self, path: Path, source: Source) -> list[np.ndarray]:
        info = inspect(path, source.name, "")
        meters = [detector.begin(info) for detector in self.detectors]
        frames: list[np.ndarray] = []
        seconds: list[float] = []
        for view in islice(Views(path), _FRAMES):
            frames.append(view.small)
            seconds.append(view.seconds)
            for meter in meters:
                meter.observe(view)
        analysis = Analysis(
            info=info,
            seconds=np.array(seconds),
            damage_s=np.array([]),
            num_promised=len(seconds),
            is_cut_short=False,
            timelines={d.name: meter.finish() for d, meter in zip(self.detectors, meters, strict=True)},
        )
        if seconds:
            candidates(analysis, self.config, self.detectors)
        return frames


def preflight(
    store: Store, sources: Sequence[Source], detectors: tuple[Detector, ...], config: CurateConfig
) -> None:
    """Try the first, middle and last source on a few frames; raise if all that can be read fail in the same way.

    A source that is damaged says nothing about the others; weights that are missing, an encoder that does not work or a
    worker that cannot start stop the run here.
    """
    picks = [sources[k] for k in sorted({0, len(sources) // 2, len(sources) - 1})]
    executor = LocalExecutor(attempts=1, memory_gb=config.limits.memory_gb)
    deadlines = [config.limits.base_s + source.size / 10e6 for source in picks]
    results = [result for _, result in executor(Check(detectors, config), picks, deadlines_s=deadlines)]
    errors = [result.error for result in results if isinstance(result, Failure)]
    well = results.count("")
    if len(errors) >= _FEWEST and len(set(errors)) == 1 and not well:
        raise DataError(
            f"sources must be decodable, measurable and encodable for {store.root!r}, got {errors[0]!r} for each of "
            f"{len(errors)} that were tried; see 'worldfoundry doctor'"
        )
