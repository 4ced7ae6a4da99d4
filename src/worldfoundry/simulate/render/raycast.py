"""Ray casting on the CPU: needs no display, GPU or driver, so its bytes depend on the software versions alone.

Four rays a pixel, each with its own point of the light (soft shadow edges), are averaged. For a camera that stands still the
unmoving world is traced once, and a frame re-traces only pixels that a moving geom or its shadow can touch. For one that
moves every frame is traced afresh: one ray a pixel, and four where neighbouring pixels differ.

Pixel (i, j) covers [j, j+1] x [i, i+1]; its centre is at +0.5. Depth and segmentation are those of the centre ray.
"""

from typing import Any, NamedTuple

import numpy as np

from worldfoundry.simulate.recording import Light, Viewpoint
from worldfoundry.simulate.render.context import import_mujoco
from worldfoundry.simulate.render.neighbours import UNSURE, different_pixels, light_around
from worldfoundry.simulate.render.picture import SKY, Picture
from worldfoundry.simulate.render.shading import average, displayed
from worldfoundry.simulate.render.tracing import (
    CENTRE,
    EVERY_GROUP,
    MOVING_GROUP,
    STATIC_GROUP,
    SUBPIXELS,
    Tracer,
)
from worldfoundry.simulate.scenes.looks import Surface

_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
_MIDDLE = np.array([0.5, 0.5])


class _Hits(NamedTuple):
    """What rays see."""

    geom: np.ndarray
    distance: np.ndarray
    points: np.ndarray
    dark: np.ndarray
    light: np.ndarray
    faces: np.ndarray
    """Whether the surface faces the light, bool [n]."""


class RayCaster:
    """Ray-cast renderer of one world from one viewpoint."""

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
        self._model, self._viewpoint = model, viewpoint
        self._tracer = Tracer(model, surfaces=surfaces, light=light)
        self.height, self.width = height, width
        self._intrinsics = viewpoint.intrinsics(height=height, width=width)
        self._look(0)
        self._is_still = viewpoint.is_still
        if self._is_still:
            self._set_rays()
            mujoco = import_mujoco()
            data = mujoco.MjData(model)
            mujoco.mj_kinematics(model, data)
            self._set_background(data)

    def _look(self, t: int) -> None:
        """Place the camera where it is at frame ``t``."""
        self.intrinsics, self.world_from_camera = self._intrinsics[t], self._viewpoint.world_from_camera[t]
        self._eye = self.world_from_camera[:3, 3].copy()
        self._pixel_rad = 1 / self.intrinsics[0, 0]

    def _rays_through(self, offset: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Unit directions [n, 3] in the world through a place inside pixels, and metres of depth along a metre of them."""
        k, r = self.intrinsics, self.world_from_camera[:3, :3]
        rows, columns = np.divmod(pixels, self.width)
        x = (columns + offset[0] - k[0, 2]) / k[0, 0]
        y = (rows + offset[1] - k[1, 2]) / k[1, 1]
        rays = x[:, None] * r[:, 0] + y[:, None] * r[:, 1] + r[:, 2]
        length = np.sqrt((rays * rays).sum(-1))
        return rays / length[:, None], 1 / length

    def _set_rays(self) -> None:
        """Directions [5, n, 3] through every pixel: its centre, then the four that are shaded."""
        pixels = np.arange(self.height * self.width)
        centre, self._z_per_metre = self._rays_through(_MIDDLE, pixels)
        self._rays = np.stack([centre, *(self._rays_through(offset, pixels)[0] for offset in SUBPIXELS)])

    def _shade(self, data: Any, *hits: np.ndarray, distance: np.ndarray):
        """``Tracer.shade`` of rays of which four make a pixel."""
        return self._tracer.shade(data, *hits, distance=distance, pixel_rad=0.5 * self._pixel_rad)

    def _layer(self, data: Any, rays: np.ndarray, groups: tuple[int, ...]):
        """All four samples of every pixel: dark, light, lit, distance and lifted points."""
        n = rays.shape[1]
        dark, light = np.zeros((4, n, 3), np.float32), np.zeros((4, n, 3), np.float32)
        lit, distance, points = np.zeros((4, n), bool), np.empty((4, n)), np.empty((4, n, 3))
        for k in range(4):
            geom, distance[k], points[k], normal = self._tracer.trace(data, self._eye, rays[k], groups)
            hit = np.flatnonzero(geom >= 0)
            dark[k], light[k] = self._tracer.sky(rays[k]), 0
            d, s, faces = self._shade(
                data, geom[hit], points[k, hit], normal[hit], rays[k, hit], distance=distance[k, hit]
            )
            dark[k, hit], light[k, hit] = d, s
            lit[k, hit[faces]] = self._tracer.is_lit(data, k, points[k, hit[faces]], groups)
        return dark, light, lit, distance, points

    def _set_background(self, data: Any) -> None:
        static = (STATIC_GROUP,)
        self._dark, self._light, self._lit, self._distance, self._points = self._layer(
            data, self._rays[1:], static
        )
        rgb = displayed(average(self._dark + self._light * self._lit[..., None]))
        geom, distance, _ = self._tracer.cast(data, self._eye, self._rays[0], static)
        self._centre_distance = distance
        self._background = Picture(
            rgb=rgb.reshape(self.height, self.width, 3),
            segmentation=self._bodies(geom),
            depth=(distance * self._z_per_metre).astype(np.float32).reshape(self.height, self.width),
        )
        # Where each sample lies as seen from its point of the sun; far-away samples cannot be shadowed, keep them out.
        self._shadow_map = np.stack([self._tracer.from_light(k, self._points[k]) for k in range(4)])
        self._shadow_map[~self._lit] = np.inf

    def _corners(self, data: Any) -> np.ndarray:
        """Corners of the moving geoms' boxes [g, 8, 3] in the world."""
        g = self._tracer.moving
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
        boxes = self._tracer.from_light(sun, corners)
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
        return self._render_where_needed(data)

    def _render_where_needed(self, data: Any) -> Picture:
        """Every pixel by its centre ray; by four where its neighbours look different."""
        h, w = self.height, self.width
        rays, z_per_metre = self._rays_through(_MIDDLE, np.arange(h * w))
        hits = self._hits(data, rays, self._pixel_rad)
        lit = hits.faces.copy()
        lit[lit] = self._tracer.is_lit(data, CENTRE, hits.points[lit], EVERY_GROUP)
        rgb = displayed(hits.dark + hits.light * lit[:, None])
        edges = different_pixels(rgb.reshape(h, w, 3))
        around = light_around(lit.reshape(h, w), hits.faces.reshape(h, w))
        rgb[edges] = displayed(self._finer(data, edges, around.ravel()[edges]))
        return Picture(
            rgb=rgb.reshape(h, w, 3),
            segmentation=self._bodies(hits.geom),
            depth=(hits.distance * z_per_metre).astype(np.float32).reshape(h, w),
        )

    def _finer(self, data: Any, pixels: np.ndarray, around: np.ndarray) -> np.ndarray:
        """Linear colour [n, 3] of pixels by four rays each; shadows are traced where ``around`` (``light_around``) is unsure."""
        rays = np.concatenate([self._rays_through(offset, pixels)[0] for offset in SUBPIXELS])
        hits = self._hits(data, rays, 0.5 * self._pixel_rad)
        around, samples = np.tile(around, 4), np.repeat(np.arange(4), len(pixels))
        lit = hits.faces & (around != 0)
        for k in range(4):
            unsure = np.flatnonzero(lit & (around == UNSURE) & (samples == k))
            lit[unsure] = self._tracer.is_lit(data, k, hits.points[unsure], EVERY_GROUP)
        return average((hits.dark + hits.light * lit[:, None]).reshape(4, -1, 3))

    def _hits(self, data: Any, rays: np.ndarray, pixel_rad: float) -> "_Hits":
        """What rays [n, 3] see, with its colour in the shadow and in the light."""
        tracer = self._tracer
        geom, distance, points, normal = tracer.trace(data, self._eye, rays, EVERY_GROUP)
        dark, light = np.zeros((len(rays), 3), np.float32), np.zeros((len(rays), 3), np.float32)
        missed, hit, faces = np.flatnonzero(geom < 0), geom >= 0, np.zeros(len(rays), bool)
        hit = slice(None) if not len(missed) else hit
        dark[missed] = tracer.sky(rays[missed])
        dark[hit], light[hit], faces[hit] = tracer.shade(
            data, geom[hit], points[hit], normal[hit], rays[hit], distance=distance[hit], pixel_rad=pixel_rad
        )
        return _Hits(geom, distance, points, dark, light, faces)

    def _render_what_moved(self, data: Any) -> Picture:
        if not len(self._tracer.moving):
            return self._background
        moving = (MOVING_GROUP,)
        corners = self._corners(data)
        near = self._pixels_near(corners)
        n = self.height * self.width
        rays = self._rays[:, near]
        geom, distance, points, normal = self._tracer.trace(data, self._eye, rays.reshape(-1, 3), moving)
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
            shaded = samples[~self._tracer.is_lit(data, k, self._points[k, samples], moving)]
            lit[k, shaded] = False
            touched[shaded] = True
        hit = distance[1:] < self._distance[:, near]
        touched[near[hit.any(0)]] = True
        changed = np.flatnonzero(touched)
        colour = self._dark[:, changed] + self._light[:, changed] * lit[:, changed, None]

        sample, pixel = np.nonzero(hit)
        g, p, m, r = geom[1:][hit], points[1:][hit], normal[1:][hit], rays[1:][hit]
        dark, light, faces = self._shade(data, g, p, m, r, distance=distance[1:][hit])
        for k in range(4):
            mine = np.flatnonzero((sample == k) & faces)
            faces[mine] = self._tracer.is_lit(data, k, p[mine], EVERY_GROUP)
        slot = np.empty(n, np.int64)
        slot[changed] = np.arange(len(changed))
        colour[sample, slot[near[pixel]]] = dark + light * faces[:, None]

        rgb = self._background.rgb.copy()
        rgb.reshape(-1, 3)[changed] = displayed(average(colour))
        return Picture(rgb=rgb, segmentation=segmentation, depth=depth)

    def render_afresh(self, data: Any) -> Picture:
        """The same picture without the cache: every ray traced and shaded. Slow; for checking ``render``."""
        self._set_rays()
        dark, light, lit, _, _ = self._layer(data, self._rays[1:], EVERY_GROUP)
        geom, distance, _ = self._tracer.cast(data, self._eye, self._rays[0], EVERY_GROUP)
        h, w = self.height, self.width
        return Picture(
            rgb=displayed(average(dark + light * lit[..., None])).reshape(h, w, 3),
            segmentation=self._bodies(geom),
            depth=(distance * self._z_per_metre).astype(np.float32).reshape(h, w),
        )
