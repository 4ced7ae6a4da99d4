"""Shots to train on: a camera that stands, drifts, pans, zooms, shakes or whips over footage, in some light, with distractors."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from worldfoundry.curate.labelled.footage import Footage
from worldfoundry.curate.labelled.transitions_distractors import DISTRACTORS, mix


@dataclass(frozen=True)
class Look:
    """Framing and light of a shot."""

    place: tuple[float, float]
    """Centre of the framing from the middle of the picture, in widths and heights."""
    zoom: float
    """Magnification."""
    roll: float
    """Degrees."""
    is_mirrored: bool
    """Left and right exchanged."""
    gain: float
    """Contrast; 1 leaves the light alone."""
    gamma: float
    """Exponent of the light."""
    lift: float
    """Black level."""
    is_grey: bool
    """Without colour."""

    def reframed(self, rng: np.random.Generator) -> "Look":
        """The same camera and light a little later: framed elsewhere, nearer, or just as before."""
        turn, far = rng.uniform(0, 2 * np.pi), rng.choice([0.0, 1.0, 1.0]) * rng.uniform(0.08, 0.35)
        place = (self.place[0] + far * float(np.cos(turn)), self.place[1] + far * float(np.sin(turn)))
        zoom = self.zoom * float(np.exp(rng.normal(0, 0.15) * (rng.random() < 0.5)))
        return replace(self, place=place, zoom=float(np.clip(zoom, 1.0, 1.8)))


def new_look(rng: np.random.Generator) -> Look:
    """Any framing and light; two in five leave the light alone."""
    x, y = rng.normal(0, 0.08, 2).tolist()
    gain, gamma, lift = rng.uniform(0.6, 1.25), float(np.exp(rng.normal(0, 0.3))), rng.uniform(0, 0.1)
    if rng.random() < 0.25:
        gain, gamma = rng.uniform(0.15, 0.4), rng.uniform(1, 1.6)
    if rng.random() < 0.4:
        gain, gamma, lift = 1.0, 1.0, 0.0
    roll = float(rng.normal(0, 1.5)) if rng.random() < 0.3 else 0.0
    return Look(
        (x, y),
        rng.uniform(1.0, 1.5),
        roll,
        bool(rng.random() < 0.5),
        gain,
        gamma,
        lift,
        bool(rng.random() < 0.1),
    )


def film_shot(
    rng: np.random.Generator, source: Footage, length: int, fps: float, size: tuple[int, int], look: Look
) -> np.ndarray:
    """A continuous piece of footage under a moving virtual camera, with a look and with distractors."""
    step = source.fps / fps * float(rng.choice([0.5, 1, 1, 1, 1.5, 2.5]))
    turn = 2 * len(source.frames) - 2
    position = rng.uniform(0, turn) + step * np.arange(length)
    index = np.abs((position.astype(int) + len(source.frames)) % max(turn, 1) - len(source.frames) + 1)
    frames = _camera(rng, source.frames[np.minimum(index, len(source.frames) - 1)], fps, size, look)
    frames = _graded(frames, look)
    chance = min(0.75, 0.2 + length / fps * 0.15)
    while rng.random() < chance and length > 8:
        frames = DISTRACTORS[int(rng.integers(len(DISTRACTORS)))](rng, frames, fps)
        chance *= 0.6
    return frames


def _camera(
    rng: np.random.Generator, frames: np.ndarray, fps: float, size: tuple[int, int], look: Look
) -> np.ndarray:
    t, h, w = frames.shape[:3]
    mode = rng.choice(["still", "still", "drift", "pan", "zoom", "shake", "whip"])
    clock = np.arange(t) / fps
    path, zoom, roll = np.tile(look.place, (t, 1)), np.full(t, look.zoom), np.full(t, look.roll)
    if mode in {"drift", "pan"}:
        path += clock[:, None] * rng.normal(0, 0.06 if mode == "drift" else 0.6, 2) * (1, 0.4)
    elif mode == "zoom":
        zoom *= np.exp(clock * rng.normal(0, 0.4)).clip(0.6, 2.5)
    elif mode == "shake":
        path += cv2.GaussianBlur(rng.normal(0, 0.06, (t, 2)), (1, 5), 0.8)
        roll += rng.normal(0, 0.6, t)
    elif mode == "whip" and t > 10:
        begin, took = int(rng.integers(1, t - 4)), max(2, int(fps * rng.uniform(0.1, 0.5)))
        ease = np.clip((np.arange(t) - begin) / took, 0, 1)
        path[:, 0] += rng.choice([-1, 1]) * rng.uniform(0.5, 1.6) * ease * ease * (3 - 2 * ease)
    fit = max(size[0] / w, size[1] / h)
    found = []
    for k, frame in enumerate(frames):
        m = cv2.getRotationMatrix2D(
            (w / 2 + path[k, 0] * w, h / 2 + path[k, 1] * h), float(roll[k]), float(fit * zoom[k])
        )
        m[:, 2] += (size[0] / 2 - w / 2 - path[k, 0] * w, size[1] / 2 - h / 2 - path[k, 1] * h)
        shown = cv2.warpAffine(frame, m, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        smear = abs(path[k, 0] - path[max(k - 1, 0), 0]) * size[0] * zoom[k] * 0.5
        found.append(cv2.blur(shown, (int(smear) | 1, 1)) if smear > 2 else shown)
    return np.stack(found)


def _graded(frames: np.ndarray, look: Look) -> np.ndarray:
    light = 255 * (look.lift + look.gain * (np.arange(256) / 255) ** look.gamma)
    frames = np.clip(light, 0, 255).astype(np.uint8)[frames]
    return np.repeat(frames.mean(3, keepdims=True), 3, 3).astype(np.uint8) if look.is_grey else frames


def card(rng: np.random.Generator, length: int, size: tuple[int, int]) -> np.ndarray:
    """A title on a plain ground, perhaps fading in and out."""
    ground = rng.integers(0, 256, 3) if rng.random() < 0.3 else np.zeros(3)
    picture = np.full((size[1], size[0], 3), ground, np.uint8)
    text = picture.copy()
    colour = tuple(int(c) for c in (255 - picture[0, 0]))
    words = "".join(rng.choice(list("ABCDEFGHIJ KLMNOPQR STUVW"), int(rng.integers(4, 14))))
    place = (int(size[0] * rng.uniform(0.05, 0.3)), int(size[1] * rng.uniform(0.3, 0.7)))
    cv2.putText(text, words, place, int(rng.integers(0, 5)), rng.uniform(0.3, 0.7), colour, 1, cv2.LINE_AA)
    fade = int(rng.integers(0, length // 3 + 1))
    shown = np.clip(np.minimum(np.arange(length), np.arange(length)[::-1]) / max(fade, 1), 0, 1)
    return mix(
        np.repeat(picture[None], length, 0),
        np.repeat(text[None], length, 0),
        shown if fade else np.ones(length),
    )
