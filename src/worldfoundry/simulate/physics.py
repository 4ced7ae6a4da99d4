"""Physics scenes set in motion: a world worth watching, its states at each frame, its caption."""

from typing import Any, NamedTuple

import numpy as np

from worldfoundry.simulate.poses import look_at
from worldfoundry.simulate.recording import Light, Recording, Viewpoint
from worldfoundry.simulate.render.context import import_mujoco
from worldfoundry.simulate.scenes import SCENES, TIMESTEP_SECONDS, Scene
from worldfoundry.simulate.scenes.captions import caption_of
from worldfoundry.simulate.scenes.world import Outcome

_WATCHED_SECONDS = 3.7
_INSIDE = 0.92
_LEAST_DROP_M = 0.1
_STILL_M = 0.01
_MOST_DRAWS = 64


class _States(NamedTuple):
    """MuJoCo states at several times."""

    qpos: np.ndarray
    qvel: np.ndarray

    def at(self, index: np.ndarray) -> "_States":
        return _States(self.qpos[index], self.qvel[index])


def record_physics(
    scene: str, *, seed: int, num_frames: int, fps: float, variant: str | None = None
) -> Recording:
    """Let one scene of ``SCENES`` happen; these have no variants."""
    del variant
    world, model, states = _draw(scene, seed, np.arange(num_frames) / fps)
    pose = look_at(world.view.eye, world.view.target)
    colours = [world.surfaces[first].colour for first in model.body_geomadr[1:]]
    camera = Viewpoint(
        name="front",
        world_from_camera=np.repeat(pose[None], num_frames, 0),
        fov_rad=np.full(num_frames, world.view.fov_rad),
    )
    return Recording(
        xml=world.xml,
        surfaces=world.surfaces,
        light=Light(sun=world.view.sun, sky=world.view.sky, target=world.view.target),
        qpos=states.qpos,
        qvel=states.qvel,
        viewpoints=(camera,),
        caption=caption_of(scene, world.body_names, colours, _centres(states.qpos)),
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
    positions = _centres(states.qpos)
    world_from_camera = look_at(world.view.eye, world.view.target)
    local = (positions - world_from_camera[:3, 3]) @ world_from_camera[:3, :3]
    off_centre = np.abs(local[..., :2] / local[..., 2:]).max() * (1 / np.tan(world.view.fov_rad / 2))
    return bool(off_centre < _INSIDE and _happens(world.outcome, positions))


def _centres(qpos: np.ndarray) -> np.ndarray:
    """Centres [t, n, 3] of free bodies."""
    return qpos.reshape(len(qpos), -1, 7)[..., :3]


def _happens(outcome: Outcome, positions: np.ndarray) -> bool:
    """Whether centres [t, n, 3] show the outcome."""
    drop = positions[0, :, 2] - positions[-1, :, 2]
    reach = np.abs(positions - positions[0]).max(axis=(0, 2))
    if outcome == "all-fall":
        return bool(drop.min() > _LEAST_DROP_M)
    if outcome == "some-fall":
        return bool(drop.max() > _LEAST_DROP_M)
    return bool(reach.max() < _STILL_M if outcome == "rests" else reach.max() > _LEAST_DROP_M)
