"""Texture measures that content cancels out of: ratios of octaves, and what repeats with a codec's blocks or a resampler's steps.

Axes: tiles h w, float32 grey levels. Every function takes the tiles of ``quality.py`` and returns a list of numbers.
"""

import cv2
import numpy as np

_MACRO = 16
_FLOOR = 0.15
_CRUSHED, _BURNT = 14, 241
_LIGHTS = ((_CRUSHED, 80), (80, 150), (150, _BURNT))
_CAP = 3.0
_LENGTH = 224  # of the padded transform; a multiple of 8, so that codec grids fall on its bins


def levels(values: np.ndarray, percents: tuple[int, ...]) -> np.ndarray:
    """Percentiles as ``np.percentile`` gives them, at a tenth of its cost."""
    return np.interp(np.array(percents) / 100 * (len(values) - 1), np.arange(len(values)), np.sort(values))


def block_means(x: np.ndarray, size: int) -> np.ndarray:
    """Means of square blocks, flattened; what is left over at the right and below is cut."""
    n, h, w = x.shape
    h, w = h // size * size, w // size * size
    return x[:, :h, :w].reshape(n, h // size, size, w // size, size).mean(axis=(2, 4)).ravel()


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


def periods(x: np.ndarray) -> list[float]:
    """Peaks in the spectrum of how bent grey levels are, column by column and row by row.

    Interpolation is smoother between the pixels it was made from, at a period of the enlargement; blocks repeat every 8.

    Source: A. Gallagher, Detection of linear and cubic interpolation in JPEG compressed images, CRV 2005.
    """
    found: list[float] = []
    frequency = np.arange(_LENGTH // 2 + 1) / _LENGTH
    from_grid = np.abs(frequency * 8 - np.round(frequency * 8)) / 8
    fine = frequency > 0.26
    free = fine & (from_grid >= 0.012)
    for axis in (2, 1):
        y = x if axis == 2 else x.transpose(0, 2, 1)
        bend = np.abs(2 * y[:, :, 1:-1] - y[:, :, :-2] - y[:, :, 2:])
        profile = np.log(np.minimum(bend, 20).mean(axis=1) + 0.2)
        profile = (profile - cv2.blur(profile, (9, 1))) * np.hanning(profile.shape[1]).astype(np.float32)
        transformed = np.fft.rfft(profile, n=_LENGTH, axis=1)
        power = np.log((transformed.real**2 + transformed.imag**2).mean(axis=0) + 1e-3)
        ground, peaks = float(np.median(power[fine])), np.sort(power[free])
        found += [float(peaks[-1]) - ground, float(peaks[-8:].mean()) - ground]
        found += [
            float(power[k * _LENGTH // 8 - (k == 4) : k * _LENGTH // 8 + 2].max()) - ground
            for k in (1, 2, 3, 4)
        ]
    return found


def lights(x: np.ndarray) -> list[float]:
    """Whether the brightest and the darkest blocks still have texture: burnt and crushed ones have none."""
    light = block_means(x, 8)
    texture = block_means(np.abs(np.diff(x, axis=2, append=x[:, :, -1:])), 8)
    high = light >= levels(light, (97,))[0] - 6
    deep = light <= levels(light, (3,))[0] + 6
    usual, bright, dark = (float(np.log(np.median(t) + 0.1)) for t in (texture, texture[high], texture[deep]))
    shares = [
        ((light > 235) & (texture < 0.5)).mean(),
        ((light > 210) & (texture < 0.7)).mean(),
        ((light < 22) & (texture < 0.5)).mean(),
        high.mean(),
        deep.mean(),
    ]
    extremes = [float(light.max()) / 255, float(light.min()) / 255]
    return [bright - usual, bright, dark - usual, *extremes, *np.sqrt(shares)]
