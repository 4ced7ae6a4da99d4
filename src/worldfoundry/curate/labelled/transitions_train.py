"""Labelled transitions to train on; ``transitions_val`` and ``transitions_test`` are other code on other footage.

A video is a list of shots, each with its own camera, light and distractors, joined by cuts and gradual transitions, with
faults of the recording over the whole, through a codec.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from worldfoundry.curate.labelled.footage import Footage
from worldfoundry.curate.labelled.recording import Recording, Truth, even_times, through_codec, uneven_times
from worldfoundry.curate.labelled.transitions_distractors import mix
from worldfoundry.curate.labelled.transitions_shots import card, film_shot, new_look

FPS = (4, 5, 8, 10, 12.5, 15, 20, 24, 24, 25, 25, 29.97, 30, 30, 30, 48, 50, 60)
"""Rates that are drawn from."""
SIZES = ((160, 90), (160, 90), (128, 96), (90, 160), (192, 80), (192, 108), (112, 112))
"""Columns and rows that are drawn from."""
MAX_FRAMES = 380
"""Length of a video, about."""


@dataclass
class _Film:
    """Grows shot by shot."""

    fps: float
    frames: list[np.ndarray] = field(default_factory=list)
    truths: list[Truth] = field(default_factory=list)


def make(seed: int, footage: list[Footage]) -> Recording:
    """The video of a seed."""
    rng = np.random.default_rng([11, seed])
    fps, size = float(rng.choice(FPS)), SIZES[int(rng.integers(len(SIZES)))]
    film = _Film(fps)
    host = footage[int(rng.integers(len(footage)))]
    single = rng.random() < 0.2
    wanted = min(MAX_FRAMES, int(fps * rng.uniform(6, 16)))
    previous, look = host, new_look(rng)
    while len(film.frames) < wanted:
        source = previous if rng.random() < 0.5 else footage[int(rng.integers(len(footage)))]
        # Half of the pairs from one source are jump cuts: the same camera and light, another moment or framing.
        look = look.reframed(rng) if source is previous and rng.random() < 0.5 else new_look(rng)
        length = int(np.clip(fps * np.exp(rng.uniform(np.log(0.4), np.log(5))), 3, wanted))
        if single:
            source, length = host, wanted
        if rng.random() < 0.05 and film.frames:
            length = int(rng.integers(1, 4))
        shot = (
            card(rng, length, size)
            if rng.random() < 0.07 and not single
            else film_shot(rng, source, length, fps, size, look)
        )
        join(rng, film, shot)
        previous = source
    return finish(rng, f"train-{seed}", host.group, film)


def join(rng: np.random.Generator, film: _Film, shot: np.ndarray) -> None:
    """Append a shot by some transition; a pair that can hardly be told apart is not joined at all."""
    if not film.frames:
        film.frames.extend(shot)
        return
    room = min(len(shot), len(film.frames) - (film.truths[-1].stop if film.truths else 0)) - 1
    difference = np.abs(film.frames[-1].astype(np.int16) - shot[0]).mean()
    if difference < 7:
        return
    kind = rng.choice(["cut", "dissolve", "fade", "wipe"], p=[0.46, 0.2, 0.19, 0.15])
    took = int(np.clip(film.fps * np.exp(rng.uniform(np.log(0.16), np.log(2.6))), 2, 90))
    at = len(film.frames)
    if kind in {"dissolve", "wipe"} and min(took, room) >= 2:
        took = min(took, room)
        ramp = (np.arange(took) + 1) / (took + 1)
        old = np.stack(film.frames[-took:])
        film.frames[-took:] = list(
            mix(old, shot[:took], ramp) if kind == "dissolve" else _wiped(rng, old, shot[:took], ramp)
        )
        film.frames.extend(shot[took:])
        film.truths.append(Truth(at - took, at, kind))
    elif kind == "fade" and room >= 2:
        _fade(rng, film, shot, took, room)
    else:
        if rng.random() < 0.2:
            shot = (
                (shot * np.clip(film.frames[-1].mean() / (shot[0].mean() + 1), 0.5, 1.8))
                .clip(0, 255)
                .astype(np.uint8)
            )
        film.truths.append(Truth(at, at, "cut"))
        film.frames.extend(shot)


def _fade(rng: np.random.Generator, film: _Film, shot: np.ndarray, took: int, room: int) -> None:
    """Down to one colour, hold, and up again; one of the two may be a cut."""
    down, up = (min(max(2, int(took * rng.uniform(0.3, 1.2))), room) for _ in range(2))
    form = rng.random()
    down, up = (0, up) if form < 0.15 else (down, 0) if form < 0.3 else (down, up)
    hold = int(film.fps * rng.choice([0, 0, 0.1, 0.4, 1.2]) * rng.uniform(0.5, 1)) + (min(down, up) == 0)
    colour = np.zeros(3, np.uint8) if rng.random() < 0.75 else np.full(3, 255, np.uint8)
    if rng.random() < 0.08:
        colour = rng.integers(0, 256, 3).astype(np.uint8)
    plain = np.broadcast_to(colour, shot[0].shape)
    at = len(film.frames)
    if down:
        old = np.stack(film.frames[-down:])
        film.frames[-down:] = list(
            mix(old, np.broadcast_to(plain, old.shape), (np.arange(down) + 1) / (down + 1))
        )
    film.frames.extend([plain.copy()] * hold)
    if up:
        shot = shot.copy()
        shot[:up] = mix(np.broadcast_to(plain, shot[:up].shape), shot[:up], (np.arange(up) + 1) / (up + 1))
    cuts = (() if down else (at,)) + (() if up else (at + hold,))
    film.truths.append(Truth(at - down, at + hold + up, "fade", cuts))
    film.frames.extend(shot)


def _wiped(rng: np.random.Generator, old: np.ndarray, new: np.ndarray, ramp: np.ndarray) -> np.ndarray:
    form = str(
        rng.choice(["line", "line", "soft", "push", "cover", "box", "field", "field", "angle", "stripes"])
    )
    if form in {"push", "cover"}:
        return _slid(rng, old, new, ramp, is_push=form == "push")
    h, w = old.shape[1:3]
    place = _order(rng, form, h, w)
    place = 1 - place if rng.random() < 0.5 else place
    edge = rng.uniform(0.05, 0.3) if form == "soft" else 0.01
    return mix(old, new, np.clip((ramp[:, None, None] * (1 + edge) - place) / edge, 0, 1))


def _order(rng: np.random.Generator, form: str, h: int, w: int) -> np.ndarray:
    """When each pixel changes, 0 to 1."""
    y, x = np.mgrid[:h, :w].astype(np.float32)
    if form == "box":
        return np.maximum(np.abs(x / w - 0.5), np.abs(y / h - 0.5)) * 2
    if form == "angle":
        turn, (cx, cy) = rng.uniform(0, 1), rng.uniform(0.2, 0.8, 2)
        return (np.arctan2(y - cy * h, x - cx * w) / (2 * np.pi) + turn) % 1.0
    if form == "field":
        # Any smooth order of the pixels: spots, stripes and shapes that have no name.
        coarse = rng.random((int(rng.integers(2, 6)), int(rng.integers(2, 9)))).astype(np.float32)
        field_ = cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC)
        return (field_ - field_.min()) / (np.ptp(field_) + 1e-6)
    if form == "stripes":
        place = (x / w if rng.random() < 0.7 else y / h) * rng.uniform(2, 9)
        return np.abs(place % 2 - 1) if rng.random() < 0.5 else place % 1.0
    slope = rng.normal(0, 0.7)
    line = x / w + slope * y / h if rng.random() < 0.6 else y / h + slope * x / w
    return (line - line.min()) / np.ptp(line)


def _slid(
    rng: np.random.Generator, old: np.ndarray, new: np.ndarray, ramp: np.ndarray, *, is_push: bool
) -> np.ndarray:
    """The new picture comes in from a side and pushes the old one out, or covers it."""
    axis, is_back = int(rng.integers(2)), rng.random() < 0.5
    found = []
    for a, b, share in zip(old, new, ramp, strict=True):
        if is_back:
            a, b = np.flip(a, axis), np.flip(b, axis)
        length = a.shape[axis]
        n = int(length * share)
        rest = np.take(a, range(n, length) if is_push else range(length - n), axis)
        joined = np.concatenate([rest, np.take(b, range(n), axis)], axis)
        found.append(np.flip(joined, axis) if is_back else joined)
    return np.stack(found)


def finish(rng: np.random.Generator, name: str, group: str, film: _Film) -> Recording:
    """Faults over the whole, opening and closing fades, codec."""
    frames, truths = np.stack(film.frames), list(film.truths)
    t, h, w = frames.shape[:3]
    edge = max(2, int(film.fps * rng.uniform(0.2, 1.5)))
    free = min([x.first for x in truths], default=t), t - max([x.stop for x in truths], default=0)
    if rng.random() < 0.2 and edge < free[0]:
        frames[:edge] = (frames[:edge] * (np.arange(edge) / edge)[:, None, None, None]).astype(np.uint8)
        truths.insert(0, Truth(0, edge, "fade", ignored=True))
    if rng.random() < 0.2 and edge < free[1] - 1:
        frames[-edge:] = (frames[-edge:] * (np.arange(edge)[::-1] / edge)[:, None, None, None]).astype(
            np.uint8
        )
        truths.append(Truth(t - edge, t, "fade", ignored=True))
    if rng.random() < 0.2:
        bar = int(h * rng.uniform(0.06, 0.16))
        frames[:, :bar] = frames[:, h - bar :] = 0
    if rng.random() < 0.2:
        grain = rng.normal(0, rng.uniform(2, 9), (4, h, w, 1)).astype(np.float32)
        frames = (frames + grain[rng.integers(0, 4, t)]).clip(0, 255).astype(np.uint8)
    times = uneven_times(rng, t, film.fps) if rng.random() < 0.15 else even_times(t, film.fps)
    codec = "libsvtav1" if rng.random() < 0.12 else "libx264"
    decoded, seconds = through_codec(frames, times, codec, int(rng.integers(20, 39)))
    return Recording(name, group, decoded, seconds, tuple(truths))
