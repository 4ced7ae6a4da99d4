"""How light falls over a picture: its grey levels, and whether the brightest and the darkest places still have texture."""

import math

import numpy as np

from worldfoundry.curate.detect.quality_texture import block_means, levels

_GREY_PERCENTILES = (1, 5, 25, 50, 75, 95, 99, 99.8)
NUM_LIGHT = len(_GREY_PERCENTILES) + 9 + 10
"""Numbers of both functions together."""


def grey_levels(luma: np.ndarray) -> np.ndarray:
    """Grey levels of the whole picture: percentiles, spread, and shares of crushed and burnt pixels."""
    stride = max(1, int(math.sqrt(luma.size / 20_000)))
    grey = luma[::stride, ::stride]
    counts = np.bincount(grey.ravel(), minlength=256) / grey.size
    below = np.cumsum(counts)
    percentiles = np.searchsorted(below, np.array(_GREY_PERCENTILES) / 100) / 255
    mean = counts @ np.arange(256) / 255
    spread = math.sqrt(max(0.0, counts @ (np.arange(256) / 255 - mean) ** 2))
    burnt = grey >= np.uint8(min(252, int(percentiles[-1] * 255)))
    together = (burnt[1:, 1:] & burnt[:-1, 1:] & burnt[1:, :-1]).mean()
    shares = [below[4], below[16], below[40], 1 - below[230], 1 - below[246], 1 - below[251], together]
    return np.array([*percentiles, mean, spread, *np.sqrt(np.clip(shares, 0, 1))])


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
