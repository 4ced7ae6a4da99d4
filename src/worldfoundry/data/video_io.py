"""Video and image files in and out, by PyAV; nothing else in the project opens them.

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
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, NamedTuple

import av
import av.error
import numpy as np
from av.container import InputContainer, OutputContainer
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from av.video.stream import VideoStream

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.core.files import atomic_path
from worldfoundry.protocols.video import Frames

Pathlike = str | os.PathLike[str]

_FORMATS = frozenset(
    "mov mp4 m4a 3gp matroska webm avi mpegts mpeg h264 hevc ivf obu flv ogg asf gif apng mjpeg".split()
)
_NO_TIMES = frozenset(("avi", "h264", "hevc"))
_WANTED = "a video (H.264, H.265, AV1, VP9 or MPEG-4 in mp4, mov, mkv, webm or avi)"
_THREADS = 1  # the same bytes and the same errors on every machine; work is spread over videos instead
_PROBE_PACKETS = 600
_SEEK_BACK_SECONDS = (0.0, 2.0, 20.0)
_BT709 = 1
_X264_TICKS = 90_000


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


def read_image(path: Pathlike, *, height: int | None = None, width: int | None = None) -> Frames:
    """A still image as one frame; transparency is dropped."""
    with _opened(path) as video:
        if not video.is_still:
            raise DataError(f"{path} must be a still image, got a {video.stream.name} video; use read_video")
    return read_video(path, max_frames=1, height=height, width=width)


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


def resample_rate(frames: Frames, fps: float) -> Frames:
    """Frames at ``fps`` instead of ``frames.fps``: at each time ``k / fps`` the source frame nearest in time.

    Frames are repeated when ``fps`` is above ``frames.fps`` and left out when it is below; none is blended. The result
    covers the duration of the source, never more, and starts at the time of its first frame.
    """
    if not fps > 0:
        raise ConfigError(f"fps must be above 0, got {fps}; give the rate to resample to")
    pts = np.asarray(frames.pts_seconds, dtype=np.float64)
    duration = pts[-1] - pts[0] + 1 / frames.fps
    times = pts[0] + np.arange(max(1, math.floor(duration * fps + 1e-6))) / fps
    after = np.searchsorted(pts, times).clip(1, max(1, len(pts) - 1))
    before = after - 1
    after = after.clip(max=len(pts) - 1)
    nearest = np.where(times - pts[before] <= pts[after] - times + 1e-9, before, after)
    return Frames(pixels=frames.pixels[nearest], fps=fps, pts_seconds=times)


def is_constant_rate(seconds: np.ndarray, fps: float) -> bool:
    """Whether the times are ``k / fps`` after the first to within a millisecond, the rounding of Matroska and WebM."""
    return bool(np.all(np.abs(seconds - seconds[0] - np.arange(len(seconds)) / fps) <= 1.001e-3))


class VideoWriter:
    """Writes frames one by one to an H.264 mp4 that every browser plays; use it as a context manager.

    yuv420p, BT.709, index in front of the data. The file appears under its name when it is complete, not before. The
    same frames give the same bytes. H.264 in yuv420p needs even sizes: an odd one raises ConfigError unless
    ``pad_to_even``, which repeats the last row or column. With ``is_variable_rate`` the time of each frame is kept (to
    1/90000 s, the first becoming 0); without, frame ``k`` is at ``k / fps`` exactly.
    """

    def __init__(
        self,
        path: Pathlike,
        *,
        fps: float | Fraction,
        crf: int = 18,
        pad_to_even: bool = False,
        is_variable_rate: bool = False,
    ):
        if Path(path).suffix.lower() != ".mp4":
            raise ConfigError(f"path must end in .mp4, got {str(path)!r}; rename it")
        if not 0 <= crf <= 51:
            raise ConfigError(f"crf must be 0 (lossless) to 51, got {crf}; 18 looks like the source")
        if not fps > 0:
            raise ConfigError(f"fps must be above 0, got {fps}; give the rate of the frames")
        self.path = Path(path)
        self.num_frames = 0
        self._rate = Fraction(fps).limit_denominator(1001) or Fraction(fps).limit_denominator(1_000_000)
        self._time_base = Fraction(1, _X264_TICKS) if is_variable_rate else 1 / self._rate
        self._is_variable_rate = is_variable_rate
        self._crf = crf
        self._pad_to_even = pad_to_even
        self._size: tuple[int, ...] | None = None
        self._first_seconds = 0.0

    def __enter__(self) -> "VideoWriter":
        self._atomic = atomic_path(self.path)
        self._temporary = self._atomic.__enter__()
        self._container: OutputContainer | None = None
        return self

    def __exit__(self, kind, error, trace) -> None:
        try:
            if self._container is not None:
                with self._translated():
                    if kind is None:
                        self._container.mux(self._stream.encode())
                    self._container.close()
            if kind is None and self.num_frames == 0:
                raise DataError(
                    f"{self.path} needs at least one frame to be written, got none; write frames first"
                )
        except BaseException as late:
            self._atomic.__exit__(type(late), late, late.__traceback__)
            raise
        self._atomic.__exit__(kind, error, trace)

    def write(self, pixels: np.ndarray, seconds: float = 0.0) -> None:
        """Append one uint8 [h, w, 3] frame; ``seconds`` is its time where the rate is variable."""
        if self._size is None:
            self._begin(pixels, seconds)
        if pixels.shape != self._size:
            raise DataError(
                f"{self.path}: every frame must be {self._size}, got {pixels.shape}; resize them first"
            )
        odd_h, odd_w = pixels.shape[0] % 2, pixels.shape[1] % 2
        if odd_h or odd_w:
            pixels = np.pad(pixels, ((0, odd_h), (0, odd_w), (0, 0)), mode="edge")
        with self._translated():
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(
                format="yuv420p",
                src_color_range=ColorRange.JPEG,
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
                interpolation=Interpolation.BILINEAR,
            )
            frame.time_base = self._time_base
            frame.pts = self.num_frames
            if self._is_variable_rate:
                frame.pts = round((seconds - self._first_seconds) * _X264_TICKS)
            assert self._container is not None
            self._container.mux(self._stream.encode(frame))
        self.num_frames += 1

    def _begin(self, pixels: np.ndarray, seconds: float) -> None:
        height, width = pixels.shape[:2]
        if (height % 2 or width % 2) and not self._pad_to_even:
            raise ConfigError(
                f"{self.path}: H.264 yuv420p needs even sizes, got {width}x{height}; resize it, or pass pad_to_even=True"
            )
        self._size, self._first_seconds = pixels.shape, seconds
        with self._translated():
            options = {"movflags": "+faststart", "fflags": "+bitexact"}
            self._container = av.open(self._temporary, "w", format="mp4", options=options)
            stream = self._container.add_stream(
                "libx264", rate=self._rate, options={"crf": str(self._crf), "preset": "veryfast"}
            )
            stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
            stream.time_base = stream.codec_context.time_base = self._time_base
            context = stream.codec_context
            context.thread_count = _THREADS
            context.color_primaries = context.color_trc = context.colorspace = _BT709
            context.color_range = ColorRange.MPEG
        self._stream = stream

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            raise DataError(
                f"{self.path} could not be written: {_reason(error)}; check the folder and the disk"
            ) from error


def write_video(path: Pathlike, frames: Frames, *, crf: int = 18, pad_to_even: bool = False) -> None:
    """Write ``frames`` as a browser-playable H.264 mp4; see ``VideoWriter``.

    Times that are ``k / fps`` to within a millisecond are written as that constant rate, others as they are.
    """
    pts = np.asarray(frames.pts_seconds, dtype=np.float64)
    is_constant = bool(np.all(np.abs(pts - pts[0] - np.arange(len(pts)) / frames.fps) <= 1.001e-3))
    writer = VideoWriter(
        path, fps=frames.fps, crf=crf, pad_to_even=pad_to_even, is_variable_rate=not is_constant
    )
    with writer:
        for pixels, seconds in zip(frames.pixels, pts, strict=True):
            writer.write(pixels, float(seconds))


def write_image(path: Pathlike, image: Frames | np.ndarray) -> None:
    """Write one frame, or uint8 [h, w, 3], as ``.png`` (exact) or ``.jpg``."""
    pixels = image.pixels if isinstance(image, Frames) else image[None]
    if len(pixels) != 1 or pixels.ndim != 4 or pixels.shape[-1] != 3 or pixels.dtype != np.uint8:
        raise DataError(
            f"{path}: an image is one uint8 [h, w, 3], got {pixels.dtype} {list(pixels.shape)}; pick one frame"
        )
    codecs = {".png": ("png", "rgb24"), ".jpg": ("mjpeg", "yuvj444p"), ".jpeg": ("mjpeg", "yuvj444p")}
    suffix = Path(path).suffix.lower()
    if suffix not in codecs:
        raise ConfigError(f"path must end in {', '.join(codecs)}, got {str(path)!r}; rename it")
    name, fmt = codecs[suffix]
    try:
        data = _encode_image(np.ascontiguousarray(pixels[0]), name, fmt)
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
    except (av.error.FFmpegError, OSError) as error:
        raise DataError(
            f"{path} could not be written: {_reason(error)}; check the folder and the disk"
        ) from error


def _encode_image(pixels: np.ndarray, codec: str, pix_fmt: str) -> bytes:
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.height, encoder.width, encoder.pix_fmt = pixels.shape[0], pixels.shape[1], pix_fmt
    encoder.time_base, encoder.thread_count = Fraction(1, 1), _THREADS
    if codec == "mjpeg":
        encoder.qmin = encoder.qmax = 2
        encoder.color_range = ColorRange.JPEG
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    if pix_fmt != "rgb24":
        frame = frame.reformat(
            format=pix_fmt, dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.JPEG
        )
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


@dataclass(slots=True)
class _Video:
    """An opened file and its first video stream."""

    path: Pathlike
    container: InputContainer
    stream: VideoStream
    rotation_degrees: int = 0
    is_fresh: bool = True
    """Whether no packet has been read yet."""

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
            raise DataError(f"{path} must be {_WANTED}, got no such file; check the path")
        if Path(path).is_dir():
            raise DataError(f"{path} must be {_WANTED}, got a folder; name a file in it")
        if Path(path).stat().st_size == 0:
            raise DataError(f"{path} must be {_WANTED}, got an empty file; copy or download it again")
        video = _Video(path, *_open(path))
        yield video
    except (av.error.FFmpegError, OSError) as error:
        missing = _missing_bytes(path)
        what = f"a file cut short by {missing} bytes" if missing else f"{_reason(error)!r}"
        raise DataError(
            f"{path} must be {_WANTED}, got {what}; copy it again or convert it with ffmpeg"
        ) from error
    finally:
        if video is not None:
            video.container.close()


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
    streams[0].codec_context.thread_count = _THREADS
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
        raise _cut_short(video, num_frames if whole else None, seconds, _reason(error)) from error
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
    rgb = frame.reformat(stored_w, stored_h, "rgb24", interpolation=Interpolation.BILINEAR).to_ndarray()
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
    return DataError(f"{video.path} must be a whole video, got {got} ({reason}); copy or download it again")


def _reason(error: Exception) -> str:
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
