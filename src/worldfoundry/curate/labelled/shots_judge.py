"""Counts what a shot detector finds, misses and invents, with intervals over sources; PySceneDetect stands beside it.

One transition is matched by at most one finding: a hard cut within two frames, a gradual one by any overlap; whatever is found
besides is false, also the second half of a fade that was found already. What a clip is worth to training is *purity*: the
share of kept clips (one second or more) without a transition inside.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from worldfoundry.core.errors import require_package
from worldfoundry.curate.detect import shots
from worldfoundry.curate.detect.shot_network import NetworkStream, TemporalNetwork
from worldfoundry.curate.labelled.recording import Recording, Truth
from worldfoundry.curate.labelled.shots_learn import observe
from worldfoundry.protocols.curation import Span, Timeline

TOLERANCE_FRAMES = 2
"""How far from a hard cut a finding may be."""
MIN_CLIP_S = 1.0
"""Shorter spans are no clips: composed videos have short shots."""
KINDS = ("cut", "dissolve", "fade", "wipe")
"""Kinds of transitions in tables."""
Interval = tuple[int, int]


@dataclass
class Tally:
    """Counts of one video or of many."""

    group: str = ""
    """Source."""
    found: int = 0
    """Transitions that were found."""
    missed: int = 0
    """Transitions that were not."""
    false: int = 0
    """Findings without a transition."""
    by_kind: dict[str, list[int]] = field(default_factory=lambda: {k: [0, 0] for k in KINDS})
    """Found and all of each kind."""
    clips: int = 0
    """Kept clips."""
    pure: int = 0
    """Those without a transition inside."""
    seconds: float = 0.0
    """Length of the footage."""
    kept_seconds: float = 0.0
    """Length of the clips."""


def judge(recording: Recording, found: Sequence[Interval], spans: Sequence[Span]) -> Tally:
    """Compare findings, intervals of frames, and kept spans with the truth."""
    tally = Tally(recording.group, seconds=recording.end_s - float(recording.seconds[0]))
    free = sorted(found)
    for truth in sorted(recording.truths, key=lambda x: x.first):
        slack = TOLERANCE_FRAMES if truth.kind == "cut" else 0
        near = [f for f in free if f[0] <= truth.stop + slack and f[1] >= truth.first - slack]
        if truth.ignored:
            continue
        tally.by_kind[truth.kind][1] += 1
        if near:
            free.remove(min(near, key=lambda f: abs(f[0] + f[1] - truth.first - truth.stop)))
            tally.found += 1
            tally.by_kind[truth.kind][0] += 1
        else:
            tally.missed += 1
    ignored = [x for x in recording.truths if x.ignored]
    tally.false = sum(not any(f[0] <= x.stop and f[1] >= x.first for x in ignored) for f in free)
    for span in spans:
        if span.end_s - span.start_s >= MIN_CLIP_S:
            tally.clips += 1
            tally.pure += not any(_inside(recording, span, truth) for truth in recording.truths)
            tally.kept_seconds += span.end_s - span.start_s
    return tally


def _inside(recording: Recording, span: Span, truth: Truth) -> bool:
    """Whether a clip shows both sides of a cut, or more than a tenth and two frames of a gradual transition."""
    first, stop = np.searchsorted(recording.seconds, [span.start_s - 1e-6, span.end_s - 1e-6])
    if truth.stop == truth.first:
        return bool(first < truth.first < stop)
    margin = max(TOLERANCE_FRAMES, (truth.stop - truth.first) // 10)
    return bool(min(stop, truth.stop) - max(first, truth.first) > margin)


def total(tallies: Iterable[Tally]) -> Tally:
    """The sum."""
    whole = Tally("all")
    for t in tallies:
        for name in ("found", "missed", "false", "clips", "pure", "seconds", "kept_seconds"):
            setattr(whole, name, getattr(whole, name) + getattr(t, name))
        for kind, (hit, every) in t.by_kind.items():
            whole.by_kind[kind][0] += hit
            whole.by_kind[kind][1] += every
    return whole


def rates(t: Tally) -> dict[str, float]:
    """Figures of a tally; nan where nothing was counted."""
    precision, recall = _share(t.found, t.found + t.false), _share(t.found, t.found + t.missed)
    figures = {
        "f1": _share(2 * t.found, 2 * t.found + t.missed + t.false),
        "precision": precision,
        "recall": recall,
        "purity": _share(t.pure, t.clips),
        "false_per_minute": _share(60 * t.false, t.seconds),
        "kept": _share(t.kept_seconds, t.seconds),
    }
    return figures | {f"recall_{k}": _share(*t.by_kind[k]) for k in KINDS}


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def summary(tallies: Sequence[Tally], *, rounds: int = 1000) -> dict[str, Any]:
    """Figures, 95 % bootstrap intervals over sources, and the source with the lowest F1 (or the most false cuts)."""
    groups: dict[str, list[Tally]] = {}
    for t in tallies:
        groups.setdefault(t.group, []).append(t)
    each = {name: total(ts) for name, ts in groups.items()}
    names, rng = sorted(each), np.random.default_rng(0)
    drawn = [rates(total(each[n] for n in rng.choice(names, len(names)))) for _ in range(rounds)]
    figures = rates(total(each.values()))
    interval = {
        k: [round(float(x), 4) for x in np.nanquantile(values, [0.025, 0.975])]
        for k in figures
        if not np.isnan(values := np.array([d[k] for d in drawn])).all()
    }
    worst = min(
        names, key=lambda n: (rates(each[n])["f1"] if each[n].found + each[n].missed else 2, -each[n].false)
    )
    whole = total(each.values())
    return {
        **{k: round(v, 4) for k, v in figures.items() if v == v},
        "interval": interval,
        "worst": {"source": worst, **{k: getattr(each[worst], k) for k in ("found", "missed", "false")}},
        "videos": len(tallies),
        "sources": len(names),
        "counts": {k: getattr(whole, k) for k in ("found", "missed", "false", "clips", "pure")},
        "minutes": round(whole.seconds / 60, 2),
    }


def timeline_of(network: TemporalNetwork, recording: Recording) -> Timeline:
    """What the detector would store."""
    return observe(shots.ShotMeter(NetworkStream(network)), recording)


def tally_own(recording: Recording, timeline: Timeline, threshold: float = shots.THRESHOLD) -> Tally:
    """Our detector's findings, judged."""
    seconds = timeline["seconds"]
    found = [
        (int(np.searchsorted(seconds, t.start_s - 1e-6)), int(np.searchsorted(seconds, t.end_s - 1e-6)))
        for t in shots.transitions(timeline, threshold)
    ]
    return judge(recording, found, shots.spans(timeline, recording.end_s, threshold))


def rivals() -> dict[str, Callable[[], Any]]:
    """PySceneDetect's detectors at its defaults, save that two cuts may be as near as two frames."""
    d = require_package("scenedetect.detectors", "curate")
    return {
        "PySceneDetect content 27": lambda: d.ContentDetector(min_scene_len=1),
        "PySceneDetect adaptive 3.0": lambda: d.AdaptiveDetector(min_scene_len=1),
        "PySceneDetect threshold 12": lambda: d.ThresholdDetector(min_scene_len=1),
        "PySceneDetect histogram": lambda: d.HistogramDetector(min_scene_len=1),
        "PySceneDetect hash": lambda: d.HashDetector(min_scene_len=1),
    }


def tally_rival(recording: Recording, make: Callable[[], Any]) -> Tally:
    """A PySceneDetect detector's findings, judged; it has no gradual transitions, so clips touch at cuts."""
    timecode = require_package("scenedetect", "curate").FrameTimecode
    detector = make()
    fps = (len(recording.seconds) - 1) / float(recording.seconds[-1] - recording.seconds[0])
    cuts: list[int] = []
    for k, pixels in enumerate(recording.frames):
        found = detector.process_frame(timecode(k, fps=fps), np.ascontiguousarray(pixels[..., ::-1]))
        cuts += [c.frame_num for c in found]
    cuts += [c.frame_num for c in detector.post_process(timecode(len(recording.frames) - 1, fps=fps))]
    cuts = sorted({c for c in cuts if 0 < c < len(recording.frames)})
    edges = [float(recording.seconds[0]), *(float(recording.seconds[c]) for c in cuts), recording.end_s]
    spans = [Span(start_s=a, end_s=b) for a, b in pairwise(edges) if b > a]
    return judge(recording, [(c, c) for c in cuts], spans)
