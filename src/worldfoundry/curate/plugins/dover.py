"""DOVER, the published model of video quality, as the ONNX file that its own repository exports.

It looks at two views: the whole picture at 224 by 224, 32 frames over the span, and fragments, 7 by 7 patches of 32 pixels
cut from the picture at its own size, in four runs of 32 frames. The score is the published fusion of the two, 0 to 1;
as its authors say, only comparisons mean something.

Source: DOVER (arXiv 2211.04894); constants of the fusion from its evaluate_a_set_of_videos.py. Departs from it in sampling:
frames lie evenly over the span, patches at fixed places of their cells, so that the same clip always has the same score.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from worldfoundry.core.errors import ConfigError, require_package
from worldfoundry.curate.plugins.clip import digest_of_weights

_MEAN = np.array((123.675, 116.28, 103.53), np.float32)
_STD = np.array((58.395, 57.12, 57.375), np.float32)
_SIDE, _GRID, _PATCH = 224, 7, 32
_RUNS, _LENGTH = 4, 32
_AESTHETIC, _TECHNICAL = (-0.08285, 0.03774, 0.3896), (0.1107, 0.07355, 0.6104)


@dataclass(frozen=True)
class Dover:
    """The model; callable as an enricher."""

    weights: str
    """The ONNX file."""
    run: Callable[[np.ndarray, np.ndarray], Sequence[Any]]
    """Scores of both views, [1, 3, 32, 224, 224] and [4, 3, 32, 224, 224]."""
    name: str = "dover"
    """Stands in the name of its results."""
    num_frames: int = _RUNS * _LENGTH
    """Frames it looks at."""
    max_side_px: int = 1920
    """Longer side of these frames at most: scaling hides what it judges."""

    @cached_property
    def version(self) -> str:
        """Digest of the weights."""
        return digest_of_weights(self.weights)

    def __call__(self, frames: np.ndarray, seconds: np.ndarray) -> dict[str, float]:
        """The fused score."""
        del seconds
        aesthetic, technical = self.run(aesthetic_view(frames), technical_view(frames))
        return {"dover": fused(float(np.mean(aesthetic)), float(np.mean(technical)))}


def load(weights: str) -> Dover:
    """DOVER from the ONNX file that convert_to_onnx.py of its repository writes."""
    if not Path(weights).is_file():
        raise ConfigError(
            f"weights {weights!r} must be the ONNX file of DOVER, got no file; export it with its repository"
        )
    runtime = require_package("onnxruntime", "models")
    session = runtime.InferenceSession(weights, providers=runtime.get_available_providers())
    names = [given.name for given in session.get_inputs()]
    if sorted(names) != ["aes_view", "tech_view"]:
        raise ConfigError(
            f"weights {weights!r} must take aes_view and tech_view, got {names}; export it with its repository"
        )
    return Dover(weights=weights, run=lambda a, t: session.run(None, {"aes_view": a, "tech_view": t}))


def fused(aesthetic: float, technical: float) -> float:
    """The published fusion of the two raw scores, 0 to 1."""
    x = sum(
        w * (raw - mean) / std for raw, (mean, std, w) in ((aesthetic, _AESTHETIC), (technical, _TECHNICAL))
    )
    return float(1 / (1 + np.exp(-x)))


def aesthetic_view(frames: np.ndarray) -> np.ndarray:
    """Float32 [1, 3, 32, 224, 224] of uint8 [t, h, w, 3]."""
    cv2 = require_package("cv2", "curate")
    chosen = frames[np.linspace(0, len(frames) - 1, _LENGTH).round().astype(int)]
    return _normalised(
        np.stack([cv2.resize(f, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR) for f in chosen])
    )[None]


def technical_view(frames: np.ndarray) -> np.ndarray:
    """Float32 [4, 3, 32, 224, 224]: patches of each picture at its own size, side by side."""
    cv2 = require_package("cv2", "curate")
    count = _RUNS * _LENGTH
    chosen = frames[np.linspace(0, len(frames) - 1, count).round().astype(int)]
    height, width = frames.shape[1:3]
    if min(height, width) < _SIDE:  # too small for a grid of patches
        scale = _SIDE / min(height, width)
        size = (max(_SIDE, round(width * scale)), max(_SIDE, round(height * scale)))
        chosen = np.stack([cv2.resize(f, size, interpolation=cv2.INTER_LINEAR) for f in chosen])
        height, width = chosen.shape[1:3]
    rows, columns = _starts(height), _starts(width)
    pieces = [[chosen[:, r : r + _PATCH, c : c + _PATCH] for c in columns] for r in rows]
    whole = np.concatenate([np.concatenate(line, 2) for line in pieces], 1)
    return _normalised(whole).reshape(3, _RUNS, _LENGTH, _SIDE, _SIDE).transpose(1, 0, 2, 3, 4)


def _starts(edge: int) -> list[int]:
    """Where the middle patch of each cell of the grid begins."""
    cell = edge / _GRID
    return [min(edge - _PATCH, int(k * cell + (cell - _PATCH) / 2)) for k in range(_GRID)]


def _normalised(pictures: np.ndarray) -> np.ndarray:
    """Float32 [3, t, h, w]."""
    return ((pictures.astype(np.float32) - _MEAN) / _STD).transpose(3, 0, 1, 2)
