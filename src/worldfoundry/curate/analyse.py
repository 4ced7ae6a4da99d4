"""Analyse: one decode of a source feeds all detectors; what they saw is stored, and no threshold is asked."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from worldfoundry.core.errors import DataError
from worldfoundry.curate.config import CurateConfig
from worldfoundry.curate.detect import DETECTORS
from worldfoundry.curate.detect.rows import Rows
from worldfoundry.curate.memory import keep_freed_memory
from worldfoundry.curate.records import (
    Analysis,
    analysis_fingerprint,
    load_analysis,
    save_analysis,
    source_path,
    timeline_key,
)
from worldfoundry.curate.store import Store, local_copy
from worldfoundry.data.views import Views
from worldfoundry.protocols.curation import Detector, SourceInfo, Timeline


def detectors_of(config: CurateConfig) -> tuple[Detector, ...]:
    """The detectors that a configuration asks for, in the order in which they see a frame."""
    detectors = [DETECTORS.get(name)() for name in DETECTORS.names()]
    if config.shots.detector == "transnetv2":
        plugin = importlib.import_module("worldfoundry.curate.plugins.transnetv2")
        detectors.append(plugin.TransNetDetector(weights=config.shots.weights))
    return tuple(detectors)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyseJob:
    """One source to be analysed."""

    url: str
    """Where it is."""
    info: SourceInfo
    """What it is."""


@dataclass(frozen=True, slots=True)
class Analyse:
    """Decodes a source once and commits its analysis; timelines that are still good are taken from an older one."""

    store: Store
    """Where analyses lie."""
    detectors: tuple[Detector, ...]
    """What is measured."""

    def name_of(self, source_id: str) -> str:
        """Name of the analysis of a source."""
        return source_path("analysis", source_id, f"-{analysis_fingerprint(self.detectors)}.npz")

    def __call__(self, job: AnalyseJob) -> int:
        """The number of frames."""
        cv2.setNumThreads(
            1
        )  # results depend on how OpenCV divides a picture, and work is spread over sources
        keys = {d.name: timeline_key(d) for d in self.detectors}
        name = self.name_of(job.info.source_id)
        kept = self._still_good(job.info.source_id, name, keys)
        fresh = [d for d in self.detectors if d.name not in kept]
        with local_copy(job.url) as path:
            analysis = look(path, job.info, fresh)
        timelines = {**kept, **analysis.timelines}
        ordered = {d.name: timelines[d.name] for d in self.detectors}
        whole = Analysis(
            info=job.info,
            seconds=analysis.seconds,
            damage_s=analysis.damage_s,
            num_promised=analysis.num_promised,
            is_cut_short=analysis.is_cut_short,
            timelines=ordered,
        )
        save_analysis(self.store, name, whole, keys)
        return len(whole.seconds)

    def _still_good(self, source_id: str, name: str, keys: dict[str, str]) -> dict[str, Timeline]:
        kept: dict[str, Timeline] = {}
        for other in self.store.names(source_path("analysis", source_id, "").rsplit("/", 1)[0]):
            if source_id in other and other.endswith(".npz") and other != name:
                try:
                    older, their = load_analysis(self.store, other)
                except DataError:  # of no use, and no fault of the source
                    continue
                kept |= {n: t for n, t in older.timelines.items() if n in keys and their.get(n) == keys[n]}
        return kept


def look(path: str | Path, info: SourceInfo, detectors: Sequence[Detector]) -> Analysis:
    """Show every frame of a local file to detectors."""
    keep_freed_memory()
    meters = [(detector, detector.begin(info)) for detector in detectors]
    views, seconds = Views(path), Rows(np.float64)
    for view in views:
        seconds.append(view.seconds)
        for _, meter in meters:
            meter.observe(view)
    return Analysis(
        info=info,
        seconds=seconds.array(),
        damage_s=np.array(sorted(views.damage_s), np.float64),
        num_promised=views.num_promised,
        is_cut_short=views.is_cut_short,
        timelines={detector.name: meter.finish() for detector, meter in meters},
    )
