"""Randomness of looks."""

import numpy as np


def noise_of(*cells: np.ndarray, seed: int) -> np.ndarray:
    """Random numbers in [0, 1), one for each cell of a grid of whole numbers; exact on every machine."""
    h = np.full(np.shape(cells[0]), (seed * 2654435761 + 97) & 0xFFFFFFFF, np.uint32)
    for cell in cells:
        h = (h ^ cell.astype(np.int64).astype(np.uint32)) * np.uint32(0x9E3779B1)
        h ^= h >> np.uint32(15)
        h = h * np.uint32(0x85EBCA77)
        h ^= h >> np.uint32(13)
    return (h >> np.uint32(8)) * (1.0 / (1 << 24))
