"""Colours of surfaces: linear inside, displayed with a square root (exact on every machine, near the sRGB curve)."""

import numpy as np

from worldfoundry.simulate.scenes.looks import Surface


def albedo_of(surface: Surface, local: np.ndarray) -> np.ndarray:
    """Linear colour [n, 3] at points in the geom's own axes."""
    colour, accent = linear(surface.colour), linear(surface.accent)
    if surface.pattern == "plain" or surface.scale_m <= 0:
        return np.broadcast_to(colour, (len(local), 3))
    if surface.pattern == "stripe":
        mix = np.clip((surface.scale_m / 2 - np.abs(local[:, 0])) / (0.12 * surface.scale_m) + 0.5, 0, 1)
    elif surface.pattern == "checker":
        waves = np.sin(local[:, :2] * (np.pi / surface.scale_m) + surface.seed % 7)
        mix = np.clip(0.5 + 2.2 * waves[:, 0] * waves[:, 1], 0, 1)
    else:
        rng = np.random.default_rng(surface.seed)
        mix = np.full(len(local), 0.5)
        for _ in range(5):
            wave = rng.standard_normal(3)
            wave *= 2 * np.pi / surface.scale_m * rng.uniform(0.5, 1.2) / np.sqrt((wave * wave).sum())
            phase = local[:, 0] * wave[0] + local[:, 1] * wave[1] + local[:, 2] * wave[2]
            mix += 0.2 * np.sin(phase + rng.uniform(0, 2 * np.pi))
        mix = np.clip(mix, 0, 1)
    return colour + mix[:, None] * (accent - colour)


def linear(colour: tuple[float, float, float]) -> np.ndarray:
    """Linear light of a displayed colour."""
    return np.square(np.array(colour))


def average(samples: np.ndarray) -> np.ndarray:
    """Mean of the four samples [4, n, 3], in one fixed order."""
    return ((samples[0] + samples[1]) + (samples[2] + samples[3])) * np.float32(0.25)


def displayed(colour: np.ndarray) -> np.ndarray:
    """uint8 as displayed."""
    return (np.sqrt(np.clip(colour, 0, 1)) * 255 + np.float32(0.5)).astype(np.uint8)


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector at length one."""
    return vector / np.sqrt((vector * vector).sum())
