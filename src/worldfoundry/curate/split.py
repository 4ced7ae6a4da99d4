"""Cuts: one record of a whole video becomes one of each shot.

Source: PySceneDetect's content and adaptive detectors, run on our own decoded frames and their own times.
"""

import dataclasses
import hashlib
import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from scenedetect import FrameTimecode
from scenedetect.detectors import AdaptiveDetector, ContentDetector

from worldfoundry.core.config import digest
from worldfoundry.curate.config import CurateConfig
from worldfoundry.data.video_io import is_constant_rate
from worldfoundry.protocols.curation import Reason, Record, Rejection


@dataclass
class Shots:
    """The times of all frames, and the numbers of those that begin a shot."""

    detector: Any
    """A PySceneDetect detector."""
    fps: float
    """Average rate of the video."""
    seconds: list[float] = field(default_factory=list)
    """Presentation time of each frame."""
    cuts: list[int] = field(default_factory=list)
    """Numbers of the frames that begin a shot, without the first."""

    def observe(self, pixels: np.ndarray, seconds: float) -> None:
        """Compare the frame with those before it."""
        code = FrameTimecode(len(self.seconds), fps=self.fps)
        self.seconds.append(seconds)
        found = self.detector.process_frame(code, np.ascontiguousarray(pixels[..., ::-1]))
        self.cuts += [c.frame_num for c in found]

    def spans(self) -> list[tuple[float, float]]:
        """Half-open shots in seconds that cover the video without gaps."""
        gaps = len(self.seconds) - 1
        step = (self.seconds[-1] - self.seconds[0]) / gaps if gaps else 1 / self.fps
        begins = [self.seconds[k] for k in sorted({0, *self.cuts})]
        return list(zip(begins, [*begins[1:], self.seconds[-1] + step], strict=True))


@dataclass(frozen=True, slots=True)
class Split:
    """Cuts a video into shots, rejects the short ones and divides the long ones."""

    config: CurateConfig
    """The run's settings."""
    name: str = "split"
    """Name in reports."""

    def begin(self, source: Record) -> Shots:
        """Start to look for cuts."""
        c = self.config
        # Two cuts may be as near as two frames: a clip that holds a cut is worse than one clip less.
        if c.detector == "adaptive":
            detector = AdaptiveDetector(adaptive_threshold=c.adaptive_threshold, min_scene_len=1)
        else:
            detector = ContentDetector(threshold=c.content_threshold, min_scene_len=1)
        return Shots(detector, source.fps)

    def judge(self, record: Record, measure: Shots) -> Iterator[Record | Rejection]:
        """One record a part of a shot."""
        for start, end in measure.spans():
            num_parts = max(1, math.ceil((end - start) / self.config.max_clip_seconds - 1e-6))
            edges = [*(start + (end - start) * k / num_parts for k in range(num_parts)), end]
            for first, last in pairwise(edges):
                yield self._clip(record, measure, round(first, 6), round(last, 6))

    def _clip(self, record: Record, measure: Shots, start: float, end: float) -> Record | Rejection:
        # Times are rounded to the microsecond for the index: half of one more than covers that.
        begin, stop = (bisect_left(measure.seconds, t - 1e-6) for t in (start, end))
        times = np.array(measure.seconds[begin:stop])
        fps = record.fps
        if len(times) > 1 and not is_constant_rate(times, fps):
            fps = (len(times) - 1) / float(times[-1] - times[0])
        clip = dataclasses.replace(
            record,
            start_seconds=start,
            end_seconds=end,
            fps=fps,
            num_frames=len(times),
            clip_id=clip_id(record.source_sha256, start, end, self.config),
        )
        if end - start < self.config.min_clip_seconds - 1e-3:
            seconds = f"{end - start:.2f} s, under min_clip_seconds {self.config.min_clip_seconds:g}"
            return Rejection(record=clip, reason=Reason.TOO_SHORT, detail=seconds)
        return clip


def clip_id(source_sha256: str, start_seconds: float, end_seconds: float, config: CurateConfig) -> str:
    """Twenty hex digits that name a clip: equal exactly if the source's content, the span and the settings are."""
    text = f"{source_sha256} {start_seconds:.6f} {end_seconds:.6f} {digest(config)}"
    return hashlib.sha256(text.encode()).hexdigest()[:20]
