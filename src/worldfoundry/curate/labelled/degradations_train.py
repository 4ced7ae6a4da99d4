"""Degraded clips to train on: many blurs, noises, codecs, scalings and tone curves, drawn at random, made by OpenCV and NumPy."""

from collections.abc import Iterator

import cv2
import numpy as np

from worldfoundry.curate.labelled.looks_clips import Labelled, through_codec

LEVELS = (0.6, 1.0, 1.7, 2.6, 4.0)
_VP8 = {"deadline": "realtime", "cpu-used": "8"}
_X265 = {"preset": "ultrafast", "x265-params": "log-level=none:pools=none:frame-threads=1"}


def variants(frames: np.ndarray, fps: float, height: int, rng: np.random.Generator) -> Iterator[Labelled]:
    """Clean copies, hard negatives and a ladder of each defect of one window; ``height`` is that of the whole picture."""
    for _ in range(4):
        yield Labelled(
            label="clean",
            level=0,
            views=_clean_codec(_natural(_vary(frames, rng), rng), fps, rng),
            group="clean",
        )
    for name, make in HARD.items():
        if rng.random() < 0.7:
            yield Labelled(
                label="clean", level=0, views=_clean_codec(make(frames, rng), fps, rng), group=name
            )
    ladders = {
        "blur": _blur,
        "noise": _noise,
        "upscaled": _upscale,
        "exposure_over": _over,
        "exposure_under": _under,
    }
    for name, degrade in ladders.items():
        base, seed, crf = _vary(frames, rng), int(rng.integers(1 << 31)), str(int(rng.integers(16, 24)))
        base, suffix = _relight(base, rng) if not name.startswith("exposure") else (base, "")
        for level in LEVELS:
            bad = degrade(base, level * rng.uniform(0.95, 1.05), height, np.random.default_rng(seed))
            views = through_codec(bad, fps, options={"crf": crf, "preset": "veryfast"})
            yield Labelled(label=name, level=level, views=views, group=name + suffix)
    kinds = (["veryfast", "medium", "ultrafast", "mjpeg", "mpeg4"], ["libvpx", "libx265"])
    for chances, some in zip(([0.35, 0.2, 0.1, 0.15, 0.2], [0.5, 0.5]), kinds, strict=True):
        yield from _compressed(frames, fps, str(rng.choice(some, p=chances)), rng)


def keys(frames: np.ndarray, fps: float, height: int, rng: np.random.Generator) -> Iterator[Labelled]:
    """Clean scenes in high and in low key: bright or dark by choice, with nothing lost."""
    del height
    for make in (_high_key, _high_key, _low_key, _low_key):
        views = _clean_codec(make(_vary(frames, rng), rng), fps, rng)
        yield Labelled(label="clean", level=0, views=views, group=make.__name__.strip("_"))


def _high_key(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """White walls and daylight: a shoulder that keeps the highlights apart, and at times a window that is burnt out."""
    table = 255 * (1 - (1 - np.arange(256) / 255) ** rng.uniform(1.5, 2.6))
    out = np.minimum(table, rng.uniform(244, 255)).astype(np.uint8)[frames]
    if rng.random() < 0.5:
        h, w = frames.shape[1:3]
        window = np.zeros((h, w), np.float32)
        y, x = int(rng.uniform(0, 0.6) * h), int(rng.uniform(-0.1, 0.8) * w)
        cv2.rectangle(
            window, (x, y), (int(x + rng.uniform(0.1, 0.3) * w), int(y + rng.uniform(0.1, 0.4) * h)), 1.0, -1
        )
        light = cv2.GaussianBlur(window, (0, 0), rng.uniform(2, 12))[..., None] * 255
        out = np.maximum(out, light.astype(np.uint8))
    return out


def _low_key(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A scene of deep shadows whose lights are as bright as ever."""
    table = (np.arange(256) / 255) ** rng.uniform(1.4, 2.2) * rng.uniform(0.9, 1.0)
    lit = float(np.percentile(frames, 99.5)) / 255
    gain = min(4.0, 1 / max(0.1, lit**1.8)) * rng.uniform(0.7, 1.0)
    return (np.clip(table * gain, 0, 1) * 255).astype(np.uint8)[frames]


def _compressed(frames: np.ndarray, fps: float, kind: str, rng: np.random.Generator) -> Iterator[Labelled]:
    base, suffix = _relight(_vary(frames, rng), rng)
    for level in LEVELS:
        codec, options = _coarse(kind, level)
        views = through_codec(base, fps, codec=codec, options=options)
        yield Labelled(label="compression", level=level, views=views, group=f"compression-{kind}{suffix}")


def _coarse(kind: str, level: float) -> tuple[str, dict[str, str]]:
    """Codec and options of one rung; ``kind`` is a codec or a preset of x264."""
    crf = f"{min(51, 24.5 + 6.5 * level):.1f}"
    if kind in ("mjpeg", "mpeg4"):
        quantiser = str(min(31, round(6 * 1.75 ** (level - 1))))
        return kind, {"qmin": quantiser, "qmax": quantiser}
    if kind == "libvpx":
        quantiser = str(min(63, round(27 + 9 * level)))
        return kind, {**_VP8, "crf": quantiser, "qmin": quantiser, "qmax": quantiser}
    if kind == "libx265":
        return kind, {**_X265, "crf": crf}
    return "libx264", {"crf": crf, "preset": kind}


def _relight(frames: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """Sometimes darker or flatter, so that texture is judged in any light; the suffix of the group says so."""
    if rng.random() < 0.6:
        return frames, ""
    gain = rng.uniform(0.3, 0.8)
    return (frames * gain + rng.uniform(0, 1) ** 3 * 200 * (1 - gain)).astype(np.uint8), "+light"


def _natural(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What lenses and cameras do without anyone's complaint: a trace of softness, of sharpening, of noise."""
    kind = rng.random()
    if kind < 0.3:
        sigma = rng.uniform(0.3, 0.5)
        return np.stack([cv2.GaussianBlur(f, (0, 0), sigma) for f in frames])
    if kind < 0.5:
        amount = rng.uniform(0.2, 0.7)
        return np.stack(
            [cv2.addWeighted(f, 1 + amount, cv2.GaussianBlur(f, (0, 0), 1), -amount, 0) for f in frames]
        )
    if kind < 0.7:
        return np.clip(
            frames + rng.uniform(0.5, 1.8) * rng.standard_normal(frames.shape, np.float32), 0, 255
        ).astype(np.uint8)
    return frames


def _clean_codec(frames: np.ndarray, fps: float, rng: np.random.Generator) -> list:
    kind = rng.random()
    if kind < 0.12:
        return through_codec(frames, fps, codec="mpeg4", options={"qmin": "2", "qmax": "3"})
    if kind < 0.24:
        return through_codec(
            frames, fps, codec="libx265", options={**_X265, "crf": str(int(rng.integers(14, 23)))}
        )
    if kind < 0.36:
        quantiser = str(int(rng.integers(8, 20)))
        return through_codec(
            frames,
            fps,
            codec="libvpx",
            options={**_VP8, "crf": quantiser, "qmin": quantiser, "qmax": quantiser},
        )
    return through_codec(frames, fps, options={"crf": str(int(rng.integers(14, 24))), "preset": "veryfast"})


def _vary(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Ordinary variety: tone, contrast, mirror."""
    table = np.arange(256) / 255
    table = np.clip(0.5 + (table ** rng.uniform(0.85, 1.2) - 0.5) * rng.uniform(0.85, 1.08), 0, 1)
    out = (table * 255).astype(np.uint8)[frames]
    if rng.random() < 0.5:
        out = out[:, :, ::-1]
    return np.ascontiguousarray(out)


def _blur(frames: np.ndarray, level: float, height: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussian, aperture disc, box, or smear along a line: all of about the same standard deviation."""
    sigma = 0.9 * 1.7 ** (level - 1) * max(1.0, height / 540) ** 0.5
    kind = rng.random()
    if kind < 0.4:
        return np.stack([cv2.GaussianBlur(f, (0, 0), sigma) for f in frames])
    y, x = np.mgrid[-16:17, -16:17].astype(np.float32)
    if kind < 0.65:
        kernel = np.clip(2 * sigma + 0.5 - np.hypot(x, y), 0, 1)
    elif kind < 0.8:
        kernel = np.clip(1.73 * sigma + 0.5 - np.abs(x), 0, 1) * np.clip(1.73 * sigma + 0.5 - np.abs(y), 0, 1)
    else:
        angle, reach = rng.uniform(0, np.pi), 2 * sigma
        along, aside = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        kernel = np.clip(reach + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(aside), 0, 1)
    return np.stack([cv2.filter2D(f, -1, kernel / kernel.sum()) for f in frames])


def _noise(frames: np.ndarray, level: float, height: int, rng: np.random.Generator) -> np.ndarray:
    """White or clumped, in luma or in colour, the same everywhere or stronger in the light or in the dark."""
    del height
    sigma = 4.5 * 2 ** (level - 1)
    shape = frames.shape if rng.random() < 0.4 else (*frames.shape[:3], 1)
    noise = (
        rng.standard_normal(shape, np.float32)
        if rng.random() < 0.7
        else rng.laplace(0, 0.71, shape).astype(np.float32)
    )
    clump = rng.uniform(0.4, 0.8)
    if rng.random() < 0.3:
        noise = np.stack([cv2.GaussianBlur(n, (0, 0), clump).reshape(n.shape) for n in noise])
        noise /= noise.std()
    kind = rng.random()
    light = frames.astype(np.float32) / 255
    gain = 1.0 if kind < 0.5 else np.sqrt(0.1 + light) * 1.3 if kind < 0.8 else 1.5 - light
    return np.clip(frames + sigma * gain * noise, 0, 255).astype(np.uint8)


def _upscale(frames: np.ndarray, level: float, height: int, rng: np.random.Generator) -> np.ndarray:
    del height
    ratio = 1.4 * 1.5 ** (level - 1)
    h, w = frames.shape[1:3]
    down = int(rng.choice([cv2.INTER_AREA, cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
    up = int(
        rng.choice(
            [cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4, cv2.INTER_NEAREST],
            p=[0.35, 0.4, 0.2, 0.05],
        )
    )
    size = (max(16, round(w / ratio)), max(16, round(h / ratio)))
    return np.stack(
        [cv2.resize(cv2.resize(f, size, interpolation=down), (w, h), interpolation=up) for f in frames]
    )


def _over(frames: np.ndarray, level: float, height: int, rng: np.random.Generator) -> np.ndarray:
    """Gain on the grey levels, or in linear light, or a lifted tone curve."""
    del height
    x, kind = np.arange(256) / 255, rng.random()
    if kind < 0.4:
        table = x * 1.5 * 1.35 ** (level - 1)
    elif kind < 0.8:
        table = (x**2.2 * 2.0 ** (0.3 + 0.8 * level)) ** (1 / 2.2)
    else:
        table = x ** (0.85 - 0.12 * level) * (1.1 + 0.2 * level)
    return (np.clip(table, 0, 1) * 255).astype(np.uint8)[frames]


def _under(frames: np.ndarray, level: float, height: int, rng: np.random.Generator) -> np.ndarray:
    del height
    gain, gamma = 0.55 * 0.6 ** (level - 1), rng.choice([1.0, 1.0, 1.3, 1.6])
    table = 255 * gain * (np.arange(256) / 255) ** gamma + rng.choice([0, 0, 8])
    return table.astype(np.uint8)[frames]


def _night(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A dark scene with lamps."""
    dark = frames.astype(np.float32) * rng.uniform(0.25, 0.45)
    lamps = np.zeros(frames.shape[1:3], np.float32)
    for _ in range(int(rng.integers(6, 20))):
        centre = (int(rng.integers(frames.shape[2])), int(rng.integers(frames.shape[1])))
        cv2.circle(lamps, centre, int(rng.integers(2, 9)), 1.0, -1)
    glow = np.maximum(lamps, cv2.GaussianBlur(lamps, (0, 0), 9))[..., None] * rng.uniform(200, 260)
    return np.clip(dark + glow, 0, 255).astype(np.uint8)


def _fog(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Veiled towards a light grey, more at the top."""
    veil = np.linspace(rng.uniform(0.45, 0.7), rng.uniform(0.1, 0.35), frames.shape[1])[None, :, None, None]
    return (frames * (1 - veil) + rng.uniform(150, 220) * veil).astype(np.uint8)


def _shallow(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One sharp ellipse, the rest far out of focus."""
    h, w = frames.shape[1:3]
    mask = np.zeros((h, w), np.float32)
    centre = (int(w * rng.uniform(0.3, 0.7)), int(h * rng.uniform(0.3, 0.7)))
    cv2.ellipse(
        mask, centre, (int(w * rng.uniform(0.2, 0.35)), int(h * rng.uniform(0.25, 0.4))), 0, 0, 360, 1, -1
    )
    mask = cv2.GaussianBlur(mask, (0, 0), 8)[..., None]
    sigma = rng.uniform(2, 6)
    return np.stack(
        [(f * mask + cv2.GaussianBlur(f, (0, 0), sigma) * (1 - mask)).astype(np.uint8) for f in frames]
    )


def _snow(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A bright ground and falling flakes."""
    out = 255 - (255 - frames.astype(np.float32)) * rng.uniform(0.45, 0.75)
    h, w = frames.shape[1:3]
    flakes = np.stack([rng.uniform(0, w, 150), rng.uniform(0, h, 150), rng.uniform(1, 3, 150)], 1)
    for t, picture in enumerate(out):
        for x, y, r in flakes:
            cv2.circle(
                picture, (int(x + 2 * t), int(y + 4 * t * r) % h), int(r), (245, 245, 250), -1, cv2.LINE_AA
            )
    return np.clip(out, 0, 240).astype(np.uint8)


def _animation(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Flat drawn shapes on a gradient."""
    t, h, w = frames.shape[:3]
    ramp = np.linspace(0, 1, h)[:, None, None]
    sky = (1 - ramp) * rng.uniform(60, 250, 3) + ramp * rng.uniform(20, 220, 3)
    out = np.broadcast_to(sky, (t, h, w, 3)).astype(np.uint8).copy()
    for _ in range(int(rng.integers(12, 30))):
        centre, drift, colour = (
            rng.uniform(0, (w, h)),
            rng.uniform(-3, 3, 2),
            rng.integers(0, 256, 3).tolist(),
        )
        corners = rng.uniform(-70, 70, (int(rng.integers(3, 9)), 2))
        for i in range(t):
            points = np.round(centre + drift * i + corners).astype(np.int32)
            cv2.fillPoly(out[i], [cv2.convexHull(points)], colour, cv2.LINE_AA)
            cv2.polylines(out[i], [cv2.convexHull(points)], True, (10, 10, 10), 2, cv2.LINE_AA)
    return out


HARD = {"night": _night, "fog": _fog, "shallow": _shallow, "snow": _snow, "animation": _animation}
"""Clean footage that looks like a defect."""
