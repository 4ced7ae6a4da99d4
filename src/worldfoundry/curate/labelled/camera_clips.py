"""From labelled paths to decoded clips: rendering, foreground, weather, a real codec."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream

from worldfoundry.curate.detect.camera import CameraDetector
from worldfoundry.curate.labelled.camera_paths import LabelledPath
from worldfoundry.curate.labelled.camera_sources import Footage
from worldfoundry.protocols.curation import SourceInfo, Timeline

_ASPECT = 16 / 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a path becomes a file."""

    height: int
    """Rows; 16:9."""
    fps: float
    """Frames a second."""
    codec: str = "libx264"
    """Encoder of FFmpeg."""
    crf: int = 26
    """Its quality, smaller is better."""
    effect: str = ""
    """grain, flicker, rain or nothing."""


@dataclass(frozen=True, slots=True)
class SmallView:
    """The part of a view that detectors of motion use."""

    seconds: float
    """Presentation time."""
    small: np.ndarray
    """uint8 RGB [h, w, 3]."""

    @property
    def luma(self) -> np.ndarray:
        """Of the small picture."""
        return cv2.cvtColor(self.small, cv2.COLOR_RGB2GRAY)


def draw_look(split: str, kind: str, rng: np.random.Generator) -> Look:
    """Rate, size and codec of a clip; the codecs of the splits differ in kind and quality."""
    fps = rng.choice(
        {"train": [15, 24, 30], "validation": [12.5, 25, 50], "test": [15, 24, 25, 30, 60]}[split]
    )
    codec, low, high = {
        "train": ("libx264", 20, 36),
        "validation": ("mpeg4", 3, 9),
        "test": ("libx264", 18, 38),
    }[split]
    effects = ["grain", "flicker", "rain"]
    effect = (
        str(rng.choice(effects)) if kind == "weather" else str(rng.choice(["", "", "", "", *effects[:2]]))
    )
    height = int(rng.choice([240, 360], p=[0.7, 0.3]))
    return Look(height=height, fps=float(fps), codec=codec, crf=int(rng.integers(low, high)), effect=effect)


def render(
    path: LabelledPath, footage: Footage, prop: Footage, look: Look, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """uint8 RGB frames of a clip; ``prop`` gives the look of an object in front, for the kinds that have one."""
    h = look.height
    w = round(h * _ASPECT / 2) * 2
    diagonal = float(np.hypot(h, w))
    to_pixels = np.array([[diagonal, 0, (w - 1) / 2], [0, diagonal, (h - 1) / 2], [0, 0, 1]])
    thing = _Thing(prop, path, rng) if path.kind in ("object", "tracking") else None
    effect = _Effect(look.effect, rng)
    for k in range(max(4, round(path.seconds * look.fps))):
        t = k / look.fps
        frame = cv2.warpPerspective(
            footage.at(t),
            to_pixels @ path.matrix(t),
            (w, h),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
        if thing is not None:
            thing.draw(frame, t)
        yield effect(frame, t)


class _Thing:
    """An ellipse cut from other footage that crosses the picture, or stays in its middle when the camera follows it."""

    def __init__(self, prop: Footage, path: LabelledPath, rng: np.random.Generator):
        self._picture = prop.at(float(rng.uniform(0, 2)))
        follows = path.kind == "tracking"
        self._size = rng.uniform(0.16, 0.28, 2) if follows else rng.uniform(0.2, 0.42, 2)
        self._at = (
            rng.uniform(-0.06, 0.06, 2) if follows else rng.uniform(-0.35, 0.35, 2) * np.array([1, 0.4])
        )
        ways = rng.uniform(0.05, 0.4) * rng.choice([-1, 1]), rng.normal(0, 0.03)
        self._speed = np.zeros(2) if follows else np.array(ways)
        self._sway, self._phase = rng.uniform(0, 0.02), rng.uniform(0, 6)

    def draw(self, frame: np.ndarray, t: float) -> None:
        h, w = frame.shape[:2]
        diagonal = float(np.hypot(h, w))
        at = self._at + self._speed * t + self._sway * np.array([0, np.sin(5 * t + self._phase)])
        x, y = at * diagonal + np.array([w / 2, h / 2])
        half = self._size * diagonal / 2
        ph, pw = self._picture.shape[:2]
        scale = max(2 * half[0] / pw, 2 * half[1] / ph)
        place = np.array([[scale, 0, x - scale * pw / 2], [0, scale, y - scale * ph / 2]])
        skin = cv2.warpAffine(self._picture, place, (w, h), flags=cv2.INTER_LINEAR)
        mask = np.zeros((h, w), np.uint8)
        box = ((x, y), (2 * half[0], 2 * half[1]), 0)
        cv2.ellipse(mask, box, 255, -1, cv2.LINE_AA)
        cv2.copyTo(skin, mask, frame)


class _Effect:
    """Film grain, flicker, rain: change without camera motion."""

    def __init__(self, name: str, rng: np.random.Generator):
        self._name, self._rng = name, rng
        self._strength = rng.uniform(0, 1)
        self._drops = rng.uniform(0, 1, (int(rng.integers(40, 140)), 3))

    def __call__(self, frame: np.ndarray, t: float) -> np.ndarray:
        if self._name == "grain":
            noise = self._rng.standard_normal(frame.shape[:2], np.float32) * (3 + 9 * self._strength)
            return np.clip(frame + noise[..., None], 0, 255).astype(np.uint8)
        if self._name == "flicker":
            gain = 1 + (0.03 + 0.1 * self._strength) * np.sin(2 * np.pi * 7.3 * t) * self._rng.uniform(0.5, 1)
            return cv2.convertScaleAbs(frame, alpha=float(gain))
        if self._name == "rain":
            h, w = frame.shape[:2]
            veil = frame.copy()
            for x, y, speed in self._drops:
                py = int((y + (1.2 + speed) * t) % 1 * h)
                px = int(x * w)
                cv2.line(veil, (px, py), (px + 1, py + h // 12), (200, 205, 210), 1 + h // 400, cv2.LINE_AA)
            return cv2.addWeighted(frame, 0.5, veil, 0.5, 0)
        return frame


def through_codec(frames: Iterator[np.ndarray], look: Look) -> Iterator[SmallView]:
    """Encode, decode, and make small as the curator does."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as out:
        stream: VideoStream | None = None
        for frame in frames:
            stream = stream or _add_stream(out, look, *frame.shape[:2])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        if stream is not None:
            out.mux(stream.encode())
    file.seek(0)
    with av.open(file, "r") as video:
        for k, decoded in enumerate(video.decode(video=0)):
            height = round(256 * decoded.height / decoded.width)
            small = decoded.reformat(256, height, "rgb24", interpolation=Interpolation.AREA).to_ndarray()
            yield SmallView(k / look.fps, small)


def _add_stream(out: OutputContainer, look: Look, height: int, width: int) -> VideoStream:
    stream = out.add_stream(look.codec, rate=Fraction(look.fps).limit_denominator(1001))
    assert isinstance(stream, VideoStream), "codecs of looks are video codecs"
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.codec_context.thread_count = 1
    quality = str(look.crf)
    is_x264 = look.codec == "libx264"
    stream.options = (
        {"crf": quality, "preset": "superfast"} if is_x264 else {"qmin": quality, "qmax": quality}
    )
    return stream


def measure(views: Iterator[SmallView], fps: float) -> Timeline:
    """The timeline of a clip."""
    info = SourceInfo(source="", source_id="", width=256, height=144, fps=fps, duration_s=0.0)
    meter = CameraDetector().begin(info)
    for view in views:
        meter.observe(view)
    return meter.finish()
