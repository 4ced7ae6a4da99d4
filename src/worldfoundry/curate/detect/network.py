"""The tiny networks of the looks detectors: tables of weights and the NumPy code that applies them.

A table is a safetensors file below ``weights/``; ``labelled/looks_fitting.py`` writes them, nothing is trained here.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Standardise, one hidden layer of hyperbolic tangents, one logit a head: bounded wherever the features go."""

    mean: np.ndarray
    """float32 [f]: subtracted from the features."""
    scale: np.ndarray
    """float32 [f]: multiplied after that."""
    hidden: np.ndarray
    """float32 [f, d]."""
    hidden_bias: np.ndarray
    """float32 [d]."""
    out: np.ndarray
    """float32 [d, heads]."""
    out_bias: np.ndarray
    """float32 [heads]."""

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Logits float64 [n, heads] of features [n, f]; standardised features are clipped to +-3."""
        x = np.clip((np.asarray(features, np.float64) - self.mean) * self.scale, -3, 3)
        return np.tanh(x @ self.hidden + self.hidden_bias) @ self.out + self.out_bias


@cache
def load_table(name: str) -> dict[str, np.ndarray]:
    """All arrays of ``weights/<name>.safetensors``."""
    return load_file(WEIGHTS / f"{name}.safetensors")


@cache
def load_network(name: str, prefix: str = "") -> Network:
    """The network whose arrays are stored as ``<prefix><field>`` in ``weights/<name>.safetensors``."""
    table = load_table(name)
    return Network(*(table[prefix + field] for field in Network.__slots__))


def sigmoid(x: np.ndarray | float) -> np.ndarray:
    """Logistic function, safe for large arguments."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * np.asarray(x, np.float64))))


def within(seconds: np.ndarray, start_s: float, end_s: float) -> np.ndarray:
    """Positions of the samples of a span."""
    return np.flatnonzero((seconds >= start_s) & (seconds < end_s))
