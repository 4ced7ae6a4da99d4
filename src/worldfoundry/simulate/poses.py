"""Poses of cameras."""

import numpy as np


def look_at(eye: np.ndarray, target: np.ndarray) -> np.ndarray:
    """``world_from_camera`` [4, 4] with OpenCV axes, level, of a camera at ``eye`` with ``target`` in the middle.

    Not for straight up or down: level has no meaning there.
    """
    forward = target - eye
    forward = forward / np.sqrt((forward * forward).sum())
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.sqrt((right * right).sum())
    world_from_camera = np.eye(4)
    world_from_camera[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    world_from_camera[:3, 3] = eye
    return world_from_camera
