"""One table with a robot and things on it, drawn from a generator: model, looks, light and the main camera.

The world's origin is on the table, in front of the robot's base; the robot looks along y, so that its left is -x.
"""

import math
from dataclasses import dataclass

import numpy as np

from worldfoundry.simulate.arm.pose import Pose
from worldfoundry.simulate.arm.robot import (
    Part,
    actuators,
    draw_paint,
    place,
    robot,
    robot_defaults,
)
from worldfoundry.simulate.arm.things import Thing, body_of, draw_things
from worldfoundry.simulate.poses import look_at
from worldfoundry.simulate.recording import Light
from worldfoundry.simulate.scenes.looks import Surface, hsv, numbers, rgba

BASE_M = np.array([0.0, -0.42, 0.0])
"""float64 [3], the robot's origin in the world."""
BASE_YAW_RAD = math.pi / 2
"""How the robot's axes are turned in the world."""
WORLD_FROM_ROBOT = Pose(
    position=BASE_M, quaternion=np.array([math.cos(BASE_YAW_RAD / 2), 0, 0, math.sin(BASE_YAW_RAD / 2)])
)
"""The robot's axes in the world."""
MAIN_FOV_RAD = math.radians(36)
"""Field of view of the main camera."""

_TABLE_HALF_M = (0.52, 0.62)
_FLOOR_M = -0.74


@dataclass(frozen=True, slots=True, kw_only=True)
class TableTop:
    """Everything that stays the same while the robot works."""

    xml: str
    """MuJoCo model, less its timestep."""
    surfaces: tuple[Surface, ...]
    """One a geom."""
    light: Light
    """Sun and sky."""
    world_from_camera: np.ndarray
    """float64 [4, 4], the main view: over the robot's shoulder."""
    things: tuple[Thing, ...]
    """A container first."""


def draw_table_top(rng: np.random.Generator) -> TableTop:
    """One table, as drawn; whether its things lie still is for the simulator to see."""
    room = _draw_room(rng)
    arm = robot(draw_paint(rng), pose=place(BASE_M, BASE_YAW_RAD))
    things = draw_things(rng)
    bodies = [body_of(t, (BASE_M, BASE_YAW_RAD)) for t in things]
    light = _draw_light(rng)
    parts = (room, arm, *bodies)
    xml = (
        '<mujoco><compiler angle="radian" autolimits="true"/>'
        '<option integrator="implicitfast" cone="elliptic" impratio="10"/>'
        '<default><geom contype="1" conaffinity="3" solref="0.006 1" solimp="0.97 0.995 0.001" friction="0.7 0.01 0.001"/>'
        f"{robot_defaults()}</default>"
        f'<worldbody><light directional="true" dir="{numbers(-light.sun)}" diffuse=".7 .7 .7"/>'
        f"{''.join(part.xml for part in parts)}</worldbody>{actuators()}</mujoco>"
    )
    return TableTop(
        xml=xml,
        surfaces=tuple(s for part in parts for s in part.surfaces),
        light=light,
        world_from_camera=_draw_camera(rng),
        things=things,
    )


def _draw_room(rng: np.random.Generator) -> Part:
    """A counter with a board on it, the floor, a wall behind and often one at a side."""
    x, y = (half * rng.uniform(0.95, 1.2) for half in _TABLE_HALF_M)
    hue = rng.uniform()
    board = _table_surface(rng)
    counter = _smooth(rng, hue, (0.05, 0.3), (0.3, 0.9), 0.8)
    geoms = [
        (f'type="box" size="{x:.4f} {y:.4f} 0.02" pos="0 0 -0.02"', board),
        (
            f'type="box" size="{x - 0.03:.4f} {y - 0.03:.4f} 0.35" pos="0 0 {_FLOOR_M + 0.35:.4f}"',
            counter,
        ),
        (f'type="plane" size="0 0 1" pos="0 0 {_FLOOR_M}"', _floor_surface(rng)),
        (
            f'type="plane" size="0 0 1" pos="0 {y + rng.uniform(0.1, 1.2):.4f} 0" zaxis="0 -1 0"',
            _wall_surface(rng, hue),
        ),
    ]
    side = rng.choice([-1, 0, 1])
    if side:
        at = side * (x + rng.uniform(0.5, 1.5))
        geoms.append(
            (
                f'type="plane" size="0 0 1" pos="{at:.4f} 0 0" zaxis="{-side} 0 0"',
                _wall_surface(rng, hue),
            )
        )
    xml = "".join(f"<geom {attributes} {rgba(surface.colour)}/>" for attributes, surface in geoms)
    return Part(xml=xml, surfaces=tuple(surface for _, surface in geoms))


def _table_surface(rng: np.random.Generator) -> Surface:
    """Pale, so that the things stand out."""
    pattern = ("wood", "planks", "clouds", "checker", "speckle")[rng.integers(5)]
    hue, saturation, value = rng.uniform(), rng.uniform(0.03, 0.3), rng.uniform(0.55, 0.92)
    if rng.uniform() < 0.5:  # woods and earths
        hue, saturation = rng.uniform(0.05, 0.12), rng.uniform(0.25, 0.5)
    return Surface(
        colour=hsv(hue, saturation, value),
        accent=hsv(
            hue + rng.uniform(-0.04, 0.04), saturation * rng.uniform(0.6, 1.3), value * rng.uniform(0.7, 0.9)
        ),
        pattern=pattern,
        scale_m=rng.uniform(0.15, 0.5) if pattern == "clouds" else rng.uniform(0.08, 0.16),
        gloss=rng.uniform(0, 0.15),
        seed=int(rng.integers(1 << 31)),
    )


def _floor_surface(rng: np.random.Generator) -> Surface:
    pattern = ("planks", "tiles", "clouds")[rng.integers(3)]
    hue, saturation, value = rng.uniform(), rng.uniform(0.05, 0.35), rng.uniform(0.3, 0.7)
    return Surface(
        colour=hsv(hue, saturation, value),
        accent=hsv(hue, saturation, value * rng.uniform(0.6, 0.85)),
        pattern=pattern,
        scale_m=rng.uniform(0.3, 0.6),
        seed=int(rng.integers(1 << 31)),
    )


def _wall_surface(rng: np.random.Generator, hue: float) -> Surface:
    pattern = ("clouds", "plain", "bricks", "stripes")[rng.integers(4)]
    colour_hue, value = hue + rng.uniform(0.2, 0.8), rng.uniform(0.55, 0.95)
    return Surface(
        colour=hsv(colour_hue, rng.uniform(0.04, 0.4), value),
        accent=hsv(colour_hue, rng.uniform(0.05, 0.4), value * rng.uniform(0.8, 0.92)),
        pattern=pattern,
        scale_m=rng.uniform(0.6, 1.5) if pattern == "clouds" else rng.uniform(0.2, 0.35),
        seed=int(rng.integers(1 << 31)),
    )


def _smooth(
    rng: np.random.Generator,
    hue: float,
    saturation: tuple[float, float],
    value: tuple[float, float],
    scale_m: float,
) -> Surface:
    s, v = rng.uniform(*saturation), rng.uniform(*value)
    return Surface(
        colour=hsv(hue, s, v),
        accent=hsv(hue, s, 0.85 * v),
        pattern="clouds",
        scale_m=scale_m,
        seed=int(rng.integers(1 << 31)),
    )


def _draw_light(rng: np.random.Generator) -> Light:
    """A sun from behind the robot or from a side, high enough to light the table."""
    azimuth, elevation = rng.uniform(-1.5, 1.5), rng.uniform(0.75, 1.25)
    sun = [
        math.sin(azimuth) * math.cos(elevation),
        -math.cos(azimuth) * math.cos(elevation),
        math.sin(elevation),
    ]
    hue = rng.uniform(0.53, 0.62)
    sky = (
        hsv(hue, rng.uniform(0.08, 0.2), 0.95),
        hsv(hue, rng.uniform(0.35, 0.5), rng.uniform(0.75, 0.9)),
    )
    return Light(sun=np.array(sun), sky=sky)


def _draw_camera(rng: np.random.Generator) -> np.ndarray:
    """Over one shoulder of the robot, looking down at the things."""
    azimuth, elevation = rng.choice([-1, 1]) * rng.uniform(0.55, 1.15), rng.uniform(0.55, 0.85)
    distance = rng.uniform(0.92, 1.08)
    target = np.array([rng.uniform(-0.03, 0.03), rng.uniform(-0.05, 0.02), rng.uniform(0.06, 0.1)])
    back = [
        math.sin(azimuth) * math.cos(elevation),
        -math.cos(azimuth) * math.cos(elevation),
        math.sin(elevation),
    ]
    return look_at(target + distance * np.array(back), target)
