"""Motion: how fast the picture moves, and how much of that is the camera.

Optical flow between frames about a tenth of a second apart, four pairs a second, in picture widths a second: the numbers
depend neither on the resolution nor on the frame rate. The camera is the similarity (shift, turn, zoom) that fits most of
the flow; objects are what is left.

Source: dense inverse search, arXiv:1603.03590, as in OpenCV.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import cv2
import numpy as np

from worldfoundry.curate.config import CurateConfig
from worldfoundry.protocols.curation import Reason, Record, Rejection

_PAIR_SECONDS = 0.1
_EVERY_SECONDS = 0.25
_GRID_PX = 8


class Flow(NamedTuple):
    """The motion between two frames; speeds in picture widths a second."""

    start_seconds: float
    """Time of the earlier frame."""
    end_seconds: float
    """Time of the later frame."""
    motion: float
    """Mean speed over the picture."""
    camera: float
    """Mean speed of the fitted camera motion."""
    objects: float
    """Mean speed of what remains."""


@dataclass
class FlowMeter:
    """Measures pairs of frames as they pass by."""

    flows: list[Flow] = field(default_factory=list)
    """One entry a pair, in order of time."""
    _method: Any = None
    _earlier: tuple[np.ndarray, float] | None = None
    _due_seconds: float = -np.inf

    def observe(self, pixels: np.ndarray, seconds: float) -> None:
        """Take the frame as the first or second of a pair, or pass over it."""
        gray = None
        if self._earlier is not None and seconds - self._earlier[1] >= _PAIR_SECONDS - 1e-3:
            gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
            self.flows.append(self._flow(*self._earlier, gray, seconds))
            self._earlier = None
        if self._earlier is None and seconds >= self._due_seconds - 1e-3:
            self._earlier = (cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if gray is None else gray, seconds)
            self._due_seconds = seconds + _EVERY_SECONDS

    def _flow(self, a: np.ndarray, a_seconds: float, b: np.ndarray, b_seconds: float) -> Flow:
        if self._method is None:
            self._method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        field_px = self._method.calc(a, b, None)
        rows, columns = np.mgrid[_GRID_PX // 2 : a.shape[0] : _GRID_PX, _GRID_PX // 2 : a.shape[1] : _GRID_PX]
        points = np.stack([columns.ravel(), rows.ravel()], -1).astype(np.float32)
        moves = field_px[rows.ravel(), columns.ravel()]
        fit, _ = cv2.estimateAffinePartial2D(
            points, points + moves, method=cv2.RANSAC, ransacReprojThreshold=0.25
        )
        camera = np.zeros_like(moves) if fit is None else points @ fit[:, :2].T + fit[:, 2] - points
        scale = 1 / (a.shape[1] * (b_seconds - a_seconds))
        speeds = [float(np.linalg.norm(v, axis=-1).mean() * scale) for v in (moves, camera, moves - camera)]
        return Flow(a_seconds, b_seconds, *speeds)


@dataclass(frozen=True, slots=True)
class Motion:
    """Scores the motion of clips and rejects the static ones."""

    config: CurateConfig
    """The run's settings."""
    name: str = "motion"
    """Name in reports."""

    def begin(self, source: Record) -> FlowMeter:  # noqa: ARG002  every stage is told the source
        """Start to measure."""
        return FlowMeter()

    def judge(self, record: Record, measure: FlowMeter) -> Iterator[Record | Rejection]:
        """Average the pairs that lie within the record's span."""
        inside = [
            f
            for f in measure.flows
            if f.start_seconds >= record.start_seconds - 1e-6 and f.end_seconds < record.end_seconds
        ]
        mean = np.mean([f[2:] for f in inside], axis=0).tolist() if inside else [0.0, 0.0, 0.0]
        names = ("motion", "camera_motion", "object_motion")
        scores = {n: round(v, 6) for n, v in zip(names, mean, strict=True)}
        scored = dataclasses.replace(record, scores={**record.scores, **scores})
        if scores["motion"] < self.config.min_motion:
            detail = f"motion {scores['motion']:.4f} widths/s, under min_motion {self.config.min_motion:g}"
            yield Rejection(record=scored, reason=Reason.STATIC, detail=detail)
        else:
            yield scored
