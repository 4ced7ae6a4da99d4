"""A drawn scene with a still background and things that move, and the descriptor of what a camera saw of it."""

from types import SimpleNamespace

import cv2
import numpy as np

from worldfoundry.curate.detect.descriptor import Descriptor, DescriptorDetector, score
from worldfoundry.protocols.curation import SourceInfo, Timeline

H, W = 96, 160


def scene(seconds: np.ndarray, *, place: int, moment: int) -> np.ndarray:
    """uint8 [t, h, w, 3]: ``place`` draws the background, ``moment`` how the things move."""
    rng = np.random.default_rng(place)
    noise = rng.uniform(0, 255, (12, 20)).astype(np.float32)
    background = cv2.resize(noise, (W, H), interpolation=cv2.INTER_CUBIC)
    rng = np.random.default_rng(1000 + moment)
    paths = rng.uniform(0.15, 0.85, (4, 2, 9))
    knots = np.arange(9) * 1.0
    out = []
    for t in seconds:
        picture = background.copy()
        for k, (ys, xs) in enumerate(paths):
            at = (int(np.interp(t, knots, xs) * W), int(np.interp(t, knots, ys) * H))
            cv2.circle(picture, at, 9 + 2 * k, float(40 + 60 * k), -1)
        out.append(picture.clip(0, 255).astype(np.uint8))
    return np.repeat(np.stack(out)[..., None], 3, -1)


INFO = SourceInfo(source="a", source_id="a", width=W, height=H, fps=1.0, duration_s=1.0)


def timeline_of(pixels: np.ndarray, fps: float) -> Timeline:
    meter = DescriptorDetector().begin(INFO)
    for k, picture in enumerate(pixels):
        meter.observe(SimpleNamespace(seconds=k / fps, small=picture, luma=None))  # pyright: ignore
    return meter.finish()


def described(pixels: np.ndarray, fps: float) -> Descriptor:
    return score(timeline_of(pixels, fps), 0.0, len(pixels) / fps)


def filmed(
    *,
    place: int = 0,
    moment: int = 0,
    start: float = 0.0,
    end: float = 4.0,
    fps: float = 20.0,
    speed: float = 1.0,
):
    return scene(np.arange(start, end, speed / fps), place=place, moment=moment)
