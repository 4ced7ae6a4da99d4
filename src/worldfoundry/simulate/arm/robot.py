"""The robot: six joints and a gripper of two fingers, as text for MuJoCo plus looks.

Robot axes (``robot_base``): x forward, y left, z up, origin on the table under the first joint. The end effector's origin
is the point between the finger tips; with the gripper pointing straight down and no yaw its axes are the robot's.
"""

from dataclasses import dataclass

import numpy as np

from worldfoundry.simulate.scenes.looks import Colour, Surface, hsv, mixed, numbers, rgba

JOINTS = ("turn", "shoulder", "elbow", "forearm", "wrist", "hand")
"""Joints from the table to the gripper."""
JOINT_LIMITS_RAD = np.array([[-2.6, 2.6], [-1.4, 1.9], [0.1, 2.7], [-2.4, 2.4], [-0.4, 2.4], [-2.9, 2.9]])
"""float64 [6, 2], lowest and highest angle."""
JOINT_SPEED_RAD_S = 4.0
"""Highest speed of a joint."""
HOME_RAD = np.array([0.0, -0.2, 1.9, 0.0, np.pi - 1.7, 0.0])
"""float64 [6], gripper straight down in front of the base."""
FINGERS = ("left finger", "right finger")
"""Bodies of the fingers."""
FINGER_TRAVEL_M = 0.04
"""How far each finger goes from closed (0) to open."""
FINGER_SPEED_M_S = 0.2
"""Highest speed of a finger."""
GAINS = np.array([3000.0, 4000, 2500, 600, 600, 300])
"""float64 [6], N m/rad: how stiffly each joint is held."""
DAMPINGS = np.array([160.0, 200, 110, 24, 20, 8])
"""float64 [6], N m s/rad."""
END_EFFECTOR = "end effector"
"""Site whose pose the actions move."""

_UPPER_M, _FOREARM_M, _SHOULDER_M, _WRIST_TO_TIP_M = 0.33, 0.31, 0.22, 0.185
_FORCES_NM = (90, 120, 80, 25, 25, 15)
_GRIP_GAIN, _GRIP_DAMPING, _GRIP_FORCE_N = 900.0, 22.0, 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Text for MuJoCo, and looks of the geoms in it in the order of the model."""

    xml: str
    """Bodies or geoms."""
    surfaces: tuple[Surface, ...]
    """One a geom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paint:
    """The colours of one robot."""

    shell: Surface
    """Of the links."""
    trim: Surface
    """Of the joints."""
    grip: Surface
    """Of the finger pads."""


def draw_paint(rng: np.random.Generator) -> Paint:
    """White, grey, dark or coloured links; joints that stand out from them."""
    hue = rng.uniform()
    bright = hsv(hue, rng.uniform(0.7, 0.9), rng.uniform(0.75, 0.95))
    pale, dark = hsv(hue, 0.03, rng.uniform(0.8, 0.95)), hsv(hue, 0.1, rng.uniform(0.14, 0.24))
    pairs = ((pale, dark), (pale, bright), (bright, dark), (mixed(pale, dark, 0.5), pale), (dark, bright))
    shell, trim = pairs[rng.integers(len(pairs))]
    return Paint(shell=_glossy(shell, 0.35), trim=_glossy(trim, 0.25), grip=_glossy(hsv(hue, 0.1, 0.12), 0.1))


def robot(paint: Paint, *, pose: str) -> Part:
    """The whole robot; ``pose`` are the attributes that place its base in the world."""
    fingers = [_finger(paint, name, side) for name, side in zip(FINGERS, (1, -1), strict=True)]
    hand = _link(
        "hand",
        f'pos="0 0 {_WRIST_TO_TIP_M - 0.115:.4f}"',
        axis="0 0 1",
        kilograms=0.4,
        geoms=[
            ('type="cylinder" size="0.029 0.012" pos="0 0 -0.004"', paint.trim),
            ('type="box" size="0.024 0.056 0.014" pos="0 0 0.022"', paint.shell),
        ],
        children=fingers,
        inside=f'<site name="{END_EFFECTOR}" pos="0 0 0.115" quat="0 0 1 0"/>',
    )
    wrist = _link(
        "wrist",
        f'pos="0 0 {_FOREARM_M - 0.1:.4f}"',
        axis="0 1 0",
        kilograms=0.4,
        geoms=[
            ('type="cylinder" size="0.031 0.040" zaxis="0 1 0"', paint.trim),
            ('type="capsule" size="0.025" fromto="0 0 0 0 0 0.045"', paint.shell),
        ],
        children=[hand],
    )
    forearm = _link(
        "forearm",
        'pos="0 0 0.10"',
        axis="0 0 1",
        kilograms=0.7,
        geoms=[
            (f'type="capsule" size="0.029" fromto="0 0 0.02 0 0 {_FOREARM_M - 0.1:.4f}"', paint.shell),
        ],
        children=[wrist],
    )
    elbow = _link(
        "elbow",
        f'pos="0 0 {_UPPER_M:.4f}"',
        axis="0 1 0",
        kilograms=0.9,
        geoms=[
            ('type="cylinder" size="0.044 0.050" zaxis="0 1 0"', paint.trim),
            ('type="capsule" size="0.035" fromto="0 0 0 0 0 0.10"', paint.shell),
        ],
        children=[forearm],
    )
    upper = _link(
        "upper arm",
        f'pos="0 0 {_SHOULDER_M - 0.05:.4f}"',
        axis="0 1 0",
        kilograms=2.0,
        geoms=[
            ('type="cylinder" size="0.052 0.064" zaxis="0 1 0"', paint.trim),
            (f'type="capsule" size="0.040" fromto="0 0 0 0 0 {_UPPER_M:.4f}"', paint.shell),
        ],
        children=[elbow],
    )
    shoulder = _link(
        "shoulder",
        'pos="0 0 0.05"',
        axis="0 0 1",
        kilograms=2.0,
        geoms=[
            ('type="cylinder" size="0.058 0.065" pos="0 0 0.065"', paint.shell),
        ],
        children=[upper],
    )
    base = '<geom type="cylinder" size="0.078 0.025" pos="0 0 0.025"/>'
    xml = f'<body name="robot base" {pose} childclass="robot">{base}{shoulder.xml}</body>'
    return Part(
        xml=_coloured(xml, [paint.trim, *shoulder.surfaces]), surfaces=(paint.trim, *shoulder.surfaces)
    )


def robot_defaults() -> str:
    """Defaults of the class ``robot``: heavy joints, grippy pads; the parts of the robot do not collide with each other."""
    return (
        '<default class="robot"><joint damping="1" armature="0.05"/>'
        '<geom contype="2" conaffinity="1" friction="0.8 0.01 0.0005"/></default>'
    )


def actuators() -> str:
    """Servos of the joints, then of the fingers."""
    joints = [
        f'<position joint="{name}" kp="{kp}" kv="{kv}" forcerange="{-force} {force}"/>'
        for name, kp, kv, force in zip(JOINTS, GAINS, DAMPINGS, _FORCES_NM, strict=True)
    ]
    fingers = [
        f'<position joint="{name}" kp="{_GRIP_GAIN}" kv="{_GRIP_DAMPING}" forcerange="{-_GRIP_FORCE_N} {_GRIP_FORCE_N}"/>'
        for name in FINGERS
    ]
    return f"<actuator>{''.join((*joints, *fingers))}</actuator>"


def _finger(paint: Paint, name: str, side: int) -> Part:
    """One finger: a slender bar with a pad; closed fingers touch in the middle."""
    xml = (
        f'<body name="{name}" pos="0 0 0.036" gravcomp="1">'
        f'<joint name="{name}" type="slide" axis="0 {side} 0" range="0 {FINGER_TRAVEL_M}" damping="4" armature="0.01"/>'
        f'<geom type="box" size="0.010 0.0055 0.026" pos="0 {side * 0.0095:.4f} 0.024" mass="0.02"/>'
        f'<geom type="box" size="0.011 0.0050 0.021" pos="0 {side * 0.0050:.4f} 0.066" mass="0.02"'
        ' friction="1.6 0.03 0.001" condim="4" priority="1" solref="0.006 1"/></body>'
    )
    return Part(xml=xml, surfaces=(paint.trim, paint.grip))


def _link(
    name: str,
    pose: str,
    *,
    axis: str,
    kilograms: float,
    geoms: list[tuple[str, Surface]],
    children: list[Part],
    inside: str = "",
) -> Part:
    """One body with a hinge; geoms stand before children, as in the model's order."""
    low, high = JOINT_LIMITS_RAD[_JOINT_OF[name]]
    own = "".join(f'<geom {attributes} mass="{kilograms / len(geoms):.4f}"/>' for attributes, _ in geoms)
    xml = (
        f'<body name="{name}" {pose} gravcomp="1">'
        f'<joint name="{JOINTS[_JOINT_OF[name]]}" axis="{axis}" range="{low} {high}"/>'
        f"{inside}{own}{''.join(child.xml for child in children)}</body>"
    )
    surfaces = (*(surface for _, surface in geoms), *(s for child in children for s in child.surfaces))
    return Part(xml=xml, surfaces=surfaces)


_JOINT_OF = {"shoulder": 0, "upper arm": 1, "elbow": 2, "forearm": 3, "wrist": 4, "hand": 5}


def _coloured(xml: str, surfaces: list[Surface]) -> str:
    """The colour of each geom written into it, for renderers that read the model."""
    first, *rest = xml.split("<geom ")
    return first + "".join(
        f"<geom {rgba(surface.colour)} {text}" for surface, text in zip(surfaces, rest, strict=True)
    )


def _glossy(colour: Colour, gloss: float) -> Surface:
    return Surface(colour=colour, accent=colour, gloss=gloss)


def place(position: np.ndarray, yaw_rad: float) -> str:
    """Attributes of a body that stands upright at a position."""
    return f'pos="{numbers(position)}" quat="{np.cos(yaw_rad / 2):.9f} 0 0 {np.sin(yaw_rad / 2):.9f}"'
