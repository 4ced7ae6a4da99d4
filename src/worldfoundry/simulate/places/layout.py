"""Where things stand in a room: rectangles that do not overlap, drawn again until they fit."""

from dataclasses import dataclass, field

import numpy as np

from worldfoundry.simulate.places.pieces import Length, Piece

LOW_M = 0.8
"""Things up to here may stand below a window."""
_GAP_M, _EDGE_M = 0.06, 0.02
_TRIES = 24
_WALL_YAWS = (0.0, -np.pi / 2, np.pi, np.pi / 2)
"""Yaw of a piece whose back is at the wall at +y, +x, -y, -x."""


@dataclass(slots=True)
class FloorPlan:
    """A rectangle of floor around the origin, and what stands on it."""

    half: tuple[Length, Length]
    """Half width and half depth of the free floor, m."""
    taken: list[np.ndarray] = field(default_factory=list)
    """float64 [4] rectangles: low x, low y, high x, high y."""
    low_only: list[np.ndarray] = field(default_factory=list)
    """Rectangles in which only low things may stand, such as below a window."""
    pieces: list[tuple[Piece, np.ndarray, float]] = field(default_factory=list)
    """Piece, place and yaw."""

    def put(self, piece: Piece, at: np.ndarray, yaw: float) -> None:
        """Stand a piece there and take its rectangle."""
        self.pieces.append((piece, at, yaw))
        self.taken.append(rectangle(piece.half, at, yaw))

    def fits(self, rect: np.ndarray, *, low: bool = True) -> bool:
        """Whether a rectangle is inside and free."""
        x, y = self.half[0] - _EDGE_M, self.half[1] - _EDGE_M
        if (rect < [-x, -y, -x, -y]).any() or (rect > [x, y, x, y]).any():
            return False
        others = self.taken if low else self.taken + self.low_only
        return not any(_overlap(rect, other) for other in others)

    def at_a_wall(self, rng: np.random.Generator, piece: Piece, *, side: int | None = None) -> bool:
        """Stand a piece with its back to a wall; False if there is no room."""
        for _ in range(_TRIES):
            wall = int(rng.integers(4)) if side is None else side
            yaw = _WALL_YAWS[wall]
            along_x = wall % 2 == 0
            room = (self.half[0] if along_x else self.half[1]) - piece.half[0]
            back = (self.half[1] if along_x else self.half[0]) - piece.half[1] - 0.03
            if room <= 0:
                continue
            along, sign = rng.uniform(-room, room), 1 if wall < 2 else -1
            at = np.array([along, sign * back, 0.0]) if along_x else np.array([sign * back, along, 0.0])
            if self.fits(rectangle(piece.half, at, yaw), low=piece.height < LOW_M):
                self.put(piece, at, yaw)
                return True
        return False

    def anywhere(self, rng: np.random.Generator, piece: Piece) -> bool:
        """Stand a piece on any free place."""
        for _ in range(_TRIES):
            yaw = rng.uniform(-np.pi, np.pi)
            at = np.array([*rng.uniform(-1, 1, 2) * self.half, 0.0])
            if self.fits(rectangle(piece.half, at, yaw), low=piece.height < LOW_M):
                self.put(piece, at, yaw)
                return True
        return False


def on_top(rng: np.random.Generator, base: Piece, at: np.ndarray, yaw: float, things: list[Piece]):
    """Things on the level top of a piece, without overlap: those that fit, as (piece, place, yaw)."""
    placed, taken = [], []
    for thing in things:
        room = (np.array(base.top or (0, 0))) - thing.half
        if (room < 0).any():
            continue
        for _ in range(_TRIES):
            local = rng.uniform(-1, 1, 2) * room
            rect = np.array([*(local - thing.half), *(local + thing.half)])
            if not any(_overlap(rect, other, gap=0.015) for other in taken):
                taken.append(rect)
                c, s = np.cos(yaw), np.sin(yaw)
                offset = [c * local[0] - s * local[1], s * local[0] + c * local[1], base.top_z]
                placed.append((thing, at + offset, yaw))
                break
    return placed


def rectangle(half: tuple[Length, Length], at: np.ndarray, yaw: float) -> np.ndarray:
    """Upright rectangle [4] around a turned one."""
    c, s = abs(np.cos(yaw)), abs(np.sin(yaw))
    x, y = c * half[0] + s * half[1], s * half[0] + c * half[1]
    return np.array([at[0] - x, at[1] - y, at[0] + x, at[1] + y])


def _overlap(a: np.ndarray, b: np.ndarray, gap: float = _GAP_M) -> bool:
    return bool((a[:2] < b[2:] + gap).all() and (b[:2] < a[2:] + gap).all())
