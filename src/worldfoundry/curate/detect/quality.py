"""Technical quality: blur, noise, compression, upscaling, over- and under-exposure, frozen pictures.

At most one frame a second is measured, on nine small tiles of the full-resolution luma (defects live at the scale of
pixels, and cost must not grow with the picture), beside the frame after it; the grey levels of the whole picture give the
exposure. Features are logarithms of energies and ratios of them (see ``quality_texture.py``, ``_change`` and ``_light``); a
small network, trained on degraded real footage (``labelled/looks.py``), turns them into one logit a defect. A still image
is measured as one frame; what only a second frame can tell then counts as average.

The size of the picture is no feature on purpose: it would be learnt from which clips happened to be large, not from how
they look. Defects are measured per pixel, so a sharp picture that is made smaller stays clean.

``quality`` is the calibrated probability that a span has none of the five defects of the sensor, the lens and the codec
at a visible level; it falls with each defect's own logit and is therefore explained by them.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from worldfoundry.curate.detect.network import load_network, load_table, sigmoid, within
from worldfoundry.curate.detect.quality_change import NUM_CHANGE, changes
from worldfoundry.curate.detect.quality_light import NUM_LIGHT, grey_levels, lights
from worldfoundry.curate.detect.quality_texture import (
    block_means,
    curves,
    levels,
    octaves,
    phases,
    spectra,
)
from worldfoundry.curate.detect.rows import Rows, split_columns
from worldfoundry.protocols.curation import SourceInfo, Timeline, View

DEFECTS = ("blur", "noise", "compression", "upscaled", "exposure_over", "exposure_under")
_TILE_H, _TILE_W = 64, 112
_BLOCK = 8
_SMALLEST = 32
_BANDS = (0.02, 0.06, 0.12, 0.18, 0.24, 0.30, 0.36, 0.42, 0.501)
_EDGE_STEPS = (1, 2, 4, 8)
_NEIGHBOUR_S = 0.5  # frames further apart show another scene rather than change in this one
_FROZEN_STEP = (
    0.02  # mean grey levels between neighbouring frames; re-encoded stills stay below, sensor noise does not
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityScores:
    """What is technically wrong with a span; NaN where it has no sample."""

    quality: float
    """Probability, 0 to 1, that the span is technically clean."""
    blur: float
    """Out of focus or smeared by motion, 0 to 1; higher is more, as in all that follow."""
    noise: float
    """Grain of the sensor or of high gain."""
    compression: float
    """Blocks, ringing and lost texture of a coarse codec."""
    exposure_over: float
    """Highlights burnt out."""
    exposure_under: float
    """Too dark to see by."""
    upscaled: float
    """Made larger than it was recorded."""
    frozen: float
    """Share of frames that repeat the one before; not part of ``quality``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityDetector:
    """Measures technical quality about once a second."""

    name: str = "quality"
    """Key of its timeline."""
    version: int = 2
    """Of the features; weights may change without it."""
    interval_s: float = 1.0
    """Least time between two measured frames."""

    def begin(self, source: SourceInfo) -> "QualityMeter":
        """A fresh meter."""
        del source  # everything is measured on the frames themselves
        return QualityMeter(self.interval_s)


@dataclass(slots=True)
class _Sample:
    seconds: float
    features: np.ndarray
    seen: int = 0
    repeated: int = 0


class QualityMeter:
    """Keeps one row of features a second, and the tiles of its frame until another one has come."""

    def __init__(self, interval_s: float):
        self._interval_s = interval_s
        self._due_s = -math.inf
        self._seconds, self._features = Rows(np.float64), Rows(np.float32, (NUM_FEATURES,))
        self._counts = Rows(np.int32, (2,))
        self._last: _Sample | None = None
        self._previous: np.ndarray | None = None
        self._tiles: np.ndarray | None = None

    def observe(self, view: View) -> None:
        """Count repeats in every frame; measure one frame a second."""
        thumb = view.small[::8, ::8, 1].astype(np.int16)
        is_repeat = (
            self._previous is not None
            and self._previous.shape == thumb.shape
            and float(np.abs(thumb - self._previous).mean()) < _FROZEN_STEP
        )
        self._previous = thumb
        if view.seconds >= self._due_s:
            # Half a millisecond of slack: 30 frames at 29.97 a second must not drift to every 31st.
            self._due_s = view.seconds + self._interval_s - 5e-4
            self._settle()
            self._tiles = tiles_of(view.luma)
            self._last = _Sample(view.seconds, measure(self._tiles, view.luma))
        assert self._last is not None, "the first frame is always due"
        if self._last.seen and self._tiles is not None:
            self._compare(self._last, self._tiles, view)
        self._last.seen += 1
        self._last.repeated += is_repeat

    def _settle(self) -> None:
        """Store the last sample: nothing changes it any more."""
        if self._last is not None:
            self._seconds.append(self._last.seconds)
            self._features.append(self._last.features)
            self._counts.append((self._last.seen, self._last.repeated))

    def _compare(self, sample: "_Sample", before: np.ndarray, view: View) -> None:
        """Measure change up to the first frame that is not an exact repeat, if it comes soon."""
        if view.seconds - sample.seconds > _NEIGHBOUR_S:
            self._tiles = None
            return
        after = tiles_of(view.luma)
        if after.shape == before.shape and not np.array_equal(after, before):
            sample.features[CHANGE] = changes(before, after)
            self._tiles = None

    def finish(self) -> Timeline:
        """``features`` float32 [n, f], NaN for change where no frame followed; ``seen``, ``repeated``: frames until the next."""
        self._settle()
        seen, repeated = split_columns(self._counts.array(), [np.int32] * 2)
        seconds, features = self._seconds.array(), self._features.array()
        return {"seconds": seconds, "features": features, "seen": seen, "repeated": repeated}


def score(timeline: Timeline, start_s: float, end_s: float) -> QualityScores:
    """Quality of a span: defect logits are averaged over its samples, so that one blurred moment does not decide."""
    rows = within(timeline["seconds"], start_s, end_s)
    if len(rows) == 0:
        return QualityScores(quality=math.nan, frozen=math.nan, **dict.fromkeys(DEFECTS, math.nan))
    logits = defect_logits(timeline["features"][rows])
    seen, repeated = timeline["seen"][rows].sum(), timeline["repeated"][rows].sum()
    parts = {name: float(p) for name, p in zip(DEFECTS, defect_shares(logits), strict=True)}
    return QualityScores(
        quality=combine(logits), frozen=float(repeated / max(1, seen - 1)) if seen > 1 else 0.0, **parts
    )


def defect_logits(features: np.ndarray) -> np.ndarray:
    """Logits [6] of a span from the features of its samples [n, f]: texture and exposure never see each other's features."""
    network = load_network("quality", "texture.")
    seen = features[:, :-NUM_LIGHT]
    texture = network(np.where(np.isnan(seen), network.mean, seen)).mean(axis=0)
    exposure = load_network("quality", "exposure.")(features[:, -NUM_LIGHT:]).mean(axis=0)
    return np.concatenate([texture, exposure])


def defect_shares(logits: np.ndarray) -> np.ndarray:
    """Calibrated probabilities of the defects."""
    table = load_table("quality")
    return sigmoid(logits * table["slope"] + table["shift"])


def combine(logits: np.ndarray) -> float:
    """Quality from defect logits [6]: the probability that none is there, the defects taken as independent."""
    return float(np.prod(1 - defect_shares(logits)) ** load_table("quality")["power"][0])


def measure(tiles: np.ndarray, luma: np.ndarray) -> np.ndarray:
    """Features float32 [f] of one picture, uint8 [h, w], and its tiles; those of change are NaN for now."""
    pixels = tiles.astype(np.float32)
    texture = (_spectrum(pixels), _blocks(pixels), _edges(tiles), _grid(pixels))
    steady = (octaves(pixels), phases(pixels), curves(pixels), spectra(pixels))
    change = np.full(NUM_CHANGE, np.nan)
    return np.concatenate([*texture, *steady, change, lights(pixels), grey_levels(luma)]).astype(np.float32)


def tiles_of(luma: np.ndarray) -> np.ndarray:
    """Nine tiles, three by three over the picture, on the codec's grid of 8 pixels: uint8 [n, h, w]."""
    if min(luma.shape) < _SMALLEST:
        luma = np.pad(luma, [(0, max(0, _SMALLEST - n)) for n in luma.shape], mode="reflect")
    h, w = (min(size, n // _BLOCK * _BLOCK) for size, n in zip((_TILE_H, _TILE_W), luma.shape, strict=True))
    ys = sorted({int(y) // _BLOCK * _BLOCK for y in np.linspace(0, luma.shape[0] - h, 3)})
    xs = sorted({int(x) // _BLOCK * _BLOCK for x in np.linspace(0, luma.shape[1] - w, 3)})
    return np.stack([luma[y : y + h, x : x + w] for y in ys for x in xs])


def _spectrum(x: np.ndarray) -> np.ndarray:
    """Log energy in eight bands of frequency, along rows and along columns: mean over tiles and median over lines."""
    features = []
    for axis in (2, 1):
        lines = np.moveaxis(x, axis, 2)[:, ::2].reshape(-1, x.shape[axis])
        lines = (lines - lines.mean(axis=1, keepdims=True)) * np.hanning(lines.shape[1]).astype(np.float32)
        transformed = np.fft.rfft(lines, axis=1)
        power = (transformed.real**2 + transformed.imag**2) / lines.shape[1]
        frequency = np.arange(power.shape[1]) / lines.shape[1]
        edges = np.searchsorted(frequency, _BANDS)
        starts = np.minimum(edges[:-1], power.shape[1] - 1)
        bands = np.add.reduceat(power, starts, axis=1) / np.maximum(1, np.diff(edges))
        for level in (np.log(bands.mean(axis=0) + 0.05), np.log(np.median(bands, axis=0) + 0.05)):
            features += [
                np.diff(level),
                level[:1],
                level[-1:],
            ]  # steps between bands do not depend on contrast
    return np.concatenate(features)


def _blocks(x: np.ndarray) -> np.ndarray:
    """How fine detail and gradients spread over blocks: noise lifts the flat ones, codecs empty them.

    Source of the noise mask: J. Immerkaer, Fast noise variance estimation, CVIU 1996.
    """
    features = []
    for level in (x, (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4):
        second = level[:, :, 2:] - 2 * level[:, :, 1:-1] + level[:, :, :-2]
        fine = block_means(np.abs(second[:, 2:] - 2 * second[:, 1:-1] + second[:, :-2]), _BLOCK)
        slope = block_means(
            np.abs(level[:, 1:, 1:] - level[:, 1:, :-1]) + np.abs(level[:, 1:, 1:] - level[:, :-1, 1:]),
            _BLOCK,
        )
        n = min(len(fine), len(slope))
        share = (fine[:n] + 0.3) / (slope[:n] + 0.3)
        features += [
            _spread(fine),
            _spread(slope),
            np.log(levels(share, (10, 50, 90))),
            [np.mean(fine < 0.5)],
        ]
    return np.concatenate(features)


def _spread(values: np.ndarray) -> np.ndarray:
    """Logarithms of the median and of the ratios of six percentiles."""
    level = np.log(levels(values, (10, 25, 50, 75, 90, 98)) + 0.3)
    return np.concatenate([level[2:3], np.diff(level)])


def _edges(tiles: np.ndarray) -> np.ndarray:
    """Steepness of the strongest edges: rise over 1 pixel against 2, 4 and 8 pixels, along both axes, and overshoot."""
    features = []
    for y in (tiles, np.ascontiguousarray(tiles.transpose(0, 2, 1))):
        rises = [_high(y[..., k:], y[..., :-k]) for k in _EDGE_STEPS]
        middle = cv2.addWeighted(_flat(y[..., 2:]), 0.5, _flat(y[..., :-2]), 0.5, 0)
        bend = 2 * _high(y[..., 1:-1], middle)
        steps = np.log(np.array([*rises, bend]) + 1)
        features += [steps[:1], steps[1:] - steps[:-1]]
    return np.concatenate(features)


def _flat(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x).reshape(-1, x.shape[-1])


def _high(a: np.ndarray, b: np.ndarray) -> float:
    """About the 99.5th percentile of the absolute difference of two uint8 arrays."""
    step = cv2.absdiff(_flat(a), _flat(b))
    below = np.cumsum(cv2.calcHist([step], [0], None, [256], [0, 256]))
    return float(np.searchsorted(below, 0.995 * below[-1]))


def _grid(x: np.ndarray) -> np.ndarray:
    """Steps across the borders of 8-pixel blocks against steps inside them, along both axes."""
    features = []
    for axis in (2, 1):
        y = np.moveaxis(x, axis, 2)
        step = np.minimum(np.abs(np.diff(y, axis=2)), 24).mean(axis=(0, 1))
        whole = step[: len(step) // _BLOCK * _BLOCK].reshape(-1, _BLOCK).mean(axis=0)
        inside = np.delete(whole, (3, 7)).mean() + 0.1
        others = np.sort(whole)
        features.append(
            np.log(
                [(whole[7] + 0.1) / inside, (whole[3] + 0.1) / inside, (others[-1] + 0.1) / (others[3] + 0.1)]
            )
        )
    return np.concatenate(features)


CHANGE = slice(-NUM_LIGHT - NUM_CHANGE, -NUM_LIGHT)
_BLACK = np.zeros((_SMALLEST, _SMALLEST), np.uint8)
NUM_FEATURES = len(measure(tiles_of(_BLACK), _BLACK))
