"""A situation: a town, the ego car's manoeuvre and everybody else, drawn again until nobody comes too near to anything."""

from dataclasses import dataclass

import numpy as np

from worldfoundry.simulate.drive.boxes import separation
from worldfoundry.simulate.drive.ground import LANE_M
from worldfoundry.simulate.drive.routes import Route, shift_heading, turn_heading
from worldfoundry.simulate.drive.town import Town, draw_town
from worldfoundry.simulate.drive.traffic import Driver, Drives, let_drive
from worldfoundry.simulate.drive.vehicles import BUS, CAR, VAN, Kind, vehicle_colour
from worldfoundry.simulate.scenes.looks import Colour

VARIANTS = ("straight", "turn-left", "turn-right", "lane-change", "stop")
"""Manoeuvres of the ego car."""
WATCHED_SECONDS = 8.0
"""How long a situation is driven to see whether it is a good one."""
_MOST_DRAWS = 200
_LEAST_GAP_M = 0.35
_NORTH, _SOUTH, _EAST, _WEST = np.pi / 2, -np.pi / 2, 0.0, np.pi


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What stands and who drives; the ego car is the first driver."""

    variant: str
    town: Town
    drivers: tuple[Driver, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the ego car is about to do."""

    route: Route
    lane: int
    speed: float
    turn_speed: float
    direction: str
    stop_m: float
    queue: bool = False

    def wanted(self, place: float) -> float:
        """Slow on the bend, faster after it."""
        is_bend = self.route.heading is not None and self.turn_speed < self.speed + 1
        if not is_bend:
            return self.speed
        after = place - self.route.before_m - 0.7 * self.route.length_m
        return self.turn_speed if after < 0 else self.turn_speed + min(0.6 * after, 4.0)


def draw_situation(rng: np.random.Generator, *, variant: str, dusk: bool) -> Situation:
    """The first good situation of the generator."""
    for _ in range(_MOST_DRAWS):
        lanes = 2 if variant == "lane-change" else int(rng.integers(1, 3))
        town = draw_town(rng, main_lanes=lanes, main_is_red=variant == "stop", dusk=dusk)
        plan = _plan(rng, variant, town)
        situation = Situation(variant=variant, town=town, drivers=_drivers(rng, town, plan, variant))
        drives = let_drive(situation.drivers, WATCHED_SECONDS)
        if _is_good(situation, drives):
            return situation
    raise AssertionError(f"no good situation for {variant!r} in {_MOST_DRAWS} draws")


def _plan(rng: np.random.Generator, variant: str, town: Town) -> _Plan:
    """Lane, route and speeds of the ego car; it starts on the main street and looks north."""
    main, cross = town.main, town.cross
    lane = {"turn-left": 0, "turn-right": main.lanes - 1}.get(variant, int(rng.integers(main.lanes)))
    x, speed = main.lane_m(lane), rng.uniform(6.5, 11.0)
    side = 1.0 if variant == "turn-left" or (variant == "lane-change" and lane == 1) else -1.0
    direction = "left" if side > 0 else "right"
    if variant in ("turn-left", "turn-right"):
        reach = rng.uniform(9.0, 10.5) if side > 0 else rng.uniform(7.4, 8.4)
        before = rng.uniform(0.3, 5.0)
        y = side * cross.lane_m(0) - reach - before
        heading, turn_speed = (
            turn_heading(side, reach),
            rng.uniform(4.6, 5.6) if side > 0 else rng.uniform(3.8, 4.7),
        )
        route = Route(start=(x, y), yaw=_NORTH, before_m=before, heading=heading)
        return _Plan(route, lane, turn_speed, turn_speed, direction, np.inf)
    if variant == "lane-change":
        length, before = speed * rng.uniform(2.6, 3.2), rng.uniform(0.5, 5.0)
        first, last = town.ground.along_x[0].at_m + 14, -town.stop_main_m - before - length - 5
        y = rng.uniform(min(first, last), last)
        route = Route(start=(x, y), yaw=_NORTH, before_m=before, heading=shift_heading(side, length, LANE_M))
        return _Plan(route, lane, speed, np.inf, direction, np.inf)
    if variant == "stop":
        speed = rng.uniform(5.5, 8.5)
        queue = bool(rng.uniform() < 0.4)
        room = speed**2 / (2 * rng.uniform(1.7, 2.6)) + rng.uniform(0.5, 3.0) + 7.5 * queue
        route = Route(start=(x, -town.stop_main_m - CAR.front_m - room), yaw=_NORTH)
        return _Plan(route, lane, speed, np.inf, direction, CAR.front_m + room, queue)
    return _Plan(Route(start=(x, rng.uniform(-48, 14)), yaw=_NORTH), lane, speed, np.inf, direction, np.inf)


class _Crowd:
    """Collects drivers; names count up."""

    def __init__(self, rng: np.random.Generator, ego: Driver):
        self.rng, self.drivers = rng, [ego]

    def kind(self, bus: float = 0.12) -> Kind:
        r = self.rng.uniform()
        return BUS if r < bus else VAN if r < bus + 0.18 else CAR

    def add(
        self,
        route: Route,
        start: float,
        speed: float,
        *,
        role: str,
        stop_m: float = np.inf,
        kind: Kind | None = None,
    ):
        """Add one that would like to keep its speed, or a little more if it starts slowly."""
        colour: Colour = vehicle_colour(self.rng)
        wanted = max(speed, 5.0)
        self.drivers.append(
            Driver(
                name=f"traffic-{len(self.drivers)}",
                kind=kind or self.kind(),
                colour=colour,
                route=route,
                start_m=start,
                speed=speed,
                wanted=lambda _place: wanted,
                stop_m=stop_m,
                role=role,
            )
        )


def _drivers(rng: np.random.Generator, town: Town, plan: _Plan, variant: str) -> tuple[Driver, ...]:
    ego = Driver(
        name="ego",
        kind=CAR,
        colour=vehicle_colour(rng),
        route=plan.route,
        start_m=0.0,
        speed=plan.speed,
        wanted=plan.wanted,
        stop_m=plan.stop_m,
        role="ego",
    )
    crowd = _Crowd(rng, ego)
    _same_way(crowd, town, plan, variant)
    _other_way(crowd, town, variant)
    _side_street(crowd, town, variant)
    return tuple(crowd.drivers)


def _same_way(crowd: _Crowd, town: Town, plan: _Plan, variant: str) -> None:
    """Who drives ahead, beside and behind."""
    rng, y = crowd.rng, plan.route.start[1]
    stop = -town.stop_main_m if variant == "stop" else np.inf
    for lane in range(town.main.lanes):
        route = Route(start=(town.main.lane_m(lane), 0.0), yaw=_NORTH)
        own = lane == plan.lane
        if variant == "stop":
            _wait_at_line(crowd, route, stop, waits=plan.queue if own else rng.uniform() < 0.5)
            continue
        at = y + (rng.uniform(17, 34) if own else rng.uniform(-8, 22))
        for _ in range(int(rng.integers(0, 3))):
            crowd.add(route, at, plan.speed * rng.uniform(0.9, 1.05), role="same way")
            at += rng.uniform(16, 30)
        if rng.uniform() < 0.5:
            speed = min(plan.speed, plan.turn_speed)
            crowd.add(route, y - rng.uniform(13, 24), speed, role="same way", kind=CAR)


def _wait_at_line(crowd: _Crowd, route: Route, line: float, *, waits: bool) -> None:
    kind = crowd.kind()
    if waits:
        crowd.add(route, line - kind.front_m - 0.3, 0.0, role="same way", stop_m=line, kind=kind)


def _other_way(crowd: _Crowd, town: Town, variant: str) -> None:
    """Who comes towards the ego car; at a red light they too wait, or have passed."""
    rng = crowd.rng
    for lane in range(town.main.lanes):
        route = Route(start=(-town.main.lane_m(lane), 0.0), yaw=_SOUTH)
        stop = -town.stop_main_m if variant == "stop" else np.inf
        at, speed = rng.uniform(-62, -30), rng.uniform(6.0, 10.0)
        for _ in range(int(rng.integers(1, 4)) if town.main.lanes == 1 else int(rng.integers(0, 3))):
            kind = crowd.kind()
            inside = stop - 0.5 < at + kind.front_m and at - kind.rear_m < -stop
            if stop < np.inf and inside:
                at = town.stop_main_m + rng.uniform(2, 8)
            crowd.add(route, at, speed, role="other way", stop_m=stop if at < 0 else np.inf, kind=kind)
            at += kind.length_m + rng.uniform(10, 30)


def _side_street(crowd: _Crowd, town: Town, variant: str) -> None:
    """Who waits in the side street, or crosses while the main street has red."""
    rng = crowd.rng
    for yaw, sign in ((_EAST, -1.0), (_WEST, 1.0)):
        route = Route(start=(0.0, sign * town.cross.lane_m(0)), yaw=yaw)
        line = -town.stop_cross_m
        if variant == "stop":
            at, speed = rng.uniform(-55, -30), rng.uniform(6, 9)
            for _ in range(int(rng.integers(1, 4))):
                crowd.add(route, at, speed, role="side street")
                at += rng.uniform(16, 28)
            continue
        if rng.uniform() < 0.65:
            kind = crowd.kind(bus=0.05)
            speed = 0.0 if rng.uniform() < 0.6 else rng.uniform(4, 7)
            room = 0.2 if speed == 0 else speed**2 / 4.4 + rng.uniform(0.5, 6)
            crowd.add(route, line - kind.front_m - room, speed, role="side street", stop_m=line, kind=kind)
        if rng.uniform() < 0.35:
            crowd.add(route, rng.uniform(22, 45), rng.uniform(6, 9), role="side street")


def _is_good(situation: Situation, drives: Drives) -> bool:
    """Nobody comes too near to anything, nobody brakes hard, and the manoeuvre gets done."""
    seconds = np.arange(0, WATCHED_SECONDS, 0.1)
    boxes = drives.footprints(seconds)
    first, second = np.triu_indices(len(situation.drivers), 1)
    if separation(boxes[:, first], boxes[:, second]).min(initial=np.inf) < _LEAST_GAP_M:
        return False
    if separation(boxes[:, :, None], situation.town.footprints()).min(initial=np.inf) < _LEAST_GAP_M - 0.1:
        return False
    braking = np.diff(drives.speeds, axis=0) / 0.05
    if braking.min() < -5.0:
        return False
    ego, end = situation.drivers[0], drives.places[-1, 0]
    if situation.variant == "stop":
        return bool(drives.speeds[:, 0].min() < 0.05)
    return bool(end > ego.route.before_m + ego.route.length_m + 3 and drives.speeds[:, 0].min() > 2.0)
