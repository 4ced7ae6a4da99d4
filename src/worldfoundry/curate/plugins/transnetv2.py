"""TransNet V2 as a detector of shots: the published network, with the official weights that the caller gives.

Source: Souček and Lokoč, "TransNet V2: An effective deep network architecture for fast shot transition detection" (arXiv
2008.04838): three stages of two dilated (2+1)-D convolution cells each on 48x27 pixels, beside the similarity of learnt
features and of colour histograms to the 50 frames before and after. The names of the parameters are those of the file
``transnetv2-pytorch-weights.pth``; it is loaded strictly. Frames pass in windows of 100 every 50, as published.

Axes: b windows, c channels, t frames, h w rows and columns.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from pickle import UnpicklingError

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from worldfoundry.core.errors import CheckpointError
from worldfoundry.protocols.curation import SourceInfo, Span, Timeline, View

SIZE = (48, 27)
"""Columns and rows of what the network sees."""
WINDOW, STRIDE, MARGIN = 100, 50, 25
"""Frames of a window, frames from one to the next, and frames at either end whose results are not used."""
_REACH = 50  # frames before and after that similarities look at
_LONG_RUN = 3


class _Separable(nn.Module):
    """Rows and columns first, then time with holes."""

    def __init__(self, channels_in: int, channels_out: int, dilation: int):
        super().__init__()
        space = nn.Conv3d(channels_in, 2 * channels_out, (1, 3, 3), padding=(0, 1, 1), bias=False)
        time = nn.Conv3d(
            2 * channels_out,
            channels_out,
            (3, 1, 1),
            dilation=(dilation, 1, 1),
            padding=(dilation, 0, 0),
            bias=False,
        )
        self.layers = nn.ModuleList([space, time])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class _Cell(nn.Module):
    """Four spans of time side by side."""

    def __init__(self, channels_in: int, filters: int):
        super().__init__()
        self.Conv3D_1 = _Separable(channels_in, filters, 1)
        self.Conv3D_2 = _Separable(channels_in, filters, 2)
        self.Conv3D_4 = _Separable(channels_in, filters, 4)
        self.Conv3D_8 = _Separable(channels_in, filters, 8)
        self.bn = nn.BatchNorm3d(4 * filters, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        spans = (self.Conv3D_1, self.Conv3D_2, self.Conv3D_4, self.Conv3D_8)
        return self.bn(torch.cat([span(x) for span in spans], 1))


class _Stage(nn.Module):
    """Two cells, the first added to the result, at half the resolution afterwards."""

    def __init__(self, channels_in: int, filters: int):
        super().__init__()
        self.DDCNN = nn.ModuleList([_Cell(channels_in, filters), _Cell(4 * filters, filters)])

    def forward(self, x: Tensor) -> Tensor:
        first = functional.relu(self.DDCNN[0](x))
        return functional.avg_pool3d(functional.relu(self.DDCNN[1](first)) + first, (1, 2, 2))


def _near(vectors: Float[Tensor, "b t c"]) -> Float[Tensor, "b t n"]:
    """Similarity of each frame to those around it; 0 beyond the window."""
    vectors = functional.normalize(vectors, dim=2)
    alike = functional.pad(vectors @ vectors.transpose(1, 2), (_REACH, _REACH))
    rows = [alike[:, t, t : t + 2 * _REACH + 1] for t in range(vectors.shape[1])]
    return torch.stack(rows, 1)


class _LearntSimilarity(nn.Module):
    def __init__(self, channels_in: int):
        super().__init__()
        self.projection = nn.Linear(channels_in, 128)
        self.fc = nn.Linear(2 * _REACH + 1, 128)

    def forward(self, stages: list[Tensor]) -> Tensor:
        means = torch.cat([s.mean((3, 4)) for s in stages], 1)
        return functional.relu(self.fc(_near(self.projection(means.transpose(1, 2)))))


class _ColourSimilarity(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2 * _REACH + 1, 128)

    def forward(self, frames: UInt8[Tensor, "b t h w 3"]) -> Tensor:
        top = frames.long() >> 5
        bins = rearrange(top[..., 0] * 64 + top[..., 1] * 8 + top[..., 2], "b t h w -> b t (h w)")
        counts = torch.zeros(*bins.shape[:2], 512, device=frames.device)
        counts.scatter_add_(2, bins, torch.ones_like(bins, dtype=counts.dtype))
        return functional.relu(self.fc(_near(counts)))


class TransNetV2(nn.Module):
    """The network as published: F = 16, L = 3, S = 2, D = 1024."""

    def __init__(self):
        super().__init__()
        filters = (16, 32, 64)
        widths = [3, *(4 * f for f in filters)]
        self.SDDCNN = nn.ModuleList([_Stage(w, f) for w, f in zip(widths, filters, strict=False)])
        self.frame_sim_layer = _LearntSimilarity(sum(widths[1:]))
        self.color_hist_layer = _ColourSimilarity()
        self.fc1 = nn.Linear(widths[-1] * 3 * 6 + 256, 1024)
        self.cls_layer1 = nn.Linear(1024, 1)
        self.cls_layer2 = nn.Linear(1024, 1)

    def forward(self, frames: UInt8[Tensor, "b t 27 48 3"]) -> Float[Tensor, "b t 2"]:
        """Logits of: this frame is the middle of a transition, this frame is in a transition."""
        x, stages = rearrange(frames, "b t h w c -> b c t h w") / 255, []
        for stage in self.SDDCNN:
            x = stage(x)
            stages.append(x)
        flat = rearrange(x, "b c t h w -> b t (h w c)")
        seen = torch.cat([self.color_hist_layer(frames), self.frame_sim_layer(stages), flat], 2)
        hidden = functional.relu(self.fc1(seen))
        return torch.cat([self.cls_layer1(hidden), self.cls_layer2(hidden)], 2)


def load(weights: str | Path) -> TransNetV2:
    """The network with the parameters of a file; every name and shape has to fit."""
    network = TransNetV2()
    try:
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True), strict=True)
    except (OSError, RuntimeError, UnpicklingError, AttributeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{weights} must hold the parameters of TransNet V2, got {reason}; "
            "give transnetv2-pytorch-weights.pth as its authors' converter writes it"
        ) from error
    return network.eval()


_load_once = cache(load)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransNetDetector:
    """TransNet V2 with the weights of a file."""

    weights: str
    """Path of ``transnetv2-pytorch-weights.pth``."""
    name: str = "transnetv2"
    """Key of its timeline."""
    version: int = 1
    """Raised whenever the numbers change."""

    def begin(self, source: SourceInfo) -> "TransNetMeter":
        """Start on one source."""
        del source
        return TransNetMeter(_load_once(self.weights))

    def digest(self) -> str:
        """Names the weights by their content."""
        return hashlib.sha256(Path(self.weights).read_bytes()).hexdigest()[:16]


@dataclass
class TransNetMeter:
    """Holds one window of frames."""

    _network: nn.Module
    _seconds: list[float] = field(default_factory=list)
    _window: list[np.ndarray] = field(default_factory=list)
    _found: list[np.ndarray] = field(default_factory=list)

    def observe(self, view: View) -> None:
        """See the next frame."""
        frame = cv2.resize(view.small, SIZE, interpolation=cv2.INTER_AREA)
        if not self._seconds:
            self._window = [frame] * MARGIN
        self._seconds.append(view.seconds)
        self._window.append(frame)
        if len(self._window) == WINDOW:
            self._run()

    def finish(self) -> Timeline:
        """Probabilities of every frame."""
        count = len(self._seconds)
        while sum(map(len, self._found)) < count:
            self._window += [self._window[-1]] * (WINDOW - len(self._window))
            self._run()
        found = np.concatenate([*self._found, np.zeros((0, 2), np.float16)])[:count]
        # The network marks the last frame of the old shot; ours is the first of the new one.
        p_cut = np.concatenate([np.zeros(min(count, 1), np.float16), found[:-1, 0]])
        return {"seconds": np.array(self._seconds, np.float64), "p_cut": p_cut, "p_gradual": found[:, 1]}

    def _run(self) -> None:
        with torch.inference_mode():
            logits = self._network(torch.from_numpy(np.stack(self._window))[None])
        self._found.append(logits[0, MARGIN : MARGIN + STRIDE].sigmoid().numpy().astype(np.float16))
        self._window = self._window[STRIDE:]


def spans(timeline: Timeline, end_s: float, threshold: float = 0.5) -> list[Span]:
    """Shots between transitions; the frames inside a longer transition belong to none."""
    edges = np.append(timeline["seconds"], end_s)
    count = len(edges) - 1
    if not count:
        return []
    closed = np.zeros(count, bool)
    starts = {0}
    for first, last in _runs(timeline["p_cut"] > threshold):
        closed[first:last] = True
        starts.add(last)
    for first, last in _runs(timeline["p_gradual"] > threshold):
        if last - first >= _LONG_RUN:
            closed[first : last + 1] = True
    cuts = sorted({*starts, *(np.flatnonzero(np.diff(closed.astype(np.int8))) + 1).tolist(), count})
    return [
        Span(start_s=float(edges[a]), end_s=float(edges[b]))
        for a, b in pairwise(cuts)
        if not closed[a] and edges[b] > edges[a]
    ]


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]
