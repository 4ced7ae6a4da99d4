"""Colours, patterns, camera and sun of the scenes; colours are RGB in 0..1 as displayed."""

import colorsys
from dataclasses import dataclass
from typing import Literal

import numpy as np

Colour = tuple[float, float, float]
"""RGB in 0..1."""
Pattern = Literal[
    "plain",
    "clouds",
    "checker",
    "stripe",
    "wood",
    "planks",
    "tiles",
    "bricks",
    "stripes",
    "speckle",
    "meadow",
    "window",
    "books",
    "picture",
    "glow",
]
"""How colour and accent are laid out; ``render/patterns.py`` and ``render/shading.py`` draw them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """How one geom looks."""

    colour: Colour
    """Main colour."""
    accent: Colour
    """Second colour of the pattern."""
    pattern: Pattern = "plain"
    """``clouds`` and ``checker`` vary over ``scale_m``; ``stripe`` is a belt of that width around the local x axis."""
    scale_m: float = 1.0
    """Size of the pattern."""
    gloss: float = 0.0
    """Strength of the highlight."""
    seed: int = 0
    """Chooses the clouds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaintedSurface(Surface):
    """A surface that knows its colour at each point; renderers of plain colours show ``colour``."""

    def paint(self, points: np.ndarray, blur_m: np.ndarray) -> np.ndarray:
        """Linear colours [n, 3] at points [n, 3] in the axes of the geom's body (those of the world, if it has none).

        ``blur_m`` [n] is about what one pixel covers there: finer detail must fade, or it flickers.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Where the camera and the sun are."""

    eye: np.ndarray
    """float64 [3], camera position."""
    target: np.ndarray
    """float64 [3], the point in the middle of the picture."""
    fov_rad: float
    """Field of view along the shorter side of the picture."""
    sun: np.ndarray
    """float64 [3], unit vector towards the sun."""
    sky: tuple[Colour, Colour]
    """Colour at the horizon and above."""


def make_view(
    rng: np.random.Generator,
    *,
    target: tuple[float, float, float],
    distance_m: float,
    azimuth_rad: float,
    elevation_rad: tuple[float, float],
    least_azimuth_rad: float = 0.0,
) -> View:
    """Camera in front of the action and sun over the camera's shoulder, both varied a little."""
    azimuth = rng.choice([-1, 1]) * rng.uniform(least_azimuth_rad, azimuth_rad)
    elevation = rng.uniform(*elevation_rad)
    distance = distance_m * rng.uniform(0.96, 1.06)
    at = np.array(target) + rng.uniform(-0.06, 0.06, 3)
    back = np.array(
        [np.sin(azimuth) * np.cos(elevation), -np.cos(azimuth) * np.cos(elevation), np.sin(elevation)]
    )
    sun_azimuth, sun_elevation = rng.choice([-1, 1]) * rng.uniform(0.5, 1.0), rng.uniform(0.85, 1.15)
    sun = [
        np.sin(sun_azimuth) * np.cos(sun_elevation),
        -np.cos(sun_azimuth) * np.cos(sun_elevation),
        np.sin(sun_elevation),
    ]
    hue = rng.uniform(0.53, 0.62)
    return View(
        eye=at + distance * back,
        target=at,
        fov_rad=np.radians(35),
        sun=np.array(sun),
        sky=(
            hsv(hue, rng.uniform(0.08, 0.2), 0.95),
            hsv(hue, rng.uniform(0.35, 0.5), rng.uniform(0.75, 0.9)),
        ),
    )


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Colour of a hue (turns), a saturation and a value."""
    return colorsys.hsv_to_rgb(hue % 1, min(saturation, 1.0), min(value, 1.0))


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    """``share`` of the second colour, the rest of the first."""
    r, g, b = ((1 - share) * a + share * c for a, c in zip(first, second, strict=True))
    return r, g, b


def saturated(colour: Colour) -> Colour:
    """The same hue, strong enough to stand out from the floor."""
    hue, saturation, value = colorsys.rgb_to_hsv(*colour)
    return hsv(hue, max(saturation, 0.75), max(value, 0.85))


def rgba(colour: Colour) -> str:
    """Colour attribute of a geom."""
    return f'rgba="{numbers(np.array(colour))} 1"'


def numbers(values: np.ndarray) -> str:
    """Numbers for an XML attribute, to the micrometre or microradian."""
    return " ".join(f"{v:.6f}" for v in values)
