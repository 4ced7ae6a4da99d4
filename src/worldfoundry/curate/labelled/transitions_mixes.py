"""How one shot gives way to the next, for training: dissolves in any light, wipes of many shapes, with soft edges or borders.

Axes: t frames, h rows, w columns. Both shots are uint8 [t, h, w, 3]; ``ramp`` [t] says how far the way is, 0 to 1.
"""

import cv2
import numpy as np

from worldfoundry.curate.labelled.transitions_distractors import mix

FORMS = (
    *("line", "line", "soft", "push", "cover", "box", "field", "field", "angle", "stripes", "stripes"),
    *("circle", "checks", "zoom"),
)
"""Shapes of wipes that are drawn from."""


def dissolved(rng: np.random.Generator, old: np.ndarray, new: np.ndarray, ramp: np.ndarray) -> np.ndarray:
    """Mix two shots: half of the times as stored, else in light of some gamma, as editors that work in linear light do."""
    ramp = eased(rng, ramp)
    if rng.random() < 0.5:
        return mix(old, new, ramp)
    gamma = rng.uniform(1.4, 2.6)
    light = ((np.arange(256) / 255) ** gamma).astype(np.float32)
    a, b, share = light[old], light[new], ramp[:, None, None, None].astype(np.float32)
    return (255 * (a + (b - a) * share) ** (1 / gamma)).round().clip(0, 255).astype(np.uint8)


def eased(rng: np.random.Generator, ramp: np.ndarray) -> np.ndarray:
    """One time in four the way begins and ends slowly."""
    return ramp * ramp * (3 - 2 * ramp) if rng.random() < 0.25 else ramp


def wiped(rng: np.random.Generator, old: np.ndarray, new: np.ndarray, ramp: np.ndarray) -> np.ndarray:
    """The new shot takes the place of the old one piece by piece."""
    ramp, form = eased(rng, ramp), str(rng.choice(FORMS))
    if form in {"push", "cover"}:
        return _slid(rng, old, new, ramp, is_push=form == "push")
    if form == "zoom":
        return _zoomed(rng, old, new, ramp)
    h, w = old.shape[1:3]
    place = _order(rng, form, h, w)
    place = 1 - place if rng.random() < 0.5 else place
    edge = rng.uniform(0.05, 0.3) if form == "soft" or rng.random() < 0.15 else 0.01
    share = np.clip((ramp[:, None, None] * (1 + edge) - place) / edge, 0, 1)
    found = mix(old, new, share)
    if rng.random() < 0.12:
        border = np.abs(ramp[:, None, None] - place) < rng.uniform(0.01, 0.04)
        found[border] = rng.integers(0, 256, 3)
    return found


def _order(rng: np.random.Generator, form: str, h: int, w: int) -> np.ndarray:
    """When each pixel changes, 0 to 1."""
    y, x = np.mgrid[:h, :w].astype(np.float32)
    cx, cy = rng.uniform(0.2, 0.8, 2)
    if form == "box":
        return np.maximum(np.abs(x / w - 0.5), np.abs(y / h - 0.5)) * 2
    if form == "circle":
        far = np.hypot((x / w - cx) * w / h, y / h - cy)
        return far / far.max()
    if form == "angle":
        return (np.arctan2(y - cy * h, x - cx * w) / (2 * np.pi) + rng.uniform(0, 1)) % 1.0
    if form == "field":
        # Any smooth order of the pixels: spots, stripes and shapes that have no name.
        coarse = rng.random((int(rng.integers(2, 6)), int(rng.integers(2, 9)))).astype(np.float32)
        field = cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC)
        return (field - field.min()) / (np.ptp(field) + 1e-6)
    if form == "checks":
        n = int(rng.integers(3, 9))
        late = ((x * n // w).astype(int) + (y * n * h // (w * h)).astype(int)) % 2
        return (late + (x * n / w) % 1.0) / 2
    if form == "stripes":
        place = (x / w if rng.random() < 0.7 else y / h) * rng.uniform(2, 9)
        return np.abs(place % 2 - 1) if rng.random() < 0.5 else place % 1.0
    slope = rng.normal(0, 0.7)
    line = x / w + slope * y / h if rng.random() < 0.6 else y / h + slope * x / w
    return (line - line.min()) / np.ptp(line)


def _slid(
    rng: np.random.Generator, old: np.ndarray, new: np.ndarray, ramp: np.ndarray, *, is_push: bool
) -> np.ndarray:
    """The new picture comes in from a side and pushes the old one out, or covers it."""
    axis, is_back = int(rng.integers(2)), rng.random() < 0.5
    found = []
    for a, b, share in zip(old, new, ramp, strict=True):
        if is_back:
            a, b = np.flip(a, axis), np.flip(b, axis)
        length = a.shape[axis]
        n = int(length * share)
        rest = np.take(a, range(n, length) if is_push else range(length - n), axis)
        joined = np.concatenate([rest, np.take(b, range(n), axis)], axis)
        found.append(np.flip(joined, axis) if is_back else joined)
    return np.stack(found)


def _zoomed(rng: np.random.Generator, old: np.ndarray, new: np.ndarray, ramp: np.ndarray) -> np.ndarray:
    """The new picture grows over the old one, or the old one shrinks away."""
    h, w = old.shape[1:3]
    cx, cy = rng.uniform(0.2, 0.8, 2)
    grows = rng.random() < 0.5
    under, over, size = (old, new, ramp) if grows else (new, old, 1 - ramp)
    found = under.copy()
    for k, share in enumerate(size):
        high, wide = max(1, round(h * share)), max(1, round(w * share))
        top, left = int((h - high) * cy), int((w - wide) * cx)
        small = cv2.resize(over[k], (wide, high), interpolation=cv2.INTER_AREA)
        found[k, top : top + high, left : left + wide] = small
    return found
