"""The driving world: a situation driven frame by frame, with everything that is true about it."""

from typing import Any

import numpy as np

from worldfoundry.protocols.control import ActionChannel, ActionSpec, TrajectorySpec
from worldfoundry.simulate.drive.bicycle import (
    LARGEST_STEERING_RAD,
    WHEELBASE_M,
    Motion,
    integrate,
    pose_of,
    step,
)
from worldfoundry.simulate.drive.captions import caption_of
from worldfoundry.simulate.drive.model import model_of
from worldfoundry.simulate.drive.rig import SIX_VIEWS, Rig
from worldfoundry.simulate.drive.situation import VARIANTS, Situation, draw_situation
from worldfoundry.simulate.drive.sky import Sky, draw_sky
from worldfoundry.simulate.drive.traffic import Drives, let_drive
from worldfoundry.simulate.recording import Recording

TRAJECTORY = TrajectorySpec(num_points=64, spacing_seconds=0.1, axes=("x", "y", "z"), frame="ego")
"""The rear axle's path in the ego frame at frame 0. Source: 64 points at 0.1 s, arXiv 2501.03575, section 6.3."""


def record_drive(
    *, seed: int, num_frames: int, fps: float, variant: str | None = None, rig: Rig = SIX_VIEWS
) -> Recording:
    """Drive; ``variant`` is one of ``VARIANTS``, drawn from the seed if ``None``; ``rig`` says which cameras film it."""
    rng = np.random.default_rng(seed)
    drawn, sky = str(rng.choice(VARIANTS)), draw_sky(rng)
    situation = draw_situation(rng, variant=variant or drawn, dusk=sky.time == "dusk")
    ahead = TRAJECTORY.num_points * TRAJECTORY.spacing_seconds
    steps = max(num_frames, int(np.ceil(ahead * fps)) + 1)
    drives = let_drive(situation.drivers, steps / fps)
    actions, motions = _drive_ego(drives, steps, fps)
    seen = motions[:num_frames]
    poses = np.stack([pose_of(x, y, yaw) for x, y, yaw, _ in seen])
    qpos, qvel = _states(drives, seen, actions[:num_frames], fps)
    xml, surfaces, kinds = model_of(situation)
    return Recording(
        xml=xml,
        surfaces=surfaces,
        light=sky.light,
        qpos=qpos,
        qvel=qvel,
        viewpoints=rig.viewpoints(poses),
        caption=caption_of(situation, sky, drives, seen, fps),
        actions=actions[:num_frames],
        action_spec=_action_spec(fps),
        trajectory=_path_ahead(motions, actions, fps),
        trajectory_spec=TRAJECTORY,
        facts=_facts(situation, sky, kinds, seen, actions[:num_frames], poses),
    )


def _action_spec(fps: float) -> ActionSpec:
    channels = (
        ActionChannel(name="acceleration", unit="m/s^2", frame="ego", mode="absolute"),
        ActionChannel(name="steering", unit="rad", frame="ego", mode="absolute"),
    )
    return ActionSpec(channels=channels, rate_hz=fps, per_latent=4)


def _drive_ego(drives: Drives, steps: int, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Actions float32 [steps, 2] and what they lead to, rows (x, y, yaw, speed) [steps + 1, 4].

    The car is where its actions bring it: they aim at the planned speed and heading of the next frame.
    """
    ego = drives.drivers[0]
    _, planned = drives.at(0, np.arange(steps + 1) / fps)
    start = ego.route.point_at(0.0)
    motion = Motion(float(start[0]), float(start[1]), ego.route.yaw, ego.speed)
    actions, place, steering = np.zeros((steps, 2), np.float32), 0.0, 0.0
    for i in range(steps):
        acceleration = np.float32(max((planned[i + 1] - motion.speed) * fps, -motion.speed * fps))
        distance = (motion.speed + float(acceleration) / fps / 2) / fps
        place += distance
        if distance > 1e-3:
            bend = (float(ego.route.yaw_at(place)) - motion.yaw) / distance
            steering = np.clip(np.arctan(bend * WHEELBASE_M), -LARGEST_STEERING_RAD, LARGEST_STEERING_RAD)
        actions[i] = acceleration, steering
        motion = step(motion, float(actions[i, 0]), float(actions[i, 1]), 1 / fps)
        motion = motion._replace(speed=max(motion.speed, 0.0))
    first = Motion(float(start[0]), float(start[1]), ego.route.yaw, ego.speed)
    return actions, integrate(first, actions, step_seconds=1 / fps)


def _path_ahead(motions: np.ndarray, actions: np.ndarray, fps: float) -> np.ndarray:
    """Points [64, 3] where the ego car will be, in its frame at frame 0; between frames its actions are held."""
    x0, y0, yaw0, _ = motions[0]
    points = np.zeros((TRAJECTORY.num_points, 3))
    for k in range(TRAJECTORY.num_points):
        seconds = (k + 1) * TRAJECTORY.spacing_seconds
        i = min(int(seconds * fps + 1e-9), len(actions) - 1)
        acceleration, steering = actions[i].astype(float)
        at = step(Motion(*motions[i]), acceleration, steering, seconds - i / fps)
        east, north = at.x - x0, at.y - y0
        points[k, 0] = east * np.cos(yaw0) + north * np.sin(yaw0)
        points[k, 1] = north * np.cos(yaw0) - east * np.sin(yaw0)
    return points


def _states(
    drives: Drives, ego: np.ndarray, actions: np.ndarray, fps: float
) -> tuple[np.ndarray, np.ndarray]:
    """MuJoCo positions and velocities of the free joints, in the order of the drivers."""
    num_frames, n = len(ego), len(drives.drivers)
    seconds = np.arange(num_frames) / fps
    qpos, qvel = np.zeros((num_frames, n, 7)), np.zeros((num_frames, n, 6))
    for k, driver in enumerate(drives.drivers):
        if k == 0:
            points, yaw, speed = ego[:, :2], ego[:, 2], ego[:, 3]
            turning = yaw_rates(ego, actions)
        else:
            place, speed = drives.at(k, seconds)
            points, yaw = driver.route.point_at(place), driver.route.yaw_at(place)
            turning = np.zeros(num_frames)  # only the ego car turns
        qpos[:, k, :2], qpos[:, k, 3], qpos[:, k, 6] = points, np.cos(yaw / 2), np.sin(yaw / 2)
        qvel[:, k, 0], qvel[:, k, 1] = speed * np.cos(yaw), speed * np.sin(yaw)
        qvel[:, k, 5] = turning
    return qpos.reshape(num_frames, -1), qvel.reshape(num_frames, -1)


def yaw_rates(motions: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """rad/s [t] just after each frame, when its action has begun."""
    return motions[:, 3] * np.tan(actions[:, 1].astype(float)) / WHEELBASE_M


def _facts(
    situation: Situation,
    sky: Sky,
    kinds: dict[str, str],
    motions: np.ndarray,
    actions: np.ndarray,
    poses: np.ndarray,
) -> dict[str, Any]:
    """JSON values."""
    town = situation.town
    return {
        "manoeuvre": situation.variant,
        "world_from_ego": poses.tolist(),
        "speed_m_s": motions[:, 3].tolist(),
        "yaw_rate_rad_s": yaw_rates(motions, actions).tolist(),
        "steering_rad": actions[:, 1].tolist(),
        "wheelbase_m": WHEELBASE_M,
        "traffic": len(situation.drivers) - 1,
        "parked": len(town.parked),
        "layout": {
            "main_lanes": 2 * town.main.lanes,
            "side_lanes": 2 * town.cross.lanes,
            "crossings_y_m": [road.at_m for road in town.ground.along_x],
            "side_streets_x_m": [road.at_m for road in town.ground.along_y],
            "traffic_lights": bool(town.signals),
            "zebra": town.ground.zebra,
        },
        "time_of_day": sky.time,
        "weather": sky.weather,
        "bodies": kinds,
    }
