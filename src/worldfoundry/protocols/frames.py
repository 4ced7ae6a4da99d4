"""Decoded frames: the uint8 side of the pixel border, for code that starts without torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from worldfoundry.core.errors import DataError

if TYPE_CHECKING:
    from worldfoundry.protocols.video import Clip


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Decoded uint8 RGB frames with their clock."""

    pixels: np.ndarray
    """uint8 [t, h, w, 3], RGB, full range."""
    fps: float
    """Average frame rate, frames per second."""
    pts_seconds: np.ndarray
    """float64 [t], presentation time of each frame, increasing."""

    def __post_init__(self):
        p = self.pixels
        if p.dtype != np.uint8 or p.ndim != 4 or p.shape[-1] != 3 or len(p) == 0:
            raise DataError(
                f"frames must be uint8 [t>0, h, w, 3], got {p.dtype} {list(p.shape)}; convert them first"
            )
        if len(self.pts_seconds) != len(p) or not self.fps > 0:
            raise DataError(
                f"frames need fps > 0 and one time a frame, got fps {self.fps}, {len(self.pts_seconds)} times"
            )

    @classmethod
    def at_constant_rate(cls, pixels: np.ndarray, fps: float) -> "Frames":
        """Frames whose times are ``k / fps``."""
        return cls(pixels=pixels, fps=fps, pts_seconds=np.arange(len(pixels)) / fps)

    def to_clip(self) -> "Clip":
        """The same frames as one float clip."""
        # Workers that only decode and encode must not pay seconds and memory for torch.
        import torch  # noqa: PLC0415

        from worldfoundry.protocols.video import Clip, from_uint8  # noqa: PLC0415

        x = torch.from_numpy(np.ascontiguousarray(self.pixels)).permute(3, 0, 1, 2)[None]
        return Clip(pixels=from_uint8(x), fps=self.fps, start_seconds=float(self.pts_seconds[0]))
