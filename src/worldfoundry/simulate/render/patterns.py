"""Patterns of materials: wood, planks, tiles, bricks, windows, books, pictures, speckle and meadows.

A pattern is a function of the point in the geom's own axes, so it needs no texture and is the same on every machine. Each
fades where one pixel covers more than its detail (``blur_m``), which a moving camera would show as flicker.
On upright walls x + y runs along the wall, whichever way it faces.
"""

import functools
from collections.abc import Callable

import numpy as np

from worldfoundry.simulate.noise import noise_of
from worldfoundry.simulate.scenes.looks import Surface

Pattern = Callable[[Surface, np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Surface, points [n, 3], blur [n] (m), linear colour and accent [3] to linear colour [n, 3]."""


@functools.lru_cache(maxsize=4096)
def _waves(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Directions [count, 3] with lengths about 1, and phases [count]."""
    rng = np.random.default_rng(seed)
    directions = rng.standard_normal((count, 3))
    directions *= rng.uniform(0.6, 1.2, (count, 1)) / np.sqrt((directions * directions).sum(1, keepdims=True))
    return directions.astype(np.float32), rng.uniform(0, 2 * np.pi, count).astype(np.float32)


def _fade(blur: np.ndarray, detail_m: float) -> np.ndarray:
    """1 where a pixel is much smaller than the detail, 0 where it is larger."""
    return np.clip(1.5 - 1.5 * blur / detail_m, 0, 1)


def _lines(position: np.ndarray, width: float, blur: np.ndarray, period: float) -> np.ndarray:
    """How much [n] of a joint of ``width`` (in periods) each point shows; wide pixels see a share of it."""
    away = np.abs(position - np.floor(position + 0.5))
    soft = width / 2 + 0.5 * blur / period
    return np.clip((soft - away) / (0.25 * width + 0.5 * blur / period), 0, 1) * np.minimum(
        width / (2 * soft), 1
    )


def _mixed(colour: np.ndarray, accent: np.ndarray, share: np.ndarray) -> np.ndarray:
    return colour + share[:, None] * (accent - colour)


def _ripples(surface: Surface, local: np.ndarray, blur: np.ndarray, octaves: int) -> np.ndarray:
    """Smooth noise [n] about 0 with detail down to ``scale_m / 2.6 ** octaves``."""
    out, scale = np.zeros(len(local), np.float32), surface.scale_m
    points = local.astype(np.float32)
    for octave in range(octaves):
        directions, phases = _waves(surface.seed + octave, 4)
        waves = np.sin(points @ (directions.T * np.float32(2 * np.pi / scale)) + phases).sum(1)
        out += waves * _fade(blur, scale / 2).astype(np.float32) * np.float32(0.25 * 0.8**octave)
        scale /= 2.6
    return out


def _speckle(surface: Surface, local: np.ndarray, blur: np.ndarray, colour: np.ndarray, accent: np.ndarray):
    return _mixed(colour, accent, np.clip(0.5 + 0.55 * _ripples(surface, local, blur, 3), 0, 1))


def _meadow(surface: Surface, local: np.ndarray, blur: np.ndarray, colour: np.ndarray, accent: np.ndarray):
    """Grass with tufts, and a winding path of the accent's colour, ``scale_m`` wide to each side, along x."""
    a, b = 2 * np.pi * noise_of(np.array([1.0, 2.0]), seed=surface.seed)
    x, y = local[:, 0], local[:, 1]
    away = np.abs(y - 1.4 * np.sin(0.21 * x + a) - 0.7 * np.sin(0.47 * x + b))
    rough = _ripples(surface, local, blur, 4)
    path = np.clip((surface.scale_m + 0.25 * rough - away) / 0.3 + 0.5, 0, 1)
    return _mixed(colour, accent, path) * (1 + 0.36 * rough)[:, None]


def _wood(surface: Surface, local: np.ndarray, blur: np.ndarray, colour: np.ndarray, accent: np.ndarray):
    a = 6.3 * float(noise_of(np.array([3.0]), seed=surface.seed)[0])
    across = (local[:, 1] + 1.3 * local[:, 2]) / surface.scale_m
    rings = np.sin(2 * np.pi * across + 1.5 * np.sin(3.1 * local[:, 0] + a) + a)
    fine = np.sin(2 * np.pi * 3.7 * across + np.sin(5.3 * local[:, 0]))
    share = (
        0.5 + 0.32 * rings * _fade(blur, surface.scale_m) + 0.18 * fine * _fade(blur, surface.scale_m / 3.7)
    )
    return _mixed(colour, accent, share)


def _planks(surface: Surface, local: np.ndarray, blur: np.ndarray, colour: np.ndarray, accent: np.ndarray):
    width, length = surface.scale_m, surface.scale_m * 7
    across = (local[:, 1] + local[:, 2]) / width
    row = np.floor(across)
    along = local[:, 0] / length + noise_of(row, seed=surface.seed)
    tone = 0.5 + (noise_of(row, np.floor(along), seed=surface.seed + 1) - 0.5) * _fade(blur, width * 2)
    grain = _wood(surface, local * [1.0, 3.0, 3.0], blur * 3, np.zeros(3), np.ones(3))[:, 0]
    wood = _mixed(colour, accent, 0.1 + 0.5 * tone + 0.4 * (grain - 0.25))
    gaps = np.maximum(_lines(across, 0.05, blur, width), _lines(along, 0.05 * width / length, blur, length))
    return wood * (1 - 0.6 * gaps)[:, None]


def _tiles(surface: Surface, local: np.ndarray, blur: np.ndarray, colour: np.ndarray, accent: np.ndarray):
    u, v = local[:, 0] / surface.scale_m, (local[:, 1] + local[:, 2]) / surface.scale_m
    # Every second tile leans to the accent, and each has a tone of its own.
    odd = 0.5 + (np.mod(np.floor(u) + np.floor(v), 2) - 0.5) * _fade(blur, surface.scale_m)
    tone = (noise_of(np.floor(u), np.floor(v), seed=surface.seed) - 0.5) * _fade(blur, surface.scale_m)
    strong = 0.75 if surface.seed % 2 else 0.15
    base = _mixed(colour, accent, np.clip(strong * odd + 0.25 * tone, 0, 1))
    gaps = np.maximum(_lines(u, 0.03, blur, surface.scale_m), _lines(v, 0.03, blur, surface.scale_m))
    return base * (1 - 0.5 * gaps)[:, None]


def _bricks(surface: Surface, local: np.ndarray, blur: np.ndarray, colour: np.ndarray, accent: np.ndarray):
    """Bricks ``scale_m`` long; the accent is the mortar."""
    high = surface.scale_m / 2.6
    v = local[:, 2] / high
    row = np.floor(v)
    u = (local[:, 0] + local[:, 1]) / surface.scale_m + 0.5 * np.mod(row, 2)
    tone = (noise_of(row, np.floor(u), seed=surface.seed) - 0.5) * _fade(blur, high * 2)
    joints = np.maximum(_lines(v, 0.16, blur, high), _lines(u, 0.06, blur, surface.scale_m))
    return _mixed(colour * (1 + 0.5 * tone)[:, None], accent, 0.8 * joints)


def _stripes(surface: Surface, local: np.ndarray, blur: np.ndarray, colour: np.ndarray, accent: np.ndarray):
    wave = np.sin(2 * np.pi / surface.scale_m * (local[:, 0] + local[:, 1]) + surface.seed % 7)
    return _mixed(colour, accent, 0.5 + np.clip(3 * wave, -0.5, 0.5) * _fade(blur, surface.scale_m))


def _window(surface: Surface, local: np.ndarray, blur: np.ndarray, colour: np.ndarray, accent: np.ndarray):
    """Glass (accent) ``scale_m`` to each side of the middle, with a frame and a cross of the colour."""
    u, v = np.maximum(np.abs(local[:, 0]), np.abs(local[:, 1])), local[:, 2]
    # The thin axis of the pane is far smaller than the other, so the larger one runs along it.
    frame = np.clip((np.maximum(u, np.abs(v)) - 0.82 * surface.scale_m) / (blur + 1e-6) + 0.5, 0, 1)
    cross = np.clip((0.06 * surface.scale_m - np.minimum(u, np.abs(v))) / (blur + 1e-6) + 0.5, 0, 1)
    glass = accent * (1 + 0.9 * np.clip(v / surface.scale_m + u / surface.scale_m - 0.2, 0, 1))[:, None]
    return _mixed(glass, colour, np.maximum(frame, cross))


def _hue_colours(hue: np.ndarray, saturation: float, value: np.ndarray) -> np.ndarray:
    """Linear colours [n, 3] of hues in turns."""
    base = np.clip(np.abs(np.mod(hue[:, None] + [0, 2 / 3, 1 / 3], 1) * 6 - 3) - 1, 0, 1)
    return np.square((1 - saturation + saturation * base) * value[:, None])


def _books(surface: Surface, local: np.ndarray, blur: np.ndarray, colour: np.ndarray, accent: np.ndarray):
    """Book after book along x, each of a colour of its own with a band of the accent."""
    width = surface.scale_m
    u = local[:, 0] / width + 0.3 * np.sin(local[:, 0] / width * 1.9)
    book = np.floor(u)
    first, second = noise_of(book, seed=surface.seed), noise_of(book, seed=surface.seed + 1)
    backs = _hue_colours(first, 0.65, 0.35 + 0.5 * second)
    band = np.abs(local[:, 2] - 0.08 * (second - 0.3)) < 0.012
    backs = np.where(band[:, None], 0.6 * accent + 0.2, backs)
    fade = _fade(blur, width * 1.5)[:, None]
    mean = 0.22 + 0.1 * colour
    gaps = _lines(u, 0.12, blur, width)
    return (mean + (backs - mean) * fade) * (1 - 0.6 * gaps)[:, None]


def _picture(surface: Surface, local: np.ndarray, blur: np.ndarray, colour: np.ndarray, accent: np.ndarray):
    """A painted landscape: sky, a sun, two ranges of hills and a foreground."""
    x, z = local[:, 0] / surface.scale_m, local[:, 2] / surface.scale_m
    r = noise_of(np.arange(8.0), seed=surface.seed)
    sky = _mixed(np.sqrt(colour) * 0.3 + 0.6, accent, np.clip(0.4 - 0.6 * z, 0, 1))
    disc = (x - 1.2 * (r[0] - 0.5)) ** 2 + (z - 0.25 - 0.2 * r[1]) ** 2
    sun = np.clip((0.03 - disc) * surface.scale_m / (0.3 * blur + 1e-6) + 0.5, 0, 1)
    out = _mixed(sky, np.array([0.98, 0.85, 0.45]), sun)
    for k, (base, tone) in enumerate(((0.12, 0.75), (-0.08, 0.4))):
        ridge = (
            base
            + 0.1 * np.sin((4 + 3 * r[2 + k]) * x + 6.3 * r[4 + k])
            + 0.05 * np.sin(11 * x + 6.3 * r[6 + k])
        )
        out = np.where((z < ridge)[:, None], colour * tone + accent * (0.2 * k), out)
    return np.where((z < -0.25 + 0.04 * np.sin(5 * x + r[7]))[:, None], accent * 0.55, out)


def _glow(surface: Surface, local: np.ndarray, blur: np.ndarray, colour: np.ndarray, accent: np.ndarray):  # noqa: ARG001
    """Brighter than white paint, as a lamp is."""
    return np.broadcast_to(2.4 * colour, (len(local), 3))


PATTERNS: dict[str, Pattern] = {
    "wood": _wood,
    "planks": _planks,
    "tiles": _tiles,
    "bricks": _bricks,
    "stripes": _stripes,
    "speckle": _speckle,
    "meadow": _meadow,
    "window": _window,
    "books": _books,
    "picture": _picture,
    "glow": _glow,
}
"""Patterns by name; those of the physics scenes are in ``shading``."""
