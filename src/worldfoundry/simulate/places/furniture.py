"""Furniture of rooms, drawn from a seed: seats, tables, beds and storage."""

import numpy as np

from worldfoundry.simulate.places import materials as look
from worldfoundry.simulate.places.pieces import Length, Part, Piece, blob, box, legs, upright
from worldfoundry.simulate.scenes.looks import Surface

_LEG = 0.025


def chair(rng: np.random.Generator, *, colour: tuple[float, float, float] | None = None) -> Piece:
    """A chair with a back; its seat looks along -y."""
    colour = colour or look.vivid(rng)
    seat, frame = look.paint(rng, colour), look.pick(rng, (look.wood, look.metal))(rng)
    half, z = rng.uniform(0.2, 0.23), rng.uniform(0.42, 0.46)
    back = rng.uniform(0.38, 0.5)
    parts = [
        *legs((half, half), _LEG, z, frame),
        box((0, 0, z + 0.02), (half, half, 0.02), seat),
        box((0, half - 0.02, z + 0.04 + back / 2), (half, 0.02, back / 2), seat),
    ]
    return Piece(noun="chair", colour=colour, parts=tuple(parts), half=(half, half), height=z + 0.04 + back)


def stool(rng: np.random.Generator) -> Piece:
    """A round stool."""
    colour, z, radius = look.vivid(rng), rng.uniform(0.4, 0.5), rng.uniform(0.17, 0.22)
    frame = look.wood(rng)
    parts = (
        upright((0, 0, z / 2), 0.05, z / 2, frame),
        upright((0, 0, 0.01), radius * 0.8, 0.01, frame),
        upright((0, 0, z + 0.03), radius, 0.03, look.paint(rng, colour)),
    )
    return Piece(noun="stool", colour=colour, parts=parts, half=(radius, radius), height=z + 0.06)


def table(rng: np.random.Generator, *, half: tuple[Length, Length], z: float, noun: str) -> Piece:
    """A table with four legs or, if it is square, a round one with a foot."""
    wood = look.wood(rng) if rng.uniform() < 0.75 else look.white(rng)
    if half[0] == half[1]:
        parts = (
            upright((0, 0, 0.015), half[0] * 0.5, 0.015, wood),
            upright((0, 0, z / 2 + 0.015), 0.05, z / 2 - 0.015, wood),
            upright((0, 0, z + 0.015), half[0], 0.015, wood),
        )
        top = (half[0] * 0.65, half[0] * 0.65)
    else:
        parts = (
            *legs(half, 0.03, z, wood),
            box((0, 0, z + 0.015), (*half, 0.015), wood),
        )
        top = (half[0] - 0.03, half[1] - 0.03)
    return Piece(
        noun=noun, colour=wood.colour, parts=parts, half=half, height=z + 0.03, top=top, top_z=z + 0.03
    )


def dining_table(rng: np.random.Generator) -> Piece:
    """A table to eat at."""
    round_ = rng.uniform() < 0.4
    x = rng.uniform(0.5, 0.6) if round_ else rng.uniform(0.65, 0.9)
    return table(
        rng, half=(x, x if round_ else rng.uniform(0.4, 0.48)), z=rng.uniform(0.7, 0.74), noun="table"
    )


def coffee_table(rng: np.random.Generator) -> Piece:
    """A low table."""
    round_ = rng.uniform() < 0.4
    x = rng.uniform(0.35, 0.45) if round_ else rng.uniform(0.45, 0.6)
    y = x if round_ else rng.uniform(0.25, 0.35)
    return table(rng, half=(x, y), z=rng.uniform(0.34, 0.42), noun="coffee table")


def desk(rng: np.random.Generator) -> Piece:
    """A desk with a block of drawers."""
    wood, x, y, z = look.wood(rng), rng.uniform(0.6, 0.75), rng.uniform(0.3, 0.36), 0.72
    drawer = look.paint(rng)
    parts = [
        box((0, 0, z + 0.015), (x, y, 0.015), wood),
        box((x - 0.22, 0, z / 2), (0.2, y - 0.03, z / 2), wood),
        box((-x + 0.03, 0, z / 2), (0.03, y - 0.03, z / 2), wood),
        *(box((x - 0.22, -y + 0.02, 0.14 + 0.22 * k), (0.17, 0.012, 0.09), drawer) for k in range(3)),
    ]
    return Piece(
        noun="desk",
        colour=wood.colour,
        parts=tuple(parts),
        half=(x, y),
        height=z + 0.03,
        top=(x - 0.05, y - 0.04),
        top_z=z + 0.03,
    )


def _seat(rng: np.random.Generator, noun: str, width: float, cushions: int) -> Piece:
    """Upholstery: base, back, two arms and loose cushions."""
    colour = look.vivid(rng)
    cloth, y = look.fabric(rng, colour), rng.uniform(0.4, 0.46)
    arm, base, back = rng.uniform(0.08, 0.12), rng.uniform(0.38, 0.44), rng.uniform(0.75, 0.9)
    inner = width - 2 * arm
    parts = [
        box((0, -0.1, base / 2), (inner, y - 0.1, base / 2), cloth),
        box((0, y - 0.1, back / 2), (inner, 0.1, back / 2), cloth),
        *(box((i * (width - arm), 0, 0.31), (arm, y, 0.31), cloth) for i in (-1, 1)),
    ]
    pillow = look.fabric(rng)
    for k in range(cushions):
        x = -inner + inner * (2 * k + 1) / cushions
        parts.append(blob((x, y - 0.29, base + 0.17), (0.19, 0.09, 0.17), pillow))
    return Piece(noun=noun, colour=colour, parts=tuple(parts), half=(width, y), height=back)


def sofa(rng: np.random.Generator) -> Piece:
    """A sofa for two or three."""
    width = rng.uniform(0.8, 1.1)
    return _seat(rng, "sofa", width, 2 if width < 0.95 else 3)


def armchair(rng: np.random.Generator) -> Piece:
    """A seat for one."""
    return _seat(rng, "armchair", rng.uniform(0.42, 0.48), 1)


def bed(rng: np.random.Generator) -> Piece:
    """A bed, its head at +y."""
    x, y = rng.uniform(0.55, 0.9), 1.02
    wood, colour = look.wood(rng), look.vivid(rng)
    sheet = look.white(rng)
    pillows = (0,) if x < 0.7 else (-x / 2, x / 2)
    parts = [
        box((0, 0, 0.16), (x, y, 0.16), wood),
        box((0, y - 0.03, 0.5), (x, 0.03, 0.5), wood),
        box((0, -0.03, 0.4), (x - 0.02, y - 0.05, 0.08), sheet),
        box((0, -0.3, 0.5), (x - 0.01, y - 0.32, 0.02), look.fabric(rng, colour)),
        *(blob((p, y - 0.32, 0.55), (0.28, 0.18, 0.07), sheet) for p in pillows),
    ]
    return Piece(noun="bed", colour=colour, parts=tuple(parts), half=(x, y), height=1.0)


def _row(rng: np.random.Generator, inner: float, depth: float, z: float, room: float) -> list[Part]:
    """What stands on one board: books, and sometimes a box or a vase."""
    height, split = room * rng.uniform(0.55, 0.85), rng.uniform(-0.2, 0.5) * inner
    half = (split + inner) / 2
    parts = [box((split - half, 0.02, z + height / 2), (half, depth * 0.75, height / 2), look.books(rng))]
    rest = inner - split
    if rest > 0.18:
        at, size = split + rest / 2, min(rest * 0.3, room * 0.35)
        kind = rng.integers(3)
        surface = look.paint(rng)
        if kind == 0:
            parts.append(box((at, 0, z + size), (size, min(size, depth * 0.8), size), surface))
        elif kind == 1:
            r = min(size, depth * 0.8)
            parts.append(Part(shape="sphere", at=(at, 0, z + r), size=(r,), surface=surface))
        else:
            parts.append(upright((at, 0, z + size), min(size * 0.7, depth * 0.8), size, surface))
    return parts


def bookshelf(rng: np.random.Generator) -> Piece:
    """A shelf with books; its open side looks along -y."""
    wood = look.wood(rng) if rng.uniform() < 0.7 else look.white(rng)
    x, y, boards = rng.uniform(0.4, 0.7), rng.uniform(0.14, 0.18), int(rng.integers(3, 6))
    step = rng.uniform(0.34, 0.4)
    height = 0.05 + step * (boards - 1) + 0.03
    parts = [
        *(box((i * (x - 0.015), 0, height / 2), (0.015, y, height / 2), wood) for i in (-1, 1)),
        box((0, y - 0.005, height / 2), (x - 0.03, 0.005, height / 2), wood),
    ]
    for k in range(boards):
        z = 0.05 + step * k
        parts.append(box((0, -0.005, z + 0.015), (x - 0.03, y - 0.005, 0.015), wood))
        if k < boards - 1:
            parts += _row(rng, x - 0.04, y - 0.02, z + 0.03, step - 0.03)
    top = (x - 0.1, y - 0.04)
    return Piece(
        noun="bookshelf",
        colour=wood.colour,
        parts=tuple(parts),
        half=(x, y),
        height=height,
        top=top if height < 1.4 else None,
        top_z=height,
    )


def _doors(
    count: int, x: float, y: float, low: float, high: float, surface: Surface, knob: Surface
) -> list[Part]:
    """Doors side by side on the front, each with a knob."""
    half, parts = x / count, []
    for k in range(count):
        at = -x + half * (2 * k + 1)
        side = 1 if k % 2 == 0 else -1
        parts.append(
            box((at, -y - 0.008, (low + high) / 2), (half - 0.012, 0.008, (high - low) / 2), surface)
        )
        knob_at = (at + side * (half - 0.06), -y - 0.034, (low + high) / 2)
        parts.append(Part(shape="sphere", at=knob_at, size=(0.018,), surface=knob))
    return parts


def cabinet(rng: np.random.Generator) -> Piece:
    """A low cupboard."""
    wood, door, x, y, z = look.wood(rng), look.paint(rng), rng.uniform(0.5, 0.8), 0.2, rng.uniform(0.65, 0.85)
    count = int(rng.integers(2, 5))
    parts = (
        box((0, 0, z / 2), (x, y, z / 2), wood),
        *_doors(count, x, y, 0.06, z - 0.04, door, look.metal(rng)),
    )
    return Piece(
        noun="cabinet",
        colour=door.colour,
        parts=parts,
        half=(x, y + 0.055),
        height=z,
        top=(x - 0.05, y - 0.04),
        top_z=z,
    )


def wardrobe(rng: np.random.Generator) -> Piece:
    """A tall cupboard."""
    wood = look.wood(rng) if rng.uniform() < 0.6 else look.paint(rng)
    x, y, z = rng.uniform(0.5, 0.75), 0.28, rng.uniform(1.75, 2.1)
    parts = (
        box((0, 0, z / 2), (x, y, z / 2), wood),
        *_doors(2, x, y, 0.08, z - 0.05, look.wood(rng), look.metal(rng)),
    )
    return Piece(noun="wardrobe", colour=wood.colour, parts=parts, half=(x, y + 0.055), height=z)


def television(rng: np.random.Generator) -> Piece:
    """A screen on a low board."""
    board, x, z = look.wood(rng), rng.uniform(0.55, 0.75), rng.uniform(0.35, 0.5)
    black = look.paint(rng, (0.07, 0.07, 0.08))
    screen, w, h = look.picture(rng, rng.uniform(0.4, 0.5)), rng.uniform(0.42, 0.52), 0.28
    parts = (
        box((0, 0, z / 2), (x, 0.2, z / 2), board),
        box((0, 0, z + 0.01), (0.15, 0.1, 0.01), black),
        box((0, 0.02, z + 0.04), (0.03, 0.02, 0.02), black),
        box((0, 0.02, z + 0.06 + h), (w, 0.025, h), black),
        box((0, -0.01, z + 0.06 + h), (w - 0.02, 0.005, h - 0.02), screen),
    )
    return Piece(noun="television", colour=None, parts=parts, half=(x, 0.2), height=z + 0.06 + 2 * h)
