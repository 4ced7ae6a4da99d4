"""Overlaid text to validate on, drawn by OpenCV's Hershey fonts over zoomed footage; against it plates of the world."""

from collections.abc import Iterator

import cv2
import numpy as np

from worldfoundry.curate.labelled.looks_clips import Labelled, even, through_codec
from worldfoundry.curate.labelled.looks_fonts import words

_FACES = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_PLAIN,
    cv2.FONT_HERSHEY_COMPLEX | cv2.FONT_ITALIC,
)


def clips(frames: np.ndarray, fps: float, rng: np.random.Generator) -> Iterator[Labelled]:
    """Positives and negatives over one window of footage."""
    options = {"crf": str(int(rng.integers(20, 28))), "preset": "faster"}
    for name, base in (("zoom", _zoom(frames, rng)), ("as-is", frames)):
        views = through_codec(even(base), fps, options=options)
        yield Labelled(label="clean", level=0, views=views, group=f"none/{name}")
        for style in ("line", "banner"):
            pictures, mask = _burn(base, style, rng)
            views = through_codec(even(pictures), fps, options=options)
            yield Labelled(label="text", level=1, views=views, group=f"{style}/{name}", mask=mask)
    plates = _plates(frames, rng)
    for name, base in (("zoom", _zoom(plates, rng)), ("as-is", plates)):
        views = through_codec(even(base), fps, options=options)
        yield Labelled(label="clean", level=0, views=views, group=f"plate/{name}")
    for group, make in (("jar", _jars), ("grille", _grille)):
        views = through_codec(even(make(frames, rng)), fps, options=options)
        yield Labelled(label="clean", level=0, views=views, group=f"{group}/as-is")


def _zoom(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    h, w = frames.shape[1:3]
    grow = rng.uniform(1.15, 1.3)
    centre = rng.uniform(0.3, 0.7, 2) * (w, h)
    out = []
    for i, f in enumerate(frames):
        s = grow ** (i / max(1, len(frames) - 1))
        matrix = np.array([[s, 0, centre[0] * (1 - s)], [0, s, centre[1] * (1 - s)]], np.float32)
        out.append(cv2.warpAffine(f, matrix, (w, h), borderMode=cv2.BORDER_REFLECT))
    return np.stack(out)


def _burn(frames: np.ndarray, style: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    h, w = frames.shape[1:3]
    face, text = _FACES[int(rng.integers(len(_FACES)))], words(rng, int(rng.integers(2, 6)))
    scale = h * rng.uniform(0.045, 0.08) / 22
    thickness = max(1, round(scale * 1.6))
    (tw, th), low = cv2.getTextSize(text, face, scale, thickness)
    x = int(rng.uniform(4, max(5, w - tw - 8)))
    y = int(rng.choice([h - low - 8, th + 8, h - low - int(0.1 * h)]))
    out, mask = frames.copy(), np.zeros((h, w), np.float32)
    mask[max(0, y - th) : y + low, x : x + tw] = 1
    colour = ((255, 255, 255), (255, 230, 0), (0, 255, 120), (0, 0, 0))[int(rng.integers(4))]
    for f in out:
        if style == "banner":
            cv2.rectangle(f, (0, y - th - 6), (w, y + low + 4), tuple(255 - c for c in colour), -1)
        cv2.putText(f, text, (x, y), face, scale, colour, thickness, cv2.LINE_AA)
    alpha = rng.uniform(0.5, 1.0)
    return cv2.addWeighted(out, alpha, frames, 1 - alpha, 0).reshape(frames.shape), mask


def _plates(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Number plates and a bright screen with lines, small, turned and a little out of focus."""
    h, w = frames.shape[1:3]
    out = frames.copy()
    for _ in range(3):
        plate = np.full((60, 220, 3), rng.choice([235, 30, 200]), np.uint8)
        text = "".join(rng.choice(list("ABCDEFGHKLMNPRSTXYZ0123456789"), 7))
        cv2.putText(plate, text, (8, 46), cv2.FONT_HERSHEY_DUPLEX, 1.6, (20, 20, 90), 3, cv2.LINE_AA)
        angle, size = rng.uniform(6, 25) * rng.choice([-1, 1]), rng.uniform(0.12, 0.3) * w / 220
        matrix = cv2.getRotationMatrix2D((110, 30), angle, size)
        matrix[:, 2] += rng.uniform(0.15, 0.8, 2) * (w, h) - (110, 30)
        blur = cv2.GaussianBlur(plate, (0, 0), 1.2 / size * 0.7)
        warped, cover = (
            cv2.warpAffine(a, matrix, (w, h), flags=cv2.INTER_AREA)
            for a in (blur, np.ones((60, 220), np.float32))
        )
        out = (out * (1 - cover[..., None]) + 0.8 * warped * cover[..., None]).astype(np.uint8)
    return out


def _jars(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Upright jars with printed words before a fixed camera, a little out of focus, with its noise."""
    h, w = frames.shape[1:3]
    picture, cover = frames[0].copy(), np.zeros((h, w), np.float32)
    for _ in range(int(rng.integers(2, 6))):
        wide, tall = int(w * rng.uniform(0.08, 0.18)), int(h * rng.uniform(0.2, 0.5))
        x, y = int(rng.uniform(0, w - wide)), int(rng.uniform(0, h - tall))
        colour = rng.integers(40, 256, 3)
        shade = 0.5 + 0.5 * np.cos(np.linspace(-1.3, 1.3, wide))[None, :, None]
        picture[y : y + tall, x : x + wide] = colour * shade
        cover[y : y + tall, x : x + wide] = 1
        ink = (20, 20, 60) if colour.mean() > 128 else (235, 235, 220)
        for k in range(int(rng.integers(1, 4))):
            at = (x + wide // 8, y + int(tall * (0.4 + 0.2 * k)))
            scale = wide / 90 * (1.0 if k == 0 else 0.6)
            text = words(rng, 1)[:6].upper()
            cv2.putText(
                picture, text, at, cv2.FONT_HERSHEY_DUPLEX, scale, ink, max(1, round(2 * scale)), cv2.LINE_AA
            )
    return _grainy(frames, picture, cover, rng)


def _grille(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rods, level or upright, over a part of a fixed camera's picture."""
    h, w = frames.shape[1:3]
    picture, cover = frames[0].copy(), np.zeros((h, w), np.float32)
    upright, gap, colour = rng.random() < 0.6, int(rng.integers(8, 24)), rng.integers(0, 256, 3).tolist()
    lines = np.zeros((h, w), np.uint8)
    for k in range(4, w if upright else h, gap):
        ends = ((k, 0), (k, h)) if upright else ((0, k), (w, k))
        cv2.line(lines, *ends, 255, int(rng.integers(2, 6)))
    y, x = int(rng.uniform(0, 0.5) * h), int(rng.uniform(0, 0.4) * w)
    area = (slice(y, y + h // 2), slice(x, x + int(0.6 * w)))
    picture[area][lines[area] > 0] = colour
    cover[area][lines[area] > 0] = 1
    return _grainy(frames, picture, cover, rng)


def _grainy(
    frames: np.ndarray, picture: np.ndarray, cover: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """What ``cover`` marks, filmed: a lens' blur and a sensor's noise."""
    soft = rng.uniform(0.7, 1.3)
    picture, cover = (cv2.GaussianBlur(p.astype(np.float32), (0, 0), soft) for p in (picture, cover))
    noise = rng.normal(0, rng.uniform(1, 4), (*frames.shape[:3], 1))
    share = cover[..., None]
    return np.clip(frames * (1 - share) + (picture + noise) * share, 0, 255).astype(np.uint8)
