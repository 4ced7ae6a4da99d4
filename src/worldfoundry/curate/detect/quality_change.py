"""What changes from one frame to the next where nothing moves: noise never stays, a coarse codec repeats or repaints blocks.

Axes: tiles h w, uint8 grey levels of two neighbouring frames at the same places.
"""

import cv2
import numpy as np

from worldfoundry.curate.detect.quality_texture import block_means, levels

_BLOCK = 8
_REACH = 2  # pixels that a block may have moved, each way
_FLOOR = 0.1
_SHARES = (0.02, 0.25, 0.6)  # mean differences in grey levels: a skipped block, a retouched one, a faint one
NUM_CHANGE = 22


def changes(before: np.ndarray, after: np.ndarray) -> list[float]:
    """Residuals of blocks after the best small shift, in all, in still and in flat ones, beside the detail they have.

    Source of block matching: Jain and Jain, Displacement measurement and its application in interframe image coding, 1981.
    """
    residual = _residuals(before, after)
    x, d = before.astype(np.float32), after.astype(np.float32) - before.astype(np.float32)
    here = block_means(np.abs(d), _BLOCK)
    diagonal, moved = _diagonal(x), _diagonal(d)
    fine, jitter = block_means(diagonal, _BLOCK // 2), block_means(moved, _BLOCK // 2)
    slope = block_means(np.abs(_low(x)), _BLOCK // 2)
    still = here <= levels(here, (40,))[0]
    flat = slope <= levels(slope, (30,))[0]
    both = still & flat if (still & flat).sum() >= 8 else still
    found = [*np.log(levels(residual, (5, 15, 30, 50, 75)) + _FLOOR)]
    found += [float(np.sqrt((residual < share).mean())) for share in _SHARES]
    found += [
        *np.log(levels(jitter[both], (20, 50, 80)) + _FLOOR),
        *np.log(levels(fine[both], (50,)) + _FLOOR),
    ]
    ratio = np.log((jitter + _FLOOR) / (fine + _FLOOR))
    found += [*levels(ratio[still], (20, 50, 80)), *levels(ratio[both], (50,))]
    found += [*levels(np.log((here + _FLOOR) / (fine + _FLOOR))[still], (20, 50))]
    return found + _repainted(d, still)


def _residuals(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Mean absolute difference of each block after the best shift of up to two pixels."""
    n, h, w = before.shape
    rows, columns = ((size - 2 * _REACH) // _BLOCK for size in (h, w))
    y, x = rows * _BLOCK, columns * _BLOCK
    here = np.ascontiguousarray(before[:, _REACH : _REACH + y, _REACH : _REACH + x]).reshape(-1, x)
    best = np.full((n * rows, columns), np.inf, np.float32)
    for down in range(2 * _REACH + 1):
        for right in range(2 * _REACH + 1):
            there = np.ascontiguousarray(after[:, down : down + y, right : right + x]).reshape(-1, x)
            step = cv2.absdiff(here, there).astype(np.float32)
            size = (columns, n * rows)
            best = np.minimum(best, cv2.resize(step, size, interpolation=cv2.INTER_AREA))
    return best.ravel()


def _diagonal(x: np.ndarray) -> np.ndarray:
    return np.abs(x[:, ::2, ::2] - x[:, ::2, 1::2] - x[:, 1::2, ::2] + x[:, 1::2, 1::2])


def _low(x: np.ndarray) -> np.ndarray:
    """Slope of 2 x 2 means, of the size of the diagonal band."""
    low = (x[:, ::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, ::2] + x[:, 1::2, 1::2]) / 4
    return np.abs(np.diff(low, axis=2, append=low[:, :, -1:])) + np.abs(
        np.diff(low, axis=1, append=low[:, -1:])
    )


def _repainted(d: np.ndarray, still: np.ndarray) -> list[float]:
    """Steps of the difference at borders of 8-pixel blocks against those inside, and the share of pixels that stayed."""
    found: list[float] = []
    for axis in (2, 1):
        step = np.minimum(np.abs(np.diff(d, axis=axis)), 6).mean(axis=(0, 3 - axis))
        phase = step[: len(step) // 8 * 8].reshape(-1, 8).mean(axis=0) + 0.02
        found.append(float(np.log(phase[7] / np.delete(phase, (3, 7)).mean())))
    same = block_means((np.abs(d) < 0.5).astype(np.float32), _BLOCK)
    return [*found, float(same.mean()), float(same[still].mean())]
