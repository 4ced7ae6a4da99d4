"""What the robot is told to do, and whether it did it, judged from the true state."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from worldfoundry.core.errors import UnknownNameError
from worldfoundry.simulate.arm.simulator import ArmSimulator
from worldfoundry.simulate.arm.things import CONTAINERS, GRASPABLE, REACH_M, SIDE_M, Thing

BEHAVIOURS = ("reach", "push", "pick-place", "random")
"""What the robot can be asked for."""
DIRECTIONS = {
    "to the left": np.array([0.0, 1.0]),
    "to the right": np.array([0.0, -1.0]),
    "away from the robot": np.array([1.0, 0.0]),
    "towards the robot": np.array([-1.0, 0.0]),
}
"""Where things can be pushed, in the robot's axes."""
PUSHED_M = 0.05
"""Least way of a thing that counts as pushed."""
LIFTED_M = 0.025
"""Least height gained that counts as lifted."""
ABOVE_M = 0.02
"""The gripper is above a thing if its horizontal distance is at most this, and its height above the top at most twice this."""

_PUSH_M = (0.08, 0.12)
_ASIDE = 0.7
_SPARE_M = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One instruction, and what it is about."""

    behaviour: Literal["reach", "push", "pick-place", "random"]
    """Of ``BEHAVIOURS``."""
    instruction: str
    """In English."""
    thing: Thing | None = None
    """What to move, or to reach."""
    container: Thing | None = None
    """Where to put it."""
    direction: str = ""
    """Where to push it, of ``DIRECTIONS``."""
    distance_m: float = 0.0
    """How far to push it."""
    start: np.ndarray
    """float64 [3], where the thing is at first, in the robot's axes."""


def draw_task(rng: np.random.Generator, simulator: ArmSimulator, behaviour: str) -> Task:
    """A task that can be done on this table; the simulator stands at its start."""
    if behaviour not in BEHAVIOURS:
        raise UnknownNameError("behaviour", behaviour, BEHAVIOURS)
    things = simulator.table.things
    if behaviour == "reach":
        thing = things[rng.integers(len(things))]
        return Task(
            behaviour="reach",
            instruction=f"move the gripper above the {thing.name}",
            thing=thing,
            start=simulator.thing_pose(thing).position,
        )
    if behaviour == "push":
        return _draw_push(rng, simulator)
    if behaviour == "pick-place":
        return _draw_pick_place(rng, simulator)
    return Task(behaviour="random", instruction="move about over the table", start=np.zeros(3))


def has_succeeded(task: Task, simulator: ArmSimulator) -> bool | None:
    """Whether the task is fulfilled in the state now; ``None`` where there is nothing to fulfil."""
    if task.thing is None:
        return None
    thing = simulator.thing_pose(task.thing).position
    if task.behaviour == "reach":
        gap = simulator.end_effector.position - thing
        return bool(math.hypot(gap[0], gap[1]) <= ABOVE_M and 0 < gap[2] - task.thing.top_m <= 2 * ABOVE_M)
    if task.container is not None:
        return is_inside(task.thing, task.container, simulator) and not simulator.is_held(task.thing)
    return is_pushed(task.direction, thing - task.start)


def is_inside(thing: Thing, container: Thing, simulator: ArmSimulator) -> bool:
    """Whether a thing is in or on a container: its centre within the rim, its lowest point not above the rim."""
    offset = simulator.thing_pose(thing).position - simulator.thing_pose(container).position
    lowest = offset[2] - min(thing.bottom_m, thing.top_m)
    within = math.hypot(offset[0], offset[1]) < container.inner_radius_m
    return bool(within and offset[2] > 0 and lowest < container.top_m + 0.006)


def is_pushed(direction: str, way: np.ndarray) -> bool:
    """Whether a way [2 or 3] goes far enough in a direction, and not more to a side than ahead."""
    ahead = float((way[:2] * DIRECTIONS[direction]).sum())
    aside = math.sqrt(max(0.0, float((way[:2] ** 2).sum()) - ahead**2))
    return ahead >= PUSHED_M and aside <= _ASIDE * ahead


def _draw_pick_place(rng: np.random.Generator, simulator: ArmSimulator) -> Task:
    """A small thing, and the container."""
    things = simulator.table.things
    container = next(t for t in things if t.kind in CONTAINERS)
    small = [t for t in things if t.kind in GRASPABLE]
    thing = small[rng.integers(len(small))]
    into = "onto" if container.kind == "plate" else "into"
    return Task(
        behaviour="pick-place",
        instruction=f"pick up the {thing.name} and put it {into} the {container.name}",
        thing=thing,
        container=container,
        start=simulator.thing_pose(thing).position,
    )


def _draw_push(rng: np.random.Generator, simulator: ArmSimulator) -> Task:
    """One of the pushes that no other thing is in the way of; the freest one if all are blocked."""
    distance = rng.uniform(*_PUSH_M)
    things = simulator.table.things
    pushes = [(thing, name) for thing in things for name in DIRECTIONS]
    room = [_room_for_push(thing, DIRECTIONS[name], distance, things) for thing, name in pushes]
    free = [k for k, r in enumerate(room) if r > 0]
    thing, name = pushes[rng.choice(free) if free else int(np.argmax(room))]
    return Task(
        behaviour="push",
        instruction=f"push the {thing.name} {name}",
        thing=thing,
        direction=name,
        distance_m=distance,
        start=simulator.thing_pose(thing).position,
    )


def _room_for_push(
    thing: Thing, direction: np.ndarray, distance_m: float, things: tuple[Thing, ...]
) -> float:
    """Metres between the swept strip and what is nearest to it, the edges of the reach among them."""
    begin = thing.position - (thing.radius_m + _SPARE_M) * direction
    end = thing.position + distance_m * direction
    room = [
        gap_to_segment(begin, end, other.position) - thing.radius_m - other.radius_m
        for other in things
        if other != thing
    ]
    low, high = np.array([REACH_M[0] - 0.07, -SIDE_M - 0.07]), np.array([REACH_M[1] + 0.05, SIDE_M + 0.07])
    edges = [(point - low).min() for point in (begin, end)] + [(high - point).min() for point in (begin, end)]
    return float(min(*room, *edges))


def gap_to_segment(begin: np.ndarray, end: np.ndarray, point: np.ndarray) -> float:
    """Distance of a point from a line segment."""
    way = end - begin
    share = np.clip(((point - begin) * way).sum() / max((way * way).sum(), 1e-12), 0, 1)
    return math.dist(begin + share * way, point)
