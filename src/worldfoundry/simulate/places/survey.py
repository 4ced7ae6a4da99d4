"""Whether a flight is clear of everything, and what it looks at."""

from typing import Any

import numpy as np

from worldfoundry.simulate.places.flights import Flight
from worldfoundry.simulate.places.motion import level_poses
from worldfoundry.simulate.places.place import Place
from worldfoundry.simulate.render.context import import_mujoco
from worldfoundry.simulate.scenes.looks import Surface

CLEAR_M = 0.25
"""Least distance of a camera from every surface."""
_SAMPLES, _LOOKS, _GRID = 121, 7, 20


class Surveyor:
    """Measures one place."""

    def __init__(self, place: Place, model: Any, surfaces: tuple[Surface, ...]):
        self._mujoco = import_mujoco()
        self._model, self._place = model, place
        self._data = self._mujoco.MjData(model)
        self._mujoco.mj_kinematics(model, self._data)
        self._plane = model.geom_type == self._mujoco.mjtGeom.mjGEOM_PLANE
        self._patterned = np.array([s.pattern != "plain" for s in surfaces])
        self._near = 1.0 if place.zone.scale == 1 else 2.0

    def is_good(self, flight: Flight) -> bool:
        """Whether the whole leg is clear and always has something to look at."""
        eyes, forwards, fov = flight.path(np.linspace(0, flight.leg_seconds, _SAMPLES))
        zone = self._place.zone
        if (eyes < zone.low).any() or (eyes > zone.high).any():
            return False
        tremble = 0.0 if flight.shake is None else 2 * flight.shake.reach_m + flight.shake.step_m
        if self.clearance(eyes).min() < CLEAR_M + tremble + 0.01:
            return False
        at = np.linspace(0, _SAMPLES - 1, _LOOKS).astype(int)
        poses = level_poses(eyes[at], forwards[at])
        subject = None if flight.subject is None else self._model.body(flight.subject.name).id
        return all(self._is_worth_seeing(pose, f, subject) for pose, f in zip(poses, fov[at], strict=True))

    def clearance(self, points: np.ndarray) -> np.ndarray:
        """Metres [n] from points [n, 3] to the nearest box around a geom: at most the distance to the geom."""
        model, data = self._model, self._data
        solid = ~self._plane
        offset = points[:, None] - data.geom_xpos[solid]
        local = np.einsum("gij,ngi->ngj", data.geom_xmat[solid].reshape(-1, 3, 3), offset)
        box = model.geom_aabb[solid]
        outside = np.clip(np.abs(local - box[:, :3]) - box[:, 3:], 0, None)
        nearest = np.sqrt((outside * outside).sum(-1)).min(1)
        return np.minimum(nearest, points[:, 2]) if self._plane.any() else nearest

    def look(self, pose: np.ndarray, fov: float, grid: int = _GRID) -> tuple[np.ndarray, np.ndarray]:
        """Geom (-1: sky) and distance of a grid of rays [grid * grid] over the square picture."""
        edge = np.tan(fov / 2)
        steps = ((np.arange(grid) + 0.5) / grid * 2 - 1) * edge
        y, x = np.meshgrid(steps, steps, indexing="ij")
        rays = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3) @ pose[:3, :3].T
        rays /= np.sqrt((rays * rays).sum(1, keepdims=True))
        n = len(rays)
        geom, distance = np.full(n, -1, np.int32), np.full(n, -1.0)
        self._mujoco.mj_multiRay(
            self._model, self._data, pose[:3, 3], rays.reshape(-1), None, 1, -1, geom, distance, None, n, 1e6
        )
        return geom, np.where(geom < 0, np.inf, distance)

    def bodies_seen(self, poses: np.ndarray, fov: np.ndarray) -> np.ndarray:
        """Largest share [bodies] of the picture that each body covers at any of the poses; 0 is the world."""
        shares = np.zeros((len(poses), self._model.nbody))
        for k, (pose, f) in enumerate(zip(poses, fov, strict=True)):
            geom, _ = self.look(pose, f, grid=24)
            bodies = self._model.geom_bodyid[geom[geom >= 0]]
            shares[k] = np.bincount(bodies, minlength=self._model.nbody) / len(geom)
        return shares.max(0)

    def _is_worth_seeing(self, pose: np.ndarray, fov: float, subject: int | None) -> bool:
        """Things in the picture, pattern on most of it, and nothing right before the lens."""
        geom, distance = self.look(pose, fov)
        n, hit = len(geom), geom >= 0
        bodies = np.bincount(self._model.geom_bodyid[geom[hit]], minlength=self._model.nbody) / n
        things = bodies[1:]
        if subject is not None and bodies[subject] < 0.015:
            return False
        bare = hit & (self._model.geom_bodyid[geom] == 0) & (distance < self._near)
        centre = distance.reshape(_GRID, _GRID)[6:14, 6:14]
        return bool(
            distance.min() > 0.4 * self._near
            and np.median(centre) > self._near
            and bare.mean() < 0.1
            and things.sum() > (0.1 if self._near == 1 else 0.07)
            and (things > 0.005).sum() >= (3 if self._near == 1 else 2)
            and things.max() < 0.5
            and (hit & self._patterned[geom]).mean() > 0.4
        )
