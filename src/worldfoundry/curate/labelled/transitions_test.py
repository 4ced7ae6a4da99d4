"""Labelled transitions to judge by: layers on a clock of seconds, seen through a lens, sampled at any frame times.

A shot is a function of time, so that variable rates sample motion and mixtures where they really are. Shares no code with
``transitions_train`` and ``transitions_val`` but the footage and the codec; kinds of wipes, light and camera differ.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from worldfoundry.curate.labelled.footage import Footage
from worldfoundry.curate.labelled.recording import (
    Kind,
    Recording,
    Truth,
    even_times,
    through_codec,
    uneven_times,
)

_KINDS: tuple[Kind, ...] = ("cut", "dissolve", "fade", "wipe")
_RATES = (5.0, 8.0, 12.0, 15.0, 23.976, 24.0, 25.0, 29.97, 30.0, 50.0, 60.0)
_FORMATS = ((176, 98), (160, 120), (200, 84), (108, 192), (160, 90))


@dataclass
class _Shot:
    """Footage seen through a camera, with events."""

    source: Footage
    size: tuple[int, int]
    start_s: float
    speed: float
    corners: np.ndarray
    drift: np.ndarray
    whip: tuple[float, float, float]
    event: str
    when_s: float
    lasts_s: float
    tint: np.ndarray
    gain: float = 1.0
    mirrored: bool = False

    def at(self, t: float) -> np.ndarray:
        """The picture at ``t`` seconds after the shot's start."""
        begin, lasts, way = self.whip
        if lasts and begin < t < begin + lasts:
            blur = [self._seen(t + d * lasts / 40, way) for d in range(5)]
            picture = np.mean(blur, 0)
        else:
            picture = self._seen(t, way if lasts else 0.0).astype(np.float32)
        picture = self._eventful(picture * self.gain, t)
        return picture.clip(0, 255).astype(np.uint8)

    def _seen(self, t: float, way: float) -> np.ndarray:
        if self.event == "stutter" and self.when_s < t:
            t = np.floor(t * 6) / 6
        frames = self.source.frames
        k = int((self.start_s + t * self.speed) * self.source.fps) % (2 * len(frames))
        frame = frames[min(k, 2 * len(frames) - 1 - k)]
        begin, lasts, _ = self.whip
        eased = (1 - np.cos(np.pi * np.clip((t - begin) / lasts, 0, 1))) / 2 if lasts else 0.0
        move = self.drift * t + (way * eased, 0)
        if self.event == "handheld":
            move = move + 0.02 * np.array(
                [np.sin(11 * t) + np.sin(23 * t + 1), np.cos(14 * t) + np.sin(31 * t)]
            )
        h, w = frame.shape[:2]
        wanted = ((self.corners + move) * (w, h)).astype(np.float32)
        width, height = self.size
        target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        m = cv2.getPerspectiveTransform(wanted, target)
        shown = cv2.warpPerspective(
            frame, m, self.size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        return shown[:, ::-1] if self.mirrored else shown

    def _eventful(self, picture: np.ndarray, t: float) -> np.ndarray:
        since, (width, height) = t - self.when_s, self.size
        share = since / self.lasts_s
        if self.event == "flash" and 0 <= since < 0.12:
            return picture + self.tint * 1.6 * np.exp(-since * 18)
        if self.event == "strobe" and 0 <= share < 1 and int(since * 12) % 2:
            return picture + 170
        if self.event == "streak" and 0 <= share < 1:
            y = np.arange(height)[:, None, None] - height * 0.5
            x = np.arange(width)[None, :, None] - width * share
            return picture + self.tint * np.exp(-np.abs(y) / 8 - np.abs(x) / width * 4)
        if self.event == "passer" and -0.1 < share < 1.1:
            mask = np.zeros((height, width), np.uint8)
            x = int((share * 1.9 - 0.45) * width)
            cv2.ellipse(
                mask, (x, int(height * 0.6)), (int(width * 0.33), int(height * 0.62)), 0, 0, 360, 255, -1
            )
            return np.where(mask[..., None] > 0, self.tint * 0.5, picture)
        if self.event == "caption" and since > 0:
            picture = picture.clip(0, 255).astype(np.uint8)
            cv2.rectangle(
                picture, (0, int(height * 0.72)), (width, int(height * 0.9)), self.tint.tolist(), -1
            )
            cv2.putText(
                picture,
                "Chapter Two",
                (8, int(height * 0.86)),
                cv2.FONT_HERSHEY_TRIPLEX,
                0.5,
                (20, 20, 20),
                1,
            )
        elif self.event == "exposure" and since > 0:
            return picture * (1 + 0.8 * np.clip(share, 0, 1))
        elif self.event == "ball":
            x = (0.5 + 0.5 * np.sin(7 * t)) * width
            y = np.abs(np.sin(5 * t + 1)) * height
            picture = picture.copy()
            cv2.circle(picture, (int(x), int(y)), height // 4, self.tint.tolist(), -1, cv2.LINE_AA)
        return picture


_EVENTS = "flash strobe streak passer caption exposure ball stutter handheld whip".split()


def make(seed: int, footage: list[Footage]) -> Recording:
    """The video of a seed; one in four is a single shot with a distractor."""
    rng = np.random.default_rng([37, seed])
    host = footage[seed % len(footage)]
    fps, size = float(rng.choice(_RATES)), _FORMATS[int(rng.integers(len(_FORMATS)))]
    length = min(rng.uniform(7, 13), 330 / fps)
    count = round(length * fps)
    times = uneven_times(rng, count, fps) if rng.random() < 0.2 else even_times(count, fps)
    frames, truths = _render(rng, host, footage, times, size, single=seed % 4 == 3)
    if rng.random() < 0.15:
        bar = size[1] // 8
        frames[:, :bar] = frames[:, -bar:] = 0
    if rng.random() < 0.15:
        frames = (frames * 0.28).astype(np.uint8)
    codec = "libsvtav1" if rng.random() < 0.2 else "libx264"
    decoded, seconds = through_codec(frames, times, codec, int(rng.integers(20, 39)))
    return Recording(f"test-{seed}", host.group, decoded, seconds, tuple(truths))


def _shot(rng: np.random.Generator, source: Footage, size: tuple[int, int], lasts_s: float) -> _Shot:
    low = rng.uniform(0, 0.25, 2)
    high = low + rng.uniform(0.55, 0.75, 2)
    box = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    event = str(rng.choice(_EVENTS)) if rng.random() < 0.55 else ""
    whip = (
        (rng.uniform(0, lasts_s), rng.uniform(0.12, 0.4), rng.uniform(-1.4, 1.4))
        if event == "whip"
        else (0.0, 0.0, 0.0)
    )
    return _Shot(
        source,
        size,
        start_s=rng.uniform(0, len(source.frames) / source.fps),
        speed=float(rng.choice([0.6, 1.0, 1.0, 1.8])),
        corners=box + rng.normal(0, 0.02, (4, 2)),
        drift=rng.normal(0, 1, 2) * rng.choice([0, 0.02, 0.1, 0.45]) * (1, 0.3),
        whip=whip,
        event=event,
        when_s=rng.uniform(0, max(lasts_s - 0.3, 0.1)),
        lasts_s=rng.uniform(0.15, 1.2),
        tint=rng.uniform(40, 255, 3),
        mirrored=rng.random() < 0.5,
    )


def _render(
    rng: np.random.Generator,
    host: Footage,
    footage: list[Footage],
    times: np.ndarray,
    size: tuple[int, int],
    *,
    single: bool,
) -> tuple[np.ndarray, list[Truth]]:
    end = float(times[-1]) + 0.1
    shot, begin, k, joined_s = _shot(rng, host, size, end), 0.0, 0, 0.0
    frames: list[np.ndarray] = []
    truths: list[Truth] = []
    while k < len(times):
        # Some frames of each shot are its own: between two transitions that touch, nobody could count.
        change = end if single else max(begin + rng.gamma(2.5, 1.0), joined_s + 0.2)
        while k < len(times) and times[k] < change:
            frames.append(shot.at(times[k] - begin))
            k += 1
        if k + 3 >= len(times):
            while k < len(times):
                frames.append(shot.at(times[k] - begin))
                k += 1
            break
        source = host if rng.random() < 0.5 else footage[int(rng.integers(len(footage)))]
        following = _shot(rng, source, size, 3.0)
        now, after = shot.at(times[k] - begin).astype(np.int16), following.at(0.0)
        if np.abs(now - after).mean() < 7:  # nobody could see it: the old shot goes on
            continue
        if rng.random() < 0.15:  # as bright as what it follows
            following.gain = float(np.clip(now.mean() / (after.mean() + 1), 0.5, 1.8))
        lasts, kind = _way(rng, times, k)
        stop = int(np.searchsorted(times, times[k] + lasts))
        change = float(times[k])
        mix = _mixture(rng, kind)
        truths.append(Truth(k, max(k, min(stop, len(times))), kind, ignored=stop >= len(times)))
        while k < min(stop, len(times)):
            t = float(times[k])
            a, b = shot.at(t - begin), following.at(t - change)
            frames.append(mix(a, b, (t - change + 0.5 * lasts / max(1, stop - truths[-1].first)) / lasts))
            k += 1
        shot, begin, joined_s = following, change, change + lasts
    return np.stack(frames), truths


def _way(rng: np.random.Generator, times: np.ndarray, k: int) -> tuple[float, Kind]:
    kind = _KINDS[int(rng.choice(4, p=[0.5, 0.2, 0.15, 0.15]))]
    step = float(times[k + 1] - times[k])
    lasts = float(np.clip(rng.lognormal(-0.4, 0.6), 4.2 * step, 60 * step))
    return (0.0, "cut") if kind == "cut" else (lasts, kind)


def _mixture(rng: np.random.Generator, kind: str):
    if kind == "fade":
        turn = rng.uniform(0.3, 0.7)
        width, ground = float(rng.choice([0, 0, 0.15])), float(rng.choice([0, 0, 0, 250]))
        return lambda a, b, s: _through(a, b, s, turn=turn, width=width, ground=ground)
    if kind == "dissolve":
        eased = rng.random() < 0.5
        return lambda a, b, s: cv2.addWeighted(a, 1 - _ease(s, eased), b, _ease(s, eased), 0)
    form = str(rng.choice(["iris", "clock", "doors", "cover", "grow"]))
    return lambda a, b, s: _wipe(a, b, float(np.clip(s, 0, 1)), form)


def _ease(share: float, eased: bool) -> float:
    share = float(np.clip(share, 0, 1))
    return share * share * (3 - 2 * share) if eased else share


def _through(
    a: np.ndarray, b: np.ndarray, s: float, *, turn: float, width: float, ground: float
) -> np.ndarray:
    low, high = turn - width / 2, turn + width / 2
    picture, level = (a, 1 - s / low) if s < low else (b, (s - high) / (1 - high)) if s > high else (a, 0.0)
    return (ground + (picture - ground) * np.clip(level, 0, 1)).clip(0, 255).astype(np.uint8)


def _wipe(a: np.ndarray, b: np.ndarray, s: float, form: str) -> np.ndarray:
    h, w = a.shape[:2]
    y, x = np.mgrid[:h, :w].astype(np.float32)
    if form == "iris":
        mask = np.hypot(x - w / 2, y - h / 2) < s * np.hypot(w, h) / 2
    elif form == "clock":
        mask = (np.arctan2(y - h / 2, x - w / 2) + np.pi) / (2 * np.pi) < s
    elif form == "doors":
        mask = np.abs(x - w / 2) < s * w / 2
    elif form == "cover":
        mask, b = x < s * w, np.roll(b, int(s * w) - w, 1)
    else:
        nw, nh = max(2, int(w * s)), max(2, int(h * s))
        left, top = (w - nw) // 2, (h - nh) // 2
        found = a.copy()
        found[top : top + nh, left : left + nw] = cv2.resize(b, (nw, nh), interpolation=cv2.INTER_AREA)
        return found
    return np.where(mask[..., None], b, a)
