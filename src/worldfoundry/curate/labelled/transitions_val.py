"""Labelled transitions to choose thresholds on: made frame by frame, blended in linear light.

Shares no code with ``transitions_train`` and ``transitions_test`` but the footage and the codec.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from worldfoundry.curate.labelled.footage import Footage
from worldfoundry.curate.labelled.recording import Recording, Truth, even_times, through_codec, uneven_times

Picture = np.ndarray
Shot = Callable[[int], Picture]
_FPS = (6.0, 10.0, 12.5, 15.0, 24.0, 25.0, 30.0, 30.0, 50.0, 60.0)
_SIZES = ((160, 90), (144, 108), (176, 74), (96, 144))


@dataclass(frozen=True)
class _Piece:
    """A shot and the way out of it."""

    shot: Shot
    length: int
    way: str
    took: int


def make(seed: int, footage: list[Footage]) -> Recording:
    """The video of a seed."""
    rng = np.random.default_rng([23, seed])
    fps, size = float(rng.choice(_FPS)), _SIZES[int(rng.integers(len(_SIZES)))]
    host = footage[seed % len(footage)]
    guests = [host, *(footage[int(k)] for k in rng.integers(len(footage), size=2))]
    total = int(min(320, fps * rng.uniform(7, 14)))
    pieces = [_Piece(_shot(rng, host, fps, size, total), total, "end", 0)]
    if seed % 4:
        pieces = list(_pieces(rng, guests, fps, size, total))
    frames, truths = _played(rng, pieces, fps)
    stack = np.stack(frames)
    if rng.random() < 0.2:
        bar = stack.shape[1] // 9
        stack[:, :bar] = stack[:, -bar:] = 0
    if rng.random() < 0.2:
        stack = (stack * 0.3).astype(np.uint8)
    times = uneven_times(rng, len(stack), fps) if rng.random() < 0.15 else even_times(len(stack), fps)
    codec = "libsvtav1" if rng.random() < 0.2 else "libx264"
    decoded, seconds = through_codec(stack, times, codec, int(rng.integers(20, 39)))
    return Recording(f"validation-{seed}", host.group, decoded, seconds, tuple(truths))


def _pieces(
    rng: np.random.Generator, sources: list[Footage], fps: float, size: tuple[int, int], total: int
) -> Iterator[_Piece]:
    used = before = 0
    while used < total:
        length = max(4, int(fps * rng.gamma(3, 0.8)))
        if rng.random() < 0.04:
            length = 1
        source = sources[int(rng.integers(len(sources)))]
        way = str(rng.choice(["cut", "cut", "cut", "dissolve", "fade", "wipe"]))
        took = int(np.clip(fps * rng.uniform(0.15, 2.0), 4, 60))
        if length > 1:  # some frames of each shot are its own
            length = max(length, before + took + max(4, int(0.2 * fps)))
            before = took
        yield _Piece(_shot(rng, source, fps, size, length), length, way if length > 3 else "cut", took)
        used += length


def _shot(rng: np.random.Generator, source: Footage, fps: float, size: tuple[int, int], length: int) -> Shot:
    """A crop window that drifts over the footage, with at most one distractor."""
    t, h, w = source.frames.shape[:3]
    begin, rate = rng.uniform(0, t), source.fps / fps * rng.choice([0.7, 1, 1.4])
    portion = rng.uniform(0.55, 0.95)
    centre, drift = rng.uniform(0, 1, 2), rng.normal(0, 1, 2) * rng.choice([0, 0.05, 0.2, 0.9]) / fps
    distract = _distractor(rng, length, fps)

    def at(k: int) -> Picture:
        x = int(abs(begin + rate * k) % (2 * t - 1))
        frame = source.frames[min(x, 2 * t - 2 - x) if x >= t else x]
        # The window bounces off the border of the picture instead of leaving it.
        u, v = 1 - np.abs(1 - (centre + drift * k) % 2)
        left, top = int(u * w * (1 - portion)), int(v * h * (1 - portion))
        part = frame[top : top + int(h * portion), left : left + int(w * portion)]
        return distract(k, cv2.resize(part, size, interpolation=cv2.INTER_AREA))

    return at


def _distractor(rng: np.random.Generator, length: int, fps: float) -> Callable[[int, Picture], Picture]:
    name = str(rng.choice(["none", "none", "lamp", "banner", "passer", "ramp", "tremble", "repeat"]))
    start, took = int(rng.integers(0, max(1, length))), max(2, int(fps * rng.uniform(0.1, 0.8)))
    phase, colour = rng.uniform(0, 6), tuple(int(c) for c in rng.integers(0, 256, 3))
    amount = rng.uniform(0.4, 1.0)
    kept: list[Picture] = []

    def apply(k: int, picture: Picture) -> Picture:
        since = k - start
        h, w = picture.shape[:2]
        if name == "lamp" and 0 <= since < 3:
            return np.clip(picture + 255.0 * amount * 0.6**since, 0, 255).astype(np.uint8)
        if name == "banner" and since >= 0:
            picture = picture.copy()
            cv2.rectangle(picture, (w // 12, h * 7 // 10), (w * 11 // 12, h * 9 // 10), colour, -1)
            cv2.putText(picture, "Live report", (w // 8, h * 17 // 20), 2, 0.45, (250, 250, 250), 1)
        elif name == "passer" and 0 <= since <= took:
            picture = picture.copy()
            x = int((since / took * 1.8 - 0.4) * w)
            cv2.ellipse(
                picture,
                (x, h // 2),
                (int(w * 0.4 * amount), int(h * 0.7)),
                8,
                0,
                360,
                colour,
                -1,
                cv2.LINE_AA,
            )
        elif name == "ramp" and since >= 0:
            return np.clip(picture * (1 + (amount - 0.9) * min(1, since / took)), 0, 255).astype(np.uint8)
        elif name == "tremble":
            shift = (int(5 * np.sin(2.1 * k + phase)), int(4 * np.cos(3.7 * k)))
            return np.roll(picture, shift, (1, 0))
        elif name == "repeat" and k % 4 == 1 and kept:
            return kept[0]
        kept[:] = [picture]
        return picture

    return apply


def _played(rng: np.random.Generator, pieces: list[_Piece], fps: float) -> tuple[list[Picture], list[Truth]]:
    frames: list[Picture] = []
    truths: list[Truth] = []
    skip = 0
    for piece, follows in zip(pieces, [*pieces[1:], None], strict=True):
        last = follows is None
        overlap = 0 if last else min(piece.took, piece.length - skip - 1, follows.length - 1)
        gradual = piece.way in {"dissolve", "wipe"} and overlap >= 4
        stop = piece.length - (overlap if gradual else 0)
        own = [piece.shot(k) for k in range(skip, stop)]
        skip = 0
        if follows is not None and len(own) and _alike(own[-1], follows.shot(0)):
            # What cannot be seen is not a transition: black out instead.
            gradual, piece = False, _Piece(piece.shot, piece.length, "fade", piece.took)
            own += [piece.shot(k) for k in range(stop, piece.length)]
        if last:
            frames += own
        elif gradual and follows is not None:
            mix = _dissolve if piece.way == "dissolve" else _WIPES[int(rng.integers(len(_WIPES)))]
            first = len(frames) + len(own)
            shares = (np.arange(overlap) + 1) / (overlap + 1)
            both = [mix(piece.shot(stop + k), follows.shot(k), float(s)) for k, s in enumerate(shares)]
            frames += own + both
            truths.append(Truth(first, first + overlap, "dissolve" if piece.way == "dissolve" else "wipe"))
            skip = overlap
        elif piece.way == "fade" and len(own) > 2 and follows is not None:
            out = min(len(own) - 1, piece.took)
            hold = int(rng.choice([0, 2, int(fps / 2)]))
            light = rng.random() < 0.2
            own[-out:] = [_faded(p, 1 - (k + 1) / out, light) for k, p in enumerate(own[-out:])]
            first = len(frames) + len(own) - out
            frames += own + [_faded(own[-1], 0.0, light)] * hold
            back = min(follows.length - 1, max(1, int(piece.took * rng.uniform(0.3, 1.5))))
            frames += [_faded(follows.shot(k), (k + 1) / (back + 1), light) for k in range(back)]
            truths.append(Truth(first, len(frames), "fade"))
            skip = back
        else:
            frames += own
            truths.append(Truth(len(frames), len(frames), "cut"))
    return frames, truths


def _alike(a: Picture, b: Picture) -> bool:
    return float(np.abs(a.astype(np.int16) - b).mean()) < 7


def _faded(picture: Picture, level: float, light: bool) -> Picture:
    ground = 255.0 if light else 0.0
    return (ground + (picture - ground) * level).clip(0, 255).astype(np.uint8)


def _dissolve(old: Picture, new: Picture, share: float) -> Picture:
    a, b = (p.astype(np.float32) ** 2.2 for p in (old, new))
    return ((a + (b - a) * share) ** (1 / 2.2)).clip(0, 255).astype(np.uint8)


def _blinds(old: Picture, new: Picture, share: float) -> Picture:
    w = old.shape[1]
    column = (np.arange(w) % (w // 5)) / (w // 5)
    return np.where((column < share)[None, :, None], new, old)


def _diagonal(old: Picture, new: Picture, share: float) -> Picture:
    h, w = old.shape[:2]
    place = (np.arange(w)[None] / w + np.arange(h)[:, None] / h) / 2
    return np.where((place < share)[..., None], new, old)


def _lift(old: Picture, new: Picture, share: float) -> Picture:
    y = int(old.shape[0] * share)
    return np.concatenate([old[y:], new[:y]])


_WIPES = (_blinds, _diagonal, _lift)
