"""Scripted behaviours: what to do next, seen from the true state. Each is an endless stream of actions.

The stream looks at the simulator when it is asked for an action, and expects that action to be carried out before it is
asked again. Ways are measured in actions, so that slow and fast frame rates take about as many frames.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from worldfoundry.simulate.arm.pose import Pose, deltas_between, pose_at
from worldfoundry.simulate.arm.robot import FINGER_TRAVEL_M
from worldfoundry.simulate.arm.simulator import ArmSimulator, finger_depth
from worldfoundry.simulate.arm.task import DIRECTIONS, LIFTED_M, Task, gap_to_segment
from worldfoundry.simulate.arm.things import Thing

_FASTEST_M_S, _FASTEST_RAD_S = 0.5, 3.0
_LONGEST_M, _LONGEST_RAD = 0.05, 0.3
_LOWEST_M = 0.0135
_PUSH_OPENING = 0.3
_MOST_ATTEMPTS = 3
_AT_HOME_M = np.array([[0.34, 0.5], [-0.15, 0.15], [0.19, 0.27]])
_PLAY_M = np.array([[0.30, 0.56], [-0.2, 0.2], [0.03, 0.2]])


def draw_aim_error(rng: np.random.Generator) -> np.ndarray:
    """float64 [3], metres: mostly 0; in one of sixteen tries the robot is some centimetres wrong about where things are."""
    angle, length = rng.uniform(-math.pi, math.pi), rng.uniform(0.03, 0.06)
    errs = rng.uniform() < 1 / 16
    return length * errs * np.array([math.cos(angle), math.sin(angle), 0.0])


def actions_for(
    task: Task, simulator: ArmSimulator, rng: np.random.Generator, *, aim_error: np.ndarray
) -> Iterator[np.ndarray]:
    """Actions [7] that carry out a task, then move about above the table; ``aim_error`` [3] is as ``draw_aim_error`` says."""
    hand = _Hand(simulator=simulator, rng=rng, aim_error=aim_error)
    if task.behaviour == "random" or task.thing is None:
        yield from _play(hand)
    elif task.behaviour == "reach":
        yield from _reach(hand, task.thing)
    elif task.container is None:
        yield from _push(hand, task, task.thing)
    else:
        yield from _pick_place(hand, task.thing, task.container)
    yield from _hover(hand)


@dataclass(slots=True)
class _Hand:
    """Takes the gripper to poses, a bit at each action."""

    simulator: ArmSimulator
    rng: np.random.Generator
    aim_error: np.ndarray
    opening: float = 1.0
    pace: float = 1.0

    def towards(self, goal: Pose, *, noise_m: float = 0.0) -> np.ndarray:
        """The action that goes towards a pose, as far as the pace allows."""
        deltas = deltas_between(self.simulator.setpoint, goal)
        rate = self.simulator.rate_hz
        longest = self.pace * min(_LONGEST_M, _FASTEST_M_S / rate)
        widest = self.pace * min(_LONGEST_RAD, _FASTEST_RAD_S / rate)
        way, turn = math.hypot(*deltas[:3]), math.hypot(*deltas[3:])
        share = min(1.0, longest / max(way, 1e-9), widest / max(turn, 1e-9))
        noise = self.rng.normal(0, 1, 6) * noise_m * np.array([1, 1, 1, 4, 4, 4])
        return np.append(share * deltas + noise, self.opening)

    def seen(self, thing: Thing) -> np.ndarray:
        """float64 [3], where the robot takes a thing to be."""
        return self.simulator.thing_pose(thing).position + self.aim_error

    def go(
        self, goal: Callable[[], Pose], *, within_m: float, most: int = 16, noise_m: float = 0.0
    ) -> Iterator[np.ndarray]:
        """Follow a pose until the setpoint is near it, or for so many actions."""
        for _ in range(most):
            target = goal()
            deltas = deltas_between(self.simulator.setpoint, target)
            if math.hypot(*deltas[:3]) < within_m and math.hypot(*deltas[3:]) < max(10 * within_m, 0.08):
                return
            yield self.towards(target, noise_m=noise_m)

    def wait(self, seconds: float) -> Iterator[np.ndarray]:
        """Stay for a time; the fingers may move."""
        for _ in range(math.ceil(seconds * self.simulator.rate_hz)):
            yield np.append(np.zeros(6), self.opening)

    def above(self, height_m: float) -> Pose:
        """The setpoint, at another height and without tilt."""
        pose = self.simulator.setpoint
        return pose_at(np.append(pose.position[:2], height_m), np.append([0, 0], pose.roll_pitch_yaw[2]))

    def somewhere(self, box_m: np.ndarray, *, tilt_rad: float, yaw_rad: float) -> Pose:
        """A random pose in a box [3, 2]."""
        turns = self.rng.uniform([-tilt_rad, -tilt_rad, -yaw_rad], [tilt_rad, tilt_rad, yaw_rad])
        return pose_at(self.rng.uniform(*box_m.T), turns)


def _hover(hand: _Hand) -> Iterator[np.ndarray]:
    """Move about slowly, well above everything."""
    hand.pace = 0.35
    while True:
        goal = hand.somewhere(_AT_HOME_M, tilt_rad=0.15, yaw_rad=0.6)
        yield from hand.go(lambda goal=goal: goal, within_m=0.02, noise_m=0.001)


def _reach(hand: _Hand, thing: Thing) -> Iterator[np.ndarray]:
    """By way of somewhere to just above the thing, and stay there."""
    rng = hand.rng
    hand.pace, hand.opening = rng.uniform(0.5, 0.9), float(rng.choice([0.0, 0.5, 1.0]))
    past = hand.somewhere(_AT_HOME_M, tilt_rad=0.3, yaw_rad=0.8)
    yield from hand.go(lambda: past, within_m=0.05, most=8, noise_m=0.003)
    hand.opening = float(rng.choice([0.0, 1.0]))
    turns, spare = rng.uniform([-0.1, -0.1, -0.8], [0.1, 0.1, 0.8]), rng.uniform(0.018, 0.028)

    def goal() -> Pose:
        return pose_at(hand.seen(thing) + np.array([0, 0, thing.top_m + spare]), turns)

    while True:
        yield hand.towards(goal(), noise_m=0.001)


def _push(hand: _Hand, task: Task, thing: Thing) -> Iterator[np.ndarray]:
    """Down beside the thing, across, and up; the fingers stand side by side across the way, so that nothing slips off."""
    ahead = DIRECTIONS[task.direction]
    yaw = _nearest_yaw(hand, [math.atan2(ahead[1], ahead[0]) + k * math.pi for k in (-1, 0, 1)])
    height = max(_LOWEST_M, 0.6 * min(thing.top_m, thing.bottom_m or thing.top_m))
    hand.opening, hand.pace = _PUSH_OPENING, hand.rng.uniform(0.55, 1.0)

    def beside() -> np.ndarray:
        return hand.seen(thing)[:2] - (thing.radius_m + 0.03) * ahead

    turns = np.array([0, 0, yaw])
    hover = thing.top_m + thing.bottom_m + 0.04
    yield from hand.go(lambda: pose_at(np.append(beside(), hover), turns), within_m=0.012, noise_m=0.002)
    yield from hand.go(lambda: pose_at(np.append(beside(), height), turns), within_m=0.006, most=6)
    hand.pace = hand.rng.uniform(0.4, 0.7)
    aside = np.array([-ahead[1], ahead[0]])
    for _ in range(20):
        there = hand.seen(thing)[:2]
        left = task.distance_m - float(((there - hand.aim_error[:2] - task.start[:2]) * ahead).sum())
        if left < 0.004:
            break
        # Stay behind the thing's middle: it turns less, and does not drift off the line.
        tip = hand.simulator.setpoint.position[:2]
        ahead_m = min(left, 0.05) + 0.01
        slip = float(((there - tip) * aside).sum())
        yield hand.towards(pose_at(np.append(tip + ahead_m * ahead + slip * aside, height), turns))
    hand.pace = 0.8
    back = hand.simulator.setpoint.position - 0.03 * np.append(ahead, 0)
    up = pose_at(np.append(back[:2], hover + 0.08), turns)
    yield from hand.go(lambda: up, within_m=0.03)


def _pick_place(hand: _Hand, thing: Thing, container: Thing) -> Iterator[np.ndarray]:
    """Grasp, lift, carry, let go; grasp again if it slipped."""
    hand.pace = hand.rng.uniform(0.7, 1.0)
    for _ in range(_MOST_ATTEMPTS):
        yield from _grasp(hand, thing)
        if hand.simulator.thing_pose(thing).position[2] - thing.bottom_m > LIFTED_M:
            break
    yield from _carry(hand, thing, container)
    hand.opening = min(1.0, hand.simulator.opening + 0.35)
    yield from hand.wait(0.2)
    hand.opening = 1.0
    up = hand.above(0.2)
    yield from hand.go(lambda: up, within_m=0.03)


def _grasp(hand: _Hand, thing: Thing) -> Iterator[np.ndarray]:
    """Come down over the thing with open fingers, close them and lift."""
    hand.opening = 1.0
    yaw = _nearest_yaw(hand, _grasp_yaws(hand.simulator, thing), thing)

    def goal(spare_m: float) -> Pose:
        position = hand.seen(thing)
        position[2] = max(_LOWEST_M, position[2]) + spare_m
        return pose_at(position, np.array([0, 0, yaw]))

    hover = thing.top_m + 0.035
    yield from hand.go(lambda: goal(hover), within_m=0.012, noise_m=0.002)
    yield from hand.go(lambda: goal(0.0), within_m=0.004, most=6)
    hand.opening = 0.0
    yield from hand.wait(0.28)
    up = hand.above(hand.simulator.setpoint.position[2] + 0.05)
    yield from hand.go(lambda: up, within_m=0.015, most=4)


def _carry(hand: _Hand, thing: Thing, container: Thing) -> Iterator[np.ndarray]:
    """Bring the thing, not the gripper, over the middle of the container, then down."""
    yaw = hand.simulator.setpoint.roll_pitch_yaw[2]

    def goal(spare_m: float) -> Pose:
        there = hand.simulator.thing_pose(thing).position
        offset = hand.simulator.setpoint.position - there
        offset = np.clip(offset, -0.04, 0.04)
        position = hand.seen(container) + offset
        position[2] += container.top_m + thing.bottom_m + spare_m
        return pose_at(position, np.array([0, 0, yaw]))

    yield from hand.go(lambda: goal(0.045), within_m=0.015, noise_m=0.002)
    low = -0.008 if container.kind != "plate" else 0.004
    yield from hand.go(lambda: goal(low), within_m=0.006, most=6)


def _grasp_yaws(simulator: ArmSimulator, thing: Thing) -> list[float]:
    """Yaws at which the fingers close across the thing."""
    if thing.kind in ("cylinder", "ball"):
        return [math.pi * k / 8 for k in range(-4, 5)]
    axes = simulator.thing_pose(thing).rotation
    level = 1 if abs(axes[2, 1]) < 0.7 else 0
    along = math.atan2(axes[1, level], axes[0, level])
    turns = 4 if thing.kind == "cube" else 2
    return [along + 2 * math.pi * k / turns for k in range(-turns, turns + 1)]


def _nearest_yaw(hand: _Hand, yaws: list[float], thing: Thing | None = None) -> float:
    """The yaw with room for the fingers that takes the least turning."""
    now = hand.simulator.setpoint.roll_pitch_yaw[2]

    def cost(yaw: float) -> float:
        crowding = 0.0 if thing is None else _crowding(hand.simulator, thing, yaw)
        return abs(yaw - now) + 60 * crowding

    return min((yaw for yaw in yaws if abs(yaw) < 1.9), key=cost)


def _crowding(simulator: ArmSimulator, thing: Thing, yaw: float) -> float:
    """By how many metres open fingers at a thing would lack room beside its neighbours."""
    there = simulator.thing_pose(thing).position[:2]
    across = np.array([-math.sin(yaw), math.cos(yaw)])
    lack = 0.0
    for other in simulator.table.things:
        if other is thing:
            continue
        for side in (-0.048, 0.048):
            gap = math.dist(simulator.thing_pose(other).position[:2], there + side * across)
            lack += max(0.0, other.radius_m + 0.02 - gap)
    return lack


def _play(hand: _Hand) -> Iterator[np.ndarray]:
    """Smooth random motion, half of it past and through things, never pressing on one from above."""
    velocity = np.zeros(6)
    while True:
        hand.pace = hand.rng.uniform(0.4, 0.9)
        for goal in _play_goals(hand):
            for _ in range(int(hand.rng.integers(4, 9))):
                wanted = hand.towards(_lifted_over(hand, goal))
                velocity = 0.4 * velocity + 0.6 * wanted[:6]
                yield np.append(velocity, hand.opening)


def _play_goals(hand: _Hand) -> tuple[Pose, ...]:
    """Somewhere with any opening, or with narrow fingers from one side of a thing to the other."""
    if hand.rng.uniform() < 0.4:
        hand.opening = float(hand.rng.uniform())
        return (hand.somewhere(_PLAY_M, tilt_rad=0.35, yaw_rad=1.2),)
    hand.opening = float(hand.rng.uniform(0, 0.3))
    things = hand.simulator.table.things
    thing, angle = things[hand.rng.integers(len(things))], hand.rng.uniform(-math.pi, math.pi)
    there, ahead = hand.simulator.thing_pose(thing).position[:2], np.array([math.cos(angle), math.sin(angle)])
    turns = np.append(hand.rng.uniform(-0.15, 0.15, 2), hand.rng.uniform(-1.2, 1.2))
    low = finger_depth(turns) + 0.008
    begin, end = there - (thing.radius_m + 0.065) * ahead, there + hand.rng.uniform(0.02, 0.1) * ahead
    return tuple(pose_at(np.append(point, low), turns) for point in (begin, begin, end))


def _lifted_over(hand: _Hand, goal: Pose) -> Pose:
    """The pose, raised where the fingers would come down on a thing on the way."""
    simulator, now = hand.simulator, hand.simulator.setpoint
    depth = finger_depth(np.maximum(np.abs(now.roll_pitch_yaw), np.abs(goal.roll_pitch_yaw)))
    highest = (
        now.position[2] + finger_depth(now.roll_pitch_yaw) - 0.016
    )  # of the two tips, if they are tilted
    reach = 0.035 + FINGER_TRAVEL_M * max(hand.opening, simulator.opening)
    floor = 0.0
    for thing in simulator.table.things:
        there = simulator.thing_pose(thing).position
        top = there[2] + thing.top_m
        gap = gap_to_segment(now.position[:2], goal.position[:2], there[:2])
        is_beside = highest < top - 0.005
        is_within = math.dist(now.position[:2], there[:2]) < thing.inner_radius_m
        if gap < thing.radius_m + reach and (is_within or not is_beside):
            floor = max(floor, top + depth + 0.015)
    position = goal.position.copy()
    position[2] = max(position[2], floor)
    return Pose(position=position, quaternion=goal.quaternion)
