"""Pictures from OpenGL."""

from typing import Any

import numpy as np

from worldfoundry.simulate.render.context import import_mujoco
from worldfoundry.simulate.render.picture import Picture
from worldfoundry.simulate.render.raycast import RayCaster


class GlRenderer:
    """Pixels from OpenGL (plain colours, the driver's shading); ground truth from the ray caster."""

    def __init__(self, caster: RayCaster, model: Any):
        self._mujoco = import_mujoco()
        self._caster, self._model = caster, model
        self._gl = self._mujoco.Renderer(model, caster.height, caster.width)
        self._camera = self._mujoco.MjvCamera()
        self._camera.type = self._mujoco.mjtCamera.mjCAMERA_FREE
        self._camera.distance = 1.0

    def _point(self) -> None:
        k, pose = self._caster.intrinsics, self._caster.world_from_camera
        self._model.vis.global_.fovy = np.degrees(2 * np.arctan(self._caster.height / (2 * k[1, 1])))
        forward = pose[:3, 2]
        self._camera.lookat[:] = pose[:3, 3] + forward
        self._camera.azimuth = np.degrees(np.arctan2(forward[1], forward[0]))
        self._camera.elevation = np.degrees(np.arcsin(forward[2]))

    def render(self, data: Any, t: int) -> Picture:
        """Picture of the state from where the camera is at frame ``t``."""
        truth = self._caster.render(data, t)
        self._point()
        self._gl.update_scene(data, camera=self._camera)
        return Picture(rgb=self._gl.render(), segmentation=truth.segmentation, depth=truth.depth)
