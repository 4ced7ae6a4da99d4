"""Fitting frames to a model, always at the caller's word: squares, sizes, lengths."""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the field's name

from worldfoundry.core.errors import DataError
from worldfoundry.protocols.video import Frames


def resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint8 [t, h, w, 3] resized, bilinear and antialiased."""
    x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()
    y = F.interpolate(x, (height, width), mode="bilinear", antialias=True, align_corners=False)
    return (y.clamp(0, 255) + 0.5).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def square_offsets(height: int, width: int, crops: int) -> list[tuple[int, int]]:
    """First row and column of each square of ``squares``."""
    size, spare = min(height, width), abs(height - width)
    along = [spare // 2] if crops == 1 or spare < size // 4 else [0, spare // 2, spare]
    return [(0, o) if width >= height else (o, 0) for o in along]


def squares(pixels: np.ndarray, crops: int) -> list[np.ndarray]:
    """The centre square of uint8 [t, h, w, 3], or (``crops`` 3) also the squares at both ends of the longer side."""
    h, w = pixels.shape[1:3]
    size = min(h, w)
    return [pixels[:, y : y + size, x : x + size] for y, x in square_offsets(h, w, crops)]


def centre_crop(frames: Frames, height: int, width: int) -> Frames:
    """The largest centred part of the aspect ratio ``width / height``, resized to it; times are kept."""
    h, w = frames.pixels.shape[1:3]
    scale = min(h / height, w / width)
    rows, columns = min(h, round(height * scale)), min(w, round(width * scale))
    top, left = (h - rows) // 2, (w - columns) // 2
    part = resize(frames.pixels[:, top : top + rows, left : left + columns], height, width)
    return Frames(pixels=part, fps=frames.fps, pts_seconds=frames.pts_seconds)


def first_frames(frames: Frames, num_frames: int) -> Frames:
    """The first ``num_frames`` frames; fewer is an error."""
    if len(frames.pixels) < num_frames:
        raise DataError(
            f"a clip of {len(frames.pixels)} frames ({len(frames.pixels) / frames.fps:.1f} s) is shorter than the "
            f"{num_frames} frames asked for; use a longer clip or fewer frames"
        )
    return Frames(
        pixels=frames.pixels[:num_frames], fps=frames.fps, pts_seconds=frames.pts_seconds[:num_frames]
    )
