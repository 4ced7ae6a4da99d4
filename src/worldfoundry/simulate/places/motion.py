"""How cameras move: to and fro along a leg, level, or trembling in a hand."""

from dataclasses import dataclass

import numpy as np

_TURN_ROUND_SECONDS = 0.6
_SHAKE_HZ = np.array([0.5, 0.9, 1.6, 2.7])


@dataclass(frozen=True, slots=True, kw_only=True)
class Shake:
    """How a hand trembles, and steps if it walks: sums of sines."""

    phases: np.ndarray
    """float64 [6, 4], rad; three of the place, three of the direction."""
    reach_m: float
    """Most that one axis leaves its place, without the steps."""
    reach_rad: float
    """Most that one axis turns."""
    step_m: float
    """Height of the steps' bob; 0 if it stands."""
    step_hz: float
    """Steps a second."""

    def moved(self, poses: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """Poses with the trembling on top."""
        weights = np.array([0.4, 0.3, 0.2, 0.1])
        waves = np.sin(2 * np.pi * _SHAKE_HZ * seconds[:, None, None] + self.phases) @ weights
        out = poses.copy()
        out[:, :3, 3] += self.reach_m * waves[:, :3]
        out[:, 2, 3] += self.step_m * np.sin(2 * np.pi * self.step_hz * seconds)
        out[:, :3, :3] = poses[:, :3, :3] @ _small_rotations(self.reach_rad * waves[:, 3:])
        return out


def swing(seconds: np.ndarray, leg: float) -> np.ndarray:
    """Time along a leg: there at constant speed, back, and so on; it turns round smoothly and stays in [0, leg]."""
    half = _TURN_ROUND_SECONDS / 2
    from_end = np.abs(np.mod(seconds, 2 * leg) - leg)  # leg at the start, 0 at the far end
    from_end = np.where(from_end < half, (from_end**2 + half**2) / (2 * half), from_end)
    here = leg - from_end
    comes_back = (here < half) & (seconds > leg)
    return np.where(comes_back, (here**2 + half**2) / (2 * half), here)


def level_poses(eyes: np.ndarray, forwards: np.ndarray) -> np.ndarray:
    """``world_from_camera`` [t, 4, 4] with OpenCV axes and a level horizon."""
    right = np.stack([forwards[:, 1], -forwards[:, 0], 0 * forwards[:, 0]], 1)
    right /= np.sqrt((right * right).sum(1, keepdims=True))
    poses = np.tile(np.eye(4), (len(eyes), 1, 1))
    poses[:, :3, 0], poses[:, :3, 2], poses[:, :3, 3] = right, forwards, eyes
    poses[:, :3, 1] = np.cross(forwards, right)
    return poses


def _small_rotations(angles: np.ndarray) -> np.ndarray:
    """Rotations [t, 3, 3] about x, y and z, one after the other."""
    (cx, cy, cz), (sx, sy, sz), one = np.cos(angles).T, np.sin(angles).T, np.ones(len(angles))
    zero = 0 * one
    rx = np.array([[one, zero, zero], [zero, cx, -sx], [zero, sx, cx]]).transpose(2, 0, 1)
    ry = np.array([[cy, zero, sy], [zero, one, zero], [-sy, zero, cy]]).transpose(2, 0, 1)
    rz = np.array([[cz, -sz, zero], [sz, cz, zero], [zero, zero, one]]).transpose(2, 0, 1)
    return rx @ ry @ rz
