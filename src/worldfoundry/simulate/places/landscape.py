"""Things out of doors, drawn from a seed: trees, rocks, houses, fences and what people leave about."""

import numpy as np

from worldfoundry.simulate.places import materials as look
from worldfoundry.simulate.places.pieces import Part, Piece, blob, box, hull, upright
from worldfoundry.simulate.scenes.looks import Surface, hsv

_BARK = ((0.36, 0.25, 0.16), (0.45, 0.36, 0.27), (0.8, 0.78, 0.73))


def _bark(rng: np.random.Generator) -> Surface:
    return look.speckle(rng, look.pick(rng, _BARK), scale_m=0.25)


def tree(rng: np.random.Generator) -> Piece:
    """A broad-leaved tree."""
    trunk, r, autumn = rng.uniform(1.0, 2.2), rng.uniform(0.1, 0.2), rng.uniform() < 0.2
    hue = rng.uniform(0.04, 0.13) if autumn else rng.uniform(0.2, 0.34)
    green = look.speckle(
        rng, hsv(hue, rng.uniform(0.5, 0.8), rng.uniform(0.42, 0.68)), scale_m=0.8, contrast=0.55
    )
    parts = [upright((0, 0, trunk / 2), r, trunk / 2, _bark(rng))]
    reach, turn = rng.uniform(0.7, 1.2), rng.uniform(0, 2 * np.pi)
    for k in range(int(rng.integers(3, 6))):
        a, away = turn + 2.4 * k, reach * 0.45 * min(k, 1)
        half = tuple(reach * rng.uniform(0.65, 1.0, 3) * [1, 1, 0.85])
        at = (
            away * float(np.cos(a)),
            away * float(np.sin(a)),
            trunk + half[2] * 0.75 + rng.uniform(0, 0.35) * k,
        )
        parts.append(blob(at, half, green))
    height = max(p.at[2] + p.size[-1] for p in parts)
    return Piece(noun="tree", colour=None, parts=tuple(parts), half=(1.5 * reach, 1.5 * reach), height=height)


def conifer(rng: np.random.Generator) -> Piece:
    """A fir: cones, one above the other."""
    trunk, r = rng.uniform(0.4, 0.9), rng.uniform(0.09, 0.15)
    green = look.speckle(
        rng, hsv(rng.uniform(0.3, 0.42), 0.55, rng.uniform(0.32, 0.5)), scale_m=0.5, contrast=0.5
    )
    parts = [upright((0, 0, trunk / 2), r, trunk / 2, _bark(rng))]
    z, radius, rise = trunk, rng.uniform(0.8, 1.2), rng.uniform(1.1, 1.6)
    for _ in range(3):
        a = np.linspace(0, 2 * np.pi, 10)[:-1] + rng.uniform(0, 1)
        rim = np.stack([radius * np.cos(a), radius * np.sin(a), 0 * a + z], 1)
        parts.append(hull(np.concatenate([rim, [[0, 0, z + rise]]]), green))
        z, radius, rise = z + rise * 0.5, radius * 0.76, rise * 0.95
    top = z + rise / 0.95 * 0.5
    return Piece(noun="fir tree", colour=None, parts=tuple(parts), half=(1.2, 1.2), height=float(top))


def bush(rng: np.random.Generator) -> Piece:
    """A low bush, sometimes in flower."""
    green, r = look.leaves(rng), rng.uniform(0.35, 0.6)
    parts = []
    for k in range(3):
        half = (r * rng.uniform(0.7, 1), r * rng.uniform(0.7, 1), r * rng.uniform(0.6, 0.9))
        a = 2.1 * k
        parts.append(blob((0.5 * r * float(np.cos(a)), 0.5 * r * float(np.sin(a)), half[2]), half, green))
    height = max(2 * p.at[2] for p in parts)
    return Piece(noun="bush", colour=None, parts=tuple(parts), half=(1.5 * r, 1.5 * r), height=height)


def rock(rng: np.random.Generator) -> Piece:
    """A boulder with a flat foot."""
    half = rng.uniform(0.25, 0.8) * rng.uniform(0.7, 1.2, 3) * [1, 1, 0.8]
    v = rng.standard_normal((18, 3))
    v = v / np.sqrt((v * v).sum(1, keepdims=True)) * half
    v[:, 2] = np.maximum(v[:, 2], -0.45 * half[2])
    v[:, 2] -= v[:, 2].min()
    grey = hsv(rng.uniform(0.05, 0.14), rng.uniform(0.03, 0.2), rng.uniform(0.45, 0.7))
    part = hull(np.round(v, 6), look.speckle(rng, grey, scale_m=0.5))
    extent = np.abs(v).max(0)
    return Piece(
        noun="rock",
        colour=None,
        parts=(part,),
        half=(float(extent[0]), float(extent[1])),
        height=float(v[:, 2].max()),
    )


def house(rng: np.random.Generator) -> Piece:
    """A house with a gable roof, a door and windows."""
    x, y, z = rng.uniform(1.6, 2.6), rng.uniform(1.4, 2.2), rng.uniform(1.3, 2.4)
    colour = look.pick(rng, (look.pastel, look.vivid))(rng)
    pattern = "bricks" if rng.uniform() < 0.35 else "clouds"
    colour = (0.68, 0.36, 0.28) if pattern == "bricks" else colour
    walls = Surface(
        colour=colour,
        accent=look.shade(colour, 1.25 if pattern == "bricks" else 0.85),
        pattern=pattern,
        scale_m=0.32 if pattern == "bricks" else 2.0,
        seed=look.seed_of(rng),
    )
    tiles = look.speckle(
        rng, look.pick(rng, ((0.55, 0.24, 0.18), (0.35, 0.33, 0.36), (0.5, 0.34, 0.24))), scale_m=0.4
    )
    over, rise = 0.18, rng.uniform(0.7, 1.3)
    low = 2 * z - over * rise / y
    eaves = [[i * (x + over), j * (y + over), low] for i in (-1, 1) for j in (-1, 1)]
    ridge = [[i * (x + over), 0, 2 * z + rise] for i in (-1, 1)]
    parts = [
        box((0, 0, z), (x, y, z), walls),
        hull(np.array(eaves + ridge), tiles),
        *_openings(rng, x, y, z),
    ]
    if rng.uniform() < 0.6:
        brick = look.shade((0.6, 0.32, 0.26), rng.uniform(0.8, 1.1))
        stack = Surface(colour=brick, accent=look.shade(brick, 1.4), pattern="bricks", scale_m=0.2)
        parts.append(box((x * 0.5, y * 0.3, 2 * z + rise * 0.85), (0.18, 0.18, rise * 0.5), stack))
    return Piece(
        noun="house",
        colour=colour,
        parts=tuple(parts),
        half=(x + over, y + over),
        height=2 * z + rise,
    )


def _openings(rng: np.random.Generator, x: float, y: float, z: float) -> list[Part]:
    """Windows on all sides, a door at the front."""
    glass = Surface(
        colour=(0.93, 0.93, 0.9), accent=(0.2, 0.27, 0.36), pattern="window", scale_m=0.42, gloss=0.4
    )
    door, parts = look.paint(rng), []
    parts.append(box((0, -y - 0.02, 1.0), (0.45, 0.02, 1.0), door))
    for floor in range(2 if z > 1.9 else 1):
        at = 1.45 + 2.0 * floor
        for side in (-1, 1):
            parts += [box((i * x * 0.6, side * (y + 0.02), at), (0.42, 0.02, 0.42), glass) for i in (-1, 1)]
            parts.append(box((side * (x + 0.02), 0, at), (0.02, 0.42, 0.42), glass))
    return parts


def fence(rng: np.random.Generator) -> Piece:
    """A straight run of fence."""
    count = int(rng.integers(4, 8))
    step, high = rng.uniform(0.9, 1.3), rng.uniform(0.8, 1.1)
    timber = look.wood(rng) if rng.uniform() < 0.5 else look.white(rng)
    x = step * (count - 1) / 2
    parts = [box((-x + step * k, 0, high / 2), (0.05, 0.05, high / 2), timber) for k in range(count)]
    parts += [box((0, -0.07, high * share), (x + 0.1, 0.02, 0.06), timber) for share in (0.45, 0.85)]
    return Piece(noun="fence", colour=timber.colour, parts=tuple(parts), half=(x + 0.1, 0.1), height=high)


def bench(rng: np.random.Generator) -> Piece:
    """A bench."""
    colour = look.vivid(rng)
    slats, iron, x = look.paint(rng, colour), look.metal(rng), rng.uniform(0.7, 0.9)
    parts = [
        *(box((i * (x - 0.1), 0, 0.22), (0.03, 0.2, 0.22), iron) for i in (-1, 1)),
        box((0, 0, 0.46), (x, 0.22, 0.02), slats),
        box((0, 0.2, 0.7), (x, 0.02, 0.14), slats),
        *(box((i * (x - 0.1), 0.2, 0.52), (0.02, 0.02, 0.04), iron) for i in (-1, 1)),
    ]
    return Piece(noun="bench", colour=colour, parts=tuple(parts), half=(x, 0.24), height=0.84)


def street_lamp(rng: np.random.Generator) -> Piece:
    """A lamp on a post."""
    iron, z = look.metal(rng), rng.uniform(1.4, 1.8)
    glow = (1.0, 0.95, 0.8)
    parts = (
        upright((0, 0, 0.1), 0.12, 0.1, iron),
        upright((0, 0, 0.2 + z), 0.05, z, iron),
        Part(
            shape="sphere",
            at=(0, 0, 0.2 + 2 * z + 0.16),
            size=(0.18,),
            surface=Surface(colour=glow, accent=glow, pattern="glow"),
        ),
    )
    return Piece(noun="street lamp", colour=None, parts=parts, half=(0.2, 0.2), height=0.54 + 2 * z)


def hay_bale(rng: np.random.Generator) -> Piece:
    """Hay in a round bale that stands on its end."""
    r, z = rng.uniform(0.5, 0.7), rng.uniform(0.4, 0.55)
    straw = look.speckle(rng, (0.82, 0.68, 0.36), scale_m=0.2)
    return Piece(
        noun="hay bale", colour=None, parts=(upright((0, 0, z), r, z, straw),), half=(r, r), height=2 * z
    )


def well(rng: np.random.Generator) -> Piece:
    """A well with a small roof."""
    stone = Surface(
        colour=(0.62, 0.6, 0.57),
        accent=(0.8, 0.78, 0.75),
        pattern="bricks",
        scale_m=0.22,
        seed=look.seed_of(rng),
    )
    timber, colour = look.wood(rng), look.vivid(rng)
    eaves = [[i * 0.75, j * 0.7, 1.75] for i in (-1, 1) for j in (-1, 1)]
    parts = (
        upright((0, 0, 0.38), 0.6, 0.38, stone),
        *(box((i * 0.52, 0, 1.27), (0.05, 0.05, 0.51), timber) for i in (-1, 1)),
        hull(np.array([*eaves, [-0.75, 0, 2.25], [0.75, 0, 2.25]]), look.speckle(rng, colour, scale_m=0.3)),
    )
    return Piece(noun="well", colour=None, parts=parts, half=(0.8, 0.75), height=2.25)


def toy(rng: np.random.Generator) -> Piece:
    """A big coloured ball or cube, left lying about."""
    colour, r = look.vivid(rng), rng.uniform(0.25, 0.5)
    surface = Surface(
        colour=colour,
        accent=(0.95, 0.94, 0.9),
        pattern=look.pick(rng, ("stripe", "clouds", "checker")),
        scale_m=r * 0.7,
        gloss=0.25,
        seed=look.seed_of(rng),
    )
    if rng.uniform() < 0.5:
        part = Part(shape="sphere", at=(0, 0, r), size=(r,), surface=surface)
        return Piece(noun="ball", colour=colour, parts=(part,), half=(r, r), height=2 * r)
    return Piece(
        noun="block", colour=colour, parts=(box((0, 0, r), (r, r, r), surface),), half=(r, r), height=2 * r
    )
