"""A perceptual descriptor of a span, for finding copies: small grey pictures in time and a vector for the search.

The meter keeps a grey picture of 32 by 32 cells for each quarter of a second, the mean of all frames in it: means of time
keep what passes between samples, so that copies of another speed, rate or phase still agree after interpolation. From
these, ``score`` cuts a span, takes off black bars, and makes unit vectors that ignore mirroring, brightness and contrast: of the
whole picture and of parts of it, since a copy that was cropped resembles a part of its original. Whether two
spans are copies is decided by ``alignment``, not by the vectors.

Source: the mean pictures follow temporally informative representative images (Esmaeili et al. 2011).
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from worldfoundry.curate.detect.rows import Rows, split_columns
from worldfoundry.protocols.curation import Meter, SourceInfo, Timeline, View

SIDE = 32
"""Cells of a picture along each edge."""
RATE_HZ = 4.0
"""Pictures a second."""
VIEWS = (
    (0.0, 1.0, 0.0, 1.0),
    (0.07, 0.93, 0.07, 0.93),
    *((y, y + 0.88, x, x + 0.88) for y in (0.0, 0.12) for x in (0.0, 0.12)),
)
"""Parts of the picture (top, bottom, left, right) that have a vector each: whole, middle, corners."""
_LEAST_GAP_S = 1 / 17  # frames of a faster source are thinned: they add little to a mean of a quarter second
_DARK, _FLAT = 30, 4.0
_MOST_BORDER = 0.3
_COARSE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What is compared of one span."""

    vectors: np.ndarray
    """float32 [v, d], unit length, mirror-invariant, one for each of ``VIEWS``."""
    frames: np.ndarray
    """uint8 [n, SIDE, SIDE], grey, without black bars."""
    seconds: np.ndarray
    """float32 [n], times from the start of the span, rising."""

    @property
    def duration_s(self) -> float:
        """Time that the pictures cover."""
        return float(len(self.frames) / RATE_HZ)


@dataclass(frozen=True, slots=True, kw_only=True)
class DescriptorDetector:
    """Keeps the small grey pictures of a source."""

    name: str = "descriptor"
    """Key of the timeline."""
    version: int = 1
    """Of the numbers below."""

    def begin(self, source: SourceInfo) -> Meter:
        """A meter that holds one mean picture at a time."""
        del source
        return _Meter()


class _Meter:
    def __init__(self):
        self._when = Rows(np.float64, (3,))
        self._frames, self._edges = Rows(np.uint8, (SIDE, SIDE)), Rows(np.uint8, (4,))
        self._bin, self._times, self._last = -1, [], -np.inf
        self._sum = np.zeros((SIDE, SIDE), np.float32)
        self._luma = np.zeros((1, 1), np.uint8)

    def observe(self, view: View) -> None:
        number = int(np.floor(view.seconds * RATE_HZ + 1e-6))
        if number != self._bin:
            self._flush()
            self._bin = number
        elif view.seconds - self._last < _LEAST_GAP_S:
            return
        self._last = view.seconds
        self._times.append(view.seconds)
        self._luma = cv2.cvtColor(view.small, cv2.COLOR_RGB2GRAY)
        self._sum += cv2.resize(self._luma, (SIDE, SIDE), interpolation=cv2.INTER_AREA)

    def finish(self) -> Timeline:
        self._flush()
        first, mean, last = split_columns(self._when.array(), [np.float64] * 3)
        return {
            "seconds": mean,
            "first_s": first,
            "last_s": last,
            "frames": self._frames.array(),
            "borders": self._edges.array(),
        }

    def _flush(self) -> None:
        if not self._times:
            return
        picture = (self._sum / len(self._times)).round().clip(0, 255).astype(np.uint8)
        times = self._times
        self._when.append((times[0], np.mean(times), times[-1]))
        self._frames.append(picture)
        self._edges.append(_borders(self._luma))
        self._times = []
        self._sum[:] = 0


def _borders(luma: np.ndarray) -> np.ndarray:
    """Dark rows and columns at the top, bottom, left and right, in 255ths of the edge."""
    found = []
    for profile in (luma.max(1), luma.max(0)):
        lit = np.flatnonzero(profile > _DARK)
        edges = (lit[0], len(profile) - 1 - lit[-1]) if len(lit) else (0, 0)
        found += [255 * edge / len(profile) for edge in edges]
    return np.array(found).round().astype(np.uint8)


def score(timeline: Timeline, start_s: float, end_s: float) -> Descriptor:
    """Describe a span by the pictures that lie wholly in it, or, in one too short for that, by those that touch it."""
    first, last = timeline["first_s"], timeline["last_s"]
    inside = np.flatnonzero((first >= start_s - 1e-6) & (last < end_s))
    if len(inside) == 0:
        inside = np.flatnonzero((last >= start_s - 1e-6) & (first < end_s))
    frames = timeline["frames"][inside]
    if len(frames) == 0:
        frames, seconds = np.zeros((1, SIDE, SIDE), np.uint8), np.zeros(1)
    else:
        frames = _without_bars(frames, timeline["borders"][inside])
        seconds = timeline["seconds"][inside] - start_s
    return Descriptor(vectors=_vectors(frames), frames=frames, seconds=seconds.astype(np.float32))


def _without_bars(frames: np.ndarray, borders: np.ndarray) -> np.ndarray:
    lit = frames.reshape(len(frames), -1).std(1) > _FLAT
    if not lit.any():
        return frames
    top, bottom, left, right = borders[lit].min(0) / 255
    if max(top + bottom, left + right) < 0.02 or max(top, bottom, left, right) > _MOST_BORDER:
        return frames
    grey = frames.astype(np.float32)
    # Cells that lie partly in a bar mix its black in: those within stand for them.
    grey = grey[:, _clean(top, bottom)][:, :, _clean(left, right)]
    rows, columns = resample(top, 1 - bottom), resample(left, 1 - right)
    return np.rint(rows @ grey @ columns.T).clip(0, 255).astype(np.uint8)


def _clean(start: float, end: float) -> np.ndarray:
    first, last = np.ceil(start * SIDE - 1e-3), np.floor((1 - end) * SIDE + 1e-3) - 1
    return np.arange(SIDE).clip(int(first), int(last))


def resample(start: float, stop: float, cells: int = SIDE) -> np.ndarray:
    """Float32 [cells, SIDE] that reads the part ``start`` to ``stop`` of an edge linearly; outside it is zero.

    >>> np.allclose(resample(0.0, 1.0), np.eye(SIDE), atol=1e-5)
    True
    """
    at = (start + (np.arange(cells) + 0.5) / cells * (stop - start)) * SIDE - 0.5
    inside = (at > -0.75) & (at < SIDE - 0.25)
    clipped = at.clip(0, SIDE - 1)
    low = np.floor(clipped).astype(int).clip(max=SIDE - 2)
    part = (clipped - low).astype(np.float32)
    out = np.zeros((cells, SIDE), np.float32)
    out[np.arange(cells), low] = 1 - part
    out[np.arange(cells), low + 1] = part
    return out * inside[:, None]


def _vectors(frames: np.ndarray) -> np.ndarray:
    grey = frames.astype(np.float32)
    vectors = []
    for top, bottom, left, right in VIEWS:
        part = resample(top, bottom, _COARSE) @ grey @ resample(left, right, _COARSE).T
        vectors.append(_vector(part))
    return np.stack(vectors)


def _vector(pictures: np.ndarray) -> np.ndarray:
    """The mean picture by its local contrast, in a form that mirroring does not change."""
    level = pictures - pictures.mean((1, 2), keepdims=True)
    mean = (level / (level.std((1, 2), keepdims=True) + 2.0)).mean(0)
    wide, narrow = smoothing(_COARSE, 3.0), smoothing(_COARSE, 0.7)
    detail = mean - wide @ mean @ wide.T
    detail = detail / (np.sqrt(wide @ detail**2 @ wide.T) + 0.15)
    detail = narrow @ detail @ narrow.T
    mirrored, half = detail[:, ::-1], _COARSE // 2
    parts = [(detail + mirrored)[:, :half], np.abs(detail - mirrored)[:, :half]]
    flat = np.concatenate([part.ravel() for part in parts])
    return (flat / (np.linalg.norm(flat) + 1e-6)).astype(np.float32)


@lru_cache(maxsize=8)
def smoothing(cells: int, sigma: float) -> np.ndarray:
    """Float32 [cells, cells] that blurs along an edge; rows sum to 1."""
    at = np.arange(cells)
    weight = np.exp(-((at[:, None] - at) ** 2) / (2 * sigma**2))
    return (weight / weight.sum(1, keepdims=True)).astype(np.float32)
