"""Poses of the end effector, and the 7-D actions that move it.

An action moves the end effector in its own axes: ``p' = p + R d`` and ``R' = R Rz(dyaw) Ry(dpitch) Rx(droll)``. Roll, pitch
and yaw are those of ``R = Rz(yaw) Ry(pitch) Rx(roll)``. Quaternions are wxyz. Metres, radians.
"""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Where something is and how it is turned."""

    position: np.ndarray
    """float64 [3], metres."""
    quaternion: np.ndarray
    """float64 [4], wxyz, unit."""

    @property
    def rotation(self) -> np.ndarray:
        """float64 [3, 3]; columns are the axes of the thing."""
        w, x, y, z = self.quaternion
        return np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )

    @property
    def roll_pitch_yaw(self) -> np.ndarray:
        """float64 [3], radians; pitch within a quarter turn."""
        w, x, y, z = self.quaternion
        roll = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
        pitch = math.asin(max(-1.0, min(1.0, 2 * (w * y - x * z))))
        return np.array([roll, pitch, math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))])


def pose_at(position: np.ndarray, roll_pitch_yaw: np.ndarray) -> Pose:
    """Pose of a position [3] and three angles [3]."""
    (sr, cr), (sp, cp), (sy, cy) = ((math.sin(a / 2), math.cos(a / 2)) for a in roll_pitch_yaw.tolist())
    quaternion = [
        cr * cp * cy + sr * sp * sy,
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
    ]
    return Pose(position=np.array(position, float), quaternion=np.array(quaternion))


def joined(first: Pose, second: Pose) -> Pose:
    """The second pose, given in the first one's axes, in the axes that the first one is given in."""
    (a, b, c, d), (e, f, g, h) = first.quaternion.tolist(), second.quaternion.tolist()
    q = np.array(
        [
            a * e - b * f - c * g - d * h,
            a * f + b * e + c * h - d * g,
            a * g - b * h + c * e + d * f,
            a * h + b * g - c * f + d * e,
        ]
    )
    position = first.position + (first.rotation * second.position).sum(1)
    return Pose(position=position, quaternion=q / math.sqrt((q * q).sum()))


def inverted(pose: Pose) -> Pose:
    """The pose that undoes this one."""
    quaternion = pose.quaternion * np.array([1.0, -1, -1, -1])
    position = -(pose.rotation.T * pose.position).sum(1)
    return Pose(position=position, quaternion=quaternion)


def moved(pose: Pose, delta: np.ndarray) -> Pose:
    """Pose after the six deltas dx, dy, dz, droll, dpitch, dyaw in its own axes.

    >>> quarter = np.array([0, 0, 0, 0, 0, math.pi / 2])
    >>> ahead = np.array([1.0, 0, 0, 0, 0, 0])
    >>> start = pose_at(np.zeros(3), np.zeros(3))
    >>> moved(moved(start, quarter), ahead).position.round(6).tolist()
    [0.0, 1.0, 0.0]
    """
    delta = np.asarray(delta, float)
    return joined(pose, pose_at(delta[:3], delta[3:6]))


def deltas_between(start: Pose, end: Pose) -> np.ndarray:
    """The six deltas that ``moved`` takes from ``start`` to ``end``, float64 [6]."""
    step = joined(inverted(start), end)
    return np.concatenate([step.position, step.roll_pitch_yaw])


def angle_between(first: Pose, second: Pose) -> float:
    """Angle of the turn from one to the other, radians in [0, pi]."""
    w, *xyz = joined(inverted(first), second).quaternion.tolist()
    return 2 * math.atan2(math.hypot(*xyz), abs(w))
