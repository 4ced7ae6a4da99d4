"""How well two spans agree where one is laid over the other: place, speed and offset being given.

Measured is the agreement of what changes, over blocks; the blocks that agree least, up to a quarter of the change, are
left out, so that captions and logos do not matter.
"""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from worldfoundry.curate.detect.descriptor import RATE_HZ, SIDE, Descriptor, resample, smoothing

_BLUR = 4.0
_BLOCK = 4
_NOISE = 0.35  # squared grey levels of a cell that coding alone changes
_COVERED, _PARTIAL = (
    0.95,
    0.5,
)  # what is not seen of the shorter span may differ: that makes a match less sure
_FASTEST, _STRANGE = 1.265, 6.0  # nobody changes the speed more than this; a match that needs to is by chance
_LEFT_OUT = 0.25
_SLACK_S = 0.13
WHOLE = (0.0, 1.0, 0.0, 1.0)
"""The window of a picture that shows all of the other."""

Window = tuple[float, ...]
"""Part of the first picture that the second shows: top, bottom, left, right; beyond 0 to 1 where it shows more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """How well the second of two spans agrees with the first at one alignment."""

    change: float = -1.0
    """Agreement of what changes, -1 to 1."""
    picture: float = -1.0
    """Agreement of the mean pictures, -1 to 1."""
    energy: float = 0.0
    """Change in squared grey levels a cell, the larger of the two spans; near 0, nothing moves."""
    overlap_s: float = 0.0
    """Seconds of the second span that the first covers."""
    coverage: float = 1.0
    """Share of the one span that the other covers, of the span that is covered better."""
    is_mirrored: bool = False
    """Whether left and right are exchanged."""
    window: Window = WHOLE
    """Part of the first picture that the second shows."""
    speed: float = 1.0
    """Seconds of the first that pass in one of the second."""
    offset_s: float = 0.0
    """Time of the first at the start of the second."""

    @property
    def similarity(self) -> float:
        """One number, at most 1: what changes must agree and the pictures must not contradict it.

        Less where much of both spans was not seen by the other, and where the speed is one that copies do not have.
        """
        doubt = _PARTIAL * max(0.0, _COVERED - self.coverage)
        doubt += _STRANGE * max(0.0, abs(math.log(self.speed)) - math.log(_FASTEST))
        return max(-1.0, min(self.change, self.picture + 0.2) - doubt)


@dataclass(frozen=True, slots=True)
class Film:
    """What is laid over another."""

    pictures: np.ndarray
    """float32 [n, SIDE, SIDE], high-passed."""
    seconds: np.ndarray
    """float64 [n]."""

    @property
    def is_still(self) -> bool:
        """Whether it is one picture."""
        return len(self.pictures) == 1


def film_of(descriptor: Descriptor) -> Film:
    """The pictures less their blur: what changes everywhere at once is light, not content."""
    grey = descriptor.frames.astype(np.float32)
    blur = smoothing(SIDE, _BLUR)
    return Film(grey - blur @ grey @ blur.T, descriptor.seconds.astype(np.float64))


def warp(pictures: np.ndarray, window: Window, is_mirrored: bool) -> np.ndarray:
    """The part of pictures that a window shows, in ``SIDE`` by ``SIDE`` cells; 0 outside."""
    top, bottom, left, right = window
    out = resample(top, bottom) @ pictures @ resample(left, right).T
    return out[:, :, ::-1] if is_mirrored else out


def seen(window: Window, is_mirrored: bool) -> np.ndarray:
    """Bool [SIDE, SIDE]: the cells that lie inside the first picture."""
    return warp(np.ones((1, SIDE, SIDE), np.float32), window, is_mirrored)[0] > 0.5


def between(times: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Index before ``at`` and after, the part of the way, and whether it is inside or half a picture outside."""
    valid = (at >= times[0] - _SLACK_S) & (at <= times[-1] + _SLACK_S)
    low = (np.searchsorted(times, at, side="right") - 1).clip(0, max(0, len(times) - 2))
    gap = np.diff(times, append=times[-1] + 1.0)[low]
    return low, (low + 1).clip(max=len(times) - 1), ((at - times[low]) / gap).clip(0, 1), valid


def judged(a: Film, b: Film, place: Match) -> Match:
    """``place`` with the agreement measured there."""
    visible = seen(place.window, place.is_mirrored)
    low, high, part, valid = between(a.seconds, place.offset_s + place.speed * b.seconds)
    if not valid.any():
        return dataclasses.replace(place, change=-1.0, picture=-1.0, overlap_s=0.0, coverage=0.0)
    p = warp(a.pictures, place.window, place.is_mirrored)
    part = part[valid, None, None].astype(np.float32)
    p = ((1 - part) * p[low[valid]] + part * p[high[valid]]) * visible
    q = b.pictures[valid] * visible
    mean_p, mean_q = p.mean(0, keepdims=True), q.mean(0, keepdims=True)
    change, energy = _agreement(p - mean_p, q - mean_q, _NOISE)
    picture, _ = _agreement(mean_p, mean_q, 1.0)
    of_first = place.speed * valid.sum() / len(a.pictures)
    return dataclasses.replace(
        place,
        change=change,
        picture=picture,
        energy=energy,
        overlap_s=float(valid.sum() / RATE_HZ),
        coverage=float(min(1.0, max(valid.mean(), of_first))),
    )


def _agreement(p: np.ndarray, q: np.ndarray, noise: float) -> tuple[float, float]:
    """Agreement of two stacks over blocks, the worst left out, and the larger energy of a cell."""
    p, q = blocks(p), blocks(q)
    cells = p.shape[1]
    pp, qq, pq = (p * p).sum(1), (q * q).sum(1), (p * q).sum(1)
    gain = float(np.clip(np.sqrt((qq.sum() + 1e-3) / (pp.sum() + 1e-3)), 0.4, 2.5))
    # Not the geometric mean: change in one of the two alone is disagreement.
    power = 0.5 * (gain * pp + qq / gain)
    weight = np.maximum(power - noise * cells, 0) + 1e-6
    each = pq / (power + 0.5 * noise * cells + 1e-6)
    order = np.argsort(each, kind="stable")
    kept = order[np.cumsum(weight[order]) > _LEFT_OUT * weight.sum()]
    value = float((each[kept] * weight[kept]).sum() / weight[kept].sum())
    return value, float(max(pp.sum(), qq.sum()) / p.size)


def blocks(pictures: np.ndarray) -> np.ndarray:
    """[blocks, n * cells] of [n, SIDE, SIDE]."""
    n, k = len(pictures), SIDE // _BLOCK
    return pictures.reshape(n, k, _BLOCK, k, _BLOCK).transpose(1, 3, 0, 2, 4).reshape(k * k, -1)
