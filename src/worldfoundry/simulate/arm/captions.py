"""What truly happened, in words: told from where things and the gripper were, not from what was intended."""

import math
from dataclasses import dataclass

import numpy as np

from worldfoundry.simulate.arm.task import DIRECTIONS, LIFTED_M, PUSHED_M, Task, is_pushed
from worldfoundry.simulate.arm.things import Thing
from worldfoundry.simulate.words import listed, sentence, with_article

_NEARER_M = 0.04
_SHIFTED_M = 0.015


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """What was where."""

    things: dict[str, np.ndarray]
    """Name to float64 [t, 3] in the robot's axes, metres."""
    gripper: np.ndarray
    """float64 [t, 3], the end effector in the robot's axes."""
    is_held: bool
    """Whether a finger touches the task's thing at the last frame."""
    success: bool | None
    """Whether the task is fulfilled at the last frame."""


def caption_of(task: Task, things: tuple[Thing, ...], track: Track) -> str:
    """What the robot did, what else it shifted, and what there is on the table."""
    told = None if task.behaviour == "reach" else task.thing
    shifted = [
        thing.name for thing in things if thing != told and _farthest(track.things[thing.name]) > _SHIFTED_M
    ]
    deed = "a robot arm " + _deed(task, track)
    if shifted:
        deed += "; it also shifts the " + listed(shifted)
    there = "on the table: " + listed([with_article(thing.name) for thing in things])
    return sentence(deed) + " " + sentence(there)


def _deed(task: Task, track: Track) -> str:
    """What was done with the task's thing."""
    if task.thing is None:
        return "moves about over the table"
    name, path = f"the {task.thing.name}", track.things[task.thing.name]
    if task.behaviour == "reach" and track.success:
        return f"moves its gripper above {name}"
    if path[:, 2].max() - path[0, 2] > LIFTED_M:
        return _lift(task, track, name)
    if _farthest(path) > _SHIFTED_M:
        return _shift(task, path[-1] - path[0], name)
    gaps = np.sqrt(((track.gripper - path) ** 2).sum(1))
    if gaps[0] - gaps.min() > _NEARER_M:
        return f"moves towards {name} and leaves it where it is"
    return "moves over the table"


def _lift(task: Task, track: Track, name: str) -> str:
    """The end of a thing that was lifted."""
    if task.container is not None and track.success:
        into = "onto" if task.container.kind == "plate" else "into"
        return f"picks up {name} and puts it {into} the {task.container.name}"
    return f"picks up {name} and {'holds it' if track.is_held else 'lets go of it'}"


def _shift(task: Task, way: np.ndarray, name: str) -> str:
    """The direction of a thing that was pushed along the table."""
    if task.direction and is_pushed(task.direction, way):
        return f"pushes {name} {task.direction}"
    length = math.hypot(way[0], way[1])
    if length < _SHIFTED_M:
        return f"nudges {name}"
    main = max(DIRECTIONS, key=lambda direction: float((way[:2] * DIRECTIONS[direction]).sum()))
    return f"pushes {name} {'a little ' if length < PUSHED_M else ''}{main}"


def _farthest(path: np.ndarray) -> float:
    """Longest distance [m] of a path [t, 3] from its first point."""
    return float(np.sqrt(((path - path[0]) ** 2).sum(1)).max())
