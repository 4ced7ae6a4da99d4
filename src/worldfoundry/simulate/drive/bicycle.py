"""Kinematic bicycle: how acceleration and steering move a car, exactly.

The reference point is the middle of the rear axle, which never slips sideways. Both commands are held for a step, so a step is
a circular arc that is driven with constant acceleration.
Source: R. Rajamani, Vehicle Dynamics and Control, chapter 2, with the slip angle of the rear axle at zero.
"""

from typing import NamedTuple

import numpy as np

WHEELBASE_M = 2.75
"""Of the ego car."""
LARGEST_STEERING_RAD = 0.6
"""How far the front wheels turn."""


class Motion(NamedTuple):
    """Where a car is and how fast."""

    x: float
    """Metres, world."""
    y: float
    """Metres, world."""
    yaw: float
    """Radians from the world's x axis, counterclockwise."""
    speed: float
    """m/s along the heading, never negative."""


def step(
    motion: Motion,
    acceleration: float,
    steering_rad: float,
    seconds: float,
    *,
    wheelbase_m: float = WHEELBASE_M,
) -> Motion:
    """Motion after holding an acceleration (m/s2) and a steering angle (positive: left) for a time.

    >>> step(Motion(0.0, 0.0, 0.0, 2.0), 1.0, 0.0, 2.0)
    Motion(x=6.0, y=0.0, yaw=0.0, speed=4.0)
    """
    distance = motion.speed * seconds + acceleration * seconds**2 / 2
    half_turn = distance * np.tan(steering_rad) / wheelbase_m / 2
    chord = distance * float(np.sinc(half_turn / np.pi))
    heading = motion.yaw + half_turn
    return Motion(
        float(motion.x + chord * np.cos(heading)),
        float(motion.y + chord * np.sin(heading)),
        float(motion.yaw + 2 * half_turn),
        float(motion.speed + acceleration * seconds),
    )


def integrate(
    start: Motion, actions: np.ndarray, *, step_seconds: float, wheelbase_m: float = WHEELBASE_M
) -> np.ndarray:
    """Rows (x, y, yaw, speed) float64 [t + 1, 4] of a car that carries out ``actions`` [t, 2] one after another.

    An action is (acceleration in m/s2, steering angle in rad).
    """
    motions = [start]
    for acceleration, steering in np.asarray(actions, float).tolist():
        motions.append(step(motions[-1], acceleration, steering, step_seconds, wheelbase_m=wheelbase_m))
    return np.array(motions)


def pose_of(x: float, y: float, yaw: float) -> np.ndarray:
    """``world_from_ego`` [4, 4] of a car on level ground; ego axes x forward, y left, z up."""
    pose = np.eye(4)
    c, s = np.cos(yaw), np.sin(yaw)
    pose[:2, :2] = [[c, -s], [s, c]]
    pose[:2, 3] = x, y
    return pose
