"""Writing and strokes of the world to train the overlay detector against, as a camera sees them: at an angle, soft, noisy."""

from collections.abc import Callable

import cv2
import numpy as np

from worldfoundry.curate.labelled.looks_fonts import draw_line, words


def _plate(rng: np.random.Generator) -> str:
    """Letters and digits in no order, as on vehicles, doors and crates."""
    return "".join(rng.choice(list("ABCDEFGHJKLMNPRSTUVWXYZ 0123456789"), int(rng.integers(3, 9))))


def signs(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Boards with writing, seen at an angle, painted on the world: the same in every frame."""
    out = frames.copy()
    t, h, w = frames.shape[:3]
    for _ in range(int(rng.integers(1, 5))):
        text = words(rng, int(rng.integers(1, 4))) if rng.random() < 0.7 else _plate(rng)
        ink = tuple(rng.integers(0, 256, 3)) if rng.random() < 0.6 else (int(rng.choice([20, 240])),) * 3
        line = draw_line(text, "train", int(rng.integers(1 << 30)), 40, ink, 0)
        board = np.full((line.shape[0] + 16, line.shape[1] + 20, 3), rng.integers(0, 256, 3), np.float32)
        inside = board[8 : 8 + line.shape[0], 10 : 10 + line.shape[1]]
        inside[...] = inside * (1 - line[..., 3:]) + line[..., :3] * line[..., 3:]
        bh, bw = board.shape[:2]
        wide = rng.uniform(0.1, 0.4) * w
        high = wide * bh / bw * rng.uniform(0.8, 1.4)
        cx, cy, tilt = (
            rng.uniform(0.2, 0.8) * w,
            rng.uniform(0.15, 0.8) * h,
            rng.uniform(0.06, 0.5) * rng.choice([-1, 1]),
        )
        shape = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]) * (wide, high)
        turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
        corners = (shape * (1, 1)) @ turn + (cx, cy) + rng.uniform(-0.15, 0.15, (4, 2)) * high
        matrix = cv2.getPerspectiveTransform(
            np.array([[0, 0], [bw, 0], [bw, bh], [0, bh]], np.float32), corners.astype(np.float32)
        )
        picture = cv2.warpPerspective(board, matrix, (w, h), flags=cv2.INTER_AREA)
        cover = cv2.warpPerspective(np.ones((bh, bw), np.float32), matrix, (w, h))[..., None]
        light = rng.uniform(0.55, 1.0)
        picture, soft = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 1.2)), cover
        for i in range(t):
            out[i] = np.clip(out[i] * (1 - soft) + picture * light * soft, 0, 255)
    return out


def stripes(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A fence, blinds or a plaid over a part of the world."""
    t, h, w = frames.shape[:3]
    y, x = np.mgrid[:h, :w]
    period, angle = rng.uniform(5, 22), rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)])
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period) > rng.uniform(-0.3, 0.6)
    if rng.random() < 0.3:
        wave &= np.sin((y * np.cos(angle) - x * np.sin(angle)) * 2 * np.pi / period) > 0
    y0, x0 = rng.uniform(0, 0.6, 2) * (h, w)
    area = ((y > y0) & (y < y0 + 0.4 * h) & (x > x0) & (x < x0 + 0.5 * w) & wave)[..., None]
    colour = rng.integers(0, 256, 3)
    return (frames * (1 - 0.8 * area) + colour * 0.8 * area).astype(np.uint8) if t else frames


def _filmed(
    frames: np.ndarray, board: np.ndarray, corners: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """A board on the world by its four corners: a lens' softness, uneven light, a sensor's noise that differs in each frame."""
    t, h, w = frames.shape[:3]
    bh, bw = board.shape[:2]
    square = np.array([[0, 0], [bw, 0], [bw, bh], [0, bh]], np.float32)
    matrix = cv2.getPerspectiveTransform(square, corners.astype(np.float32))
    picture = cv2.warpPerspective(board.astype(np.float32), matrix, (w, h), flags=cv2.INTER_AREA)
    cover = cv2.warpPerspective(np.ones((bh, bw), np.float32), matrix, (w, h))
    soft = rng.uniform(0.6, 1.5)
    picture, cover = (cv2.GaussianBlur(p, (0, 0), soft) for p in (picture, cover))
    left, right = rng.uniform(0.5, 1.05, 2)
    light = np.linspace(left, right, w)[None, :, None]
    local = np.clip(0.7 + 0.3 * frames[:1] / max(1.0, float(frames[0].mean())), 0.5, 1.2)
    noise = rng.normal(0, rng.uniform(0.5, 5), (t, h, w, 1)).astype(np.float32)
    share = cover[..., None] * (rng.uniform(0.6, 1) if rng.random() < 0.3 else 1)
    return np.clip(frames * (1 - share) + (picture * light * local + noise) * share, 0, 255).astype(np.uint8)


def _corners(h: int, w: int, wide: float, shape: float, rng: np.random.Generator, tilt: float) -> np.ndarray:
    """Where a board of that share of the width and that height by width lies, turned a little, its corners shifted."""
    size = np.array([wide * w, wide * w * shape])
    angle = rng.normal(0, tilt)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    square = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]) * size
    return square @ turn + rng.uniform(0.1, 0.9, 2) * (w, h) + rng.uniform(-0.08, 0.08, (4, 2)) * size.min()


def _write(board: np.ndarray, y: int, x: int, text: str, px: int, ink: tuple[int, ...], font: int) -> int:
    line = draw_line(text, "train", font, px, ink, 0)
    area = board[y : y + line.shape[0], x : x + line.shape[1]]
    line = line[: area.shape[0], : area.shape[1]]
    if area.size:
        area[...] = area * (1 - line[..., 3:]) + line[..., :3] * line[..., 3:]
    return line.shape[0]


def _label(rng: np.random.Generator) -> np.ndarray:
    """A printed label: a big word, small lines, a stripe, bars of a code; bulging away at the sides as on a bottle."""
    board = np.full((160, 200, 3), rng.integers(0, 256, 3), np.float32)
    ink = (20, 20, 20) if board[0, 0].mean() > 120 else (240, 240, 240)
    font, y = int(rng.integers(1 << 30)), int(rng.integers(4, 20))
    for k in range(int(rng.integers(1, 6))):
        px = int(rng.integers(24, 52)) if k == 0 else int(rng.integers(9, 22))
        text = words(rng, int(rng.integers(1, 4)))
        y += _write(board, y, int(rng.integers(4, 30)), text, px, ink, font) + int(rng.integers(3, 12))
    if rng.random() < 0.4:
        for x in range(20, 110, 4):
            board[125:152, x : x + int(rng.integers(1, 4))] = ink
    bend = np.arcsin(np.linspace(-0.98, 0.98, 200)) / np.arcsin(0.98) * 100 + 99.5
    x = np.broadcast_to(bend.astype(np.float32), (160, 200))
    y = np.broadcast_to(np.arange(160, dtype=np.float32)[:, None], (160, 200))
    return cv2.remap(board, x, y, cv2.INTER_LINEAR) if rng.random() < 0.5 else board


def _labels(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Some things with labels, as bottles, boxes and books have."""
    h, w = frames.shape[1:3]
    for _ in range(int(rng.integers(1, 5))):
        corners = _corners(h, w, rng.uniform(0.06, 0.3), rng.uniform(0.6, 1.4), rng, 0.12)
        frames = _filmed(frames, _label(rng), corners, rng)
    return frames


def _row(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A shelf: the same label again and again side by side, level with the picture."""
    one = _label(rng)
    gap = np.full((160, int(rng.integers(4, 60)), 3), rng.integers(0, 256, 3), np.float32)
    board = np.concatenate([one, gap] * int(rng.integers(3, 7)), axis=1)
    corners = _corners(
        frames.shape[1], frames.shape[2], rng.uniform(0.4, 1.0), 160 / board.shape[1], rng, 0.03
    )
    return _filmed(frames, board, corners, rng)


def _keys(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Keys or buttons in rows with a letter each, or none."""
    side, rows, columns = 40, int(rng.integers(2, 6)), int(rng.integers(4, 13))
    board = np.full((rows * side, columns * side, 3), rng.integers(0, 256, 3), np.float32)
    key, empty = rng.integers(0, 256, 3), rng.random() < 0.3
    ink = (235, 235, 235) if key.mean() < 128 else (25, 25, 25)
    for r in range(rows):
        for c in range(columns):
            board[r * side + 3 : r * side + 37, c * side + 3 : c * side + 37] = key
            if not empty:
                _write(
                    board,
                    r * side + 9,
                    c * side + 9,
                    str(rng.choice(list("QWERTZUIOPASDF0123456789"))),
                    20,
                    ink,
                    3,
                )
    corners = _corners(frames.shape[1], frames.shape[2], rng.uniform(0.2, 0.8), rows / columns, rng, 0.1)
    return _filmed(frames, board, corners, rng)


def _cloth(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A motif printed again and again: glyphs, dots, rings or checks."""
    board = np.full((240, 320, 3), rng.integers(0, 256, 3), np.float32)
    motif = np.zeros((32, 32, 3), np.float32)
    ink = rng.integers(0, 256, 3).tolist()
    motif[:] = board[0, 0]
    kind = int(rng.integers(4))
    if kind == 0:
        _write(motif, 4, 4, str(rng.choice(list("SXOAH&8%"))), 24, tuple(ink), int(rng.integers(1 << 30)))
    elif kind == 3:
        cv2.rectangle(motif, (6, 6), (25, 25), ink, int(rng.integers(1, 7)))
    else:
        cv2.circle(
            motif, (16, 16), int(rng.integers(4, 14)), ink, -1 if kind == 1 else int(rng.integers(1, 5))
        )
    board[:224] = np.tile(motif, (7, 10, 1))
    corners = _corners(frames.shape[1], frames.shape[2], rng.uniform(0.2, 0.8), 0.75, rng, 0.3)
    return _filmed(frames, board, corners, rng)


def _rails(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Posts and rails of uneven width, or the slats of a blind, a shelf or a radiator."""
    board = np.full((200, 400, 3), rng.integers(0, 256, 3), np.float32)
    colour, at = rng.integers(0, 256, 3), 0.0
    period, thick = rng.uniform(8, 30), rng.uniform(0.2, 0.7)
    while at < 400:
        wide = max(1, int(period * thick * rng.uniform(0.8, 1.2)))
        board[:, int(at) : int(at) + wide] = colour * rng.uniform(0.8, 1)
        at += period * rng.uniform(0.9, 1.1)
    for _ in range(int(rng.integers(0, 3))):
        y = int(rng.integers(190))
        board[y : y + int(rng.integers(3, 12))] = colour
    if rng.random() < 0.4:
        board = np.ascontiguousarray(board.transpose(1, 0, 2))
    shape = board.shape[0] / board.shape[1]
    corners = _corners(
        frames.shape[1], frames.shape[2], rng.uniform(0.3, 0.9) / max(1, shape), shape, rng, 0.06
    )
    return _filmed(frames, board, corners, rng)


WORLDS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "labels": _labels,
    "row": _row,
    "keys": _keys,
    "cloth": _cloth,
    "rails": _rails,
}
"""What a fixed camera sees that could be taken for text: name -> frames and generator to frames."""
