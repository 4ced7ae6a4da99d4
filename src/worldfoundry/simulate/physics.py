"""Physics clips with ground truth: ``simulate("free-fall", seed=0)``.

World axes: x right, y away from the camera, z up; metres, seconds. One seed is one world: the same seed, sizes and
software versions give the same bytes, and a longer clip begins with the shorter one.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from worldfoundry.core.errors import ConfigError, UnknownNameError
from worldfoundry.protocols.video import Camera, Frames
from worldfoundry.simulate.render import camera_matrices, import_mujoco, make_renderer
from worldfoundry.simulate.scenes import LEAST_SIZE_PX, SCENES, TIMESTEP_SECONDS, Scene
from worldfoundry.simulate.scenes.world import Outcome

_WATCHED_SECONDS = 3.7
_INSIDE = 0.92
_LEAST_DROP_M = 0.1
_STILL_M = 0.01
_MOST_DRAWS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedClip:
    """A simulated clip and everything that is true about it."""

    scene: str
    """Name of the scene."""
    seed: int
    """Seed that drew it."""
    frames: Frames
    """What the camera saw."""
    camera: Camera
    """One pose a frame; pixel centres at +0.5."""
    segmentation: np.ndarray
    """int16 [t, h, w]: ``k > 0`` is ``body_names[k - 1]``, 0 the static world, -1 the sky."""
    depth: np.ndarray
    """float32 [t, h, w], metres along the optical axis, inf for the sky."""
    body_names: tuple[str, ...]
    """The ``n`` moving bodies."""
    body_positions: np.ndarray
    """float64 [t, n, 3], centres in the world."""
    body_quaternions: np.ndarray
    """float64 [t, n, 4], world from body, wxyz."""
    body_velocities: np.ndarray
    """float64 [t, n, 6], linear then angular, both in the world's axes."""
    contacts: np.ndarray
    """float64 [c, 9], one touching pair of geoms a row: frame, two body ids as in ``segmentation``, point and normal from the
    first to the second body in the world's axes (m, unit)."""


class _States(NamedTuple):
    """MuJoCo states at several times."""

    qpos: np.ndarray
    qvel: np.ndarray

    def at(self, index: np.ndarray) -> "_States":
        return _States(self.qpos[index], self.qvel[index])


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
    """Simulate and film one scene of ``SCENES``.

    ``renderer`` is ``raycast`` (default: the same bytes with or without a GPU), ``gl`` (OpenGL, looks depend on the
    driver) or ``auto`` (``gl`` where a context can be made, else ``raycast``).
    """
    if scene not in SCENES:
        raise UnknownNameError("scene", scene, SCENES)
    _check(num_frames=num_frames, fps=fps, height=height, width=width)
    mujoco = import_mujoco()
    world, model, states = _draw(scene, seed, np.arange(num_frames) / fps)
    camera = make_renderer(renderer, world, model, height=height, width=width)
    data = mujoco.MjData(model)
    n = len(world.body_names)
    pixels = np.empty((num_frames, height, width, 3), np.uint8)
    segmentation = np.empty((num_frames, height, width), np.int16)
    depth = np.empty((num_frames, height, width), np.float32)
    velocities = np.empty((num_frames, n, 6))
    contacts = [np.empty((0, 9))]
    for t in range(num_frames):
        data.qpos[:], data.qvel[:] = states.qpos[t], states.qvel[t]
        mujoco.mj_kinematics(model, data)
        picture = camera.render(data)
        pixels[t], segmentation[t], depth[t] = picture.rgb, picture.segmentation, picture.depth
        velocities[t] = _world_velocities(data, n)
        mujoco.mj_collision(model, data)
        contacts.append(_touching(model, data, t))
    poses = states.qpos.reshape(num_frames, n, 7)
    intrinsics, world_from_camera = camera_matrices(world.view, height=height, width=width)
    return SimulatedClip(
        scene=scene,
        seed=seed,
        frames=Frames.at_constant_rate(pixels, fps),
        camera=Camera(
            intrinsics=intrinsics, world_from_camera=np.repeat(world_from_camera[None], num_frames, 0)
        ),
        segmentation=segmentation,
        depth=depth,
        body_names=world.body_names,
        body_positions=poses[..., :3].copy(),
        body_quaternions=poses[..., 3:].copy(),
        body_velocities=velocities,
        contacts=np.concatenate(contacts),
    )


def _draw(scene: str, seed: int, seconds: np.ndarray) -> tuple[Scene, Any, _States]:
    """The seed's first world in which no body's centre leaves the picture, its model, and its states at ``seconds``.

    What is watched does not depend on ``seconds``, so that a longer clip begins with the shorter one.
    """
    mujoco = import_mujoco()
    rng = np.random.default_rng(seed)
    watched = np.linspace(0, _WATCHED_SECONDS, 38)
    times, place = np.unique(np.concatenate([watched, seconds]), return_inverse=True)
    for _ in range(_MOST_DRAWS):
        world = SCENES[scene](rng)
        model = mujoco.MjModel.from_xml_string(world.xml)
        states = _roll_out(world, model, times)
        if _is_worth_watching(world, states.at(place[: len(watched)])):
            return world, model, states.at(place[len(watched) :])
    raise AssertionError(f"scene {scene!r}: no good world in {_MOST_DRAWS} draws of seed {seed}")


def _roll_out(world: Scene, model: Any, seconds: np.ndarray) -> _States:
    """States at increasing times after the pre-roll, each at the nearest step."""
    mujoco = import_mujoco()
    data = mujoco.MjData(model)
    data.qvel[:] = world.initial_velocities.ravel()
    states = _States(np.empty((len(seconds), model.nq)), np.empty((len(seconds), model.nv)))
    preroll, done = round(world.preroll_seconds / TIMESTEP_SECONDS), 0
    for k, until in enumerate(preroll + np.round(seconds / TIMESTEP_SECONDS).astype(int)):
        if until > done:
            mujoco.mj_step(model, data, int(until) - done)
            done = int(until)
        states.qpos[k], states.qvel[k] = data.qpos, data.qvel
    return states


def _is_worth_watching(world: Scene, states: _States) -> bool:
    """Every body's centre stays well inside a square picture, and the bodies do what the scene is about.

    Centres alone: of a body near the edge a part may be outside.
    """
    positions = states.qpos.reshape(len(states.qpos), -1, 7)[..., :3]
    intrinsics, world_from_camera = camera_matrices(world.view, height=2, width=2)
    local = (positions - world_from_camera[:3, 3]) @ world_from_camera[:3, :3]
    off_centre = np.abs(local[..., :2] / local[..., 2:]).max() * intrinsics[0, 0]
    return bool(off_centre < _INSIDE and _happens(world.outcome, positions))


def _happens(outcome: Outcome, positions: np.ndarray) -> bool:
    """Whether centres [t, n, 3] show the outcome."""
    drop = positions[0, :, 2] - positions[-1, :, 2]
    reach = np.abs(positions - positions[0]).max(axis=(0, 2))
    if outcome == "all-fall":
        return bool(drop.min() > _LEAST_DROP_M)
    if outcome == "some-fall":
        return bool(drop.max() > _LEAST_DROP_M)
    return bool(reach.max() < _STILL_M if outcome == "rests" else reach.max() > _LEAST_DROP_M)


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


def _world_velocities(data: Any, n: int) -> np.ndarray:
    """Velocities [n, 6] of free bodies; MuJoCo keeps the angular part in the body's own axes."""
    velocities = data.qvel.reshape(n, 6).copy()
    world_from_body = data.xmat[1 : n + 1].reshape(n, 3, 3)
    velocities[:, 3:] = (world_from_body * velocities[:, None, 3:]).sum(-1)
    return velocities


def _touching(model: Any, data: Any, t: int) -> np.ndarray:
    """Rows of ``SimulatedClip.contacts`` of the current state; pairs that are only near are left out."""
    found = data.contact
    bodies = model.geom_bodyid[found.geom]
    rows = np.column_stack([np.full(len(bodies), t), bodies, found.pos, found.frame[:, :3]])
    return rows[found.dist <= 0]
