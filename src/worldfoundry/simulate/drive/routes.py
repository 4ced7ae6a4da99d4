"""Routes: where a car goes, as a line for its rear axle."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

_STEP_M = 0.05
_COARSE = 10
_RAMP = 0.28


@dataclass(frozen=True, kw_only=True)
class Route:
    """A straight start, one manoeuvre, a straight end; ``s`` is the distance driven."""

    start: tuple[float, float]
    """Where s = 0 is."""
    yaw: float
    """Heading there."""
    before_m: float = 0.0
    """Length of the straight start."""
    heading: np.ndarray | None = None
    """float64 [k], change of heading during the manoeuvre at steps of 5 cm; ``None``: straight for ever."""

    @cached_property
    def length_m(self) -> float:
        """Of the manoeuvre."""
        return 0.0 if self.heading is None else (len(self.heading) - 1) * _STEP_M

    @cached_property
    def _line(self) -> np.ndarray:
        """Points [k, 2] of the manoeuvre."""
        turn = np.zeros(1) if self.heading is None else self.heading
        middle = self.yaw + (turn[1:] + turn[:-1]) / 2
        steps = _STEP_M * np.stack([np.cos(middle), np.sin(middle)], 1)
        first = np.array(self.start) + self.before_m * _direction(self.yaw)
        return np.concatenate([first[None], first + np.cumsum(steps, 0)])

    @cached_property
    def _grid(self) -> np.ndarray:
        """Distances [k] of ``_line`` from the manoeuvre's start."""
        return np.arange(len(self._line)) * _STEP_M

    @cached_property
    def _ahead(self) -> np.ndarray:
        """Unit vector at the start."""
        return _direction(self.yaw)

    @cached_property
    def _end_yaw(self) -> float:
        return self.yaw + (0.0 if self.heading is None else float(self.heading[-1]))

    def yaw_at(self, s: np.ndarray | float) -> np.ndarray:
        """Heading [...] at distances."""
        if self.heading is None:
            return np.full(np.shape(s), self.yaw)
        return np.asarray(self.yaw + np.interp(np.asarray(s) - self.before_m, self._grid, self.heading))

    def point_at(self, s: np.ndarray | float) -> np.ndarray:
        """Points [..., 2] at distances; beyond both ends it goes straight on."""
        s = np.asarray(s, float) - self.before_m
        if self.heading is None:
            return self._line[0] + s[..., None] * self._ahead
        line, grid = self._line, self._grid
        inside = np.stack([np.interp(s, grid, line[:, 0]), np.interp(s, grid, line[:, 1])], -1)
        early, late = np.minimum(s, 0), np.maximum(s - self.length_m, 0)
        return inside + early[..., None] * self._ahead + late[..., None] * _direction(self._end_yaw)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distance along the route and distance from it of points [n, 2]: the nearest place of the route."""
        away, (c, s) = points - self._line[0], self._ahead
        along, off = away[:, 0] * c + away[:, 1] * s, np.abs(away[:, 1] * c - away[:, 0] * s)
        if self.heading is None:
            return along + self.before_m, off
        early = np.where(along <= 0, off, np.inf)
        coarse = self._line[::_COARSE]
        to_line = np.sqrt(((points[:, None] - coarse) ** 2).sum(-1))
        nearest = to_line.argmin(1)
        beyond = (points - self._line[-1]) @ _direction(self._end_yaw)
        late = np.where(beyond >= 0, np.abs((points - self._line[-1]) @ _left(self._end_yaw)), np.inf)
        choices = np.stack([early, to_line.min(1), late])
        places = np.stack([along, nearest * _COARSE * _STEP_M, self.length_m + beyond])
        best = choices.argmin(0)
        at = np.arange(len(points))
        return places[best, at] + self.before_m, choices[best, at]


def turn_heading(side: float, reach_m: float) -> np.ndarray:
    """A quarter turn to the left (``side`` 1) or right (-1) that ends ``reach_m`` ahead and as far to the side.

    Curvature rises, holds and falls linearly, so the steering wheel never jumps.
    """
    unit_reach = _reach(_quarter(2001), 1 / 2000)
    count = max(round(reach_m / unit_reach / _STEP_M), 8) + 1
    return side * _quarter(count)


def shift_heading(side: float, length_m: float, shift_m: float) -> np.ndarray:
    """A change of lanes ``shift_m`` to the left (``side`` 1) or right within about ``length_m``."""
    bump = (1 - np.cos(np.linspace(0, 2 * np.pi, round(length_m / _STEP_M) + 1))) / 2
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if np.sin(middle * bump).sum() * _STEP_M < shift_m else (low, middle)
    return side * low * bump


def _quarter(count: int) -> np.ndarray:
    """Heading of a quarter turn at equal steps."""
    u = np.linspace(0, 1, count)
    curvature = np.clip(np.minimum(u, 1 - u) / _RAMP, 0, 1)
    heading = np.concatenate([[0], np.cumsum((curvature[1:] + curvature[:-1]) / 2)])
    return heading / heading[-1] * np.pi / 2


def _reach(heading: np.ndarray, step: float) -> float:
    return float(np.cos((heading[1:] + heading[:-1]) / 2).sum() * step)


def _direction(yaw: float) -> np.ndarray:
    return np.array([np.cos(yaw), np.sin(yaw)])


def _left(yaw: float) -> np.ndarray:
    return np.array([-np.sin(yaw), np.cos(yaw)])
