"""Video records.

Axes: ``b`` batch, ``c`` channels, ``t`` frames, ``h`` rows, ``w`` columns. Two records, one on each side of the pixel
border: ``Frames`` (uint8, inside ``data`` and ``simulate`` and at the edges) and ``Clip`` (float32 in [-1, 1], everywhere
above). Both keep their true frame rate and presentation times; a still image is a clip of one frame.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from worldfoundry.core.errors import DataError
from worldfoundry.protocols.frames import Frames


def from_uint8(pixels: UInt8[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Displayed values as float32 in [-1, 1], ``x / 127.5 - 1``."""
    return pixels.float() / 127.5 - 1


def to_uint8(pixels: Float[Tensor, "..."]) -> UInt8[Tensor, "..."]:
    """Values in [-1, 1] as displayed: rounded in the precision they have, those outside clamped."""
    return ((pixels.clamp(-1, 1) + 1) * 127.5 + 0.5).to(torch.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A batch of clips of one length and one constant frame rate, as the models see them."""

    pixels: Float[Tensor, "b c t h w"]
    """float32 RGB in [-1, 1]."""
    fps: float
    """Frames per second of every clip in the batch."""
    start_seconds: float = 0.0
    """Presentation time of the first frame."""

    @property
    def num_frames(self) -> int:
        """Frames of each clip."""
        return self.pixels.shape[2]

    def to_frames(self, index: int = 0) -> Frames:
        """Clip number ``index`` of the batch as uint8."""
        x = to_uint8(self.pixels[index].float())
        pts = self.start_seconds + np.arange(self.num_frames) / self.fps
        return Frames(pixels=x.permute(1, 2, 3, 0).cpu().numpy(), fps=self.fps, pts_seconds=pts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A pinhole camera; OpenCV axes (x right, y down, z forward), metres, pixels."""

    intrinsics: np.ndarray
    """float64 [3, 3], K in pixels; [t, 3, 3], one a frame, where the lens zooms."""
    world_from_camera: np.ndarray
    """float64 [t, 4, 4] pose for each frame."""
    model: str = "pinhole"
    """Projection model."""

    def __post_init__(self):
        k, poses = np.asarray(self.intrinsics), np.asarray(self.world_from_camera)
        zooms = k.ndim == 3 and len(k) == len(poses)
        if (
            k.shape[-2:] != (3, 3)
            or not (k.ndim == 2 or zooms)
            or not np.isfinite(k).all()
            or (k[..., 2, :] != (0, 0, 1)).any()
        ):
            raise DataError(
                f"intrinsics must be a finite K [3, 3] in pixels that ends in (0, 0, 1), or one a frame, got {k.tolist()}; "
                "correct it"
            )
        if poses.ndim != 3 or poses.shape[1:] != (4, 4) or not np.isfinite(poses).all():
            raise DataError(
                f"world_from_camera must be finite poses [t, 4, 4], got {list(poses.shape)}; give one a frame"
            )
        if self.model != "pinhole":
            raise DataError(f"model must be 'pinhole', got {self.model!r}; rectify the pictures first")
