"""How good the camera detector is: F1 by tag, flips of direction, resting against moving, invariance, real clips."""

import dataclasses
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from worldfoundry.curate.detect.camera import CameraScores, score
from worldfoundry.curate.detect.camera_tags import AXES, TAGS, evidence_of_motion, track_of
from worldfoundry.curate.labelled.camera_clips import Look, SmallView, measure, render, through_codec
from worldfoundry.curate.labelled.camera_learn import f1
from worldfoundry.curate.labelled.camera_paths import draw_path, seed_of
from worldfoundry.curate.labelled.camera_sources import Footage
from worldfoundry.data.video_io import iter_frames

_RESAMPLES = 500
_COST_FRAMES = 300
_OPPOSITE = {a: b for pair in AXES.values() for a, b in (pair, pair[::-1])}
_INVARIANT = ("pan", "zoom", "roll", "compound", "shake", "object")
_USUAL = (30, 360)
_LOOKS = (
    _USUAL,
    (60, 360),
    (15, 360),
    (24, 360),
    (12, 360),
    (30, 240),
    (30, 480),
    (30, 720),
    (30, 1080),
)
_SECONDS = 2.0  # of the shortest clip that is kept: the fewest frames a score is taken from
_LEAST = {"motion": 0.01, "camera_speed": 0.01, "object_motion": 0.01, "shake": 0.25}


def judge(clips: Sequence[Any]) -> dict[str, Any]:
    """Accuracy over labelled timelines, with 95 % intervals by source and the worst source."""
    said = [frozenset(score(c.timeline, 0.0, np.inf).tags) for c in clips]
    sources = sorted({c.source for c in clips})
    by_source = {s: [k for k, c in enumerate(clips) if c.source == s] for s in sources}
    true = [c.tags for c in clips]
    motion = [evidence_of_motion(track_of(c.timeline, 0.0, np.inf)) for c in clips]
    change = [float(np.nanmean(c.timeline["change"])) for c in clips]
    resting = np.array(["static" in t for t in true])

    def macro(chosen: Sequence[int]) -> float:
        return macro_f1([said[k] for k in chosen], [true[k] for k in chosen])

    def auc_of(values: Sequence[float]) -> Callable[[Sequence[int]], float]:
        return lambda chosen: auc(np.array(values)[list(chosen)], ~resting[list(chosen)])

    def flips(chosen: Sequence[int]) -> float:
        return flip_share([said[k] for k in chosen], [true[k] for k in chosen])

    def exact(chosen: Sequence[int]) -> float:
        return float(np.mean([said[k] == true[k] for k in chosen]))

    everything = list(range(len(clips)))
    worst = min(sources, key=lambda s: exact(by_source[s]))
    real = [s for s in sources if not s.startswith("made")]
    return {
        "clips": len(clips),
        "sources": {"all": len(sources), "real": len(real)},
        "macro_f1": _with_interval(macro, by_source),
        "macro_f1_real_sources": round(macro([k for s in real for k in by_source[s]]), 4) if real else None,
        "exact": _with_interval(exact, by_source),
        "flips": _with_interval(flips, by_source),
        "auc_static_moving": _with_interval(auc_of(motion), by_source),
        "baseline": {
            "always_static_macro_f1": round(macro_f1([frozenset({"static"})] * len(clips), true), 4),
            "frame_difference_auc": _with_interval(auc_of(change), by_source),
        },
        "f1": {t: round(f1(*_truth(said, true, t)), 4) for t in TAGS},
        "exact_by_kind": _shares(clips, [said[k] == true[k] for k in everything], "kind"),
        "exact_by_effect": _shares(clips, [said[k] == true[k] for k in everything], "effect"),
        "exact_by_fps": _shares(clips, [said[k] == true[k] for k in everything], "fps"),
        "worst_source": {"name": worst, "exact": round(exact(by_source[worst]), 4)},
        "mistakes": [
            f"{clips[k].source} {clips[k].kind} {clips[k].effect}: {'+'.join(sorted(true[k]))} called {'+'.join(sorted(said[k]))}"
            for k in everything
            if said[k] != true[k]
        ],
    }


def _truth(
    said: Sequence[frozenset[str]], true: Sequence[frozenset[str]], tag: str
) -> tuple[np.ndarray, np.ndarray]:
    return np.array([tag in s for s in said]), np.array([tag in t for t in true])


def macro_f1(said: Sequence[frozenset[str]], true: Sequence[frozenset[str]]) -> float:
    """Mean F1 of the tags that occur."""
    scores = [f1(*_truth(said, true, t)) for t in TAGS if any(t in s for s in true)]
    return float(np.mean(scores))


def flip_share(said: Sequence[frozenset[str]], true: Sequence[frozenset[str]]) -> float:
    """Share of true directions for which the opposite was said and the right one was not."""
    wanted = [(t, s) for one, s in zip(true, said, strict=True) for t in one if t in _OPPOSITE]
    return sum(_OPPOSITE[t] in s and t not in s for t, s in wanted) / max(1, len(wanted))


def auc(values: np.ndarray, positive: np.ndarray) -> float:
    """Probability that a positive has the larger value, ties counting half."""
    high, low = values[positive], values[~positive]
    if not len(high) or not len(low):
        return float("nan")
    return float(((high[:, None] > low).mean() + (high[:, None] >= low).mean()) / 2)


def _with_interval(
    measure_of: Callable[[Sequence[int]], float], by_source: dict[str, list[int]]
) -> list[float]:
    """[value, low, high]: 95 % bootstrap interval over sources."""
    rng, sources = np.random.default_rng(0), list(by_source)
    draws = [
        measure_of([k for s in rng.choice(len(sources), len(sources)) for k in by_source[sources[s]]])
        for _ in range(_RESAMPLES)
    ]
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return [round(float(v), 4) for v in (measure_of([k for s in sources for k in by_source[s]]), low, high)]


def _shares(clips: Sequence[Any], right: Sequence[bool], attribute: str) -> dict[str, float]:
    values = [str(getattr(c, attribute)) or "none" for c in clips]
    return {
        v: round(float(np.mean([r for r, w in zip(right, values, strict=True) if w == v])), 4)
        for v in sorted(set(values))
    }


def judge_invariance(footages: Iterator[Footage]) -> dict[str, Any]:
    """The same paths at several rates and sizes: how far scores are from those at 30 frames a second and 360 rows."""
    rows: list[dict[str, Any]] = []
    for place, footage in enumerate(footages):
        if place % 2:
            continue
        for number, kind in enumerate(_INVARIANT[(place // 2) % 2 :: 2]):
            path = draw_path("test", kind, footage, seed_of("test", 1000 + place, number))
            path = dataclasses.replace(path, seconds=_SECONDS)
            seen: dict[tuple[float, int], CameraScores] = {}
            for fps, height in _LOOKS:
                look = Look(height=height, fps=float(fps), crf=23)
                frames = render(path, footage, footage, look, seed_of("test", 2000 + place, number))
                seen[fps, height] = score(measure(through_codec(frames, look), float(fps)), 0.0, np.inf)
            rows.append({"source": footage.name, "kind": kind, "scores": seen})
    return {
        "paths": len(rows),
        "relative_to_at_least": _LEAST,
        **{name: _spread(rows, name) for name in _LEAST},
        "same_tags": _agreement(rows),
    }


def _spread(rows: list[dict[str, Any]], name: str) -> dict[str, list[float]]:
    """By rate and size: [median, largest] deviation of one score, relative to the score or, of small ones, to ``_LEAST``."""
    found = {}
    for look in _LOOKS:
        pairs = [(getattr(r["scores"][look], name), getattr(r["scores"][_USUAL], name)) for r in rows]
        off = [abs(a - b) / max(b, _LEAST[name]) for a, b in pairs]
        found[f"{look[0]} fps, {look[1]} rows"] = [round(float(f(off)), 4) for f in (np.median, np.max)]
    return found


def _agreement(rows: list[dict[str, Any]]) -> float:
    same = [set(s.tags) == set(r["scores"][_USUAL].tags) for r in rows for s in r["scores"].values()]
    return round(float(np.mean(same)), 4)


def judge_real(folder: Path) -> dict[str, Any]:
    """Hand-labelled spans of real footage: right where all needed tags are said, and none but needed and allowed ones."""
    text = resources.files("worldfoundry.curate.labelled").joinpath("camera_real.json").read_text("utf-8")
    timelines: dict[str, Any] = {}
    rows, right = [], []
    for item in json.loads(text)["spans"]:
        path = next(
            p
            for p in sorted(folder.iterdir())
            if item["file"] in p.name and p.suffix not in (".json", ".npz")
        )
        if path.name not in timelines:
            timelines[path.name] = measure(_small_views(path), 30.0)
        tags = set(score(timelines[path.name], item["start_s"], item["end_s"]).tags)
        needed, allowed = set(item["tags"]), set(item["tags"]) | set(item.get("allowed", []))
        right.append(needed <= tags <= allowed and bool(tags))
        rows.append({**item, "said": sorted(tags), "right": bool(right[-1])})
    return {"spans": len(rows), "right": round(float(np.mean(right)), 4), "rows": rows}


def measure_cost(folder: Path) -> dict[str, Any]:
    """CPU time of the detector on the hand-labelled files: milliseconds a second of video, and share of decoding."""
    text = resources.files("worldfoundry.curate.labelled").joinpath("camera_real.json").read_text("utf-8")
    names = {item["file"] for item in json.loads(text)["spans"]}
    rows: dict[str, tuple[float, float, float]] = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix not in (".json", ".npz")):
        if not any(name in path.name for name in names):
            continue
        start = time.process_time()
        views = list(itertools.islice(_small_views(path), _COST_FRAMES))
        middle = time.process_time()
        measure(iter(views), 30.0)
        rows[path.name] = middle - start, time.process_time() - middle, views[-1].seconds
    decoding, measuring, seconds = (sum(column) for column in zip(*rows.values(), strict=True))
    return {
        "seconds_of_video": round(seconds, 1),
        "ms_per_second_of_video": round(1e3 * measuring / seconds, 2),
        "of_decoding": round(measuring / decoding, 3),
        "of_decoding_by_file": {name: round(b / a, 3) for name, (a, b, _) in rows.items()},
    }


def _small_views(path: Path) -> Iterator[SmallView]:
    return (SmallView(f.seconds, f.pixels) for f in iter_frames(path, width=256))
