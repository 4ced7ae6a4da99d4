"""Frames and latents of long clips, which the published models encode and generate chunk by chunk."""

from worldfoundry.core.errors import ConfigError
from worldfoundry.protocols.models import latent_frames, pixel_frames

PUBLISHED_STRIDE = 8
"""Frames of a latent frame, after the first of its chunk."""


def given_latents(num_frames: int, chunk_frames: int, stride: int = PUBLISHED_STRIDE) -> int | None:
    """Latent frames that ``num_frames`` given frames fill; None where they end inside a latent frame.

    Each chunk of ``chunk_frames`` is encoded on its own, its first frame alone.

    >>> given_latents(9, 121)
    2
    """
    _check(chunk_frames, stride)
    whole, rest = divmod(num_frames, chunk_frames)
    done = whole * latent_frames(chunk_frames, stride)
    if rest == 0:
        return done
    return None if (rest - 1) % stride else done + latent_frames(rest, stride)


def overlap_frames(num_latents: int, chunk_frames: int, stride: int = PUBLISHED_STRIDE) -> int:
    """Frames that the last ``num_latents`` of a chunk decode to, read as the first of the next.

    >>> overlap_frames(2, 121)
    9
    """
    _check(chunk_frames, stride)
    whole, rest = divmod(num_latents, latent_frames(chunk_frames, stride))
    return whole * chunk_frames + (pixel_frames(rest, stride) if rest else 0)


def _check(chunk_frames: int, stride: int) -> None:
    if chunk_frames < 1 or (chunk_frames - 1) % stride:
        raise ConfigError(f"chunk_frames must be 1 + a multiple of {stride}, got {chunk_frames}; use 121")
