"""Clips with ground truth: ``simulate("free-fall", seed=0)``.

World axes: x right, y away from the camera, z up; metres, seconds. One seed is one world: the same seed, sizes and
software versions give the same bytes, and a longer clip begins with the shorter one.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from worldfoundry.core.errors import ConfigError
from worldfoundry.protocols.control import CameraSpec, ControlSpec
from worldfoundry.protocols.video import Camera, Frames
from worldfoundry.simulate.recording import LEAST_SIZE_PX, Recording, Viewpoint
from worldfoundry.simulate.render import Renderer, open_renderer
from worldfoundry.simulate.render.context import import_mujoco
from worldfoundry.simulate.worlds import find_world


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmedView:
    """What one camera saw, and what is true of each of its pixels."""

    name: str
    """Of the viewpoint."""
    frames: Frames
    """Pictures."""
    camera: Camera
    """One pose a frame; pixel centres at +0.5."""
    segmentation: np.ndarray
    """int16 [t, h, w]: ``k > 0`` is ``body_names[k - 1]``, 0 the nameless unmoving world, -1 the sky."""
    depth: np.ndarray
    """float32 [t, h, w], metres along the optical axis, inf for the sky."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedClip:
    """A simulated clip and everything that is true about it."""

    scene: str
    """Name of the world, with the variant that was asked for."""
    seed: int
    """Seed that drew it."""
    caption: str
    """What happens."""
    views: tuple[FilmedView, ...]
    """One a camera; the first is the main one."""
    body_names: tuple[str, ...]
    """The ``n`` bodies."""
    body_positions: np.ndarray
    """float64 [t, n, 3], origins in the world: the centres of bodies of one piece."""
    body_quaternions: np.ndarray
    """float64 [t, n, 4], world from body, wxyz."""
    body_velocities: np.ndarray
    """float64 [t, n, 6] of the origins, linear then angular, both in the world's axes."""
    contacts: np.ndarray
    """float64 [c, 9], one touching pair of geoms a row: frame, two body ids as in ``segmentation``, point and normal from the
    first to the second body in the world's axes (m, unit)."""
    controls: ControlSpec
    """What the cameras, the actions and the trajectory mean."""
    actions: np.ndarray | None = None
    """float32 [t, a]; row i is what is commanded from frame i to frame i + 1."""
    trajectory: np.ndarray | None = None
    """float64 [p, d], the path ahead of the first frame."""
    success: bool | None = None
    """Whether the task was fulfilled, where there is one."""
    facts: dict[str, Any]
    """More that is true, as JSON values."""

    @property
    def frames(self) -> Frames:
        """Pictures of the main view."""
        return self.views[0].frames

    @property
    def camera(self) -> Camera:
        """Camera of the main view."""
        return self.views[0].camera

    @property
    def segmentation(self) -> np.ndarray:
        """Segmentation of the main view."""
        return self.views[0].segmentation

    @property
    def depth(self) -> np.ndarray:
        """Depth of the main view."""
        return self.views[0].depth


def simulate(
    scene: str,
    *,
    seed: int,
    num_frames: int = 37,
    fps: float = 10.0,
    height: int = 64,
    width: int = 64,
    renderer: str = "raycast",
) -> SimulatedClip:
    """Simulate and film a world of ``WORLDS``, by name (``arm``) or name and variant (``arm/push``).

    ``renderer`` is ``raycast`` (default: the same bytes with or without a GPU), ``gl`` (OpenGL, looks depend on the
    driver) or ``auto`` (``gl`` where a context can be made, else ``raycast``).
    """
    world, variant = find_world(scene)
    _check(num_frames=num_frames, fps=fps, height=height, width=width)
    recording = world.record(seed=seed, num_frames=num_frames, fps=fps, variant=variant)
    mujoco = import_mujoco()
    model = mujoco.MjModel.from_xml_string(recording.xml)
    with open_renderer(renderer, recording, model, height=height, width=width) as renderer_of:
        views = tuple(
            _film(recording, model, v, renderer_of(v), fps=fps, height=height, width=width)
            for v in recording.viewpoints
        )
    return SimulatedClip(
        scene=scene,
        seed=seed,
        caption=recording.caption,
        views=views,
        body_names=tuple(model.body(k).name for k in range(1, model.nbody)),
        **_body_states(recording, model),
        controls=ControlSpec(
            actions=recording.action_spec,
            cameras=tuple(_camera_spec(v, height=height, width=width) for v in recording.viewpoints),
            trajectory=recording.trajectory_spec,
        ),
        actions=recording.actions,
        trajectory=recording.trajectory,
        success=recording.success,
        facts=recording.facts,
    )


def _film(
    recording: Recording,
    model: Any,
    viewpoint: Viewpoint,
    camera: Renderer,
    *,
    fps: float,
    height: int,
    width: int,
) -> FilmedView:
    """Everything that one camera sees."""
    mujoco = import_mujoco()
    data, num_frames = mujoco.MjData(model), len(recording.qpos)
    pixels = np.empty((num_frames, height, width, 3), np.uint8)
    segmentation = np.empty((num_frames, height, width), np.int16)
    depth = np.empty((num_frames, height, width), np.float32)
    for t in range(num_frames):
        data.qpos[:] = recording.qpos[t]
        mujoco.mj_kinematics(model, data)
        picture = camera.render(data, t)
        pixels[t], segmentation[t], depth[t] = picture.rgb, picture.segmentation, picture.depth
    intrinsics = viewpoint.intrinsics(height=height, width=width)
    zooms = (intrinsics != intrinsics[0]).any()
    return FilmedView(
        name=viewpoint.name,
        frames=Frames.at_constant_rate(pixels, fps),
        camera=Camera(
            intrinsics=intrinsics if zooms else intrinsics[0], world_from_camera=viewpoint.world_from_camera
        ),
        segmentation=segmentation,
        depth=depth,
    )


def _camera_spec(viewpoint: Viewpoint, *, height: int, width: int) -> CameraSpec:
    """How the camera enters the contract of controls."""
    k = viewpoint.intrinsics(height=height, width=width)
    mount, pose = viewpoint.mount, viewpoint.mount_from_camera
    if pose is None and mount == "world" and viewpoint.is_still:
        pose = viewpoint.world_from_camera[0]
    placed = np.eye(4) if pose is None else pose
    return CameraSpec(
        name=viewpoint.name,
        width=width,
        height=height,
        intrinsics=_matrix(k[0]),
        lens="zoom" if (k != k[0]).any() else "fixed",
        mount=mount,
        pose="per_frame" if pose is None else "fixed",
        mount_from_camera=_matrix(placed),
    )


def _matrix(values: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in values.tolist())


def _body_states(recording: Recording, model: Any) -> dict[str, np.ndarray]:
    """Poses, velocities and contacts of every body at every frame."""
    mujoco = import_mujoco()
    data, num_frames, n = mujoco.MjData(model), len(recording.qpos), model.nbody - 1
    positions, quaternions = np.empty((num_frames, n, 3)), np.empty((num_frames, n, 4))
    velocities, contacts = np.empty((num_frames, n, 6)), [np.empty((0, 9))]
    spatial = np.empty(6)
    for t in range(num_frames):
        data.qpos[:], data.qvel[:] = recording.qpos[t], recording.qvel[t]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_comVel(model, data)
        positions[t], quaternions[t] = data.xpos[1:], data.xquat[1:]
        for body in range(1, n + 1):
            mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, body, spatial, 0)
            velocities[t, body - 1] = spatial[[3, 4, 5, 0, 1, 2]]
        mujoco.mj_collision(model, data)
        contacts.append(_touching(model, data, t))
    return {
        "body_positions": positions,
        "body_quaternions": quaternions,
        "body_velocities": velocities,
        "contacts": np.concatenate(contacts),
    }


def _touching(model: Any, data: Any, t: int) -> np.ndarray:
    """Rows of ``SimulatedClip.contacts`` of the current state; pairs that are only near are left out."""
    found = data.contact
    bodies = model.geom_bodyid[found.geom]
    rows = np.column_stack([np.full(len(bodies), t), bodies, found.pos, found.frame[:, :3]])
    return rows[found.dist <= 0]


def _check(*, num_frames: int, fps: float, height: int, width: int) -> None:
    if num_frames < 1:
        raise ConfigError(f"num_frames must be at least 1, got {num_frames}; a still image is one frame")
    if not 0 < fps < math.inf:
        raise ConfigError(f"fps must be positive and finite, got {fps}; the samples use 10")
    for name, value in (("height", height), ("width", width)):
        if value < LEAST_SIZE_PX:
            raise ConfigError(
                f"{name} must be at least {LEAST_SIZE_PX} pixels, got {value}; the samples use 64"
            )
