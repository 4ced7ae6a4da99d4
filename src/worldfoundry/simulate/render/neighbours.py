"""Which pixels need more than one ray, told from their neighbours."""

import numpy as np

UNSURE = 2
"""The light reaches some of the neighbourhood."""
_EDGE = 48
"""Difference of displayed colours (0 to 255) from which on neighbouring pixels get four rays each."""


def different_pixels(rgb: np.ndarray) -> np.ndarray:
    """Indices of the pixels that differ from the one beside, above or below them."""
    levels, differs = rgb.astype(np.int16), np.zeros(rgb.shape[:2], bool)
    across = (np.abs(levels[:, 1:] - levels[:, :-1]) > _EDGE).any(-1)
    down = (np.abs(levels[1:] - levels[:-1]) > _EDGE).any(-1)
    differs[:, 1:] |= across
    differs[:, :-1] |= across
    differs[1:] |= down
    differs[:-1] |= down
    return np.flatnonzero(differs)


def light_around(lit: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """int8 [h, w]: 1 or 0 where the light reaches all or none of a pixel and its eight neighbours that face it, else unsure."""
    dark = np.pad(faces & ~lit, 1)
    bright = np.pad(lit, 1)
    for axis in (0, 1):
        dark, bright = (x | np.roll(x, 1, axis) | np.roll(x, -1, axis) for x in (dark, bright))
    dark, bright = dark[1:-1, 1:-1], bright[1:-1, 1:-1]
    return np.where(dark == bright, UNSURE, bright).astype(np.int8)
