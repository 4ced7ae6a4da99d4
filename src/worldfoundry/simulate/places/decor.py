"""Lamps, plants, pictures, rugs and small things, drawn from a seed."""

import numpy as np

from worldfoundry.simulate.places import materials as look
from worldfoundry.simulate.places.pieces import Length, Part, Piece, blob, box, hull, upright
from worldfoundry.simulate.scenes.looks import Surface, hsv


def ball(rng: np.random.Generator, radius: float | None = None) -> Piece:
    """A ball that lies on something."""
    r = radius or rng.uniform(0.1, 0.22)
    colour = look.vivid(rng)
    surface = Surface(
        colour=colour,
        accent=(0.96, 0.95, 0.92),
        pattern=look.pick(rng, ("plain", "stripe", "clouds")),
        scale_m=r * 0.6,
        gloss=0.35,
        seed=look.seed_of(rng),
    )
    part = Part(shape="sphere", at=(0, 0, r), size=(r,), surface=surface)
    return Piece(noun="ball", colour=colour, parts=(part,), half=(r, r), height=2 * r)


def crate(rng: np.random.Generator, size: float | None = None) -> Piece:
    """A box."""
    s = size or rng.uniform(0.12, 0.25)
    colour = look.vivid(rng)
    half = (s * rng.uniform(0.7, 1.1), s * rng.uniform(0.7, 1.1), s * rng.uniform(0.6, 1.1))
    surface = look.pick(rng, (look.paint, look.fabric))(rng, colour)
    return Piece(
        noun="box",
        colour=colour,
        parts=(box((0, 0, half[2]), half, surface),),
        half=half[:2],
        height=2 * half[2],
    )


def vase(rng: np.random.Generator) -> Piece:
    """A vase, sometimes with flowers."""
    colour, z, r = look.vivid(rng), rng.uniform(0.07, 0.13), rng.uniform(0.04, 0.06)
    parts = [
        upright((0, 0, z), r, z, look.paint(rng, colour)),
        upright((0, 0, 2 * z + 0.015), r * 0.6, 0.015, look.paint(rng, colour)),
    ]
    height = 2 * z + 0.03
    if rng.uniform() < 0.6:
        parts.append(upright((0, 0, height + 0.06), 0.012, 0.06, look.leaves(rng)))
        parts.append(
            blob((0, 0, height + 0.18), (0.09, 0.09, 0.08), look.speckle(rng, look.vivid(rng), scale_m=0.1))
        )
        height += 0.26
    return Piece(noun="vase", colour=colour, parts=tuple(parts), half=(0.09, 0.09), height=height)


def bowl(rng: np.random.Generator) -> Piece:
    """A dish with fruit on it."""
    r, fruit = (
        rng.uniform(0.11, 0.15),
        look.paint(rng, hsv(look.pick(rng, (0.0, 0.08, 0.14, 0.3)), 0.85, 0.9)),
    )
    parts = [upright((0, 0, 0.015), r, 0.015, look.white(rng))]
    turn = rng.uniform(0, 2 * np.pi)
    for k in range(3):
        a = turn + k * 2 * np.pi / 3
        at = (0.052 * float(np.cos(a)), 0.052 * float(np.sin(a)), 0.07)
        parts.append(Part(shape="sphere", at=at, size=(0.04,), surface=fruit))
    return Piece(noun="bowl of fruit", colour=None, parts=tuple(parts), half=(r, r), height=0.11)


def pile_of_books(rng: np.random.Generator) -> Piece:
    """Some books, one on the other."""
    z, parts = 0.0, []
    for _ in range(int(rng.integers(2, 5))):
        h = rng.uniform(0.012, 0.025)
        half = (rng.uniform(0.1, 0.13), rng.uniform(0.07, 0.09), h)
        parts.append(box((0, 0, z + h), half, look.paint(rng), yaw_rad=rng.uniform(-0.2, 0.2)))
        z += 2 * h
    return Piece(noun="pile of books", colour=None, parts=tuple(parts), half=(0.15, 0.12), height=z)


def table_lamp(rng: np.random.Generator) -> Piece:
    """A lamp for a table."""
    colour = look.vivid(rng)
    z, r = rng.uniform(0.1, 0.16), rng.uniform(0.1, 0.14)
    parts = (
        upright((0, 0, 0.012), r * 0.7, 0.012, look.metal(rng)),
        upright((0, 0, 0.024 + z), 0.012, z, look.metal(rng)),
        upright((0, 0, 0.024 + 2 * z + 0.09), r, 0.09, look.fabric(rng, colour)),
    )
    return Piece(noun="table lamp", colour=colour, parts=parts, half=(r, r), height=0.204 + 2 * z)


def small_thing(rng: np.random.Generator) -> Piece:
    """Something for a table."""
    kinds = (vase, bowl, pile_of_books, table_lamp)
    choice = int(rng.integers(6))
    if choice == 4:
        return ball(rng, rng.uniform(0.04, 0.08))
    return crate(rng, rng.uniform(0.05, 0.09)) if choice == 5 else kinds[choice](rng)


def floor_lamp(rng: np.random.Generator) -> Piece:
    """A lamp on a pole."""
    colour, z, r = look.vivid(rng), rng.uniform(0.65, 0.78), rng.uniform(0.16, 0.22)
    stand, shade = look.metal(rng), look.fabric(rng, colour)
    parts = (
        upright((0, 0, 0.015), 0.15, 0.015, stand),
        upright((0, 0, 0.03 + z), 0.016, z, stand),
        upright((0, 0, 0.03 + 2 * z + 0.13), r, 0.13, shade),
    )
    return Piece(noun="floor lamp", colour=colour, parts=parts, half=(r, r), height=0.29 + 2 * z)


def plant(rng: np.random.Generator) -> Piece:
    """A plant in a pot: a bush, or a small tree."""
    colour, r, z = look.vivid(rng), rng.uniform(0.13, 0.2), rng.uniform(0.13, 0.2)
    parts = [upright((0, 0, z), r, z, look.paint(rng, colour))]
    stem = rng.uniform(0.1, 0.45)
    parts.append(upright((0, 0, 2 * z + stem / 2), 0.02, stem / 2, look.wood(rng)))
    green, top, reach = look.leaves(rng), 2 * z + stem, rng.uniform(0.16, 0.24)
    turn = rng.uniform(0, 2 * np.pi)
    for k in range(int(rng.integers(2, 5))):
        a, lift = turn + 2.4 * k, 0.12 * k
        half = (reach * rng.uniform(0.7, 1), reach * rng.uniform(0.7, 1), reach * rng.uniform(0.8, 1.2))
        at = (0.1 * float(np.cos(a)), 0.1 * float(np.sin(a)), top + half[2] * 0.8 + lift)
        parts.append(blob(at, half, green))
    height = max(p.at[2] + p.size[-1] for p in parts)
    return Piece(
        noun="plant", colour=None, parts=tuple(parts), half=(reach + 0.1, reach + 0.1), height=height
    )


def rug(rng: np.random.Generator, half: tuple[Length, Length]) -> Piece:
    """A flat rug with a border."""
    colour = look.vivid(rng)
    cloth, border = look.fabric(rng, colour), look.fabric(rng)
    inner = (half[0] - 0.08, half[1] - 0.08, 0.006)
    parts = (box((0, 0, 0.004), (*half, 0.004), border), box((0, 0, 0.006), inner, cloth))
    return Piece(noun="rug", colour=colour, parts=parts, half=half, height=0.012, top=half, top_z=0.012)


def wall_picture(rng: np.random.Generator) -> Piece:
    """A framed picture whose back is at y = 0."""
    x, z = rng.uniform(0.22, 0.5), rng.uniform(0.2, 0.36)
    frame = look.wood(rng) if rng.uniform() < 0.6 else look.paint(rng, (0.1, 0.1, 0.1))
    parts = (
        box((0, -0.015, z), (x, 0.015, z), frame),
        box((0, -0.033, z), (x - 0.035, 0.003, z - 0.035), look.picture(rng, x - 0.035)),
    )
    return Piece(noun="picture", colour=None, parts=parts, half=(x, 0.036), height=2 * z)


def clock(rng: np.random.Generator) -> Piece:
    """A clock on a wall: a flat round plate, its back at y = 0."""
    r, a = rng.uniform(0.14, 0.2), np.linspace(0, 2 * np.pi, 17)[:-1]
    ring = np.stack([r * np.cos(a), 0 * a, r + r * np.sin(a)], 1)
    face = 0.86 * (ring - [0, 0, r]) + [0, 0, r]
    colour, black = look.vivid(rng), look.paint(rng, (0.06, 0.06, 0.07))
    parts = (
        hull(np.concatenate([ring, ring + np.array([0, -0.03, 0])]), look.paint(rng, colour)),
        hull(
            np.concatenate([face + np.array([0, -0.03, 0]), face + np.array([0, -0.034, 0])]), look.white(rng)
        ),
        box((0, -0.037, r + r * 0.25), (0.008, 0.003, r * 0.3), black),
        box((r * 0.2, -0.037, r), (r * 0.22, 0.003, 0.008), black),
    )
    return Piece(noun="clock", colour=colour, parts=parts, half=(r, 0.04), height=2 * r)
