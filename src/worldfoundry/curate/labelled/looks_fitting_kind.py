"""Fits the network of the video types."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from worldfoundry.curate.detect import kind, network
from worldfoundry.curate.labelled.looks_fitting import Mlp, save_table, table_of
from worldfoundry.curate.labelled.looks_tables import Item


def fit_kind(
    items: Sequence[Item], *, seed: int, steps: int = 400, members: int = 6, width: int = 12
) -> None:
    """Types from summaries of random spans; classes weigh the same; writes ``weights/video-type.safetensors``."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    x, y, groups = _kind_arrays(items, rng)
    held = sorted(set(groups))
    nets = []
    for _ in range(members):
        out = set(rng.permutation(held)[: len(held) // 5])
        keep = torch.tensor([g not in out for g in groups])
        nets.append(_fit_kind_member(x, x[keep], y[keep], steps, width))
    save_table("video-type", table_of(nets) | {"sharpness": np.ones(1, np.float32)})


def _kind_arrays(
    items: Sequence[Item], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    rows, labels, groups = [], [], []
    for item in items:
        n = len(item.timeline["seconds"])
        spans = [(0, n), (0, max(1, n // 2)), (n // 2, n)] if n > 1 else [(0, 1)]
        for start, end in spans:
            rows.append(kind.summarise({k: v[start:end] for k, v in item.timeline.items()}))
            labels.append(kind.TYPES.index(item.label))
            groups.append(f"{item.source}")
        if rng.random() < 0.2 and item.label != "still":
            rows.append(np.where(np.arange(len(rows[-1])) < len(rows[-1]) - 12, rows[-1], np.nan))
            labels.append(labels[-1])
            groups.append(groups[-1])
    x = np.stack(rows)
    middle = np.nanmean(x, axis=0)
    return (
        torch.tensor(np.where(np.isfinite(x), x, middle), dtype=torch.float32),
        torch.tensor(labels),
        groups,
    )


def _fit_kind_member(x: torch.Tensor, seen: torch.Tensor, y: torch.Tensor, steps: int, width: int) -> Mlp:
    net = Mlp(x, width, len(kind.TYPES))
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3, weight_decay=0.2)
    count = torch.bincount(y, minlength=len(kind.TYPES)).float().clamp(min=1)
    prior = torch.tensor([2.0, 1.0, 1.0, 1.0, 1.0])  # most of any pile is filmed
    for _ in range(steps):
        chosen = torch.multinomial(prior[y] / count[y], 192, replacement=True)
        loss = functional.cross_entropy(net(seen[chosen], 0.3), y[chosen], label_smoothing=0.03)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.eval()


def sharpen_kind(items: Sequence[Item]) -> None:
    """One temperature, by the likelihood of clips that the network was not fitted to."""
    best = (np.inf, 1.0)
    for sharpness in np.geomspace(0.3, 3, 25):
        table = dict(network.load_table("video-type"))
        table["sharpness"] = np.array([sharpness], np.float32)
        save_table("video-type", table)
        p = [kind.classify(kind.summarise(i.timeline))[kind.TYPES.index(i.label)] for i in items]
        best = min(best, (float(-np.log(np.maximum(p, 1e-6)).mean()), float(sharpness)))
    table = dict(network.load_table("video-type"))
    save_table("video-type", table | {"sharpness": np.array([best[1]], np.float32)})
