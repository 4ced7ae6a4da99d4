"""Fine alignment of two spans: window, speed and offset at once, by damped least squares on the pictures.

The search leaves errors of a twentieth of the picture and an eighth of a second; those cost a true copy more agreement
than chance gives to another moment of the scene, so a threshold between the two needs them gone.

Source: image registration by Lucas and Kanade (1981), the damping by Levenberg and Marquardt.
"""

import dataclasses

import numpy as np

from worldfoundry.curate.detect.alignment_judge import Film, Match, between, blocks, judged, seen
from worldfoundry.curate.detect.descriptor import resample

_SLOWEST, _FASTEST = 0.7, 1.43  # beyond the speeds of copies: pairs by chance show there that they are none
_LARGEST = np.array([0.06, 0.06, 0.06, 0.06, 0.08, 0.25])  # step of top, bottom, left, right, speed, offset
_STIFF = np.array([10.0, 10.0, 10.0, 10.0, 2.5, 0.1])  # keeps what the pictures say nothing about
_ROUNDS = 10
_FIRST_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1e-2, 1e-3, 1.0
_GAIN = 2e-3
_DELTA = 0.01


def worth(match: Match) -> float:
    """What the fit makes larger: smoother than ``similarity``, and the still background helps to find the place."""
    return match.change + 0.5 * match.picture


def refine(a: Film, b: Film, match: Match) -> Match:
    """The best match that small steps from ``match`` lead to; it covers no less than nine tenths of the time."""
    least = 0.9 * match.overlap_s
    damping = _FIRST_DAMPING
    for _ in range(_ROUNDS):
        tried = judged(a, b, _moved(match, _step(a, b, match, damping)))
        gain = worth(tried) - worth(match)
        if tried.overlap_s >= least and gain > 0:
            match = tried
            damping = max(damping / 4, _LEAST_DAMPING)
            if gain < _GAIN:
                break
        else:
            damping *= 6
            if damping > _MOST_DAMPING:
                break
    return match


def _moved(match: Match, step: np.ndarray) -> Match:
    moved = np.array([*match.window, match.speed, match.offset_s])
    moved[: len(step)] += step
    *window, speed, offset = map(float, moved)
    speed = min(max(speed, _SLOWEST), _FASTEST)
    return dataclasses.replace(match, window=tuple(window), speed=speed, offset_s=offset)


def _step(a: Film, b: Film, match: Match, damping: float) -> np.ndarray:
    """Float64 [4], or [6] in films: the step that least squares suggests."""
    shown, slopes, target = _linearised(a, b, match)
    gain = float(np.clip((shown * target).sum() / ((shown * shown).sum() + 1e-3), 0.4, 2.5))
    wrong = blocks(target - gain * shown)
    error = (wrong * wrong).mean(1)
    # Blocks that are far off show a caption or nothing of the other picture: they count less.
    usual = float(np.median(error[error > 0])) if (error > 0).any() else 0.0
    weight = np.sqrt(1 / (1 + error / (2 * usual + 1.0)))[:, None]
    columns = np.stack([(gain * blocks(slope) * weight).ravel() for slope in slopes]).astype(np.float64)
    square, right = columns @ columns.T, columns @ (wrong * weight).ravel().astype(np.float64)
    ridge = damping * np.diag(square) + _STIFF[: len(slopes)]
    largest = _LARGEST[: len(slopes)]
    return np.linalg.solve(square + np.diag(ridge), right).clip(-largest, largest)


def _linearised(a: Film, b: Film, match: Match) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """``a`` as the match shows it, how that changes with each number of the match, and ``b`` beside it."""
    top, bottom, left, right = match.window
    visible = seen(match.window, match.is_mirrored)
    low, high, part, valid = between(a.seconds, match.offset_s + match.speed * b.seconds)
    part = part[valid, None, None].astype(np.float32)
    before, after = a.pictures[low[valid]], a.pictures[high[valid]]
    pictures = (1 - part) * before + part * after
    rows, columns = resample(top, bottom), resample(left, right).T
    over, under = _slopes(top, bottom)
    west, east = _slopes(left, right)

    def laid(out: np.ndarray) -> np.ndarray:
        return (out[:, :, ::-1] if match.is_mirrored else out) * visible

    beside, above = pictures @ columns, rows @ pictures
    slopes = [laid(over @ beside), laid(under @ beside), laid(above @ west.T), laid(above @ east.T)]
    if not a.is_still:
        gap = np.maximum((a.seconds[high] - a.seconds[low])[valid, None, None], 0.05)
        later = laid(rows @ ((after - before) / gap) @ columns)
        slopes += [later * b.seconds[valid, None, None], later]
    return laid(rows @ beside), slopes, b.pictures[valid] * visible


def _slopes(start: float, stop: float) -> tuple[np.ndarray, np.ndarray]:
    """How ``resample`` changes with each end."""
    first = resample(start + _DELTA, stop) - resample(start - _DELTA, stop)
    second = resample(start, stop + _DELTA) - resample(start, stop - _DELTA)
    return first / (2 * _DELTA), second / (2 * _DELTA)
