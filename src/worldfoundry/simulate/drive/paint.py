"""Painted surfaces of streets: colours as functions of the point in the body's axes, blurred to what a pixel covers."""

from dataclasses import dataclass

import numpy as np

from worldfoundry.simulate.noise import noise_of
from worldfoundry.simulate.scenes.looks import Colour, PaintedSurface

_GLASS = np.array([0.03, 0.045, 0.06])


@dataclass(frozen=True, slots=True, kw_only=True)
class VehiclePaint(PaintedSurface):
    """Bodywork with windows, lights, wheel arches and number plates."""

    ends_m: tuple[float, float]
    half_width_m: float
    axles_m: tuple[float, float]
    wheel_m: float
    glass_m: tuple[float, float]
    pillars_m: tuple[float, ...]

    def paint(self, points: np.ndarray, blur_m: np.ndarray) -> np.ndarray:
        """Linear colours [n, 3]."""
        del blur_m  # vehicles that are far away are small, and four rays a pixel do
        x, y, z = points.T
        away = np.abs(y)
        out = np.broadcast_to(np.square(self.colour), points.shape).copy()
        side = away > self.half_width_m * 0.6
        pillar = np.zeros(len(x), bool)
        for at in self.pillars_m:
            pillar |= side & (np.abs(x - at) < 0.06)
        low, high = self.glass_m
        out[(z > low) & (z < high) & ~pillar] = _GLASS
        out[z < 0.36] = 0.02
        for at in self.axles_m:
            arch = (x - at) ** 2 + (z - self.wheel_m) ** 2 < (self.wheel_m + 0.07) ** 2
            out[arch & (away > self.half_width_m - 0.25)] = 0.01
        rear, front = self.ends_m
        lamps = (
            (away > self.half_width_m - 0.55) & (away < self.half_width_m - 0.12) & (z > 0.52) & (z < 0.72)
        )
        out[lamps & (x > front - 0.16)] = (1.4, 1.35, 1.15)
        out[lamps & (x < rear + 0.2)] = (0.75, 0.02, 0.02)
        plate = (away < 0.27) & (np.abs(z - 0.48) < 0.07) & ((x < rear + 0.2) | (x > front - 0.2))
        out[plate] = (0.8, 0.8, 0.75)
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelPaint(PaintedSurface):
    """A tyre and a hub."""

    axle_m: float
    wheel_m: float

    def paint(self, points: np.ndarray, blur_m: np.ndarray) -> np.ndarray:
        """Linear colours [n, 3]."""
        del blur_m
        r2 = (points[:, 0] - self.axle_m) ** 2 + (points[:, 2] - self.wheel_m) ** 2
        hub = r2 < (0.62 * self.wheel_m) ** 2
        return np.where(hub[:, None], np.square(self.accent), np.square(self.colour))


@dataclass(frozen=True, slots=True, kw_only=True)
class FacadePaint(PaintedSurface):
    """Walls with rows of windows, a ground floor of its own and a roof; ``colour`` is the wall, ``accent`` the trim."""

    centre_m: tuple[float, float]
    half_m: tuple[float, float]
    eaves_m: float
    """Above it is roof, where the building has a pitched one."""
    ridge_along: int
    """Axis of the ridge of a pitched roof."""
    roof: Colour
    window_m: tuple[float, float]
    """Width and height of one window with the wall around it."""
    glass_share: tuple[float, float]
    """How much of that is glass, across and up."""
    shop: bool
    """Whether the ground floor is glass under an awning of the accent's colour."""
    lit_share: float
    """Share of the windows with a lamp behind."""

    def paint(self, points: np.ndarray, blur_m: np.ndarray) -> np.ndarray:
        """Linear colours [n, 3]."""
        x, y = points[:, 0] - self.centre_m[0], points[:, 1] - self.centre_m[1]
        z = points[:, 2]
        faces_x = np.abs(x) > self.half_m[0] - 0.02
        faces_y = np.abs(y) > self.half_m[1] - 0.02
        u = np.where(faces_x, y + self.half_m[1], x + self.half_m[0])
        gable = faces_x if self.ridge_along == 0 else faces_y
        is_roof = (z > self.eaves_m - 0.01) & ~gable | ~(faces_x | faces_y)
        face = faces_x * 2 + (np.where(faces_x, x, y) > 0)
        width, height = self.window_m
        column, floor = u / width, (z - 0.4) / height
        share = slot_share(column, self.glass_share[0], blur_m / width) * slot_share(
            floor, self.glass_share[1], blur_m / height
        )
        top = self.eaves_m - 0.6
        share = share * ((z < top) & (floor > 0))
        pick = noise_of(np.floor(column), np.floor(floor), face, seed=self.seed)
        near = np.clip(2 - blur_m / width, 0, 1)[:, None]
        glass = _GLASS + (0.18 * pick**3)[:, None] * [0.8, 0.95, 1.0]
        lamp = (pick < self.lit_share)[:, None]
        glass = np.where(lamp & (near > 0), glass + near * [1.9, 1.25, 0.55], glass)
        wall = np.square(self.colour) * (0.92 + 0.08 * np.cos(0.7 * u + self.seed % 6))[:, None]
        ledge = line_share(np.abs(floor - np.floor(floor + 0.5)) * height, 0.09, blur_m)
        wall = wall + (0.35 * ledge)[:, None] * (np.square(self.accent) - wall)
        out = wall + share[:, None] * (glass - wall)
        if self.shop:
            out = self._with_shop(out, u, z, blur_m)
        tiles = 0.9 + 0.1 * np.sign(np.sin(6 * z)) * np.clip(1 - blur_m / 0.5, 0, 1)
        return np.where(is_roof[:, None], np.square(self.roof) * tiles[:, None], out)

    def _with_shop(self, out: np.ndarray, u: np.ndarray, z: np.ndarray, blur_m: np.ndarray):
        pane = slot_share(u / 3.2, 0.86, blur_m / 3.2)[:, None]
        frame = np.square(self.accent) * 0.5
        glass = _GLASS * 1.5 + (0.25 * (noise_of(np.floor(u / 3.2), seed=self.seed + 5)) ** 2)[:, None]
        glass = glass + (self.lit_share > 0) * np.array([1.1, 0.8, 0.45])
        ground = frame + pane * (glass - frame)
        out = np.where((z < 2.9)[:, None], ground, out)
        out = np.where((z < 0.45)[:, None], frame, out)
        return np.where(((z > 2.75) & (z < 3.35))[:, None], np.square(self.accent), out)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalPaint(PaintedSurface):
    """A traffic light's head: dark, with one lamp lit on the side ``facing`` (a unit vector)."""

    at_m: tuple[float, float, float]
    """Middle of the head."""
    facing: tuple[float, float]
    """Towards those who must heed it."""
    is_red: bool

    def paint(self, points: np.ndarray, blur_m: np.ndarray) -> np.ndarray:
        """Linear colours [n, 3]; a lit lamp is brighter than anything white."""
        del blur_m
        local = points - np.array(self.at_m)
        ahead = local[:, 0] * self.facing[0] + local[:, 1] * self.facing[1]
        across = local[:, 0] * self.facing[1] - local[:, 1] * self.facing[0]
        out = np.full(points.shape, 0.02)
        lamps = (
            (0.42, (2.6, 0.12, 0.06) if self.is_red else (0.06, 0.01, 0.01)),
            (0.0, (0.05, 0.035, 0.01)),
            (-0.42, (0.01, 0.05, 0.03) if self.is_red else (0.15, 2.3, 0.7)),
        )
        for height, colour in lamps:
            out[(ahead > 0.1) & (across**2 + (local[:, 2] - height) ** 2 < 0.19**2)] = colour
        return out


def line_share(distance: np.ndarray, half: float, blur_m: np.ndarray) -> np.ndarray:
    """Share of a pixel that a line ``half`` to each side covers; ``distance`` is that of the pixel's centre."""
    blur = np.maximum(blur_m, 1e-3)
    return np.clip((half + blur / 2 - distance) / blur, 0, np.minimum(1, 2 * half / blur))


def slot_share(position: np.ndarray, share: float, blur: np.ndarray) -> np.ndarray:
    """Periodic slots around the middle of each unit cell, ``share`` of it wide; far away, their mean."""
    away = np.abs(position - np.floor(position) - 0.5)
    sharp = line_share(away, share / 2, np.minimum(blur, 1.0))
    return sharp + np.clip(2 * blur - 0.8, 0, 1) * (share - sharp)
