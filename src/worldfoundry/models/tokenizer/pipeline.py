"""The published way from uint8 frames of any size to uint8 frames: pad, reconstruct window by window, crop.

Frames are uint8 ``[b t h w 3]`` and images uint8 ``[b h w 3]``, as they come from and go to files. Padding is this module's
purpose and nobody else's: ``WaveletTokenizer.encode`` refuses what does not fit.

Source: behaviour of the published inference library.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from worldfoundry.core.errors import ConfigError
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.protocols.video import to_uint8

SPATIAL_MULTIPLE = 16
"""Heights and widths are padded to a multiple of this, whatever the tokenizer's stride."""
TEMPORAL_MULTIPLE = 8
"""Lengths are padded to 1 + a multiple of this, whatever the tokenizer's stride."""


class Padded(NamedTuple):
    """Padded frames and where the given ones are in them."""

    frames: UInt8[Tensor, "b *thw 3"]
    """Black around each frame, the first and the last frame repeated at the ends."""
    crop: tuple[slice, ...]
    """Indexes the given frames in ``frames``."""


def pad(frames: UInt8[Tensor, "b *thw 3"]) -> Padded:
    """Pad to sizes that every published tokenizer takes; half of it, rounded down, in front."""
    crop = [slice(None)]
    for axis, size in enumerate(frames.shape[1:-1], start=1):
        is_time = frames.ndim == 5 and axis == 1
        missing = (1 - size) % TEMPORAL_MULTIPLE if is_time else -size % SPATIAL_MULTIPLE
        crop.append(slice(missing // 2, missing // 2 + size))
        index = torch.arange(size + missing, device=frames.device) - missing // 2
        inside = (index >= 0) & (index < size) | is_time
        frames = frames.index_select(axis, index.clamp(0, size - 1))
        frames = frames * inside.view(-1, *(1,) * (frames.ndim - axis - 1))
    return Padded(frames, tuple(crop))


def pixels_from_uint8(
    frames: UInt8[Tensor, "b *thw 3"], dtype: torch.dtype = torch.float32
) -> Float[Tensor, "b 3 *thw"]:
    """``2 x / 255 - 1``, computed in float64 as published: ``from_uint8`` gives other last bits, and parity is exact."""
    return (2 * (frames.double() / 255) - 1).to(dtype).movedim(-1, 1)


def uint8_from_pixels(pixels: Float[Tensor, "b 3 *thw"]) -> UInt8[Tensor, "b *thw 3"]:
    """``to_uint8`` in float32, channels last."""
    return to_uint8(pixels.float()).movedim(1, -1)


@torch.no_grad()
def reconstruct(
    tokenizer: WaveletTokenizer, frames: UInt8[Tensor, "b *thw 3"], *, window_frames: int = 17
) -> UInt8[Tensor, "b *thw 3"]:
    """Frames encoded and decoded, in windows that know nothing of each other; images in one go."""
    if window_frames < 1:
        raise ConfigError(
            f"window_frames must be at least 1, got {window_frames}; 17 is the published window"
        )
    if frames.ndim == 5 and frames.shape[1] > window_frames:
        windows = frames.split(window_frames, dim=1)
        return torch.cat([reconstruct(tokenizer, w, window_frames=window_frames) for w in windows], dim=1)
    padded = pad(frames)
    return uint8_from_pixels(tokenizer(pixels_from_uint8(padded.frames, tokenizer.dtype)))[padded.crop]
