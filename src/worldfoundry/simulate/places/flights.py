"""Camera flights: smooth motion at speeds that are known, along a leg and, where the clip is longer, back again.

A flight is drawn without knowing where it may go; ``survey`` says whether it is clear of everything and has something to look
at. Left and right are those of the camera.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from worldfoundry.simulate.places.motion import Shake, level_poses, swing
from worldfoundry.simulate.places.pieces import Placed
from worldfoundry.simulate.places.place import Place

Path = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Seconds into the leg [t] to eyes [t, 3], unit forward directions [t, 3] and fields of view [t] (rad)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """One drawn flight."""

    name: str
    """Of ``FLIGHTS``."""
    words: str
    """What the camera does, after ``the camera``."""
    path: Path
    """Where the camera is along the leg."""
    leg_seconds: float
    """Time from one end to the other."""
    subject: Placed | None = None
    """What is always in the picture."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Speeds and directions as JSON values."""
    shake: Shake | None = None
    """Of a camera in the hand."""

    def poses(self, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``world_from_camera`` [t, 4, 4] and field of view [t] at times from the first frame on."""
        eyes, forwards, fov = self.path(swing(seconds, self.leg_seconds))
        poses = level_poses(eyes, forwards)
        return (poses if self.shake is None else self.shake.moved(poses, seconds)), fov


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.sqrt((vectors * vectors).sum(-1, keepdims=True))


def _heading(yaw: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Unit vectors [t, 3]; yaw turns left from x, pitch goes up."""
    flat = np.cos(pitch)
    return np.stack([flat * np.cos(yaw), flat * np.sin(yaw), np.sin(pitch)], -1)


def _fixed(value: np.ndarray | float, u: np.ndarray) -> np.ndarray:
    """The same value at every time."""
    return np.broadcast_to(np.asarray(value, float), (len(u), *np.shape(value))).copy()


@dataclass(frozen=True, slots=True)
class _Stand:
    """Where a camera begins, and at what it looks."""

    eye: np.ndarray
    forward: np.ndarray
    fov: float
    leg: float
    subject: Placed

    @property
    def angles(self) -> tuple[float, float]:
        """Yaw and pitch."""
        return float(np.arctan2(self.forward[1], self.forward[0])), float(np.arcsin(self.forward[2]))


def _stand(rng: np.random.Generator, place: Place) -> _Stand:
    """A random eye that looks towards one of the subjects."""
    subject = place.subjects[int(rng.integers(len(place.subjects)))]
    zone = place.zone
    bearing, away = rng.uniform(-np.pi, np.pi), zone.scale * rng.uniform(1.3, 3.2)
    height = zone.low[2] + rng.beta(1.5, 2.5) * (zone.high[2] - zone.low[2])
    eye = np.array([subject.at[0] + away * np.cos(bearing), subject.at[1] + away * np.sin(bearing), height])
    # A little above low things, or the floor is most of what is seen.
    lift = max(0.0, 0.45 * zone.scale - subject.piece.height / 2) * rng.uniform(0.3, 1.0)
    aim = (
        subject.centre + rng.uniform(-0.25, 0.25, 3) * [zone.scale, zone.scale, 0.3] + np.array([0, 0, lift])
    )
    degrees = rng.uniform(55, 75) if zone.scale == 1 else rng.uniform(48, 65)
    return _Stand(eye, _unit(aim - eye), float(np.radians(degrees)), rng.uniform(5.0, 7.0), subject)


def _sign(rng: np.random.Generator) -> int:
    return 1 if rng.uniform() < 0.5 else -1


def orbit(rng: np.random.Generator, place: Place) -> Flight:
    """Around a subject at one distance and height, looking at it."""
    stand, sign = _stand(rng, place), _sign(rng)
    rate = sign * rng.uniform(0.12, 0.3)
    centre = stand.subject.centre + np.array([0, 0, rng.uniform(0, 0.25)])
    out = stand.eye - centre
    radius, start, rise = float(np.hypot(out[0], out[1])), np.arctan2(out[1], out[0]), out[2]

    def path(u: np.ndarray):
        angle = start + rate * u
        offset = np.stack([radius * np.cos(angle), radius * np.sin(angle), _fixed(rise, u)], 1)
        return centre + offset, -_unit(offset), _fixed(stand.fov, u)

    side = "right" if sign > 0 else "left"
    return Flight(
        name="orbit",
        words=f"orbits to the {side} around {{subject}}",
        path=path,
        leg_seconds=stand.leg,
        subject=stand.subject,
        facts={
            "direction": side,
            "speed_m_per_s": abs(rate) * radius,
            "turn_rad_per_s": abs(rate),
            "centre_m": centre.tolist(),
        },
    )


def _straight(rng: np.random.Generator, place: Place, name: str) -> Flight:
    """Along the optical axis or across it, looking the same way all the time."""
    stand, sign = _stand(rng, place), _sign(rng)
    speed = place.zone.scale * rng.uniform(0.12, 0.35)
    right = _unit(np.array([stand.forward[1], -stand.forward[0], 0.0]))
    along = sign * (stand.forward if name == "dolly" else right)
    side = ("forward", "backward") if name == "dolly" else ("right", "left")
    side = side[0 if sign > 0 else 1]

    def path(u: np.ndarray):
        return stand.eye + speed * u[:, None] * along, _fixed(stand.forward, u), _fixed(stand.fov, u)

    return Flight(
        name=name,
        words=f"moves {side}" if name == "dolly" else f"moves sideways to the {side}",
        path=path,
        leg_seconds=stand.leg,
        facts={"direction": side, "speed_m_per_s": speed, "turn_rad_per_s": 0.0},
    )


def dolly(rng: np.random.Generator, place: Place) -> Flight:
    """Forward or backward along the optical axis."""
    return _straight(rng, place, "dolly")


def truck(rng: np.random.Generator, place: Place) -> Flight:
    """Sideways, level."""
    return _straight(rng, place, "truck")


def _turning(rng: np.random.Generator, place: Place, name: str) -> Flight:
    """On the spot, about the vertical or up and down."""
    stand, sign = _stand(rng, place), _sign(rng)
    rate = sign * (rng.uniform(0.09, 0.24) if name == "pan" else rng.uniform(0.04, 0.09))
    (yaw, pitch), middle = stand.angles, stand.leg / 2
    side = ("left", "right") if name == "pan" else ("up", "down")
    side = side[0 if sign > 0 else 1]

    def path(u: np.ndarray):
        turned = rate * (u - middle)  # what is aimed at is in the middle of the leg
        forward = (
            _heading(yaw + turned, _fixed(pitch, u))
            if name == "pan"
            else _heading(_fixed(yaw, u), pitch + turned)
        )
        return _fixed(stand.eye, u), forward, _fixed(stand.fov, u)

    return Flight(
        name=name,
        words=f"{name}s {'to the ' if name == 'pan' else ''}{side}",
        path=path,
        leg_seconds=stand.leg,
        facts={"direction": side, "speed_m_per_s": 0.0, "turn_rad_per_s": abs(rate)},
    )


def pan(rng: np.random.Generator, place: Place) -> Flight:
    """To the left or right about the vertical."""
    return _turning(rng, place, "pan")


def tilt(rng: np.random.Generator, place: Place) -> Flight:
    """Up or down."""
    return _turning(rng, place, "tilt")


def zoom(rng: np.random.Generator, place: Place) -> Flight:
    """The lens alone: the focal length grows or shrinks by the same factor every second."""
    stand, sign = _stand(rng, place), _sign(rng)
    rate = sign * rng.uniform(0.08, 0.16)
    tangent = np.tan(stand.fov / 2) * (1.0 if sign > 0 else np.exp(rate * stand.leg))

    def path(u: np.ndarray):
        return _fixed(stand.eye, u), _fixed(stand.forward, u), 2 * np.arctan(tangent * np.exp(-rate * u))

    return Flight(
        name="zoom",
        words="zooms in" if sign > 0 else "zooms out",
        path=path,
        leg_seconds=stand.leg,
        facts={
            "direction": "in" if sign > 0 else "out",
            "speed_m_per_s": 0.0,
            "turn_rad_per_s": 0.0,
            "focal_length_factor_per_s": float(np.exp(rate)),
        },
    )


def spline(rng: np.random.Generator, place: Place) -> Flight:
    """Along a random smooth curve at constant speed, looking from one subject towards another."""
    stand, zone = _stand(rng, place), place.zone
    speed = zone.scale * rng.uniform(0.15, 0.35)
    second = place.subjects[int(rng.integers(len(place.subjects)))]
    # Uniform cubic B-spline: its second derivative is smooth, and it stays within its control points.
    # Every step leans the same way, so that it never turns on the spot.
    bearing = rng.uniform(-np.pi, np.pi)
    lean = np.array([0.4 * np.cos(bearing), 0.4 * np.sin(bearing), rng.uniform(-0.04, 0.04)])
    steps = lean + rng.uniform(-1, 1, (6, 3)) * [0.28, 0.28, 0.12]
    control = stand.eye + np.cumsum(steps * zone.scale, 0)
    t = np.linspace(0, 3, 1501)
    k, f = np.minimum(t.astype(int), 2), (t - np.minimum(t.astype(int), 2))[:, None]
    basis = (
        (1 - f) ** 3 / 6,
        (3 * f**3 - 6 * f**2 + 4) / 6,
        (-3 * f**3 + 3 * f**2 + 3 * f + 1) / 6,
        f**3 / 6,
    )
    points = np.asarray(sum(b * control[k + i] for i, b in enumerate(basis)))
    chords = np.diff(points, axis=0)
    along = np.concatenate([[0], np.cumsum(np.sqrt((chords * chords).sum(1)))])
    leg = stand.leg
    speed = min(speed, float(along[-1]) / leg)
    wander = rng.uniform(0.3, 0.7) if second is not stand.subject else 0.0
    first_aim = stand.subject.centre
    drift = wander * (second.centre - first_aim)

    def path(u: np.ndarray):
        eyes = np.stack([np.interp(u * speed, along, points[:, axis]) for axis in range(3)], 1)
        share = (u / leg)[:, None]
        aim = first_aim + (3 * share**2 - 2 * share**3) * drift
        return eyes, _unit(aim - eyes), _fixed(stand.fov, u)

    return Flight(
        name="spline",
        words="glides along a curve",
        path=path,
        leg_seconds=leg,
        facts={"speed_m_per_s": speed},
    )


def handheld(rng: np.random.Generator, place: Place) -> Flight:
    """One of the others with the trembling of a hand, or a slow walk."""
    base = (dolly, orbit, truck, pan)[int(rng.integers(4))](rng, place)
    walks = base.name != "pan"
    shake = Shake(
        phases=rng.uniform(-np.pi, np.pi, (6, 4)),
        reach_m=rng.uniform(0.008, 0.02),
        reach_rad=rng.uniform(0.008, 0.02),
        step_m=rng.uniform(0.008, 0.02) if walks else 0.0,
        step_hz=rng.uniform(1.4, 1.9),
    )
    words = base.words.replace("moves", "walks", 1)
    facts = {
        **base.facts,
        "of": base.name,
        "shake_m": shake.reach_m + shake.step_m,
        "shake_rad": shake.reach_rad,
    }
    return replace(base, name="handheld", words=f"is held in the hand and {words}", facts=facts, shake=shake)


FLIGHTS: dict[str, Callable[[np.random.Generator, Place], Flight]] = {
    "orbit": orbit,
    "dolly": dolly,
    "truck": truck,
    "pan": pan,
    "tilt": tilt,
    "zoom": zoom,
    "spline": spline,
    "handheld": handheld,
}
"""Every flight by name."""
