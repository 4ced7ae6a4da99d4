"""Planted copies of test, by libavfilter; see ``planting.py``."""

from collections.abc import Iterator
from fractions import Fraction

import cv2
import numpy as np
from av import VideoFormat, VideoFrame
from av.error import BlockingIOError, EOFError
from av.filter import Graph

from worldfoundry.curate.labelled.planting_validation import Made, Maker, Pixels


def _filtered(pixels: Pixels, fps: float, chain: str) -> Made:
    rate = Fraction(fps).limit_denominator(1001)
    graph = Graph()
    names = [
        graph.add_buffer(
            width=pixels.shape[2], height=pixels.shape[1], format=VideoFormat("rgb24"), time_base=1 / rate
        )
    ]
    for part in [*chain.split(";"), "format=rgb24"]:
        name, _, settings = part.partition("=")
        names.append(graph.add(name, settings))
    graph.link_nodes(*names, graph.add("buffersink")).configure()
    return np.stack(list(_pulled(graph, pixels, 1 / rate))), fps


def _pulled(graph: Graph, pixels: Pixels, time_base: Fraction) -> Iterator[Pixels]:
    for k, picture in enumerate([*pixels, None]):
        frame = None
        if picture is not None:
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = k, time_base
        try:
            graph.push(frame)
        except EOFError:  # a graph that trims takes no more
            return
        while True:
            try:
                out = graph.pull()
            except (BlockingIOError, EOFError):
                break
            assert isinstance(out, VideoFrame), "a graph of video gives video"
            yield out.to_ndarray(format="rgb24")


def _resize(pixels: Pixels, fps: float, rng: np.random.Generator) -> Made:
    s = rng.uniform(0.4, 1.6)
    flags = rng.choice(["bicubic", "lanczos", "area"])
    return _filtered(pixels, fps, f"scale=w=trunc(iw*{s:.3f}/2)*2:h=trunc(ih*{s:.3f}/2)*2:flags={flags}")


def _speed(pixels: Pixels, fps: float, rng: np.random.Generator) -> Made:
    speed = rng.uniform(0.8, 1.25)
    return _filtered(pixels, fps, f"setpts=PTS/{speed:.4f};fps={Fraction(fps).limit_denominator(1001)}")


def _trim(pixels: Pixels, fps: float, rng: np.random.Generator) -> Made:
    head, tail = (rng.uniform(0, 0.18, 2) * len(pixels)).astype(int)
    return _filtered(
        pixels, fps, f"trim=start_frame={head}:end_frame={len(pixels) - tail};setpts=PTS-STARTPTS"
    )


def _crop(pixels: Pixels, fps: float, rng: np.random.Generator) -> Made:
    w, h = 1 - rng.uniform(0.05, 0.2, 2)
    x, y = rng.uniform(0, 1, 2)
    return _filtered(pixels, fps, f"crop=iw*{w:.3f}:ih*{h:.3f}:(iw-ow)*{x:.3f}:(ih-oh)*{y:.3f}")


def _colour(pixels: Pixels, fps: float, rng: np.random.Generator) -> Made:
    hue, saturation, brightness = rng.uniform(-25, 25), rng.uniform(0, 1.6), rng.uniform(-0.8, 0.8)
    warm = rng.uniform(-0.3, 0.3)
    curve = rng.choice(["none", "lighter", "darker", "increase_contrast", "vintage"])
    chain = f"hue=h={hue:.1f}:s={saturation:.2f}:b={brightness:.2f};colorbalance=rm={warm:.2f}:bm={-warm:.2f}"
    return _filtered(pixels, fps, f"{chain};curves=preset={curve}")


def _caption(pixels: Pixels, fps: float, rng: np.random.Generator) -> Made:
    words = rng.choice("Zwei Kinder springen auf dem Bett und lachen laut 2031 NEWS LIVE!".split(), 8)
    top = rng.uniform(0.76, 0.86)
    boxed, fps = _filtered(
        pixels, fps, f"drawbox=x=iw*.08:y=ih*{top:.3f}:w=iw*.84:h=ih*.13:color=black@0.55:t=fill"
    )
    h, w = boxed.shape[1:3]
    layer = np.zeros((h, w, 3), np.uint8)
    for k, line in enumerate((" ".join(words[:4]), " ".join(words[4:]))):
        at = (int(w * 0.1), int(h * (top + 0.055 + 0.06 * k)))
        cv2.putText(layer, line, at, cv2.FONT_HERSHEY_DUPLEX, h / 450, (255, 240, 90), 1, cv2.LINE_AA)
    return np.maximum(boxed, layer), fps


def _logo(pixels: Pixels, fps: float, rng: np.random.Generator) -> Made:
    x, y, w = rng.choice([0.03, 0.82]), rng.choice([0.04, 0.82]), rng.uniform(0.09, 0.15)
    boxes = [
        f"drawbox=x=iw*{x:.3f}:y=ih*{y:.3f}:w=iw*{w:.3f}:h=ih*.13:color=white@0.9:t=fill",
        f"drawbox=x=iw*{x + w / 4:.3f}:y=ih*{y + 0.03:.3f}:w=iw*{w / 2:.3f}:h=ih*.07:color=red:t=fill",
    ]
    return _filtered(pixels, fps, ";".join(boxes))


def _letterbox(pixels: Pixels, fps: float, rng: np.random.Generator) -> Made:
    bar = rng.uniform(1.12, 1.5)
    size = (f"iw*{bar:.3f}", "ih") if rng.random() < 0.4 else ("iw", f"ih*{bar:.3f}")
    return _filtered(pixels, fps, f"pad={size[0]}:{size[1]}:(ow-iw)/2:(oh-ih)/2:black")


MAKERS: dict[str, Maker] = {
    "reencode": lambda pixels, fps, _: (pixels, fps),
    "resize": _resize,
    "speed": _speed,
    "mirror": lambda pixels, fps, _: _filtered(pixels, fps, "hflip"),
    "trim": _trim,
    "crop": _crop,
    "colour": _colour,
    "caption": _caption,
    "logo": _logo,
    "letterbox": _letterbox,
}
"""Kind -> what makes it."""
