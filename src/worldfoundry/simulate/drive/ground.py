"""The ground: roads with their markings, pavements and green, as one painted plane."""

from dataclasses import dataclass

import numpy as np

from worldfoundry.simulate.drive.paint import line_share, slot_share
from worldfoundry.simulate.noise import noise_of
from worldfoundry.simulate.scenes.looks import Colour, PaintedSurface

LANE_M = 3.5
PARKING_M = 2.3
PAVEMENT_M = 4.0
CORNER_M = 3.0
"""Radius of the kerb at a crossing."""
STOP_LINE_M = 5.6
"""From the mouth of a crossing back to the middle of the stop line."""


@dataclass(frozen=True, slots=True)
class Road:
    """A straight road along an axis of the world, as many lanes each way."""

    at_m: float
    """Where its middle is on the other axis."""
    lanes: int
    """Each way."""

    @property
    def half_m(self) -> float:
        """From the middle to the kerb."""
        return self.lanes * LANE_M + PARKING_M

    def lane_m(self, index: int) -> float:
        """From the middle of the road to the middle of a lane; 0 is the innermost."""
        return (index + 0.5) * LANE_M


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundPaint(PaintedSurface):
    """``colour`` is the asphalt, ``accent`` the pavement."""

    along_y: tuple[Road, ...]
    along_x: tuple[Road, ...]
    green: Colour
    centre_line: Colour
    zebra: bool
    dash_m: float
    """Length of a dash of the lines, and half of a gap."""

    def paint(self, points: np.ndarray, blur_m: np.ndarray) -> np.ndarray:
        """Linear colours [n, 3]."""
        x, y = points[:, 0], points[:, 1]
        dx, half_x, lanes_x = _nearest(self.along_y, x)
        dy, half_y, lanes_y = _nearest(self.along_x, y)
        beyond_x, beyond_y = dx - half_x, dy - half_y
        edge = np.minimum(beyond_x, beyond_y)
        in_corner = (beyond_x > 0) & (beyond_y > 0) & (beyond_x < CORNER_M) & (beyond_y < CORNER_M)
        round_corner = CORNER_M - np.sqrt((CORNER_M - beyond_x) ** 2 + (CORNER_M - beyond_y) ** 2)
        edge = np.where(in_corner, round_corner, edge)
        out = self._off_road(x, y, edge, blur_m)
        on_y, on_x = beyond_x <= 0, beyond_y <= 0
        worn = 0.09 * _waves(x, y, self.seed) * np.clip(1.5 - blur_m / 3, 0, 1)
        grain = (
            (noise_of(np.floor(x * 4), np.floor(y * 4), seed=self.seed) - 0.5)
            * np.clip(0.2 - blur_m, 0, 0.2)
            * 1.5
        )
        track = np.where(on_y, dx, dy) / (LANE_M / 2)
        worn = worn - 0.05 * np.abs(np.sin(np.pi * track)) * (on_y ^ on_x)
        asphalt = np.square(self.colour) * (1 + worn + grain)[:, None]
        asphalt = self._marked(
            asphalt, dx, y, x, beyond_y, lanes_x, half_x, on_y & ~on_x, blur_m, along_y=True
        )
        asphalt = self._marked(
            asphalt, dy, x, y, beyond_x, lanes_y, half_y, on_x & ~on_y, blur_m, along_y=False
        )
        road = np.clip(0.5 - edge / np.maximum(blur_m, 0.01), 0, 1)[:, None]
        return out + road * (asphalt - out)

    def _off_road(self, x: np.ndarray, y: np.ndarray, edge: np.ndarray, blur_m: np.ndarray) -> np.ndarray:
        near = np.clip(1.4 - blur_m / 0.5, 0, 1)
        joints = np.maximum(
            slot_share(x / 1.2 + 0.5, 0.05, blur_m / 1.2), slot_share(y / 1.2 + 0.5, 0.05, blur_m / 1.2)
        )
        tone = 0.1 * (noise_of(np.floor(x / 1.2), np.floor(y / 1.2), seed=self.seed) - 0.5) * near
        pavement = np.square(self.accent) * (1 + tone - 0.35 * joints)[:, None]
        rough = noise_of(np.floor(x * 3), np.floor(y * 3), seed=self.seed + 1) - 0.5
        grass = (
            np.square(self.green)
            * (1 + 0.25 * _waves(x * 1.7, y * 1.7, self.seed + 2) + 0.5 * rough * near)[:, None]
        )
        out = np.where((edge < PAVEMENT_M)[:, None], pavement, grass)
        kerb = line_share(np.abs(edge - 0.1), 0.1, blur_m)[:, None]
        return out + kerb * (np.square(self.accent) * 1.25 - out)

    def _marked(self, out, across, along, lateral, mouth, lanes, half, where, blur_m, *, along_y: bool):
        """Asphalt with the lines of the roads along one axis; ``mouth`` is the distance from the crossing."""
        at = np.flatnonzero(where & (mouth < 400))
        across, along, lateral, mouth, blur = (v[at] for v in (across, along, lateral, mouth, blur_m))
        lanes, half = lanes[at], half[at]
        roads = self.along_y if along_y else self.along_x
        signed = lateral - np.array([road.at_m for road in roads])[_index(roads, lateral)]
        free = mouth > STOP_LINE_M
        dash = np.where(
            mouth < 16, 1.0, slot_share(along / (1.5 * self.dash_m), 0.67, blur / (1.5 * self.dash_m))
        )
        centre = line_share(across, 0.075, blur) * dash * free
        between = line_share(np.abs(across - LANE_M), 0.07, blur) * dash * (free & (lanes > 1))
        parking = line_share(np.abs(across - (half - PARKING_M)), 0.06, blur) * (mouth > 9.0)
        # Those who come to the crossing are on the right: right of the middle when driving towards it.
        towards = np.where(along < self._crossing(along, along_y), 1.0, -1.0)
        right = signed * towards * (1.0 if along_y else -1.0) > 0
        stop = line_share(np.abs(mouth - STOP_LINE_M), 0.2, blur) * (
            right & (across < half - PARKING_M) & (across > 0.1)
        )
        white = np.maximum(np.maximum(between, parking), stop)
        if self.zebra:
            bars = slot_share(across + 0.25, 0.5, blur) * line_share(np.abs(mouth - 3.2), 1.35, blur)
            white = np.maximum(white, bars * (across < half - 0.3))
        worn = 0.86 - 0.14 * noise_of(np.floor(along * 3), np.floor(lateral * 3), seed=self.seed + 3)
        colour = out[at]
        colour = colour + centre[:, None] * (np.square(self.centre_line) - colour)
        out[at] = colour + (white * worn)[:, None] * (np.array([0.82, 0.82, 0.8]) - colour)
        return out

    def _crossing(self, along: np.ndarray, along_y: bool) -> np.ndarray:
        roads = self.along_x if along_y else self.along_y
        return np.array([road.at_m for road in roads])[_index(roads, along)]


def _index(roads: tuple[Road, ...], position: np.ndarray) -> np.ndarray:
    """Which road is nearest; ``roads`` are in order."""
    places = np.array([road.at_m for road in roads])
    return np.searchsorted((places[1:] + places[:-1]) / 2, position)


def _nearest(roads: tuple[Road, ...], position: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance from the middle of the nearest road, its half width, its lanes each way."""
    index = _index(roads, position)
    places, halves, lanes = (np.array([getattr(r, f) for r in roads]) for f in ("at_m", "half_m", "lanes"))
    return np.abs(position - places[index]), halves[index], lanes[index]


def _waves(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    """Smooth noise in -1..1 over some metres."""
    a = 0.1 * (seed % 60)
    return 0.5 * np.sin(0.31 * x + 0.23 * y + a) + 0.5 * np.sin(
        0.17 * x - 0.41 * y + 2.1 * a + np.sin(0.2 * x)
    )
