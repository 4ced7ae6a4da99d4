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
_BLOCK = 1 << 18  # numbers that a matrix product reads at a time: a megabyte


def network_input(luma: np.ndarray, before: np.ndarray | None) -> np.ndarray:
    """float32 [2, h, w]: luma uint8 [h, w] about -2 to 2, and its change since ``before``, bounded; no change without it."""
    seen = np.zeros((2, *luma.shape), np.float32)
    level, change = seen[0], seen[1]
    np.subtract(luma, np.float32(128), out=level)
    level /= 64
    if before is not None:
        np.subtract(luma, before, out=change, dtype=np.float32)
        change /= 8
        np.clip(change, -4, 4, out=change)
    return seen


def drawn_logits(luma: np.ndarray, before: np.ndarray | None) -> np.ndarray:
    """Logit of drawn strokes of each cell [h / 16, w / 16]; both sizes are multiples of 16."""
    table = load_table("overlay-drawn")
    x = network_input(luma, before)
    for number, stride in enumerate(STRIDES):
        x = convolve(x, table[f"{number}.weight"], table[f"{number}.bias"], stride)
        np.maximum(x, 0, out=x)
    return np.tensordot(table["last.weight"], x, 1) + table["last.bias"][0]


def quantise(logits: np.ndarray) -> np.ndarray:
    """uint8 for a timeline: 128 is a logit of zero, 12 steps are one."""
    return np.clip(np.rint(_MIDDLE + _STEPS * logits), 0, 255).astype(np.uint8)


def restore(levels: np.ndarray) -> np.ndarray:
    """Logits of what ``quantise`` gave."""
    return (np.asarray(levels, np.float32) - _MIDDLE) / _STEPS


def convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int = 1) -> np.ndarray:
    """Convolution, zero padded to the same size before striding, of [channels, h, w] by [out, channels, k, k], k odd.

    One matrix product a block of places, whose inputs stay in the processor's cache. Rows of the result are computed with
    the padding between them, so that the inputs of one tap are one piece of memory.
    """
    n, c, k, _ = weight.shape
    rows, columns = (-(-size // stride) for size in x.shape[1:])
    parts, pitch = _parts(x, k, stride)
    out = np.empty((n, rows * pitch), parts.dtype)
    step = max(1, min(out.shape[1], _BLOCK // (c * k * k)))
    room = np.empty(c * k * k * step, parts.dtype)
    for start in range(0, out.shape[1], step):
        count = min(step, out.shape[1] - start)
        patches = room[: c * k * k * count].reshape(c, k * k, count)
        for tap in range(k * k):
            down, right = divmod(tap, k)
            first = start + down // stride * pitch + right // stride
            patches[:, tap] = parts[down % stride, right % stride, :, first : first + count]
        block = out[:, start : start + count]
        np.matmul(weight.reshape(n, -1), patches.reshape(c * k * k, count), out=block)
        block += bias[:, None]
    return out.reshape(n, rows, pitch)[:, :, :columns]


def _parts(x: np.ndarray, k: int, stride: int) -> tuple[np.ndarray, int]:
    """Every ``stride``-th pixel of the padded ``x``, by the first: [stride, stride, channels, places], and places a row."""
    c, h, w = x.shape
    pitch = -(-w // stride) + (k - 1) // stride
    rows = -(-h // stride) + (k - 1) // stride + 1  # one more: taps of the last places reach into it
    parts = np.zeros((stride, stride, c, rows, pitch), x.dtype)
    for y in range(stride):
        for left in range(stride):
            top, side = (y - k // 2) % stride, (left - k // 2) % stride
            a, b = (top + k // 2) // stride, (side + k // 2) // stride
            seen = x[:, top::stride, side::stride][:, : rows - a, : pitch - b]
            parts[y, left, :, a : a + seen.shape[1], b : b + seen.shape[2]] = seen
    return parts.reshape(stride, stride, c, -1), pitch
