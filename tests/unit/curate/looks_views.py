"""Procedural frames and views for the tests of the looks detectors."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from worldfoundry.protocols.curation import Detector, SourceInfo, Timeline


@dataclass(frozen=True)
class FakeView:
    seconds: float
    rgb: np.ndarray

    @property
    def small(self) -> np.ndarray:
        h, w = self.rgb.shape[:2]
        if w <= 256:
            return self.rgb
        return cv2.resize(self.rgb, (256, round(h * 256 / w)), interpolation=cv2.INTER_AREA)

    @property
    def luma(self) -> np.ndarray:
        return cv2.cvtColor(self.rgb, cv2.COLOR_RGB2GRAY)


def timeline_of(detector: Detector, frames: Iterable[np.ndarray], fps: float) -> Timeline:
    meter = detector.begin(
        SourceInfo(source="made", source_id="0" * 40, width=1, height=1, fps=fps, duration_s=1.0)
    )
    for i, frame in enumerate(frames):
        meter.observe(FakeView(i / fps, frame))
    return meter.finish()


def scene(h: int = 360, w: int = 640, seed: int = 0) -> np.ndarray:
    """A photograph of a kind: soft light, objects with sharp edges, texture of every scale, a trace of grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:h, :w].astype(np.float32)
    picture = np.stack([90 + 60 * y / h, 100 + 50 * x / w, 110 + 40 * (1 - y / h)], -1)
    for _ in range(45):
        centre, colour = rng.uniform(0, (w, h)), rng.integers(20, 236, 3).tolist()
        corners = centre + rng.uniform(-0.17, 0.17, (int(rng.integers(3, 8)), 2)) * h
        cv2.fillConvexPoly(
            picture, cv2.convexHull(corners.astype(np.float32)).astype(np.int32), colour, cv2.LINE_AA
        )
    for octave in range(6):
        coarse = rng.normal(size=(max(2, h >> octave), max(2, w >> octave))).astype(np.float32)
        picture += (
            cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC)[..., None] * 2.5 * (octave + 1) ** 0.6
        )
    picture = cv2.GaussianBlur(picture, (0, 0), 0.6)
    return np.clip(picture + rng.normal(size=picture.shape), 0, 255).astype(np.uint8)


def gliding(
    num_frames: int, fps: float, *, h: int = 360, w: int = 640, seed: int = 0, px_per_s: float = 60.0
) -> list[np.ndarray]:
    """A camera that pans over a wide scene."""
    wide = scene(h, w + int(px_per_s * num_frames / fps) + 8, seed)
    return [wide[:, int(i / fps * px_per_s) :][:, :w].copy() for i in range(num_frames)]
