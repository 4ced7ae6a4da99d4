"""From video files to a clip set: resample in time, resize, cut squares, cut lengths. All of it asked for, all of it recorded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the field's name

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.data.clip_set import ClipSet, write_clip_set
from worldfoundry.data.video_io import read_video, resample_rate

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi")


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
        if self.size < 8 or self.num_frames < 1 or self.fps <= 0 or self.crops not in (1, 3):
            raise ConfigError(
                f"prepare needs size >= 8, num_frames >= 1, fps > 0 and crops 1 or 3, got {self.size}, {self.num_frames}, "
                f"{self.fps}, {self.crops}; change them"
            )


def find_videos(folder: Path) -> list[Path]:
    """Video files below ``folder``, sorted."""
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES)
    if not found:
        raise DataError(f"{folder} must hold videos ({', '.join(VIDEO_SUFFIXES)}), got none; check the path")
    return found


def resize_short_side(pixels: np.ndarray, size: int) -> np.ndarray:
    """uint8 [t, h, w, 3] resized, antialiased, so that its shorter side is ``size``; the aspect ratio stays."""
    h, w = pixels.shape[1:3]
    scale = size / min(h, w)
    target = (max(size, round(h * scale)), max(size, round(w * scale)))
    x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()
    y = F.interpolate(x, target, mode="bilinear", antialias=True, align_corners=False)
    return (y.clamp(0, 255) + 0.5).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def square_crops(pixels: np.ndarray, crops: int) -> list[np.ndarray]:
    """The centre square of uint8 [t, h, w, 3], or the squares at both ends and the centre."""
    h, w = pixels.shape[1:3]
    size, spare = min(h, w), abs(h - w)
    offsets = [spare // 2] if crops == 1 or spare < size // 4 else [0, spare // 2, spare]
    if w >= h:
        return [pixels[:, :, o : o + size] for o in offsets]
    return [pixels[:, o : o + size] for o in offsets]


def prepare_videos(videos: Sequence[Path], out: Path, config: PrepareConfig) -> ClipSet:
    """Cut every video into clips and write them as one set; the remainder of a video that fills no clip is left out."""
    clips = [pair for path in videos for pair in _cut(path, config)]
    if not clips:
        raise DataError(
            f"{out}: no video lasts {config.num_frames} frames at {config.fps} fps; lower --num-frames or raise --fps"
        )
    return write_clip_set(out, clips, num_clips=len(clips), fps=config.fps)


def _cut(path: Path, config: PrepareConfig) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    frames = resample_rate(read_video(path), config.fps)
    small = resize_short_side(frames.pixels, config.size)
    for crop, square in enumerate(square_crops(small, config.crops)):
        for first in range(0, len(square) - config.num_frames + 1, config.num_frames):
            row = {"source": path.name, "start_seconds": float(frames.pts_seconds[first]), "crop": crop}
            yield square[first : first + config.num_frames], row
