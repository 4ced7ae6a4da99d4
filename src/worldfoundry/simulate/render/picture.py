"""What a renderer gives."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

SKY = -1
"""Segmentation of pixels that hit nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One rendered frame with its ground truth."""

    rgb: np.ndarray
    """uint8 [h, w, 3]."""
    segmentation: np.ndarray
    """int16 [h, w]: body id, 0 static world, -1 sky."""
    depth: np.ndarray
    """float32 [h, w], metres along the optical axis, inf for the sky."""


@runtime_checkable
class Renderer(Protocol):
    """Looks at the current state of a scene."""

    def render(self, data: Any, t: int) -> Picture:
        """Picture of ``data`` (kinematics already computed) from where the camera is at frame ``t``."""
        ...
