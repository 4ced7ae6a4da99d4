"""H.264 at a given number of bits: what the same bits buy with the codec that everyone knows.

x264, preset medium, tuned for PSNR, yuv420p. Bits are those of pictures and parameter sets; the note that
x264 writes about itself (about 700 bytes, as much as a small clip) and the container are left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from worldfoundry.core.errors import DataError
from worldfoundry.data.video_io import CODEC_THREADS
from worldfoundry.data.video_write import yuv420_frame

H264_SETTINGS = "libx264, preset medium, tune psnr, yuv420p, crf by bisection, SEI and container not counted"
# No AVX-512: its kernel for the macroblock tree reads memory that nobody wrote (see video_write), and bytes would differ.
_X264_OPTIONS = {"preset": "medium", "tune": "psnr", "x264-params": "asm=SSE4.2"}
_LOSSIEST, _FINEST = 51.0, 0.0
_BISECTIONS = 9
_SEI = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedVideo:
    """A clip through the codec."""

    pixels: np.ndarray
    """uint8 [t, h, w, 3] as decoded."""
    bits: int
    """What it took."""
    crf: float
    """The quality that was set, 0 best to 51."""


def encode_at_bits(pixels: np.ndarray, *, fps: float, bits: int) -> RatedVideo:
    """The best quality of uint8 [t, h, w, 3], even sizes, that takes ``bits`` at most.

    Where not even the lowest quality takes so few, that one: compare ``bits`` of the result.
    """
    if pixels.shape[1] % 2 or pixels.shape[2] % 2:
        raise DataError(
            f"frames must have even sizes for H.264, got {pixels.shape[1]}x{pixels.shape[2]}; cut a row or column"
        )
    fits, below = _FINEST, _LOSSIEST
    best, found = _encoded(pixels, fps, _LOSSIEST), _LOSSIEST
    if _bits(best) <= bits:
        for step in range(_BISECTIONS + 1):
            crf = fits if step == 0 else (fits + below) / 2
            packets = _encoded(pixels, fps, crf)
            if _bits(packets) <= bits:
                best, found, below = packets, crf, crf
                if step == 0:
                    break
            else:
                fits = crf
    return RatedVideo(pixels=_decoded(best), bits=_bits(best), crf=round(found, 3))


def _bits(packets: list[bytes]) -> int:
    return 8 * sum(map(len, packets))


def _encoded(pixels: np.ndarray, fps: float, crf: float) -> list[bytes]:
    encoder = cast(av.VideoCodecContext, av.CodecContext.create("libx264", "w"))
    encoder.height, encoder.width, encoder.pix_fmt = pixels.shape[1], pixels.shape[2], "yuv420p"
    rate = Fraction(fps).limit_denominator(1001)
    encoder.framerate, encoder.time_base, encoder.thread_count = rate, 1 / rate, CODEC_THREADS
    encoder.options = {"crf": f"{crf:.4f}", **_X264_OPTIONS}
    scaler, packets = VideoReformatter(), []
    for k, picture in enumerate(pixels):
        frame = yuv420_frame(picture, scaler)
        frame.pts, frame.time_base = k, 1 / rate
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return [b"".join(unit for unit in _units(bytes(p)) if unit[4] & 31 != _SEI) for p in packets]


def _units(packet: bytes) -> Iterator[bytes]:
    """NAL units, each behind a start code of four bytes."""
    for unit in packet.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]:
        yield b"\0\0\0\1" + unit


def _decoded(packets: list[bytes]) -> np.ndarray:
    decoder = cast(av.VideoCodecContext, av.CodecContext.create("h264", "r"))
    decoder.thread_count = CODEC_THREADS
    frames = [frame for data in packets for frame in decoder.decode(av.Packet(data))]
    frames += decoder.decode(None)
    scaler = VideoReformatter()
    pictures = [
        scaler.reformat(
            frame,
            format="rgb24",
            src_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
        ).to_ndarray()
        for frame in frames
    ]
    return np.stack(pictures)
