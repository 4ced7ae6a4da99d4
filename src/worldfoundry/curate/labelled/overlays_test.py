"""Overlaid text to test on; only the drawing of one line is shared with the other splits.

Other fonts, shadows, tickers, fades and plates over a swaying camera; against it posters, shop fronts, monitors and fences
of the world.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from worldfoundry.curate.labelled.looks_clips import Labelled, even, through_codec
from worldfoundry.curate.labelled.looks_fonts import draw_line, words

_STYLES = ("subtitle", "watermark", "lower-third", "ticker", "credits")


def clips(frames: np.ndarray, fps: float, rng: np.random.Generator) -> Iterator[Labelled]:
    """Positives and negatives over one window of footage."""
    for name in ("sway", "as-is"):
        base = _sway(frames, rng) if name == "sway" else frames
        yield _finish(base, fps, rng, "clean", f"none/{name}", None)
        for style in rng.choice(_STYLES, 3, replace=False):
            pictures, mask = _compose(base, str(style), rng)
            yield _finish(pictures, fps, rng, "text", f"{style}/{name}", mask)
        for group, make in (("poster", _poster), ("shop", _shop), ("monitor", _monitor), ("fence", _fence)):
            world = make(frames, rng)
            yield _finish(
                _sway(world, rng) if name == "sway" else world, fps, rng, "clean", f"{group}/{name}", None
            )


def _finish(frames, fps, rng, label, group, mask) -> Labelled:
    options = {"crf": str(int(rng.integers(19, 29))), "preset": "faster"}
    views = through_codec(even(frames), fps, options=options)
    return Labelled(label=label, level=float(label == "text"), views=views, group=group, mask=mask)


def _sway(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two slow swings and a little roll, kept inside the picture."""
    t, h, w = frames.shape[:3]
    phase, reach = rng.uniform(0, 2 * np.pi, 3), rng.uniform(0.05, 0.09)
    out = []
    for i in range(t):
        a = 2 * np.pi * i / t
        matrix = cv2.getRotationMatrix2D((w / 2, h / 2), 1.5 * np.sin(a + phase[2]), 1.28)
        matrix[:, 2] += reach * np.array([w * np.sin(a * 0.7 + phase[0]), h * np.sin(a * 0.5 + phase[1])])
        out.append(
            cv2.warpAffine(frames[i], matrix, (w, h), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        )
    return np.stack(out)


def _compose(frames: np.ndarray, style: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    t, h, w = frames.shape[:3]
    px = max(
        11,
        int(
            h
            * {"subtitle": 0.06, "watermark": 0.07, "lower-third": 0.055, "ticker": 0.05, "credits": 0.055}[
                style
            ]
        ),
    )
    font, light = int(rng.integers(1 << 30)), rng.random() < 0.8
    colour = (int(rng.integers(215, 256)),) * 3 if light else tuple(int(v) for v in rng.integers(0, 90, 3))
    count = {"subtitle": 4, "watermark": 1, "lower-third": 3, "ticker": 14, "credits": 2}[style]
    lines = [
        draw_line(words(rng, count), "test", font, px, colour, 0)
        for _ in range(5 if style == "credits" else 1)
    ]
    out, mask = frames.astype(np.float32), np.zeros((h, w), np.float32)
    alpha = (
        1.0
        if style in ("ticker", "lower-third")
        else float(rng.uniform(0.3, 1.0) if style == "watermark" else rng.uniform(0.7, 1))
    )
    top = {
        "subtitle": h - 2 * px - 6,
        "watermark": 8,
        "lower-third": int(0.72 * h),
        "ticker": h - px - 10,
        "credits": int(0.25 * h),
    }[style]
    plate = {"ticker": slice(0, w), "lower-third": slice(int(0.05 * w), int(0.6 * w))}.get(style)
    if plate is not None:
        out[:, top - 5 : top + px + 6, plate] = (
            out[:, top - 5 : top + px + 6, plate] * 0.25 + 0.75 * (255 - np.array(colour)) * 0.7
        )
    for k, line in enumerate(lines):
        y, lh = top + k * (px + 8), min(line.shape[0], h - top - k * (px + 8))
        for i in range(t):
            x = _left(style, i, t, w, line.shape[1])
            a, b = max(0, x), min(w, x + line.shape[1])
            if b <= a or lh <= 0:
                continue
            part = line[:lh, a - x : b - x]
            fade = alpha * (min(1.0, 3 * i / t) if style == "subtitle" and light else 1.0)
            if style in ("subtitle", "credits"):
                shade = out[i, y + 1 : y + 1 + lh, a + 1 : b + 1]
                shade *= 1 - 0.7 * fade * part[: shade.shape[0], : shade.shape[1], 3:]
            area = out[i, y : y + lh, a:b]
            area[...] = area * (1 - fade * part[..., 3:]) + part[..., :3] * fade * part[..., 3:]
            mask[y : y + lh, a:b] = 1
    return np.clip(out, 0, 255).astype(np.uint8), mask


def _left(style: str, i: int, t: int, w: int, tw: int) -> int:
    if style == "ticker":
        return int(0.1 * w - 0.25 * w * i / t)
    return {"watermark": max(4, w - tw - 12), "lower-third": int(0.07 * w)}.get(style, max(2, (w - tw) // 2))


def _attach(frames: np.ndarray, board: np.ndarray, corners: np.ndarray, light: float) -> np.ndarray:
    """Put a picture on the world by its four corners (shares of the picture), with shade, softness and grain."""
    h, w = frames.shape[1:3]
    bh, bw = board.shape[:2]
    matrix = cv2.getPerspectiveTransform(
        np.array([[0, 0], [bw, 0], [bw, bh], [0, bh]], np.float32), (corners * (w, h)).astype(np.float32)
    )
    flat = cv2.warpPerspective(
        cv2.GaussianBlur(board.astype(np.float32), (0, 0), 1.0), matrix, (w, h), flags=cv2.INTER_LINEAR
    )
    cover = cv2.GaussianBlur(cv2.warpPerspective(np.ones((bh, bw), np.float32), matrix, (w, h)), (0, 0), 0.8)[
        ..., None
    ]
    shade = light * np.linspace(0.8, 1.05, w)[None, :, None]
    local = 0.75 + 0.25 * frames[:1].astype(np.float32) / max(1.0, float(frames[0].mean()))
    return np.clip(frames * (1 - cover) + flat * shade * np.minimum(local, 1.2) * cover, 0, 255).astype(
        np.uint8
    )


def _poster(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A poster of several lines on a wall to the side."""
    board = np.full((220, 160, 3), rng.integers(120, 256, 3), np.float32)
    for k in range(5):
        line = draw_line(words(rng, 2), "test", int(rng.integers(1 << 30)), 26, (30, 30, 60), 0)[:34, :150]
        area = board[10 + 40 * k : 10 + 40 * k + line.shape[0], 5 : 5 + line.shape[1]]
        area[...] = area * (1 - line[..., 3:]) + line[..., :3] * line[..., 3:]
    x, y, lean = rng.uniform(0.1, 0.65), rng.uniform(0.1, 0.4), rng.uniform(0.05, 0.1)
    corners = np.array([[x, y], [x + 0.2, y + lean], [x + 0.2, y + 0.4 + lean / 2], [x, y + 0.48]])
    return _attach(frames, board, corners, 0.8)


def _shop(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A shop sign in perspective."""
    line = draw_line(words(rng, 2), "test", int(rng.integers(1 << 30)), 48, (245, 235, 200), 0)
    board = np.full((line.shape[0] + 24, line.shape[1] + 30, 3), rng.integers(10, 120, 3), np.float32)
    area = board[12 : 12 + line.shape[0], 15 : 15 + line.shape[1]]
    area[...] = area * (1 - line[..., 3:]) + line[..., :3] * line[..., 3:]
    x, y, lean = rng.uniform(0.05, 0.5), rng.uniform(0.1, 0.5), rng.uniform(0.06, 0.14) * rng.choice([-1, 1])
    corners = np.array([[x, y], [x + 0.4, y + lean], [x + 0.4, y + lean + 0.1], [x, y + 0.14]])
    return _attach(frames, board, corners, 0.9)


def _monitor(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A screen full of small writing."""
    board = np.full((200, 320, 3), 235.0 if rng.random() < 0.5 else 25.0, np.float32)
    ink = (30, 30, 30) if board[0, 0, 0] > 128 else (200, 220, 200)
    for k in range(9):
        line = draw_line(words(rng, int(rng.integers(2, 7))), "test", 3, 15, ink, 0)[:20, :300]
        area = board[8 + 21 * k : 8 + 21 * k + line.shape[0], 8 : 8 + line.shape[1]]
        area[...] = area * (1 - line[..., 3:]) + line[..., :3] * line[..., 3:]
    x, y, lean = rng.uniform(0.05, 0.55), rng.uniform(0.1, 0.4), rng.uniform(0.03, 0.07)
    corners = np.array([[x, y + lean], [x + 0.34, y], [x + 0.32, y + 0.36], [x + 0.01, y + 0.33 + lean]])
    return _attach(frames, board, corners, 0.9)


def _fence(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pickets, each a little different, in front of the lower half."""
    h, w = frames.shape[1:3]
    out, x = frames.copy(), rng.uniform(0, 20)
    colour = rng.integers(60, 256, 3)
    while x < w:
        wide, top = rng.uniform(4, 9), int(h * rng.uniform(0.48, 0.52))
        shade = (colour * rng.uniform(0.8, 1)).astype(np.uint8)
        out[:, top:, int(x) : int(x + wide)] = shade
        x += rng.uniform(11, 18)
    return out
