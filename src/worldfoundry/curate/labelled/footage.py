"""Footage without transitions, to compose labelled videos from: drawn here from a seed, or real files of a folder.

Real files are split by source into train, validation and test; views of one episode and takes of one set stay together.
Drawn footage has kinds that only validation or only test use, so that a detector is not judged on what it was taught.
Axes: t h w, then RGB.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from worldfoundry.data.video_io import iter_frames, probe

SPLITS: dict[str, tuple[str, ...]] = {
    "test": (
        "CarND",
        "sam2-demo-data-gallery-02_cups",
        "sam2-notebooks-videos-bedroom",
        r"asl_gestures-(no|night)\b",
        "bottle-detection",
        r"bridge-train-00000000[89]",
        "droid_new_setup",
        "batch_inputs-3",
        "cosmos3-reasoner",
    ),
    "validation": (
        "car-detection",
        "03_blocks",
        r"asl_gestures-(learn|hungry)",
        "bridge-train-000000007",
        r"droid_subset-videos-train-[56]-",
        "batch_inputs-2",
        "flower",
        "cosmos3-generator",
    ),
    # Not for training: the same film as a test clip, films with cuts, test patterns, too short.
    "none": (
        "bigbuckbunny",
        "big_buck_bunny",
        "test_video_30s",
        "nasa_13013",
        "openh264",
        "smpte",
        "bt709",
        "moviepy",
    ),
}
"""Patterns of file names; what matches none is for training."""
KINDS = {
    "train": ("plane", "fog", "particles", "sprites", "cards", "layers"),
    "validation": ("plane", "sprites", "tunnel"),
    "test": ("plane", "fog", "tunnel", "road"),
}
"""Kinds of drawn footage of each split."""


@dataclass(frozen=True)
class Footage:
    """One shot, decoded."""

    name: str
    """File name, or kind and seed."""
    group: str
    """What must not be split: the episode or the recording set."""
    fps: float
    """Frames a second."""
    frames: np.ndarray
    """uint8 [t, h, w, 3]."""


def split_of(file_name: str) -> str:
    """The split of a real file: train, validation, test or none.

    >>> split_of("sam2-demo-data-gallery-03_blocks.mp4"), split_of("some-other.mp4")
    ('validation', 'train')
    """
    found = (s for s, patterns in SPLITS.items() if any(re.search(p, file_name) for p in patterns))
    return next(found, "train")


def group_of(file_name: str) -> str:
    """File name without what tells the views of one recording apart."""
    stem = Path(file_name).stem
    return re.sub(r"(-videos-(train|val)-\d+)-\d+$", r"\1", stem)


def real_footage(
    folder: Path, split: str, cache: Path, *, width: int = 192, limit: int = 320
) -> list[Footage]:
    """The first ``limit`` frames of each file of a split, ``width`` columns wide; decoded once, then read from ``cache``."""
    cache.mkdir(parents=True, exist_ok=True)
    found = []
    for path in sorted(p for p in folder.iterdir() if p.suffix in {".mp4", ".mkv", ".webm"}):
        if split_of(path.name) != split:
            continue
        key = hashlib.sha256(f"{path.name} {width} {limit}".encode()).hexdigest()[:16]
        stored = cache / f"{key}.npz"
        if not stored.exists():
            info = probe(path)
            height = max(2, round(info.height * width / info.width / 2) * 2)
            frames = np.stack(
                [f.pixels for f in iter_frames(path, max_frames=limit, height=height, width=width)]
            )
            np.savez(stored, frames=frames, fps=info.fps_measured)
        with np.load(stored) as z:
            found.append(Footage(path.name, group_of(path.name), float(z["fps"]), z["frames"]))
    return found


def drawn_footage(
    split: str, seed: int, *, count: int = 12, seconds: float = 6.0, fps: float = 25.0
) -> list[Footage]:
    """``count`` pieces of a split's kinds, 192x108, another set for each seed."""
    salt = {"train": 1, "validation": 2, "test": 3}[split]
    found = []
    for k in range(count):
        kind = KINDS[split][k % len(KINDS[split])]
        rng = np.random.default_rng([salt, seed, k])
        frames = _DRAW[kind](rng, round(seconds * fps), 192, 108)
        found.append(Footage(f"{kind}-{salt}-{seed}-{k}", f"{kind}-{salt}-{seed}-{k}", fps, frames))
    return found


def texture(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A coloured picture with detail at all sizes and a few shapes, uint8 [h, w, 3]."""
    total = np.zeros((height, width, 3), np.float32)
    base = rng.uniform(0.15, 0.85, 3)
    for octave, cells in enumerate((3, 7, 16, 40)):
        coarse = rng.normal(0, 0.6**octave, (cells, max(2, cells * width // height), 3))
        coarse = 0.6 * coarse.mean(2, keepdims=True) + 0.4 * coarse
        total += cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    picture = np.clip(255 * (base + rng.uniform(0.06, 0.28) * total), 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(0, 14))):
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        size = int(rng.integers(height // 20, height // 4))
        if rng.random() < 0.5:
            cv2.rectangle(picture, (x, y), (x + size, y + int(size * rng.uniform(0.3, 2))), colour, -1)
        else:
            cv2.circle(picture, (x, y), size // 2, colour, -1, cv2.LINE_AA)
    return picture


def _plane(rng: np.random.Generator, t: int, w: int, h: int) -> np.ndarray:
    board = texture(rng, 3 * w, 3 * h)
    speed, spin = rng.normal(0, 0.9, 2) * rng.choice([0.2, 1, 4]), rng.normal(0, 0.004)
    zoom = rng.uniform(0.8, 1.6) * np.exp(np.arange(t) * rng.normal(0, 0.003))
    frames = []
    for k in range(t):
        m = cv2.getRotationMatrix2D(
            (1.5 * w + speed[0] * k, 1.5 * h + speed[1] * k), float(spin * k * 57.3), float(zoom[k])
        )
        m[:, 2] += (w / 2 - 1.5 * w - speed[0] * k, h / 2 - 1.5 * h - speed[1] * k)
        frames.append(cv2.warpAffine(board, m, (w, h), borderMode=cv2.BORDER_REFLECT))
    return np.stack(frames)


def _fog(rng: np.random.Generator, t: int, w: int, h: int) -> np.ndarray:
    every, palette = int(rng.integers(6, 25)), rng.uniform(0, 255, (2, 3))
    cells = int(rng.integers(4, 12))
    keys = rng.uniform(0, 1, (t // every + 3, cells, cells * 16 // 9)).astype(np.float32)
    frames = []
    for k in range(t):
        a, blend = divmod(k / every, 1)
        field = cv2.resize(
            (1 - blend) * keys[int(a)] + blend * keys[int(a) + 1], (w, h), interpolation=cv2.INTER_CUBIC
        )
        frames.append(
            np.clip(palette[0] + field[..., None] * (palette[1] - palette[0]), 0, 255).astype(np.uint8)
        )
    return np.stack(frames)


def _particles(rng: np.random.Generator, t: int, w: int, h: int) -> np.ndarray:
    back = cv2.GaussianBlur(texture(rng, w, h), (0, 0), 9)
    n = int(rng.integers(20, 200))
    place, speed = rng.uniform(0, 1, (n, 2)) * (w, h), rng.normal(0, 2.0, (n, 2)) + rng.normal(0, 2, 2)
    colours, sizes = rng.integers(60, 256, (n, 3)), rng.integers(1, 6, n)
    frames = []
    for k in range(t):
        frame = back.copy()
        for (x, y), colour, size in zip((place + speed * k) % (w, h), colours, sizes, strict=True):
            cv2.circle(frame, (int(x), int(y)), int(size), tuple(int(c) for c in colour), -1)
        frames.append(frame)
    return np.stack(frames)


def _sprites(rng: np.random.Generator, t: int, w: int, h: int) -> np.ndarray:
    back = texture(rng, w, h)
    items = []
    for _ in range(int(rng.integers(1, 5))):
        sw, sh = int(rng.integers(w // 10, w // 2)), int(rng.integers(h // 8, h * 2 // 3))
        swing, phase = rng.uniform(0.2, 1.0, 2), rng.uniform(0, 6.3, 2)
        items.append((texture(rng, sw, sh), swing, rng.uniform(0.02, 0.3, 2), phase))
    frames = []
    for k in range(t):
        frame = back.copy()
        for sprite, swing, rate, phase in items:
            sh, sw = sprite.shape[:2]
            x, y = ((0.5 + 0.5 * swing * np.sin(rate * k + phase)) * (w - sw, h - sh)).astype(int)
            frame[y : y + sh, x : x + sw] = sprite
        frames.append(frame)
    return np.stack(frames)


def _tunnel(rng: np.random.Generator, t: int, w: int, h: int) -> np.ndarray:
    board = texture(rng, 512, 256)
    y, x = np.mgrid[:h, :w].astype(np.float32)
    cx, cy = w * rng.uniform(0.3, 0.7), h * rng.uniform(0.3, 0.7)
    radius = np.hypot(x - cx, y - cy) + 6
    angle = ((np.arctan2(y - cy, x - cx) / 6.2832 + 0.5) * 511).astype(np.float32)
    depth = (256 * 30 / radius).astype(np.float32)
    speed, spin = rng.uniform(1, 9), rng.normal(0, 2)
    shade = np.clip(radius / radius.max() * 1.6, 0.1, 1)[..., None]
    frames = [
        cv2.remap(board, (angle + spin * k) % 511, (depth + speed * k) % 255, cv2.INTER_LINEAR) * shade
        for k in range(t)
    ]
    return np.stack(frames).astype(np.uint8)


def _road(rng: np.random.Generator, t: int, w: int, h: int) -> np.ndarray:
    board, sky = texture(rng, 512, 512), texture(rng, w, h // 2)
    y, x = np.mgrid[h // 2 : h, :w].astype(np.float32)
    far = 900 / (y - h / 2 + 6)
    speed, sway = rng.uniform(1, 8), rng.uniform(0, 20)
    frames = []
    for k in range(t):
        sideways = 256 + sway * np.sin(k / 20) + (x - w / 2) * far / 30
        ground = cv2.remap(
            board, (sideways % 511).astype(np.float32), ((far * 3 + speed * k) % 511).astype(np.float32), 1
        )
        frames.append(np.concatenate([np.roll(sky, int(sway * np.sin(k / 20)), 1), ground]))
    return np.stack(frames)


def _cards(rng: np.random.Generator, t: int, w: int, h: int) -> np.ndarray:
    """Pictures stand in space and the camera flies between them."""
    back, n = cv2.GaussianBlur(texture(rng, w, h), (0, 0), 4), int(rng.integers(12, 40))
    boards = [texture(rng, int(rng.integers(16, 64)), int(rng.integers(16, 64))) for _ in range(n)]
    x, y, z = rng.normal(0, 1.2, n), rng.normal(0, 0.8, n), rng.uniform(0.3, 6, n)
    x += np.sign(x) * 0.6  # the way is free: what is passed leaves at the sides
    ahead, aside = abs(rng.normal(0, 0.05)), rng.normal(0, 0.02, 2)
    frames = []
    for k in range(t):
        frame, deep = back.copy(), 0.3 + (z - 0.3 - ahead * k) % 5.7
        for i in np.argsort(-deep):
            scale = 0.8 / deep[i]
            bh, bw = (max(2, min(int(s * scale), 2 * h)) for s in boards[i].shape[:2])
            left = int((0.5 + (x[i] + aside[0] * k) / deep[i] * 0.5) * w - bw / 2)
            top = int((0.5 + (y[i] + aside[1] * k) / deep[i] * 0.5) * h - bh / 2)
            a, b, c, d = max(left, 0), min(left + bw, w), max(top, 0), min(top + bh, h)
            if b > a and d > c:
                frame[c:d, a:b] = cv2.resize(boards[i], (bw, bh))[c - top : d - top, a - left : b - left]
        frames.append(frame)
    return np.stack(frames)


def _layers(rng: np.random.Generator, t: int, w: int, h: int) -> np.ndarray:
    """Three torn sheets slide over one another at their own speeds."""
    sheets = [texture(rng, 4 * w, h) for _ in range(3)]
    torn = cv2.resize(rng.random((6, 40)).astype(np.float32), (4 * w, h), interpolation=cv2.INTER_CUBIC)
    speeds = rng.normal(0, 3) * np.array([0.2, 0.6, 1.6]) + rng.normal(0, 0.1, 3)
    frames = []
    for k in range(t):
        at = [int(1.5 * w + s * k) % (3 * w) for s in speeds]
        frame = sheets[0][:, at[0] : at[0] + w].copy()
        for sheet, offset, level in zip(sheets[1:], at[1:], (0.6, 0.75), strict=True):
            is_there = torn[:, offset : offset + w] > level
            frame[is_there] = sheet[:, offset : offset + w][is_there]
        frames.append(frame)
    return np.stack(frames)


_DRAW: dict[str, Callable[[np.random.Generator, int, int, int], np.ndarray]] = {
    "plane": _plane,
    "fog": _fog,
    "particles": _particles,
    "sprites": _sprites,
    "tunnel": _tunnel,
    "road": _road,
    "cards": _cards,
    "layers": _layers,
}
