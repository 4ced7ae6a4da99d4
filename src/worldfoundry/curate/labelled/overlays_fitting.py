"""Fits the network of ``detect/overlay_drawn.py`` on crops of training clips; torch is needed here only."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from worldfoundry.curate.detect import overlay, overlay_drawn
from worldfoundry.curate.labelled.looks_fitting import save_table
from worldfoundry.curate.labelled.looks_tables import Item

_WIDTHS = (2, 12, 16, 24, 32, 32)
_CROP = (8, 12)  # cells
_BATCH = 24
_TEXT, _NO_TEXT = 0.3, 0.02  # shares of a cell; what lies between is not learnt


class DrawnNet(nn.Module):
    """The network of ``detect/overlay_drawn.py`` while it is fitted, with its layers' outputs normalised."""

    def __init__(self):
        super().__init__()
        sizes = (5, 3, 3, 3, 3)
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, k, stride=s, padding=k // 2, bias=False)
            for a, b, k, s in zip(_WIDTHS, _WIDTHS[1:], sizes, overlay_drawn.STRIDES, strict=False)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for b in _WIDTHS[1:])
        self.last = nn.Conv2d(_WIDTHS[-1], 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [n, rows, columns] of pictures [n, 2, h, w]."""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = torch.relu(norm(layer(x)))
        return self.last(functional.dropout2d(x, 0.2, self.training)).squeeze(1)

    def table(self) -> Mapping[str, np.ndarray]:
        """Weights with the norms folded in."""
        state = self.state_dict()
        table = {"last.weight": state["last.weight"].reshape(-1), "last.bias": state["last.bias"]}
        for k in range(len(self.layers)):
            mean, variance, scale, shift = (
                state[f"norms.{k}.{n}"] for n in ("running_mean", "running_var", "weight", "bias")
            )
            gain = scale / (variance + 1e-5).sqrt()
            table[f"{k}.weight"] = state[f"layers.{k}.weight"] * gain[:, None, None, None]
            table[f"{k}.bias"] = shift - mean * gain
        return {k: v.detach().numpy() for k, v in table.items()}


def fit_drawn(items: Sequence[Item], *, seed: int, steps: int = 1800, fold_steps: int = 800) -> list[Item]:
    """Write ``weights/overlay-drawn.safetensors``; the items with ``cells`` as the detector will see new footage.

    The cells of each half of the sources come from a network fitted on the other half: what is learnt from them next
    must not trust the network as much as sources that it knows by heart would suggest.
    """
    names = np.random.default_rng(seed).permutation(sorted({i.source for i in items}))
    half = set(names[::2].tolist())
    seen: list[Item] = []
    for chosen in (half, set(names.tolist()) - half):
        net = _fitted([i for i in items if i.source not in chosen], seed, fold_steps)
        seen += [_with_drawn(i, net) for i in items if i.source in chosen]
    save_table("overlay-drawn", dict(_fitted(items, seed, steps).table()))
    return seen


def _fitted(items: Sequence[Item], seed: int, steps: int) -> DrawnNet:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = DrawnNet().train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=4e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 8e-3, steps)
    by_source: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        by_source.setdefault((item.source, item.label), []).append(item)
    groups = [by_source[key] for key in sorted(by_source)]
    weight = np.sqrt([len(g) for g in groups])
    for _ in range(steps):
        picks = rng.choice(len(groups), _BATCH, p=weight / weight.sum())
        crops = [_crop(groups[k][int(rng.integers(len(groups[k])))], rng) for k in picks]
        x, mask = (torch.from_numpy(np.stack(part)) for part in zip(*crops, strict=True))
        on = (mask > _TEXT).float()
        sure = ((mask > _TEXT) | (mask < _NO_TEXT)).float()
        loss = functional.binary_cross_entropy_with_logits(net(x), on, sure * (1 + on))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return net.eval()


def _crop(item: Item, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Network input [2, h, w] and mask of cells around text or strokes of an item, in other light, perhaps mirrored."""
    cells, pictures = item.timeline["cells"], item.timeline["pictures"]
    mask = item.timeline["mask"]
    wanted = mask if item.label == "text" and rng.random() < 0.6 else cells[:, 4].mean(axis=0) + 4.0
    place = int(rng.choice(mask.size, p=(wanted / wanted.sum()).ravel()))
    start = [
        int(np.clip(at - rng.integers(0, size), 0, max(0, whole - size)))
        for at, size, whole in zip(np.unravel_index(place, mask.shape), _CROP, mask.shape, strict=True)
    ]
    last = int(rng.integers(len(pictures)))
    before = pictures[max(0, last - int(rng.integers(1, 3)))] if last and rng.random() < 0.9 else None
    area = tuple(slice(s, s + n) for s, n in zip(start, _CROP, strict=True))
    pixels = tuple(slice(s.start * overlay.CELL, s.stop * overlay.CELL) for s in area)
    x = overlay_drawn.network_input(pictures[last][pixels], None if before is None else before[pixels])
    gain = rng.uniform(0.75, 1.2)
    x[0] = np.clip(x[0] * gain + rng.uniform(-0.2, 0.2), -2, 2)
    x[1] = np.clip(x[1] * gain, -4, 4)
    mask = mask[area]
    pad = [(0, n - have) for n, have in zip(_CROP, mask.shape, strict=True)]
    x = np.pad(x, ((0, 0), *((0, b * overlay.CELL) for _, b in pad)))
    mask = np.pad(mask, pad)
    if rng.random() < 0.5:
        x, mask = x[:, :, ::-1], mask[:, ::-1]
    return np.ascontiguousarray(x, np.float32), np.ascontiguousarray(mask, np.float32)


def _with_drawn(item: Item, net: DrawnNet) -> Item:
    """The item with that channel of its cells by another network."""
    pictures = item.timeline["pictures"]
    before = [None, *pictures[:-1]]
    pairs = [overlay_drawn.network_input(p, b) for p, b in zip(pictures, before, strict=True)]
    with torch.no_grad():
        logits = net(torch.from_numpy(np.stack(pairs))).numpy()
    cells = item.timeline["cells"].copy()
    cells[:, overlay.CHANNELS.index("drawn")] = overlay_drawn.quantise(logits)
    kept = {k: v for k, v in item.timeline.items() if k != "pictures"}
    return replace(item, timeline=kept | {"cells": cells})
