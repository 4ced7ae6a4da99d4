"""Real and codec-passed clips for the looks detectors: who may see which source, and how frames become views.

Split by source: a file belongs to train, validation or test by the list below, and nothing of it goes elsewhere.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import ColorRange, Interpolation
from av.video.stream import VideoStream

from worldfoundry.protocols.curation import Detector, SourceInfo, Timeline

SPLITS = ("train", "val", "test")
_TEST = """cosmos-curate-tests big_buck_bunny_0_30 gallery-02_cups notebooks-videos-bedroom CarND asl_gestures-no
asl_gestures-night bottle-detection bridge-train-000000008 bridge-train-000000009 droid_new_setup batch_inputs-3 nasa_13013
cosmos3-reasoner""".split()
_VAL = """car-detection gallery-03_blocks asl_gestures-learn asl_gestures-hungry bridge-train-000000007
droid_subset-videos-train-5 droid_subset-videos-train-6 batch_inputs-2 flower cosmos3-generator""".split()
_MATERIAL = "openh264 smpte bt709 doc_medias".split()
_RENDERED = (
    "cosmos-curate-tests big_buck_bunny bigbuckbunny robot_sample_input robot_augmentation robolab".split()
)
_WITH_TEXT = "cosmos-curate-tests big_buck_bunny_0_30 nasa_13013".split()
_SUFFIXES = (".mp4", ".mkv", ".webm", ".264")


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """One real source."""

    path: Path
    """Its file."""
    split: str
    """train, val, test or material (text and test patterns only)."""
    name: str
    """The unit of splitting and of the bootstrap: episodes with several cameras are one source."""
    is_rendered: bool
    """Drawn or computed, not filmed."""
    may_have_text: bool
    """Whether overlaid text, a fade or a title card is somewhere in it: not a negative of the text detector."""


def list_footage(folder: Path) -> list[Footage]:
    """All sources below ``folder``, in order of name; whatever no list names is for training."""
    found = []
    for path in sorted(p for p in folder.iterdir() if p.suffix in _SUFFIXES):
        split = next(
            (
                s
                for s, keys in (("material", _MATERIAL), ("test", _TEST), ("val", _VAL))
                if any(k in path.name for k in keys)
            ),
            "train",
        )
        stem = path.stem
        name = stem.rsplit("-", 1)[0] if stem.startswith("Ctrl-World") else stem
        found.append(
            Footage(
                path=path,
                split=split,
                name=name,
                is_rendered=any(k in stem for k in _RENDERED),
                may_have_text=any(k in path.name for k in _WITH_TEXT),
            )
        )
    return found


@dataclass(frozen=True, eq=False)
class DecodedView:
    """A decoded frame as detectors see it; pictures are made when they are looked at."""

    seconds: float
    """Presentation time."""
    frame: av.VideoFrame
    """As the decoder gave it."""

    @cached_property
    def rgb(self) -> np.ndarray:
        """uint8 [h, w, 3]."""
        return self.frame.to_ndarray(format="rgb24")

    @property
    def small(self) -> np.ndarray:
        """At most 256 columns."""
        return self._small

    @property
    def luma(self) -> np.ndarray:
        """Grey levels 0 to 255."""
        return self._luma

    @cached_property
    def _small(self) -> np.ndarray:
        w, h = self.frame.width, self.frame.height
        to = (w, h) if w <= 256 else (256, max(1, round(h * 256 / w)))
        return self.frame.reformat(*to, format="rgb24", interpolation=Interpolation.AREA).to_ndarray()

    @cached_property
    def _luma(self) -> np.ndarray:
        return self.frame.reformat(
            format="gray", dst_color_range=ColorRange.JPEG, interpolation=Interpolation.POINT
        ).to_ndarray()


def encode(
    frames: np.ndarray,
    fps: float,
    *,
    codec: str = "libx264",
    options: Mapping[str, str] | None = None,
    bitrate: int = 0,
) -> bytes:
    """Frames uint8 [t, h, w, 3], even sizes, as the bytes of a Matroska file."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        rate = Fraction(fps).limit_denominator(1001)
        stream = cast(VideoStream, container.add_stream(codec, rate=rate, options=dict(options or {})))
        stream.width, stream.height = frames.shape[2], frames.shape[1]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.thread_count = 1
        if bitrate:
            stream.bit_rate = bitrate
        for pixels in frames:
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24"))
            )
        container.mux(stream.encode())
    return buffer.getvalue()


def decode(
    video: bytes | Path, *, start_s: float = 0.0, stride_s: float = 0.0, max_frames: int = 1 << 30
) -> Iterator[DecodedView]:
    """Views of a video from ``start_s`` on; with ``stride_s``, frames at least that far apart."""
    opened = io.BytesIO(video) if isinstance(video, bytes) else str(video)
    due, taken = start_s, 0
    with cast(InputContainer, av.open(opened)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        if start_s > 0 and stream.time_base is not None:
            container.seek(int(start_s / stream.time_base), stream=stream)
        for i, frame in enumerate(container.decode(stream)):
            seconds = frame.time if frame.time is not None else i / float(stream.average_rate or 25)
            if seconds >= due - 1e-3:
                due = max(due + stride_s, seconds + stride_s / 2)
                yield DecodedView(seconds, frame)
                taken += 1
                if taken == max_frames:
                    return


def timeline_of(detector: Detector, views: Iterator[DecodedView]) -> Timeline:
    """What a detector keeps of these views."""
    meter = detector.begin(SourceInfo(source="", source_id="", width=0, height=0, fps=0.0, duration_s=0.0))
    for view in views:
        meter.observe(view)
    return meter.finish()


def through_codec(frames: np.ndarray, fps: float, *, codec: str = "libx264", **settings) -> list[DecodedView]:
    """Encode and decode."""
    return list(decode(encode(frames, fps, codec=codec, **settings)))


def resized(view: DecodedView, factor: float, how: Interpolation) -> DecodedView:
    """The same moment in a smaller or larger picture of even sizes."""
    w, h = (int(n * factor) // 2 * 2 for n in (view.frame.width, view.frame.height))
    return DecodedView(view.seconds, view.frame.reformat(width=w, height=h, interpolation=how))


def windows(
    footage: Footage, *, count: int, num_frames: int, stride_s: float = 0.0
) -> list[tuple[np.ndarray, float]]:
    """Up to ``count`` stretches of ``num_frames`` frames spread over a source, with their rate; black ones left out."""
    with av.open(str(footage.path)) as container:
        stream = container.streams.video[0]
        fps = float(stream.average_rate or 25)
        duration = (
            float(stream.duration * stream.time_base)
            if stream.duration and stream.time_base
            else float(container.duration or 0) / 1e6
        )
    length = num_frames * max(stride_s, 1 / fps)
    count = max(1, min(count, int(duration / length)))
    result = []
    for start in np.linspace(0.08 * duration, max(0.08 * duration, 0.92 * duration - length), count):
        views = list(decode(footage.path, start_s=float(start), stride_s=stride_s, max_frames=num_frames))
        if len(views) >= min(num_frames, 6) and views[0].luma.mean() > 8:
            result.append(
                (even(np.stack([v.rgb for v in views])), min(fps, 1 / stride_s) if stride_s else fps)
            )
    return result


def even(frames: np.ndarray) -> np.ndarray:
    """Cut to even sizes, which 4:2:0 needs."""
    return frames[:, : frames.shape[1] // 2 * 2, : frames.shape[2] // 2 * 2]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labelled:
    """One clip with what is known of it."""

    label: str
    """A defect, a kind, or clean."""
    level: float
    """0 clean, 1 mild, 2 medium, 3 strong."""
    views: list[DecodedView]
    """Its frames, after the codec."""
    group: str = ""
    """Which generator or hard negative made it."""
    mask: np.ndarray | None = None
    """float32 [h, w], 1 where overlaid text is, for the overlay detector."""
