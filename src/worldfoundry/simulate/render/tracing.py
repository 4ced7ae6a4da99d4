"""Rays through a world: what they hit, whether the light reaches it, and its colour.

NumPy shades what ``mj_multiRay`` hits. Points of the light (a small sun, or a lamp) cast the shadows: one for each of the four
samples of a pixel, and one in the middle for rays through the centre of a pixel.
"""

from typing import Any

import numpy as np

from worldfoundry.core.errors import ConfigError
from worldfoundry.simulate.recording import Light
from worldfoundry.simulate.render.context import import_mujoco
from worldfoundry.simulate.render.shading import albedo_of, dots, linear, sky_colour, unit
from worldfoundry.simulate.scenes.looks import PaintedSurface, Surface

SUBPIXELS = np.array([[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]])
"""Columns and rows of the four samples inside a pixel."""
CENTRE = 4
"""Number of the point in the middle of the light; 0 to 3 are those of the samples."""
STATIC_GROUP, MOVING_GROUP = 0, 1
EVERY_GROUP = (STATIC_GROUP, MOVING_GROUP)
_SUN_RADIUS_RAD = 0.022
_LAMP_RADIUS_M = 0.07
_SHADOW_BIAS_M = 4e-3
_CLEAR_AIR_M = 10.0
_LAMP_STRENGTH, _ROOM_AMBIENT = 1.0, 0.16


class Tracer:
    """Casts and shades rays in one world.

    Unmoving geoms (of the world, or of bodies without joints) may be any type that ``mj_multiRay`` knows; moving ones
    likewise, inside their ``geom_aabb``.
    """

    def __init__(self, model: Any, *, surfaces: tuple[Surface, ...], light: Light):
        self._mujoco = import_mujoco()
        self._model, self._surfaces, self.light = model, surfaces, light
        if len(surfaces) != model.ngeom:
            raise ConfigError(
                f"surfaces must have one entry a geom, got {len(surfaces)} for {model.ngeom}; add or remove some"
            )
        moves = model.body_weldid[model.geom_bodyid] > 0
        self.moving = np.flatnonzero(moves)
        model.geom_group[:] = np.where(moves, MOVING_GROUP, STATIC_GROUP)
        self._gloss = np.array([s.gloss for s in surfaces])
        self._set_light()

    def _set_light(self) -> None:
        """Points of the light [5, 3] and its axes."""
        light, sun = self.light, self.light.sun
        side = unit(np.cross(sun, [0.3, 1.0, 0.2]))
        self._sun_axes = np.stack([side, np.cross(sun, side), -sun])
        radius = light.distance_m * _SUN_RADIUS_RAD if light.lamp is None else _LAMP_RADIUS_M
        disc = (SUBPIXELS[[0, 1, 3, 2]] - 0.5) * 2 * np.sqrt(2) * radius
        middle = light.target + light.distance_m * sun if light.lamp is None else light.lamp
        around = middle + disc[:, :1] * self._sun_axes[0] + disc[:, 1:] * self._sun_axes[1]
        self._lights = np.concatenate([around, [middle]])

    def cast(self, data: Any, origin: np.ndarray, rays: np.ndarray, groups: tuple[int, ...]):
        """Nearest geom, distance (inf where none) and normal along unit ``rays`` [n, 3] from one point."""
        n = len(rays)
        geom, distance, normal = np.full(n, -1, np.int32), np.full(n, -1.0), np.zeros(3 * n)
        if n:
            mask = np.zeros(6, np.uint8)
            mask[list(groups)] = 1
            flat = np.ascontiguousarray(rays).reshape(-1)
            self._mujoco.mj_multiRay(
                self._model, data, origin, flat, mask, 1, -1, geom, distance, normal, n, 1e6
            )
        distance[geom < 0] = np.inf
        return geom, distance, normal.reshape(n, 3)

    def is_lit(self, data: Any, sun: int, points: np.ndarray, groups: tuple[int, ...]) -> np.ndarray:
        """Whether point ``sun`` of the light sees each of ``points``."""
        offset = points - self._lights[sun]
        length = np.sqrt(dots(offset, offset))
        _, distance, _ = self.cast(data, self._lights[sun], offset / length[:, None], groups)
        return distance > length - _SHADOW_BIAS_M

    def trace(self, data: Any, eye: np.ndarray, rays: np.ndarray, groups: tuple[int, ...]):
        """Nearest hits of rays from the eye: geom, distance, points lifted off the surface, normals facing the eye."""
        geom, distance, normal = self.cast(data, eye, rays, groups)
        flip = dots(normal, rays) > 0
        normal[flip] = -normal[flip]
        reach = np.where(geom >= 0, distance, 0.0)
        return geom, distance, eye + rays * reach[:, None] + 2e-3 * normal, normal

    def shade(
        self,
        data: Any,
        geom: np.ndarray,
        points: np.ndarray,
        normals: np.ndarray,
        rays: np.ndarray,
        *,
        distance: np.ndarray,
        pixel_rad: float,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Linear colour of the shadowed surface and what the light adds to it, float32 [n, 3] each, and facing-the-light.

        ``pixel_rad`` is the angle that one ray stands for.
        """
        towards_eye = -dots(normals, rays)
        blur = distance * pixel_rad / np.sqrt(np.clip(towards_eye, 0.1, 1))
        albedo = self._albedo(data, geom, points, blur)
        towards, strength, ambient = self._lit_by(points, normals, towards_eye)
        facing = (
            normals[:, 0] * towards[..., 0]
            + normals[:, 1] * towards[..., 1]
            + normals[:, 2] * towards[..., 2]
        )
        half = towards - rays
        half /= np.sqrt(dots(half, half))[:, None]
        highlight = np.clip(dots(normals, half), 0, None)
        for _ in range(5):  # to the power 32, exactly
            highlight = highlight * highlight
        dark = (albedo * ambient[:, None] * self.light.sky_colour).astype(np.float32)
        light = albedo * (strength * np.clip(facing, 0, None))[:, None]
        light = light * self.light.sun_colour
        light = (light + (self._gloss[geom] * highlight * (facing > 0))[:, None]).astype(np.float32)
        self._haze(dark, light, distance)
        return dark, light, facing > 0

    def _albedo(self, data: Any, geom: np.ndarray, points: np.ndarray, blur: np.ndarray) -> np.ndarray:
        albedo = np.empty((len(geom), 3))
        order = np.argsort(geom, kind="stable")
        starts = np.flatnonzero(np.diff(geom[order], prepend=-2))
        for at in np.split(order, starts[1:]) if len(order) else ():
            g = geom[at[0]]
            surface, body = self._surfaces[g], self._model.geom_bodyid[g]
            if isinstance(surface, PaintedSurface):
                local = (points[at] - data.xpos[body]) @ data.xmat[body].reshape(3, 3)
                albedo[at] = surface.paint(local, blur[at])
                continue
            local = (points[at] - data.geom_xpos[g]) @ data.geom_xmat[g].reshape(3, 3)
            albedo[at] = albedo_of(surface, local, blur[at])
        return albedo

    def _lit_by(self, points: np.ndarray, normals: np.ndarray, towards_eye: np.ndarray):
        """Unit vectors towards the light, its strength there, and the light from everywhere else."""
        lamp = self.light.lamp
        if lamp is None:
            # Light from the sky above, a little bounced from the floor, and a fill from the camera so no side is black.
            ambient = 0.30 + 0.12 * normals[:, 2] + 0.12 * np.clip(towards_eye, 0, None)
            return self.light.sun, 0.78, ambient
        offset = lamp - points
        square = dots(offset, offset)
        near = 1 / (1 + square / self.light.lamp_reach_m**2)
        # What the walls and the ceiling throw back is strongest near the lamp too.
        ambient = _ROOM_AMBIENT + 0.3 * near + 0.04 * normals[:, 2] + 0.1 * np.clip(towards_eye, 0, None)
        return offset / np.sqrt(square)[:, None], _LAMP_STRENGTH * near, ambient

    def _haze(self, dark: np.ndarray, light: np.ndarray, distance: np.ndarray) -> None:
        """Fade far surfaces into the horizon, in place."""
        if distance.max(initial=0.0) <= _CLEAR_AIR_M:
            return
        far = np.clip(distance - _CLEAR_AIR_M, 0, None) ** 2
        half = self.light.haze_m**2
        keep = (half / (half + far)).astype(np.float32)[:, None]
        light *= keep
        dark *= keep
        dark += (1 - keep) * linear(self.light.sky[0])

    def sky(self, rays: np.ndarray) -> np.ndarray:
        """Linear colour, float32 [n, 3], of unit rays that hit nothing."""
        return sky_colour(self.light, rays)

    def from_light(self, sun: int, points: np.ndarray) -> np.ndarray:
        """Perspective plane coordinates [..., 2] of points seen from one point of the light."""
        local = (points - self._lights[sun]) @ self._sun_axes.T
        return local[..., :2] / local[..., 2:]
