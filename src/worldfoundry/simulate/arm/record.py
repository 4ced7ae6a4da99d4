"""The world ``arm``: a robot does something on a table, and two cameras look on.

The main view looks over the robot's shoulder and stands still; ``wrist`` moves with the hand.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from worldfoundry.core.errors import UnknownNameError
from worldfoundry.simulate.arm.behaviours import actions_for, draw_aim_error
from worldfoundry.simulate.arm.captions import Track, caption_of
from worldfoundry.simulate.arm.pose import joined
from worldfoundry.simulate.arm.scene import MAIN_FOV_RAD, WORLD_FROM_ROBOT
from worldfoundry.simulate.arm.simulator import ACTION_WIDTH, STATE_NAMES, ArmSimulator
from worldfoundry.simulate.arm.task import BEHAVIOURS, Task, draw_task, has_succeeded
from worldfoundry.simulate.arm.things import Thing
from worldfoundry.simulate.recording import Recording, Viewpoint, World

_BEHAVIOUR_STREAM = 1
_WRIST_EYE_M = np.array([0.085, 0.0, 0.105])
_WRIST_FOV_RAD = math.radians(75)


def record_arm(*, seed: int, num_frames: int, fps: float, variant: str | None) -> Recording:
    """One clip of a behaviour (``variant``, or drawn from the seed); one action a frame."""
    if variant is not None and variant not in BEHAVIOURS:
        raise UnknownNameError("variant of arm", variant, BEHAVIOURS)
    # The table has a generator of its own, so that a seed shows the same table whatever is done on it.
    rng = np.random.default_rng([seed, _BEHAVIOUR_STREAM])
    drawn = BEHAVIOURS[rng.integers(len(BEHAVIOURS))]
    simulator = ArmSimulator(rate_hz=fps)
    simulator.reset(seed)
    task = draw_task(rng, simulator, variant or drawn)
    aim_error = draw_aim_error(rng)
    actions = actions_for(task, simulator, rng, aim_error=aim_error)
    log = _carry_out(simulator, actions, num_frames=num_frames)
    success = has_succeeded(task, simulator)
    things = simulator.table.things
    track = Track(
        things={thing.name: log["things"][:, k] for k, thing in enumerate(things)},
        gripper=log["robot_state"][:, :3],
        is_held=task.thing is not None and simulator.is_held(task.thing),
        success=success,
    )
    return Recording(
        xml=simulator.table.xml,
        surfaces=simulator.table.surfaces,
        light=simulator.table.light,
        qpos=log["qpos"],
        qvel=log["qvel"],
        viewpoints=_viewpoints(simulator.table.world_from_camera, log["hand"]),
        caption=caption_of(task, things, track),
        actions=log["actions"].astype(np.float32),
        action_spec=simulator.action_spec,
        success=success,
        facts=_facts(task, things, success)
        | {"aim_error_m": aim_error.round(6).tolist(), "robot_state": log["robot_state"].round(7).tolist()},
    )


ARM = World(record=record_arm, variants=BEHAVIOURS)
"""A robot arm that reaches, pushes, picks and places, or plays."""


def _carry_out(
    simulator: ArmSimulator, actions: Iterator[np.ndarray], *, num_frames: int
) -> dict[str, np.ndarray]:
    """State at each frame and the action that follows it; the simulator is left at the last frame."""
    things, model = simulator.table.things, simulator.model
    log = {
        "qpos": np.empty((num_frames, model.nq)),
        "qvel": np.empty((num_frames, model.nv)),
        "robot_state": np.empty((num_frames, len(STATE_NAMES))),
        "things": np.empty((num_frames, len(things), 3)),
        "hand": np.empty((num_frames, 4, 4)),
        "actions": np.empty((num_frames, ACTION_WIDTH)),
    }
    last = simulator.state
    for t in range(num_frames):
        log["qpos"][t], log["qvel"][t] = simulator.data.qpos, simulator.data.qvel
        log["robot_state"][t] = simulator.robot_state
        log["things"][t] = [simulator.thing_pose(thing).position for thing in things]
        hand = joined(WORLD_FROM_ROBOT, simulator.end_effector)
        log["hand"][t] = np.eye(4)
        log["hand"][t, :3, :3], log["hand"][t, :3, 3] = hand.rotation, hand.position
        last = simulator.state
        log["actions"][t] = simulator.step(next(actions))
    simulator.state = last
    return log


def _viewpoints(world_from_main: np.ndarray, world_from_hand: np.ndarray) -> tuple[Viewpoint, ...]:
    num_frames, hand_from_wrist = len(world_from_hand), hand_from_wrist_camera()
    wrist = (world_from_hand[:, :, :, None] * hand_from_wrist[None, None]).sum(2)
    return (
        Viewpoint(
            name="main",
            world_from_camera=np.repeat(world_from_main[None], num_frames, 0),
            fov_rad=np.full(num_frames, MAIN_FOV_RAD),
        ),
        Viewpoint(
            name="wrist",
            world_from_camera=wrist,
            fov_rad=np.full(num_frames, _WRIST_FOV_RAD),
            mount="end_effector",
            mount_from_camera=hand_from_wrist,
        ),
    )


def hand_from_wrist_camera() -> np.ndarray:
    """float64 [4, 4]: in front of the hand, looking down between the fingers; the robot's right is right in the picture."""
    forward = np.array([0.012, 0.0, 0.0]) - _WRIST_EYE_M
    forward = forward / np.sqrt((forward * forward).sum())
    right = np.array([0.0, -1.0, 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = _WRIST_EYE_M
    return pose


def _facts(task: Task, things: tuple[Thing, ...], success: bool | None) -> dict[str, Any]:
    """What else is true, as JSON."""
    return {
        "instruction": task.instruction,
        "behaviour": task.behaviour,
        "success": success,
        "target": None if task.thing is None else task.thing.name,
        "container": None if task.container is None else task.container.name,
        "direction": task.direction or None,
        "kinds": {thing.name: thing.kind for thing in things},
        "robot_state_names": list(STATE_NAMES),
    }
