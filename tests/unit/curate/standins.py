"""Small footage and detectors of known behaviour for tests of the engine; workers import this module too."""

import os
import signal
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from worldfoundry.data.video_write import write_video
from worldfoundry.protocols.curation import Meter, SourceInfo, Span, Timeline, View
from worldfoundry.protocols.video import Frames

FPS = 12.0


def blobs(seed: int, num_frames: int, step: int) -> list[np.ndarray]:
    """A pan over smooth coloured blobs, ``step`` columns a frame."""
    coarse = np.random.default_rng(seed).integers(0, 255, (7, 20, 3), np.uint8)
    wide = cv2.resize(coarse, (240, 72), interpolation=cv2.INTER_CUBIC)
    return [wide[:, step * k : step * k + 96] for k in range(num_frames)]


def video(path: Path, *shots: tuple[int, int, int], seconds: np.ndarray | None = None) -> Path:
    """A video of shots, each given by seed, frames and speed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.stack([frame for shot in shots for frame in blobs(*shot)])
    frames = Frames.at_constant_rate(pixels, FPS)
    if seconds is not None:
        frames = Frames(pixels=pixels, fps=FPS, pts_seconds=seconds)
    write_video(path, frames)
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Mean change from frame to frame: cuts where it is large, motion where it is small."""

    name: str = "shots"
    version: int = 1

    def begin(self, source: SourceInfo) -> Meter:
        return _Change()


class _Change:
    def __init__(self):
        self.seconds, self.change, self.last = [], [], None

    def observe(self, view: View) -> None:
        small = view.small.astype(np.int16)
        self.seconds.append(view.seconds)
        self.change.append(0.0 if self.last is None else float(np.abs(small - self.last).mean()))
        self.last = small

    def finish(self) -> Timeline:
        return {"seconds": np.array(self.seconds), "change": np.array(self.change, np.float32)}


def spans(timeline: Timeline, end_s: float, threshold: float) -> list[Span]:
    cuts = timeline["seconds"][timeline["change"] > 60 * threshold]
    edges = [float(timeline["seconds"][0]), *map(float, cuts), end_s]
    return [Span(start_s=a, end_s=b) for a, b in pairwise(edges)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    motion: float
    type: str


def score(timeline: Timeline, start_s: float, end_s: float) -> Scores:
    seconds = timeline["seconds"]
    inside = timeline["change"][(seconds > start_s + 1e-6) & (seconds < end_s - 1e-6)]
    mean = float(inside.mean()) if len(inside) else float("nan")
    return Scores(motion=mean, type="fast" if mean > 4 else "slow")


def act(kind: str) -> None:
    """What goes wrong in a source of this name."""
    if kind.startswith("hang"):
        time.sleep(1000)
    if kind.startswith("crash"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind.startswith("oom"):
        hoard = [np.empty(1 << 29, np.uint8) for _ in range(1000)]
        assert hoard
    if kind.startswith("killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    if kind.startswith("error"):
        raise ZeroDivisionError("surprise")
    if kind.startswith("full"):
        raise OSError(28, "No space left on device")
    if kind.startswith("slow"):
        time.sleep(0.5)
