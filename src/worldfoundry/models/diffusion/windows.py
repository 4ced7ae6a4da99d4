"""Clips longer than the network takes: which latent frames each window holds, how windows are joined, how chunks are counted.

Axes: ``b`` batch, ``c`` channels, ``t h w`` frames, rows and columns, ``k`` windows.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from worldfoundry.core.errors import DataError


def window_frames(num_frames: int, *, window: int = 8, overlap: int = 2) -> Int[Tensor, "k t"]:
    """Frame numbers of the windows that cover a clip; the last one is filled up by reflection at the last frame.

    The defaults are those of the published diffusion decoder.

    >>> window_frames(11).tolist()
    [[0, 1, 2, 3, 4, 5, 6, 7], [6, 7, 8, 9, 10, 9, 8, 7]]
    """
    if num_frames < 1 or not 0 <= overlap < window:
        raise DataError(
            f"windows need num_frames >= 1 and 0 <= overlap < window, got {num_frames}, {overlap} and {window}; "
            "change them"
        )
    stride = window - overlap
    num_windows = max(1, -(-(num_frames - overlap) // stride))
    frames = torch.arange(num_windows)[:, None] * stride + torch.arange(window)
    turned = frames % max(1, 2 * (num_frames - 1))
    return torch.minimum(turned, 2 * (num_frames - 1) - turned)


def blend_windows(windows: Sequence[Float[Tensor, "b c _ h w"]], overlap: int) -> Float[Tensor, "b c t h w"]:
    """Windows one after the other, faded linearly over ``overlap`` frames; with 2, the published number, a hard cut."""
    if overlap < 0 or any(overlap > window.shape[2] for window in windows):
        raise DataError(f"overlap must be from 0 to the length of each window, got {overlap}; lower it")
    joined = windows[0]
    for window in windows[1:]:
        share = torch.linspace(0, 1, overlap, dtype=window.dtype, device=window.device)[:, None, None]
        start = joined.shape[2] - overlap
        faded = joined[:, :, start:] * (1 - share) + window[:, :, :overlap] * share
        joined = torch.cat((joined[:, :, :start], faded, window[:, :, overlap:]), dim=2)
    return joined


def num_chunk_latents(num_frames: int, *, chunk_frames: int, temporal_stride: int = 8) -> int:
    """Latent frames of a clip that is encoded in chunks of ``chunk_frames``, each on its own.

    >>> num_chunk_latents(9, chunk_frames=121), num_chunk_latents(121, chunk_frames=121)
    (2, 16)
    """
    chunks, rest = divmod(num_frames, chunk_frames)
    if num_frames < 1 or (rest and (rest - 1) % temporal_stride):
        raise DataError(
            f"num_frames must leave 0 or 1 + a multiple of {temporal_stride} beyond whole chunks of {chunk_frames}, got "
            f"{num_frames}; cut the clip"
        )
    last = 1 + (rest - 1) // temporal_stride if rest else 0
    return chunks * (1 + (chunk_frames - 1) // temporal_stride) + last


def num_chunk_frames(num_latents: int, *, chunk_frames: int, temporal_stride: int = 8) -> int:
    """Frames that ``num_latents`` stand for: the inverse of ``num_chunk_latents``."""
    chunks, rest = divmod(num_latents, 1 + (chunk_frames - 1) // temporal_stride)
    return chunks * chunk_frames + (1 + (rest - 1) * temporal_stride if rest else 0)
