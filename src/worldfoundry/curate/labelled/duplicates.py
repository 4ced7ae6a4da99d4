"""How well copies are found: planted duplicates of real footage against other moments of the same scenes.

``python -m worldfoundry.curate.labelled.duplicates evaluate --real FOLDER`` plants the sets (``planting.py``), compares
every copy with its original and with every other window of the same scene, then lets ``find_duplicates`` clean the whole set.
Validation gives thresholds; test is judged with them, and fresh, whose sources had no part in anything before.
Two baselines stand beside: average hash and the cosine of the mean picture, each at the threshold that the validation set
gives it for the precision asked. Intervals are bootstrapped by scene.
"""

import argparse
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from worldfoundry.core.files import atomic_path
from worldfoundry.curate.config import DedupConfig
from worldfoundry.curate.dedup import LIKELY, find_duplicates
from worldfoundry.curate.detect.alignment import compare
from worldfoundry.curate.detect.descriptor import Descriptor
from worldfoundry.curate.labelled.planting import KINDS, Planted, plant
from worldfoundry.curate.search import describe_file
from worldfoundry.data.video_io import probe

PRECISION = 0.99
"""What the baselines' thresholds are chosen for, on validation."""
SPLITS = ("validation", "test", "fresh")
"""Planted sets that are judged, in this order."""
_DRAWS = 2000


@dataclass(frozen=True, slots=True)
class Pair:
    """An original window and another clip, with the similarities that each method gives."""

    group: str
    """The scene."""
    kind: str
    """How the copy was altered; of a pair of different windows, how the second clip was."""
    is_copy: bool
    """Whether they are one window."""
    values: dict[str, float]
    """Method -> similarity."""


def pairs_of(items: Sequence[Planted], described: Sequence[Descriptor]) -> list[Pair]:
    """Every copy with its original, and every original with the clips of the other windows of its scene."""
    found = []
    for a, first in zip(items, described, strict=True):
        if a.kind != "original":
            continue
        for b, second in zip(items, described, strict=True):
            is_copy = (a.source, a.window) == (b.source, b.window)
            if b is a or a.group != b.group or (b.kind == "original" and a.path > b.path):
                continue
            values = {
                "ours": _ours(first, second),
                "hash": _hash(first, second),
                "cosine": _cosine(first, second),
            }
            found.append(Pair(a.group, b.kind, is_copy, values))
    return found


def _ours(first: Descriptor, second: Descriptor) -> float:
    cosine = max(
        float((first.vectors[0] @ second.vectors.T).max()), float((second.vectors[0] @ first.vectors.T).max())
    )
    return compare(first, second).similarity if cosine >= LIKELY else -1.0


def _hash(first: Descriptor, second: Descriptor) -> float:
    """Share of equal bits of the average hash, 8 by 8, of five frames."""
    one, two = (_five(d) for d in (first, second))
    bits = [(p > p.mean((1, 2), keepdims=True)) for p in (one, two)]
    return float((bits[0] == bits[1]).mean())


def _cosine(first: Descriptor, second: Descriptor) -> float:
    """Of the mean pictures, their level taken off."""
    one, two = (d.frames.mean(0).ravel() for d in (first, second))
    one, two = one - one.mean(), two - two.mean()
    return float(one @ two / (np.linalg.norm(one) * np.linalg.norm(two) + 1e-6))


def _five(descriptor: Descriptor) -> np.ndarray:
    chosen = descriptor.frames[np.linspace(0, len(descriptor.frames) - 1, 5).round().astype(int)]
    return np.stack([cv2.resize(p, (8, 8), interpolation=cv2.INTER_AREA) for p in chosen]).astype(np.float32)


def threshold_for(pairs: Sequence[Pair], method: str) -> float:
    """The lowest similarity from which validation pairs are copies with the precision asked."""
    ordered = sorted(pairs, key=lambda p: -p.values[method])
    right = np.cumsum([p.is_copy for p in ordered])
    good = np.flatnonzero(right / np.arange(1, len(ordered) + 1) >= PRECISION)
    return ordered[good[-1]].values[method] if len(good) else 2.0


def table(pairs: Sequence[Pair], method: str, threshold: float) -> dict[str, Any]:
    """Recall by kind and precision, with 95 % intervals, and the worst scene."""
    rows: dict[str, Any] = {}
    for kind in KINDS:
        mine = [p for p in pairs if p.is_copy and p.kind == kind]
        rows[kind] = _with_interval(mine, lambda chosen: _share(chosen, method, threshold))
        rows[kind]["copies"] = len(mine)
    rows["precision"] = _with_interval(pairs, lambda chosen: _precision(chosen, method, threshold))
    others = [p for p in pairs if not p.is_copy]
    false = [p for p in others if p.values[method] >= threshold]
    rows["other_moments"] = {"pairs": len(others), "matched": len(false)}
    groups = sorted({p.group for p in pairs})
    recalls = {g: _share([p for p in pairs if p.is_copy and p.group == g], method, threshold) for g in groups}
    rows["worst_source"] = dict(
        zip(("source", "recall"), min(recalls.items(), key=lambda kv: (kv[1], kv[0])), strict=True)
    )
    blame = {g: sum(p.group == g for p in false) for g in groups}
    rows["most_false"] = dict(
        zip(("source", "matched"), max(blame.items(), key=lambda kv: (kv[1], kv[0])), strict=True)
    )
    return {"threshold": threshold, **rows}


def _share(pairs: Sequence[Pair], method: str, threshold: float) -> float:
    return float(np.mean([p.values[method] >= threshold for p in pairs])) if pairs else float("nan")


def _precision(pairs: Sequence[Pair], method: str, threshold: float) -> float:
    matched = [p.is_copy for p in pairs if p.values[method] >= threshold]
    return float(np.mean(matched)) if matched else 1.0


def _with_interval(pairs: Sequence[Pair], measure: Callable[[Sequence[Pair]], float]) -> dict[str, Any]:
    by_group: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_group.setdefault(pair.group, []).append(pair)
    groups, rng = list(by_group.values()), np.random.default_rng(0)
    draws = [
        measure([p for g in rng.integers(0, len(groups), len(groups)) for p in groups[g]])
        for _ in range(_DRAWS // 10 if len(pairs) > 2000 else _DRAWS)
    ]
    low, high = np.nanquantile(draws, (0.025, 0.975))
    return {"value": measure(pairs), "low": float(low), "high": float(high)}


def cleaned(items: Sequence[Planted], described: Sequence[Descriptor], config: DedupConfig) -> dict[str, Any]:
    """What is left of a whole set: of each window the best clip should stay, and nothing else."""
    infos = [probe(item.path) for item in items]
    # Of equal size the original is the best: copies are further encodes of it.
    ranks = [
        (i.width * i.height, float(item.kind == "original"), i.duration_seconds, item.path.name)
        for i, item in zip(infos, items, strict=True)
    ]
    found = find_duplicates(described, ranks, config)
    windows: dict[tuple[str, int], list[int]] = {}
    for k, item in enumerate(items):
        windows.setdefault((item.source, item.window), []).append(k)
    best = [max(members, key=lambda k: ranks[k]) for members in windows.values()]
    removed = [(k, copy.of) for k, copy in enumerate(found) if copy is not None]
    wrong = [
        k for k, of in removed if (items[k].source, items[k].window) != (items[of].source, items[of].window)
    ]
    return {
        "clips": len(items),
        "windows": len(windows),
        "removed": len(removed),
        "removed_for_another_window": len(wrong),
        "left_over": len(items) - len(removed) - len(windows) + sum(found[k] is not None for k in best),
        "best_kept": sum(found[k] is None for k in best),
    }


def evaluate(real: Path, cache: Path, config: DedupConfig) -> dict[str, Any]:
    """The whole table: thresholds from validation, figures of all splits."""
    result: dict[str, Any] = {"threshold": config.min_similarity, "precision_of_baselines": PRECISION}
    thresholds = {"ours": config.min_similarity}
    for split in SPLITS:
        items = plant(real, split, cache)
        described = [describe_file(item.path) for item in items]
        pairs = pairs_of(items, described)
        if split == "validation":
            thresholds |= {m: threshold_for(pairs, m) for m in ("hash", "cosine")} | {"cosine_0.99": 0.99}
            result["threshold_by_precision"] = threshold_for(pairs, "ours")
        tables = {m: table(pairs, m.split("_")[0], t) for m, t in thresholds.items()}
        result[split] = {"clips": len(items), "scenes": len({i.group for i in items}), **tables}
        result[split]["cleaned"] = cleaned(items, described, config)
        false = [p.values["ours"] for p in pairs if not p.is_copy]
        result[split]["largest_of_other_moments"] = sorted(false)[-5:]
    return result


def main() -> None:
    """Runs the evaluation and writes its figures."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("command", choices=["evaluate"])
    parser.add_argument("--real", type=Path, required=True, help="folder of the real footage")
    parser.add_argument("--cache", type=Path, default=Path("planted"), help="where planted clips are kept")
    parser.add_argument("--json", type=Path, default=Path("docs/models/descriptor.json"))
    options = parser.parse_args()
    cv2.setNumThreads(1)
    result = evaluate(options.real, options.cache, DedupConfig())
    with atomic_path(options.json) as path:
        path.write_text(json.dumps(_rounded(result), indent=1) + os.linesep, encoding="utf-8")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
