"""A window made to fit its bucket."""

from typing import Literal

import numpy as np

from worldfoundry.data.fit import resize
from worldfoundry.data.loading.buckets import Bucket

Fit = Literal["crop", "pad"]
"""``crop``: cover the bucket and cut the middle out; ``pad``: fit inside and reflect what is missing."""


def fitted(pixels: np.ndarray, bucket: Bucket, fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [t, height, width, 3] and the padding mask bool [height, width], true where pixels are reflections."""
    h, w = pixels.shape[1:3]
    sides = (bucket.height / h, bucket.width / w)
    scale = max(sides) if fit == "crop" else min(sides)
    rows, columns = round(h * scale), round(w * scale)
    if (rows, columns) != (h, w):
        pixels = resize(pixels, rows, columns)
    if fit == "crop":
        top, left = (rows - bucket.height) // 2, (columns - bucket.width) // 2
        part = pixels[:, top : top + bucket.height, left : left + bucket.width]
        return np.ascontiguousarray(part), np.zeros((bucket.height, bucket.width), bool)
    mask = np.ones((bucket.height, bucket.width), bool)
    mask[:rows, :columns] = False
    below, right = bucket.height - rows, bucket.width - columns
    return np.pad(pixels, ((0, 0), (0, below), (0, right), (0, 0)), mode="reflect"), mask
