"""Looks of materials, drawn from a seed."""

from collections.abc import Sequence

import numpy as np

from worldfoundry.simulate.scenes.looks import Colour, Surface, hsv, mixed

_WOODS: tuple[Colour, ...] = (
    (0.80, 0.62, 0.42),
    (0.66, 0.45, 0.27),
    (0.50, 0.31, 0.18),
    (0.36, 0.22, 0.14),
    (0.86, 0.76, 0.62),
)
_HUES = (0.0, 0.03, 0.08, 0.13, 0.3, 0.38, 0.48, 0.56, 0.62, 0.74, 0.8, 0.92)


def pick(rng: np.random.Generator, choices: Sequence):
    """One of ``choices``, all equally likely."""
    return choices[int(rng.integers(len(choices)))]


def seed_of(rng: np.random.Generator) -> int:
    """Seed of a pattern."""
    return int(rng.integers(1 << 31))


def shade(colour: Colour, factor: float) -> Colour:
    """The same colour, darker (below 1) or brighter."""
    r, g, b = (min(c * factor, 1.0) for c in colour)
    return r, g, b


def vivid(rng: np.random.Generator) -> Colour:
    """A colour that has a name."""
    return hsv(pick(rng, _HUES), rng.uniform(0.6, 0.9), rng.uniform(0.65, 0.95))


def pastel(rng: np.random.Generator) -> Colour:
    """A light colour for large surfaces."""
    return hsv(rng.uniform(), rng.uniform(0.04, 0.32), rng.uniform(0.78, 0.95))


def wood(rng: np.random.Generator) -> Surface:
    """Wood with grain along the local x axis."""
    colour = pick(rng, _WOODS)
    return Surface(
        colour=colour,
        accent=shade(colour, 0.8),
        pattern="wood",
        scale_m=rng.uniform(0.08, 0.16),
        gloss=rng.uniform(0, 0.15),
        seed=seed_of(rng),
    )


def fabric(rng: np.random.Generator, colour: Colour | None = None) -> Surface:
    """Cloth: clouded, striped or checked."""
    colour = colour or vivid(rng)
    pattern = pick(rng, ("clouds", "clouds", "stripes", "checker"))
    scales = {"clouds": (0.15, 0.4), "stripes": (0.1, 0.25), "checker": (0.1, 0.2)}
    share = rng.uniform(0.15, 0.3) if pattern != "clouds" else 0.2
    other = pick(rng, ((0.97, 0.95, 0.9), (0.1, 0.1, 0.12)))
    return Surface(
        colour=colour,
        accent=mixed(colour, other, share),
        pattern=pattern,
        scale_m=rng.uniform(*scales[pattern]),
        seed=seed_of(rng),
    )


def paint(rng: np.random.Generator, colour: Colour | None = None) -> Surface:
    """A painted surface of one colour."""
    colour = colour or vivid(rng)
    return Surface(colour=colour, accent=colour, gloss=rng.uniform(0.05, 0.3))


def metal(rng: np.random.Generator) -> Surface:
    """Bare or dark metal."""
    value = pick(rng, (0.18, 0.3, 0.68))
    colour = hsv(0.6, 0.05, value)
    return Surface(colour=colour, accent=colour, gloss=0.35)


def speckle(rng: np.random.Generator, colour: Colour, *, scale_m: float, contrast: float = 0.4) -> Surface:
    """Leaves, grass, stone: one colour in many tones."""
    return Surface(
        colour=shade(colour, 1 + contrast / 2),
        accent=shade(colour, 1 - contrast),
        pattern="speckle",
        scale_m=scale_m,
        seed=seed_of(rng),
    )


def leaves(rng: np.random.Generator) -> Surface:
    """Foliage."""
    return speckle(
        rng, hsv(rng.uniform(0.2, 0.36), rng.uniform(0.45, 0.75), rng.uniform(0.4, 0.65)), scale_m=0.5
    )


def white(rng: np.random.Generator) -> Surface:
    """White lacquer."""
    return paint(rng, hsv(0.12, rng.uniform(0, 0.08), rng.uniform(0.9, 0.97)))


def wall(rng: np.random.Generator) -> Surface:
    """Plaster, wallpaper or bricks of a room."""
    colour = pastel(rng)
    pattern = pick(rng, ("clouds", "clouds", "stripes", "bricks", "checker"))
    if pattern == "bricks":
        colour = mixed(pick(rng, ((0.72, 0.42, 0.33), (0.9, 0.88, 0.84), (0.6, 0.5, 0.45))), colour, 0.3)
    scales = {"clouds": (1.0, 2.5), "stripes": (0.25, 0.6), "bricks": (0.24, 0.3), "checker": (0.2, 0.4)}
    accents = {"clouds": 0.85, "stripes": 0.88, "bricks": 1.15, "checker": 0.92}
    return Surface(
        colour=colour,
        accent=shade(colour, accents[pattern]),
        pattern=pattern,
        scale_m=rng.uniform(*scales[pattern]),
        seed=seed_of(rng),
    )


def floor(rng: np.random.Generator) -> Surface:
    """Planks, tiles or carpet."""
    pattern = pick(rng, ("planks", "planks", "tiles", "speckle"))
    if pattern == "planks":
        colour = pick(rng, _WOODS)
        return Surface(
            colour=colour,
            accent=shade(colour, 0.7),
            pattern=pattern,
            scale_m=rng.uniform(0.14, 0.24),
            gloss=0.08,
            seed=seed_of(rng),
        )
    colour = pastel(rng) if pattern == "tiles" else shade(pastel(rng), rng.uniform(0.6, 0.9))
    scale = rng.uniform(0.3, 0.6) if pattern == "tiles" else rng.uniform(0.5, 0.9)
    return Surface(
        colour=colour,
        accent=shade(colour, 0.72),
        pattern=pattern,
        scale_m=scale,
        gloss=0.05,
        seed=seed_of(rng),
    )


def picture(rng: np.random.Generator, half_width_m: float) -> Surface:
    """A painted landscape with a frame, ``half_width_m`` along the local x axis."""
    return Surface(
        colour=vivid(rng), accent=vivid(rng), pattern="picture", scale_m=half_width_m, seed=seed_of(rng)
    )


def books(rng: np.random.Generator) -> Surface:
    """Backs of books side by side along the local x axis."""
    return Surface(
        colour=vivid(rng),
        accent=vivid(rng),
        pattern="books",
        scale_m=rng.uniform(0.03, 0.05),
        seed=seed_of(rng),
    )
