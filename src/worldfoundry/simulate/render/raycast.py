"""Ray casting on the CPU: needs no display, GPU or driver, so its bytes depend on the software versions alone.

Four rays a pixel, each with its own point of a small sun (soft shadow edges), go through ``mj_multiRay``; NumPy shades what
they hit. For a camera that stands still the unmoving world is traced once, and a frame re-traces only pixels that a moving
geom or its shadow can touch; for one that moves every frame is traced afresh.

Pixel (i, j) covers [j, j+1] x [i, i+1]; its centre is at +0.5. Depth and segmentation are those of the centre ray.
"""

from typing import Any

import numpy as np

from worldfoundry.core.errors import ConfigError
from worldfoundry.simulate.recording import Light, Viewpoint
from worldfoundry.simulate.render.context import import_mujoco
from worldfoundry.simulate.render.picture import SKY, Picture
from worldfoundry.simulate.render.shading import albedo_of, average, displayed, linear, unit
from worldfoundry.simulate.scenes.looks import PaintedSurface, Surface

_SUN_RADIUS_RAD = 0.022
_SHADOW_BIAS_M = 4e-3
_STATIC_GROUP, _MOVING_GROUP = 0, 1
_SUBPIXELS = np.array([[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]])
_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)


class RayCaster:
    """Ray-cast renderer of one world from one viewpoint.

    Unmoving geoms (of the world, or of bodies without joints) may be any type that ``mj_multiRay`` knows; moving ones
    likewise, inside their ``geom_aabb``.
    """

    def __init__(
        self,
        model: Any,
        *,
        surfaces: tuple[Surface, ...],
        light: Light,
        viewpoint: Viewpoint,
        height: int,
        width: int,
    ):
        self._mujoco = import_mujoco()
        self._model, self._sunlight, self._surfaces, self._viewpoint = model, light, surfaces, viewpoint
        self.height, self.width = height, width
        if len(surfaces) != model.ngeom:
            raise ConfigError(
                f"surfaces must have one entry a geom, got {len(surfaces)} for {model.ngeom}; add or remove some"
            )
        moves = model.body_weldid[model.geom_bodyid] > 0
        self._moving = np.flatnonzero(moves)
        model.geom_group[:] = np.where(moves, _MOVING_GROUP, _STATIC_GROUP)
        self._intrinsics = viewpoint.intrinsics(height=height, width=width)
        self._set_sun()
        self._look(0)
        self._is_still = viewpoint.is_still
        if self._is_still:
            data = self._mujoco.MjData(model)
            self._mujoco.mj_kinematics(model, data)
            self._set_background(data)

    def _look(self, t: int) -> None:
        """Place the camera where it is at frame ``t``."""
        self.intrinsics, self.world_from_camera = self._intrinsics[t], self._viewpoint.world_from_camera[t]
        self._eye = self.world_from_camera[:3, 3].copy()
        self._set_rays()

    def _set_sun(self) -> None:
        sun, distance = self._sunlight.sun, self._sunlight.distance_m
        side = unit(np.cross(sun, [0.3, 1.0, 0.2]))
        self._sun_axes = np.stack([side, np.cross(sun, side), -sun])
        disc = (_SUBPIXELS[[0, 1, 3, 2]] - 0.5) * 2 * np.sqrt(2) * distance * _SUN_RADIUS_RAD
        self._suns = (
            self._sunlight.target
            + distance * sun
            + disc[:, :1] * self._sun_axes[0]
            + disc[:, 1:] * self._sun_axes[1]
        )

    def _set_rays(self) -> None:
        """Unit directions [5, n, 3] in the world: the centre ray, then the four that are shaded."""
        h, w = self.height, self.width
        rows, columns = np.mgrid[:h, :w]
        offsets = np.concatenate([[[0.5, 0.5]], _SUBPIXELS])
        k = self.intrinsics
        x = (columns.ravel()[None] + offsets[:, :1] - k[0, 2]) / k[0, 0]
        y = (rows.ravel()[None] + offsets[:, 1:] - k[1, 2]) / k[1, 1]
        r = self.world_from_camera[:3, :3]
        rays = x[..., None] * r[:, 0] + y[..., None] * r[:, 1] + r[:, 2]
        length = np.sqrt((rays * rays).sum(-1))
        self._rays = rays / length[..., None]
        self._z_per_metre = 1 / length[0]

    def _cast(self, data: Any, origin: np.ndarray, rays: np.ndarray, groups: tuple[int, ...]):
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

    def _is_lit(self, data: Any, sun: int, points: np.ndarray, groups: tuple[int, ...]) -> np.ndarray:
        """Whether point ``sun`` of the sun sees each of ``points``."""
        offset = points - self._suns[sun]
        length = np.sqrt((offset * offset).sum(1))
        _, distance, _ = self._cast(data, self._suns[sun], offset / length[:, None], groups)
        return distance > length - _SHADOW_BIAS_M

    def _shade(self, data: Any, geom: np.ndarray, points: np.ndarray, normals: np.ndarray, rays: np.ndarray):
        """Linear colour of the shadowed surface and what the sun adds to it, float32 [n, 3] each, and facing-the-sun."""
        sun = self._sunlight.sun
        albedo = np.empty((len(geom), 3))
        gloss = np.empty(len(geom))
        for g in np.unique(geom).tolist():
            at = np.flatnonzero(geom == g)
            albedo[at] = self._albedo(data, g, points[at], normals[at], rays[at])
            gloss[at] = self._surfaces[g].gloss
        facing = normals[:, 0] * sun[0] + normals[:, 1] * sun[1] + normals[:, 2] * sun[2]
        towards_eye = -(normals * rays).sum(1)
        # Light from the sky above, a little bounced from the floor, and a fill from the camera so no side is black.
        ambient = 0.30 + 0.12 * normals[:, 2] + 0.12 * np.clip(towards_eye, 0, None)
        half = sun - rays
        half /= np.sqrt((half * half).sum(1))[:, None]
        highlight = np.clip((normals * half).sum(1), 0, None)
        for _ in range(5):  # to the power 32, exactly
            highlight = highlight * highlight
        sunlight = np.clip(facing, 0, None)
        dark = albedo * ambient[:, None] * self._sunlight.sky_colour
        light = albedo * (0.78 * sunlight)[:, None] + (gloss * highlight * (facing > 0))[:, None]
        light *= self._sunlight.sun_colour
        return dark.astype(np.float32), light.astype(np.float32), facing > 0

    def _albedo(self, data: Any, geom: int, points: np.ndarray, normals: np.ndarray, rays: np.ndarray):
        """Linear colour [n, 3] of one geom's surface."""
        surface = self._surfaces[geom]
        if not isinstance(surface, PaintedSurface):
            local = (points - data.geom_xpos[geom]) @ data.geom_xmat[geom].reshape(3, 3)
            return albedo_of(surface, local)
        body = self._model.geom_bodyid[geom]
        away = points - self._eye
        # What a pixel covers, between its extent across and that along a slanting surface.
        slant = np.sqrt(np.clip(-(normals * rays).sum(1), 0.02, None))
        blur = np.sqrt((away * away).sum(1)) / (self.intrinsics[0, 0] * slant)
        return surface.paint((points - data.xpos[body]) @ data.xmat[body].reshape(3, 3), blur)

    def _trace(self, data: Any, rays: np.ndarray, groups: tuple[int, ...]):
        """Nearest hits of rays from the eye: geom, distance, points lifted off the surface, normals facing the eye."""
        geom, distance, normal = self._cast(data, self._eye, rays, groups)
        flip = (normal * rays).sum(1) > 0
        normal[flip] = -normal[flip]
        reach = np.where(geom >= 0, distance, 0.0)
        return geom, distance, self._eye + rays * reach[:, None] + 2e-3 * normal, normal

    def _haze(self, dark: np.ndarray, light: np.ndarray, distance: np.ndarray) -> None:
        """Fade far surfaces into the horizon, in place."""
        far, half = np.clip(distance - 10.0, 0, None) ** 2, self._sunlight.haze_m**2
        keep = (half / (half + far)).astype(np.float32)[:, None]
        light *= keep
        dark *= keep
        dark += (1 - keep) * linear(self._sunlight.sky[0])

    def _sky(self, rays: np.ndarray) -> np.ndarray:
        up = np.clip(rays[:, 2:] * 2.5, 0, 1)
        return ((1 - up) * linear(self._sunlight.sky[0]) + up * linear(self._sunlight.sky[1])).astype(
            np.float32
        )

    def _layer(self, data: Any, rays: np.ndarray, groups: tuple[int, ...]):
        """All four samples of every pixel: dark, light, lit, distance and lifted points."""
        n = rays.shape[1]
        dark, light = np.zeros((4, n, 3), np.float32), np.zeros((4, n, 3), np.float32)
        lit, distance, points = np.zeros((4, n), bool), np.empty((4, n)), np.empty((4, n, 3))
        for k in range(4):
            geom, distance[k], points[k], normal = self._trace(data, rays[k], groups)
            hit = np.flatnonzero(geom >= 0)
            dark[k], light[k] = self._sky(rays[k]), 0
            d, s, faces = self._shade(data, geom[hit], points[k, hit], normal[hit], rays[k, hit])
            self._haze(d, s, distance[k, hit])
            dark[k, hit], light[k, hit] = d, s
            lit[k, hit[faces]] = self._is_lit(data, k, points[k, hit[faces]], groups)
        return dark, light, lit, distance, points

    def _set_background(self, data: Any) -> None:
        static = (_STATIC_GROUP,)
        self._dark, self._light, self._lit, self._distance, self._points = self._layer(
            data, self._rays[1:], static
        )
        rgb = displayed(average(self._dark + self._light * self._lit[..., None]))
        geom, distance, _ = self._cast(data, self._eye, self._rays[0], static)
        self._centre_distance = distance
        self._background = Picture(
            rgb=rgb.reshape(self.height, self.width, 3),
            segmentation=self._bodies(geom),
            depth=(distance * self._z_per_metre).astype(np.float32).reshape(self.height, self.width),
        )
        # Where each sample lies as seen from its point of the sun; far-away samples cannot be shadowed, keep them out.
        self._shadow_map = np.stack([self._from_sun(k, self._points[k]) for k in range(4)])
        self._shadow_map[~self._lit] = np.inf

    def _from_sun(self, sun: int, points: np.ndarray) -> np.ndarray:
        """Perspective plane coordinates [..., 2] of points seen from one point of the sun."""
        local = (points - self._suns[sun]) @ self._sun_axes.T
        return local[..., :2] / local[..., 2:]

    def _corners(self, data: Any) -> np.ndarray:
        """Corners of the moving geoms' boxes [g, 8, 3] in the world."""
        g = self._moving
        box = self._model.geom_aabb[g]
        local = box[:, None, :3] + (box[:, None, 3:] + 1e-4) * _CORNERS
        r = data.geom_xmat[g].reshape(-1, 1, 3, 3)
        return data.geom_xpos[g][:, None] + (r * local[:, :, None, :]).sum(-1)

    def _pixels_near(self, corners: np.ndarray) -> np.ndarray:
        """Indices of the pixels that can see a moving geom."""
        h, w = self.height, self.width
        local = (corners - self._eye) @ self.world_from_camera[:3, :3]
        near = np.zeros((h, w), bool)
        for box in local:
            if box[:, 2].max() <= 0:
                continue
            if box[:, 2].min() < 0.05:  # crosses the camera plane
                near[:] = True
                break
            u = box[:, 0] / box[:, 2] * self.intrinsics[0, 0] + w / 2
            v = box[:, 1] / box[:, 2] * self.intrinsics[1, 1] + h / 2
            rows = slice(max(int(np.floor(v.min())), 0), max(int(np.ceil(v.max())), 0))
            near[rows, max(int(np.floor(u.min())), 0) : max(int(np.ceil(u.max())), 0)] = True
        return np.flatnonzero(near)

    def _samples_shaded(self, sun: int, corners: np.ndarray) -> np.ndarray:
        """Indices of lit background samples of one sub-pixel that a moving geom can shadow."""
        boxes = self._from_sun(sun, corners)
        low, high = boxes.min(1), boxes.max(1)
        u, v = self._shadow_map[sun, :, 0], self._shadow_map[sun, :, 1]
        some = np.flatnonzero(
            (u >= low[:, 0].min())
            & (u <= high[:, 0].max())
            & (v >= low[:, 1].min())
            & (v <= high[:, 1].max())
        )
        u, v = u[some], v[some]
        inside = np.zeros(len(some), bool)
        for (u0, v0), (u1, v1) in zip(low, high, strict=True):
            inside |= (u >= u0) & (u <= u1) & (v >= v0) & (v <= v1)
        return some[inside]

    def _bodies(self, geom: np.ndarray) -> np.ndarray:
        """int16 [h, w]: body of the geom that each pixel's centre ray hit."""
        bodies = np.where(geom < 0, SKY, self._model.geom_bodyid[geom])
        return bodies.astype(np.int16).reshape(self.height, self.width)

    def render(self, data: Any, t: int) -> Picture:
        """Picture of ``data`` (kinematics already computed) from where the camera is at frame ``t``."""
        if self._is_still:
            return self._render_what_moved(data)
        self._look(t)
        return self.render_afresh(data)

    def _render_what_moved(self, data: Any) -> Picture:
        if not len(self._moving):
            return self._background
        every, moving = (_STATIC_GROUP, _MOVING_GROUP), (_MOVING_GROUP,)
        corners = self._corners(data)
        near = self._pixels_near(corners)
        n = self.height * self.width
        rays = self._rays[:, near]
        geom, distance, points, normal = self._trace(data, rays.reshape(-1, 3), moving)
        geom, distance = geom.reshape(5, -1), distance.reshape(5, -1)
        points, normal = points.reshape(5, -1, 3), normal.reshape(5, -1, 3)

        front = distance[0] < self._centre_distance[near]
        at = near[front]
        segmentation, depth = self._background.segmentation.copy(), self._background.depth.copy()
        segmentation.ravel()[at] = self._model.geom_bodyid[geom[0, front]]
        depth.ravel()[at] = distance[0, front] * self._z_per_metre[at]

        touched = np.zeros(n, bool)
        lit = self._lit.copy()
        for k in range(4):
            samples = self._samples_shaded(k, corners)
            shaded = samples[~self._is_lit(data, k, self._points[k, samples], moving)]
            lit[k, shaded] = False
            touched[shaded] = True
        hit = distance[1:] < self._distance[:, near]
        touched[near[hit.any(0)]] = True
        changed = np.flatnonzero(touched)
        colour = self._dark[:, changed] + self._light[:, changed] * lit[:, changed, None]

        sample, pixel = np.nonzero(hit)
        g, p, m, r = geom[1:][hit], points[1:][hit], normal[1:][hit], rays[1:][hit]
        dark, light, faces = self._shade(data, g, p, m, r)
        self._haze(dark, light, distance[1:][hit])
        for k in range(4):
            mine = np.flatnonzero((sample == k) & faces)
            faces[mine] = self._is_lit(data, k, p[mine], every)
        slot = np.empty(n, np.int64)
        slot[changed] = np.arange(len(changed))
        colour[sample, slot[near[pixel]]] = dark + light * faces[:, None]

        rgb = self._background.rgb.copy()
        rgb.reshape(-1, 3)[changed] = displayed(average(colour))
        return Picture(rgb=rgb, segmentation=segmentation, depth=depth)

    def render_afresh(self, data: Any) -> Picture:
        """The same picture without the cache: every ray traced and shaded. Slow; for checking ``render``."""
        every = (_STATIC_GROUP, _MOVING_GROUP)
        dark, light, lit, _, _ = self._layer(data, self._rays[1:], every)
        geom, distance, _ = self._cast(data, self._eye, self._rays[0], every)
        h, w = self.height, self.width
        return Picture(
            rgb=displayed(average(dark + light * lit[..., None])).reshape(h, w, 3),
            segmentation=self._bodies(geom),
            depth=(distance * self._z_per_metre).astype(np.float32).reshape(h, w),
        )
