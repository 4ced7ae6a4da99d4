"""Overlaid text to train on, drawn by Pillow over panned footage; against it signs, stripes and things fixed to the camera."""

from collections.abc import Iterator

import cv2
import numpy as np

from worldfoundry.curate.labelled.looks_clips import Labelled, even, through_codec
from worldfoundry.curate.labelled.looks_fonts import draw_line, words
from worldfoundry.curate.labelled.overlays_train_world import WORLDS, signs, stripes

_COLOURS = (
    (255, 255, 255),
    (255, 255, 255),
    (250, 240, 60),
    (20, 20, 20),
    (230, 40, 40),
    (90, 220, 255),
    (200, 200, 200),
)


def clips(frames: np.ndarray, fps: float, rng: np.random.Generator) -> Iterator[Labelled]:
    """Positives and negatives over one window of footage [t, h, w, 3]."""
    negatives = [("sign", signs)] * 2
    negatives += [("front", _fronts), ("stripes", stripes), ("none", lambda f, _: f)]
    for moving in (True, False):
        name = "pan" if moving else "as-is"
        for _ in range(6 if moving else 8):
            base = _pan(_sized(frames, rng), rng) if moving else _sized(frames, rng)
            if rng.random() < 0.25:
                base = _rig(base, rng)
            pictures, mask, style = _overlay(base, rng)
            if rng.random() < 0.2:
                pictures = _softened(pictures, rng)
            yield _encoded(pictures, fps, rng, f"{style}/{name}", mask)
        worlds = list(WORLDS.items())
        some = rng.choice(len(worlds), 1 if moving else 4, replace=False)
        for group, make in [*negatives, *(worlds[int(i)] for i in some)]:
            if group == "front" and not moving:
                make = signs  # what stands square to a camera that stands too is no different from an overlay
            world = make(_sized(frames, rng), rng)
            base = _pan(world, rng) if moving else world
            if rng.random() < 0.4:
                base = _rig(base, rng)
            yield _encoded(base, fps, rng, f"{group}/{name}", None)
        base = _rig(_pan(frames, rng) if moving else frames, rng)
        yield _encoded(base, fps, rng, f"rig/{name}", None)


def _sized(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sometimes smaller, sometimes mirrored."""
    factor = rng.uniform(0.6, 1.0) if min(frames.shape[1:3]) >= 240 else 1.0
    size = (int(frames.shape[2] * factor) // 2 * 2, int(frames.shape[1] * factor) // 2 * 2)
    out = np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames])
    if rng.random() < 0.3:  # a sensor's noise, which nothing drawn later has
        grain = rng.normal(0, rng.uniform(1, 6), out.shape[:3])[..., None]
        out = np.clip(out + grain, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(out[:, :, ::-1] if rng.random() < 0.5 else out)


def _softened(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Picture and text as after a smaller copy."""
    h, w = frames.shape[1:3]
    size = tuple(int(n * rng.uniform(0.6, 0.9)) for n in (w, h))
    small = (cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames)
    return np.stack([cv2.resize(f, (w, h), interpolation=cv2.INTER_LINEAR) for f in small])


def _rig(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Things fixed to the camera that are no text: a bonnet, a gripper, bars, a round border, a frame line, dirt."""
    t, h, w = frames.shape[:3]
    del t
    layer, cover = np.zeros((h, w, 3), np.uint8), np.zeros((h, w), np.float32)
    for kind in rng.choice(
        ["bonnet", "bars", "border", "line", "dirt"], int(rng.integers(1, 3)), replace=False
    ):
        colour, shape = rng.integers(0, 256, 3).tolist(), np.zeros((h, w), np.uint8)
        if kind == "bonnet":
            points = rng.uniform((0, 0.75 * h), (w, 1.2 * h), (int(rng.integers(4, 9)), 2)).astype(np.int32)
            cv2.fillPoly(shape, [cv2.convexHull(points)], 255, cv2.LINE_AA)
            for _ in range(int(rng.integers(0, 5))):
                cv2.line(
                    shape,
                    tuple(points[0].tolist()),
                    tuple(points[-1].tolist()),
                    0,
                    int(rng.integers(1, 5)),
                    cv2.LINE_AA,
                )
        elif kind == "bars":
            thick, colour = int(rng.uniform(0.04, 0.16) * h), [int(rng.integers(0, 20))] * 3
            if rng.random() < 0.6:
                shape[:thick] = shape[-thick:] = 255
            else:
                shape[:, :thick] = shape[:, -thick:] = 255
        elif kind == "border":
            colour = [0, 0, 0]
            cv2.ellipse(
                shape,
                (w // 2, h // 2),
                (int(w * rng.uniform(0.45, 0.62)), int(h * rng.uniform(0.48, 0.62))),
                0,
                0,
                360,
                255,
                -1,
                cv2.LINE_AA,
            )
            shape = 255 - shape
        elif kind == "line":
            for _ in range(int(rng.integers(1, 4))):
                ends = rng.uniform(0, (w, h), (2, 2)).astype(int)
                cv2.line(
                    shape,
                    tuple(ends[0].tolist()),
                    tuple(ends[1].tolist()),
                    255,
                    int(rng.integers(1, 7)),
                    cv2.LINE_AA,
                )
        else:
            for _ in range(int(rng.integers(1, 10))):
                at = tuple(int(v) for v in rng.uniform(0, (w, h)))
                cv2.circle(shape, at, int(rng.integers(1, 9)), 255, -1, cv2.LINE_AA)
            shape = cv2.GaussianBlur(shape, (0, 0), rng.uniform(0.5, 3))
        alpha = shape.astype(np.float32) / 255
        layer[alpha > 0] = colour
        cover = np.maximum(cover, alpha * rng.uniform(0.5, 1))
    return (frames * (1 - cover[..., None]) + layer * cover[..., None]).astype(np.uint8)


def _encoded(
    frames: np.ndarray, fps: float, rng: np.random.Generator, group: str, mask: np.ndarray | None
) -> Labelled:
    options = {"crf": str(int(rng.integers(18, 31))), "preset": "veryfast"}
    views = through_codec(even(frames), fps, options=options)
    label = "clean" if mask is None else "text"
    return Labelled(label=label, level=float(mask is not None), views=views, group=group, mask=mask)


def _pan(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A window of 80 % gliding over the picture, and often growing or shrinking on the way."""
    t, h, w = frames.shape[:3]
    ch, cw = int(h * 0.8) // 2 * 2, int(w * 0.8) // 2 * 2
    start, end, least = rng.uniform(0, 1, 2), rng.uniform(0, 1, 2), rng.uniform(0.15, 0.5)
    while np.abs(start - end).max() < least:
        end = rng.uniform(0, 1, 2)
    zoom = rng.uniform(-0.3, 0.3) if rng.random() < 0.5 else 0.0
    if rng.random() < 0.5 and zoom:
        end, zoom = start, rng.uniform(0.12, 0.3) * np.sign(zoom)
    out = []
    for i in range(t):
        done = i / max(1, t - 1)
        scale = 1.0 + (zoom * done if zoom >= 0 else zoom * (done - 1))
        y, x = (start + (end - start) * done) * (h - ch / scale, w - cw / scale)
        matrix = np.array([[scale, 0, -x * scale], [0, scale, -y * scale]])
        out.append(
            cv2.warpAffine(frames[i], matrix, (cw, ch), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        )
    return np.stack(out)


def _overlay(frames: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, str]:
    """Draw one style of text; its mask is that of the lines' boxes."""
    h, w = frames.shape[1:3]
    style = str(
        rng.choice(
            ["subtitle", "logo", "title", "caption-box", "clock", "column", "roll", "faint"],
            p=[0.22, 0.12, 0.12, 0.12, 0.08, 0.08, 0.13, 0.13],
        )
    )
    size = {
        "subtitle": 0.06,
        "logo": 0.055,
        "title": 0.12,
        "caption-box": 0.055,
        "clock": 0.05,
        "column": 0.05,
        "roll": 0.055,
        "faint": 0.07,
    }[style]
    size_px = max(10, int(h * size * rng.uniform(0.65, 1.5)))
    several = int(rng.integers(3, 8))
    num_lines = {"subtitle": int(rng.integers(1, 3)), "column": several, "roll": several}.get(style, 1)
    num_words = {
        "subtitle": 5,
        "logo": int(rng.integers(1, 3)),
        "title": 2,
        "caption-box": 4,
        "clock": 0,
        "column": 4,
        "roll": int(rng.integers(1, 4)),
        "faint": int(rng.integers(1, 3)),
    }[style]
    colour = _COLOURS[int(rng.integers(len(_COLOURS)))]
    outline = int(rng.integers(0, 3)) if style != "logo" else int(rng.integers(0, 2))
    font = int(rng.integers(1 << 30))
    texts = [_clock(rng) if style == "clock" else words(rng, num_words) for _ in range(num_lines)]
    lines = [draw_line(t, "train", font, size_px, colour, outline) for t in texts]
    lines = [line[:, : w - 8] for line in lines]
    if size_px >= 18 and rng.random() < 0.25:
        lines = [_thinned(line) for line in lines]
    total_h, widest = (
        sum(line.shape[0] for line in lines) + 4 * num_lines,
        max(line.shape[1] for line in lines),
    )
    top, left = _place(style, h, w, total_h, widest, rng)
    layer, mask = np.zeros((h, w, 4), np.float32), np.zeros((h, w), np.float32)
    if style == "caption-box" or rng.random() < 0.1:
        layer[max(0, top - 4) : top + total_h + 4, max(0, left - 6) : left + widest + 6] = (
            *rng.integers(0, 256, 3),
            0.75,
        )
    for line in lines:
        x = left + (widest - line.shape[1]) // 2
        area = layer[top : top + line.shape[0], x : x + line.shape[1]]
        line = line[: area.shape[0], : area.shape[1]]
        alpha = line[..., 3:]
        area[...] = np.concatenate(
            [area[..., :3] * (1 - alpha) + line[..., :3] * alpha, np.maximum(area[..., 3:], alpha)], -1
        )
        mask[top : top + line.shape[0], x : x + line.shape[1]] = 1
        top += line.shape[0] + 4
    strength = np.full(len(frames), rng.uniform(0.35, 1.0) if rng.random() < 0.4 else 1.0)
    if style == "faint":
        strength[:] = rng.uniform(0.25, 0.6)
    if rng.random() < 0.2:
        strength *= np.clip((np.arange(len(frames)) / len(frames) - 0.15) * 6, 0, 1)
    alpha = layer[None, ..., 3:] * strength[:, None, None, None]
    return (frames * (1 - alpha) + layer[..., :3] * alpha).astype(np.uint8), mask, style


def _thinned(line: np.ndarray) -> np.ndarray:
    return np.dstack([line[..., :3], cv2.erode(line[..., 3], np.ones((2, 2), np.uint8))])


def _clock(rng: np.random.Generator) -> str:
    return f"{rng.integers(24):02d}:{rng.integers(60):02d}:{rng.integers(60):02d}"


def _place(style: str, h: int, w: int, th: int, tw: int, rng: np.random.Generator) -> tuple[int, int]:
    margin = int(h * rng.uniform(0.02, 0.08)) + 3
    middle, right, bottom = max(0, (w - tw) // 2), max(0, w - tw - margin), max(0, h - th - margin)
    spots = {
        "subtitle": [(bottom, middle)],
        "caption-box": [(bottom, margin), (bottom, middle)],
        "title": [(max(0, (h - th) // 2), middle), (margin, middle)],
        "column": [(margin, margin), (margin, right)],
        "roll": [(max(0, (h - th) // 2), middle)],
    }.get(style, [(margin, margin), (margin, right), (bottom, margin), (bottom, right)])
    return spots[int(rng.integers(len(spots)))]


def _fronts(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Writing on the world, upright and square to the camera, with or without a board."""
    picture, _, _ = _overlay(frames[:1], rng)
    return np.concatenate([picture, _overlay_like(frames[1:], frames[:1], picture)])


def _overlay_like(frames: np.ndarray, bare: np.ndarray, written: np.ndarray) -> np.ndarray:
    """The difference of two pictures, painted on others."""
    change = np.abs(written.astype(np.int16) - bare).max(axis=-1, keepdims=True)
    cover = np.clip(change / 40, 0, 1)
    return (frames * (1 - cover) + written * cover).astype(np.uint8)
