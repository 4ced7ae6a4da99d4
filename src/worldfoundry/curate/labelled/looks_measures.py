"""Figures of merit with intervals by source: area under the curve, rates, rank correlation, calibration."""

from collections.abc import Callable, Sequence

import numpy as np

_RESAMPLES = 300


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Probability that a positive scores above a negative, ties half."""
    if len(positive) == 0 or len(negative) == 0:
        return float("nan")
    order = np.sort(negative)
    below, upto = np.searchsorted(order, positive, "left"), np.searchsorted(order, positive, "right")
    return float((below + upto).mean() / 2 / len(negative))


def rate_at(positive: np.ndarray, negative: np.ndarray, false_rate: float = 0.05) -> float:
    """Share of positives above the level that ``false_rate`` of the negatives exceed."""
    return float((positive > np.quantile(negative, 1 - false_rate)).mean())


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Rank correlation, ties averaged."""
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(x: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def interval(
    sources: Sequence[str], measure: Callable[[np.ndarray], float], seed: int = 0
) -> tuple[float, float]:
    """95 % bootstrap interval of ``measure(rows)`` when whole sources are drawn with replacement."""
    rng, names = np.random.default_rng(seed), sorted(set(sources))
    rows = {name: np.flatnonzero(np.array(sources) == name) for name in names}
    values = []
    for _ in range(_RESAMPLES):
        drawn = np.concatenate([rows[names[int(i)]] for i in rng.integers(0, len(names), len(names))])
        value = measure(drawn)
        if np.isfinite(value):
            values.append(value)
    low, high = np.percentile(values, (2.5, 97.5)) if values else (float("nan"), float("nan"))
    return float(low), float(high)


def with_interval(
    sources: Sequence[str], measure: Callable[[np.ndarray], float]
) -> dict[str, float | list[float]]:
    """A value and its interval, rounded for print."""
    low, high = interval(sources, measure)
    return {"value": round(measure(np.arange(len(sources))), 4), "interval": [round(low, 4), round(high, 4)]}


def macro_f1(truth: np.ndarray, guess: np.ndarray, num_classes: int) -> float:
    """Mean F1 of the classes that occur."""
    scores = []
    for c in range(num_classes):
        hits, said, there = (guess == c) & (truth == c), guess == c, truth == c
        if there.any():
            scores.append(2 * hits.sum() / (said.sum() + there.sum()))
    return float(np.mean(scores)) if scores else float("nan")


def calibration_error(confidence: np.ndarray, is_right: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error: mean gap between confidence and accuracy over equal bins of confidence."""
    place = np.minimum(bins - 1, (confidence * bins).astype(int))
    gaps = [
        (place == k).mean() * abs(float(confidence[place == k].mean() - is_right[place == k].mean()))
        for k in range(bins)
        if (place == k).any()
    ]
    return float(np.sum(gaps))
