"""Every frame of a source as detectors see it: a small picture at once, the full-resolution luma when asked for.

Unlike ``iter_frames``, which refuses a damaged video, this goes on behind damage and tells of it, so that the good parts
of a source can be used: what is damaged is decided above, from numbers.
"""

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import av
import av.error
import numpy as np
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from worldfoundry.data import video_io

COLUMNS = 256
"""Columns of the small picture at most."""
_NARROW = 1024
"""Columns up to which the fast scaler is used: it looks at two pixels of four at worst, beyond that it would miss too much,
and decoding costs so much there that averaging all pixels costs little beside it."""
_MAX_ERRORS_IN_A_ROW = 200  # packets; a file of noise must not be read to its end
_LUMA_PLANE = frozenset(
    f"yuv{j}{s}p" for j in ("", "j") for s in ("420", "422", "444", "440", "411", "410")
) | {"nv12", "nv21", "nv16", "gray", "yuva420p"}


@dataclass(frozen=True, slots=True)
class Scalers:
    """Scalers that the frames of one source share: to set one up costs more than to scale a frame."""

    small: VideoReformatter = field(default_factory=VideoReformatter)
    """Of small pictures."""
    full: VideoReformatter = field(default_factory=VideoReformatter)
    """Of pictures at other sizes."""


class FrameView:
    """One decoded frame; a ``View`` of protocols/curation.py. Good until the next one is asked for."""

    __slots__ = ("_frame", "_luma", "_scalers", "_small", "_turns", "seconds")

    def __init__(self, frame: av.VideoFrame, seconds: float, scalers: "Scalers | None" = None):
        self.seconds = seconds
        self._frame = frame
        self._scalers = scalers or Scalers()
        self._turns = round(frame.rotation / 90) % 4
        self._small: np.ndarray | None = None
        self._luma: np.ndarray | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the upright picture."""
        stored = (self._frame.height, self._frame.width)
        return stored if self._turns % 2 == 0 else (stored[1], stored[0])

    @property
    def small(self) -> np.ndarray:
        """uint8 RGB [h, w, 3], at most 256 columns, never enlarged; not to be changed."""
        if self._small is None:
            height, width = small_size(*self.size)
            stored = (height, width) if self._turns % 2 == 0 else (width, height)
            scaler = Interpolation.FAST_BILINEAR if self._frame.width <= _NARROW else Interpolation.AREA
            rgb = self._scalers.small.reformat(
                self._frame, stored[1], stored[0], "rgb24", interpolation=scaler
            )
            self._small = self._upright(rgb.to_ndarray())
        return self._small

    @property
    def luma(self) -> np.ndarray:
        """uint8 [H, W] at full resolution, full range."""
        if self._luma is None:
            self._luma = self._upright(_luma_of(self._frame))
        return self._luma

    def pixels(self, height: int, width: int) -> np.ndarray:
        """uint8 RGB [height, width, 3]."""
        turned = (height, width) if self._turns % 2 == 0 else (width, height)
        rgb = self._scalers.full.reformat(
            self._frame, turned[1], turned[0], "rgb24", interpolation=Interpolation.BILINEAR
        )
        return self._upright(rgb.to_ndarray())

    def _upright(self, pixels: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.rot90(pixels, self._turns)) if self._turns else pixels


@dataclass(slots=True)
class Views:
    """Iterates over the frames of a source in order of presentation and counts what is wrong with it.

    Raises DataError if the file cannot be opened or has no frame at all.
    """

    path: video_io.Pathlike
    """A local file."""
    start_s: float = -math.inf
    """Frames before this time are left out."""
    end_s: float = math.inf
    """Frames from this time on are left out."""
    num_frames: int = 0
    """Frames that came."""
    num_promised: int = 0
    """Frames that the header promises; 0 where it does not say."""
    damage_s: list[float] = field(default_factory=list)
    """About when frames were damaged, unreadable or out of order."""
    is_cut_short: bool = False
    """Whether bytes are missing at the end of the file, or it could not be read to its end."""

    def __iter__(self) -> Iterator[FrameView]:
        with video_io._opened(self.path) as video:
            self.num_promised = 1 if video.is_still else video.stream.frames
            self.is_cut_short = bool(video_io._missing_bytes(self.path))
            last, scalers = -math.inf, Scalers()
            for frame, seconds in self._decoded(video):
                if seconds < self.start_s:
                    continue
                if seconds >= self.end_s:
                    return
                if frame.is_corrupt or not seconds > last:
                    self.damage_s.append(round(seconds, 6))
                    continue
                last = seconds
                self.num_frames += 1
                yield FrameView(frame, seconds, scalers)
                if video.is_still:
                    return
            if not self.num_frames:
                raise video_io._cut_short(video, 0, 0.0, "no frame can be decoded")

    def _decoded(self, video: "video_io._Video") -> Iterator[tuple[av.VideoFrame, float]]:
        step = 1 / float(video.header_rate or 1)
        number, seconds, errors = 0, 0.0, 0
        # Asked once: per frame these take longer than to divide two integers, which rounds as a fraction does.
        has_times, base = video.has_times, video.time_base
        is_sought = self.start_s > 0 and has_times
        packets = (video_io._find_keyframe(video, self.start_s) if is_sought else None) or video.packets()
        while errors < _MAX_ERRORS_IN_A_ROW:
            try:
                packet = next(packets)
            except (StopIteration, av.error.EOFError):
                return
            except av.error.FFmpegError:  # the container cannot be read on: whatever follows is lost
                break
            try:
                frames = packet.decode()
                errors = 0
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                errors += 1
                self.damage_s.append(round(seconds, 6))
                continue
            for frame in frames:
                if not has_times:
                    seconds = number * step
                elif frame.pts is not None:
                    seconds = frame.pts * base.numerator / base.denominator
                number += 1
                yield frame, seconds
        self.damage_s.append(round(seconds, 6))
        self.is_cut_short = True


def small_size(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the small picture of a source."""
    columns = min(COLUMNS, width)
    return max(1, round(height * columns / width)), columns


def _luma_of(frame: av.VideoFrame) -> np.ndarray:
    if frame.format.name not in _LUMA_PLANE:
        return frame.reformat(format="gray", dst_color_range=ColorRange.JPEG).to_ndarray()
    plane = frame.planes[0]
    luma = np.frombuffer(cast(Any, plane), np.uint8).reshape(-1, plane.line_size)[
        : frame.height, : frame.width
    ]
    is_full = frame.format.name.startswith("yuvj") or frame.color_range == ColorRange.JPEG
    if is_full or frame.format.name == "gray":
        return luma
    # A fifth of what indexing a table by an array takes.
    return np.frombuffer(luma.tobytes().translate(_full_range()), np.uint8).reshape(luma.shape)


@functools.cache
def _full_range() -> bytes:
    """Luma of video range, 16 to 235, to 0 to 255."""
    return ((np.arange(256) - 16) * (255 / 219) + 0.5).clip(0, 255).astype(np.uint8).tobytes()
