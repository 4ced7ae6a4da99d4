"""A temporal convolutional network in NumPy: rows of frame features in, probabilities of transitions out.

Six residual blocks of dilated convolutions see 63 frames to either side. A stream runs it window by window, each with
all the context that its frames can see, so that memory does not grow and the result does not depend on the windows.
Several networks that were trained apart may stand side by side; the mean of their logits counts.

Source: Bai, Kolter and Koltun, "An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence
Modeling" (arXiv 1803.01271); departs from it in seeing the future as well as the past. Axes: n networks, t
frames, c channels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from worldfoundry.curate.detect.shot_features import NAMES, NEAR

DILATIONS = (1, 2, 4, 8, 16, 32)
"""Spacing of the three taps of each block."""
OUTPUTS = ("cut", "gradual", "fade", "wipe")
"""What each column of the result is the probability of."""
_REACH = 4
_AROUND = 8
_GAPS = [(measure, reach) for measure in ("near_mad", "near_ncc") for reach in (2, _REACH)]
_MAD = [k for k, name in enumerate(NAMES) if name.startswith("mad")]
_CELL = [[k for k, name in enumerate(NAMES) if name.startswith(f"cell{lag}_")] for lag in ("1", "2")]
_RANKS = (0, 3, 6, 9, 11)
NUM_INPUTS = len(NAMES) + 2 * len(_GAPS) + len(_MAD) + 2 * len(_RANKS)
"""Features of a frame and those that ``across`` adds."""
_CONTEXT = sum(DILATIONS) + _AROUND
_WINDOW = 512


def across(rows: np.ndarray) -> np.ndarray:
    """What the network sees: the rows, what lies across the gap before each frame, and what stands in units of contrast.

    Across a gap: the least difference between any of the frames on its two sides, two or four on each, itself and as a
    multiple of the usual difference of neighbours thereabouts. After a flash, an occluder or a repeated frame, something
    on one side still looks like something on the other; after a cut nothing does. All as square roots, so that what is
    small, as in the dark, is still told apart.
    """
    added = []
    for measure, reach in _GAPS:
        first = NAMES.index(measure + "1")
        least = _least(rows[:, first : first + NEAR], reach)
        added += [least, np.minimum(least / (_usual(rows[:, first]) + 0.004), 30)]
    contrast = rows[:, NAMES.index("sigma"), None] + 0.02
    ranked = np.concatenate([np.sort(rows[:, cells], 1)[:, _RANKS] for cells in _CELL], 1)
    seen = np.concatenate([rows, np.stack(added, 1), rows[:, _MAD] / contrast, ranked / contrast], 1)
    return np.copysign(np.sqrt(np.abs(seen)), seen).astype(np.float32)


def _least(band: np.ndarray, reach: int) -> np.ndarray:
    """Least difference of any frame up to ``reach`` after a gap from any up to ``reach`` before it."""
    t = len(band)
    least = np.full(t, np.inf, np.float32)
    for ahead in range(min(reach, t)):
        # Frame k + ahead against the frames k - 1 to k - reach: lags ahead + 1 to ahead + reach.
        best = band[ahead:, ahead : ahead + reach].min(1)
        least[: t - ahead] = np.minimum(least[: t - ahead], best)
    return least


def _usual(change: np.ndarray) -> np.ndarray:
    """Mean over the ``_AROUND`` frames on either side, without the frame itself."""
    weights = np.ones(2 * _AROUND + 1, np.float32)
    weights[_AROUND] = 0
    total, count = (np.convolve(x, weights)[_AROUND:-_AROUND] for x in (change, np.ones_like(change)))
    return total / np.maximum(count, 1)


@dataclass(frozen=True)
class TemporalNetwork:
    """The network's weights."""

    weights: Mapping[str, np.ndarray]
    """``mean`` and ``deviation`` [c] of the inputs; ``enter``, ``wide<k>``, ``mix<k>`` and ``leave`` [n, in, out], each with a
    ``.bias`` [n, 1, out]."""

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Probabilities [t, 4] of whole features [t, c]."""
        w = self.weights
        x = np.clip((across(rows) - w["mean"]) / w["deviation"], -6, 6)
        x = np.maximum(x @ w["enter"] + w["enter.bias"], 0)
        n, t, width = x.shape
        for k, dilation in enumerate(DILATIONS):
            padded = np.zeros((n, t + 2 * dilation, width), np.float32)
            padded[:, dilation : dilation + t] = x
            taps = np.concatenate([padded[:, i * dilation : i * dilation + t] for i in range(3)], 2)
            hidden = np.maximum(taps @ w[f"wide{k}"] + w[f"wide{k}.bias"], 0)
            x = x + hidden @ w[f"mix{k}"] + w[f"mix{k}.bias"]
        logits = (np.maximum(x, 0) @ w["leave"] + w["leave.bias"]).mean(0)
        return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))


def load_network(path: Path) -> TemporalNetwork:
    """Read weights of a safetensors file."""
    return TemporalNetwork({name: value.astype(np.float32) for name, value in load_file(path).items()})


@dataclass
class NetworkStream:
    """Runs the network over rows that arrive piece by piece."""

    network: TemporalNetwork
    """What is run."""
    _rows: list[np.ndarray] = field(default_factory=list)
    _held: int = 0
    _before: int = 0

    def push(self, rows: np.ndarray) -> np.ndarray:
        """Add rows; the probabilities that are settled by now, possibly none."""
        self._rows.append(rows)
        self._held += len(rows)
        if self._held < self._before + _WINDOW + _CONTEXT:
            return np.zeros((0, len(OUTPUTS)), np.float32)
        return self._run(self._held - _CONTEXT)

    def finish(self) -> np.ndarray:
        """The rest."""
        if self._held == self._before:
            return np.zeros((0, len(OUTPUTS)), np.float32)
        return self._run(self._held)

    def _run(self, stop: int) -> np.ndarray:
        rows = np.concatenate(self._rows)
        settled = self.network(rows)[self._before : stop]
        keep = max(0, stop - _CONTEXT)
        self._rows, self._held, self._before = [rows[keep:]], self._held - keep, stop - keep
        return settled
