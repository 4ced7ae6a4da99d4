"""Houses along the streets, in the style of a town."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from worldfoundry.simulate.drive.ground import PAVEMENT_M, Road
from worldfoundry.simulate.drive.paint import FacadePaint
from worldfoundry.simulate.scenes.looks import hsv

_STYLES: dict[str, dict[str, Any]] = {
    "downtown": {
        "width": (14, 24),
        "depth": (13, 16),
        "floors": (4, 10),
        "setback": (0.0, 1.0),
        "gap": (0.0, 2.0),
    },
    "old town": {
        "width": (9, 16),
        "depth": (10, 13),
        "floors": (2, 5),
        "setback": (0.0, 0.5),
        "gap": (0.0, 3.0),
    },
    "suburb": {
        "width": (9, 14),
        "depth": (8, 11),
        "floors": (1, 3),
        "setback": (2.0, 6.0),
        "gap": (3.0, 9.0),
    },
}
_PITCHED = {"downtown": 0.0, "old town": 0.2, "suburb": 0.4}
"""Share of pitched roofs; a hull costs a ray several times what a box does."""
_BOTTOM_M = 0.3
"""How deep walls reach into the ground."""


@dataclass(frozen=True, slots=True)
class Building:
    """A box, with a pitched roof if ``ridge_m`` is above 0."""

    x: float
    y: float
    half_x: float
    half_y: float
    eaves_m: float
    ridge_m: float
    """Height of the ridge above the eaves."""
    paint: FacadePaint

    def corners(self) -> np.ndarray:
        """Corners [n, 3] of the convex hull in the world."""
        x, y = np.array([-1, 1]) * self.half_x, np.array([-1, 1]) * self.half_y
        rows = [(a, b, z) for a in x for b in y for z in (-_BOTTOM_M, self.eaves_m)]
        ends = [(a, 0, self.eaves_m + self.ridge_m) for a in x] if self.paint.ridge_along == 0 else None
        rows += ends or [(0, b, self.eaves_m + self.ridge_m) for b in y]
        return np.array(rows) + np.array([self.x, self.y, 0])


def draw_buildings(
    rng: np.random.Generator,
    along_y: tuple[Road, ...],
    along_x: tuple[Road, ...],
    *,
    ahead_m: float,
    aside_m: float,
    dusk: bool,
) -> tuple[Building, ...]:
    """Rows on both sides of the main street, and of the side street around the middle crossing."""
    name = str(rng.choice(list(_STYLES)))
    style = _STYLES[name]
    hue, lit = rng.uniform(), (rng.uniform(0.15, 0.4) if dusk else 0.0)
    main, cross = along_y[1], along_x[1]
    mouths = [road.at_m for road in along_x]
    deep = style["depth"][1] + style["setback"][1]
    out: list[Building] = []
    for side in (-1, 1):
        for start, end in zip([mouths[0] - 40, *mouths], [*mouths, ahead_m], strict=True):
            margin = cross.half_m + PAVEMENT_M
            lots = _lots(rng, style, max(start + margin, -95.0), min(end - margin, ahead_m))
            out += [_house(rng, name, lot, side, main, along=1, hue=hue, lit=lit) for lot in lots]
        for away in (-1, 1):
            begin = main.half_m + PAVEMENT_M + deep + 2
            for low, high in _lots(rng, style, begin, aside_m):
                lot = (low, high) if away > 0 else (-high, -low)
                out.append(_house(rng, name, lot, side, cross, along=0, hue=hue, lit=lit))
    return tuple(out)


def _lots(
    rng: np.random.Generator, style: dict[str, Any], start: float, end: float
) -> list[tuple[float, float]]:
    """Intervals along a street; one in eight stays empty."""
    lots, at = [], start + rng.uniform(0, 2)
    while True:
        width = rng.uniform(*style["width"])
        if at + width > end:
            return lots
        if rng.uniform() > 0.12:
            lots.append((at, at + width))
        at += width + rng.uniform(*style["gap"])


def _house(
    rng: np.random.Generator,
    style_name: str,
    lot: tuple[float, float],
    side: int,
    road: Road,
    *,
    along: int,
    hue: float,
    lit: float,
) -> Building:
    """One house on a lot; ``along`` is the axis of its street."""
    style = _STYLES[style_name]
    width, depth = (lot[1] - lot[0]) / 2, rng.uniform(*style["depth"]) / 2
    off = side * (road.half_m + PAVEMENT_M + rng.uniform(*style["setback"]) + depth)
    middle = (lot[0] + lot[1]) / 2
    x, y, half_x, half_y = (off, middle, depth, width) if along == 1 else (middle, off, width, depth)
    storey = rng.uniform(2.9, 3.5)
    eaves = storey * rng.integers(style["floors"][0], style["floors"][1] + 1) + rng.uniform(0.8, 1.4)
    pitched = rng.uniform() < _PITCHED[style_name]
    paint = FacadePaint(
        colour=_wall_colour(rng, style_name, hue),
        accent=hsv(rng.uniform(), rng.uniform(0.1, 0.7), rng.uniform(0.3, 0.9)),
        centre_m=(x, y),
        half_m=(half_x, half_y),
        eaves_m=eaves,
        ridge_along=along,
        roof=hsv(rng.uniform(0.0, 0.07), rng.uniform(0.2, 0.65), rng.uniform(0.3, 0.6))
        if pitched
        else (0.4, 0.4, 0.4),
        window_m=(rng.uniform(2.0, 3.4), storey),
        glass_share=(rng.uniform(0.4, 0.6), rng.uniform(0.45, 0.6))
        if style_name != "downtown" or rng.uniform() < 0.6
        else (rng.uniform(0.8, 0.97), rng.uniform(0.55, 0.8)),
        shop=bool(style_name != "suburb" and rng.uniform() < 0.55),
        lit_share=lit,
        seed=int(rng.integers(1 << 20)),
    )
    return Building(x, y, half_x, half_y, eaves, rng.uniform(1.8, 3.4) if pitched else 0.0, paint)


def _wall_colour(rng: np.random.Generator, style_name: str, hue: float):
    if style_name == "downtown":
        return hsv(hue + rng.uniform(-0.15, 0.15), rng.uniform(0.03, 0.25), rng.uniform(0.4, 0.8))
    if rng.uniform() < 0.3:  # bricks
        return hsv(rng.uniform(0.0, 0.05), rng.uniform(0.4, 0.6), rng.uniform(0.45, 0.65))
    return hsv(
        rng.uniform(0.02, 0.16) if rng.uniform() < 0.7 else rng.uniform(),
        rng.uniform(0.08, 0.4),
        rng.uniform(0.65, 0.92),
    )
