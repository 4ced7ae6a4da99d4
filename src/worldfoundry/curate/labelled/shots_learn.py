"""Fits the shot network: recordings become rows of features and labels, torch finds the weights, validation the thresholds."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor, nn
from torch.nn import functional

from worldfoundry.core.files import atomic_path
from worldfoundry.curate.detect.shot_network import (
    DILATIONS,
    NUM_INPUTS,
    OUTPUTS,
    NetworkStream,
    TemporalNetwork,
    across,
)
from worldfoundry.curate.detect.shots import ShotMeter
from worldfoundry.curate.labelled.recording import Recording
from worldfoundry.protocols.curation import Timeline

WIDTH = 48
"""Channels of the network."""
_CROP = 224
_DROP, _NOISE, _HIDDEN = 0.15, 0.1, 0.05
"""Shares of hidden channels dropped and of inputs hidden, and the noise on inputs, in deviations: footage is scarce."""


@dataclass(frozen=True)
class Sight:
    """A view of a frame that is already in memory."""

    seconds: float
    """Presentation time."""
    small: np.ndarray
    """uint8 RGB."""

    @property
    def luma(self) -> np.ndarray:
        """Grey picture."""
        return cv2.cvtColor(self.small, cv2.COLOR_RGB2GRAY)


@dataclass
class _Collector(NetworkStream):
    """Stands in for the network and keeps what it would have seen."""

    network: TemporalNetwork = field(default_factory=lambda: TemporalNetwork({}))
    seen: list[np.ndarray] = field(default_factory=list)

    def push(self, rows: np.ndarray) -> np.ndarray:
        self.seen.append(rows)
        return np.zeros((len(rows), len(OUTPUTS)), np.float32)

    def finish(self) -> np.ndarray:
        return np.zeros((0, len(OUTPUTS)), np.float32)


@dataclass(frozen=True)
class Example:
    """A recording as the network meets it."""

    rows: np.ndarray
    """float16 [t, features] of the frames that are looked at."""
    labels: np.ndarray
    """uint8 [t, 4], as ``OUTPUTS``."""


def observe(meter: ShotMeter, recording: Recording) -> Timeline:
    """Let a meter see a recording."""
    for pixels, seconds in zip(recording.frames, recording.seconds, strict=True):
        meter.observe(Sight(float(seconds), pixels))
    return meter.finish()


def example(recording: Recording) -> Example:
    """Features and labels of a recording."""
    collector = _Collector()
    meter = ShotMeter(collector)
    observe(meter, recording)
    looked = meter.looked
    marks = np.zeros((len(recording.frames), len(OUTPUTS)), np.uint8)
    for truth in recording.truths:
        for k in truth.cuts or ((truth.first,) if truth.kind == "cut" else ()):
            marks[min(k, len(marks) - 1), 0] = 1
        if truth.stop > truth.first:
            marks[truth.first : truth.stop, 1] = 1
            if truth.kind in OUTPUTS:
                marks[truth.first : truth.stop, OUTPUTS.index(truth.kind)] = 1
    labels = marks[looked]
    # A cut on a frame that is not looked at shows in the next one that is.
    starts = np.append(0, looked[:-1] + 1)
    labels[:, 0] = [marks[a : b + 1, 0].any() for a, b in zip(starts, looked, strict=True)]
    return Example(np.concatenate(collector.seen).astype(np.float16), labels)


def load_or_make(path: Path, recordings: Iterable[Recording]) -> list[Example]:
    """Examples of a file, made first where it does not exist."""
    if not path.exists():
        made = [example(r) for r in recordings]
        with atomic_path(path) as partial:
            arrays = {
                f"{k}{name}": getattr(e, name) for k, e in enumerate(made) for name in ("rows", "labels")
            }
            with partial.open("wb") as file:
                np.savez(file, **arrays)
    with np.load(path) as z:
        return [Example(z[f"{k}rows"], z[f"{k}labels"]) for k in range(len(z.files) // 2)]


class Trainee(nn.Module):
    """The network of ``detect/shot_network.py`` in torch; names and shapes of the parameters are those of the file."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: np.ndarray, deviation: np.ndarray):
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean))
        self.register_buffer("deviation", torch.from_numpy(deviation))
        shapes = {"enter": (NUM_INPUTS, WIDTH), "leave": (WIDTH, len(OUTPUTS))}
        for k in range(len(DILATIONS)):
            shapes |= {f"wide{k}": (3 * WIDTH, WIDTH), f"mix{k}": (WIDTH, WIDTH)}
        self.matrices = nn.ParameterDict()
        for name, shape in shapes.items():
            scale = (0.3 if name.startswith("mix") else 1.4) / shape[0] ** 0.5
            self.matrices[name] = nn.Parameter(torch.randn(shape) * scale)
            self.matrices[name + "_bias"] = nn.Parameter(torch.zeros(shape[1]))
        with torch.no_grad():
            self.matrices["leave_bias"].fill_(-3.0)

    def forward(self, rows: Tensor, drop: float = 0.0) -> Tensor:
        """Logits [b, t, 4] of features [b, t, c]."""
        x = ((rows - self.mean) / self.deviation).clamp(-6, 6)
        x = functional.relu(self._linear("enter", x))
        t = x.shape[1]
        for k, dilation in enumerate(DILATIONS):
            padded = functional.pad(x, (0, 0, dilation, dilation))
            taps = torch.cat([padded[:, i * dilation : i * dilation + t] for i in range(3)], -1)
            hidden = functional.dropout(functional.relu(self._linear(f"wide{k}", taps)), drop, self.training)
            x = x + self._linear(f"mix{k}", hidden)
        return self._linear("leave", functional.relu(x))

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return x @ self.matrices[name] + self.matrices[name + "_bias"]

    def weights(self) -> dict[str, np.ndarray]:
        """Arrays for ``TemporalNetwork``, of one network."""
        found = {}
        for name, value in self.matrices.items():
            array = value.detach().numpy().copy()
            found[name.replace("_bias", ".bias")] = np.atleast_2d(array)[None]
        return found | {"mean": self.mean.numpy(), "deviation": self.deviation.numpy()}


def side_by_side(members: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Weights of several networks as one; they were trained on the same examples, so their inputs are scaled alike."""
    shared = ("mean", "deviation")
    joined = {k: np.concatenate([m[k] for m in members]) for k in members[0] if k not in shared}
    return joined | {k: members[0][k] for k in shared}


def fit(
    examples: list[Example], *, steps: int, batch: int = 16, seed: int = 0
) -> Iterator[tuple[int, float, Trainee]]:
    """Train; yields step, loss and the averaged network now and then."""
    inputs = [across(e.rows.astype(np.float32)) for e in examples]
    every = np.concatenate(inputs)
    mean = every.mean(0).astype(np.float32)
    deviation = np.maximum(every.std(0), 1e-3).astype(np.float32)
    torch.manual_seed(seed)
    network, average = Trainee(mean, deviation), Trainee(mean, deviation)
    average.load_state_dict(network.state_dict())
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.1)
    rng = np.random.default_rng(seed)
    chance = np.array([len(x) for x in inputs], np.float64) ** 0.7
    chance /= chance.sum()
    for step in range(1, steps + 1):
        chosen = rng.choice(len(inputs), batch, p=chance)
        rows, labels, known = _batch(rng, inputs, examples, chosen)
        loss = _loss(network(_spoiled(rng, rows, mean, deviation), _DROP), labels, known)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
                slow.lerp_(fast, max(0.004, 1 / step))
        if step % 200 == 0 or step == steps:
            yield step, float(loss.detach()), average


def _batch(
    rng: np.random.Generator, inputs: list[np.ndarray], examples: list[Example], chosen: np.ndarray
) -> tuple[np.ndarray, Tensor, Tensor]:
    rows = np.zeros((len(chosen), _CROP, NUM_INPUTS), np.float32)
    labels = np.zeros((len(chosen), _CROP, len(OUTPUTS)), np.float32)
    known = np.zeros((len(chosen), _CROP), np.float32)
    for b, k in enumerate(chosen):
        length = min(_CROP, len(inputs[k]))
        begin = int(rng.integers(0, len(inputs[k]) - length + 1))
        rows[b, :length] = inputs[k][begin : begin + length]
        labels[b, :length] = examples[k].labels[begin : begin + length]
        known[b, :length] = 1
    return rows, torch.from_numpy(labels), torch.from_numpy(known)


def _spoiled(rng: np.random.Generator, rows: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> Tensor:
    """Inputs with noise, some of them hidden over the whole crop."""
    noisy = rows + _NOISE * deviation * rng.standard_normal(rows.shape, np.float32)
    is_hidden = rng.random((len(rows), 1, rows.shape[2])) < _HIDDEN
    return torch.from_numpy(np.where(is_hidden, mean, noisy).astype(np.float32))


def _loss(logits: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    each = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    cut = each[..., 0] * (1 + 5 * labels[..., 0])
    gradual = each[..., 1] * (1 + 0.5 * labels[..., 1])
    kinds = each[..., 2:].sum(-1) * labels[..., 1]
    return ((cut + gradual + 0.3 * kinds) * known).sum() / known.sum()


def save(path: Path, weights: dict[str, Any]) -> None:
    """Write the weights, float16."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as partial:
        save_file({k: np.ascontiguousarray(v, np.float16) for k, v in sorted(weights.items())}, partial)
