"""How little the looks scores move when a clip has fewer frames a second or a smaller picture."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from av.video.reformatter import Interpolation

from worldfoundry.curate.detect import kind, overlay, quality
from worldfoundry.curate.labelled.looks_clips import (
    DecodedView,
    decode,
    list_footage,
    resized,
    timeline_of,
)

_SECONDS, _MOST_FRAMES = 5.0, 200
_LEAST_FPS, _LEAST_SIDE = 15, 360
SCORES = ("quality", "overlay_text", "type_natural")


def judge_invariance(folder: Path, split: str) -> dict[str, Any]:
    """Differences of each score against the clip as it is, over the first seconds of every source of a split."""
    moved: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for footage in list_footage(folder):
        if footage.split != split:
            continue
        views = [v for v in decode(footage.path, max_frames=_MOST_FRAMES) if v.seconds < _SECONDS]
        before = _scores(views)
        for name, changed in _changes(views):
            for score, old, new in zip(SCORES, before, _scores(changed), strict=True):
                moved.setdefault((name, score), []).append((abs(new - old), footage.path.stem))
    return {f"{name}, {score}": _summary(found) for (name, score), found in moved.items()}


def _changes(views: list[DecodedView]) -> Iterator[tuple[str, list[DecodedView]]]:
    fps = (len(views) - 1) / max(1e-3, views[-1].seconds - views[0].seconds)
    if fps >= _LEAST_FPS:
        yield "half the frames", views[::2]
        yield "a third of the frames", views[::3]
    frame = views[0].frame
    if min(frame.width, frame.height) >= _LEAST_SIDE:
        for name, factor in (("three quarters of the size", 0.75), ("half the size", 0.5)):
            yield name, [resized(v, factor, Interpolation.AREA) for v in views]


def _scores(views: list[DecodedView]) -> tuple[float, ...]:
    """In the order of ``SCORES``."""
    lines = [
        timeline_of(detector, iter(views))
        for detector in (quality.QualityDetector(), overlay.OverlayDetector(), kind.KindDetector())
    ]
    return (
        quality.score(lines[0], 0.0, 1e9).quality,
        overlay.score(lines[1], 0.0, 1e9).overlay_text,
        kind.score(lines[2], 0.0, 1e9).type_natural,
    )


def _summary(found: list[tuple[float, str]]) -> dict[str, Any]:
    values = np.array([value for value, _ in found])
    worst = max(found)
    return {
        "clips": len(found),
        "median": round(float(np.median(values)), 4),
        "within_0.1": round(float((values <= 0.1).mean()), 4),
        "worst": {"source": worst[1], "value": round(worst[0], 4)},
    }
