"""Clips through a tokenizer in pieces: what is read, encoded or decoded at once is bounded, whatever the length.

A clip that is not longer than one piece goes through in one pass; a longer one gives the same numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.data.video_io import check_whole, iter_frames, probe, read_times
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.models.tokenizer.tile import Tile
from worldfoundry.protocols.models import TokenizerSpec
from worldfoundry.protocols.video import from_uint8


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which frames, rows and columns of a file are used, and how many frames at once."""

    path: Path
    """Video or image."""
    fps: float
    """Frame rate by the presentation times of all frames."""
    num_frames: int
    """Frames that are used."""
    rows: slice
    """Rows that are used."""
    columns: slice
    """Columns that are used."""
    first_frames: int
    """Frames of the first piece."""
    later_frames: int
    """Frames of every other piece, the last at most."""

    @property
    def pixels(self) -> tuple[int, int, int, int, int]:
        """Shape of all that is used, ``[1 3 t h w]``."""
        rows, columns = (span.stop - span.start for span in (self.rows, self.columns))
        return 1, 3, self.num_frames, rows, columns


class Piece(NamedTuple):
    """Frames that go through the tokenizer at once."""

    pixels: Float[Tensor, "1 3 t h w"]
    """In [-1, 1]."""
    start_seconds: float
    """Presentation time of the first."""


def plan_pieces(path: Path, spec: TokenizerSpec, *, cut: bool, frames_at_once: int) -> Plan:
    """Look into a file; a size or length that does not fill whole latents is a ``ConfigError`` unless ``cut``."""
    if frames_at_once < 1:
        raise ConfigError(
            f"chunk_frames must be at least 1, got {frames_at_once}; 16 needs little memory and time"
        )
    check_whole(path)
    info = probe(path)
    times = read_times(path)
    t, h, w = times.num_frames, info.height, info.width
    stride, space = spec.temporal_stride, spec.spatial_stride
    used = 1 + (t - 1) // stride * stride
    height, width = h // space * space, w // space * space
    if not height or not width:
        raise ConfigError(f"{path} must be at least {space}x{space} pixels, got {w}x{h}; use a larger one")
    if (used, height, width) != (t, h, w) and not cut:
        raise ConfigError(
            f"{path}: {t} frames of {w}x{h} do not fill whole latents (stride {stride} in time after the first frame, {space} in "
            f"space); add --cut to use {used} frames of {width}x{height}"
        )
    top, left = (h - height) // 2, (w - width) // 2
    each = max(1, frames_at_once // stride) * stride
    return Plan(
        path=path,
        fps=times.fps,
        num_frames=used,
        rows=slice(top, top + height),
        columns=slice(left, left + width),
        first_frames=1 + each if stride > 1 else each,
        later_frames=each,
    )


def iter_pieces(plan: Plan) -> Iterator[Piece]:
    """The pieces of a plan; a file that decodes to fewer frames than its packets is a ``DataError``."""
    frames: list[np.ndarray] = []
    wanted, came, start = plan.first_frames, 0, 0.0
    for frame in iter_frames(plan.path, max_frames=plan.num_frames):
        start = start if frames else frame.seconds
        frames.append(frame.pixels[plan.rows, plan.columns])
        came += 1
        if len(frames) == wanted or came == plan.num_frames:
            pixels = torch.from_numpy(np.stack(frames)).permute(3, 0, 1, 2)[None]
            yield Piece(from_uint8(pixels), start)
            frames, wanted = [], plan.later_frames
    _check_complete(plan, came)


def check_decodes(plan: Plan) -> None:
    """Decode all that a plan of several pieces takes, so that damage is found before the long work; a ``DataError``.

    The one piece of a short clip is decoded before any work anyway.
    """
    if plan.num_frames > plan.first_frames:
        came = sum(1 for _ in iter_frames(plan.path, max_frames=plan.num_frames))
        _check_complete(plan, came)


def _check_complete(plan: Plan, came: int) -> None:
    if came < plan.num_frames:
        raise DataError(
            f"{plan.path} must decode to a frame for each of its packets, {plan.num_frames}, got {came}; re-encode it with ffmpeg"
        )


class Coder:
    """Both directions of one clip, piece by piece: a stream of a video tokenizer, or images one after the other."""

    def __init__(self, tokenizer: WaveletTokenizer, *, attended_latents: int = 0, tile: Tile | None = None):
        self.tokenizer, self.tile = tokenizer, tile
        is_video = tokenizer.config.dimensions == "video"
        self._stream = tokenizer.stream(attended_latents=attended_latents, tile=tile) if is_video else None
        if not is_video and attended_latents:
            raise ConfigError(
                f"attended_latents must be 0 for an image tokenizer, got {attended_latents}; leave it out"
            )

    def encode(
        self, pixels: Float[Tensor, "b 3 t h w"]
    ) -> Float[Tensor, "b cz tz hz wz"] | Int[Tensor, "b tz hz wz"]:
        """Latents or indices of the next piece."""
        if self._stream is not None:
            return self._stream.encode(pixels)
        return self.tokenizer.encode(pixels, tile=self.tile)

    def decode(
        self, latents: Float[Tensor, "b cz tz hz wz"] | Int[Tensor, "b tz hz wz"]
    ) -> Float[Tensor, "b 3 t h w"]:
        """Frames of the next piece."""
        if self._stream is not None:
            return self._stream.decode(latents)
        return self.tokenizer.decode(latents, tile=self.tile)
