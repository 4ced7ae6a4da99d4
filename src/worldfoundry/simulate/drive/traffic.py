"""Who drives where and how fast: each follows its route, keeps its distance and stops where it must.

Distances and speeds come from the Intelligent Driver Model on a fixed clock, so they depend neither on the frame rate nor on the
length of a clip. Source: Treiber, Hennecke, Helbing, Congested traffic states, arXiv cond-mat/0002177.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from worldfoundry.simulate.drive.routes import Route
from worldfoundry.simulate.drive.vehicles import Kind
from worldfoundry.simulate.scenes.looks import Colour

STEP_SECONDS = 0.05
_SPEED_UP = 1.6
_SLOW_DOWN = 2.2
_HARDEST = 6.0
_STANDING_GAP_M = 2.0
_HEADWAY_SECONDS = 1.2
_JERK = 5.0
_LANE_HALF_M = 1.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """A vehicle on its way."""

    name: str
    kind: Kind
    colour: Colour
    route: Route
    start_m: float
    """Where its rear axle is on the route at the start."""
    speed: float
    """m/s at the start."""
    wanted: Callable[[float], float]
    """Speed that it would like to have at a place of its route, m/s."""
    stop_m: float = np.inf
    """Place of the route that its front must not pass."""
    role: str
    """``ego``, ``same way``, ``other way`` or ``side street``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drives:
    """What happened, at ``STEP_SECONDS``."""

    drivers: tuple[Driver, ...]
    places: np.ndarray
    """float64 [k, n] along the routes."""
    speeds: np.ndarray
    """float64 [k, n]; linear between two steps."""

    def at(self, index: int, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Place [...] and speed of one driver at times."""
        k = np.clip((np.asarray(seconds) / STEP_SECONDS).astype(int), 0, len(self.places) - 2)
        since = seconds - k * STEP_SECONDS
        before, after = self.speeds[k, index], self.speeds[k + 1, index]
        speed = before + (after - before) * since / STEP_SECONDS
        return self.places[k, index] + (before + speed) / 2 * since, speed

    def footprints(self, seconds: np.ndarray) -> np.ndarray:
        """Rows for ``separation`` [t, n, 5]."""
        rows = []
        for index, driver in enumerate(self.drivers):
            place, _ = self.at(index, seconds)
            rows.append(driver.kind.footprint(driver.route.point_at(place), driver.route.yaw_at(place)))
        return np.stack(rows, 1)


def let_drive(drivers: tuple[Driver, ...], seconds: float) -> Drives:
    """Everybody drives for at least ``seconds``."""
    steps = int(np.ceil(seconds / STEP_SECONDS)) + 2
    n = len(drivers)
    places, speeds = np.empty((steps, n)), np.empty((steps, n))
    places[0], speeds[0] = [d.start_m for d in drivers], [d.speed for d in drivers]
    before = None
    for k in range(steps - 1):
        wish = _accelerations(drivers, places[k], speeds[k])
        if before is not None:
            wish = before + np.clip(wish - before, -_JERK * STEP_SECONDS, _JERK * STEP_SECONDS)
        # Who would roll backwards stands; the change of speed stays linear within the step.
        speeds[k + 1] = np.maximum(speeds[k] + wish * STEP_SECONDS, 0)
        places[k + 1] = places[k] + (speeds[k] + speeds[k + 1]) / 2 * STEP_SECONDS
        before = (speeds[k + 1] - speeds[k]) / STEP_SECONDS
    return Drives(drivers=drivers, places=places, speeds=speeds)


def _accelerations(drivers: tuple[Driver, ...], places: np.ndarray, speeds: np.ndarray) -> np.ndarray:
    """What each wants to do now, m/s2."""
    points = np.array([d.route.point_at(s) for d, s in zip(drivers, places, strict=True)])
    yaws = np.array([d.route.yaw_at(s) for d, s in zip(drivers, places, strict=True)])
    rears = np.array([d.kind.rear_m for d in drivers])
    wish = np.empty(len(drivers))
    for i, driver in enumerate(drivers):
        wish[i] = _free(speeds[i], driver.wanted(places[i]))
        front = places[i] + driver.kind.front_m
        if front < driver.stop_m + 1.5:
            wish[i] = min(wish[i], _halt(speeds[i], driver.stop_m - front))
        along, off = driver.route.project(points)
        ahead = (along > places[i]) & (off < _LANE_HALF_M) & (np.cos(yaws - yaws[i]) > -0.2)
        ahead[i] = False
        if ahead.any():
            j = int(np.flatnonzero(ahead)[along[ahead].argmin()])
            gap = along[j] - rears[j] - front
            wish[i] = min(wish[i], _follow(speeds[i], speeds[j], gap))
    return np.clip(wish, -_HARDEST, _SPEED_UP)


def _free(speed: float, wanted: float) -> float:
    return _SPEED_UP * (1 - (speed / max(wanted, 0.1)) ** 4) if speed < wanted else -0.8 * (speed - wanted)


def _halt(speed: float, distance: float) -> float:
    """Constant braking to a line, begun when it is no longer gentle."""
    needed = speed**2 / (2 * max(distance, 0.1))
    return -needed if needed > 1.5 or distance < 1.0 else np.inf


def _follow(speed: float, leader: float, gap: float) -> float:
    if leader < 0.5:
        return _halt(speed, gap - _STANDING_GAP_M)
    wanted = _STANDING_GAP_M + max(
        0.0, speed * _HEADWAY_SECONDS + speed * (speed - leader) / (2 * np.sqrt(_SPEED_UP * _SLOW_DOWN))
    )
    return _SPEED_UP * (1 - (wanted / max(gap, 0.3)) ** 2)
