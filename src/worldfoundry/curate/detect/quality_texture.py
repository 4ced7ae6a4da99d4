"""Texture measures that content cancels out of: ratios of octaves, detail by contrast, and what repeats with a codec's blocks.

Axes: tiles h w, float32 grey levels. Every function takes the tiles of ``quality.py`` and returns a list of numbers.
"""

import functools

import numpy as np

_MACRO = 16
_FLOOR = 0.15
_CRUSHED, _BURNT = 14, 241
_LIGHTS = ((_CRUSHED, 80), (80, 150), (150, _BURNT))
_CAP = 3.0
_CONTRASTS = (0.7, 1.5, 3.0, 6.0, 12.0, 24.0, 1e9)
_LINE = 32


def levels(values: np.ndarray, percents: tuple[int, ...]) -> np.ndarray:
    """Percentiles as ``np.percentile`` gives them, at a tenth of its cost."""
    return np.interp(np.array(percents) / 100 * (len(values) - 1), np.arange(len(values)), np.sort(values))


def block_means(x: np.ndarray, size: int) -> np.ndarray:
    """Means of square blocks, flattened; what is left over at the right and below is cut."""
    h, w = (n // size * size for n in x.shape[1:])
    columns = _sum([x[:, :h, k:w:size] for k in range(size)])
    return (functools.reduce(np.add, (columns[:, k::size] for k in range(size))) / (size * size)).ravel()


def _sum(parts: list[np.ndarray]) -> np.ndarray:
    """Sum in the order of ``np.mean`` along rows, which takes ten times as long on short ones."""
    if len(parts) < 8:
        return functools.reduce(np.add, parts)
    parts = [functools.reduce(np.add, parts[k::8]) for k in range(8)]
    while len(parts) > 1:
        parts = [a + b for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def octaves(x: np.ndarray) -> list[float]:
    """Haar wavelets over three octaves: log ratios of neighbours in textured and in flat blocks, and noise by light.

    Blur and enlargement lower the finest octave of texture against the next one; noise lifts the diagonal in flat blocks.
    """
    diagonal, straight, low = [], [], x
    for size in (_MACRO // 2, _MACRO // 4, _MACRO // 8):
        fine, edges, low = _haar(low)
        diagonal.append(block_means(fine, size))
        straight.append(block_means(edges, size))
    light = block_means(x, _MACRO)
    strength = np.log(straight[1] + straight[2] + 0.3)
    order = np.argsort(strength, kind="stable")
    usable = order[(light[order] > _CRUSHED) & (light[order] < _BURNT)]
    usable = usable if len(usable) >= 8 else order
    textured, flat = usable[int(len(usable) * 0.6) :], usable[: max(3, len(usable) // 4)]
    found: list[float] = []
    for a, b in ((diagonal[0], diagonal[1]), (diagonal[1], diagonal[2]), (straight[0], straight[1]),
                 (straight[1], straight[2]), (diagonal[0], straight[0])):  # fmt: skip
        ratio = np.log((a + _FLOOR) / (b + _FLOOR))
        found += [*levels(ratio[textured], (20, 50, 90)), *levels(ratio[flat], (50,))]
    found += [*np.log(levels(diagonal[0][flat], (20, 50, 90)) + 0.1)]
    found += [*np.log(levels(diagonal[1][flat], (50,)) + 0.1), *levels(strength[usable], (10, 50, 90))]
    for least, most in _LIGHTS:
        lit = (light > least) & (light < most)
        chosen = lit if lit.sum() >= 6 else usable
        found += [*np.log(levels(diagonal[0][chosen], (15,)) + 0.1)]
    return found


def _haar(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Diagonal band, sum of the two straight ones (both absolute), and the low band."""
    a, b, c, d = x[:, ::2, ::2], x[:, ::2, 1::2], x[:, 1::2, ::2], x[:, 1::2, 1::2]
    upper, lower, above, below = a - b, c - d, a + b, c + d
    return np.abs(upper - lower), np.abs(upper + lower) + np.abs(above - below), (above + below) * 0.25


def curves(x: np.ndarray) -> list[float]:
    """How much fine detail blocks of like contrast keep, and how often none: coarse quantisers erase the faint first."""
    fine, edges, low = _haar(x)
    next_fine, next_edges, _ = _haar(low)
    fine, next_fine = block_means(fine + edges, 4), block_means(next_fine + next_edges, 2)
    place = np.digitize(next_fine, _CONTRASTS)
    ratio, is_nil = np.log((fine + _FLOOR) / (next_fine + _FLOOR)), fine < 0.6
    found: list[list[float]] = []
    for k in range(1, len(_CONTRASTS)):
        here = place == k
        if here.sum() >= 8:
            found.append([*levels(ratio[here], (25, 50, 85)), float(np.sqrt(is_nil[here].mean()))])
        else:  # as the next fainter ones; a picture without any is flat
            found.append(found[-1] if found else [0.0, 0.0, 0.0, 0.0])
    return [value for row in found for value in row]


def spectra(x: np.ndarray) -> list[float]:
    """Power by frequency of short lines with the most contrast, against their middle frequencies, and of the flattest lines.

    Enlargement ends the spectrum at its own limit, blur bends it, noise and sharpening lift its end.
    """
    found: list[float] = []
    for axis in (2, 1):
        y = x[:, ::2] if axis == 2 else x.transpose(0, 2, 1)[:, ::2]
        starts = np.unique(np.linspace(0, y.shape[2] - _LINE, max(1, y.shape[2] // _LINE)).astype(int))
        lines = np.concatenate([y[:, :, a : a + _LINE].reshape(-1, _LINE) for a in starts])
        lines = (lines - lines.mean(axis=1, keepdims=True)) * np.hanning(_LINE).astype(np.float32)
        transformed = np.fft.rfft(lines, axis=1)
        power = transformed.real**2 + transformed.imag**2
        middle = power[:, 3:6].mean(axis=1)
        order = np.argsort(middle, kind="stable")
        strong, flat = order[-max(8, len(order) // 5) :], order[: max(8, len(order) // 3)]
        share = power[strong, 6:] / (middle[strong, None] + 1)
        found += np.log(np.median(share, axis=0) + 1e-4).tolist()
        found += [float(np.log(np.median(middle[strong]) + 1))]
        found += np.log(np.median(power[flat, 6:14], axis=0).reshape(4, 2).mean(axis=1) + 0.1).tolist()
    return found


def phases(x: np.ndarray) -> list[float]:
    """Small steps at the borders of 8- and 4-pixel blocks against those inside, and the share of steps that are nil."""
    found: list[float] = []
    for axis in (2, 1):
        step = np.abs(np.diff(x, axis=axis))
        over = (0, 3 - axis)
        small = _by_phase(np.minimum(step, _CAP).mean(axis=over))
        nil = _by_phase((step < 0.5).mean(axis=over, dtype=np.float32))
        inside = _inside(small) + 0.02
        found += [float(np.log((small[7] + 0.02) / inside)), float(np.log((small[3] + 0.02) / inside))]
        found += [_inside(nil) - float(nil[7]), _inside(nil) - float(nil[3]), float(nil.mean())]
    return found


def _by_phase(profile: np.ndarray) -> np.ndarray:
    return profile[: len(profile) // 8 * 8].reshape(-1, 8).mean(axis=0)


def _inside(profile: np.ndarray) -> float:
    return float(np.delete(profile, (3, 7)).mean())
