"""Degraded clips to validate on: disc and box blur, Laplacian noise, MPEG-4 and slow x264, Lanczos, tone curves."""

from collections.abc import Iterator

import cv2
import numpy as np

from worldfoundry.curate.labelled.looks_clips import Labelled, through_codec


def variants(frames: np.ndarray, fps: float, height: int, rng: np.random.Generator) -> Iterator[Labelled]:
    """A clean copy, hard negatives and three levels of each defect."""
    yield Labelled(
        label="clean",
        level=0,
        views=through_codec(frames, fps, options={"crf": "21", "preset": "faster"}),
        group="clean",
    )
    for name, bad in (("night", _night(frames)), ("shallow", _shallow(frames)), ("fog", _fog(frames))):
        yield Labelled(
            label="clean",
            level=0,
            views=through_codec(bad, fps, options={"crf": "20", "preset": "faster"}),
            group=name,
        )
    seed = int(rng.integers(1 << 31))
    for level in (1, 2, 3):
        local = np.random.default_rng(seed)
        for name, bad in _pixels(frames, level, height, local):
            yield Labelled(
                label=name,
                level=level,
                views=through_codec(bad, fps, options={"crf": "19", "preset": "faster"}),
                group=name,
            )
        quantiser = str((6, 12, 24)[level - 1])
        views = through_codec(frames, fps, codec="mpeg4", options={"qmin": quantiser, "qmax": quantiser})
        yield Labelled(label="compression", level=level, views=views, group="mpeg4")
        views = through_codec(frames, fps, options={"crf": str((31, 38, 44)[level - 1]), "preset": "medium"})
        yield Labelled(label="compression", level=level, views=views, group="x264")


def _pixels(
    frames: np.ndarray, level: int, height: int, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray]]:
    radius = (1.9, 3.2, 5.5)[level - 1] * max(1.0, height / 540) ** 0.5
    span = np.arange(-7, 8) if radius < 7 else np.arange(-12, 13)
    disc = np.clip(radius + 0.5 - np.hypot(*np.meshgrid(span, span)), 0, 1).astype(np.float32)
    yield "blur", np.stack([cv2.filter2D(f, -1, disc / disc.sum()) for f in frames])
    noise = rng.laplace(size=frames.shape[:3]).astype(np.float32)[..., None] * (3.4, 7.0, 14.0)[level - 1]
    yield "noise", np.clip(frames + noise, 0, 255).astype(np.uint8)
    h, w = frames.shape[1:3]
    ratio = (1.5, 2.0, 3.0)[level - 1]
    small = [
        cv2.resize(f, (round(w / ratio), round(h / ratio)), interpolation=cv2.INTER_AREA) for f in frames
    ]
    yield "upscaled", np.stack([cv2.resize(f, (w, h), interpolation=cv2.INTER_LANCZOS4) for f in small])
    x = np.linspace(0, 1, 256)
    bright = np.minimum(1, x ** (0.75, 0.6, 0.5)[level - 1] * (1.25, 1.5, 1.8)[level - 1])
    yield "exposure_over", (bright * 255).astype(np.uint8)[frames]
    dark = x ** (1.6, 2.0, 2.4)[level - 1] * (0.65, 0.45, 0.3)[level - 1]
    yield "exposure_under", (dark * 255).astype(np.uint8)[frames]


def _night(frames: np.ndarray) -> np.ndarray:
    """Dark but for the brightest tenth, as under street lamps."""
    grey = frames.mean(axis=-1, keepdims=True)
    keep = np.clip((grey - np.percentile(grey, 85)) / 25, 0, 1)
    return (frames * (0.3 + 0.7 * keep)).astype(np.uint8)


def _shallow(frames: np.ndarray) -> np.ndarray:
    """The left third is in focus."""
    w = frames.shape[2]
    weight = np.clip((np.arange(w) / w - 0.35) / 0.1, 0, 1)[None, :, None]
    return np.stack(
        [(f * (1 - weight) + cv2.blur(cv2.blur(f, (9, 9)), (9, 9)) * weight).astype(np.uint8) for f in frames]
    )


def _fog(frames: np.ndarray) -> np.ndarray:
    return (frames * 0.55 + 85).astype(np.uint8)
