"""Things that stand somewhere: parts in a frame of their own, and the text MuJoCo reads.

A piece stands on its own plane z = 0; x is its width, y its depth, and its front looks along -y.
"""

from dataclasses import dataclass, field

import numpy as np

from worldfoundry.simulate.scenes.looks import Colour, Surface, numbers, rgba

Length = float | int
"""Metres."""
Vector = tuple[Length, Length, Length]
"""x, y and z."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One geom."""

    shape: str
    """``box``, ``cylinder``, ``ellipsoid``, ``sphere``, ``capsule`` or ``mesh``."""
    at: Vector
    """Centre in the piece's frame; for a mesh the origin of its vertices."""
    size: tuple[Length, ...] = ()
    """Half sizes as MuJoCo reads them; empty for a mesh."""
    surface: Surface
    """Looks."""
    yaw_rad: float = 0.0
    """Turned about the vertical."""
    vertices: tuple[Vector, ...] = ()
    """Corners of a convex mesh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One thing: a body without joints."""

    noun: str
    """What it is, ``sofa``."""
    colour: Colour | None
    """Colour that a caption may name."""
    parts: tuple[Part, ...]
    """Geoms."""
    half: tuple[Length, Length]
    """Half width and half depth of what it covers on the ground."""
    height: Length
    """Highest point."""
    top: tuple[Length, Length] | None = None
    """Half width and half depth of a free level area on its highest level, on which things may stand."""
    top_z: Length = 0.0
    """Height of that area."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A piece at its place in the world."""

    piece: Piece
    """What."""
    name: str
    """Name of the body."""
    at: np.ndarray
    """float64 [3], where the piece's origin is."""
    yaw_rad: float
    """Turned about the vertical."""

    @property
    def centre(self) -> np.ndarray:
        """Middle of the thing."""
        return self.at + np.array([0, 0, self.piece.height / 2])


@dataclass(slots=True)
class Ground:
    """Geoms of the world itself: walls, floor, hills."""

    parts: list[Part] = field(default_factory=list)

    def box(self, at: Vector, half: Vector, surface: Surface) -> None:
        """Add a box."""
        self.parts.append(Part(shape="box", at=at, size=half, surface=surface))


def box(at: Vector, half: Vector, surface: Surface, yaw_rad: float = 0.0) -> Part:
    """A box."""
    return Part(shape="box", at=at, size=half, surface=surface, yaw_rad=yaw_rad)


def upright(at: Vector, radius: Length, half_height: Length, surface: Surface) -> Part:
    """A cylinder that stands."""
    return Part(shape="cylinder", at=at, size=(radius, half_height), surface=surface)


def blob(at: Vector, half: Vector, surface: Surface) -> Part:
    """An ellipsoid."""
    return Part(shape="ellipsoid", at=at, size=half, surface=surface)


def hull(vertices: np.ndarray, surface: Surface) -> Part:
    """A convex mesh of corners [n, 3]."""
    corners = tuple((float(x), float(y), float(z)) for x, y, z in vertices)
    return Part(shape="mesh", at=(0, 0, 0), surface=surface, vertices=corners)


def legs(half: tuple[Length, Length], radius: Length, height: Length, surface: Surface) -> tuple[Part, ...]:
    """Four square legs, their outer faces on the rectangle ``half``."""
    x, y = half[0] - radius, half[1] - radius
    return tuple(
        box((i * x, j * y, height / 2), (radius, radius, height / 2), surface)
        for i in (-1, 1)
        for j in (-1, 1)
    )


def model_text(
    ground: Ground, things: tuple[Placed, ...], sun: np.ndarray
) -> tuple[str, tuple[Surface, ...]]:
    """MuJoCo model and the looks of its geoms in order."""
    meshes: list[str] = []
    world = "".join(_geom(part, meshes) for part in ground.parts)
    bodies = "".join(_body(thing, meshes) for thing in things)
    xml = (
        f'<mujoco><compiler angle="radian"/><asset>{"".join(meshes)}</asset><worldbody>'
        f'<light directional="true" dir="{numbers(-sun)}" diffuse=".7 .7 .7"/>{world}{bodies}</worldbody></mujoco>'
    )
    surfaces = (*(p.surface for p in ground.parts), *(p.surface for t in things for p in t.piece.parts))
    return xml, surfaces


def _body(thing: Placed, meshes: list[str]) -> str:
    geoms = "".join(_geom(part, meshes) for part in thing.piece.parts)
    return (
        f'<body name="{thing.name}" pos="{numbers(thing.at)}" euler="0 0 {thing.yaw_rad:.6f}">{geoms}</body>'
    )


def _geom(part: Part, meshes: list[str]) -> str:
    size = f'size="{numbers(np.array(part.size))}"'
    if part.shape == "mesh":
        name = f"mesh{len(meshes)}"
        meshes.append(f'<mesh name="{name}" vertex="{numbers(np.array(part.vertices).ravel())}"/>')
        size = f'mesh="{name}"'
    turn = f' euler="0 0 {part.yaw_rad:.6f}"' if part.yaw_rad else ""
    return f'<geom type="{part.shape}" {size} pos="{numbers(np.array(part.at))}"{turn} {rgba(part.surface.colour)}/>'


def named(pieces: list[tuple[Piece, np.ndarray, float]]) -> tuple[Placed, ...]:
    """Placed pieces with names ``sofa-1``, ``chair-1``, ``chair-2``."""
    counts: dict[str, int] = {}
    things = []
    for piece, at, yaw in pieces:
        noun = piece.noun.replace(" ", "-")
        counts[noun] = counts.get(noun, 0) + 1
        things.append(Placed(piece=piece, name=f"{noun}-{counts[noun]}", at=at, yaw_rad=yaw))
    return tuple(things)
