"""What happened in a simulated world before anybody filmed it: the contract between worlds and the camera.

A world draws everything from a seed and returns a ``Recording``: the model, its state at each frame, the paths of the
cameras, and what is known in words and numbers. ``film`` turns it into pictures and ground truth. Axes: x right, y away, z
up; metres, radians, seconds. Nothing here needs mujoco or torch.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from worldfoundry.protocols.control import ActionSpec, TrajectorySpec
from worldfoundry.simulate.scenes.looks import Colour, Surface

LEAST_SIZE_PX = 16
"""Smallest height and width of a simulated picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """A small far sun, or a lamp in its stead, and the sky."""

    sun: np.ndarray
    """float64 [3], unit vector towards the sun."""
    sky: tuple[Colour, Colour]
    """Colour at the horizon and above."""
    target: np.ndarray = field(default_factory=lambda: np.zeros(3))
    """float64 [3], the point that the sun is ``distance_m`` away from."""
    distance_m: float = 40.0
    """How far the sun is: much more than what is seen is wide, or its shadows fan out."""
    haze_m: float = 28.0
    """Distance, from 10 m on, at which a thing has faded halfway into the horizon."""
    sun_colour: Colour = (1.0, 1.0, 1.0)
    """Linear strength of what comes straight from the sun."""
    sky_colour: Colour = (1.0, 1.0, 1.0)
    """Linear strength of what comes from everywhere."""
    lamp: np.ndarray | None = None
    """float64 [3], a lamp in a room, which then gives the light and the shadows that the sun gives elsewhere."""
    lamp_reach_m: float = 3.0
    """Distance at which the lamp's light has fallen to half."""
    clouds_seed: int | None = None
    """Chooses the clouds; ``None``: a clear sky."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewpoint:
    """One named camera through time."""

    name: str
    """Unique in the recording, such as ``front`` or ``wrist``."""
    world_from_camera: np.ndarray
    """float64 [t, 4, 4], OpenCV axes (x right, y down, z forward), metres."""
    fov_rad: np.ndarray
    """float64 [t], field of view along the shorter side of the picture; it changes with a zoom."""
    mount: str = "world"
    """Frame of reference that the camera is fixed to, such as ``ego``."""
    mount_from_camera: np.ndarray | None = None
    """float64 [4, 4] where it is fixed to ``mount``; ``None``: each frame brings its pose."""

    @property
    def is_still(self) -> bool:
        """Whether neither the pose nor the lens changes."""
        poses, fov = self.world_from_camera, self.fov_rad
        return bool((poses == poses[0]).all() and (fov == fov[0]).all())

    def intrinsics(self, *, height: int, width: int) -> np.ndarray:
        """K of each frame [t, 3, 3] in pixels; pixel centres at +0.5."""
        k = np.zeros((len(self.fov_rad), 3, 3))
        k[:, 0, 0] = k[:, 1, 1] = 0.5 * min(height, width) / np.tan(self.fov_rad / 2)
        k[:, 0, 2], k[:, 1, 2], k[:, 2, 2] = width / 2, height / 2, 1.0
        return k


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A simulated stretch of time."""

    xml: str
    """MuJoCo model. Things that stand still are geoms of the world, or bodies without joints if they have a name."""
    surfaces: tuple[Surface, ...]
    """Looks, one for each geom in the order of the model."""
    light: Light
    """Sun and sky."""
    qpos: np.ndarray
    """float64 [t, nq], state at each frame."""
    qvel: np.ndarray
    """float64 [t, nv]."""
    viewpoints: tuple[Viewpoint, ...]
    """Cameras; the first is the main one."""
    caption: str
    """What happens, in true English."""
    actions: np.ndarray | None = None
    """float32 [t, a]; row i is what is commanded from frame i to frame i + 1."""
    action_spec: ActionSpec | None = None
    """What the actions mean."""
    trajectory: np.ndarray | None = None
    """float64 [p, d], the path ahead of the first frame."""
    trajectory_spec: TrajectorySpec | None = None
    """What the trajectory means."""
    success: bool | None = None
    """Whether the task was fulfilled, where there is one."""
    facts: dict[str, Any] = field(default_factory=dict)
    """More that is true, as JSON values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A kind of world."""

    record: Callable[..., Recording]
    """``record(seed=, num_frames=, fps=, variant=)``; ``variant`` is ``None`` (drawn from the seed) or one of ``variants``."""
    variants: tuple[str, ...] = ()
    """What can be asked for, such as ``push``."""
