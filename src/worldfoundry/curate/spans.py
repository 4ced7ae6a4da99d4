"""Spans of a source: shots cut at damage and gaps, divided where they are too long; pure arithmetic on times.

A span holds whole frames and is half-open: it ends where the next frame begins, or, where none follows, one average frame
after its last.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from worldfoundry.curate.config import ShotsConfig
from worldfoundry.curate.records import TICK_S, Analysis
from worldfoundry.data.video_io import is_constant_rate
from worldfoundry.protocols.curation import Span

_SLOW = 3.0  # a source of few frames a second has no gap until this many are missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A span of frames that belong together."""

    start_s: float
    """Time of the first frame, rounded to the microsecond."""
    end_s: float
    """End of the last frame, likewise."""
    num_frames: int
    """Frames in it."""
    fps: float
    """Average rate."""
    is_variable: bool
    """Whether its frames are not equally spaced."""
    is_short: bool
    """Whether it is under the least length."""


def pieces_of(analysis: Analysis, shots: Sequence[Span], config: ShotsConfig) -> list[Piece]:
    """All pieces of a source in order of time, the short ones too."""
    if analysis.info.is_still:
        return [Piece(start_s=0.0, end_s=1.0, num_frames=1, fps=1.0, is_variable=False, is_short=False)]
    seconds = analysis.seconds
    borders = _borders(analysis, config)
    found: list[Piece] = []
    for shot in shots:
        first, stop = np.searchsorted(seconds, (shot.start_s - TICK_S, shot.end_s - TICK_S))
        inner = borders[(borders > first) & (borders < stop)]
        edges = [int(first), *inner.tolist(), int(stop)]
        for a, b in pairwise(edges):
            if b > a:
                found += _divided(analysis, a, b, config)
    return found


def _borders(analysis: Analysis, config: ShotsConfig) -> np.ndarray:
    """Numbers of the frames before which something is missing."""
    seconds = analysis.seconds
    steps = np.diff(seconds)
    limit = max(config.max_gap_s, _SLOW * float(np.median(steps))) if len(steps) else math.inf
    gaps = np.flatnonzero(steps > limit) + 1
    return np.unique(np.concatenate([gaps, np.searchsorted(seconds, analysis.damage_s)])).astype(int)


def _divided(analysis: Analysis, first: int, stop: int, config: ShotsConfig) -> Iterator[Piece]:
    seconds = analysis.seconds
    start, end = float(seconds[first]), _end(analysis, first, stop, config)
    parts = max(1, math.ceil((end - start) / config.max_s - TICK_S))
    inner = [start + (end - start) * k / parts for k in range(1, parts)]
    edges = [first, *np.searchsorted(seconds, np.array(inner) - TICK_S).tolist(), stop]
    for a, b in pairwise(edges):
        if b > a:
            yield _piece(analysis, a, b, _end(analysis, a, b, config), config)


def _end(analysis: Analysis, first: int, stop: int, config: ShotsConfig) -> float:
    seconds = analysis.seconds
    last = float(seconds[stop - 1])
    step = (last - float(seconds[first])) / (stop - 1 - first) if stop - first > 1 else 1 / analysis.info.fps
    if stop < len(seconds) and float(seconds[stop]) - last <= max(config.max_gap_s, _SLOW * step):
        broken = analysis.damage_s
        if not np.any((broken > last) & (broken < seconds[stop])):
            return float(seconds[stop])
    return last + step


def _piece(analysis: Analysis, first: int, stop: int, end: float, config: ShotsConfig) -> Piece:
    times = analysis.seconds[first:stop]
    start, fps = float(times[0]), analysis.info.fps
    if len(times) > 1 and not is_constant_rate(times, fps):
        fps = (len(times) - 1) / float(times[-1] - times[0])
    return Piece(
        start_s=round(start, 6),
        end_s=round(end, 6),
        num_frames=len(times),
        fps=fps,
        is_variable=not is_constant_rate(times, fps),
        is_short=end - start < config.min_s - 1e-3,
    )
