"""A town: two streets to drive on, more to look at, houses, trees, parked cars and traffic lights around a crossing at (0, 0)."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from worldfoundry.simulate.drive.buildings import Building, draw_buildings
from worldfoundry.simulate.drive.ground import PARKING_M, STOP_LINE_M, GroundPaint, Road
from worldfoundry.simulate.drive.vehicles import CAR, VAN, Kind, vehicle_colour
from worldfoundry.simulate.scenes.looks import Colour, hsv

_AHEAD_M = 130.0
_ASIDE_M = 85.0
_FREE_OF_PARKING_M = 13.0
_MOST_TREES = 16
_MOST_PARKED = 6


class Tree(NamedTuple):
    """A tree on a pavement."""

    x: float
    y: float
    trunk_m: float
    crown_m: tuple[float, float]
    """Radius across and up."""
    colour: Colour


class Parked(NamedTuple):
    """A parked vehicle, by its rear axle."""

    x: float
    y: float
    yaw: float
    kind: Kind
    colour: Colour


class Signal(NamedTuple):
    """A traffic light on its pole."""

    x: float
    y: float
    facing: tuple[float, float]
    is_red: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """Everything that stands still."""

    ground: GroundPaint
    main: Road
    """Along y at x = 0."""
    cross: Road
    """Along x at y = 0."""
    buildings: tuple[Building, ...]
    trees: tuple[Tree, ...]
    parked: tuple[Parked, ...]
    signals: tuple[Signal, ...]
    """Empty: who comes from the side street waits at the stop line."""

    @property
    def stop_main_m(self) -> float:
        """From the middle of the crossing back to where a front bumper on the main street must stay behind."""
        return self.cross.half_m + STOP_LINE_M + 0.8

    @property
    def stop_cross_m(self) -> float:
        """The same on the side street."""
        return self.main.half_m + STOP_LINE_M + 0.8

    def footprints(self) -> np.ndarray:
        """Rows for ``separation`` [n, 5] of buildings, trunks, parked vehicles and poles."""
        rows = [(b.x, b.y, 0.0, b.half_x, b.half_y) for b in self.buildings]
        rows += [(t.x, t.y, 0.0, 0.2, 0.2) for t in self.trees] + [
            (s.x, s.y, 0.0, 0.2, 0.2) for s in self.signals
        ]
        for p in self.parked:
            rows.append(tuple(p.kind.footprint(np.array([p.x, p.y]), np.array(p.yaw))))
        return np.array(rows, float).reshape(-1, 5)


def draw_town(rng: np.random.Generator, *, main_lanes: int, main_is_red: bool, dusk: bool) -> Town:
    """A town in one style; traffic lights stay as they are: the main street has red or green."""
    main, cross = Road(0.0, main_lanes), Road(0.0, 1)
    pitch = rng.uniform(74, 92, 2)
    along_y = (Road(-rng.uniform(85, 110), 1), main, Road(rng.uniform(85, 110), 1))
    along_x = (Road(-pitch[0], 1), cross, Road(pitch[1], 1))
    grey = rng.uniform(0.36, 0.52)
    warm = rng.uniform(-0.015, 0.015)
    ground = GroundPaint(
        colour=(grey + warm, grey, grey - warm),
        accent=hsv(rng.uniform(0.05, 0.12), rng.uniform(0, 0.12), rng.uniform(0.55, 0.72)),
        green=hsv(rng.uniform(0.2, 0.31), rng.uniform(0.3, 0.55), rng.uniform(0.38, 0.55)),
        centre_line=((0.9, 0.9, 0.88), (0.92, 0.72, 0.2))[rng.integers(2)],
        zebra=bool(rng.uniform() < 0.8),
        dash_m=rng.uniform(2.0, 3.5),
        seed=int(rng.integers(1 << 20)),
        along_y=along_y,
        along_x=along_x,
    )
    signals = _signals(main, cross, main_is_red) if main_is_red or rng.uniform() < 0.75 else ()
    return Town(
        ground=ground,
        main=main,
        cross=cross,
        buildings=draw_buildings(rng, along_y, along_x, ahead_m=_AHEAD_M, aside_m=_ASIDE_M, dusk=dusk),
        trees=_trees(rng, main, cross, along_x),
        parked=_parked(rng, main, cross, along_x),
        signals=signals,
    )


def _signals(main: Road, cross: Road, main_is_red: bool) -> tuple[Signal, ...]:
    """One for each arm of the crossing, on the right of those who come."""
    x, y = main.half_m + 0.7, cross.half_m + STOP_LINE_M - 1.0
    u, v = main.half_m + STOP_LINE_M - 1.0, cross.half_m + 0.7
    return (
        Signal(x, -y, (0.0, -1.0), main_is_red),
        Signal(-x, y, (0.0, 1.0), main_is_red),
        Signal(-u, -v, (-1.0, 0.0), not main_is_red),
        Signal(u, v, (1.0, 0.0), not main_is_red),
    )


def _free_of_crossings(along: float, roads: tuple[Road, ...], margin: float) -> bool:
    return all(abs(along - road.at_m) > road.half_m + margin for road in roads)


def _trees(rng: np.random.Generator, main: Road, cross: Road, along_x: tuple[Road, ...]) -> tuple[Tree, ...]:
    """Rows on the pavements of the two streets, with gaps; crowns hang higher than a bus."""
    density, hue = rng.uniform(0.1, 0.8), rng.uniform(0.2, 0.33)
    rows = [(main, side, along_x, rng.uniform(-75, -66), 90.0) for side in (-1, 1)]
    rows += [(cross, side, (main,), -55.0, 55.0) for side in (-1, 1)]
    trees = []
    for road, side, others, along, end in rows:
        while along < end:
            along += rng.uniform(8, 13)
            up, across = rng.uniform(1.3, 2.1), rng.uniform(1.1, 1.7)
            colour = hsv(hue + rng.uniform(-0.04, 0.03), rng.uniform(0.4, 0.75), rng.uniform(0.35, 0.6))
            trunk = rng.uniform(3.2, 3.9)
            if rng.uniform() < density and _free_of_crossings(along, others, 9.0):
                place = (side * (road.half_m + 1.0), along)
                x, y = place if road is main else place[::-1]
                trees.append(Tree(x, y, trunk, (across, up), colour))
    return _nearest_first(trees, _MOST_TREES)


def _parked(
    rng: np.random.Generator, main: Road, cross: Road, along_x: tuple[Road, ...]
) -> tuple[Parked, ...]:
    """Along the kerbs, with the traffic, away from crossings."""
    density = rng.uniform(0.1, 0.6)
    rows = [(main, side, along_x, -70.0, 80.0) for side in (-1, 1)]
    rows += [(cross, side, (main,), -45.0, 45.0) for side in (-1, 1)]
    parked = []
    for road, side, others, along, end in rows:
        while along < end:
            kind = CAR if rng.uniform() < 0.8 else VAN
            along += kind.length_m + rng.uniform(0.9, 3.0)
            colour, place = vehicle_colour(rng), side * (road.half_m - PARKING_M / 2 + 0.05)
            both_ends = (along - kind.length_m, along)
            free = all(_free_of_crossings(end_m, others, _FREE_OF_PARKING_M) for end_m in both_ends)
            if rng.uniform() > density or not free:
                continue
            # Right-hand traffic: on the main street up at x > 0, on the side street right at y < 0.
            forward = (side > 0) if road is main else (side < 0)
            axle = along - (kind.front_m if forward else kind.rear_m)
            yaw = (np.pi / 2 if forward else -np.pi / 2) if road is main else (0.0 if forward else np.pi)
            x, y = (place, axle) if road is main else (axle, place)
            parked.append(Parked(float(x), float(y), float(yaw), kind, colour))
    return _nearest_first(parked, _MOST_PARKED)


def _nearest_first(things: list, most: int) -> tuple:
    """The ones nearest to the crossing's near side, where the ego car is."""
    return tuple(sorted(things, key=lambda t: np.hypot(t.x, t.y + 15))[:most])
