"""Judges the three looks detectors on the test split: tables for the cards, beside trivial baselines."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from worldfoundry.curate.config import OverlayConfig, QualityConfig
from worldfoundry.curate.detect import kind, network, overlay, quality
from worldfoundry.curate.labelled import looks_measures as measures
from worldfoundry.curate.labelled.looks_tables import Item

Facts = dict[str, Any]
_TOLERANCE = 0.01
_SIMPLE = {
    "blur": ("fine detail, 90th percentile of blocks", lambda f: -(f[36] + f[39] + f[40])),
    "noise": ("fine detail, 25th percentile of blocks", lambda f: f[36] - f[38]),
    "compression": ("steps at block borders", lambda f: f[78]),
    "upscaled": ("energy of the highest band", lambda f: -f[8]),
    "exposure_over": ("mean grey level", lambda f: f[-9]),
    "exposure_under": ("mean grey level", lambda f: -f[-9]),
}


def judge_quality(items: Sequence[Item], real: Sequence[Item]) -> Facts:
    """Detection by defect and level, order along ladders, and false rejects at the default threshold."""
    everything = [*items, *real]
    logits = np.stack([quality.defect_logits(i.timeline["features"]) for i in everything])
    scores = np.array([quality.combine(row) for row in logits])
    sources = [i.source for i in everything]
    groups = np.array([i.group for i in everything])
    labels, levels = np.array([i.label for i in everything]), np.array([i.level for i in everything])
    untouched = groups == "untouched"
    # Through the same codec: untouched clips would be told by that alone.
    clean = np.char.startswith(groups, "clean")
    sharpness = np.array([float(np.mean(i.timeline.get("laplacian", np.nan))) for i in everything])
    threshold = QualityConfig().min
    facts: Facts = {
        "clips": len(everything),
        "sources": len(set(sources)),
        "threshold": threshold,
        "detection": [],
    }
    for label in quality.DEFECTS:
        head = quality.DEFECTS.index(label)
        said, simple = _SIMPLE[label]
        plain = np.array([simple(i.timeline["features"].mean(axis=0)) for i in everything])
        for level in (1, 2, 3):
            bad = (labels == label) & (levels == level)
            facts["detection"].append(
                {
                    "defect": label,
                    "level": level,
                    "clips": int(bad.sum()),
                    "quality_auc": _auc(sources, -scores, bad, clean),
                    "quality_auc_against_untouched": round(measures.auc(-scores[bad], -scores[untouched]), 4),
                    "own_auc": round(measures.auc(logits[bad, head], logits[clean, head]), 4),
                    "simple_auc": round(measures.auc(plain[bad], plain[clean]), 4),
                    "simple": said,
                    "laplacian_auc": _either(sharpness[bad], sharpness[clean]),
                    "rejected": round(float((scores[bad] < threshold).mean()), 4),
                    "worst_source": _worst(sources, -scores, bad, clean),
                }
            )
    for level in (1, 2, 3):
        bad = (labels != "clean") & (levels == level)
        facts["detection"].append(
            {
                "defect": "any",
                "level": level,
                "clips": int(bad.sum()),
                "quality_auc": _auc(sources, -scores, bad, clean),
                "quality_auc_against_untouched": round(measures.auc(-scores[bad], -scores[untouched]), 4),
                "laplacian_auc": _either(sharpness[bad], sharpness[clean]),
                "rejected": round(float((scores[bad] < threshold).mean()), 4),
                "worst_source": _worst(sources, -scores, bad, clean),
            }
        )
    by_group = {
        f"{g} {level:.0f}": round(measures.auc(-scores[(groups == g) & (levels == level)], -scores[clean]), 4)
        for g in sorted(set(groups[labels != "clean"]))
        for level in (1, 2, 3)
    }
    ranked = clean | (labels != "clean")
    facts |= {
        "by_group": by_group,
        "spearman": {
            d: round(measures.spearman(1 - scores[m], levels[m]), 4)
            for d in quality.DEFECTS
            for m in [clean | (labels == d)]
        },
        "spearman_pooled": round(measures.spearman(1 - scores[ranked], levels[ranked]), 4),
        "ladders": _ladders(items, scores[: len(items)], logits[: len(items)]),
        "false_rejects": {
            g: _rate(sources, scores < threshold, groups == g) for g in sorted(set(groups[labels == "clean"]))
        },
    }
    return facts


def _either(positive: np.ndarray, negative: np.ndarray) -> float:
    """Area under the curve in whichever direction is right: what a user would find out by looking."""
    found = measures.auc(positive, negative)
    return round(max(found, 1 - found), 4)


def _auc(sources: list[str], scores: np.ndarray, positive: np.ndarray, negative: np.ndarray) -> Facts:
    rows = np.flatnonzero(positive | negative)
    s, p = scores[rows], positive[rows]
    return measures.with_interval([sources[i] for i in rows], lambda r: measures.auc(s[r][p[r]], s[r][~p[r]]))


def _worst(sources: list[str], scores: np.ndarray, positive: np.ndarray, negative: np.ndarray) -> Facts:
    """The source whose positives are found worst among everyone's negatives."""
    names = np.array(sources)
    found = {n: measures.auc(scores[positive & (names == n)], scores[negative]) for n in set(names[positive])}
    name = min(sorted(found), key=found.__getitem__)
    return {"source": name, "value": round(found[name], 4)}


def _rate(sources: list[str], hit: np.ndarray, among: np.ndarray) -> Facts:
    rows = np.flatnonzero(among)
    h = hit[rows]
    own = [sources[i] for i in rows]
    per_source = {n: float(h[[s == n for s in own]].mean()) for n in sorted(set(own))}
    worst = max(per_source, key=per_source.__getitem__)
    return measures.with_interval(own, lambda r: float(h[r].mean())) | {
        "clips": len(rows),
        "worst_source": {"source": worst, "value": round(per_source[worst], 4)},
    }


def _ladders(items: Sequence[Item], scores: np.ndarray, logits: np.ndarray) -> Facts:
    """Share of ladders (clean, mild, medium, strong of one window) whose quality never rises, and whose defect never falls."""
    base: dict[str, int] = {}
    steps: dict[tuple[str, str], list[tuple[float, int]]] = {}
    for row, item in enumerate(items):
        if item.group == "clean":
            base[item.window] = row
        elif item.label != "clean":
            steps.setdefault((item.window, item.group), []).append((item.level, row))
    falls, rises, strict = [], [], []
    for (window, _), found in steps.items():
        rows = [base[window], *(row for _, row in sorted(found))]
        head = quality.DEFECTS.index(items[rows[-1]].label)
        fall, rise = np.diff(scores[rows]), np.diff(network.sigmoid(logits[rows, head]))
        falls.append(bool((fall <= _TOLERANCE).all()))
        strict.append(bool((fall <= 0).all()))
        rises.append(bool((rise >= -_TOLERANCE).all()))
    return {
        "ladders": len(falls),
        "quality_falls": round(float(np.mean(falls)), 4),
        "quality_falls_strictly": round(float(np.mean(strict)), 4),
        "defect_rises": round(float(np.mean(rises)), 4),
        "tolerance": _TOLERANCE,
    }


def judge_overlay(items: Sequence[Item], real: Sequence[Item]) -> Facts:
    """Detection over moving and over as-is footage, alarms on text of the world and on untouched footage."""
    everything = [*items, *real]
    scores = np.array([_overlay_score(i) for i in everything])
    simple = np.array(
        [i.timeline["cells"][1:, overlay.CHANNELS.index("strong_stays")].max(initial=0) for i in everything]
    )
    edges = np.array([i.timeline["cells"][:, :2].mean() for i in everything])
    sources = [i.source for i in everything]
    groups, labels = np.array([i.group for i in everything]), np.array([i.label for i in everything])
    untouched = groups == "untouched"
    moving = np.char.endswith(groups, "/sway")
    facts: Facts = {
        "clips": len(everything),
        "sources": len(set(sources)),
        "threshold": OverlayConfig().max,
        "detection": [],
    }
    for name, scene in (("moving", moving), ("as is", ~moving & ~untouched)):
        text, none = scene & (labels == "text"), scene & (labels == "clean")
        plain = scene & np.char.startswith(groups, "none")
        facts["detection"].append(
            {
                "background": name,
                "clips": int(scene.sum()),
                "auc": _auc(sources, scores, text, none),
                "auc_without_hard_negatives": round(measures.auc(scores[text], scores[plain]), 4),
                "staying_strokes_auc": round(measures.auc(simple[text], simple[none]), 4),
                "edge_density_auc": round(measures.auc(edges[text], edges[none]), 4),
                "found_at_5_percent_alarms": round(measures.rate_at(scores[text], scores[none]), 4),
                "found_at_5_percent_alarms_without_hard_negatives": round(
                    measures.rate_at(scores[text], scores[plain]), 4
                ),
                "worst_source": _worst(sources, scores, text, none),
            }
        )
    above = scores > facts["threshold"]
    facts["rejected"] = {g: _rate(sources, above, groups == g) for g in sorted(set(groups))}
    return facts


def _overlay_score(item: Item) -> float:
    return float(network.sigmoid(overlay.pool(overlay.cell_logits(overlay.gather(item.timeline["cells"])))))


def judge_kind(items: Sequence[Item], real: Sequence[Item]) -> Facts:
    """Types of generated and of untouched clips, and whether probabilities mean what they say."""
    facts: Facts = {}
    for name, chosen in (("generated", items), ("untouched", real)):
        p = np.stack([kind.classify(kind.summarise(i.timeline)) for i in chosen])
        truth = np.array([kind.TYPES.index(i.label) for i in chosen])
        guess, sources = p.argmax(axis=1), [i.source for i in chosen]
        table = np.zeros((len(kind.TYPES),) * 2, int)
        np.add.at(table, (truth, guess), 1)
        natural = truth == 0
        wrong = {
            n: float(np.mean([g != t for g, t, s in zip(guess, truth, sources, strict=True) if s == n]))
            for n in set(sources)
        }
        worst = max(sorted(wrong), key=wrong.__getitem__)
        facts[name] = {
            "clips": len(chosen),
            "accuracy": measures.with_interval(
                sources, lambda r, g=guess, t=truth: float((g[r] == t[r]).mean())
            ),
            "macro_f1": measures.with_interval(
                sources, lambda r, g=guess, t=truth: measures.macro_f1(t[r], g[r], len(kind.TYPES))
            ),
            "always_natural_macro_f1": round(
                measures.macro_f1(truth, np.zeros_like(truth), len(kind.TYPES)), 4
            ),
            "calibration_error": round(measures.calibration_error(p.max(axis=1), guess == truth), 4),
            "natural_called_other": round(float((guess[natural] != 0).mean()), 4) if natural.any() else None,
            "natural_called_other_surely": round(
                float(((guess != 0) & (p.max(axis=1) > 0.8))[natural].mean()), 4
            )
            if natural.any()
            else None,
            "confusion": {"types": list(kind.TYPES), "rows_truth": table.tolist()},
            "worst_source": {"source": worst, "wrong": round(wrong[worst], 4)},
        }
    return facts
