"""A window made to fit its bucket."""

from typing import Literal

import numpy as np

from worldfoundry.data.fit import resize
from worldfoundry.data.loading.buckets import Bucket

Fit = Literal["crop", "pad"]
"""``crop``: cover the bucket and cut the middle out; ``pad``: fit inside and reflect what is missing."""


def size_inside(height: int, width: int, bucket: Bucket, fit: Fit) -> tuple[int, int]:
    """Rows and columns to which a picture is resized before it is cropped or padded."""
    sides = (bucket.height / height, bucket.width / width)
    scale = max(sides) if fit == "crop" else min(sides)
    return max(1, round(height * scale)), max(1, round(width * scale))


def fitted(pixels: np.ndarray, bucket: Bucket, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [t, height, width, 3] and the padding mask bool [height, width], true where pixels are reflections.

    ``size`` is that of ``size_inside``: what is larger than the bucket is cropped around the middle, what is smaller padded.
    """
    rows, columns = size
    if pixels.shape[1:3] != size:
        pixels = resize(pixels, rows, columns)
    top, left = max(0, rows - bucket.height) // 2, max(0, columns - bucket.width) // 2
    part = pixels[:, top : top + bucket.height, left : left + bucket.width]
    below, right = bucket.height - part.shape[1], bucket.width - part.shape[2]
    mask = np.ones((bucket.height, bucket.width), bool)
    mask[: part.shape[1], : part.shape[2]] = False
    if below or right:
        return np.pad(part, ((0, 0), (0, below), (0, right), (0, 0)), mode="reflect"), mask
    return np.ascontiguousarray(part), mask
