"""Video and image files read, by PyAV; ``video_write`` writes them. Nothing else in the project opens any.

Times are presentation times in seconds, as the container stores them: a span is half-open, ``start <= time < end``, and
reading one gives exactly the frames that slicing the whole video would give. Frames are uint8 RGB ``[t, h, w, 3]``, upright
(rotation metadata applied); sound, subtitles and further video streams are left out. Nothing is resized, resampled or
padded without being asked for. A file that cannot be used raises one ``DataError``; no error of the codec library leaks out.

Containers that store no presentation times (AVI, raw streams) are taken at their constant header rate and are read from
the beginning. A still image is a video of one frame at time 0 and, having no rate, 1 fps.
"""

import itertools
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, NamedTuple

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.data.files import IMAGE_SUFFIXES
from worldfoundry.protocols.frames import Frames

Pathlike = str | os.PathLike[str]
CODEC_THREADS = 1
"""The same bytes and the same errors on every machine; work is spread over videos instead."""

_FORMATS = frozenset(
    "mov mp4 m4a 3gp matroska webm avi mpegts mpeg h264 hevc ivf obu flv ogg asf gif apng mjpeg".split()
)
_NO_TIMES = frozenset(("avi", "h264", "hevc"))
_WANTED = "a video (H.264, H.265, AV1, VP9 or MPEG-4 in mp4, mov, mkv, webm or avi)"
_MOST_STRETCH = 1.01
_PROBE_PACKETS = 600
_SEEK_BACK_SECONDS = (0.0, 2.0, 20.0)


class TimedFrame(NamedTuple):
    """One decoded frame."""

    pixels: np.ndarray
    """uint8 [h, w, 3], RGB, full range."""
    seconds: float
    """Presentation time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """What a video file is, without decoding all of it."""

    container: str
    """Demuxer name of FFmpeg, such as ``mov,mp4,m4a,3gp,3g2,mj2``."""
    codec: str
    """Codec name, such as ``h264``."""
    width: int
    """Columns of the upright picture."""
    height: int
    """Rows of the upright picture."""
    rotation_degrees: int
    """Counter-clockwise rotation that makes the stored picture upright: 0, 90, 180 or 270."""
    pix_fmt: str
    """Pixel format as stored, such as ``yuv420p10le``."""
    pixel_aspect: float
    """Width over height of one pixel; 1 where the file does not say. Pixels are never stretched here."""
    fps_from_header: float
    """Average rate that the container states; 0 where it states none."""
    fps_measured: float
    """Rate by the presentation times of the first frames (at most 600)."""
    is_variable_rate: bool
    """Whether those times are not equally spaced."""
    num_frames: int
    """Frames by the header, counted where it does not say."""
    duration_seconds: float
    """Time from the first frame to the end of the last."""
    has_audio: bool
    """Whether there is a sound track."""
    is_still: bool
    """Whether it is a still image."""


def read_video(
    path: Pathlike,
    *,
    start_seconds: float = 0.0,
    end_seconds: float = math.inf,
    max_frames: int | None = None,
    height: int | None = None,
    width: int | None = None,
) -> Frames:
    """Decode the frames with ``start_seconds <= time < end_seconds``, at most ``max_frames`` of them.

    A ``start_seconds`` of 0 is the first frame, whatever its time.

    Given one of ``height`` and ``width``, the other keeps the aspect ratio. ``fps`` of the result is measured from its
    own presentation times. A truncated or damaged span raises DataError; it is never shortened silently.
    """
    with _opened(path) as video:
        decoded = list(
            _decode(video, start_seconds, end_seconds, max_frames=max_frames, height=height, width=width)
        )
        seconds = np.array([f.seconds for f in decoded])
        fps = _measure(seconds, video).fps
    return Frames(pixels=np.stack([f.pixels for f in decoded]), fps=fps, pts_seconds=seconds)


def iter_frames(
    path: Pathlike,
    *,
    start_seconds: float = 0.0,
    end_seconds: float = math.inf,
    max_frames: int | None = None,
    height: int | None = None,
    width: int | None = None,
) -> Iterator[TimedFrame]:
    """Like ``read_video``, one frame at a time: memory does not grow with the length of the video."""
    with _opened(path) as video:
        yield from _decode(
            video, start_seconds, end_seconds, max_frames=max_frames, height=height, width=width
        )


class Times(NamedTuple):
    """When the frames of a video are shown."""

    fps: float
    """Rate by the presentation times of all frames, as ``read_video`` measures it."""
    num_frames: int
    """Frames that are shown; a header may count others."""


def read_times(path: Pathlike) -> Times:
    """Rate and number of the frames by their packets; nothing is decoded."""
    with _opened(path) as video:
        shown = _shown_seconds(video)
        return Times(_measure(shown, video).fps, len(shown))


def read_seconds(path: Pathlike) -> np.ndarray:
    """float64 [t], the presentation time of every frame in order, by the packets; nothing is decoded."""
    with _opened(path) as video:
        return _shown_seconds(video)


def read_image(path: Pathlike, *, height: int | None = None, width: int | None = None) -> Frames:
    """A still image as one frame; transparency is dropped."""
    with _opened(path) as video:
        if not video.is_still:
            raise DataError(
                f"{path} must be a still image, got a video; give it as one (--video on the command line)"
            )
    return read_video(path, max_frames=1, height=height, width=width)


def read_last(path: Pathlike, num_frames: int, *, fps: float | None = None) -> Frames:
    """The last ``num_frames`` frames, or with ``fps`` those nearest to that many times ``1 / fps`` apart, the last frame's last.

    Decoding begins at the keyframe before them. Fewer frames than that are a DataError, and so is a rate below ``fps``:
    frames would repeat.
    """
    if num_frames < 1:
        raise ConfigError(f"num_frames must be at least 1, got {num_frames}; ask for a frame or more")
    with _opened(path) as video:
        shown = _shown_seconds(video)
        if fps is not None and num_frames > 1:
            _check_rate(_measure(shown, video).fps, fps, source=path)
        wanted = shown[-num_frames:] if fps is None else shown[-1] - np.arange(num_frames)[::-1] / fps
        if len(wanted) < num_frames or shown[0] > wanted[0] + 0.5 / (fps or 1):
            got = len(shown) if fps is None else math.floor((shown[-1] - shown[0]) * fps + 0.5) + 1
            rate = "" if fps is None else f" at {fps:g} fps"
            raise DataError(
                f"{path} must have {num_frames} frames{rate} or more, got {got}; use a longer video or ask for fewer"
            )
        promised = shown[_nearest(shown, wanted[:1])[0] :]
        decoded = list(_decode(video, promised[0] - 1e-6, math.inf))
        seconds = np.array([f.seconds for f in decoded])
        if len(decoded) != len(promised):
            raise _damaged(video, seconds[0], f"{len(decoded)} frames from {len(promised)} packets")
        chosen = _nearest(seconds, wanted)
        rate = fps or _measure(seconds, video).fps
    return Frames(pixels=np.stack([decoded[k].pixels for k in chosen]), fps=rate, pts_seconds=wanted)


def probe(path: Pathlike) -> VideoInfo:
    """Look into a video file: its first frame is decoded, its packets are counted only if the header has no count."""
    with _opened(path) as video:
        first = next(_decode(video, -math.inf, math.inf, max_frames=1))
        rotation, fmt = video.rotation_degrees, video.stream.format
        aspect = video.stream.sample_aspect_ratio
        everything = video.packets()
        counted = video.stream.frames == 0 and not video.is_still
        packets = (p for p in everything if p.size and not p.is_discard)
        ticks: list[int | None] = [
            p.pts for p in itertools.islice(packets, None if counted else _PROBE_PACKETS)
        ]
        num_frames = len(ticks) if counted or video.is_still else video.stream.frames
        known = [t for t in ticks if t is not None]
        if video.has_times and len(known) == len(ticks):
            # In order of decoding: the last few may lack neighbours that are shown before them.
            shown = np.sort([float(t * video.time_base) for t in known])
            seconds = shown[: _PROBE_PACKETS - 32] if len(shown) >= _PROBE_PACKETS else shown
        else:
            seconds = np.arange(len(ticks)) / float(video.header_rate or 1)
        rate = _measure(seconds, video)
        stated = video.stream.duration
        duration = float(stated * video.time_base) if stated else num_frames / rate.fps
        return VideoInfo(
            container=video.container.format.name,
            codec=video.stream.codec_context.name,
            width=first.pixels.shape[1],
            height=first.pixels.shape[0],
            rotation_degrees=rotation,
            pix_fmt=fmt.name if fmt else "unknown",
            pixel_aspect=float(aspect or 1),
            fps_from_header=float(video.header_rate or 0),
            fps_measured=rate.fps,
            is_variable_rate=not rate.is_constant,
            num_frames=num_frames,
            duration_seconds=1 / rate.fps if video.is_still else duration,
            has_audio=bool(video.container.streams.audio),
            is_still=video.is_still,
        )


def check_whole(path: Pathlike, *, decode: bool = False) -> None:
    """Refuse a file whose end is missing; with ``decode`` also damage inside it, which only decoding all of it finds."""
    if missing := _missing_bytes(path):
        raise DataError(
            f"{path} must be a whole video, got a file cut short by {missing} bytes; copy or download it again"
        )
    if decode:
        came, wanted = sum(1 for _ in iter_frames(path)), read_times(path).num_frames
        if came != wanted:
            raise DataError(
                f"{path} must decode to a frame for each of its {wanted} packets, got {came}; re-encode it with ffmpeg"
            )


def resample_rate(frames: Frames, fps: float, *, source: Pathlike = "the source") -> Frames:
    """Frames at ``fps`` instead of ``frames.fps``: at each time ``k / fps`` the source frame nearest in time.

    Frames are left out and none is blended. A rate above that of the source, by more than 1 %, is a DataError that names
    ``source``: frames would repeat and the world would stutter. The result covers the duration of the source, never more,
    and starts at the time of its first frame.
    """
    _check_rate(frames.fps, fps, source=source)
    pts = np.asarray(frames.pts_seconds, dtype=np.float64)
    duration = pts[-1] - pts[0] + 1 / frames.fps
    times = pts[0] + np.arange(max(1, math.floor(duration * fps + 1e-6))) / fps
    return Frames(pixels=frames.pixels[_nearest(pts, times)], fps=fps, pts_seconds=times)


def _check_rate(found_fps: float, fps: float, *, source: Pathlike) -> None:
    if not fps > 0:
        raise ConfigError(f"fps must be above 0, got {fps}; give the rate to resample to")
    if fps > _MOST_STRETCH * found_fps:
        raise DataError(
            f"{source} must run at {fps:g} fps or more, got {found_fps:.3g}: frames would repeat; use a faster video or a "
            "lower rate"
        )


def _nearest(pts: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Index of the frame nearest to each time, the earlier of two."""
    after = np.searchsorted(pts, times).clip(1, max(1, len(pts) - 1))
    before = after - 1
    after = after.clip(max=len(pts) - 1)
    return np.where(times - pts[before] <= pts[after] - times + 1e-9, before, after)


def is_constant_rate(seconds: np.ndarray, fps: float) -> bool:
    """Whether the times are ``k / fps`` after the first to within a millisecond, the rounding of Matroska and WebM."""
    return bool(np.all(np.abs(seconds - seconds[0] - np.arange(len(seconds)) / fps) <= 1.001e-3))


@dataclass(slots=True)
class _Video:
    """An opened file and its first video stream."""

    path: Pathlike
    container: InputContainer
    stream: VideoStream
    rotation_degrees: int = 0
    is_fresh: bool = True
    """Whether no packet has been read yet."""
    scaler: VideoReformatter = field(default_factory=VideoReformatter)
    """Shared by all frames: to set one up costs more than to scale a frame."""

    @property
    def time_base(self) -> Fraction:
        return self.stream.time_base or Fraction(1, av.time_base)

    @property
    def header_rate(self) -> Fraction | None:
        return self.stream.average_rate or self.stream.guessed_rate

    @property
    def is_still(self) -> bool:
        names = self.container.format.name
        return names == "image2" or names.endswith("_pipe")

    @property
    def has_times(self) -> bool:
        return not _NO_TIMES & set(self.container.format.name.split(",")) and not self.is_still

    def packets(self) -> Iterator[av.Packet]:
        """Packets from the first one on, whether or not the container can seek."""
        if not self.is_fresh:
            self.container.close()
            self.container, self.stream = _open(self.path)
        self.is_fresh = False
        return self.container.demux(self.stream)


class _Rate(NamedTuple):
    fps: float
    is_constant: bool


@contextmanager
def _opened(path: Pathlike) -> Iterator[_Video]:
    """The opened video; every failure of the codec library inside becomes a DataError."""
    video = None
    try:
        if not Path(path).exists():
            raise DataError(f"{path} must be {_wanted(path)}, got no such file; check the path")
        if Path(path).is_dir():
            raise DataError(f"{path} must be {_WANTED}, got a folder; name a file in it")
        if Path(path).stat().st_size == 0:
            raise DataError(f"{path} must be {_wanted(path)}, got an empty file; copy or download it again")
        video = _Video(path, *_open(path))
        yield video
    except (av.error.FFmpegError, OSError) as error:
        missing = _missing_bytes(path)
        what = f"a file cut short by {missing} bytes" if missing else f"{reason_of(error)!r}"
        raise DataError(
            f"{path} must be {_wanted(path)}, got {what}; copy it again or convert it with ffmpeg"
        ) from error
    finally:
        if video is not None:
            video.container.close()


def _wanted(path: Pathlike) -> str:
    """A still image by its suffix, else a video."""
    return "a still image (PNG or JPEG)" if Path(path).suffix.lower() in IMAGE_SUFFIXES else _WANTED


def _open(path: Pathlike) -> tuple[InputContainer, VideoStream]:
    # Only the file itself: a playlist in disguise must not open others.
    container = av.open(os.fspath(path), options={"protocol_whitelist": "file", "pattern_type": "none"})
    names = set(container.format.name.split(","))
    is_still = container.format.name == "image2" or container.format.name.endswith("_pipe")
    streams = [s for s in container.streams.video if s.codec_context is not None]
    if not (names & _FORMATS or is_still) or not streams:
        container.close()
        got = (
            f"{container.format.name} without pictures"
            if names & _FORMATS
            else f"a {container.format.name} file"
        )
        raise DataError(f"{path} must be {_WANTED}, got {got}; name another file or convert it with ffmpeg")
    streams[0].codec_context.thread_count = CODEC_THREADS
    return container, streams[0]


def _decode(
    video: _Video,
    start: float,
    end: float,
    *,
    max_frames: int | None = None,
    height: int | None = None,
    width: int | None = None,
) -> Iterator[TimedFrame]:
    _check_span(start, end, max_frames)
    start = -math.inf if start <= 0 else start  # a few files begin just before 0
    count, last = 0, -math.inf
    for frame, seconds, number in _timed(video, start):
        if seconds < start:
            continue
        if seconds >= end:
            break
        if frame.is_corrupt and _missing_bytes(video.path):
            raise _cut_short(video, number, seconds, "a frame is incomplete")
        if frame.is_corrupt:
            raise _damaged(video, seconds, "a frame that does not decode cleanly")
        if seconds <= last:
            raise _damaged(video, seconds, "presentation times that go back")
        last = seconds
        yield TimedFrame(_pixels(frame, video, height, width), seconds)
        count += 1
        if count == max_frames:
            return
    if count == 0:
        span = "" if (start <= 0 and end == math.inf) else f" between {start:g} s and {end:g} s"
        raise DataError(f"{video.path} must hold frames{span}, got none; check the file and the span")


def _check_span(start: float, end: float, max_frames: int | None) -> None:
    if not start < end:
        raise ConfigError(
            f"start_seconds must be below end_seconds, got {start} and {end}; swap or widen them"
        )
    if max_frames is not None and max_frames < 1:
        raise ConfigError(f"max_frames must be at least 1, got {max_frames}; raise it or leave it out")


def _shown_seconds(video: _Video) -> np.ndarray:
    """The time of every frame in order, by the packets: nothing is decoded."""
    ticks = [p.pts for p in video.packets() if p.size and not p.is_discard]
    known = [t for t in ticks if t is not None]
    if not ticks or (video.has_times and len(known) < len(ticks)):
        raise _damaged(video, 0.0, "frames without a presentation time" if ticks else "no frames")
    if video.has_times:
        return np.sort([float(t * video.time_base) for t in known])
    return np.arange(len(ticks)) * (1 / float(video.header_rate or 1))


def _timed(video: _Video, start: float) -> Iterator[tuple[av.VideoFrame, float, int | None]]:
    """Decoded frames from ``start`` or earlier with their times and, where known, numbers.

    At the end of a file that was cut short: DataError.
    """
    sought = _find_keyframe(video, start) if start > 0 and video.has_times else None
    whole, packets = sought is None, sought or video.packets()
    num_packets, num_frames, seconds = 0, 0, 0.0
    step = 1 / float(video.header_rate or 1)
    try:
        for packet in packets:
            num_packets += bool(packet.size)
            for frame in packet.decode():
                seconds = num_frames * step
                if video.has_times:
                    if frame.pts is None:
                        raise _damaged(video, seconds, "a frame without a presentation time")
                    seconds = float(frame.pts * video.time_base)
                num_frames += 1
                yield frame, seconds, num_frames - 1 if whole else None
    except av.error.EOFError:
        pass
    except av.error.FFmpegError as error:
        raise _cut_short(video, num_frames if whole else None, seconds, reason_of(error)) from error
    promised = video.stream.frames
    if (
        not video.is_still
        and _missing_bytes(video.path)
        and not (whole and promised and num_packets >= promised)
    ):
        raise _cut_short(video, num_frames if whole else None, seconds, "the end of the file")


def _find_keyframe(video: _Video, start: float) -> Iterator[av.Packet] | None:
    """Packets from a keyframe shown at or before ``start`` on; None if there is no such by the index."""
    video.is_fresh = False
    for back in _SEEK_BACK_SECONDS:
        if start - back <= 0:
            break
        try:
            video.container.seek(int((start - back) / video.time_base), stream=video.stream)
            packets = video.container.demux(video.stream)
            first = next(packets)
        except (av.error.FFmpegError, StopIteration):
            break
        # Leading pictures of an open group are shown before its keyframe, so all that matters is its own time.
        if first.pts is not None and first.is_keyframe and float(first.pts * video.time_base) <= start:
            return itertools.chain([first], packets)
    return None


def _pixels(frame: av.VideoFrame, video: _Video, height: int | None, width: int | None) -> np.ndarray:
    """Upright RGB of the size asked for."""
    turns = round(frame.rotation / 90) % 4
    video.rotation_degrees = turns * 90
    h, w = (frame.height, frame.width) if turns % 2 == 0 else (frame.width, frame.height)
    if height is not None or width is not None:
        h, w = (
            max(1, round(h * width / w)) if height is None and width is not None else height or h,
            max(1, round(w * height / h)) if width is None and height is not None else width or w,
        )
    stored_h, stored_w = (h, w) if turns % 2 == 0 else (w, h)
    scaled = video.scaler.reformat(frame, stored_w, stored_h, "rgb24", interpolation=Interpolation.BILINEAR)
    rgb = scaled.to_ndarray()
    return np.ascontiguousarray(np.rot90(rgb, turns)) if turns else rgb


def _measure(seconds: np.ndarray, video: _Video) -> _Rate:
    """The rate by presentation times, given as the header's fraction where their rounding cannot tell the two apart."""
    header = video.header_rate
    if len(seconds) < 2:
        return _Rate(float(header) if header and not video.is_still else 1.0, True)
    measured = (len(seconds) - 1) / float(seconds[-1] - seconds[0])
    tick = float(video.time_base) + 1e-6
    for rate in (header, Fraction(measured).limit_denominator(1001)):
        if rate and np.all(np.abs(seconds - seconds[0] - np.arange(len(seconds)) / float(rate)) <= tick):
            return _Rate(float(rate), True)
    is_constant = np.all(np.abs(seconds - seconds[0] - np.arange(len(seconds)) / measured) <= tick)
    return _Rate(measured, bool(is_constant))


def _damaged(video: _Video, seconds: float, got: str) -> DataError:
    return DataError(
        f"{video.path} must decode without errors, got {got} at {seconds:.3f} s; copy it again or re-encode it with ffmpeg"
    )


def _cut_short(video: _Video, came: int | None, seconds: float, reason: str) -> DataError:
    promised = video.stream.frames
    if not promised and video.container.duration and video.header_rate:
        promised = round(video.container.duration / av.time_base * video.header_rate)
    got = (
        f"{came} of {promised or 'an unknown number of'} frames"
        if came is not None
        else f"an end at {seconds:.3f} s"
    )
    return DataError(
        f"{video.path} must be a whole {'image' if video.is_still else 'video'}, got {got} ({reason}); copy or download it again"
    )


def reason_of(error: Exception) -> str:
    """What the codec library or the system says was wrong."""
    return str(getattr(error, "strerror", None) or error)


def _missing_bytes(path: Pathlike) -> int:
    """How many bytes the file is shorter than its container says; 0 where it does not say."""
    try:
        with open(path, "rb") as file:
            head = file.read(12)
            size = os.fstat(file.fileno()).st_size
            if head[:4] == b"\x1a\x45\xdf\xa3":
                end = _end_of_matroska(file)
            elif head[:4] == b"RIFF" and head[8:] == b"AVI ":
                end = 8 + int.from_bytes(head[4:8], "little")
            elif head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                end = _end_of_boxes(file, size)
            else:
                end = size
    except OSError:
        return 0
    return max(0, end - size)


def _end_of_boxes(file: BinaryIO, size: int) -> int:
    """Where the top-level boxes of an ISO file (mp4, mov) end."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length == 0:  # to the end of the file
            return size
        if length < 8 or not head[4:8].isalnum():
            return size
        position += length
    return position if position > size else size


def _end_of_matroska(file: BinaryIO) -> int:
    """Where the segment of a Matroska file (mkv, webm) ends; 0 where it is not stated."""

    def number(keep_marker: bool) -> int:
        first = file.read(1)
        if not first or not first[0]:
            return -1
        more = 8 - first[0].bit_length()
        value = first[0] if keep_marker else first[0] & (0x7F >> more)
        rest = file.read(more)
        if not keep_marker and value == 0x7F >> more and rest == b"\xff" * more:
            return -1  # unknown size, as live recordings have it
        return int.from_bytes(bytes([value]) + rest, "big")

    file.seek(0)
    for _ in range(8):
        kind, length = number(True), number(False)
        if kind < 0 or length < 0:
            return 0
        if kind == 0x18538067:
            return file.tell() + length
        file.seek(length, os.SEEK_CUR)
    return 0
