"""Trains and judges the camera detector: ``python -m worldfoundry.curate.labelled.camera train|evaluate --real FOLDER``.

``train`` fits the logistic models on the train generator, sets their thresholds on the validation generator and writes
``curate/detect/weights/camera.json``. ``evaluate`` runs the test generator over sources that neither has seen, the same
path at several rates and sizes, hand-labelled real clips and the cost, and prints one JSON. ``--cache`` keeps timelines
between runs.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import cv2
import numpy as np

from worldfoundry.core.files import atomic_path
from worldfoundry.curate.labelled.camera_clips import draw_look, measure, render, through_codec
from worldfoundry.curate.labelled.camera_judge import judge, judge_invariance, judge_real, measure_cost
from worldfoundry.curate.labelled.camera_learn import learn
from worldfoundry.curate.labelled.camera_paths import KINDS, draw_path, seed_of
from worldfoundry.curate.labelled.camera_sources import Footage, made_footage, real_footage
from worldfoundry.protocols.curation import Timeline

_MADE = 6
_CLIPS_PER_SOURCE = {"train": 8, "validation": 10, "test": 12}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledTimeline:
    """One measured clip with what was drawn."""

    source: str
    """What the camera looks at."""
    kind: str
    """What was drawn."""
    tags: frozenset[str]
    """What a viewer would say."""
    fps: float
    """Of the clip."""
    effect: str
    """Disturbance."""
    timeline: Timeline
    """What was measured."""


def footages(split: str, real: Path | None) -> Iterator[Footage]:
    """The sources of a split, real ones first."""
    if real is not None:
        yield from real_footage(real, split)
    for number in range(_MADE):
        yield made_footage(split, number)


def labelled_timelines(split: str, real: Path | None, cache: Path | None) -> list[LabelledTimeline]:
    """Every clip of a split, measured."""
    props = [made_footage(split, 90 + k) for k in (0, 1, 3)]
    found = []
    for place, footage in enumerate(footages(split, real)):
        for number in range(_CLIPS_PER_SOURCE[split]):
            rng = seed_of(split, int.from_bytes(hashlib.sha256(footage.name.encode()).digest()[:4]), number)
            kind = _kind(number, place)
            path = draw_path(split, kind, footage, rng)
            look = draw_look(split, kind, rng)
            prop = props[int(rng.integers(0, len(props)))]
            stored = cache / f"{split}-{footage.name}-{number}.npz" if cache else None
            if stored is not None and stored.exists():
                timeline = dict(np.load(stored))
            else:
                timeline = measure(through_codec(render(path, footage, prop, look, rng), look), look.fps)
                if stored is not None:
                    with atomic_path(stored) as temporary, temporary.open("wb") as file:
                        np.savez(file, allow_pickle=False, **timeline)
            found.append(
                LabelledTimeline(
                    source=footage.name,
                    kind=kind,
                    tags=path.tags,
                    fps=look.fps,
                    effect=look.effect,
                    timeline=timeline,
                )
            )
    return found


def _kind(number: int, place: int) -> str:
    """Kinds in their proportions, so that every source has nearly all of them."""
    wheel = [k for k, often in KINDS.items() for _ in range(often)]
    order = np.random.default_rng(3).permutation(len(wheel))
    return wheel[order[(number + 17 * place) % len(wheel)]]


def main() -> None:
    """Train or evaluate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=("train", "evaluate"))
    parser.add_argument("--real", type=Path, help="folder of real footage with manifest.csv")
    parser.add_argument("--cache", type=Path, help="folder that keeps measured timelines between runs")
    parser.add_argument("--out", type=Path, help="JSON file for the result")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    if given.cache:
        given.cache.mkdir(parents=True, exist_ok=True)
    if given.action == "train":
        train, validation = (labelled_timelines(s, given.real, given.cache) for s in ("train", "validation"))
        weights, report = learn(train, validation)
        target = resources.files("worldfoundry.curate.detect").joinpath("weights/camera.json")
        _write(Path(str(target)), weights)
    else:
        report = judge(labelled_timelines("test", given.real, given.cache))
        report["invariance"] = judge_invariance(footages("test", given.real))
        if given.real:
            report["hand_labelled"] = judge_real(given.real)
            report["cost"] = measure_cost(given.real)
    text = json.dumps(report, indent=1)
    print(text)  # noqa: T201  the result of the command
    if given.out:
        _write(given.out, report)


def _write(path: Path, content: object) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
