"""Planted copies of validation, by NumPy and OpenCV; see ``planting.py``."""

from collections.abc import Callable

import cv2
import numpy as np

Pixels = np.ndarray
"""uint8 [t, h, w, 3], RGB."""
Made = tuple[Pixels, float]
"""Frames and their rate."""
Maker = Callable[[Pixels, float, np.random.Generator], Made]
"""Alters frames by a strength that it draws."""


def _each(pixels: Pixels, change: Callable[[Pixels], Pixels]) -> Pixels:
    return np.stack([change(picture) for picture in pixels])


def _resize(pixels: Pixels, fps: float, rng: np.random.Generator) -> Made:
    scale = rng.choice([0.5, 0.6, 0.75, 1.5])
    size = tuple(round(float(n * scale) / 2) * 2 for n in pixels.shape[2:0:-1])
    return _each(pixels, lambda p: cv2.resize(p, size, interpolation=cv2.INTER_LINEAR)), fps


def _speed(pixels: Pixels, fps: float, rng: np.random.Generator) -> Made:
    speed = rng.choice([0.8, 0.9, 1.1, 1.25])
    index = np.arange(0, len(pixels) - 0.5, speed).round().astype(int)
    return pixels[index.clip(max=len(pixels) - 1)], fps


def _trim(pixels: Pixels, fps: float, rng: np.random.Generator) -> Made:
    head, tail = (rng.uniform(0, 1 / 6, 2) * len(pixels)).astype(int)
    return pixels[head : len(pixels) - tail], fps


def _crop(pixels: Pixels, fps: float, rng: np.random.Generator) -> Made:
    _, h, w, _ = pixels.shape
    ch, cw = int(h * (1 - rng.uniform(0.05, 0.2))), int(w * (1 - rng.uniform(0.05, 0.2)))
    y, x = rng.integers(0, h - ch + 1), rng.integers(0, w - cw + 1)
    return pixels[:, y : y + ch, x : x + cw], fps


def _colour(pixels: Pixels, fps: float, rng: np.random.Generator) -> Made:
    levels = np.arange(256) / 255
    gain, gamma, lift = rng.uniform(0.75, 1.25, 3), rng.uniform(0.75, 1.33), rng.uniform(-0.08, 0.08)
    table = np.stack([(levels**gamma * g + lift).clip(0, 1) * 255 for g in gain], -1).astype(np.uint8)
    return np.stack([table[pixels[..., c], c] for c in range(3)], -1), fps


def _caption(pixels: Pixels, fps: float, rng: np.random.Generator) -> Made:
    text = " ".join(
        rng.choice("the quiet river turns before we reach your old house again tonight".split(), 5)
    )
    h, w = pixels.shape[1:3]
    scale = h / rng.uniform(230, 420)
    row = int(h * rng.uniform(0.85, 0.95))

    def draw(picture: Pixels) -> Pixels:
        out = picture.copy()
        for colour, thick in ((0, 5), (255, 2)):
            thickness = max(1, int(thick * scale))
            cv2.putText(
                out,
                text,
                (w // 12, row),
                cv2.FONT_HERSHEY_SIMPLEX,
                scale,
                (colour,) * 3,
                thickness,
                cv2.LINE_AA,
            )
        return out

    return _each(pixels, draw), fps


def _logo(pixels: Pixels, fps: float, rng: np.random.Generator) -> Made:
    _, h, w, _ = pixels.shape
    side = int(w * rng.uniform(0.1, 0.18))
    x, y = rng.choice([w // 30, w - side - w // 30]), h // 25
    logo = rng.integers(0, 2, (4, 4, 3)).astype(np.uint8) * 255
    logo = cv2.resize(logo, (side, int(side * 0.6)), interpolation=cv2.INTER_NEAREST)
    out = pixels.copy()
    patch = out[:, y : y + logo.shape[0], x : x + side]
    out[:, y : y + logo.shape[0], x : x + side] = (0.3 * patch + 0.7 * logo[: patch.shape[1]]).astype(
        np.uint8
    )
    return out, fps


def _letterbox(pixels: Pixels, fps: float, rng: np.random.Generator) -> Made:
    _, h, w, _ = pixels.shape
    bar = int(h * rng.uniform(0.06, 0.18)) if rng.random() < 0.7 else 0
    side = 0 if bar else int(w * rng.uniform(0.06, 0.18))
    return np.pad(pixels, ((0, 0), (bar, bar), (side, side), (0, 0))), fps


MAKERS: dict[str, Maker] = {
    "reencode": lambda pixels, fps, _: (pixels, fps),
    "resize": _resize,
    "speed": _speed,
    "mirror": lambda pixels, fps, _: (pixels[:, :, ::-1], fps),
    "trim": _trim,
    "crop": _crop,
    "colour": _colour,
    "caption": _caption,
    "logo": _logo,
    "letterbox": _letterbox,
}
"""Kind -> what makes it."""
