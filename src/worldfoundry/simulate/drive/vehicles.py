"""Vehicles: sizes, shapes and looks. The origin is on the road below the middle of the rear axle; x forward, y left, z up."""

from dataclasses import dataclass

import numpy as np

from worldfoundry.simulate.drive.bicycle import WHEELBASE_M
from worldfoundry.simulate.drive.paint import VehiclePaint, WheelPaint
from worldfoundry.simulate.scenes.looks import Colour, Surface, hsv, numbers, rgba

Profile = tuple[tuple[float, float, float], ...]
"""Corners (x, half width, z) of a hull that is the same on both sides."""
_WHEEL_SINK_M = 5e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One type of vehicle."""

    noun: str
    """For captions."""
    length_m: float
    """Over everything."""
    width_m: float
    """Over everything."""
    rear_m: float
    """From the rear axle back to the end."""
    wheelbase_m: float
    """Between the axles."""
    wheel_m: float
    """Radius of a wheel."""
    hulls: tuple[Profile, ...]
    """Convex parts."""
    glass_m: tuple[float, float]
    """Heights between which the windows are."""
    pillars_m: tuple[float, ...]
    """Where along x the sides have no glass."""

    @property
    def front_m(self) -> float:
        """From the rear axle to the front end."""
        return self.length_m - self.rear_m

    def footprint(self, points: np.ndarray, yaw: np.ndarray) -> np.ndarray:
        """Rows for ``separation`` [..., 5] of vehicles whose rear axles are at points [..., 2]."""
        middle = self.length_m / 2 - self.rear_m
        x, y = points[..., 0] + middle * np.cos(yaw), points[..., 1] + middle * np.sin(yaw)
        half = (np.full(x.shape, self.length_m / 2), np.full(x.shape, self.width_m / 2))
        return np.stack([x, y, np.broadcast_to(yaw, x.shape), *half], -1)


CAR = Kind(
    noun="car",
    length_m=4.4,
    width_m=1.82,
    rear_m=0.85,
    wheelbase_m=WHEELBASE_M,
    wheel_m=0.33,
    hulls=(
        (
            (-0.85, 0.8, 0.35),
            (-0.75, 0.9, 0.9),
            (2.3, 0.9, 0.93),
            (3.4, 0.84, 0.74),
            (3.55, 0.76, 0.55),
            (3.5, 0.82, 0.24),
            (-0.7, 0.82, 0.24),
        ),
        ((-0.6, 0.86, 0.88), (2.35, 0.86, 0.9), (1.45, 0.64, 1.46), (0.1, 0.64, 1.46)),
    ),
    glass_m=(0.97, 1.38),
    pillars_m=(0.1, 1.0),
)
VAN = Kind(
    noun="van",
    length_m=5.2,
    width_m=2.0,
    rear_m=1.0,
    wheelbase_m=3.1,
    wheel_m=0.35,
    hulls=(
        (
            (-1.0, 0.98, 0.3),
            (-1.0, 0.9, 2.15),
            (2.7, 0.9, 2.15),
            (3.5, 0.94, 1.2),
            (4.15, 0.9, 1.0),
            (4.2, 0.94, 0.3),
        ),
    ),
    glass_m=(1.2, 1.85),
    pillars_m=(-0.6, 0.1, 0.8, 1.5),
)
BUS = Kind(
    noun="bus",
    length_m=9.0,
    width_m=2.46,
    rear_m=2.3,
    wheelbase_m=4.7,
    wheel_m=0.46,
    hulls=(
        (
            (-2.3, 1.2, 0.34),
            (-2.3, 1.14, 2.9),
            (6.5, 1.14, 2.9),
            (6.7, 1.2, 1.2),
            (6.7, 1.2, 0.34),
        ),
    ),
    glass_m=(1.25, 2.35),
    pillars_m=(-1.8, -0.3, 1.2, 2.7, 4.2, 5.7),
)


def vehicle_colour(rng: np.random.Generator) -> Colour:
    """Mostly white, grey and black, as on the road; the rest in strong colours."""
    if rng.uniform() < 0.45:
        return hsv(rng.uniform(), rng.uniform(0, 0.06), float(rng.choice([0.12, 0.35, 0.6, 0.8, 0.95])))
    return hsv(
        float(rng.choice([0.0, 0.02, 0.09, 0.14, 0.33, 0.56, 0.6, 0.63])),
        rng.uniform(0.7, 0.95),
        rng.uniform(0.4, 0.85),
    )


@dataclass(slots=True)
class Fleet:
    """Text and looks of vehicles, in one order."""

    meshes: list[str]
    bodies: list[str]
    surfaces: list[Surface]

    def add(self, name: str, kind: Kind, colour: Colour, *, pose: str = "", moves: bool) -> None:
        """Add a vehicle; one that does not move stands at ``pose``."""
        geoms = []
        for k, hull in enumerate(kind.hulls):
            corners = [(x, side * y, z) for x, y, z in hull for side in (-1, 1)]
            self.meshes.append(f'<mesh name="{name}-{k}" vertex="{numbers(np.array(corners).ravel())}"/>')
            geoms.append(f'<geom type="mesh" mesh="{name}-{k}" {rgba(colour)}/>')
            self.surfaces.append(
                VehiclePaint(
                    colour=colour,
                    accent=(0.05, 0.06, 0.08),
                    gloss=0.35,
                    ends_m=(-kind.rear_m, kind.front_m),
                    half_width_m=kind.width_m / 2,
                    axles_m=(0.0, kind.wheelbase_m),
                    wheel_m=kind.wheel_m,
                    glass_m=kind.glass_m,
                    pillars_m=kind.pillars_m,
                )
            )
        for x in (0.0, kind.wheelbase_m):
            # One cylinder an axle: the wheels' outsides are all that is seen of it.
            size = numbers(np.array([kind.wheel_m, kind.width_m / 2]))
            place = numbers(np.array([x, 0, kind.wheel_m - _WHEEL_SINK_M]))
            geoms.append(
                f'<geom type="cylinder" size="{size}" pos="{place}" zaxis="0 1 0" rgba=".05 .05 .05 1"/>'
            )
            self.surfaces.append(
                WheelPaint(colour=(0.2, 0.2, 0.2), accent=(0.75, 0.75, 0.78), axle_m=x, wheel_m=kind.wheel_m)
            )
        joint = "<freejoint/>" if moves else ""
        self.bodies.append(f'<body name="{name}" {pose}>{joint}{"".join(geoms)}</body>')
