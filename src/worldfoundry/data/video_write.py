"""Video and image files written, by PyAV: H.264 mp4 that every browser plays, AV1 where asked for, png and jpeg.

A file appears under its name when it is complete, not before. The same pixels give the same bytes, of video on every x86-64
processor with SSSE3 or later; others were not measured.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import av.error
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.core.files import atomic_path
from worldfoundry.data.video_io import CODEC_THREADS, Pathlike, is_constant_rate, reason_of
from worldfoundry.protocols.frames import Frames

_BT709 = 1
_X264_TICKS = 90_000
# No macroblock tree: x264's AVX-512 kernel for it takes 8 macroblocks at a time and, in pictures that are not a multiple of
# 128 pixels wide, counts in what lies behind the row, at the end of the picture memory that nobody wrote. The bytes would
# differ from run to run and from machine to machine. Files are about a third larger for it, at a slightly higher PSNR.
_X264_OPTIONS = {"preset": "veryfast", "mbtree": "0"}
# SVT-AV1 would otherwise start threads and buffers for every core of the host, in each of several writers at once.
_ENCODERS = {
    "h264": ("libx264", _X264_OPTIONS),
    "av1": ("libsvtav1", {"preset": "8", "svtav1-params": "lp=1"}),
}
Codec = Literal["h264", "av1"]


class VideoWriter:
    """Writes frames one by one to an mp4, H.264 unless said otherwise; use it as a context manager.

    yuv420p, BT.709, index in front of the data. The file appears under its name when it is complete, not before. The
    same frames give the same bytes on x86-64 with SSSE3 or later. H.264 in yuv420p needs even sizes: an odd one raises
    ConfigError unless ``pad_to_even``, which repeats the last row or column. With ``is_variable_rate`` the time of each
    frame is kept (to 1/90000 s, the first becoming 0); without, frame ``k`` is at ``k / fps`` exactly. A keyframe every few
    frames (``keyframe_every``) makes a file larger and its frames quick to reach.
    """

    def __init__(
        self,
        path: Pathlike,
        *,
        fps: float | Fraction,
        crf: int = 18,
        pad_to_even: bool = False,
        is_variable_rate: bool = False,
        codec: Codec = "h264",
        keyframe_every: int = 0,
    ):
        if codec not in _ENCODERS:
            raise ConfigError(
                f"codec must be one of {', '.join(_ENCODERS)}, got {codec!r}; h264 plays everywhere"
            )
        if keyframe_every < 0:
            raise ConfigError(
                f"keyframe_every must be at least 0, got {keyframe_every}; 0 leaves it to the encoder"
            )
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
        self._codec, self._keyframe_every = codec, keyframe_every
        self._size: tuple[int, ...] | None = None
        self._scaler = VideoReformatter()  # shared: to set one up costs more than to convert a frame
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
            frame = yuv420_frame(pixels, self._scaler)
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
            encoder, settings = _ENCODERS[self._codec]
            stream = self._container.add_stream(
                encoder, rate=self._rate, options={"crf": str(self._crf), **settings}
            )
            assert isinstance(stream, av.VideoStream)
            if self._keyframe_every:
                stream.codec_context.gop_size = self._keyframe_every
            stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
            stream.time_base = stream.codec_context.time_base = self._time_base
            context = stream.codec_context
            context.thread_count = CODEC_THREADS
            context.color_primaries = context.color_trc = context.colorspace = _BT709
            context.color_range = ColorRange.MPEG
        self._stream = stream

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            raise DataError(
                f"{self.path} could not be written: {reason_of(error)}; check the folder and the disk"
            ) from error


def yuv420_frame(pixels: np.ndarray, scaler: VideoReformatter) -> av.VideoFrame:
    """uint8 [h, w, 3] as BT.709 video range with half the colour resolution, which is what players expect."""
    return scaler.reformat(
        av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24"),
        format="yuv420p",
        src_color_range=ColorRange.JPEG,
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation=Interpolation.BILINEAR,
    )


def write_video(path: Pathlike, frames: Frames, *, crf: int = 18, pad_to_even: bool = False) -> None:
    """Write ``frames`` as a browser-playable H.264 mp4; see ``VideoWriter``.

    Times that are ``k / fps`` to within a millisecond are written as that constant rate, others as they are.
    """
    pts = np.asarray(frames.pts_seconds, dtype=np.float64)
    is_variable_rate = not is_constant_rate(pts, frames.fps)
    writer = VideoWriter(
        path, fps=frames.fps, crf=crf, pad_to_even=pad_to_even, is_variable_rate=is_variable_rate
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
            f"{path} could not be written: {reason_of(error)}; check the folder and the disk"
        ) from error


def _encode_image(pixels: np.ndarray, codec: str, pix_fmt: str) -> bytes:
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.height, encoder.width, encoder.pix_fmt = pixels.shape[0], pixels.shape[1], pix_fmt
    encoder.time_base, encoder.thread_count = Fraction(1, 1), CODEC_THREADS
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
