"""Labelled transitions to train on; ``transitions_val`` and ``transitions_test`` are other code on other footage.

A video is a list of shots, each with its own camera, light and distractors, joined by cuts and gradual transitions, with
faults of the recording over the whole, through a codec. ``make_small`` composes at the size of thumbnails, with a rough
stand-in for a codec: a tenth of the cost.
"""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from worldfoundry.curate.detect.shot_features import THUMB
from worldfoundry.curate.labelled.footage import Footage
from worldfoundry.curate.labelled.recording import Recording, Truth, even_times, through_codec, uneven_times
from worldfoundry.curate.labelled.transitions_distractors import mix
from worldfoundry.curate.labelled.transitions_mixes import dissolved, wiped
from worldfoundry.curate.labelled.transitions_shots import card, film_shot, new_look

FPS = (4, 5, 8, 10, 12.5, 15, 20, 24, 24, 25, 25, 29.97, 30, 30, 30, 48, 50, 60)
"""Rates that are drawn from."""
SIZES = ((160, 90), (160, 90), (128, 96), (90, 160), (192, 80), (192, 108), (112, 112))
"""Columns and rows that are drawn from."""
SMALL_SIZES = ((80, 45), (80, 45), (64, 36), (64, 48), (44, 80), (88, 36), (56, 56))
"""The same for videos that are composed small."""
SMALL_COLUMNS = 104
"""Width of the footage that those are composed from."""
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
    group, film = _composed(rng, footage, SIZES[int(rng.integers(len(SIZES)))])
    frames, truths = _spoiled(rng, film)
    codec = "libsvtav1" if rng.random() < 0.12 else "libx264"
    decoded, seconds = through_codec(frames, _times(rng, film), codec, int(rng.integers(20, 39)))
    return Recording(f"train-{seed}", group, decoded, seconds, truths)


def make_small(seed: int, footage: list[Footage]) -> Recording:
    """The video of a seed in thumbnails; ``footage`` as ``shrunk`` gives it."""
    rng = np.random.default_rng([12, seed])
    group, film = _composed(rng, footage, SMALL_SIZES[int(rng.integers(len(SMALL_SIZES)))])
    frames, truths = _spoiled(rng, film)
    thumbs = np.stack([cv2.resize(f, THUMB, interpolation=cv2.INTER_AREA) for f in frames])
    return Recording(f"small-{seed}", group, _coarse(rng, thumbs), _times(rng, film), truths)


def shrunk(footage: Footage) -> Footage:
    """The same footage, ``SMALL_COLUMNS`` wide."""
    h, w = footage.frames.shape[1:3]
    size = (SMALL_COLUMNS, round(h * SMALL_COLUMNS / w))
    return replace(
        footage, frames=np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in footage.frames])
    )


def _coarse(rng: np.random.Generator, thumbs: np.ndarray) -> np.ndarray:
    """What a codec does to thumbnails: small changes wait for the next key frame, steps are rounded, light wavers."""
    least, step = rng.uniform(0, 4), float(rng.choice([1, 2, 3, 4]))
    every = int(rng.choice([12, 30, 50, 250, 1000]))
    found = np.empty_like(thumbs)
    kept = thumbs[0].astype(np.float32)
    for k, thumb in enumerate(thumbs):
        change = thumb - kept
        if k % every:
            quiet = cv2.blur(np.abs(change).max(2), (4, 4)) < least
            change[quiet] = 0
        kept = kept + np.round(change / step) * step
        found[k] = kept.round().clip(0, 255)
    return found


def _composed(rng: np.random.Generator, footage: list[Footage], size: tuple[int, int]) -> tuple[str, "_Film"]:
    """Shots joined by transitions, and the source that they mostly come from."""
    fps = float(rng.choice(FPS))
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
    return host.group, film


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
            dissolved(rng, old, shot[:took], ramp)
            if kind == "dissolve"
            else wiped(rng, old, shot[:took], ramp)
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


def _times(rng: np.random.Generator, film: _Film) -> np.ndarray:
    t = len(film.frames)
    return uneven_times(rng, t, film.fps) if rng.random() < 0.15 else even_times(t, film.fps)


def _spoiled(rng: np.random.Generator, film: _Film) -> tuple[np.ndarray, tuple[Truth, ...]]:
    """Faults over the whole, opening and closing fades."""
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
    return frames, tuple(truths)
