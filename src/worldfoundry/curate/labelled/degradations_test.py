"""Degraded clips to test on, made by code of their own.

Blur and exposure in linear light, signal-dependent and clumped noise, x264, VP9 and MPEG-2, scaling by FFmpeg.
"""

from collections.abc import Iterator

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation

from worldfoundry.curate.labelled.looks_clips import Labelled, through_codec

_X264 = {"crf": "20", "preset": "faster"}


def variants(frames: np.ndarray, fps: float, height: int, rng: np.random.Generator) -> Iterator[Labelled]:
    """Clean copies, hard negatives and three levels of each defect."""
    yield Labelled(label="clean", level=0, views=through_codec(frames, fps, options=_X264), group="clean")
    vp9 = {"crf": "24", "deadline": "realtime", "cpu-used": "8"}
    views = through_codec(frames, fps, codec="libvpx-vp9", options=vp9)
    yield Labelled(label="clean", level=0, views=views, group="clean-vp9")
    for name, hard in (
        ("night", _night(frames, rng)),
        ("snow", _snow(frames, rng)),
        ("shallow", _shallow(frames)),
    ):
        yield Labelled(label="clean", level=0, views=through_codec(hard, fps, options=_X264), group=name)
    seed = int(rng.integers(1 << 31))
    for level in (1, 2, 3):
        for name, bad in _pixels(frames, level, height, np.random.default_rng(seed)):
            yield Labelled(
                label=name.split("-")[0],
                level=level,
                views=through_codec(bad, fps, options=_X264),
                group=name,
            )
        for codec, options in (
            ("libx264", {"crf": str((30, 38, 46)[level - 1]), "preset": "fast"}),
            ("libvpx-vp9", {**vp9, "crf": str((44, 54, 62)[level - 1])}),
            ("mpeg2video", {"qmin": str((8, 16, 31)[level - 1]), "qmax": str((8, 16, 31)[level - 1])}),
        ):
            rate = fps if codec != "mpeg2video" else 25
            yield Labelled(
                label="compression",
                level=level,
                views=through_codec(frames, rate, codec=codec, options=options),
                group=codec,
            )


def _pixels(
    frames: np.ndarray, level: int, height: int, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray]]:
    linear = (frames / np.float32(255)) ** 2.2
    sigma = (1.0, 1.8, 3.2)[level - 1] * max(1.0, height / 540) ** 0.5
    yield (
        "blur-linear",
        _to_bytes(np.stack([cv2.stackBlur(f, (2 * round(2 * sigma) + 1,) * 2) for f in linear])),
    )
    yield "blur-gauss", _to_bytes(np.stack([cv2.GaussianBlur(f, (0, 0), sigma) for f in linear]))
    shot = rng.standard_normal(frames.shape, np.float32) * (0.018, 0.04, 0.09)[level - 1]
    yield "noise-shot", np.clip(frames + 255 * shot * np.sqrt(0.15 + frames / 255), 0, 255).astype(np.uint8)
    grain = rng.standard_normal(frames.shape[:3], np.float32)
    grain = np.stack([cv2.GaussianBlur(g, (0, 0), 0.7) for g in grain])
    grain *= (6, 12, 24)[level - 1] / grain.std()
    yield "noise-grain", np.clip(frames + grain[..., None], 0, 255).astype(np.uint8)
    ratio = (1.5, 2.2, 3.5)[level - 1]
    for name, how in (("bicubic", Interpolation.BICUBIC), ("bilinear", Interpolation.FAST_BILINEAR)):
        yield f"upscaled-{name}", np.stack([_rescale(f, ratio, how) for f in frames])
    yield "exposure_over", _to_bytes(linear * 2.0 ** (1.0, 1.7, 2.6)[level - 1])
    yield "exposure_under", _to_bytes(linear * 0.5 ** (1.9, 3.2, 4.8)[level - 1])


def _to_bytes(linear: np.ndarray) -> np.ndarray:
    return (np.clip(linear, 0, 1) ** (1 / 2.2) * 255 + 0.5).astype(np.uint8)


def _rescale(picture: np.ndarray, ratio: float, how: Interpolation) -> np.ndarray:
    h, w = picture.shape[:2]
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    small = frame.reformat(
        width=round(w / ratio) // 2 * 2, height=round(h / ratio) // 2 * 2, interpolation=Interpolation.AREA
    )
    return small.reformat(width=w, height=h, interpolation=how).to_ndarray(format="rgb24")


def _night(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two stops down with small light sources and their reflections."""
    linear = (frames / np.float32(255)) ** 2.2 * 0.12
    lights = (rng.random(frames.shape[1:3]) > 0.9994).astype(np.float32)
    lights = cv2.dilate(lights, np.ones((5, 5), np.uint8)) + 4 * cv2.GaussianBlur(lights, (0, 0), 6)
    return _to_bytes(linear + lights[..., None] * np.array([1.0, 0.85, 0.6], np.float32))


def _snow(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A white ground that keeps its texture, and snowfall."""
    white = 120 + frames.astype(np.float32) * 0.47
    flakes = (rng.random((len(frames), *frames.shape[1:3])) > 0.999).astype(np.float32)
    flakes = np.stack([cv2.GaussianBlur(f, (0, 0), 1.0) * 6 for f in flakes])
    return np.clip(white + 90 * np.clip(flakes, 0, 1)[..., None], 0, 244).astype(np.uint8)


def _shallow(frames: np.ndarray) -> np.ndarray:
    """A sharp band in the middle, blur growing to both sides."""
    h = frames.shape[1]
    distance = np.clip(np.abs(np.linspace(-1, 1, h)) * 2.2 - 0.5, 0, 1)[:, None, None]
    out = []
    for f in frames:
        near, far = cv2.GaussianBlur(f, (0, 0), 2), cv2.GaussianBlur(f, (0, 0), 6)
        blurred = near * (1 - distance) + far * distance
        out.append(
            (f * (1 - np.minimum(1, 2 * distance)) + blurred * np.minimum(1, 2 * distance)).astype(np.uint8)
        )
    return np.stack(out)
