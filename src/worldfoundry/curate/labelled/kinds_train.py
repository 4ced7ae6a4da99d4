"""Clips of five types to train on: real footage, real and drawn animation, desktops, frozen photographs, patterns."""

from collections.abc import Iterator

import cv2
import numpy as np

from worldfoundry.curate.labelled.looks_clips import Labelled, even, through_codec
from worldfoundry.curate.labelled.looks_fonts import draw_line, words

FRAMES, FPS = 16, 6.0
_SIZES = ((320, 180), (480, 270), (426, 240), (480, 360), (640, 360))


def synthetic(rng: np.random.Generator) -> Iterator[Labelled]:
    """One clip each of the types that can be drawn from nothing."""
    for label, make in (
        ("rendered", _cartoon),
        ("rendered", _spheres),
        ("screen", _desktop),
        ("pattern", _pattern),
        ("still", _slide),
    ):
        w, h = _SIZES[int(rng.integers(len(_SIZES)))]
        yield _coded(make(h, w, rng), label, make.__name__.strip("_"), rng)


def from_footage(frames: np.ndarray, is_rendered: bool, rng: np.random.Generator) -> Iterator[Labelled]:
    """The footage itself, and stills made of it."""
    yield _coded(frames, "rendered" if is_rendered else "natural", "footage", rng)
    if rng.random() < 0.7:
        yield _coded(_frozen(frames, rng), "still", "frozen", rng)


def _coded(frames: np.ndarray, label: str, group: str, rng: np.random.Generator) -> Labelled:
    options = {"crf": str(int(rng.integers(17, 30))), "preset": "veryfast"}
    return Labelled(
        label=label, level=1, views=through_codec(even(frames), FPS, options=options), group=group
    )


def _cartoon(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    """Flat or softly shaded outlined shapes over a gradient, with a panning background."""
    ramp = np.linspace(0, 1, h)[:, None, None]
    back = (
        ((1 - ramp) * rng.uniform(80, 255, 3) + ramp * rng.uniform(30, 220, 3))
        .repeat(2 * w, axis=1)
        .astype(np.uint8)
    )
    for _ in range(40):
        centre = (int(rng.integers(2 * w)), int(rng.uniform(0.4, 1) * h))
        cv2.ellipse(
            back,
            centre,
            (int(rng.integers(8, 60)), int(rng.integers(8, 70))),
            0,
            0,
            360,
            rng.integers(0, 256, 3).tolist(),
            -1,
            cv2.LINE_AA,
        )
    actors = [
        (
            rng.uniform(0, (w, h)),
            rng.uniform(-9, 9, 2),
            rng.integers(0, 256, 3).tolist(),
            int(rng.integers(8, 50)),
        )
        for _ in range(6)
    ]
    speed, line = rng.uniform(0, 8), int(rng.integers(0, 4))
    out = []
    for i in range(FRAMES):
        x = int(speed * i) % w
        picture = back[:, x : x + w].copy()
        for place, drift, colour, radius in actors:
            at = tuple(int(v) for v in (place + drift * i) % (w, h))
            cv2.circle(picture, at, radius, colour, -1, cv2.LINE_AA)
            if line:
                cv2.circle(picture, at, radius, (15, 15, 20), line, cv2.LINE_AA)
        out.append(picture)
    return np.stack(out)


def _spheres(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    """Shaded balls over a tiled floor, by rays."""
    y, x = np.mgrid[:h, :w].astype(np.float32)
    u, v = (x - w / 2) / h, (y - h / 2) / h
    light = rng.normal(size=3)
    light[1] = -abs(light[1]) - 0.5
    light /= np.linalg.norm(light)
    balls = [
        (rng.uniform(-1, 1, 2), rng.uniform(0.08, 0.3), rng.uniform(0.2, 1, 3), rng.uniform(-0.06, 0.06, 2))
        for _ in range(5)
    ]
    tiles, sky, turn = rng.uniform(0.1, 1, (2, 3)), rng.uniform(0.3, 1, 3), rng.uniform(-0.2, 0.2)
    horizon = rng.uniform(-0.2, 0.1)
    out = []
    for i in range(FRAMES):
        depth = 0.4 / np.maximum(v - horizon, 1e-3)
        cells = (np.floor(u * depth * 3 + turn * i) + np.floor(depth * 3 + 0.2 * i)) % 2
        floor = tiles[0] * (cells[..., None] == 0) + tiles[1] * (cells[..., None] > 0)
        fog = np.clip(depth / 12, 0, 1)[..., None]
        picture = np.where(
            (v > horizon)[..., None], floor * (1 - fog) + sky * fog, sky * (1 - 0.4 * (v[..., None] + 0.5))
        )
        for place, radius, colour, drift in balls:
            px, py = (u - place[0] - drift[0] * i) / radius, (v - place[1] * 0.4 - drift[1] * i) / radius
            z = np.sqrt(np.maximum(0, 1 - px**2 - py**2))
            shade = np.clip(px * light[0] + py * light[1] - z * light[2], 0, 1)
            ball = colour * (0.25 + 0.75 * shade[..., None]) + np.clip(shade - 0.9, 0, 1)[..., None] * 5
            inside = (px**2 + py**2 < 1)[..., None]
            picture = np.where(inside, ball, picture)
        out.append((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    return np.stack(out)


def _desktop(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    """Windows of text with a cursor: scrolling, typing, or waiting."""
    dark = rng.random() < 0.4
    paper, ink = ((28, 30, 34), (200, 210, 200)) if dark else ((250, 250, 250), (30, 30, 40))
    page = np.full((3 * h, w, 3), paper, np.float32)
    px, y, font = int(rng.integers(9, 16)), 6, int(rng.integers(1 << 30))
    while y < 3 * h - px - 8:
        if rng.random() < 0.88:
            colour = ink if rng.random() < 0.8 else tuple(int(v) for v in rng.integers(0, 256, 3))
            line = draw_line(words(rng, int(rng.integers(1, 10))), "train", font, px, colour, 0)[:, : w - 20]
            x = int(rng.choice([8, 8, 24, 40]))
            area = page[y : y + line.shape[0], x : x + line.shape[1]]
            line = line[: area.shape[0], : area.shape[1]]
            area[...] = area * (1 - line[..., 3:]) + line[..., :3] * line[..., 3:]
        elif rng.random() < 0.4:
            cv2.rectangle(
                page, (8, y), (int(rng.uniform(0.3, 0.9) * w), y + 40), rng.integers(0, 256, 3).tolist(), -1
            )
            y += 44
        y += px + int(rng.integers(3, 9))
    mode, at, speed = rng.choice(["scroll", "type", "wait"]), rng.uniform(0, (w, h)), rng.uniform(-14, 14, 2)
    rate = rng.uniform(4, 30)
    out = []
    for i in range(FRAMES):
        offset = int(rate * max(0, i - 4)) % (2 * h) if mode == "scroll" else 0
        picture = page[offset : offset + h].astype(np.uint8)
        if mode == "type":
            picture[int(0.5 * h) + 14 * (i // 6) :] = paper
        cv2.rectangle(picture, (0, 0), (w, 16), (70, 75, 90) if dark else (215, 218, 222), -1)
        for k in range(3):
            cv2.circle(
                picture,
                (10 + 14 * k, 8),
                4,
                ((230, 90, 80), (240, 190, 60), (90, 200, 90))[k],
                -1,
                cv2.LINE_AA,
            )
        if rng.random() < 0.97:
            tip = (at + speed * i) % (w, h)
            cv2.fillPoly(
                picture,
                [(tip + np.array([[0, 0], [0, 13], [4, 10], [9, 10]])).astype(np.int32)],
                (20, 20, 20),
                cv2.LINE_AA,
            )
        out.append(picture)
    return np.stack(out)


def _pattern(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    """Bars, checks, ramps, waves, plasma or snow of a dead channel."""
    y, x = np.mgrid[:h, :w].astype(np.float32)
    kind, a, speed = int(rng.integers(6)), rng.uniform(0, np.pi), rng.choice([0, rng.uniform(0.05, 0.6)])
    colours = rng.uniform(0, 1, (8, 3))
    out = []
    for i in range(FRAMES):
        if kind == 0:
            picture = colours[(x * 8 / w).astype(int) % 8] * (0.3 + 0.7 * (y < 0.7 * h))[..., None]
        elif kind == 1:
            cell = h / rng.integers(6, 7)
            picture = colours[((np.floor(x / cell + speed * i) + np.floor(y / cell)) % 2).astype(int)]
        elif kind == 2:
            ramp = ((x * np.cos(a) + y * np.sin(a)) / w + speed * i * 0.2) % 1
            picture = colours[0] * ramp[..., None] + colours[1] * (1 - ramp[..., None])
        elif kind == 3:
            ring = np.sin(np.hypot(x - w / 2, y - h / 2) ** 1.3 * 0.06 - speed * i * 2) * 0.5 + 0.5
            picture = ring[..., None] * colours[0] + (1 - ring[..., None]) * colours[1]
        elif kind == 4:
            waves = [
                np.sin(x / (15 + 9 * k) * np.cos(a + k) + y / (12 + 7 * k) + speed * i * (k + 1))
                for k in range(3)
            ]
            picture = np.stack(waves, -1) * 0.5 + 0.5
        else:
            picture = rng.uniform(0, 1, (h, w, 1)).repeat(3, axis=2)
        out.append((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    return np.stack(out)


def _slide(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    """A title and some bullets on a plain or shaded ground, unchanged or changed once."""
    slides = []
    for _ in range(2):
        ground = rng.uniform(0, 255, 3)
        shade = np.linspace(1, rng.uniform(0.6, 1), h)[:, None, None]
        slide = np.broadcast_to(ground * shade, (h, w, 3)).astype(np.float32).copy()
        ink = (20, 20, 30) if ground.mean() > 110 else (245, 245, 245)
        for k in range(int(rng.integers(1, 6))):
            px = int(h * (0.11 if k == 0 else 0.065))
            line = draw_line(
                words(rng, int(rng.integers(1, 6))), "train", int(rng.integers(1 << 30)), px, ink, 0
            )[:, : w - 40]
            y = int(h * (0.1 + 0.15 * k))
            area = slide[y : y + line.shape[0], 20 : 20 + line.shape[1]]
            line = line[: area.shape[0], : area.shape[1]]
            area[...] = area * (1 - line[..., 3:]) + line[..., :3] * line[..., 3:]
        slides.append(slide.astype(np.uint8))
    turn = int(rng.integers(5, 12)) if rng.random() < 0.5 else FRAMES
    return np.stack([slides[int(i >= turn)] for i in range(FRAMES)])


def _frozen(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Photographs that stand still, glide slowly, or change by cut or cross-fade."""
    h, w = frames.shape[1:3]
    pictures = [frames[0], frames[-1][:, ::-1]]
    glide, grow = rng.uniform(-0.004, 0.004, 2) * (w, h), rng.choice([0.0, rng.uniform(-0.004, 0.006)])
    moving, fade = rng.random() < 0.4, rng.choice([0.0, 0.0, 4.0])
    turn = rng.uniform(4, 12) if rng.random() < 0.5 else 99
    out = []
    for i in range(FRAMES):
        mix = float(np.clip((i - turn) / max(fade, 1e-3), 0, 1))
        picture = cv2.addWeighted(
            np.ascontiguousarray(pictures[0]), 1 - mix, np.ascontiguousarray(pictures[1]), mix, 0
        )
        if moving:
            scale = 1.1 + grow * i
            matrix = cv2.getRotationMatrix2D((w / 2, h / 2), 0, scale)
            matrix[:, 2] += glide * i
            picture = cv2.warpAffine(
                picture, matrix, (w, h), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
            )
        out.append(picture)
    return np.stack(out)
