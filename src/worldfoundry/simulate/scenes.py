"""Physics scenes, drawn from a seed: what stands where, how it looks, where the camera is.

World axes: x right, y away from the camera, z up; metres, radians, seconds. A scene is text for MuJoCo plus looks, so
that this module needs neither mujoco nor torch. Colours are RGB in 0..1 as displayed. The floor, the wall and the
light are kept smooth on purpose: a tokenizer of a few million weights has to reconstruct them at 64 pixels.
"""

import colorsys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

TIMESTEP_SECONDS = 0.0025
LEAST_SIZE_PX = 16
"""Smallest height and width of a simulated picture."""

Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """How one geom looks."""

    colour: Colour
    """Main colour."""
    accent: Colour
    """Second colour of the pattern."""
    pattern: Literal["plain", "clouds", "checker", "stripe"] = "plain"
    """``clouds`` and ``checker`` vary over ``scale_m``; ``stripe`` is a belt of that width around the local x axis."""
    scale_m: float = 1.0
    """Size of the pattern."""
    gloss: float = 0.0
    """Strength of the highlight."""
    seed: int = 0
    """Chooses the clouds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Where the camera and the sun are."""

    eye: np.ndarray
    """float64 [3], camera position."""
    target: np.ndarray
    """float64 [3], the point in the middle of the picture."""
    fov_rad: float
    """Field of view along the shorter side of the picture."""
    sun: np.ndarray
    """float64 [3], unit vector towards the sun."""
    sky: tuple[Colour, Colour]
    """Colour at the horizon and above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One world ready to be compiled."""

    xml: str
    """MuJoCo model; every moving body is a child of the world with one free joint and one geom."""
    surfaces: tuple[Surface, ...]
    """One for each geom, in the order of the model."""
    view: View
    """Camera and light."""
    body_names: tuple[str, ...]
    """Moving bodies in the order of the model."""
    initial_velocities: np.ndarray
    """float64 [n, 6], linear in the world's axes, then angular in the body's axes."""
    preroll_seconds: float
    """Time simulated before the first frame."""


@dataclass(slots=True)
class _Builder:
    """Collects geoms, looks and velocities in one order."""

    rng: np.random.Generator
    static: list[str] = field(default_factory=list)
    moving: list[str] = field(default_factory=list)
    static_surfaces: list[Surface] = field(default_factory=list)
    moving_surfaces: list[Surface] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    velocities: list[list[float]] = field(default_factory=list)
    colours: list[Colour] = field(default_factory=list)

    def __post_init__(self):
        # Evenly spaced hues in a random rotation: neighbours in the list are never alike.
        start = self.rng.uniform()
        hues = [(start + k * 0.382) % 1 for k in range(12)]
        self.colours = [_hsv(hue, self.rng.uniform(0.8, 0.95), self.rng.uniform(0.85, 1.0)) for hue in hues]

    def add_static(self, attributes: str, surface: Surface) -> None:
        """Add one geom of the unmoving world."""
        self.static.append(f"<geom {attributes} {_rgba(surface.colour)}/>")
        self.static_surfaces.append(surface)

    def add_backdrop(self, *, wall_distance_m: float) -> None:
        """Add the floor and, in two of three scenes, a wall behind the action."""
        rng = self.rng
        hue = rng.uniform()
        pattern = ("clouds", "checker", "clouds", "plain")[rng.integers(4)]
        value = rng.uniform(0.6, 0.82)
        self.add_static(
            'type="plane" size="0 0 1"',
            Surface(
                colour=_hsv(hue, rng.uniform(0.05, 0.28), value),
                accent=_hsv(
                    hue + rng.uniform(-0.08, 0.08), rng.uniform(0.08, 0.3), value * rng.uniform(0.76, 0.86)
                ),
                pattern=pattern,
                scale_m=rng.uniform(1.1, 1.8) if pattern == "checker" else rng.uniform(2.0, 3.5),
                seed=int(rng.integers(1 << 31)),
            ),
        )
        if rng.uniform() < 2 / 3:
            hue = hue + rng.uniform(0.2, 0.8)
            value = rng.uniform(0.78, 0.95)
            self.add_static(
                f'type="plane" size="0 0 1" pos="0 {wall_distance_m:.4f} 0" zaxis="0 -1 0"',
                Surface(
                    colour=_hsv(hue, rng.uniform(0.04, 0.25), value),
                    accent=_hsv(hue, rng.uniform(0.08, 0.3), value * 0.86),
                    pattern="clouds",
                    scale_m=rng.uniform(2.5, 4.0),
                    seed=int(rng.integers(1 << 31)),
                ),
            )

    def add_moving(
        self, name: str, attributes: str, pose: str, velocity: list[float], *, stripe_m: float, colour: Colour
    ) -> None:
        """Add one body with a free joint and one geom."""
        density = self.rng.uniform(300, 700)
        self.moving.append(
            f'<body name="{name}" {pose}><freejoint/>'
            f'<geom {attributes} density="{density:.2f}" {_rgba(colour)}/></body>'
        )
        light = _mixed(colour, (0.98, 0.98, 0.98), 0.75)
        self.moving_surfaces.append(
            Surface(
                colour=colour,
                accent=light,
                pattern="stripe",
                scale_m=stripe_m,
                gloss=self.rng.uniform(0.15, 0.4),
            )
        )
        self.names.append(name)
        self.velocities.append(velocity)

    def finish(self, *, view: View, contact: str) -> Scene:
        """Close the scene; ``contact`` are the attributes every geom starts from."""
        xml = (
            f'<mujoco><option timestep="{TIMESTEP_SECONDS}" integrator="implicitfast" cone="elliptic"/>'
            f'<compiler angle="radian"/><default><geom {contact}/></default>'
            f"<visual><quality shadowsize='4096'/></visual>"
            f'<worldbody><light directional="true" dir="{_numbers(-view.sun)}" diffuse=".7 .7 .7"/>'
            f"{''.join(self.static)}{''.join(self.moving)}</worldbody></mujoco>"
        )
        return Scene(
            xml=xml,
            surfaces=(*self.static_surfaces, *self.moving_surfaces),
            view=view,
            body_names=tuple(self.names),
            initial_velocities=np.array(self.velocities),
            preroll_seconds=float(self.rng.uniform(0, 0.2)),
        )


def free_fall(rng: np.random.Generator) -> Scene:
    """One to three bodies fall for about 0.7 s, bounce and roll out."""
    world = _Builder(rng)
    world.add_backdrop(wall_distance_m=rng.uniform(1.8, 2.6))
    count = int(rng.integers(1, 4))
    spread = (0.0, 0.6, 0.98)[count - 1]
    slots = rng.permutation(np.linspace(-spread, spread, count))
    for k, x in enumerate(slots):
        radius = rng.uniform(0.38, 0.5) if count < 3 else rng.uniform(0.33, 0.4)
        kind, shape, stripe = _rounded_shape(rng, radius)
        x = x + (rng.uniform(-0.5, 0.5) if count == 1 else rng.uniform(-0.06, 0.06))
        position = np.array([x, rng.uniform(-0.25, 0.25), rng.uniform(1.95, 2.6)])
        pose = f'pos="{_numbers(position)}" quat="{_numbers(_random_rotation(rng))}"'
        velocity = [*(-0.25 * x / 2 + rng.uniform(-0.25, 0.25, 1)), *rng.uniform(-0.1, 0.1, 1), 0.0]
        velocity += [*rng.uniform(-2.5, 2.5, 3)]
        world.add_moving(f"{kind}-{k + 1}", shape, pose, velocity, stripe_m=stripe, colour=world.colours[k])
    view = _view(rng, target=(0.0, 0.0, 1.35), distance_m=5.5, azimuth_rad=0.25, elevation_rad=(0.1, 0.28))
    return world.finish(
        view=view, contact=_contact(rng, restitution=(0.45, 0.7), friction=0.7, rolling_m=0.05)
    )


def tilted_plane(rng: np.random.Generator) -> Scene:
    """One or two bodies slide or roll down a ramp in about two seconds and run out onto the floor."""
    world = _Builder(rng)
    world.add_backdrop(wall_distance_m=rng.uniform(1.6, 2.4))
    side = float(rng.choice([-1.0, 1.0]))
    angle = rng.uniform(0.19, 0.28)
    length, half_depth = 2.7, 0.6
    along = np.array([side * np.cos(angle), 0, -np.sin(angle)])  # down the ramp
    normal = np.array([side * np.sin(angle), 0, np.cos(angle)])
    foot = np.array([side * 0.85, 0, 0])
    centre = foot - along * length / 2 - normal * half_depth
    count = int(rng.integers(1, 3))
    half_width = 0.6 if count == 1 else 0.95
    hue = rng.uniform()
    world.add_static(
        f'type="box" size="{length / 2:.4f} {half_width:.4f} {half_depth:.4f}" pos="{_numbers(centre)}" '
        f'xyaxes="{_numbers(along * side)} 0 1 0"',
        Surface(
            colour=_hsv(hue, rng.uniform(0.15, 0.4), rng.uniform(0.75, 0.92)),
            accent=_hsv(hue, 0.4, rng.uniform(0.6, 0.7)),
            pattern=("plain", "clouds")[rng.integers(2)],
            scale_m=1.6,
            gloss=0.05,
            seed=int(rng.integers(1 << 31)),
        ),
    )
    world.add_static(
        f'type="box" size=".06 {half_width + 0.2:.4f} .16" pos="{side * 1.95:.4f} 0 .16"',
        Surface(colour=_hsv(hue, 0.3, 0.6), accent=_hsv(hue, 0.3, 0.6)),
    )
    lanes = rng.permutation([-0.48, 0.48])[:count] if count == 2 else [rng.uniform(-0.08, 0.08)]
    for k, y in enumerate(lanes):
        radius = rng.uniform(0.36, 0.44) if count == 2 else rng.uniform(0.42, 0.54)
        kind, shape, height, stripe = _ramp_shape(rng, radius, angle)
        start = (
            foot - along * (length - rng.uniform(0.45, 0.8)) + normal * (height + 0.004) + np.array([0, y, 0])
        )
        # Rollers lie with their axis across the ramp; everything else lies flat on it.
        if kind in ("cylinder", "capsule"):
            axes = f'xyaxes="{_numbers(along * side)} {_numbers(normal)}"'
        else:
            axes = f'xyaxes="{_numbers(along * side)} 0 1 0"'
        velocity = [0.0] * 6
        world.add_moving(
            f"{kind}-{k + 1}",
            shape,
            f'pos="{_numbers(start)}" {axes}',
            velocity,
            stripe_m=stripe,
            colour=world.colours[k],
        )
    view = _view(rng, target=(0.0, 0.0, 0.45), distance_m=6.1, azimuth_rad=0.3, elevation_rad=(0.3, 0.5))
    return world.finish(
        view=view, contact=_contact(rng, restitution=(0.1, 0.3), friction=0.6, rolling_m=0.004)
    )


def dominoes(rng: np.random.Generator) -> Scene:
    """Six to ten big dominoes; the first is pushed and the chain runs for about two seconds."""
    world = _Builder(rng)
    world.add_backdrop(wall_distance_m=rng.uniform(1.8, 2.6))
    count = int(rng.integers(6, 11))
    half = np.array([rng.uniform(0.05, 0.065), rng.uniform(0.24, 0.32), rng.uniform(0.4, 0.48)])
    gap = min(rng.uniform(0.46, 0.54), 2.9 / (count - 1))
    side = float(rng.choice([-1.0, 1.0]))
    heading = rng.uniform(-0.12, 0.12)
    turn = rng.uniform(-0.09, 0.09)
    points, headings = [np.zeros(2)], [heading - turn * (count - 1) / 2 + k * turn for k in range(count)]
    for k in range(1, count):
        middle = (headings[k - 1] + headings[k]) / 2
        points.append(points[-1] + gap * np.array([np.cos(middle), np.sin(middle)]))
    path = np.array(points) - (np.min(points, axis=0) + np.max(points, axis=0)) / 2
    first, last = world.colours[0], world.colours[3]
    for k in range(count):
        yaw = headings[k] if side > 0 else np.pi - headings[k]
        position = np.array([side * path[k, 0], path[k, 1], half[2] + 0.001])
        colour = _saturated(_mixed(first, last, k / (count - 1)))
        pose = f'pos="{_numbers(position)}" quat="{_numbers(np.array([np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)]))}"'
        shape = f'type="box" size="{_numbers(half)}"'
        velocity = [0.0] * 6
        if k == 0:  # a push at the top, turning about the lower edge
            push = rng.uniform(1.2, 1.6)
            speed = push * half[2]
            velocity = [side * speed * np.cos(headings[0]), speed * np.sin(headings[0]), 0.0, 0.0, push, 0.0]
        world.add_moving(f"domino-{k + 1}", shape, pose, velocity, stripe_m=0.0, colour=colour)
    view = _view(
        rng,
        target=(0.0, 0.0, 0.4),
        distance_m=6.3,
        azimuth_rad=0.5,
        elevation_rad=(0.35, 0.6),
        least_azimuth_rad=0.25,
    )
    return world.finish(
        view=view, contact=_contact(rng, restitution=(0.02, 0.1), friction=0.5, rolling_m=0.0)
    )


SCENES: dict[str, Callable[[np.random.Generator], Scene]] = {
    "free-fall": free_fall,
    "tilted-plane": tilted_plane,
    "dominoes": dominoes,
}
"""Every scene by name."""


def _view(
    rng: np.random.Generator,
    *,
    target: tuple[float, float, float],
    distance_m: float,
    azimuth_rad: float,
    elevation_rad: tuple[float, float],
    least_azimuth_rad: float = 0.0,
) -> View:
    """Camera in front of the action and sun over the camera's shoulder, both varied a little."""
    azimuth = rng.choice([-1, 1]) * rng.uniform(least_azimuth_rad, azimuth_rad)
    elevation = rng.uniform(*elevation_rad)
    distance = distance_m * rng.uniform(0.96, 1.06)
    at = np.array(target) + rng.uniform(-0.06, 0.06, 3)
    back = np.array(
        [np.sin(azimuth) * np.cos(elevation), -np.cos(azimuth) * np.cos(elevation), np.sin(elevation)]
    )
    sun_azimuth, sun_elevation = rng.choice([-1, 1]) * rng.uniform(0.5, 1.0), rng.uniform(0.85, 1.15)
    sun = [
        np.sin(sun_azimuth) * np.cos(sun_elevation),
        -np.cos(sun_azimuth) * np.cos(sun_elevation),
        np.sin(sun_elevation),
    ]
    hue = rng.uniform(0.53, 0.62)
    return View(
        eye=at + distance * back,
        target=at,
        fov_rad=np.radians(35),
        sun=np.array(sun),
        sky=(
            _hsv(hue, rng.uniform(0.08, 0.2), 0.95),
            _hsv(hue, rng.uniform(0.35, 0.5), rng.uniform(0.75, 0.9)),
        ),
    )


def _contact(
    rng: np.random.Generator, *, restitution: tuple[float, float], friction: float, rolling_m: float
) -> str:
    """Geom defaults for a bounce of the given restitution (a damped spring at 220 rad/s, MuJoCo's direct solref)."""
    log_e = np.log(rng.uniform(*restitution))
    damping_ratio = -log_e / np.sqrt(np.pi**2 + log_e**2)
    stiffness, damping = 220.0**2, 2 * damping_ratio * 220.0
    return (
        f'condim="{6 if rolling_m else 3}" friction="{friction} 0.01 {rolling_m}" solref="{-stiffness:.1f} {-damping:.3f}" '
        f'solimp="0.95 0.99 0.001"'
    )


def _rounded_shape(rng: np.random.Generator, radius: float) -> tuple[str, str, float]:
    """Kind, geom attributes and stripe width of a body about two radii across."""
    kind = str(rng.choice(["sphere", "box", "capsule", "cylinder", "ellipsoid"]))
    size = {
        "sphere": [radius],
        "box": radius * np.array([0.9, rng.uniform(0.65, 0.9), rng.uniform(0.65, 0.9)]),
        "capsule": [radius * 0.68, radius * 0.6],
        "cylinder": [radius * 0.9, radius * rng.uniform(0.5, 0.85)],
        "ellipsoid": radius * np.array([1.15, rng.uniform(0.7, 0.85), rng.uniform(0.75, 0.9)]),
    }[kind]
    return kind, f'type="{kind}" size="{_numbers(np.array(size))}"', 0.5 * radius


def _ramp_shape(rng: np.random.Generator, radius: float, angle: float) -> tuple[str, str, float, float]:
    """Kind, geom attributes, height above the ramp and stripe width of a body that will go down it."""
    kind = str(rng.choice(["sphere", "box", "cylinder", "capsule", "sphere"]))
    if kind == "box":
        size = radius * np.array([0.95, 0.8, 0.7])
        # Slippery enough that it accelerates about as fast as a ball rolls; the box's own friction holds (priority).
        slip = np.tan(angle) * rng.uniform(0.25, 0.4)
        attributes = f'type="box" size="{_numbers(size)}" friction="{slip:.4f} 0.005 0.0001" priority="1"'
        return kind, attributes, float(size[2]), 0.5 * radius
    size = {
        "sphere": [radius],
        "cylinder": [radius * 0.9, radius * 0.85],
        "capsule": [radius * 0.75, radius * 0.5],
    }[kind]
    return kind, f'type="{kind}" size="{_numbers(np.array(size))}"', float(size[0]), 0.5 * radius


def _random_rotation(rng: np.random.Generator) -> np.ndarray:
    """Unit quaternion, uniform over rotations."""
    q = rng.standard_normal(4)
    return q / np.sqrt((q * q).sum())


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    return colorsys.hsv_to_rgb(hue % 1, min(saturation, 1.0), min(value, 1.0))


def _mixed(first: Colour, second: Colour, share: float) -> Colour:
    """``share`` of the second colour, the rest of the first."""
    r, g, b = ((1 - share) * a + share * c for a, c in zip(first, second, strict=True))
    return r, g, b


def _saturated(colour: Colour) -> Colour:
    """The same hue, strong enough to stand out from the floor."""
    hue, saturation, value = colorsys.rgb_to_hsv(*colour)
    return _hsv(hue, max(saturation, 0.75), max(value, 0.85))


def _rgba(colour: Colour) -> str:
    return f'rgba="{_numbers(np.array(colour))} 1"'


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{v:.6f}" for v in values)
