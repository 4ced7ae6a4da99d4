"""Clips of five types to test on: polygons in perspective, editors and maps, albums, fractals; no code of the other splits."""

from collections.abc import Iterator

import cv2
import numpy as np

from worldfoundry.curate.labelled.looks_clips import Labelled, even, through_codec
from worldfoundry.curate.labelled.looks_fonts import draw_line, words

FRAMES, FPS = 18, 6.0


def synthetic(rng: np.random.Generator) -> Iterator[Labelled]:
    """One clip each of what can be drawn from nothing."""
    makers = (
        ("rendered", _boxes),
        ("rendered", _puppets),
        ("screen", _editor),
        ("screen", _browser),
        ("pattern", _fractal),
        ("pattern", _card),
    )
    for label, make in makers:
        h, w = ((240, 426), (270, 480), (300, 400))[int(rng.integers(3))]
        yield _coded(make(h, w, rng), label, make.__name__.strip("_"), rng)


def from_footage(frames: np.ndarray, is_rendered: bool, rng: np.random.Generator) -> Iterator[Labelled]:
    """The footage itself, and an album of its pictures."""
    yield _coded(frames, "rendered" if is_rendered else "natural", "footage", rng)
    if rng.random() < 0.7:
        yield _coded(_album(frames, rng), "still", "album", rng)


def _coded(frames: np.ndarray, label: str, group: str, rng: np.random.Generator) -> Labelled:
    options = {"crf": str(int(rng.integers(19, 29))), "preset": "fast"}
    return Labelled(
        label=label, level=1, views=through_codec(even(frames), FPS, options=options), group=group
    )


def _boxes(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    """A street of shaded boxes, driven through."""
    boxes = sorted(
        (
            (
                rng.uniform(1, 14),
                rng.choice([-1, 1]) * rng.uniform(0.7, 2.5),
                rng.uniform(0.4, 2.2),
                rng.uniform(40, 240, 3),
            )
            for _ in range(26)
        ),
        key=lambda b: -b[0],
    )
    sky, road = rng.uniform(120, 255, 3), rng.uniform(60, 120, 3)
    out = []
    for i in range(FRAMES):
        picture = np.empty((h, w, 3), np.uint8)
        picture[: h // 2] = sky
        picture[h // 2 :] = road
        for z, x, tall, colour in boxes:
            z = (z - 0.22 * i) % 14 + 0.5
            near, far = 0.5 * h / z, 0.5 * h / (z + 1)
            cx, side = w / 2 + x * near, w / 2 + x * far
            front = np.array(
                [
                    [cx - near / 2, h / 2 + near / 2],
                    [cx + near / 2, h / 2 + near / 2],
                    [cx + near / 2, h / 2 - near * tall],
                    [cx - near / 2, h / 2 - near * tall],
                ]
            )
            edge = np.sign(-x) * 0.5
            flank = np.array(
                [
                    [cx + edge * near, h / 2 + near / 2],
                    [side + edge * far, h / 2 + far / 2],
                    [side + edge * far, h / 2 - far * tall],
                    [cx + edge * near, h / 2 - near * tall],
                ]
            )
            mist = min(1.0, z / 15)
            for face, shade in ((flank, 0.6), (front, 1.0)):
                cv2.fillConvexPoly(
                    picture,
                    np.round(face).astype(np.int32),
                    (colour * shade * (1 - mist) + sky * mist).tolist(),
                    cv2.LINE_AA,
                )
        out.append(picture)
    return np.stack(out)


def _puppets(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    """Figures with limbs before soft painted hills."""
    y, x = np.mgrid[:h, :w].astype(np.float32)
    hills = np.sin(x / w * rng.uniform(4, 9) + rng.uniform(0, 6)) * 0.1 + 0.55
    back = np.where(
        (y / h > hills)[..., None], rng.uniform(40, 180, 3), rng.uniform(120, 255, 3) - y[..., None] / h * 60
    )
    back = cv2.GaussianBlur(np.clip(back, 0, 255).astype(np.uint8), (0, 0), 1.5)
    people = [
        (
            rng.uniform(0.15, 0.85),
            rng.uniform(0.5, 0.75),
            rng.uniform(0.1, 0.22),
            rng.integers(30, 256, 3).tolist(),
            rng.uniform(0, 6),
        )
        for _ in range(3)
    ]
    out = []
    for i in range(FRAMES):
        picture = back.copy()
        for px, py, size, colour, phase in people:
            hip = np.array([px * w + 4 * i * np.sin(phase), py * h])
            reach, swing = size * h, np.sin(i * 0.9 + phase)
            neck = hip - (0, reach)
            for start, angle in (
                (hip, 0.5 * swing),
                (hip, -0.5 * swing),
                (neck, 0.9 + swing),
                (neck, -0.9 - swing),
            ):
                end = start + reach * np.array([np.sin(angle), np.cos(angle)])
                cv2.line(
                    picture,
                    tuple(np.round(start).astype(int).tolist()),
                    tuple(np.round(end).astype(int).tolist()),
                    colour,
                    max(3, int(reach / 6)),
                    cv2.LINE_AA,
                )
            cv2.line(
                picture,
                tuple(np.round(hip).astype(int).tolist()),
                tuple(np.round(neck).astype(int).tolist()),
                colour,
                max(5, int(reach / 3)),
                cv2.LINE_AA,
            )
            cv2.circle(
                picture,
                tuple(np.round(neck - (0, reach * 0.3)).astype(int).tolist()),
                int(reach * 0.3),
                (235, 200, 170),
                -1,
                cv2.LINE_AA,
            )
        out.append(picture)
    return np.stack(out)


def _paste(page: np.ndarray, text: str, x: int, y: int, px: int, ink: tuple[int, ...], font: int = 3) -> None:
    line = draw_line(text, "test", font, px, ink, 0)
    area = page[y : y + line.shape[0], x : x + line.shape[1]]
    line = line[: area.shape[0], : area.shape[1]]
    area[...] = (area * (1 - line[..., 3:]) + line[..., :3] * line[..., 3:]).astype(np.uint8)


def _editor(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    """A code editor with a side bar; a line is being typed."""
    page = np.full((h, w, 3), (30, 30, 46), np.uint8)
    page[:, : w // 5] = (24, 24, 37)
    for k in range(h // 15):
        _paste(page, words(rng, 1), 6, 4 + 15 * k, 10, (150, 160, 190))
        colour = ((137, 180, 250), (166, 227, 161), (205, 214, 244), (250, 179, 135))[int(rng.integers(4))]
        _paste(
            page,
            words(rng, int(rng.integers(1, 6))),
            w // 5 + 10 + 12 * int(rng.integers(4)),
            4 + 15 * k,
            11,
            colour,
        )
    text, row = words(rng, 8), 15 * (h // 30)
    out = []
    for i in range(FRAMES):
        picture = page.copy()
        picture[row : row + 15, w // 5 :] = (40, 42, 60)
        _paste(picture, text[: 2 * i + 1], w // 5 + 10, row + 2, 11, (255, 255, 255))
        out.append(picture)
    return np.stack(out)


def _browser(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    """A light page with pictures, headlines and a pop-up menu, scrolled in steps."""
    page = np.full((2 * h, w, 3), 255, np.uint8)
    for y in range(10, 2 * h - 70, 74):
        soft = cv2.resize(
            rng.integers(0, 256, (4, 6, 3), dtype=np.uint8), (90, 60), interpolation=cv2.INTER_CUBIC
        )
        page[y : y + 60, 12:102] = soft
        _paste(page, words(rng, 4), 112, y, 16, (20, 40, 150))
        for k in range(2):
            _paste(page, words(rng, 7), 112, y + 22 + 16 * k, 11, (60, 60, 60))
    out = []
    for i in range(FRAMES):
        top = min(h, 25 * (i // 4))
        picture = page[top : top + h].copy()
        picture[:22] = (222, 225, 230)
        cv2.rectangle(picture, (60, 4), (w - 60, 18), (255, 255, 255), -1)
        if i > 11:
            cv2.rectangle(picture, (w - 130, 22), (w - 10, 120), (245, 245, 245), -1)
            cv2.rectangle(picture, (w - 130, 22), (w - 10, 120), (160, 160, 160), 1)
        out.append(picture)
    return np.stack(out)


def _fractal(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    """A Julia set that turns slowly."""
    y, x = np.mgrid[-1 : 1 : h * 1j, -1.6 : 1.6 : w * 1j]
    tint, angle = rng.uniform(1, 9, 3), rng.uniform(0, 6)
    out = []
    for i in range(FRAMES):
        z, c = x + 1j * y, 0.7885 * np.exp(1j * (angle + 0.02 * i))
        steps = np.zeros((h, w))
        for _ in range(24):
            inside = np.abs(z) < 4
            z = np.where(inside, z * z + c, z)
            steps += inside
        out.append(((np.sin(steps[..., None] / tint) * 0.5 + 0.5) * 255).astype(np.uint8))
    return np.stack(out)


def _card(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    """A test card: grid, circle, grey steps, resolution wedges, a moving block."""
    card = np.full((h, w, 3), 128, np.uint8)
    for k in range(0, w, 24):
        cv2.line(card, (k, 0), (k, h), (230, 230, 230), 1)
    for k in range(0, h, 24):
        cv2.line(card, (0, k), (w, k), (230, 230, 230), 1)
    cv2.circle(card, (w // 2, h // 2), h // 2 - 6, (255, 255, 255), 2, cv2.LINE_AA)
    for k in range(10):
        cv2.rectangle(
            card, (w // 4 + k * w // 20, h // 3), (w // 4 + (k + 1) * w // 20, h // 3 + 40), (k * 28,) * 3, -1
        )
        cv2.rectangle(
            card,
            (w // 4 + k * w // 20, h // 2),
            (w // 4 + (k + 1) * w // 20, h // 2 + 40),
            rng.integers(0, 256, 3).tolist(),
            -1,
        )
    out = []
    for i in range(FRAMES):
        picture = card.copy()
        cv2.rectangle(picture, (10 * i, h - 40), (10 * i + 30, h - 20), (255, 255, 0), -1)
        out.append(picture)
    return np.stack(out)


def _album(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Photographs shown one after the other, by a push or a dissolve, or one that drifts."""
    h, w = frames.shape[1:3]
    first, second = frames[0], np.ascontiguousarray(frames[len(frames) // 2][:, ::-1])
    how = rng.choice(["hold", "push", "dissolve", "drift"])
    wide = cv2.resize(first, (int(w * 1.15), int(h * 1.15)), interpolation=cv2.INTER_CUBIC)
    out = []
    for i in range(FRAMES):
        late = float(np.clip((i - 10) / 3, 0, 1))
        if how == "push":
            shift = int(late * w)
            picture = np.concatenate([first, second], axis=1)[:, shift : shift + w]
        elif how == "dissolve":
            picture = cv2.addWeighted(first, 1 - late, second, late, 0)
        elif how == "drift":
            at = 0.13 * w * i / FRAMES
            picture = cv2.getRectSubPix(wide, (w, h), (float(w / 2 + at), float(h / 2 + at * h / w)))
        else:
            picture = first
        out.append(picture)
    return np.stack(out)
