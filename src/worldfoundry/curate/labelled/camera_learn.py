"""Fits the small logistic models of camera tags: weights on the train generator, thresholds on the validation one."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from worldfoundry.curate.detect.camera_tags import (
    AXES,
    direction_features,
    rest_features,
    shake_features,
    track_of,
)

_RIDGE = 0.3
_PASSES = 40


def learn(
    train: Sequence[Any], validation: Sequence[Any]
) -> tuple[dict[str, dict[str, list[float]]], dict[str, Any]]:
    """(weights as they are stored, what validation says of them)."""
    examples, held_out = _examples(train), _examples(validation)
    weights: dict[str, dict[str, list[float]]] = {}
    report: dict[str, Any] = {"clips": {"train": len(train), "validation": len(validation)}}
    for kind in (*AXES, "shake", "handheld"):
        x, y = examples[kind]
        vector, bias = fit_logistic(x, y)
        vx, vy = held_out[kind]
        margin = vx @ vector + bias
        cut = best_cut(margin, vy)
        weights[kind] = {
            "weights": [round(float(v), 4) for v in vector],
            "bias": [round(float(bias - cut), 4)],
        }
        report[kind] = {"f1": round(f1(margin > cut, vy), 4), "cut": round(cut, 3)}
    return weights, report


def _examples(clips: Sequence[Any]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Features and truth of each model; both directions of an axis are examples of one model."""
    rows: dict[str, list[tuple[np.ndarray, bool]]] = {kind: [] for kind in (*AXES, "shake", "handheld")}
    for clip in clips:
        track = track_of(clip.timeline, 0.0, np.inf)
        directions = direction_features(track)
        for kind, names in AXES.items():
            rows[kind] += [(directions[n], n in clip.tags) for n in names]
        rows["shake"].append((shake_features(track), "shake" in clip.tags))
        if clip.tags <= {"handheld", "static"}:  # asked only where nothing else was said
            rows["handheld"].append((rest_features(track), "handheld" in clip.tags))
    return {k: (np.stack([x for x, _ in r]), np.array([y for _, y in r])) for k, r in rows.items()}


def fit_logistic(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """(weights, bias) of a ridge-regularised, class-balanced logistic regression, by Newton's method."""
    mean, spread = x.mean(0), x.std(0) + 1e-6
    design = np.concatenate([(x - mean) / spread, np.ones((len(x), 1))], 1)
    balance = np.where(y, 0.5 / max(y.mean(), 1e-3), 0.5 / max(1 - y.mean(), 1e-3))
    penalty = _RIDGE * np.eye(design.shape[1])
    penalty[-1, -1] = 1e-6
    w = np.zeros(design.shape[1])
    for _ in range(_PASSES):
        p = 1 / (1 + np.exp(-np.clip(design @ w, -30, 30)))
        gradient = design.T @ (balance * (p - y)) + penalty @ w
        hessian = (design * (balance * np.maximum(p * (1 - p), 1e-6))[:, None]).T @ design + penalty
        w -= np.linalg.solve(hessian, gradient)
    vector = w[:-1] / spread
    return vector, float(w[-1] - vector @ mean)


def f1(said: np.ndarray, true: np.ndarray) -> float:
    """Harmonic mean of precision and recall; 1 where there is nothing to say and nothing is said."""
    right = int((said & true).sum())
    total = int(said.sum()) + int(true.sum())
    return 2 * right / total if total else 1.0


def best_cut(margin: np.ndarray, true: np.ndarray) -> float:
    """The threshold in the middle of those with the best F1, no further than 2 from the model's own."""
    cuts = np.linspace(-2, 2, 81)
    scores = np.array([f1(margin > c, true) for c in cuts])
    best = cuts[scores >= scores.max() - 1e-9]
    return float(best[len(best) // 2])
