"""Clips of five types to validate on: noise-textured terrain, terminals, slide shows, moire; nothing shared with training."""

from collections.abc import Iterator

import cv2
import numpy as np

from worldfoundry.curate.labelled.looks_clips import Labelled, even, through_codec

FRAMES, FPS = 15, 5.0


def synthetic(rng: np.random.Generator) -> Iterator[Labelled]:
    """One clip each of what can be drawn from nothing."""
    for label, make in (
        ("rendered", _terrain),
        ("screen", _terminal),
        ("screen", _spreadsheet),
        ("pattern", _moire),
        ("still", _slides),
    ):
        h, w = ((216, 384), (288, 512), (360, 480))[int(rng.integers(3))]
        yield _coded(make(h, w, rng), label, make.__name__.strip("_"), rng)


def from_footage(frames: np.ndarray, is_rendered: bool, rng: np.random.Generator) -> Iterator[Labelled]:
    """The footage itself, and a zoom into one frame of it."""
    yield _coded(frames, "rendered" if is_rendered else "natural", "footage", rng)
    h, w = frames.shape[1:3]
    zoomed = []
    for i in range(FRAMES):
        dy, dx = int(h * 0.006 * i), int(w * 0.006 * i)
        zoomed.append(
            cv2.resize(
                frames[len(frames) // 2][dy : h - dy, dx : w - dx], (w, h), interpolation=cv2.INTER_LINEAR
            )
        )
    still = np.stack(zoomed) if rng.random() < 0.5 else np.repeat(frames[:1], FRAMES, axis=0)
    yield _coded(still, "still", "zoomed", rng)


def _coded(frames: np.ndarray, label: str, group: str, rng: np.random.Generator) -> Labelled:
    options = {"crf": str(int(rng.integers(18, 28))), "preset": "faster"}
    return Labelled(
        label=label, level=1, views=through_codec(even(frames), FPS, options=options), group=group
    )


def _terrain(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    """Hills of one colour each, lit by their slope, passing at different speeds, as in a game."""
    sky = np.linspace(0, 1, h)[:, None, None] * rng.uniform(0.2, 0.6, 3) + rng.uniform(0.3, 0.5, 3)
    layers = []
    for k in range(5):
        walk = np.cumsum(rng.normal(size=3 * w)) * 0.9
        ridge = cv2.GaussianBlur(walk[None].astype(np.float32), (0, 0), 6 + 3 * k)[0]
        layers.append((h * (0.35 + 0.12 * k) + ridge - ridge.mean(), rng.uniform(0.1, 0.9, 3), 1.0 + 2.2 * k))
    out, y = [], np.arange(h)[:, None]
    for i in range(FRAMES):
        picture = np.broadcast_to(sky, (h, w, 3)).copy()
        for ridge, colour, speed in layers:
            at = ridge[int(speed * i) : int(speed * i) + w]
            slope = np.gradient(at)[None, :, None]
            below = (y > at[None])[..., None]
            picture = np.where(
                below, np.clip(colour * (1 - 0.5 * slope) * (1 - 0.3 * (y[..., None] / h)), 0, 1), picture
            )
        out.append((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    return np.stack(out)


def _terminal(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    """Lines of a log arriving at the bottom."""
    ink = ((180, 255, 180), (220, 220, 220), (255, 200, 120))[int(rng.integers(3))]
    lines = [
        "".join(rng.choice(list("abcdefgh /:.-_0123456789 "), int(rng.integers(8, 60)))) for _ in range(80)
    ]
    rows, each = h // 14, int(rng.integers(0, 3))
    out = []
    for i in range(FRAMES):
        picture = np.full((h, w, 3), 18, np.uint8)
        for k in range(rows):
            cv2.putText(
                picture,
                lines[(k + i * each) % 80],
                (4, 12 + 14 * k),
                cv2.FONT_HERSHEY_PLAIN,
                0.8,
                ink,
                1,
                cv2.LINE_AA,
            )
        out.append(picture)
    return np.stack(out)


def _spreadsheet(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    """A white grid of numbers, a bar chart and a moving selection."""
    sheet = np.full((h, w, 3), 255, np.uint8)
    for y in range(0, h, 18):
        cv2.line(sheet, (0, y), (w, y), (205, 205, 205), 1)
    for x in range(0, w, 62):
        cv2.line(sheet, (x, 0), (x, h), (205, 205, 205), 1)
        for y in range(0, h, 18):
            cv2.putText(
                sheet,
                str(rng.integers(10000)),
                (x + 4, y + 14),
                cv2.FONT_HERSHEY_SIMPLEX,
                0.35,
                (30, 30, 30),
                1,
                cv2.LINE_AA,
            )
    cv2.rectangle(sheet, (0, 0), (w, 17), (33, 115, 70), -1)
    for k in range(6):
        top = int(h * rng.uniform(0.4, 0.8))
        cv2.rectangle(sheet, (w // 2 + 24 * k, top), (w // 2 + 24 * k + 16, int(0.9 * h)), (70, 114, 196), -1)
    out = []
    for i in range(FRAMES):
        picture, cell = sheet.copy(), (62 * ((i // 3) % max(1, w // 62 - 1)), 18 * (1 + i // 5))
        cv2.rectangle(picture, cell, (cell[0] + 62, cell[1] + 18), (33, 115, 70), 2)
        out.append(picture)
    return np.stack(out)


def _moire(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    """Two line gratings, or colour bars with a sweeping line."""
    y, x = np.mgrid[:h, :w].astype(np.float32)
    bars = rng.random() < 0.5
    f, a, b = rng.uniform(0.1, 0.7), *rng.uniform(0, np.pi, 2)
    palette = np.array(
        [[191, 191, 191], [191, 191, 0], [0, 191, 191], [0, 191, 0], [191, 0, 191], [191, 0, 0], [0, 0, 191]],
        np.uint8,
    )
    out = []
    for i in range(FRAMES):
        if bars:
            picture = palette[(x * 7 / w).astype(int) % 7].copy()
            picture[:, int(w * i / FRAMES) : int(w * i / FRAMES) + 4] = 255
        else:
            one = np.sin(f * (x * np.cos(a) + y * np.sin(a)))
            two = np.sin(1.06 * f * (x * np.cos(b) + y * np.sin(b)) + 0.3 * i)
            picture = ((one * two > 0)[..., None] * rng.integers(180, 256)).repeat(3, axis=2).astype(np.uint8)
        out.append(picture)
    return np.stack(out)


def _slides(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    """Title slides that change once or not at all."""
    pictures = []
    for _ in range(2):
        slide = np.full((h, w, 3), rng.integers(0, 256, 3), np.uint8)
        ink = tuple(int(255 - c) for c in slide[0, 0])
        for k in range(4):
            text = "".join(rng.choice(list("AEIORSTLN aeiorstln"), 16))
            cv2.putText(
                slide,
                text,
                (20, int(h * (0.25 + 0.18 * k))),
                cv2.FONT_HERSHEY_DUPLEX,
                0.8 if k else 1.2,
                ink,
                1,
                cv2.LINE_AA,
            )
        pictures.append(slide)
    return np.stack([pictures[int(i > FRAMES * 0.55)] for i in range(FRAMES)])
