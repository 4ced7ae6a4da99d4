"""What encloses a room: floor, ceiling, walls with windows, a door, skirting boards, and the lawn outside."""

import numpy as np

from worldfoundry.simulate.places import materials as look
from worldfoundry.simulate.places.layout import FloorPlan, rectangle
from worldfoundry.simulate.places.pieces import Ground, Length, Vector
from worldfoundry.simulate.scenes.looks import Surface, hsv

_WALL = 0.06
"""Half thickness of a wall."""
Span = tuple[Length, Length]
"""From and to, m."""


def build_shell(rng: np.random.Generator, ground: Ground, plan: FloorPlan, height: float) -> None:
    """Floor, ceiling, four walls, one or two windows, a door, skirting boards and the lawn outside."""
    x, y = plan.half
    surface, trim = look.wall(rng), look.white(rng)
    other = look.wall(rng) if rng.uniform() < 0.5 else surface
    ground.box((0, 0, -0.05), (x + 0.12, y + 0.12, 0.05), look.floor(rng))
    ceiling = hsv(0.12, 0.04, 0.96)
    ground.box((0, 0, height + 0.05), (x + 0.12, y + 0.12, 0.05), Surface(colour=ceiling, accent=ceiling))
    lawn = look.speckle(rng, hsv(rng.uniform(0.22, 0.33), 0.5, 0.55), scale_m=1.5)
    ground.box((0, 0, -0.55), (40, 40, 0.1), lawn)
    order = rng.permutation(4)
    with_window, door = order[: int(rng.integers(1, 3))], order[3]
    for wall in range(4):
        paper = other if wall == order[0] else surface
        _build_wall(rng, ground, plan, wall, height, paper, trim, window=bool(wall in with_window))
    _hang_door(rng, ground, plan, int(door), trim)


def wall_box(
    plan: FloorPlan,
    wall: int,
    span: Span,
    z: Span,
    depth: Span,
) -> tuple[Vector, Vector]:
    """Centre and half sizes of a box in a wall: along it, up, and from its inner face outwards."""
    x, y = plan.half
    along, up, out = sum(span) / 2, sum(z) / 2, sum(depth) / 2
    long, deep, high = (span[1] - span[0]) / 2, (depth[1] - depth[0]) / 2, (z[1] - z[0]) / 2
    sign = 1 if wall < 2 else -1
    if wall % 2 == 0:
        return (along, sign * (y + out), up), (long, deep, high)
    return (sign * (x + out), along, up), (deep, long, high)


def _build_wall(
    rng: np.random.Generator,
    ground: Ground,
    plan: FloorPlan,
    wall: int,
    height: float,
    paper: Surface,
    trim: Surface,
    *,
    window: bool,
) -> None:
    """One wall, with or without a window, and its skirting board."""
    reach = plan.half[0] if wall % 2 == 0 else plan.half[1]
    end, thick = reach + (2 * _WALL if wall % 2 == 0 else 0), (0.0, 2 * _WALL)
    if not window:
        ground.box(*wall_box(plan, wall, (-end, end), (0, height), thick), paper)
    else:
        w, middle = rng.uniform(0.5, 0.9), rng.uniform(-0.35, 0.35) * reach
        sill, lintel = rng.uniform(0.85, 1.0), rng.uniform(2.0, 2.2)
        left, right = middle - w, middle + w
        for span, z in (
            ((-end, left), (0, height)),
            ((right, end), (0, height)),
            ((left, right), (0, sill)),
            ((left, right), (lintel, height)),
        ):
            ground.box(*wall_box(plan, wall, span, z, thick), paper)
        bar, frame = 0.025, (0.03, 0.08)
        ground.box(*wall_box(plan, wall, (middle - bar, middle + bar), (sill, lintel), frame), trim)
        middle_z = sill + (lintel - sill) * 0.66
        ground.box(*wall_box(plan, wall, (left, right), (middle_z - bar, middle_z + bar), frame), trim)
        ground.box(*wall_box(plan, wall, (left - 0.06, right + 0.06), (sill - 0.03, sill), (-0.08, 0)), trim)
        at, half = wall_box(plan, wall, (left - 0.1, right + 0.1), (0, 1), (-0.6, 0))
        plan.low_only.append(rectangle(half[:2], np.array(at), 0.0))
    skirting = wall_box(plan, wall, (-reach, reach), (0, 0.07), (-0.012, 0))
    ground.box(*skirting, trim)


def _hang_door(rng: np.random.Generator, ground: Ground, plan: FloorPlan, wall: int, trim: Surface) -> None:
    """A closed door in front of a wall, and free floor before it."""
    reach = (plan.half[0] if wall % 2 == 0 else plan.half[1]) - 0.6
    at = rng.uniform(-reach, reach)
    leaf = look.wood(rng) if rng.uniform() < 0.5 else look.paint(rng)
    ground.box(*wall_box(plan, wall, (at - 0.5, at + 0.5), (0, 2.08), (-0.02, 0)), trim)
    ground.box(*wall_box(plan, wall, (at - 0.43, at + 0.43), (0.005, 2.02), (-0.045, -0.02)), leaf)
    ground.box(*wall_box(plan, wall, (at + 0.3, at + 0.4), (1.0, 1.03), (-0.085, -0.045)), look.metal(rng))
    free, half = wall_box(plan, wall, (at - 0.5, at + 0.5), (0, 1), (-0.8, 0))
    plan.taken.append(rectangle(half[:2], np.array(free), 0.0))
