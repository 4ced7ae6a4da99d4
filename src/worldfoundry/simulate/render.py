"""Two renderers of a MuJoCo scene under a static camera: ray casting on the CPU (default) and OpenGL.

``RayCaster`` needs no display, GPU or driver, so its bytes depend on the software versions alone. Four rays a pixel,
each with its own point of a small sun (soft shadow edges), go through ``mj_multiRay``; NumPy shades what they hit. The
unmoving world is traced once; a frame re-traces only pixels that a moving geom or its shadow can touch.

Pixel (i, j) covers [j, j+1] x [i, i+1]; its centre is at +0.5. Depth and segmentation are those of the centre ray.
Colours are linear inside and displayed with a square root (exact on every machine, near the sRGB curve).
"""

import functools
import importlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from worldfoundry.core.errors import ConfigError, MissingDependencyError, UnknownNameError, require_package
from worldfoundry.simulate.scenes import Scene, Surface, View

RENDERERS = ("auto", "gl", "raycast")
SKY = -1

_logger = logging.getLogger(__name__)

_SUN_DISTANCE_M = 40.0
_SUN_RADIUS_RAD = 0.022
_SHADOW_BIAS_M = 4e-3
_STATIC_GROUP, _MOVING_GROUP = 0, 1
_SUBPIXELS = np.array([[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]])
_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
_HAZE_M = 28.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One rendered frame with its ground truth."""

    rgb: np.ndarray
    """uint8 [h, w, 3]."""
    segmentation: np.ndarray
    """int16 [h, w]: body id, 0 static world, -1 sky."""
    depth: np.ndarray
    """float32 [h, w], metres along the optical axis, inf for the sky."""


@runtime_checkable
class Renderer(Protocol):
    """Looks at the current state of a scene."""

    def render(self, data: Any) -> Picture:
        """Picture of ``data`` (kinematics already computed)."""
        ...


def make_renderer(name: str, scene: Scene, model: Any, *, height: int, width: int) -> Renderer:
    """Renderer by name: ``raycast``; ``gl`` (fails without a GL context); ``auto`` (``gl`` if it works, else ``raycast``)."""
    usable = usable_renderer(name)
    caster = RayCaster(scene, model, height=height, width=width)
    return caster if usable == "raycast" else _GlRenderer(caster, model)


def usable_renderer(name: str) -> str:
    """``gl`` or ``raycast``: what ``name`` stands for on this machine; a fallback of ``auto`` is logged as a warning."""
    if name not in RENDERERS:
        raise UnknownNameError("renderer", name, RENDERERS)
    if name == "raycast":
        return name
    why_not = _gl_failure()
    if why_not and name == "gl":
        raise MissingDependencyError(
            f"renderer 'gl' needs an OpenGL context, got {why_not!r} with MUJOCO_GL={os.environ.get('MUJOCO_GL', '')}; "
            "set MUJOCO_GL to egl or osmesa where their libraries are installed, or use 'raycast'"
        )
    if why_not:
        _logger.warning("renderer 'auto': no OpenGL context here (%s), using 'raycast'", why_not)
    return "raycast" if why_not else "gl"


def import_mujoco() -> Any:
    """MuJoCo, also where it cannot load the OpenGL that ``MUJOCO_GL`` names: ray casting needs none."""
    try:
        return importlib.import_module("mujoco")
    except (ImportError, AttributeError, RuntimeError, OSError):
        with _environment("MUJOCO_GL", "disable"):
            return require_package("mujoco", "simulate")


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """An environment variable with another value for a while."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


@functools.cache
def _gl_failure() -> str:
    """Why no OpenGL context can be made, empty if one can; tried in a child, because a failed attempt may abort."""
    attempt = "import mujoco; mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 16, 16).close()"
    child = subprocess.run([sys.executable, "-c", attempt], capture_output=True, text=True, check=False)
    if child.returncode == 0:
        return ""
    lines = [line for line in child.stderr.splitlines() if "Error" in line]
    return lines[-1].strip() if lines else f"exit status {child.returncode}"


def camera_matrices(view: View, *, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Intrinsics [3, 3] in pixels and ``world_from_camera`` [4, 4] with OpenCV axes."""
    focal = 0.5 * min(height, width) / np.tan(view.fov_rad / 2)
    intrinsics = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
    forward = view.target - view.eye
    forward = forward / np.sqrt((forward * forward).sum())
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.sqrt((right * right).sum())
    world_from_camera = np.eye(4)
    world_from_camera[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    world_from_camera[:3, 3] = view.eye
    return intrinsics, world_from_camera


class RayCaster:
    """Ray-cast renderer of one scene.

    Static geoms (body 0) may be any type that ``mj_multiRay`` knows; moving ones likewise, inside their ``geom_aabb``.
    """

    def __init__(self, scene: Scene, model: Any, *, height: int, width: int):
        self._mujoco = import_mujoco()
        self._model, self._view, self._surfaces = model, scene.view, scene.surfaces
        self.height, self.width = height, width
        if len(scene.surfaces) != model.ngeom:
            raise ConfigError(
                f"scene.surfaces must have one entry a geom, got {len(scene.surfaces)} for {model.ngeom}"
            )
        self._moving = np.flatnonzero(model.geom_bodyid > 0)
        model.geom_group[:] = _STATIC_GROUP
        model.geom_group[self._moving] = _MOVING_GROUP
        self.intrinsics, self.world_from_camera = camera_matrices(scene.view, height=height, width=width)
        self._eye = self.world_from_camera[:3, 3].copy()
        self._set_sun()
        self._set_rays()
        data = self._mujoco.MjData(model)
        self._mujoco.mj_kinematics(model, data)
        self._set_background(data)

    def _set_sun(self) -> None:
        sun = self._view.sun
        side = _unit(np.cross(sun, [0.3, 1.0, 0.2]))
        self._sun_axes = np.stack([side, np.cross(sun, side), -sun])
        disc = (_SUBPIXELS[[0, 1, 3, 2]] - 0.5) * 2 * np.sqrt(2) * _SUN_DISTANCE_M * _SUN_RADIUS_RAD
        self._suns = (
            self._view.target
            + _SUN_DISTANCE_M * sun
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
        sun = self._view.sun
        albedo = np.empty((len(geom), 3))
        gloss = np.empty(len(geom))
        for g in np.unique(geom):
            at = np.flatnonzero(geom == g)
            local = (points[at] - data.geom_xpos[g]) @ data.geom_xmat[g].reshape(3, 3)
            albedo[at] = _albedo(self._surfaces[g], local)
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
        dark = albedo * ambient[:, None]
        light = albedo * (0.78 * sunlight)[:, None] + (gloss * highlight * (facing > 0))[:, None]
        return dark.astype(np.float32), light.astype(np.float32), facing > 0

    def _trace(self, data: Any, rays: np.ndarray, groups: tuple[int, ...]):
        """Nearest hits of rays from the eye: geom, distance, points lifted off the surface, normals facing the eye."""
        geom, distance, normal = self._cast(data, self._eye, rays, groups)
        flip = (normal * rays).sum(1) > 0
        normal[flip] = -normal[flip]
        reach = np.where(geom >= 0, distance, 0.0)
        return geom, distance, self._eye + rays * reach[:, None] + 2e-3 * normal, normal

    def _haze(self, dark: np.ndarray, light: np.ndarray, distance: np.ndarray) -> None:
        """Fade far surfaces into the horizon, in place."""
        far = np.clip(distance - 10.0, 0, None) ** 2
        keep = (_HAZE_M**2 / (_HAZE_M**2 + far)).astype(np.float32)[:, None]
        light *= keep
        dark *= keep
        dark += (1 - keep) * _linear(self._view.sky[0])

    def _sky(self, rays: np.ndarray) -> np.ndarray:
        up = np.clip(rays[:, 2:] * 2.5, 0, 1)
        return ((1 - up) * _linear(self._view.sky[0]) + up * _linear(self._view.sky[1])).astype(np.float32)

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
        rgb = _display(_average(self._dark + self._light * self._lit[..., None]))
        geom, distance, _ = self._cast(data, self._eye, self._rays[0], static)
        self._centre_distance = distance
        self._background = Picture(
            rgb=rgb.reshape(self.height, self.width, 3),
            segmentation=np.where(geom < 0, SKY, 0).astype(np.int16).reshape(self.height, self.width),
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

    def render(self, data: Any) -> Picture:
        """Picture of the current state; re-traces only what moved."""
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
        rgb.reshape(-1, 3)[changed] = _display(_average(colour))
        return Picture(rgb=rgb, segmentation=segmentation, depth=depth)

    def render_afresh(self, data: Any) -> Picture:
        """The same picture without the cache: every ray traced and shaded. Slow; for checking ``render``."""
        every = (_STATIC_GROUP, _MOVING_GROUP)
        dark, light, lit, _, _ = self._layer(data, self._rays[1:], every)
        geom, distance, _ = self._cast(data, self._eye, self._rays[0], every)
        body = np.where(geom < 0, SKY, self._model.geom_bodyid[geom])
        h, w = self.height, self.width
        return Picture(
            rgb=_display(_average(dark + light * lit[..., None])).reshape(h, w, 3),
            segmentation=body.astype(np.int16).reshape(h, w),
            depth=(distance * self._z_per_metre).astype(np.float32).reshape(h, w),
        )


class _GlRenderer:
    """Pixels from OpenGL (plain colours, the driver's shading); ground truth from the ray caster."""

    def __init__(self, caster: RayCaster, model: Any):
        self._mujoco = import_mujoco()
        self._caster = caster
        k, pose = caster.intrinsics, caster.world_from_camera
        model.vis.global_.fovy = np.degrees(2 * np.arctan(caster.height / (2 * k[1, 1])))
        self._gl = self._mujoco.Renderer(model, caster.height, caster.width)
        forward = pose[:3, 2]
        self._camera = self._mujoco.MjvCamera()
        self._camera.type = self._mujoco.mjtCamera.mjCAMERA_FREE
        self._camera.distance = 1.0
        self._camera.lookat[:] = pose[:3, 3] + forward
        self._camera.azimuth = np.degrees(np.arctan2(forward[1], forward[0]))
        self._camera.elevation = np.degrees(np.arcsin(forward[2]))

    def render(self, data: Any) -> Picture:
        """Picture of the current state."""
        truth = self._caster.render(data)
        self._gl.update_scene(data, camera=self._camera)
        return Picture(rgb=self._gl.render(), segmentation=truth.segmentation, depth=truth.depth)


def _albedo(surface: Surface, local: np.ndarray) -> np.ndarray:
    """Linear colour [n, 3] at points in the geom's own axes."""
    colour, accent = _linear(surface.colour), _linear(surface.accent)
    if surface.pattern == "plain" or surface.scale_m <= 0:
        return np.broadcast_to(colour, (len(local), 3))
    if surface.pattern == "stripe":
        mix = np.clip((surface.scale_m / 2 - np.abs(local[:, 0])) / (0.12 * surface.scale_m) + 0.5, 0, 1)
    elif surface.pattern == "checker":
        waves = np.sin(local[:, :2] * (np.pi / surface.scale_m) + surface.seed % 7)
        mix = np.clip(0.5 + 2.2 * waves[:, 0] * waves[:, 1], 0, 1)
    else:
        rng = np.random.default_rng(surface.seed)
        mix = np.full(len(local), 0.5)
        for _ in range(5):
            wave = rng.standard_normal(3)
            wave *= 2 * np.pi / surface.scale_m * rng.uniform(0.5, 1.2) / np.sqrt((wave * wave).sum())
            phase = local[:, 0] * wave[0] + local[:, 1] * wave[1] + local[:, 2] * wave[2]
            mix += 0.2 * np.sin(phase + rng.uniform(0, 2 * np.pi))
        mix = np.clip(mix, 0, 1)
    return colour + mix[:, None] * (accent - colour)


def _linear(colour: tuple[float, float, float]) -> np.ndarray:
    """Linear light of a displayed colour."""
    return np.square(np.array(colour))


def _average(samples: np.ndarray) -> np.ndarray:
    """Mean of the four samples [4, n, 3], in one fixed order."""
    return ((samples[0] + samples[1]) + (samples[2] + samples[3])) * np.float32(0.25)


def _display(colour: np.ndarray) -> np.ndarray:
    """uint8 as displayed."""
    return (np.sqrt(np.clip(colour, 0, 1)) * 255 + np.float32(0.5)).astype(np.uint8)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.sqrt((vector * vector).sum())
