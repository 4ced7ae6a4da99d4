"""Land out of doors, drawn from a seed: a meadow, a village, a park, a farm or a rocky heath."""

from collections.abc import Callable

import numpy as np

from worldfoundry.simulate.places import landscape
from worldfoundry.simulate.places import materials as look
from worldfoundry.simulate.places.layout import FloorPlan, rectangle
from worldfoundry.simulate.places.pieces import Ground, Part, Piece, named
from worldfoundry.simulate.places.place import Place, Zone
from worldfoundry.simulate.recording import Light
from worldfoundry.simulate.scenes.looks import Surface, hsv

_HALF_M = 17.0
_TRIES = 30
Maker = Callable[[np.random.Generator], Piece]
_KINDS: dict[str, tuple[tuple[Maker, int, int], ...]] = {
    "meadow": (
        (landscape.tree, 5, 8),
        (landscape.bush, 3, 6),
        (landscape.rock, 3, 6),
        (landscape.fence, 1, 3),
        (landscape.house, 1, 1),
    ),
    "village": (
        (landscape.house, 4, 6),
        (landscape.tree, 3, 5),
        (landscape.fence, 2, 4),
        (landscape.street_lamp, 1, 3),
        (landscape.well, 0, 1),
        (landscape.bench, 0, 2),
    ),
    "park": (
        (landscape.tree, 5, 8),
        (landscape.conifer, 1, 3),
        (landscape.bench, 2, 4),
        (landscape.street_lamp, 2, 4),
        (landscape.bush, 3, 6),
        (landscape.toy, 1, 3),
    ),
    "farm": (
        (landscape.house, 2, 3),
        (landscape.hay_bale, 3, 7),
        (landscape.fence, 3, 5),
        (landscape.tree, 2, 5),
        (landscape.well, 0, 1),
        (landscape.toy, 0, 1),
    ),
    "rocky heath": (
        (landscape.rock, 8, 12),
        (landscape.conifer, 4, 8),
        (landscape.bush, 2, 5),
        (landscape.house, 0, 1),
    ),
}


def draw_outdoor(rng: np.random.Generator) -> Place:
    """A stretch of land."""
    kind = look.pick(rng, tuple(_KINDS))
    plan, ground = FloorPlan(half=(_HALF_M, _HALF_M)), Ground()
    azimuth, elevation = rng.uniform(-np.pi, np.pi), rng.uniform(0.45, 1.1)
    flat = np.cos(elevation)
    sun = np.array([np.cos(azimuth) * flat, np.sin(azimuth) * flat, np.sin(elevation)])
    _lay_ground(rng, ground, plan, kind)
    made = [maker(rng) for maker, low, high in _KINDS[kind] for _ in range(int(rng.integers(low, high + 1)))]
    # Big things first: they need the most room.
    made.sort(key=lambda piece: -piece.half[0] * piece.half[1])
    for piece in made:
        _stand(rng, plan, piece)
    things = named(plan.pieces)
    hue = rng.uniform(0.54, 0.61)
    sky = (hsv(hue, rng.uniform(0.08, 0.22), 0.96), hsv(hue, rng.uniform(0.4, 0.62), rng.uniform(0.75, 0.92)))
    near = sorted(things, key=lambda t: float((t.at * t.at).sum()))
    return Place(
        kind=kind,
        ground=ground,
        things=things,
        light=Light(sun=sun, sky=sky, distance_m=400.0, clouds_seed=look.seed_of(rng)),
        zone=Zone(low=np.array([-11.0, -11, 0.7]), high=np.array([11.0, 11, 4.0]), scale=3.0),
        subjects=tuple(near[:6]),
    )


def _stand(rng: np.random.Generator, plan: FloorPlan, piece: Piece) -> None:
    """Stand a piece somewhere, the nearer to the middle the smaller it is; leave it out where nothing fits."""
    size = float(np.hypot(*piece.half))
    for _ in range(_TRIES):
        yaw, bearing = rng.uniform(-np.pi, np.pi), rng.uniform(-np.pi, np.pi)
        away = rng.uniform(min(1.6 * size, 6.0), 6.0 + 3.0 * min(size, 3.0))
        at = np.array([away * np.cos(bearing), away * np.sin(bearing), 0.0])
        rect = rectangle(piece.half, at, yaw)
        if plan.fits(rect + 0.3 * np.array([-1, -1, 1, 1])):
            plan.put(piece, at, yaw)
            return


def _lay_ground(rng: np.random.Generator, ground: Ground, plan: FloorPlan, kind: str) -> None:
    """Grass or heath with a path, low mounds near and hills far away."""
    hue = {"rocky heath": rng.uniform(0.1, 0.17), "farm": rng.uniform(0.15, 0.26)}.get(
        kind, rng.uniform(0.2, 0.3)
    )
    grass = hsv(hue, rng.uniform(0.4, 0.65), rng.uniform(0.5, 0.66))
    dirt = look.pick(rng, ((0.72, 0.6, 0.44), (0.62, 0.58, 0.54), (0.8, 0.74, 0.62)))
    surface = Surface(
        colour=grass, accent=dirt, pattern="meadow", scale_m=rng.uniform(0.7, 1.3), seed=look.seed_of(rng)
    )
    turn = rng.uniform(-np.pi, np.pi)
    ground.parts.append(Part(shape="plane", at=(0, 0, 0), size=(0, 0, 1), surface=surface, yaw_rad=turn))
    for _ in range(int(rng.integers(2, 5))):
        _raise_mound(rng, ground, plan, grass)
    for k in range(int(rng.integers(5, 8))):
        bearing, away = 2 * np.pi * (k + rng.uniform(-0.3, 0.3)) / 6, rng.uniform(60, 90)
        tone = hsv(hue + rng.uniform(0, 0.08), rng.uniform(0.3, 0.5), rng.uniform(0.4, 0.6))
        half = (rng.uniform(22, 40), rng.uniform(22, 40), rng.uniform(7, 18))
        at = (away * float(np.cos(bearing)), away * float(np.sin(bearing)), -1.0)
        ground.parts.append(
            Part(shape="ellipsoid", at=at, size=half, surface=look.speckle(rng, tone, scale_m=9.0))
        )


def _raise_mound(
    rng: np.random.Generator, ground: Ground, plan: FloorPlan, grass: tuple[float, float, float]
) -> None:
    """A grassy mound: the top of an ellipsoid whose middle is below the ground; nothing stands on it."""
    wide, high = rng.uniform(2.0, 4.0), rng.uniform(0.4, 1.0)
    bearing, away = rng.uniform(-np.pi, np.pi), rng.uniform(7, 15)
    at = np.array([away * np.cos(bearing), away * np.sin(bearing), 0.0])
    half = (wide, wide * rng.uniform(0.7, 1.0), high)
    rect = rectangle((half[0], half[0]), at, 0.0)
    if plan.fits(rect):
        surface = look.speckle(rng, look.shade(grass, rng.uniform(0.9, 1.05)), scale_m=1.2, contrast=0.25)
        part = Part(shape="ellipsoid", at=(float(at[0]), float(at[1]), 0.0), size=half, surface=surface)
        ground.parts.append(part)
        plan.taken.append(rect)
