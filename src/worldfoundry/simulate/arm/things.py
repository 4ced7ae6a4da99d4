"""Things on the table: shapes and colours that have a name, and where they may stand without touching."""

import math
from dataclasses import dataclass

import numpy as np

from worldfoundry.simulate.arm.robot import Part, place
from worldfoundry.simulate.scenes.looks import Colour, Surface, hsv, mixed, rgba

GRASPABLE = ("cube", "block", "cylinder", "ball", "egg")
"""Things that fit between the fingers."""
CONTAINERS = ("bowl", "tray", "plate")
"""Things that others can be put into or onto."""
ROLLING = ("ball", "egg")
"""Things that do not stay where they are put on a flat plate."""
REACH_M = (0.32, 0.54)
"""Nearest and farthest a thing stands from the base, along the robot's x axis."""
SIDE_M = 0.19
"""Farthest a thing stands to a side."""

_HUES = {
    "red": (0.985, 1.015),
    "orange": (0.065, 0.085),
    "yellow": (0.14, 0.165),
    "green": (0.3, 0.38),
    "turquoise": (0.46, 0.51),
    "blue": (0.58, 0.64),
    "purple": (0.73, 0.77),
    "pink": (0.85, 0.91),
}
_GAP_M = 0.034
_STAVES = 10
_MOST_DRAWS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One thing that can be pushed, and often grasped."""

    name: str
    """Colour and kind, unique on its table: ``red cube``."""
    kind: str
    """Of ``GRASPABLE`` or ``CONTAINERS``."""
    position: np.ndarray
    """float64 [2], where it starts, in the robot's axes, metres."""
    yaw_rad: float
    """How it is turned about the vertical axis, in the robot's axes."""
    radius_m: float
    """Of the upright cylinder around it."""
    bottom_m: float
    """Height of its origin above what it stands on."""
    top_m: float
    """Height of its top above its origin."""
    inner_radius_m: float
    """Of the room for other things in or on it; 0 if there is none."""
    part: Part
    """Geoms in its own axes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """Geoms of a kind, and its measures as in ``Thing``."""

    geoms: list[str]
    radius: float
    bottom: float
    top: float
    inner: float = 0.0


def draw_things(rng: np.random.Generator) -> tuple[Thing, ...]:
    """Two to five things, a container first; every colour once, nothing near anything else."""
    count = int(rng.integers(2, 6))
    container = str(rng.choice(CONTAINERS))
    fitting = [kind for kind in GRASPABLE if container != "plate" or kind not in ROLLING]
    kinds = [container, *(str(kind) for kind in rng.choice(fitting, count - 1))]
    colours = rng.permutation(list(_HUES))[:count]
    things: list[Thing] = []
    for kind, colour in zip(kinds, colours, strict=True):
        form = _FORMS[kind](rng)
        spot = _free_spot(rng, form.radius, things)
        if spot is not None:  # a full table simply holds fewer
            things.append(_thing(rng, kind, str(colour), form, spot))
    return tuple(things)


def body_of(thing: Thing, world_from_robot: tuple[np.ndarray, float]) -> Part:
    """The thing as a body with a free joint, a little above the table."""
    origin, yaw = world_from_robot
    c, s = math.cos(yaw), math.sin(yaw)
    x, y = thing.position
    position = origin + np.array([c * x - s * y, s * x + c * y, thing.bottom_m + 5e-4])
    xml = f'<body name="{thing.name}" {place(position, thing.yaw_rad + yaw)}><freejoint/>{thing.part.xml}</body>'
    return Part(xml=xml, surfaces=thing.part.surfaces)


def _thing(rng: np.random.Generator, kind: str, colour_name: str, form: _Form, position: np.ndarray) -> Thing:
    colour = hsv(rng.uniform(*_HUES[colour_name]), rng.uniform(0.78, 0.95), rng.uniform(0.82, 1.0))
    if colour_name == "pink":
        colour = mixed(colour, (1.0, 1.0, 1.0), 0.25)
    surface = _surface(rng, kind, colour)
    density = 420 if kind in CONTAINERS else rng.uniform(250, 600)
    contact = (
        'condim="6" friction="0.7 0.01 0.004"' if kind in ROLLING else 'condim="4" friction="0.7 0.01 0"'
    )
    physics = f'density="{density:.1f}" {contact}'
    geoms = "".join(f"<geom {physics} {rgba(colour)} {geom}/>" for geom in form.geoms)
    return Thing(
        name=f"{colour_name} {kind}",
        kind=kind,
        position=position,
        yaw_rad=rng.uniform(-math.pi, math.pi),
        radius_m=form.radius,
        bottom_m=form.bottom,
        top_m=form.top,
        inner_radius_m=form.inner,
        part=Part(xml=geoms, surfaces=(surface,) * len(form.geoms)),
    )


def _surface(rng: np.random.Generator, kind: str, colour: Colour) -> Surface:
    """Plain or with a light belt; the belt shows how it turns."""
    belted = kind in GRASPABLE and rng.uniform() < 0.5
    return Surface(
        colour=colour,
        accent=mixed(colour, (0.98, 0.98, 0.98), 0.7),
        pattern="stripe" if belted else "plain",
        scale_m=0.012,
        gloss=rng.uniform(0.1, 0.4),
    )


def _free_spot(rng: np.random.Generator, radius: float, things: list[Thing]) -> np.ndarray | None:
    """A place on the table with room for a finger on each side, if one is found."""
    for _ in range(_MOST_DRAWS):
        spot = np.array([rng.uniform(*REACH_M), rng.uniform(-SIDE_M, SIDE_M)])
        gaps = [math.dist(spot, t.position) - t.radius_m - radius for t in things]
        if min(gaps, default=1.0) > _GAP_M:
            return spot
    return None


def _cube(rng: np.random.Generator) -> _Form:
    r = rng.uniform(0.021, 0.027)
    return _Form(geoms=[f'type="box" size="{r:.4f} {r:.4f} {r:.4f}"'], radius=1.42 * r, bottom=r, top=r)


def _block(rng: np.random.Generator) -> _Form:
    x, y, z = rng.uniform(0.016, 0.021), rng.uniform(0.036, 0.045), rng.uniform(0.017, 0.024)
    return _Form(
        geoms=[f'type="box" size="{x:.4f} {y:.4f} {z:.4f}"'], radius=math.hypot(x, y), bottom=z, top=z
    )


def _cylinder(rng: np.random.Generator) -> _Form:
    r, h = rng.uniform(0.021, 0.026), rng.uniform(0.024, 0.034)
    return _Form(geoms=[f'type="cylinder" size="{r:.4f} {h:.4f}"'], radius=r, bottom=h, top=h)


def _ball(rng: np.random.Generator) -> _Form:
    r = rng.uniform(0.022, 0.028)
    return _Form(geoms=[f'type="sphere" size="{r:.4f}"'], radius=r, bottom=r, top=r)


def _egg(rng: np.random.Generator) -> _Form:
    r = rng.uniform(0.020, 0.024)
    y = r * rng.uniform(1.35, 1.6)
    return _Form(geoms=[f'type="ellipsoid" size="{r:.4f} {y:.4f} {r:.4f}"'], radius=y, bottom=r, top=r)


def _bowl(rng: np.random.Generator) -> _Form:
    """A flat bottom and a ring of staves that lean outwards; the origin is the middle of the bottom's underside."""
    low, high, height = 0.036, rng.uniform(0.058, 0.064), rng.uniform(0.034, 0.042)
    lean, slant = math.atan2(high - low, height), math.hypot(high - low, height)
    half_width = high * math.tan(math.pi / _STAVES)
    geoms = [f'type="cylinder" size="{low + 0.003:.4f} 0.003" pos="0 0 0.003"']
    for k in range(_STAVES):
        angle = 2 * math.pi * k / _STAVES
        middle = (low + high) / 2
        x, y = middle * math.cos(angle), middle * math.sin(angle)
        turn = (
            math.cos(angle / 2) * math.cos(lean / 2),
            -math.sin(angle / 2) * math.sin(lean / 2),
            math.cos(angle / 2) * math.sin(lean / 2),
            math.sin(angle / 2) * math.cos(lean / 2),
        )
        geoms.append(
            f'type="box" size="0.0030 {half_width:.4f} {slant / 2:.4f}" pos="{x:.5f} {y:.5f} {height / 2 + 0.002:.4f}" '
            f'quat="{" ".join(f"{q:.7f}" for q in turn)}"'
        )
    return _Form(geoms=geoms, radius=high + 0.006, bottom=0.0, top=height + 0.003, inner=high - 0.004)


def _tray(rng: np.random.Generator) -> _Form:
    """A square floor with four walls."""
    half, height = rng.uniform(0.052, 0.058), rng.uniform(0.018, 0.028)
    floor = f'type="box" size="{half:.4f} {half:.4f} 0.003" pos="0 0 0.003"'
    along_x = [
        f'type="box" size="{half:.4f} 0.003 {height / 2:.4f}" pos="0 {s * half:.4f} {height / 2:.4f}"'
        for s in (1, -1)
    ]
    along_y = [
        f'type="box" size="0.003 {half:.4f} {height / 2:.4f}" pos="{s * half:.4f} 0 {height / 2:.4f}"'
        for s in (1, -1)
    ]
    return _Form(
        geoms=[floor, *along_x, *along_y], radius=1.42 * half + 0.003, bottom=0.0, top=height, inner=half
    )


def _plate(rng: np.random.Generator) -> _Form:
    r = rng.uniform(0.055, 0.063)
    return _Form(
        geoms=[f'type="cylinder" size="{r:.4f} 0.005" pos="0 0 0.005"'],
        radius=r,
        bottom=0.0,
        top=0.01,
        inner=r,
    )


_FORMS = {
    "cube": _cube,
    "block": _block,
    "cylinder": _cylinder,
    "ball": _ball,
    "egg": _egg,
    "bowl": _bowl,
    "tray": _tray,
    "plate": _plate,
}
