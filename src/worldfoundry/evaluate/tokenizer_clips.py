"""Clips of a folder of footage, as the ``tokenizer`` suite takes them."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from worldfoundry.core.errors import DataError
from worldfoundry.data.fit import centre_crop
from worldfoundry.data.footage import Footage, Layout, find_footage
from worldfoundry.data.video_io import resample_rate
from worldfoundry.evaluate.tokenizer_config import TokenizerSuiteConfig
from worldfoundry.protocols.frames import Frames

LeftOut = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueClip:
    """One clip and where it is from."""

    video: int
    """Number of its video."""
    name: str
    """Path of its video below the folder, and the time at which it begins."""
    group: str
    """What it is counted with."""
    frames: Frames
    """The pixels as they are scored."""


def open_clips(
    config: TokenizerSuiteConfig, *, spatial_stride: int, left_out: LeftOut
) -> tuple[Layout, int, Iterator[TrueClip]]:
    """Layout, number of videos, and their clips; videos that cannot be used are told to ``left_out``."""
    layout, found = find_footage(Path(config.data))
    videos = found[: config.max_videos] if config.max_videos else found
    return layout, len(videos), _clips(videos, config, spatial_stride, left_out)


def _clips(
    videos: list[Footage], config: TokenizerSuiteConfig, stride: int, left_out: LeftOut
) -> Iterator[TrueClip]:
    for number, footage in enumerate(videos):
        try:
            frames = _fitted(_read(footage, config), config, stride)
        except DataError as error:
            left_out(str(error))
            continue
        for k in range(min(config.clips_per_video, len(frames.pixels) // config.num_frames)):
            span = slice(k * config.num_frames, (k + 1) * config.num_frames)
            yield TrueClip(
                video=number,
                name=f"{footage.name} from {frames.pts_seconds[span.start]:.1f} s",
                group=footage.group,
                frames=Frames.at_constant_rate(frames.pixels[span], frames.fps),
            )


def _read(footage: Footage, config: TokenizerSuiteConfig) -> Frames:
    """As many frames as are needed, at the rate asked for."""
    count = config.num_frames * config.clips_per_video
    seconds = (count + 1) / config.fps + 1 if config.fps else math.inf
    frames = footage.read(max_seconds=seconds)
    if config.fps:
        frames = resample_rate(frames, config.fps, source=footage.path)
    if len(frames.pixels) < config.num_frames:
        raise DataError(
            f"{footage.path} must last {config.num_frames} frames at {frames.fps:.4g} fps, got {len(frames.pixels)}; lower "
            "--num-frames or leave it out"
        )
    return Frames(
        pixels=frames.pixels[:count], fps=frames.fps, pts_seconds=np.asarray(frames.pts_seconds)[:count]
    )


def _fitted(frames: Frames, config: TokenizerSuiteConfig, stride: int) -> Frames:
    """Cut and resized; sizes are even too, which H.264 needs."""
    h, w = frames.pixels.shape[1:3]
    multiple = math.lcm(stride, 2)
    if config.shape == "square":
        return centre_crop(frames, config.size_px, config.size_px)
    scale = config.size_px / min(h, w) if config.size_px else 1.0
    height, width = (int(side * scale + 1e-6) // multiple * multiple for side in (h, w))
    if min(height, width) < multiple:
        raise DataError(f"{h}x{w} is smaller than the stride {multiple}; raise --size-px or leave it out")
    if config.size_px:
        return centre_crop(frames, height, width)
    top, left = (h - height) // 2, (w - width) // 2
    pixels = np.ascontiguousarray(frames.pixels[:, top : top + height, left : left + width])
    return Frames(pixels=pixels, fps=frames.fps, pts_seconds=frames.pts_seconds)
