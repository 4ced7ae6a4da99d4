"""What the shot detector measures of each frame, before any network sees it.

Frames are compared at a *canonical* rate of at most about 40 a second: of faster footage every second or third frame is
looked at in full, so that the network meets one range of rates; a cheap difference of every native frame later puts a
cut on the right one. Lags are both in frames (1, 2) and in seconds (0.125 to 2), because what a cut, a flash and a
dissolve look like depends on both.

Everything is measured on a 64x36 RGB thumbnail, in blocks of 64 thumbnails to keep NumPy's overhead small. Axes: t frames,
h w rows and columns, l lags.

Source: the families of measures are the classical ones (pixel, block, histogram and edge differences, motion-compensated
residual, the linear model of a dissolve), see Boreczky and Rowe, "Comparison of video shot boundary detection
techniques", 1996, and Lienhart, "Reliable transition detection in videos", 2001.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np

THUMB = (64, 36)
"""Columns and rows of the thumbnail that is measured."""
MIN_STEP_S = 0.024
"""Frames nearer than this to the last one looked at are not looked at."""
LAGS_S = (0.125, 0.25, 0.5, 1.0, 2.0)
"""Lags in seconds."""
NEAR = 7
"""Frame lags of the band of differences, which tells a flash or an occluder from a cut."""
CELLS = (4, 3)
"""Columns and rows of the cells in which the picture before is looked for: where a change is, and whether it only moved."""
_SHIFTS = (2, 1)  # columns and rows, of 32x18, that a cell may have moved to either side
_HISTORY = 90  # over two seconds at MIN_STEP_S
_BLOCK = 64
_CHANGED = 0.06


def _names() -> list[str]:
    still = ["step", "mean", "sigma", "dark", "bright", "flat", "colour", "edges"]
    lag = [f"{what}{lag}" for lag in ("1", "2", *LAGS_S) for what in ("mad", "ncc", "hist", "luma", "area")]
    line = [f"{what}{lag}" for lag in LAGS_S[1:] for what in ("line", "either", "share", "fit", "fit_light")]
    moved = ["match", "least", "most", "edge_in", "edge_out", "column", "row", "centre_x", "centre_y"]
    near = [f"{what}{k}" for what in ("near_mad", "near_ncc") for k in range(1, NEAR + 1)]
    cells = [f"cell{lag}_{k}" for lag in _CELL_LAGS for k in range(CELLS[0] * CELLS[1])]
    return still + lag + line + moved + near + cells


_CELL_LAGS = ("1", "2", "0.25", "1.0")


NAMES = tuple(_names())
"""The features of a frame, in order."""


@dataclass
class FrameFeatures:
    """Turns thumbnails into rows of features, a block at a time, with two seconds of memory."""

    _pending: list[np.ndarray] = field(default_factory=list)
    _times: list[float] = field(default_factory=list)
    _past: "_Described | None" = None

    def add(self, thumb: np.ndarray, seconds: float) -> np.ndarray | None:
        """See a frame (uint8 RGB [36, 64, 3]); rows [t, features] when a block is full."""
        self._pending.append(thumb)
        self._times.append(seconds)
        return self.flush() if len(self._pending) == _BLOCK else None

    def flush(self) -> np.ndarray:
        """Rows of the frames that still wait."""
        if not self._pending:
            return np.zeros((0, len(NAMES)), np.float32)
        now = _describe(np.stack(self._pending), np.array(self._times))
        self._pending, self._times = [], []
        everything = now if self._past is None else self._past.followed_by(now)
        rows = _compare(everything, len(now.seconds))
        self._past = everything.tail(_HISTORY)
        return rows


@dataclass(frozen=True)
class _Described:
    """Descriptors of frames; each array has frames first."""

    seconds: np.ndarray
    grey: np.ndarray
    blocks: np.ndarray
    shape: np.ndarray
    hist: np.ndarray
    cumulative: np.ndarray
    edges: np.ndarray
    wide: np.ndarray
    spread: np.ndarray
    still: np.ndarray

    def followed_by(self, other: "_Described") -> "_Described":
        return _Described(*(np.concatenate(pair) for pair in zip(self._all(), other._all(), strict=True)))

    def tail(self, count: int) -> "_Described":
        return _Described(*(a[-count:] for a in self._all()))

    def _all(self) -> list[np.ndarray]:
        return list(vars(self).values())


def _describe(thumbs: np.ndarray, seconds: np.ndarray) -> _Described:
    t = len(thumbs)
    grey = np.stack([cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in thumbs])
    blocks = np.stack([cv2.resize(f, (16, 9), interpolation=cv2.INTER_AREA) for f in thumbs]).reshape(t, -1)
    blocks = blocks.astype(np.float32) / 255
    luma = blocks.reshape(t, -1, 3) @ np.array([0.299, 0.587, 0.114], np.float32)
    centred = luma - luma.mean(1, keepdims=True)
    # Below a contrast of about 2 grey levels the shape is noise: the constant keeps it from being blown up.
    shape = centred / (np.linalg.norm(centred, axis=1, keepdims=True) + 12 * 0.008)
    top = thumbs[:, :, ::2] >> 6
    joint = (top[..., 0] << 4 | top[..., 1] << 2 | top[..., 2]).reshape(t, -1)
    hist = _histogram(joint, 64)
    fine = _histogram(grey.reshape(t, -1) >> 3, 32)
    edges = _edges(grey)
    wide = grey.reshape(t, -1).astype(np.float32) / 255
    some = thumbs.reshape(t, -1, 3)[:, ::4]
    still = np.stack(
        [
            wide.mean(1),
            wide.std(1),
            fine[:, :4].sum(1),
            fine[:, 29:].sum(1),
            (fine[:, :-1] + fine[:, 1:]).max(1),
            (some.max(2) - some.min(2)).mean(1) / 255,
            edges.mean((1, 2)),
        ],
        1,
    )
    small = np.stack([cv2.resize(g, (32, 18), interpolation=cv2.INTER_AREA) for g in grey])
    spread = small[:, 4:14, 8:24].reshape(t, -1).std(1)
    grown = np.stack([cv2.dilate(e, _WIDE) for e in edges])
    cumulative, still = np.cumsum(fine, 1), still.astype(np.float32)
    return _Described(seconds, small, blocks, shape, hist, cumulative, edges, grown, spread, still)


def _histogram(values: np.ndarray, bins: int) -> np.ndarray:
    t, n = values.shape
    offset = np.arange(t, dtype=np.int64)[:, None] * bins
    return (np.bincount((values + offset).ravel(), minlength=t * bins).reshape(t, bins) / n).astype(
        np.float32
    )


def _edges(grey: np.ndarray) -> np.ndarray:
    signed = grey.astype(np.int16)
    slope = np.abs(signed[:, 1:-1, 2:] - signed[:, 1:-1, :-2]) + np.abs(
        signed[:, 2:, 1:-1] - signed[:, :-2, 1:-1]
    )
    return (slope > 28).astype(np.uint8)


def _compare(d: _Described, fresh: int) -> np.ndarray:
    now = np.arange(len(d.seconds) - fresh, len(d.seconds))
    lags = [np.maximum(now - 1, 0), np.maximum(now - 2, 0), *(_earlier(d.seconds, now, s) for s in LAGS_S)]
    step = np.clip(d.seconds[now] - d.seconds[lags[0]], 0.0, 1.0)[:, None]
    columns = [np.sqrt(step), d.still[now]]
    difference = None
    for then in lags:
        delta = np.abs(d.blocks[now] - d.blocks[then])
        if difference is None:
            difference = delta.reshape(fresh, 9, 16, 3).mean(3)
        columns.append(_lag(d, now, then, delta))
    assert difference is not None
    columns += [_line(d, now, middle, then) for middle, then in pairwise(lags[2:])]
    columns += [_moved(d, now, lags[0]), _where(difference)]
    near = [np.maximum(now - k, 0) for k in range(1, NEAR + 1)]
    columns.append(np.stack([np.abs(d.blocks[now] - d.blocks[then]).mean(1) for then in near], 1))
    columns.append(np.stack([1 - (d.shape[now] * d.shape[then]).sum(1) for then in near], 1))
    columns += [_cells(d.grey[now], d.grey[lags[k]]) for k in (0, 1, 3, 5)]
    return np.concatenate(columns, 1).astype(np.float32)


def _earlier(seconds: np.ndarray, now: np.ndarray, lag_s: float) -> np.ndarray:
    """The frames nearest to ``lag_s`` before each, at least one frame back."""
    wanted = seconds[now] - lag_s
    after = np.minimum(np.maximum(np.searchsorted(seconds, wanted), 1), len(seconds) - 1)
    nearest = np.where(wanted - seconds[after - 1] < seconds[after] - wanted, after - 1, after)
    return np.maximum(np.minimum(nearest, now - 1), 0)


def _lag(d: _Described, now: np.ndarray, then: np.ndarray, delta: np.ndarray) -> np.ndarray:
    return np.stack(
        [
            delta.mean(1),
            1 - (d.shape[now] * d.shape[then]).sum(1),
            np.abs(d.hist[now] - d.hist[then]).sum(1) / 2,
            np.abs(d.cumulative[now] - d.cumulative[then]).sum(1) / 32,
            (delta.reshape(len(now), -1, 3).max(2) > _CHANGED).mean(1),
        ],
        1,
    )


def _line(d: _Described, now: np.ndarray, middle: np.ndarray, then: np.ndarray) -> np.ndarray:
    """How a frame stands to the ones before and after it, which a dissolve mixes and a wipe puts together.

    Its distance from the mean of both (a dissolve: 0) and from the nearer one, pixel by pixel (a wipe: 0), the share of
    the later one that explains it best, and what that leaves, also of squared values, which are near linear light.
    """
    a, m, b = d.blocks[then], d.blocks[middle], d.blocks[now]
    span = np.abs(b - a).mean(1) + 0.01
    line = np.abs(m - (a + b) / 2).mean(1) / span
    either = np.minimum(np.abs(m - a), np.abs(m - b)).mean(1) / span
    share, fit = _explained(a, m, b)
    _, light = _explained(a * a, m * m, b * b)
    return np.stack([np.minimum(line, 2), np.minimum(either, 2), share, fit, light], 1)


def _explained(a: np.ndarray, m: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of ``b`` in ``m`` by least squares, and the mean that is left over as a multiple of that between a and b."""
    way = b - a
    share = np.clip((way * (m - a)).sum(1) / ((way * way).sum(1) + 0.05), 0, 1)
    left = np.abs(m - a - share[:, None] * way).mean(1) / (np.abs(way).mean(1) + 0.01)
    return share, np.minimum(left, 2)


def _cells(now: np.ndarray, then: np.ndarray) -> np.ndarray:
    """What is left in each cell when it may come from a little beside: 0 to 1, [t, cells], row by row."""
    x, y = _SHIFTS
    t, h, w = now.shape
    padded = np.pad(then, ((0, 0), (y, y), (x, x)), mode="edge")
    moved = np.lib.stride_tricks.sliding_window_view(padded, (h, w), (1, 2)).reshape(t, -1, h, w)
    apart = np.maximum(moved, now[:, None]) - np.minimum(moved, now[:, None])
    banded = apart.reshape(-1, h // CELLS[1], w)
    rows = banded[:, 0].astype(np.uint16)
    for k in range(1, h // CELLS[1]):
        rows += banded[:, k]
    found = (rows.astype(np.float32) @ _COLUMNS).reshape(t, moved.shape[1], -1).min(1)
    return found * (CELLS[0] * CELLS[1] / (h * w * 255))


_COLUMNS = np.repeat(np.eye(CELLS[0], dtype=np.float32), 32 // CELLS[0], 0)


def _moved(d: _Described, now: np.ndarray, then: np.ndarray) -> np.ndarray:
    """What remains of the difference to the frame before when parts may move: small for pans, large for cuts."""
    rows = [
        _matched(d.grey[b], d.grey[a], flat=bool(d.spread[b] < 1.5)) for a, b in zip(then, now, strict=True)
    ]
    values = np.array(rows, np.float32)
    values[:, 1:] /= (d.still[now, 1] + d.still[then, 1])[:, None] * 255 + 4
    # d.wide is d.edges grown by two pixels: an edge that only moved a little neither enters nor leaves.
    entering = (d.edges[now] > d.wide[then]).sum((1, 2)) / (d.edges[now].sum((1, 2)) + 40)
    leaving = (d.edges[then] > d.wide[now]).sum((1, 2)) / (d.edges[then].sum((1, 2)) + 40)
    return np.column_stack([values, entering, leaving])


def _matched(now: np.ndarray, then: np.ndarray, *, flat: bool) -> tuple[float, float, float]:
    patch = now[4:14, 8:24]
    match = 1.0 if flat else cv2.minMaxLoc(cv2.matchTemplate(then, patch, cv2.TM_CCOEFF_NORMED))[1]
    left = _residual(then[:, :18], now[3:15, 3:14])
    right = _residual(then[:, 14:], now[3:15, 18:29])
    return 1 - match, min(left, right), max(left, right)


_WIDE = np.ones((5, 5), np.uint8)


def _residual(where: np.ndarray, patch: np.ndarray) -> float:
    least = cv2.minMaxLoc(cv2.matchTemplate(where, patch, cv2.TM_SQDIFF))[0]
    return (max(least, 0.0) / patch.size) ** 0.5


def _where(difference: np.ndarray) -> np.ndarray:
    """Where the change is: its share in the fullest three columns and rows, and its centre (a wipe travels)."""
    weight = difference.sum((1, 2)) + 0.5
    across, down = difference.sum(1), difference.sum(2)
    three = across[:, :-2] + across[:, 1:-1] + across[:, 2:]
    rows = down[:, :-2] + down[:, 1:-1] + down[:, 2:]
    x, y = across @ np.linspace(-1, 1, 16), down @ np.linspace(-1, 1, 9)
    return np.stack([three.max(1) / weight, rows.max(1) / weight, x / weight, y / weight], 1)
