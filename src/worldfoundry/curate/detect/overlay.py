"""Text of post-production: strokes that keep their place on the screen while the scene behind them changes.

Twice a second the luma is brought to about 480 x 270 pixels and described on cells of 16 x 16: how much thin bright and
dark stroke each cell holds, how much of it stood at the very same pixels half a second and two seconds before, how much the
picture changed, and whether the strokes look drawn after filming (``overlay_drawn.py``). Which cells are text is decided
at score time over any span, by a small convolutional network on the averages of those cells (``labelled/looks.py``
trains both). Text that is part of the world moves with the world or is seen at an angle; where neither the camera nor
anything else moves, the looks of the strokes alone decide.
"""

import math
from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np

from worldfoundry.curate.detect.network import load_table, sigmoid, within
from worldfoundry.curate.detect.overlay_drawn import convolve, drawn_logits, quantise, restore
from worldfoundry.curate.detect.rows import Rows
from worldfoundry.protocols.curation import SourceInfo, Timeline, View

CELL = 16
CHANNELS = (
    "across",
    "down",
    "bright",
    "dark",
    "strong",
    "ink",
    "edge_stays",
    "stroke_stays",
    "strong_stays",
    "change",
    "stays_long",
    "drawn",
)
_PIXELS = 480 * 270
_MOST_ENLARGED = 2 / 3
_STROKE = cv2.getStructuringElement(cv2.MORPH_RECT, (7, 7))
_STRONG = 40
_LEAST_CELLS = 8  # those that ``pool`` looks at; a smaller picture has no room for a word
_LONG = 4  # samples: two seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayScores:
    """Whether a span carries overlaid text; NaN where it has no sample."""

    overlay_text: float
    """Probability, 0 to 1."""
    overlay_region: str
    """Where: left, top, right, bottom as shares of the picture with two decimals; empty below a probability of one half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayDetector:
    """Describes strokes and their staying power twice a second."""

    name: str = "overlay"
    """Key of its timeline."""
    version: int = 2
    """Of the cells, so of ``weights/overlay-drawn.safetensors`` too; those of ``overlay-text`` may change without it."""
    interval_s: float = 0.5
    """Least time between two samples."""

    def begin(self, source: SourceInfo) -> "OverlayMeter":
        """A fresh meter."""
        del source  # sizes are read off the frames
        return OverlayMeter(self.interval_s)


@dataclass(frozen=True, slots=True, eq=False)
class _Strokes:
    luma: np.ndarray
    across: np.ndarray
    down: np.ndarray
    bright: np.ndarray
    dark: np.ndarray


class OverlayMeter:
    """Keeps the cells of each sample, a few kilobytes, on disk, and the stroke pictures of the last two seconds."""

    def __init__(self, interval_s: float):
        self._interval_s = interval_s
        self._due_s = -math.inf
        self._shape: tuple[int, ...] = (len(CHANNELS), 1, 1)
        self._seconds, self._cells = Rows(np.float64), Rows(np.uint8, self._shape)
        self._past: deque[_Strokes] = deque(maxlen=_LONG)

    def observe(self, view: View) -> None:
        """Describe two frames a second."""
        if view.seconds < self._due_s:
            return
        self._due_s = view.seconds + self._interval_s - 5e-4
        strokes = _strokes(shrink(view.luma))
        if self._past and self._past[-1].luma.shape != strokes.luma.shape:
            self._past.clear()
        cells = _describe(strokes, self._past)
        self._past.append(strokes)
        if not len(self._cells):
            self._shape, self._cells = cells.shape, Rows(np.uint8, cells.shape)
        if cells.shape == self._shape:
            self._seconds.append(view.seconds)
            self._cells.append(cells)

    def finish(self) -> Timeline:
        """``cells`` uint8 [n, channels, rows, columns]."""
        return {"seconds": self._seconds.array(), "cells": self._cells.array()}


def score(timeline: Timeline, start_s: float, end_s: float) -> OverlayScores:
    """Overlaid text of a span and the box around it."""
    rows = within(timeline["seconds"], start_s, end_s)
    if len(rows) == 0:
        return OverlayScores(overlay_text=math.nan, overlay_region="")
    if math.prod(timeline["cells"].shape[2:]) < _LEAST_CELLS:
        return OverlayScores(overlay_text=0.0, overlay_region="")
    logits = cell_logits(gather(timeline["cells"][rows]))
    probability = float(sigmoid(pool(logits)))
    return OverlayScores(overlay_text=probability, overlay_region=_box(logits) if probability >= 0.5 else "")


def gather(cells: np.ndarray) -> np.ndarray:
    """What the network sees of a span: float32 [features, rows, columns] from its samples [n, channels, rows, columns].

    What stays is counted between samples of the span only, so that a cut before it leaves no trace.
    """
    c = cells.astype(np.float32)
    across, down, bright, dark, strong, ink = c[:, :6].mean(axis=0)
    stroke, edge = bright + dark, across + down
    later = c[1:] if len(c) > 1 else c
    edge_stays, stroke_stays, strong_stays, change = later.mean(axis=0)[6:10]
    drawn = restore(later[:, CHANNELS.index("drawn")])
    edge_share = edge_stays / ((later[:, 0] + later[:, 1]).mean(axis=0) + 6)
    stroke_share = stroke_stays / ((later[:, 2] + later[:, 3]).mean(axis=0) + 6)
    late = c[_LONG:]
    long_share = (
        late[:, 10].mean(axis=0) / ((late[:, 2] + late[:, 3]).mean(axis=0) + 6) if len(late) else stroke_share
    )
    textured = edge > np.median(edge)
    stillness = float(np.median(edge_share[textured])) if textured.any() else 1.0
    h, w = edge.shape
    y = np.broadcast_to(np.linspace(0, 1, h)[:, None], (h, w))
    x = np.broadcast_to(np.abs(np.linspace(-1, 1, w)), (h, w))
    most_stays = later[:, 8].max(axis=0)
    logs = [np.log1p(v / 2) for v in (across, down, bright, dark, strong, strong_stays, most_stays, change)]
    spread = np.log1p(c[:, 2:4].sum(axis=1).std(axis=0) / 2)
    shares = [edge_share, stroke_share, long_share, stroke / (edge + 6), ink / (strong + 4)]
    overall = [stillness, np.log1p(change.mean() / 2), np.log1p(np.median(stroke) / 2), float(len(c) > 1)]
    looks = [drawn.mean(axis=0), drawn.max(axis=0)]
    overall = (np.full((h, w), v) for v in overall)
    features = np.stack([*logs, spread, *shares, *overall, y, x, *looks]).astype(np.float32)
    if len(c) == 1:
        features[[5, 6, 7, 8, 9, 10, 11]] = 0  # nothing is known of what stays
    return features


def cell_logits(features: np.ndarray) -> np.ndarray:
    """Logit of text of each cell [rows, columns]."""
    table = load_table("overlay-text")
    x = np.clip((features - table["mean"][:, None, None]) * table["scale"][:, None, None], -4, 4)
    for layer in ("first", "second"):
        x = np.maximum(convolve(x, table[f"{layer}.weight"], table[f"{layer}.bias"]), 0)
    return np.tensordot(table["last.weight"], x, 1) + table["last.bias"][0]


def pool(logits: np.ndarray) -> float:
    """Logit of a span from its cells: the strongest cells count, and so does that they are several."""
    table = load_table("overlay-text")
    top = np.sort(logits.ravel())[::-1]
    summary = np.array([top[:1].mean(), top[:3].mean(), top[:8].mean()])
    return float(np.clip(summary, -12, 12) @ table["pool.weight"] + table["pool.bias"][0])


def _box(logits: np.ndarray) -> str:
    """Around the cells that are text, or the strongest cell if none is beyond doubt."""
    rows, columns = np.nonzero(logits >= min(0.0, float(logits.max())))
    h, w = logits.shape
    box = (columns.min() / w, rows.min() / h, (columns.max() + 1) / w, (rows.max() + 1) / h)
    return ", ".join(f"{v:.2f}" for v in box)


def shrink(luma: np.ndarray) -> np.ndarray:
    """To the area of 480 x 270 pixels, so that text is as large at every resolution, then padded to whole cells."""
    factor = max(_MOST_ENLARGED, math.sqrt(luma.size / _PIXELS))
    h, w = (max(4, round(n / factor)) for n in luma.shape)
    whole = int(factor)
    if whole > 1:  # averaging by a whole factor is cheap; the rest is below 2 and may be bilinear
        rows, columns = (n // whole for n in luma.shape)
        luma = cv2.resize(
            luma[: rows * whole, : columns * whole], (columns, rows), interpolation=cv2.INTER_AREA
        )
    if luma.shape != (h, w):
        luma = cv2.resize(luma, (w, h), interpolation=cv2.INTER_LINEAR)
    down, right = (-n % CELL for n in luma.shape)
    return cv2.copyMakeBorder(luma, 0, down, 0, right, cv2.BORDER_REPLICATE)


def _strokes(luma: np.ndarray) -> _Strokes:
    """Gradients, and what an opening or a closing by 7 pixels takes away: thin bright and thin dark things."""
    return _Strokes(
        luma,
        cv2.Sobel(luma, cv2.CV_16S, 1, 0),
        cv2.Sobel(luma, cv2.CV_16S, 0, 1),
        cv2.morphologyEx(luma, cv2.MORPH_TOPHAT, _STROKE),
        cv2.morphologyEx(luma, cv2.MORPH_BLACKHAT, _STROKE),
    )


def _describe(now: _Strokes, past: "deque[_Strokes]") -> np.ndarray:
    """The channels on cells, uint8 [channels, rows, columns]."""
    across, down = _quarter(now.across), _quarter(now.down)
    strong = _is_strong(cv2.max(now.bright, now.dark))
    maps = [across, down, now.bright, now.dark, strong, cv2.bitwise_and(now.luma, strong)]
    if past:
        before = past[-1]
        bright, dark = cv2.min(now.bright, before.bright), cv2.min(now.dark, before.dark)
        edge = cv2.add(_common(now.across, before.across), _common(now.down, before.down))
        maps += [
            edge,
            cv2.add(bright, dark),
            _is_strong(cv2.max(bright, dark)),
            cv2.absdiff(now.luma, before.luma),
        ]
    if len(past) == _LONG:
        maps.append(cv2.add(cv2.min(now.bright, past[0].bright), cv2.min(now.dark, past[0].dark)))
    h, w = now.luma.shape
    cells = np.zeros((len(CHANNELS), h // CELL, w // CELL), np.uint8)
    cells[-1] = quantise(drawn_logits(now.luma, past[-1].luma if past else None))
    for i, picture in enumerate(maps):
        cells[i] = cv2.resize(picture, (w // CELL, h // CELL), interpolation=cv2.INTER_AREA)
    return cells


def _is_strong(stroke: np.ndarray) -> np.ndarray:
    return cv2.threshold(stroke, _STRONG, 255, cv2.THRESH_BINARY)[1]


def _common(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """uint8: a quarter of the smaller of two gradients where their signs agree, else 0: (|a| + |b| - |a - b|) / 2."""
    both = cv2.addWeighted(_quarter(a), 0.5, _quarter(b), 0.5, 0)
    return cv2.subtract(both, cv2.convertScaleAbs(cv2.absdiff(a, b), alpha=0.125))


def _quarter(gradient: np.ndarray) -> np.ndarray:
    return cv2.convertScaleAbs(gradient, alpha=0.25)
