"""Rooms: floor, walls with windows and a door, ceiling, and furniture, drawn from a seed."""

from collections.abc import Callable

import numpy as np

from worldfoundry.simulate.places import decor, furniture
from worldfoundry.simulate.places import materials as look
from worldfoundry.simulate.places.layout import LOW_M, FloorPlan, on_top, rectangle
from worldfoundry.simulate.places.pieces import Ground, Length, Part, Piece, named, upright
from worldfoundry.simulate.places.place import Place, Zone
from worldfoundry.simulate.places.shell import build_shell, wall_box
from worldfoundry.simulate.recording import Light
from worldfoundry.simulate.scenes.looks import Surface, hsv

Maker = Callable[[np.random.Generator], Piece]


def draw_room(rng: np.random.Generator) -> Place:
    """A furnished room."""
    kind = look.pick(rng, tuple(_KINDS))
    half = (rng.uniform(2.2, 3.1), rng.uniform(2.2, 3.1))
    height = rng.uniform(2.5, 2.9)
    plan, ground = FloorPlan(half=half), Ground()
    build_shell(rng, ground, plan, height)
    subjects = _KINDS[kind](rng, plan)
    for maker in (decor.plant, decor.floor_lamp, decor.ball, decor.crate, furniture.stool):
        if rng.uniform() < 0.55:
            (plan.at_a_wall if maker in (decor.plant, decor.floor_lamp) else plan.anywhere)(rng, maker(rng))
    _decorate_tops(rng, plan)
    _hang_pictures(rng, plan, height)
    things = named(plan.pieces)
    x, y = half
    light = _light(rng, half, height)
    ground.parts.append(_ceiling_lamp(light, height))
    return Place(
        kind=kind,
        ground=ground,
        things=things,
        light=light,
        zone=Zone(
            low=np.array([-x + 0.3, -y + 0.3, 0.8]),
            high=np.array([x - 0.3, y - 0.3, height - 0.4]),
            scale=1.0,
        ),
        subjects=tuple(t for t in things if any(t.piece is s for s in subjects)),
    )


def _light(rng: np.random.Generator, half: tuple[Length, Length], height: float) -> Light:
    """A lamp at the ceiling, and the day or the dusk behind the windows."""
    lamp = np.array([*rng.uniform(-0.45, 0.45, 2) * half, height - 0.12])
    hue = rng.uniform(0.53, 0.62)
    day = rng.uniform() < 0.7
    zenith = hsv(hue, rng.uniform(0.3, 0.45), rng.uniform(0.85, 0.95) if day else 0.35)
    horizon = hsv(hue, 0.12, 0.97) if day else hsv(0.07, 0.45, 0.75)
    return Light(
        sun=np.array([0.0, 0.0, 1.0]), sky=(horizon, zenith), lamp=lamp, lamp_reach_m=rng.uniform(2.4, 3.4)
    )


def _ceiling_lamp(light: Light, height: float) -> Part:
    """A flat round lamp at the ceiling, above the point that gives the light."""
    assert light.lamp is not None
    glow = Surface(colour=(1.0, 0.97, 0.88), accent=(1.0, 0.97, 0.88), pattern="glow")
    return upright((light.lamp[0], light.lamp[1], height - 0.03), 0.22, 0.03, glow)


def _group(
    plan: FloorPlan, rng: np.random.Generator, items: list[tuple[Piece, float, float, float]], rug: bool
):
    """Stand pieces (dx, dy, yaw) together near the middle, sometimes on a rug; those that do not fit are left out."""
    mat_rect = None
    turn, (x, y) = look.pick(rng, (0.0, np.pi / 2, np.pi, -np.pi / 2)), plan.half
    middle = np.array([rng.uniform(-0.15, 0.15) * x, rng.uniform(-0.15, 0.15) * y, 0.0])
    c, s = np.cos(turn), np.sin(turn)
    places = [
        (p, middle + np.array([c * dx - s * dy, s * dx + c * dy, 0]), turn + yaw) for p, dx, dy, yaw in items
    ]
    if rug:
        rects = np.array([rectangle(p.half, at, yaw) for p, at, yaw in places])
        low, high = rects[:, :2].min(0) - 0.12, rects[:, 2:].max(0) + 0.12
        mat = decor.rug(rng, tuple((high - low) / 2))
        centre = np.array([*(low + high) / 2, 0.0])
        if plan.fits(np.concatenate([low, high])):
            mat_rect = np.concatenate([low, high])
            plan.pieces.append((mat, centre, 0.0))
            places = [(p, at + np.array([0, 0, mat.top_z]), yaw) for p, at, yaw in places]
    for piece, at, yaw in places:
        if plan.fits(rectangle(piece.half, at, yaw), low=piece.height < LOW_M):
            plan.put(piece, at, yaw)
    if mat_rect is not None:
        plan.taken.append(mat_rect)


def _around(rng: np.random.Generator, table: Piece, count: int) -> list[tuple[Piece, float, float, float]]:
    """A table and equal chairs that face it."""
    colour, items = look.vivid(rng), [(table, 0.0, 0.0, 0.0)]
    made = furniture.chair(rng, colour=colour)
    for k in rng.permutation(4)[:count]:
        angle = k * np.pi / 2
        out = (table.half[0] if k % 2 == 0 else table.half[1]) + made.half[1] + rng.uniform(0.09, 0.2)
        items.append(
            (made, out * np.cos(angle), out * np.sin(angle), angle - np.pi / 2 + rng.uniform(-0.1, 0.1))
        )
    return items


def _living_room(rng: np.random.Generator, plan: FloorPlan) -> list[Piece]:
    seat, low = furniture.sofa(rng), furniture.coffee_table(rng)
    away = seat.half[1] + low.half[1] + rng.uniform(0.2, 0.4)
    items = [(seat, 0.0, away / 2, 0.0), (low, 0.0, -away / 2, 0.0)]
    if rng.uniform() < 0.5:
        chair = furniture.armchair(rng)
        side = look.pick(rng, (-1, 1))
        items.append((chair, side * (low.half[0] + chair.half[1] + 0.25), -away / 2, -side * np.pi / 2))
    _group(plan, rng, items, rug=rng.uniform() < 0.6)
    for maker in (furniture.bookshelf, furniture.television, furniture.cabinet, furniture.armchair):
        if rng.uniform() < 0.75:
            plan.at_a_wall(rng, maker(rng))
    return [seat, low]


def _dining_room(rng: np.random.Generator, plan: FloorPlan) -> list[Piece]:
    table = furniture.dining_table(rng)
    _group(plan, rng, _around(rng, table, int(rng.integers(2, 5))), rug=rng.uniform() < 0.4)
    for maker in (furniture.cabinet, furniture.bookshelf, furniture.cabinet):
        if rng.uniform() < 0.8:
            plan.at_a_wall(rng, maker(rng))
    return [table]


def _bedroom(rng: np.random.Generator, plan: FloorPlan) -> list[Piece]:
    made = furniture.bed(rng)
    plan.at_a_wall(rng, made)
    for maker in (
        furniture.wardrobe,
        furniture.cabinet,
        furniture.bookshelf,
        furniture.armchair,
        furniture.chair,
    ):
        if rng.uniform() < 0.65:
            plan.at_a_wall(rng, maker(rng))
    return [made]


def _study(rng: np.random.Generator, plan: FloorPlan) -> list[Piece]:
    desk, chair = furniture.desk(rng), furniture.chair(rng)
    gap = desk.half[1] + chair.half[1] + rng.uniform(0.09, 0.2)
    items = [(desk, 0.0, 0.0, 0.0), (chair, -0.15, -gap, np.pi + rng.uniform(-0.15, 0.15))]
    _group(plan, rng, items, rug=rng.uniform() < 0.4)
    for maker in (furniture.bookshelf, furniture.bookshelf, furniture.cabinet, furniture.armchair):
        if rng.uniform() < 0.8:
            plan.at_a_wall(rng, maker(rng))
    return [desk]


def _playroom(rng: np.random.Generator, plan: FloorPlan) -> list[Piece]:
    low = furniture.coffee_table(rng)
    _group(plan, rng, [(low, 0.0, 0.0, rng.uniform(-0.3, 0.3))], rug=rng.uniform() < 0.7)
    for maker in (furniture.bookshelf, furniture.cabinet, furniture.armchair):
        if rng.uniform() < 0.8:
            plan.at_a_wall(rng, maker(rng))
    toys = [
        look.pick(rng, (decor.ball, decor.crate, furniture.stool))(rng)
        for _ in range(int(rng.integers(4, 8)))
    ]
    for toy in toys:
        plan.anywhere(rng, toy)
    return [low]


_KINDS: dict[str, Callable[[np.random.Generator, FloorPlan], list[Piece]]] = {
    "living room": _living_room,
    "dining room": _dining_room,
    "bedroom": _bedroom,
    "study": _study,
    "playroom": _playroom,
}


def _decorate_tops(rng: np.random.Generator, plan: FloorPlan) -> None:
    """Small things on tables and cupboards."""
    for piece, at, yaw in list(plan.pieces):
        if piece.top and piece.noun != "rug":
            things = [decor.small_thing(rng) for _ in range(int(rng.integers(1, 4)))]
            plan.pieces += on_top(rng, piece, at, yaw, things)


def _hang_pictures(rng: np.random.Generator, plan: FloorPlan, height: float) -> None:
    """Pictures and a clock on the walls where neither a window, a door nor a tall thing is."""
    for _ in range(int(rng.integers(2, 6))):
        piece = decor.clock(rng) if rng.uniform() < 0.25 else decor.wall_picture(rng)
        wall = int(rng.integers(4))
        reach = (plan.half[0] if wall % 2 == 0 else plan.half[1]) - piece.half[0] - 0.1
        along, z = rng.uniform(-reach, reach), rng.uniform(1.3, min(1.7, height - piece.height - 0.2))
        span = (along - piece.half[0], along + piece.half[0])
        at, half = wall_box(plan, wall, span, (0, 1), (-0.06, 0))
        rect = rectangle(half[:2], np.array(at), 0.0)
        if _is_free_above(plan, rect, z):
            yaw = (0.0, -np.pi / 2, np.pi, np.pi / 2)[wall]
            inner, _ = wall_box(plan, wall, span, (0, 1), (0, 0))
            plan.pieces.append((piece, np.array([inner[0], inner[1], z]), yaw))
            plan.low_only.append(rect)


def _is_free_above(plan: FloorPlan, rect: np.ndarray, z: float) -> bool:
    """Whether nothing that reaches higher than ``z`` stands in the rectangle, nor a window or the door is behind it."""
    tall = [rectangle(p.half, at, yaw) for p, at, yaw in plan.pieces if at[2] + p.height > z - 0.05]
    doors = plan.taken[:1]
    return not any(
        (rect[:2] < other[2:] + 0.05).all() and (other[:2] < rect[2:] + 0.05).all()
        for other in (*tall, *doors, *plan.low_only)
    )
