"""Video type, as far as it can be told without a vision-language model: filmed, rendered, screen, still, or pattern.

Once a second the small picture is summed up by the statistics of its colours and gradients, five times a second a
thumbnail is compared with the one before, and a patch of full-resolution luma tells the grain. A small network on their
means and spreads over a span gives the probabilities. A still image is never called ``still``: that it is one stands in
its record; the type says what it shows.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from worldfoundry.curate.config import VIDEO_TYPES
from worldfoundry.curate.detect.network import load_network, load_table, within
from worldfoundry.curate.detect.rows import Rows
from worldfoundry.protocols.curation import SourceInfo, Timeline, View

TYPES = VIDEO_TYPES
"""What this detector tells apart, in the order of its logits."""

CONTENT_TYPES = (
    "nature_dynamics",
    "hand_motion_and_object_manipulation",
    "spatial_awareness_and_navigation",
    "driving",
    "human_motion_and_activity",
    "first_person_view",
    "dynamic_camera_movement",
    "synthetic_render",
    "other",
)
"""The finer taxonomy of the paper, which needs a plug-in model to tell. Source: arXiv 2501.03575, section 3."""

UNWANTED_TYPES = ("rendered", "screen", "still", "pattern")
"""What the paper leaves out (abstract patterns, game footage, animation), in the words of this detector."""

_THUMB_S = 0.2
_PATCH = 128
_SMALLEST = 16
_NO_MOTION = np.array([math.nan] * 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class KindScores:
    """The type of a span; empty and NaN where it has no sample."""

    type: str
    """The most probable of ``TYPES``."""
    type_confidence: float
    """Its probability."""
    type_natural: float
    """Probability of filmed footage."""
    type_rendered: float
    """Probability of animation, game or simulation."""
    type_screen: float
    """Probability of a screen recording."""
    type_still: float
    """Probability of a frozen picture or a slideshow."""
    type_pattern: float
    """Probability of a test or abstract pattern."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KindDetector:
    """Measures what tells types apart about once a second."""

    name: str = "kind"
    """Key of its timeline."""
    version: int = 1
    """Of the features; weights may change without it."""
    interval_s: float = 1.0
    """Least time between two samples."""

    def begin(self, source: SourceInfo) -> "KindMeter":
        """A fresh meter."""
        del source  # sizes are read off the frames
        return KindMeter(self.interval_s)


class KindMeter:
    """Keeps a row of picture statistics a second, and of motion statistics of the thumbnails since the last."""

    def __init__(self, interval_s: float):
        self._interval_s = interval_s
        self._due_s = self._thumb_due_s = -math.inf
        self._seconds, self._features = Rows(np.float64), Rows(np.float32, (NUM_FEATURES,))
        self._motion = Rows(np.float32, (2, len(_NO_MOTION)))
        self._steps: list[np.ndarray] = []
        self._thumb: np.ndarray | None = None

    def observe(self, view: View) -> None:
        """Compare thumbnails five times a second; measure one frame a second."""
        if view.seconds >= self._due_s:
            self._due_s = view.seconds + self._interval_s - 5e-4
            self._settle()
            self._seconds.append(view.seconds)
            self._features.append(measure(view.small, view.luma))
        if view.seconds >= self._thumb_due_s:
            self._thumb_due_s = view.seconds + _THUMB_S - 5e-4
            small = view.small
            thumb = cv2.resize(
                small, (64, max(8, round(64 * small.shape[0] / small.shape[1]))), interpolation=cv2.INTER_AREA
            )
            if self._thumb is not None and self._thumb.shape == thumb.shape:
                self._steps.append(_compare(thumb, self._thumb))
            self._thumb = thumb

    def finish(self) -> Timeline:
        """``features`` float32 [n, f]; ``motion`` float32 [n, 2, 6]: mean and largest until the next sample, NaN if none."""
        self._settle()
        return {
            "seconds": self._seconds.array(),
            "features": self._features.array(),
            "motion": self._motion.array(),
        }

    def _settle(self) -> None:
        """Sum up the motion since the last sample."""
        steps, self._steps = self._steps, []
        if len(self._seconds):
            nothing = [_NO_MOTION, _NO_MOTION]
            self._motion.append([np.mean(steps, axis=0), np.max(steps, axis=0)] if steps else nothing)


def score(timeline: Timeline, start_s: float, end_s: float) -> KindScores:
    """Type of a span."""
    rows = within(timeline["seconds"], start_s, end_s)
    if len(rows) == 0:
        return _scores("", np.full(len(TYPES), math.nan))
    probabilities = classify(summarise({name: values[rows] for name, values in timeline.items()}))
    return _scores(TYPES[int(probabilities.argmax())], probabilities)


def _scores(name: str, p: np.ndarray) -> KindScores:
    values = {f"type_{kind}": float(v) for kind, v in zip(TYPES, p, strict=True)}
    return KindScores(type=name, type_confidence=float(p.max()), **values)


def summarise(timeline: Timeline) -> np.ndarray:
    """float64 [f] of the samples of a span: means, spreads, and motion (NaN where nothing followed)."""
    features = timeline["features"].astype(np.float64)
    motion = timeline["motion"].astype(np.float64)
    seen = motion[np.isfinite(motion[:, 0, 0])]
    both = (
        np.concatenate([seen[:, 0].mean(0), seen[:, 1].max(0)])
        if len(seen)
        else np.full(2 * len(_NO_MOTION), math.nan)
    )
    return np.concatenate([features.mean(axis=0), np.log(features.std(axis=0) + 0.02), both])


def classify(summary: np.ndarray) -> np.ndarray:
    """Calibrated probabilities of ``TYPES``; without motion, ``still`` is left out."""
    network = load_network("video-type")
    known = np.isfinite(summary)
    logits = (
        network(np.where(known, summary, network.mean)[None])[0] * load_table("video-type")["sharpness"][0]
    )
    if not known.all():
        logits[TYPES.index("still")] = -30
    odds = np.exp(logits - logits.max())
    return odds / odds.sum()


def measure(small: np.ndarray, luma: np.ndarray) -> np.ndarray:
    """Statistics of one picture; a tiny one is continued by its borders."""
    down, right = (max(0, _SMALLEST - n) for n in small.shape[:2])
    if down or right:
        small = cv2.copyMakeBorder(small, 0, down, 0, right, cv2.BORDER_REPLICATE)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    return np.concatenate([_colours(small, grey), _gradients(grey), _grain(luma)]).astype(np.float32)


def _colours(small: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """How few colours make up the picture, how vivid they are, and how much is white or black."""
    red, green, blue = cv2.split(small)
    q = (small // 16).astype(np.uint16)
    code = q[..., 0] * 256 + q[..., 1] * 16 + q[..., 2]
    share = np.sort(np.bincount(code.ravel(), minlength=4096))[::-1] / grey.size
    counts = _counts(grey)
    levels = np.sort(counts)[::-1]
    vivid = _counts(cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)))
    mean = counts @ np.arange(256)
    return np.array(
        [
            *np.log(
                [
                    share[0] + 0.01,
                    share[:4].sum() + 0.01,
                    share[:16].sum() + 0.01,
                    np.count_nonzero(share > 1e-4),
                ]
            ),
            *np.log([levels[0] + 0.01, levels[:4].sum() + 0.01]),
            *(_level(vivid, p) / 100 for p in (0.5, 0.9, 0.99)),
            *np.sqrt([vivid[:8].sum(), vivid[151:].sum(), counts[239:].sum(), counts[:14].sum()]),
            mean / 128,
            np.sqrt(counts @ (np.arange(256) - mean) ** 2) / 64,
        ]
    )


def _counts(picture: np.ndarray) -> np.ndarray:
    """Share of each of the 256 levels."""
    return cv2.calcHist([picture], [0], None, [256], [0, 256]).ravel().astype(np.float64) / picture.size


def _level(counts: np.ndarray, share: float) -> float:
    """The level that ``share`` of the pixels do not exceed."""
    return float(np.searchsorted(np.cumsum(counts), share - 1e-9))


def _gradients(grey: np.ndarray) -> np.ndarray:
    """How flat the picture is, how its edges are distributed, and whether they follow the axes."""
    g = grey.astype(np.int16)
    across, down = np.abs(np.diff(g, axis=1))[1:], np.abs(np.diff(g, axis=0))[:, 1:]
    size, smaller = np.maximum(across, down), np.minimum(across, down)
    edges, steps = size > 24, _counts(size.astype(np.uint8))
    aligned = float((smaller[edges] * 4 < size[edges]).mean()) if edges.any() else 0.5
    rows, columns = across.mean(axis=1), down.mean(axis=0)
    coarse = np.abs(g[::4, 4::4] - g[::4, :-4:4][:, : g[::4, 4::4].shape[1]])
    return np.array(
        [
            *np.sqrt(
                np.clip(
                    [steps[0], steps[:2].sum(), steps[:5].sum(), steps[25:].sum(), steps[81:].sum()], 0, 1
                )
            ),
            aligned,
            *np.log([across.mean() + 0.2, down.mean() + 0.2, coarse.mean() + 0.2]),
            np.log((across.mean() + 0.5) / (coarse.mean() + 0.5)),
            *np.log([rows.std() / (rows.mean() + 0.2) + 0.05, columns.std() / (columns.mean() + 0.2) + 0.05]),
            *np.sqrt([np.mean(rows < 0.5), np.mean(columns < 0.5)]),
            *(math.log(_level(steps, p) + 0.5) for p in (0.5, 0.9, 0.99)),
        ]
    )


def _grain(luma: np.ndarray) -> np.ndarray:
    """Fine detail in the flatter and the busier parts of patches of full-resolution luma."""
    h, w = luma.shape
    y, x = max(0, (h - _PATCH) // 2), max(0, (w - 2 * _PATCH) // 2)
    patch = luma[y : y + _PATCH, x : x + 2 * _PATCH].astype(np.int16)
    if min(patch.shape) < 16:
        return np.zeros(5)
    second = patch[:, 2:] - 2 * patch[:, 1:-1] + patch[:, :-2]
    fine = np.abs(second[2:] - 2 * second[1:-1] + second[:-2])
    blocks = fine[: fine.shape[0] // 8 * 8, : fine.shape[1] // 8 * 8]
    means = blocks.reshape(blocks.shape[0] // 8, 8, -1, 8).mean(axis=(1, 3))
    return np.array([*np.log(np.percentile(means, (10, 30, 50, 90)) + 0.3), np.sqrt(np.mean(fine == 0))])


def _compare(now: np.ndarray, before: np.ndarray) -> np.ndarray:
    """How much changed between two thumbnails, and whether everywhere or in places."""
    red, green, blue = cv2.split(cv2.absdiff(now, before))
    step = _counts(cv2.max(cv2.max(red, green), blue))
    return np.array(
        [
            math.log(float(step @ np.arange(256)) + 0.05),
            *np.sqrt(np.clip([step[0], step[:3].sum(), step[13:].sum()], 0, 1)),
            math.log(_level(step, 0.5) + 0.3),
            math.log(_level(step, 0.95) + 0.3),
        ]
    )


NUM_FEATURES = len(
    measure(np.zeros((_SMALLEST, _SMALLEST, 3), np.uint8), np.zeros((_SMALLEST,) * 2, np.uint8))
)
