"""Pictures, depth and segmentation from OpenGL: two passes a frame, without shadows and multisampling.

Colours are plain and shaded by the driver, so the pixels depend on it; depth and segmentation are those of the ray caster away
from edges. One context and one upload of the model serve every frame and every view; ``close`` frees them.
"""

from typing import Any

import numpy as np

from worldfoundry.simulate.recording import Recording, Viewpoint
from worldfoundry.simulate.render.context import import_mujoco
from worldfoundry.simulate.render.picture import SKY, Picture
from worldfoundry.simulate.render.shading import displayed, sky_colour

_NEAR_M, _FAR_M = 0.03, 500.0
_MOST_GEOMS = 10_000


class GlCanvas:
    """A context of one size with one model in it."""

    def __init__(self, model: Any, recording: Recording, *, height: int, width: int):
        mujoco = self._mujoco = import_mujoco()
        self._model, self._light = model, recording.light
        self.height, self.width = height, width
        self._set_up(recording)
        self._gl = mujoco.GLContext(width, height)
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self._scene = mujoco.MjvScene(model, _MOST_GEOMS)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        self._option, self._camera = mujoco.MjvOption(), mujoco.MjvCamera()
        self._viewport = mujoco.MjrRect(0, 0, width, height)

    def _set_up(self, recording: Recording) -> None:
        """Cheap settings, clipping planes in metres, and light that is not only that of a lamp on the camera."""
        visual, extent = self._model.vis, self._model.stat.extent
        visual.global_.offwidth, visual.global_.offheight = self.width, self.height
        visual.quality.shadowsize = visual.quality.offsamples = 0
        visual.map.znear, visual.map.zfar = _NEAR_M / extent, _FAR_M / extent
        visual.headlight.ambient[:] = 0.5 if recording.light.lamp is not None else 0.4
        visual.headlight.diffuse[:] = 0.35
        visual.headlight.specular[:] = 0

    def close(self) -> None:
        """Free the context and what the driver holds."""
        self._context.free()
        self._gl.free()

    def render(self, data: Any, pose: np.ndarray, fov_y: float) -> Picture:
        """Picture of a state from ``world_from_camera`` with a vertical field of view."""
        mujoco = self._mujoco
        self._gl.make_current()
        mujoco.mjv_updateScene(
            self._model,
            data,
            self._option,
            None,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )
        self._point(pose, fov_y)
        rgb, _ = self._draw(segment=False)
        ids, buffer = self._draw(segment=True)
        segmentation = self._bodies(ids)
        near_far = _NEAR_M * _FAR_M
        depth = (near_far / (_NEAR_M + buffer.astype(float) * (_FAR_M - _NEAR_M))).astype(np.float32)
        sky = segmentation == SKY
        depth[sky] = np.inf
        rgb[sky] = displayed(self._sky(pose, fov_y, sky))
        return Picture(rgb=rgb, segmentation=segmentation, depth=depth)

    def _point(self, pose: np.ndarray, fov_y: float) -> None:
        """Both eyes of the scene's camera at the pose; a free camera could not roll."""
        for eye in self._scene.camera:
            eye.pos[:], eye.forward[:], eye.up[:] = pose[:3, 3], pose[:3, 2], -pose[:3, 1]
            eye.frustum_near, eye.frustum_far = _NEAR_M, _FAR_M
            eye.frustum_top = _NEAR_M * np.tan(fov_y / 2)
            eye.frustum_bottom, eye.frustum_center, eye.frustum_width = -eye.frustum_top, 0.0, 0.0

    def _draw(self, *, segment: bool) -> tuple[np.ndarray, np.ndarray]:
        """Colours [h, w, 3] and the depth buffer [h, w], first row on top."""
        mujoco, flags = self._mujoco, self._scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = segment
        mujoco.mjr_render(self._viewport, self._scene, self._context)
        rgb = np.empty((self.height, self.width, 3), np.uint8)
        depth = np.empty((self.height, self.width), np.float32)
        mujoco.mjr_readPixels(rgb, depth if segment else None, self._viewport, self._context)
        return rgb[::-1].copy(), depth[::-1]

    def _bodies(self, colours: np.ndarray) -> np.ndarray:
        """int16 [h, w]: body ids of the colours that stand for geoms of the scene."""
        mujoco, scene = self._mujoco, self._scene
        numbers = colours.astype(np.int32) @ np.array([1, 1 << 8, 1 << 16], np.int32)
        of_number = np.full(scene.ngeom + 1, SKY, np.int16)
        for geom in scene.geoms[: scene.ngeom]:
            if geom.objtype == mujoco.mjtObj.mjOBJ_GEOM and geom.segid >= 0:
                of_number[geom.segid + 1] = self._model.geom_bodyid[geom.objid]
        return of_number[numbers]

    def _sky(self, pose: np.ndarray, fov_y: float, where: np.ndarray) -> np.ndarray:
        """Linear colours of the sky pixels."""
        rows, columns = np.nonzero(where)
        focal = 0.5 * self.height / np.tan(fov_y / 2)
        x, y = (columns + 0.5 - self.width / 2) / focal, (rows + 0.5 - self.height / 2) / focal
        rays = np.stack([x, y, np.ones_like(x)], 1) @ pose[:3, :3].T
        return sky_colour(self._light, rays / np.sqrt((rays * rays).sum(1, keepdims=True)))


class GlView:
    """One viewpoint on a canvas."""

    def __init__(self, canvas: GlCanvas, viewpoint: Viewpoint):
        self._canvas, self._viewpoint = canvas, viewpoint
        self._intrinsics = viewpoint.intrinsics(height=canvas.height, width=canvas.width)

    def render(self, data: Any, t: int) -> Picture:
        """Picture of the state from where the camera is at frame ``t``."""
        fov_y = 2 * np.arctan(self._canvas.height / (2 * self._intrinsics[t, 1, 1]))
        return self._canvas.render(data, self._viewpoint.world_from_camera[t], fov_y)
