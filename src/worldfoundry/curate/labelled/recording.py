"""A labelled video: composed frames that went through a real codec, and the truth about their transitions."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import av
import numpy as np

TICKS = 90_000
"""Units of time a second in the files that are written."""


Kind = Literal["cut", "dissolve", "fade", "wipe"]
"""Ways from shot to shot."""


@dataclass(frozen=True, slots=True)
class Truth:
    """One transition, in frames."""

    first: int
    """First frame that is not purely of the old shot; of a hard cut, the first frame of the new shot."""
    stop: int
    """First frame that is purely of the new shot; equals ``first`` for a hard cut."""
    kind: Kind
    """How."""
    cuts: tuple[int, ...] = ()
    """Hard cuts that are part of it, such as one to black before a fade in."""
    ignored: bool = False
    """Neither found nor missed in a count: the fade that opens or closes a video."""


@dataclass(frozen=True)
class Recording:
    """A labelled video, decoded."""

    name: str
    """Unique."""
    group: str
    """The source it mostly consists of; intervals are resampled over these."""
    frames: np.ndarray
    """uint8 [t, h, w, 3]."""
    seconds: np.ndarray
    """float64 [t], presentation times."""
    truths: tuple[Truth, ...]
    """In order."""

    @property
    def end_s(self) -> float:
        """End of the last frame."""
        return float(self.seconds[-1] + np.median(np.diff(self.seconds)))


def even_times(count: int, fps: float) -> np.ndarray:
    """Times of a constant rate."""
    return np.arange(count) / fps


def uneven_times(rng: np.random.Generator, count: int, fps: float) -> np.ndarray:
    """Times of a phone or a screen recorder: jitter, and now and then a gap of several frames."""
    steps = rng.uniform(0.75, 1.25, count) + (rng.random(count) < 0.04) * rng.integers(1, 5, count)
    return np.concatenate([[0.0], np.cumsum(steps[:-1])]) / fps


def through_codec(
    frames: np.ndarray, seconds: np.ndarray, codec: str, crf: int
) -> tuple[np.ndarray, np.ndarray]:
    """Encode by ``libx264``, ``libx265`` or ``libsvtav1`` and decode again: frames and times as a reader gets them."""
    buffer = io.BytesIO()
    with _usual_priority():
        _encode(buffer, frames, seconds, codec, crf)
    buffer.seek(0)
    with av.open(buffer, "r") as source:
        decoded = [(f.to_ndarray(format="rgb24"), f.time) for f in source.decode(video=0)]
    assert len(decoded) == len(frames), f"{codec} returned {len(decoded)} frames of {len(frames)}"
    return np.stack([d[0] for d in decoded]), np.array([d[1] for d in decoded])


def _encode(buffer: io.BytesIO, frames: np.ndarray, seconds: np.ndarray, codec: str, crf: int) -> None:
    options = (
        {"crf": str(crf), "preset": "10"} if codec == "libsvtav1" else {"crf": str(crf), "preset": "veryfast"}
    )
    options |= {"svtav1-params": "lp=1"} if codec == "libsvtav1" else {"threads": "1"}
    if codec == "libx264":
        options["mbtree"] = "0"  # which reads memory that nobody wrote: see ``data/video_write.py``
    with av.open(buffer, "w", format="matroska") as out:
        stream: Any = out.add_stream(codec, rate=30, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, TICKS)
        stream.codec_context.time_base = Fraction(1, TICKS)
        for pixels, time in zip(frames, seconds, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = round(float(time) * TICKS), Fraction(1, TICKS)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


@contextmanager
def _usual_priority() -> Iterator[None]:
    """Takes back the real-time priority that SVT-AV1 gives to the thread that calls it, where it is allowed to."""
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, priority)
