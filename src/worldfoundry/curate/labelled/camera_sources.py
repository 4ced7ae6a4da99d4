"""Pictures behind the labelled camera paths: resting views of real footage, stills, and textures made here.

Every name in ``RESTING`` was looked at frame by frame: its camera stands still. The textures of the three splits are made
in different ways, so that nothing learnt from one way helps with another.
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from worldfoundry.core.errors import DataError
from worldfoundry.data.video_io import iter_frames

SPLITS = ("train", "validation", "test")
"""Disjoint in sources and in the code of generators."""
_WIDTH = 640
_SECONDS = 3.0

RESTING = {
    "train": (
        "01_dog bird.mkv book.mkv brother.mkv help.mkv stream-of-water train-000000000 "
        "train-000000001 train-000000003 train-000000006 train-0-0 train-1-0 train-1-1 train-2-0 train-3-0 train-3-1 train-4-1"
    ).split(),
    "validation": "car-detection 03_blocks learn.mkv hungry.mkv train-000000007 robolab train-5-0 train-6-0 train-6-1".split(),
    "test": (
        "02_cups no.mkv night.mkv bottle-detection train-000000008 train-000000009 val-0001-0 val-0002-1 val-0003-0 "
        "robotics_next_action"
    ).split(),
}
"""Parts of file names whose camera rests, by split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """A resting view: what the camera of a labelled clip looks at."""

    name: str
    """Source, the unit of splitting."""
    frames: np.ndarray
    """uint8 RGB [t, h, w, 3]."""
    fps: float
    """Frames a second."""

    def at(self, seconds: float) -> np.ndarray:
        """The picture at a time, running to and fro."""
        last = len(self.frames) - 1
        position = int(max(seconds, 0) * self.fps + 1e-6)
        turn = position % max(1, 2 * last)
        return self.frames[min(turn, 2 * last - turn)]


def real_footage(folder: Path, split: str) -> Iterator[Footage]:
    """The resting views of one split below ``folder`` (see its ``manifest.csv``)."""
    listing = folder / "manifest.csv"
    if not listing.is_file():
        raise DataError(f"{folder} must hold manifest.csv, got none; name the folder of real footage")
    with listing.open() as lines:
        files = [row["file"] for row in csv.DictReader(lines)]
    videos = [f for f in files if not f.endswith((".json", ".npz"))]
    for part in RESTING[split]:
        found = [f for f in videos if part in f]
        if len(found) != 1:
            raise DataError(
                f"{listing} must name one video with {part!r}, got {len(found)}; check the folder"
            )
        frames = list(iter_frames(folder / found[0], end_seconds=_SECONDS, width=_WIDTH))
        fps = (len(frames) - 1) / (frames[-1].seconds - frames[0].seconds)
        pixels = np.stack([f.pixels for f in frames])
        # A view that moves in jerks, four or five frames a second, would shake by itself: one frame of it is a still.
        yield Footage(name=part, frames=pixels if fps >= 12 else pixels[:1], fps=fps)


def made_footage(split: str, number: int) -> Footage:
    """Footage made here: a still, or every third time moving water."""
    rng = np.random.default_rng([SPLITS.index(split), number])
    paint = _PAINTERS[split]
    name = f"made-{split}-{number}"
    if number % 3 == 2:
        return Footage(name=name + "-water", frames=_water(rng, paint), fps=15.0)
    return Footage(name=name, frames=paint(rng, 400, _WIDTH)[None], fps=1.0)


def _clouds(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Octaves of smooth noise, coloured."""
    grey = np.zeros((height, width), np.float32)
    for cell in (3, 7, 15, 31, 67):
        coarse = rng.standard_normal((height // cell + 3, width // cell + 3)).astype(np.float32)
        grey += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * cell ** rng.uniform(
            0.3, 0.9
        )
    grey = 128 + 45 * (grey - grey.mean()) / grey.std()
    tint = rng.uniform(0.6, 1.2, 3)
    return np.clip(grey[..., None] * tint, 0, 255).astype(np.uint8)


def _streets(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Overlapping rectangles and discs of flat colour before a gradient."""
    slope = np.linspace(rng.uniform(40, 120), rng.uniform(130, 230), height)[:, None, None]
    picture = np.ascontiguousarray(np.broadcast_to(slope, (height, width, 3)).astype(np.uint8))
    for _ in range(int(rng.integers(25, 70))):
        x, y = int(rng.integers(0, width)), int(rng.integers(height // 5, height))
        size = int(rng.integers(6, 70))
        colour = [int(c) for c in rng.integers(10, 245, 3)]
        if rng.random() < 0.7:
            cv2.rectangle(picture, (x, y), (x + size, y + int(size * rng.uniform(0.4, 2))), colour, -1)
        else:
            cv2.circle(picture, (x, y), size // 2, colour, -1, cv2.LINE_AA)
    return picture


def _foliage(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Strokes of many directions and widths, softened: twigs, grass, hair."""
    picture = np.full((height, width, 3), rng.integers(60, 190, 3), np.uint8)
    for _ in range(int(rng.integers(150, 500))):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        angle, length = rng.uniform(0, np.pi), rng.uniform(10, 140)
        end = int(x + length * np.cos(angle)), int(y + length * np.sin(angle))
        colour = [int(c) for c in rng.integers(10, 245, 3)]
        cv2.line(picture, (int(x), int(y)), end, colour, int(rng.integers(1, 7)), cv2.LINE_AA)
    return cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.6, 1.4))


_PAINTERS: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "train": _clouds,
    "validation": _streets,
    "test": _foliage,
}


def _water(
    rng: np.random.Generator, paint: Callable[[np.random.Generator, int, int], np.ndarray]
) -> np.ndarray:
    """A painted shore above water: waves that run to all sides and glitter."""
    shore = paint(rng, 400, _WIDTH)
    top = int(rng.integers(200, 260))
    y, x = np.mgrid[0 : 400 - top, 0:_WIDTH].astype(np.float32)
    waves = [(*rng.normal(0, 0.12, 2), rng.uniform(2, 6), rng.uniform(0, 6.3)) for _ in range(9)]
    frames = []
    for k in range(30):
        height = np.zeros_like(x)
        for kx, ky, speed, phase in waves:
            height += np.sin(kx * x + 2 * ky * y + speed * k / 15 + phase)
        glitter = 110 + 22 * height + 60 * np.maximum(height - 3.5, 0)
        frame = shore.copy()
        frame[top:] = np.clip(glitter[..., None] * np.array([0.7, 0.9, 1.1]), 0, 255).astype(np.uint8)
        frames.append(frame)
    return np.stack(frames)
