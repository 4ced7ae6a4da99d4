"""Footprints: how far oriented rectangles are apart."""

import numpy as np


def separation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Largest gap [...] between rectangles along any of their four axes; negative where they overlap.

    Rows are (x, y, yaw, half length, half width) [..., 5], broadcast against each other. Exact about overlap by the separating
    axis theorem; apart, the true distance is at least this.
    """
    a, b = np.broadcast_arrays(a, b)
    away = b[..., :2] - a[..., :2]
    axes_a, axes_b = _axes(a[..., 2]), _axes(b[..., 2])
    gaps = []
    for axis in (*axes_a, *axes_b):
        reach = sum(
            half * np.abs((axis * side).sum(-1))
            for box, sides in ((a, axes_a), (b, axes_b))
            for half, side in zip((box[..., 3], box[..., 4]), sides, strict=True)
        )
        gaps.append(np.abs((away * axis).sum(-1)) - reach)
    return np.asarray(np.max(gaps, axis=0))


def _axes(yaw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    c, s = np.cos(yaw), np.sin(yaw)
    return np.stack([c, s], -1), np.stack([-s, c], -1)
