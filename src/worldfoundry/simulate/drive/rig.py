"""Rigs: named cameras that are fixed to the ego car."""

import math
from dataclasses import dataclass

import numpy as np

from worldfoundry.core.errors import ConfigError
from worldfoundry.simulate.poses import look_at
from worldfoundry.simulate.recording import Viewpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One camera of a rig."""

    name: str
    """Unique in the rig."""
    ego_from_camera: np.ndarray
    """float64 [4, 4], camera (OpenCV axes) in the ego frame: x forward, y left, z up, origin on the road below the rear axle."""
    fov_rad: float
    """Field of view along the shorter side of the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """Cameras in the order in which they are filmed; the first is the main one."""

    mounts: tuple[Mount, ...]

    def __post_init__(self):
        names = [mount.name for mount in self.mounts]
        if not names or len(set(names)) < len(names):
            raise ConfigError(
                f"mounts must have one name each and be at least one, got {names}; name each mount once"
            )

    def only(self, *names: str) -> "Rig":
        """The rig with some of its cameras, in the order of ``names``."""
        by_name = {mount.name: mount for mount in self.mounts}
        unknown = [name for name in names if name not in by_name]
        if unknown:
            raise ConfigError(f"names must be cameras of the rig, got {unknown}; it has {', '.join(by_name)}")
        return Rig(mounts=tuple(by_name[name] for name in names))

    def viewpoints(self, world_from_ego: np.ndarray) -> tuple[Viewpoint, ...]:
        """Cameras carried along poses [t, 4, 4]."""
        return tuple(
            Viewpoint(
                name=mount.name,
                world_from_camera=world_from_ego @ mount.ego_from_camera,
                fov_rad=np.full(len(world_from_ego), mount.fov_rad),
                mount="ego",
                mount_from_camera=mount.ego_from_camera,
            )
            for mount in self.mounts
        )


def mount(
    name: str, *, at: tuple[float, float, float], yaw_rad: float, pitch_rad: float, fov_rad: float
) -> Mount:
    """A level camera at a place in the ego frame; ``yaw_rad`` counts from ahead to the left, ``pitch_rad`` upwards."""
    forward = np.array(
        [
            math.cos(yaw_rad) * math.cos(pitch_rad),
            math.sin(yaw_rad) * math.cos(pitch_rad),
            math.sin(pitch_rad),
        ]
    )
    place = np.array(at)
    return Mount(name=name, ego_from_camera=look_at(place, place + forward), fov_rad=fov_rad)


def _around(name: str, yaw_degrees: float, at: tuple[float, float, float]) -> Mount:
    return mount(
        name, at=at, yaw_rad=math.radians(yaw_degrees), pitch_rad=math.radians(-2), fov_rad=math.radians(75)
    )


SIX_VIEWS = Rig(
    mounts=(
        _around("front", 0.0, (2.45, 0.0, 1.62)),
        _around("front-left", 60.0, (1.7, 0.62, 1.62)),
        _around("front-right", -60.0, (1.7, -0.62, 1.62)),
        _around("back", 180.0, (-0.25, 0.0, 1.62)),
        _around("back-left", 120.0, (0.1, 0.62, 1.62)),
        _around("back-right", -120.0, (0.1, -0.62, 1.62)),
    )
)
"""Six cameras on the roof that see all around. Source: the six views of arXiv 2501.03575, section 6.3 (front, left, right, rear,
rear left, rear right); places and lenses are ours."""
