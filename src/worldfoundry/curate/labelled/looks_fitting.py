"""Fits the small networks of the looks detectors on tables of features; torch is needed here only."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional

from worldfoundry.curate.detect import network, overlay, quality
from worldfoundry.curate.detect.quality_light import NUM_LIGHT
from worldfoundry.curate.labelled.looks_tables import Item

_STILL = 6
_RANK_MARGIN = 1.0
_PAIRS = 256
_HARD_CLEAN = ("night", "fog", "shallow")
_HARD = 4.0  # times as often as other clips: few, and most like an overlay
_HARD_GROUPS = ("front/pan", "labels/as-is", "row/as-is")


def save_table(name: str, table: dict[str, np.ndarray]) -> None:
    """Write ``weights/<name>.safetensors`` in float32 and let readers see it."""
    save_file(
        {k: np.ascontiguousarray(v, np.float32) for k, v in table.items()},
        network.WEIGHTS / f"{name}.safetensors",
    )
    network.load_table.cache_clear()
    network.load_network.cache_clear()


class Mlp(nn.Module):
    """The network of ``detect/network.py`` while it is fitted."""

    def __init__(self, x: torch.Tensor, width: int, heads: int):
        super().__init__()
        self.mean = x.nanmean(0)
        self.scale = 1 / ((x - self.mean).square().nanmean(0).sqrt() + 1e-2)
        self.hidden, self.out = nn.Linear(x.shape[1], width), nn.Linear(width, heads)

    def forward(self, x: torch.Tensor, jitter: float = 0.0) -> torch.Tensor:
        """Logits; what is NaN counts as average; ``jitter`` is noise on the standardised features."""
        z = ((x - self.mean) * self.scale).nan_to_num(0.0).clamp(-3, 3)
        z = z + jitter * torch.randn_like(z)
        return self.out(functional.dropout(torch.tanh(self.hidden(z)), 0.1, self.training))


def table_of(nets: Sequence[Mlp]) -> dict[str, np.ndarray]:
    """The mean of the logits of several networks, as one wide network."""
    scale = 1 / len(nets)
    return {
        "mean": nets[0].mean.numpy(),
        "scale": nets[0].scale.numpy(),
        "hidden": np.concatenate([n.hidden.weight.detach().numpy().T for n in nets], axis=1),
        "hidden_bias": np.concatenate([n.hidden.bias.detach().numpy() for n in nets]),
        "out": np.concatenate([n.out.weight.detach().numpy().T for n in nets]) * scale,
        "out_bias": np.sum([n.out.bias.detach().numpy() for n in nets], axis=0) * scale,
    }


_SOFT = ("blur", "compression", "upscaled")
_TEXTURE, _EXPOSURE = slice(0, 4), slice(4, 6)


def _quality_arrays(items: Sequence[Item]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features [n, f], targets [n, 6], weights [n, 6], and pairs [m, 3] of rows of one ladder: lower, higher, head."""
    rows, targets, weights, ladders = [], [], [], {}
    count: dict[str, int] = {}
    for item in items:
        count[item.source] = count.get(item.source, 0) + 1
    for item in items:
        target, weight = _targets(item)
        for position, features in enumerate(item.timeline["features"]):
            if item.label != "clean":
                ladders.setdefault((item.window, item.group, position), []).append((item.level, len(rows)))
            rows.append(features)
            targets.append(target)
            weights.append(weight * (60 / count[item.source]) ** 0.5)
    pairs = []
    for (_, group, _), steps in ladders.items():
        head = quality.DEFECTS.index(group.split("+")[0].split("-")[0])
        steps.sort()
        pairs += [(a, b, head) for (la, a), (lb, b) in pairwise(steps) if lb > la]
    x = torch.from_numpy(np.stack(rows))
    x[::_STILL, quality.CHANGE] = torch.nan  # so that stills are judged too
    return x, torch.tensor(np.array(targets)), torch.tensor(np.array(weights)), torch.tensor(pairs)


def _targets(item: Item) -> tuple[np.ndarray, np.ndarray]:
    """Targets and weights of the heads: look-alikes are no negatives of each other, hard negatives count double."""
    target, weight = np.zeros(6, np.float32), np.ones(6, np.float32)
    if item.label == "clean":
        return target, np.full(6, 4.0 if item.group in _HARD_CLEAN else 2.0, np.float32)
    head = quality.DEFECTS.index(item.label)
    weight[:] = 0.3
    if item.label in _SOFT:
        weight[[quality.DEFECTS.index(s) for s in _SOFT]] = 0.05
    target[head] = 1.0
    weight[head] = 1.0
    if "+" in item.group:  # the light was changed too, to make texture independent of it
        weight[_EXPOSURE] = 0.0
    return target, weight


def fit_quality(
    items: Sequence[Item],
    *,
    seed: int,
    steps: int = 1000,
    members: int = 6,
    width: int = 32,
    decay: float = 0.1,
) -> None:
    """Fit the defect logits; writes ``weights/quality.safetensors``. Each member sees three quarters of the sources."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    sources = sorted({i.source for i in items})
    x = _quality_arrays(items)[0]
    split = -NUM_LIGHT
    parts = (
        ("texture.", _TEXTURE, slice(0, split), width),
        ("exposure.", _EXPOSURE, slice(split, None), width // 2),
    )
    nets: dict[str, list[Mlp]] = {"texture.": [], "exposure.": []}
    for _ in range(members):
        seen = set(rng.permutation(sources)[: max(1, int(0.75 * len(sources)))])
        arrays = _quality_arrays([i for i in items if i.source in seen])
        for name, heads, features, units in parts:
            net = Mlp(x[:, features], units, heads.stop - heads.start)
            _fit_member(net, arrays, heads, features, steps, decay)
            nets[name].append(net.eval())
    table = {name + k: v for name, members_of in nets.items() for k, v in table_of(members_of).items()}
    one = np.ones(6, np.float32)
    save_table("quality", table | {"slope": one, "shift": 0 * one, "power": one[:1]})


def _fit_member(
    net: Mlp, arrays: tuple[torch.Tensor, ...], heads: slice, features: slice, steps: int, decay: float
) -> None:
    """Cross-entropy of the heads and of "none of them"; the order along each ladder, and of clean before spoilt."""
    x, targets, weights, pairs = arrays
    clean = torch.nonzero(targets.amax(1) == 0)[:, 0]
    x, targets, weights = x[:, features], targets[:, heads], weights[:, heads]
    pairs = pairs[(pairs[:, 2] >= heads.start) & (pairs[:, 2] < heads.stop)]
    bad = torch.nonzero(targets.amax(1) > 0)[:, 0]
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, steps)
    for _ in range(steps):
        chosen, some = torch.randint(len(x), (384,)), pairs[torch.randint(len(pairs), (192,))]
        logits, target, weight = net(x[chosen], 0.2), targets[chosen], weights[chosen]
        loss = functional.binary_cross_entropy_with_logits(logits, target, weight)
        none = torch.exp(-functional.softplus(logits).sum(1)).clamp(1e-4, 1 - 1e-4)
        is_clean = 1 - target.amax(1)
        sure = (weight.amax(1) > 0.9).float() * weight.amax(1).clamp(max=2)
        loss = loss + 0.5 * functional.binary_cross_entropy(none, is_clean, sure)
        both = net(torch.cat([x[some[:, 0]], x[some[:, 1]]]), 0.1)
        rise = (both[len(some) :] - both[: len(some)]).gather(1, some[:, 2:] - heads.start)
        burden = functional.softplus(both).sum(1)
        worse = burden[len(some) :] - burden[: len(some)]
        loss = loss + 0.15 * (
            functional.relu(_RANK_MARGIN - rise).mean() + functional.relu(0.7 - worse).mean()
        )
        if heads == _TEXTURE:  # light that is far from usual needs no such help, and usual light would suffer
            loss = loss + 0.5 * _misorder(net, _some(x, clean), _some(x, bad))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()


def _some(x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    return x[rows[torch.randint(len(rows), (_PAIRS,))]]


def _misorder(net: Mlp, clean: torch.Tensor, bad: torch.Tensor) -> torch.Tensor:
    """A smooth bound on how often a clean clip of one source looks worse than a spoilt one of another."""
    burden = torch.log(functional.softplus(net(torch.cat([clean, bad]), 0.2)).sum(1) + 1e-6)
    return functional.softplus(2 * (burden[: len(clean)] - burden[len(clean) :])).mean()


def fit_combination(items: Sequence[Item], *, seed: int, steps: int = 400) -> None:
    """Calibrate each defect and their product on clips that the networks were not fitted to, half the weight to clean ones."""
    torch.manual_seed(seed)
    logits = torch.tensor(
        np.stack([quality.defect_logits(i.timeline["features"]) for i in items]), dtype=torch.float32
    )
    target = torch.tensor(np.stack([_targets(i)[0] for i in items]))
    bad = target.amax(1)
    level = torch.tensor([max(1.0, i.level) for i in items])
    weight = torch.where(bad > 0, 0.5 / bad.sum(), 0.5 / (1 - bad).sum()) * len(items) / level**0.5
    slope, shift, power = (torch.zeros(n, requires_grad=True) for n in (6, 6, 1))
    optimiser = torch.optim.Adam([slope, shift, power], lr=0.03)
    for _ in range(steps):
        scaled = logits * slope.exp() + shift
        none = torch.exp(-power.exp() * functional.softplus(scaled).sum(1)).clamp(1e-4, 1 - 1e-4)
        loss = functional.binary_cross_entropy(none, 1 - bad, weight)
        own = (target > 0) | (bad[:, None] == 0)
        loss = loss + functional.binary_cross_entropy_with_logits(scaled, target, own * weight[:, None])
        loss = loss + 0.05 * (slope**2).mean() + 0.01 * (shift**2).mean() + 0.05 * power.square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    fitted = {"slope": slope.exp(), "shift": shift, "power": power.exp()}
    save_table(
        "quality", dict(network.load_table("quality")) | {k: v.detach().numpy() for k, v in fitted.items()}
    )


class _CellNet(nn.Module):
    def __init__(self, mean: torch.Tensor, scale: torch.Tensor, width: int):
        super().__init__()
        self.mean, self.scale = mean, scale
        self.first, self.second = (
            nn.Conv2d(len(mean), width, 3, padding=1),
            nn.Conv2d(width, width, 3, padding=1),
        )
        self.last = nn.Conv2d(width, 1, 1)
        self.pool = nn.Linear(3, 1)
        nn.init.constant_(self.pool.weight, 0.33)
        nn.init.zeros_(self.pool.bias)

    def forward(
        self, x: torch.Tensor, inside: torch.Tensor, jitter: float = 0.0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        z = ((x - self.mean[:, None, None]) * self.scale[:, None, None]).clamp(-4, 4)
        z = (z + jitter * torch.randn_like(z)) * inside[:, None]
        z = functional.dropout2d(torch.relu(self.first(z)), 0.1, self.training) * inside[:, None]
        cells = self.last(torch.relu(self.second(z))).squeeze(1)
        top = torch.where(inside > 0, cells, -30.0).flatten(1).topk(8).values.clamp(-12, 12)
        summary = torch.stack([top[:, 0], top[:, :3].mean(1), top.mean(1)], 1)
        return cells, self.pool(summary).squeeze(1)


def _gathered(items: Sequence[Item], rng: np.random.Generator | None, side: int) -> tuple[torch.Tensor, ...]:
    """Features, cell labels, inside and clip labels, padded to one size; with ``rng``, over random spans of each clip."""
    features, masks, inside = [], [], []
    for item in items:
        cells = item.timeline["cells"]
        if rng is not None and len(cells) > 2 and rng.random() < 0.4:
            length = int(rng.integers(2, len(cells) + 1))
            start = int(rng.integers(0, len(cells) - length + 1))
            cells = cells[start : start + length]
        f = overlay.gather(cells if rng is None else _recontrast(cells, rng))
        mask = item.timeline.get("mask", np.zeros(f.shape[1:], np.float32))
        pad = ((0, side - f.shape[1]), (0, side - f.shape[2]))
        features.append(np.pad(f, ((0, 0), *pad)))
        masks.append(np.pad(mask, pad))
        inside.append(np.pad(np.ones(mask.shape, np.float32), pad))
    label = torch.tensor([float(i.label == "text") for i in items])
    return (*(torch.from_numpy(np.stack(a)) for a in (features, masks, inside)), label)


def _recontrast(cells: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As if the picture had more or less contrast; the change between samples varies apart from it."""
    gain = np.full((cells.shape[1], 1, 1), rng.uniform(0.6, 1.4), np.float32)
    gain[overlay.CHANNELS.index("change")] *= rng.uniform(0.7, 1.3)
    gain[overlay.CHANNELS.index("drawn")] = 1.0
    return np.clip(cells * gain, 0, 255)


def fit_overlay(items: Sequence[Item], *, seed: int, steps: int = 2000, width: int = 16) -> None:
    """Cells against their masks and clips against their labels; writes ``weights/overlay-text.safetensors``."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    side = max(max(i.timeline["cells"].shape[2:]) for i in items)
    held = [_gathered(items, None, side), *(_gathered(items, rng, side) for _ in range(5))]
    x, _, inside, _ = held[0]
    on = inside.bool()
    mean = torch.stack([x[:, c][on].mean() for c in range(x.shape[1])])
    scale = 1 / (torch.stack([x[:, c][on].std() for c in range(x.shape[1])]) + 0.05)
    share = np.array([_HARD if i.group in _HARD_GROUPS else 1.0 for i in items])
    share /= share.sum()
    net = _CellNet(mean, scale, width)
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, steps)
    for _ in range(steps):
        x, mask, inside, label = held[int(rng.integers(len(held)))]
        chosen = torch.from_numpy(rng.choice(len(x), 32, p=share))
        x, mask, inside, label = x[chosen], mask[chosen], inside[chosen], label[chosen]
        if rng.random() < 0.5:
            x, mask, inside = x.flip(3), mask.flip(2), inside.flip(2)
        cells, clip = net(x, inside, 0.25)
        sure = inside * ((mask > 0.3) | (mask < 0.02))
        on = (mask > 0.3).float()
        loss = functional.binary_cross_entropy_with_logits(cells, on, sure * (1 + 3 * on))
        loss = 3 * loss + functional.binary_cross_entropy_with_logits(clip, label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    state = net.eval().state_dict()
    table = {k: v.numpy() for k, v in state.items()} | {"mean": mean.numpy(), "scale": scale.numpy()}
    table["last.weight"] = table["last.weight"].reshape(-1)
    table["pool.weight"] = table["pool.weight"].reshape(-1)
    save_table("overlay-text", table)
