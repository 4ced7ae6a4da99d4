"""From video files to a clip set: resample in time, resize, cut squares, cut lengths. All of it asked for, all of it recorded."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.data.clip_set import ClipSet, write_clip_set
from worldfoundry.data.files import find_videos
from worldfoundry.data.fit import resize, squares
from worldfoundry.data.video_io import read_video, resample_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareConfig:
    """How to cut videos into clips of one shape."""

    size: int = 64
    """Side of the square clips, pixels; the shorter side of the video is resized to it."""
    fps: float = 10.0
    """Frame rate of the clips; the nearest source frame in time is taken."""
    num_frames: int = 37
    """Frames of each clip."""
    crops: int = 1
    """Squares along the longer side: 1 takes the centre, 3 also both ends."""

    def __post_init__(self):
        for name, holds, rule, fix in (
            ("size", self.size >= 8, "must be at least 8", "use 64"),
            ("fps", self.fps > 0, "must be above 0", "use 10"),
            ("num_frames", self.num_frames >= 1, "must be at least 1", "use 37"),
            ("crops", self.crops in (1, 3), "must be 1 or 3", "use one of them"),
        ):
            if not holds:
                raise ConfigError(f"{name} {rule}, got {getattr(self, name)}; {fix}")


def prepare_videos(folder: Path, out: Path, config: PrepareConfig) -> tuple[ClipSet, list[str]]:
    """Cut every video below ``folder`` and write the clips as one set; also the reasons why videos were left out.

    The rest of a video that fills no clip is not used. A video that cannot be used does not stop the others.
    """
    left_out: list[str] = []
    clips = _clips(folder, config, left_out)
    first = next(clips, None)
    if first is None:
        more = f"; and {len(left_out) - 5} more" if len(left_out) > 5 else ""
        raise DataError(
            f"{folder} must hold a video that can be used, got {len(left_out)} that cannot: {'; '.join(left_out[:5])}{more}"
        )
    return write_clip_set(out, chain([first], clips), fps=config.fps), left_out


def _clips(
    folder: Path, config: PrepareConfig, left_out: list[str]
) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """Clips and their rows, one video in memory at a time; adds to ``left_out``."""
    for path in find_videos(folder):
        try:
            yield from _cut(path, path.relative_to(folder).as_posix(), config)
        except DataError as error:
            left_out.append(str(error))


def _cut(path: Path, source: str, config: PrepareConfig) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    frames = resample_rate(read_video(path), config.fps, source=path)
    if len(frames.pixels) < config.num_frames:
        raise DataError(
            f"{path} must last {config.num_frames} frames at {config.fps:g} fps, got {len(frames.pixels)}; lower "
            "--num-frames or leave it out"
        )
    h, w = frames.pixels.shape[1:3]
    scale = config.size / min(h, w)
    small = resize(frames.pixels, max(config.size, round(h * scale)), max(config.size, round(w * scale)))
    for crop, square in enumerate(squares(small, config.crops)):
        for first in range(0, len(square) - config.num_frames + 1, config.num_frames):
            row = {"source": source, "start_seconds": float(frames.pts_seconds[first]), "crop": crop}
            yield square[first : first + config.num_frames], row
