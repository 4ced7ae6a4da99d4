"""Tells strokes drawn after filming from strokes of the world, by their looks: a small convolutional network in NumPy.

It sees the luma around each cell of 16 x 16 and what changed there since half a second ago. Drawn text has one level
within a stroke, edges sharper than a lens makes them, a level baseline, no shade and no sensor's noise; writing of the
world has some of these at most. Weights: ``weights/overlay-drawn.safetensors`` (``labelled/overlays_fitting.py``).
"""

import numpy as np

from worldfoundry.curate.detect.network import load_table

STRIDES = (2, 2, 2, 2, 1)
"""Of the layers, one after the other: a cell of 16 x 16 pixels becomes one place."""
_STEPS = 12  # of a logit, in the uint8 that a timeline keeps
_MIDDLE = 128


def network_input(luma: np.ndarray, before: np.ndarray | None) -> np.ndarray:
    """float32 [2, h, w]: luma uint8 [h, w] about -2 to 2, and its change since ``before``, bounded; no change without it."""
    level = (luma.astype(np.float32) - 128) / 64
    if before is None:
        return np.stack([level, np.zeros_like(level)])
    change = np.clip((luma.astype(np.float32) - before) / 8, -4, 4)
    return np.stack([level, change])


def drawn_logits(luma: np.ndarray, before: np.ndarray | None) -> np.ndarray:
    """Logit of drawn strokes of each cell [h / 16, w / 16]; both sizes are multiples of 16."""
    table = load_table("overlay-drawn")
    x = network_input(luma, before)
    for number, stride in enumerate(STRIDES):
        x = np.maximum(convolve(x, table[f"{number}.weight"], table[f"{number}.bias"], stride), 0)
    return np.tensordot(table["last.weight"], x, 1) + table["last.bias"][0]


def quantise(logits: np.ndarray) -> np.ndarray:
    """uint8 for a timeline: 128 is a logit of zero, 12 steps are one."""
    return np.clip(np.rint(_MIDDLE + _STEPS * logits), 0, 255).astype(np.uint8)


def restore(levels: np.ndarray) -> np.ndarray:
    """Logits of what ``quantise`` gave."""
    return (np.asarray(levels, np.float32) - _MIDDLE) / _STEPS


def convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int = 1) -> np.ndarray:
    """Convolution, zero padded to the same size before striding, of [channels, h, w] by [out, channels, k, k], k odd."""
    c, h, w = x.shape
    k = weight.shape[-1]
    rows, columns = -(-h // stride), -(-w // stride)
    padded = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2)))
    taps = [padded[:, dy : dy + h : stride, dx : dx + w : stride] for dy in range(k) for dx in range(k)]
    patches = np.stack(taps, axis=1).reshape(c * k * k, rows * columns)
    return (weight.reshape(len(weight), -1) @ patches + bias[:, None]).reshape(-1, rows, columns)
