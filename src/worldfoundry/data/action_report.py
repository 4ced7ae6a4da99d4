"""What stands out in recordings: ranges and histograms of actions, idle rows, jitter. Used for every form of data set."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from worldfoundry.protocols.control import ActionSpec

IDLE_FRACTION = 1e-3
"""A row is idle if no number of the signal moves by more than this share of its range."""
HISTOGRAM_BINS = 16
_MOST_IDLE = 0.3
_MOST_AT_LIMIT = 0.2
_MOST_JITTER = 0.1
"""Of the time from frame to frame."""


def describe_actions(
    parts: Sequence[np.ndarray], names: Sequence[str], spec: ActionSpec | None
) -> list[dict[str, Any]]:
    """Range, moments and histogram of each number of actions [t, a], as JSON values."""
    if not parts:
        return []
    values = np.concatenate([part.reshape(len(part), -1) for part in parts])
    found: list[dict[str, Any]] = []
    for k, column in enumerate(values.astype(np.float64).T):
        channel = spec.channels[k] if spec and len(spec.channels) == values.shape[1] else None
        named = names[k] if k < len(names) else str(k)
        low, high = float(column.min()), float(column.max())
        counts = np.histogram(column, HISTOGRAM_BINS, (low, high) if high > low else None)[0]
        found.append(
            {
                "name": channel.name if channel else named,
                "unit": channel.unit if channel else None,
                "mode": channel.mode if channel else None,
                "min": low,
                "max": high,
                "mean": float(column.mean()),
                "std": float(column.std()),
                "distinct": len(np.unique(column)),
                "at_limit_share": float(np.mean((column == low) | (column == high))),
                "histogram": counts.tolist(),
            }
        )
    return found


def idle_share(signals: Sequence[np.ndarray]) -> float | None:
    """Share of the rows after the first in which nothing moves; None where there is nothing to tell by."""
    if not signals:
        return None
    flat = [signal.reshape(len(signal), -1).astype(np.float64) for signal in signals]
    span = np.ptp(np.concatenate(flat), axis=0)
    still = np.concatenate([(np.abs(np.diff(s, axis=0)) <= IDLE_FRACTION * span).all(1) for s in flat])
    return float(still.mean()) if len(still) else None


def jitter_seconds(times: np.ndarray, fps: float) -> float:
    """The largest distance of a time from ``k / fps`` after the first."""
    seconds = times.astype(np.float64).reshape(-1)
    return float(np.abs(seconds - seconds[0] - np.arange(len(seconds)) / fps).max())


def jitter_warnings(jitter: float, fps: float) -> list[str]:
    """Whether frames come at times that a constant rate does not have."""
    if jitter <= _MOST_JITTER / fps:
        return []
    return [f"times leave the {fps:g} Hz grid by up to {jitter * 1000:.3g} ms"]


def action_warnings(actions: Sequence[dict[str, Any]], idle: float | None) -> list[str]:
    """What a user should know before training on these."""
    found: list[str] = []
    if idle is not None and idle > _MOST_IDLE:
        found.append(f"nothing moves in {idle:.0%} of the rows: the model will learn to stand still")
    for action in actions:
        if action["distinct"] == 1:
            found.append(f"action {action['name']} is always {action['min']:g}")
        elif action["distinct"] > 3 and action["at_limit_share"] > _MOST_AT_LIMIT:
            found.append(
                f"action {action['name']} is at its limit in {action['at_limit_share']:.0%} of the rows"
            )
    return found
