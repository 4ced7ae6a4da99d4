"""What looks like a transition and is none, for training: flashes, flares, occluders, captions, light, stutter, objects.

Each takes frames uint8 [t, h, w, 3] of one shot and gives as many.
"""

import cv2
import numpy as np

from worldfoundry.curate.labelled.footage import texture


def mix(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """From ``a`` to ``b`` by a share [t] or [t, h, w]."""
    weight = share.reshape(len(share), 1, 1, 1) if share.ndim == 1 else share[..., None]
    return (a + (b.astype(np.float32) - a) * weight).round().clip(0, 255).astype(np.uint8)


def _flash(rng: np.random.Generator, frames: np.ndarray, _fps: float) -> np.ndarray:
    frames = frames.copy()
    for _ in range(int(rng.integers(1, 4))):
        begin, took = int(rng.integers(1, len(frames) - 3)), int(rng.integers(1, 4))
        light = np.full(3, 255.0) if rng.random() < 0.7 else rng.uniform(0, 255, 3)
        strength = rng.uniform(0.3, 1.0, took) * np.linspace(1, rng.uniform(0.2, 1), took)
        part = frames[begin : begin + took]
        frames[begin : begin + took] = mix(
            part, np.broadcast_to(light.astype(np.uint8), part.shape), strength[: len(part)]
        )
    return frames


def _flare(rng: np.random.Generator, frames: np.ndarray, fps: float) -> np.ndarray:
    t, h, w = frames.shape[:3]
    y, x = np.mgrid[:h, :w].astype(np.float32)
    begin, took = int(rng.integers(0, t - 4)), max(3, int(fps * rng.uniform(0.2, 1.5)))
    size, way = rng.uniform(0.1, 0.5) * w, rng.uniform(-0.2, 1.2, (2, 2)) * (w, h)
    share = np.zeros((t, h, w), np.float32)
    for k in range(begin, min(t, begin + took)):
        a = (k - begin) / took
        px, py = way[0] * (1 - a) + way[1] * a
        share[k] = np.sin(np.pi * a) * np.exp(-((x - px) ** 2 + (y - py) ** 2) / size**2)
    return mix(frames, np.full_like(frames, (255, 240, 210)), share)


def _occluder(rng: np.random.Generator, frames: np.ndarray, fps: float) -> np.ndarray:
    frames = frames.copy()
    t, h, w = frames.shape[:3]
    begin, took = int(rng.integers(0, t - 4)), max(2, int(fps * rng.uniform(0.1, 1.0)))
    wide = int(w * rng.uniform(0.3, 1.2))
    colour = rng.integers(0, 200, 3) + rng.normal(0, 25, (h // 8 + 1, wide // 8 + 1, 1))
    body = cv2.resize(np.clip(colour, 0, 255).astype(np.uint8), (wide, h), interpolation=cv2.INTER_CUBIC)
    for k in range(begin, min(t, begin + took)):
        left = int(-wide + (w + wide) * (k - begin + 0.5) / took)
        a, b = max(left, 0), min(left + wide, w)
        if b > a:
            frames[k, :, a:b] = body[:, a - left : b - left]
    return frames


def _caption(rng: np.random.Generator, frames: np.ndarray, fps: float) -> np.ndarray:
    frames = frames.copy()
    t, h = frames.shape[:2]
    begin = int(rng.integers(1, t - 2))
    stop = min(t, begin + int(fps * rng.uniform(0.3, 3)) + 1)
    top = int(h * rng.uniform(0.05, 0.85))
    height, colour = int(h * rng.uniform(0.08, 0.25)), tuple(int(c) for c in rng.integers(0, 256, 3))
    for k in range(begin, stop):
        part = frames[k, top : top + height]
        frames[k, top : top + height] = part // 4 if height % 2 else colour
        cv2.putText(
            frames[k], "BREAKING NEWS 24", (4, top + height - 2), begin % 5, height / 34, (255, 255, 255), 1
        )
    return frames


def _exposure(rng: np.random.Generator, frames: np.ndarray, fps: float) -> np.ndarray:
    t = len(frames)
    begin, took = int(rng.integers(0, t - 2)), max(1, int(fps * rng.uniform(0.03, 1.5)))
    ramp = np.clip((np.arange(t) - begin) / took, 0, 1)
    gain = 1 + (rng.uniform(0.45, 1.8) - 1) * ramp
    return (frames * gain[:, None, None, None]).clip(0, 255).astype(np.uint8)


def _stutter(rng: np.random.Generator, frames: np.ndarray, _fps: float) -> np.ndarray:
    index = np.arange(len(frames))
    if rng.random() < 0.5:
        every = int(rng.integers(2, 6))
        index = index // every * every
    else:
        begin = int(rng.integers(0, len(frames) - 3))
        index = np.where(index < begin, index, np.maximum(begin, index - int(rng.integers(1, 8))))
    return frames[index]


def _object(rng: np.random.Generator, frames: np.ndarray, fps: float) -> np.ndarray:
    frames = frames.copy()
    t, h, w = frames.shape[:3]
    size = int(min(h, w) * rng.uniform(0.2, 0.7))
    body = cv2.resize(
        rng.integers(0, 256, (5, 5, 3)).astype(np.uint8), (size, size), interpolation=cv2.INTER_CUBIC
    )
    rate, phase = rng.uniform(1, 14, 2) / fps, rng.uniform(0, 6, 2)
    for k in range(t):
        x, y = ((0.5 + 0.5 * np.sin(rate * k + phase)) * (w - size, h - size)).astype(int)
        frames[k, y : y + size, x : x + size] = body
    return frames


def _visitor(rng: np.random.Generator, frames: np.ndarray, fps: float) -> np.ndarray:
    """Something large with a texture comes in slowly, as a car or an arm does, and stays or goes on: no wipe."""
    t, h, w = frames.shape[:3]
    high, wide = int(h * rng.uniform(0.4, 1.3)), int(w * rng.uniform(0.25, 0.8))
    picture = np.roll(frames[int(rng.integers(t))], int(w * rng.uniform(0.2, 0.8)), 1)
    body = cv2.resize(picture[:, : w // 2], (wide, high)) // 2 + rng.integers(0, 128, 3).astype(np.uint8)
    mask = np.zeros((high, wide), np.uint8)
    cv2.ellipse(mask, (wide // 2, high // 2), (wide // 2, high // 2), 0, 0, 360, 255, -1)
    if rng.random() < 0.5:
        cv2.rectangle(mask, (wide // 8, 0), (wide * 7 // 8, high), 255, -1)
    side = rng.normal(0, 1, 2)
    away = side / np.abs(side).max() * ((w + wide) / 2, (h + high) / 2)
    rest = rng.uniform(-0.3, 0.3, 2) * (w, h)
    begin, took = rng.uniform(-0.2, 0.7) * t, fps * np.exp(rng.uniform(np.log(0.3), np.log(3)))
    leaves = rng.random() < 0.5
    found = []
    for k, frame in enumerate(frames):
        share = (k - begin) / took
        share = share if leaves else min(share, 1.0)
        x, y = (rest + away * (1 - share) + (w / 2, h / 2) - (wide / 2, high / 2)).astype(int).tolist()
        found.append(_laid_on(frame, body, mask, x, y))
    return np.stack(found)


def _laid_on(frame: np.ndarray, body: np.ndarray, mask: np.ndarray, x: int, y: int) -> np.ndarray:
    h, w = frame.shape[:2]
    a, b, c, d = max(x, 0), min(x + body.shape[1], w), max(y, 0), min(y + body.shape[0], h)
    if a >= b or c >= d:
        return frame
    frame = frame.copy()
    part = np.s_[c - y : d - y, a - x : b - x]
    frame[c:d, a:b] = np.where(mask[part][..., None] > 0, body[part], frame[c:d, a:b])
    return frame


def _passer(rng: np.random.Generator, frames: np.ndarray, fps: float) -> np.ndarray:
    """A thing with a texture crosses the picture from any side, fast or slowly, alone or after another."""
    frames = frames.copy()
    t, h, w = frames.shape[:3]
    for _ in range(int(rng.integers(1, 4))):
        width, height = int(w * rng.uniform(0.15, 1.1)), int(h * rng.uniform(0.2, 1.2))
        body = texture(rng, width, height)
        shape = np.zeros((height, width), np.uint8)
        if rng.random() < 0.6:
            cv2.ellipse(shape, (width // 2, height // 2), (width // 2, height // 2), 0, 0, 360, 1, -1)
        else:
            shape[:] = 1
        turn = rng.uniform(0, 2 * np.pi)
        way = np.array([np.cos(turn) * (w + width), np.sin(turn) * (h + height)]) / 2
        way /= np.abs(way / (w + width, h + height)).max() * 2
        middle = np.array([w, h]) * rng.uniform(0.25, 0.75, 2)
        begin, took = int(rng.integers(-4, t - 2)), max(2, int(fps * np.exp(rng.uniform(-1.6, 1.4))))
        for k in range(max(begin, 0), min(t, begin + took)):
            x, y = (middle + way * (2 * (k - begin) / took - 1) - (width / 2, height / 2)).astype(int)
            a, b, c, d = max(x, 0), min(x + width, w), max(y, 0), min(y + height, h)
            if b > a and d > c:
                inside = (slice(c - y, d - y), slice(a - x, b - x))
                frames[k, c:d, a:b] = np.where(shape[inside][..., None], body[inside], frames[k, c:d, a:b])
    return frames


DISTRACTORS = (_flash, _flash, _flare, _occluder, _caption, _exposure, _stutter, _object, _visitor, _visitor)
"""What looks like a transition and is none."""
