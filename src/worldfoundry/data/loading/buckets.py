"""Buckets: the few shapes that batches have, and which clip belongs to which.

Source: buckets by resolution, aspect and length with longest-side fit, reflection padding and a padding mask are those of
arXiv 2501.03575, section 5.1.3.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from worldfoundry.core.errors import ConfigError

ASPECTS = {"1:1": 1.0, "4:3": 4 / 3, "3:4": 3 / 4, "16:9": 16 / 9, "9:16": 9 / 16}
"""Width to height of the five aspects of the paper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One shape of batches."""

    height: int
    """Rows, pixels."""
    width: int
    """Columns, pixels."""
    num_frames: int
    """Frames; 1 for images."""

    def __post_init__(self):
        for name in ("height", "width", "num_frames"):
            if getattr(self, name) < 1:
                raise ConfigError(f"bucket.{name} must be at least 1, got {getattr(self, name)}; raise it")

    def __str__(self) -> str:
        return f"{self.num_frames} x {self.height}x{self.width}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What has to be known of a clip to place it."""

    num_frames: int
    """Frames of the clip; 1 for an image."""
    height: int
    """Rows, pixels."""
    width: int
    """Columns, pixels."""
    fps: float
    """Frames per second."""


def aspect_buckets(*, pixels: int, num_frames: int, multiple: int = 16) -> tuple[Bucket, ...]:
    """One bucket for each of the five aspects, of about ``pixels`` pixels, sides in multiples of ``multiple``.

    >>> [f"{b.width}x{b.height}" for b in aspect_buckets(pixels=128 * 128, num_frames=33)]
    ['128x128', '144x112', '112x144', '176x96', '96x176']
    """
    if pixels < multiple**2:
        raise ConfigError(f"pixels must be at least {multiple}x{multiple}, got {pixels}; raise it")
    sides = {name: math.sqrt(pixels / ratio) for name, ratio in ASPECTS.items()}
    return tuple(
        Bucket(
            height=max(1, round(h / multiple)) * multiple,
            width=max(1, round(h * ASPECTS[name] / multiple)) * multiple,
            num_frames=num_frames,
        )
        for name, h in sides.items()
    )


def bucket_of(entry: Entry, buckets: Sequence[Bucket], *, enlarge: bool = False) -> int | None:
    """Number of the bucket of a clip: nearest in aspect, then largest, then longest; ``None`` if none takes it.

    A clip has to be as long as the bucket and, unless ``enlarge``, to cover it without being made larger. Images go to
    buckets of one frame, videos to the others.
    """
    ratio = entry.width / entry.height
    best: tuple[float, int, int] | None = None
    chosen = None
    for k, b in enumerate(buckets):
        if (b.num_frames == 1) != (entry.num_frames == 1) or b.num_frames > entry.num_frames:
            continue
        if not enlarge and (entry.height < b.height or entry.width < b.width):
            continue
        # To a twentieth, so that sides rounded to a multiple do not decide between two sizes of one aspect.
        off = round(abs(math.log(ratio / (b.width / b.height))) * 20) / 20
        rank = (off, -b.height * b.width, -b.num_frames)
        if best is None or rank < best:
            best, chosen = rank, k
    return chosen
