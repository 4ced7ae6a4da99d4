"""Further views of a labelled video, for training: backwards, fewer frames, a part of the picture, other light and colours.

Composing and coding a video costs ten times what measuring it does, so each is measured several times.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from worldfoundry.curate.labelled.recording import Recording, Truth


def views(rng: np.random.Generator, recording: Recording, count: int) -> Iterator[Recording]:
    """The recording itself and ``count`` others made of it."""
    yield recording
    for k in range(count):
        step = int(rng.choice([1, 1, 1, 2, 3]))
        seen = _thinned(recording, step, int(rng.integers(step))) if step > 1 else recording
        seen = _backwards(seen) if k % 2 == 0 else seen
        frames = _recoloured(rng, _part(rng, seen))
        yield replace(seen, frames=frames, seconds=seen.seconds * rng.uniform(0.7, 1.4))


def _thinned(recording: Recording, step: int, begin: int) -> Recording:
    """Each ``step``-th frame."""

    def at(k: int) -> int:
        return max(0, -((begin - k) // step))

    if len(recording.frames) < 8 * step:
        return recording
    truths = (
        replace(x, first=at(x.first), stop=at(x.stop), cuts=tuple(at(k) for k in x.cuts))
        for x in recording.truths
    )
    found = tuple(replace(x, kind="cut", cuts=()) if x.first == x.stop else x for x in truths if x.stop > 0)
    return replace(
        recording,
        frames=recording.frames[begin::step],
        seconds=recording.seconds[begin::step],
        truths=found,
    )


def _backwards(recording: Recording) -> Recording:
    """The last frame first: a boundary before frame k of n becomes one before frame n - k."""
    n, seconds = len(recording.frames), recording.seconds
    truths = [_turned(x, n) for x in reversed(recording.truths)]
    return replace(
        recording,
        frames=recording.frames[::-1],
        seconds=seconds[-1] - seconds[::-1],
        truths=tuple(truths),
    )


def _turned(truth: Truth, n: int) -> Truth:
    cuts = tuple(n - k for k in reversed(truth.cuts))
    return replace(truth, first=n - truth.stop, stop=n - truth.first, cuts=cuts)


def _part(rng: np.random.Generator, recording: Recording) -> np.ndarray:
    """A window of the picture; a large one where there are wipes, which pass small ones in less time than is labelled."""
    h, w = recording.frames.shape[1:3]
    least = 0.85 if any(x.kind == "wipe" for x in recording.truths) else 0.55
    height, width = (int(side * rng.uniform(least, 1)) for side in (h, w))
    top, left = int(rng.integers(h - height + 1)), int(rng.integers(w - width + 1))
    return recording.frames[:, top : top + height, left : left + width]


def _recoloured(rng: np.random.Generator, frames: np.ndarray) -> np.ndarray:
    """Channels exchanged, contrast and gamma changed, rarely a negative."""
    light = np.arange(256) / 255
    if rng.random() < 0.7:
        light = rng.uniform(0, 0.1) + rng.uniform(0.5, 1.2) * light ** np.exp(rng.normal(0, 0.3))
    if rng.random() < 0.1:
        light = 1 - light
    table = np.clip(255 * light, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(table[frames[..., rng.permutation(3)]])
