"""Colours of surfaces: linear inside, displayed with a square root (exact on every machine, near the sRGB curve)."""

import numpy as np

from worldfoundry.simulate.recording import Light
from worldfoundry.simulate.render.patterns import PATTERNS
from worldfoundry.simulate.scenes.looks import Colour, Surface


def albedo_of(surface: Surface, local: np.ndarray, blur: np.ndarray) -> np.ndarray:
    """Linear colour [n, 3] at points in the geom's own axes; ``blur`` [n] is the width of a pixel there (m)."""
    colour, accent = linear(surface.colour), linear(surface.accent)
    if surface.pattern in PATTERNS:
        return PATTERNS[surface.pattern](surface, local, blur, colour, accent)
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


def linear(colour: Colour) -> np.ndarray:
    """Linear light of a displayed colour."""
    return np.square(np.array(colour))


def average(samples: np.ndarray) -> np.ndarray:
    """Mean of the four samples [4, n, 3], in one fixed order."""
    return ((samples[0] + samples[1]) + (samples[2] + samples[3])) * np.float32(0.25)


def displayed(colour: np.ndarray) -> np.ndarray:
    """uint8 as displayed."""
    return (np.sqrt(np.clip(colour, 0, 1)) * 255 + np.float32(0.5)).astype(np.uint8)


def dots(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Scalar products [n] of vectors [n, 3]; ``second`` may be one vector [3]. Much faster than a sum along the axis."""
    return first[:, 0] * second[..., 0] + first[:, 1] * second[..., 1] + first[:, 2] * second[..., 2]


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector at length one."""
    return vector / np.sqrt((vector * vector).sum())


def sky_colour(light: Light, rays: np.ndarray) -> np.ndarray:
    """Linear colour, float32 [n, 3], of the sky along unit rays [n, 3]: paler at the horizon, with clouds if it has any."""
    up = np.clip(rays[:, 2:] * 2.5, 0, 1)
    sky = (1 - up) * linear(light.sky[0]) + up * linear(light.sky[1])
    if light.clouds_seed is not None:
        sky += _clouds(light.clouds_seed, rays)[:, None] * (0.97 - sky)
    return sky.astype(np.float32)


def _clouds(seed: int, rays: np.ndarray) -> np.ndarray:
    """How much [n] of each ray ends in a cloud: noise on a flat layer far above."""
    rng = np.random.default_rng(seed)
    layer = rays[:, :2] / (np.clip(rays[:, 2:], 0, 1) + 0.12)
    noise, wavelength = np.zeros(len(rays)), 2.4
    for octave in range(4):
        for _ in range(3):
            wave = rng.standard_normal(2)
            wave *= 2 * np.pi / (wavelength * np.sqrt((wave * wave).sum()))
            noise += 0.62**octave * np.sin(layer @ wave + rng.uniform(0, 2 * np.pi))
        wavelength *= 0.48
    cover = rng.uniform(0.1, 0.9)
    return np.clip(0.45 * noise - cover, 0, 1) * np.clip(rays[:, 2] * 8, 0, 1) * 0.85
