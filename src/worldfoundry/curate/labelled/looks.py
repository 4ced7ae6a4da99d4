"""Trains and judges the looks detectors: technical quality, overlaid text, video type.

    python -m worldfoundry.curate.labelled.looks train --real FOLDER
    python -m worldfoundry.curate.labelled.looks evaluate --real FOLDER

FOLDER holds real footage; ``looks_clips.py`` says which file belongs to which split. Features are measured once and kept
in the cache folder. ``train`` writes ``curate/detect/weights/``, ``evaluate`` the JSON files of ``docs/models/``.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from worldfoundry.core.files import atomic_path
from worldfoundry.curate.labelled import looks_fitting as fitting
from worldfoundry.curate.labelled import looks_fitting_kind as fitting_kind
from worldfoundry.curate.labelled import looks_invariance as invariance
from worldfoundry.curate.labelled import looks_judge as judge
from worldfoundry.curate.labelled import looks_tables as tables
from worldfoundry.curate.labelled import looks_tables_quality as quality_tables
from worldfoundry.curate.labelled import overlays_fitting

_SEED = 0
_SCORE = {"quality": "quality", "overlay-text": "overlay_text", "video-type": "type_natural"}
DETECTORS = tuple(_SCORE)


def train(real: Path, cache: Path, detectors: Sequence[str]) -> None:
    """Fit on the training sources, calibrate on the validation sources."""
    if "quality" in detectors:
        clean = quality_tables.resized_items(real, cache)
        fitting.fit_quality([*quality_tables.quality_items(real, cache, "train"), *clean], seed=_SEED)
        fitting.fit_combination(quality_tables.quality_items(real, cache, "val"), seed=_SEED)
    if "overlay-text" in detectors:
        seen = overlays_fitting.fit_drawn(tables.overlay_items(real, cache, "train"), seed=_SEED)
        fitting.fit_overlay(seen, seed=_SEED)
    if "video-type" in detectors:
        fitting_kind.fit_kind(tables.kind_items(real, cache, "train"), seed=_SEED)
        fitting_kind.sharpen_kind(tables.kind_items(real, cache, "val"))


def evaluate(real: Path, cache: Path, out: Path, detectors: Sequence[str], split: str) -> None:
    """Judge on sources that nothing was fitted or chosen on; ``split`` val is for choosing."""
    work = {
        "quality": (
            judge.judge_quality,
            quality_tables.quality_items,
            quality_tables.real_quality_items,
        ),
        "overlay-text": (judge.judge_overlay, tables.overlay_items, tables.real_overlay_items),
        "video-type": (judge.judge_kind, tables.kind_items, tables.real_kind_items),
    }
    steady = invariance.judge_invariance(real, split)
    for name in detectors:
        judged, generated, untouched = work[name]
        facts = {"split": split} | judged(generated(real, cache, split), untouched(real, cache, split))
        facts["invariance"] = {k: v for k, v in steady.items() if k.endswith(_SCORE[name])}
        with atomic_path(out / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(facts, indent=1) + "\n")
        sys.stdout.write(f"{out / name}.json\n")


def main() -> None:
    """Parse the command line and do it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("train", "evaluate"))
    parser.add_argument("--real", type=Path, required=True, help="folder of real footage")
    parser.add_argument(
        "--cache", type=Path, default=Path(".looks-cache"), help="folder of measured features"
    )
    parser.add_argument("--out", type=Path, default=Path("docs/models"), help="folder of the results")
    parser.add_argument(
        "--only", choices=DETECTORS, action="append", help="one detector instead of all three"
    )
    parser.add_argument("--split", choices=("val", "test"), default="test", help="what to judge on")
    given = parser.parse_args()
    detectors = tuple(given.only or DETECTORS)
    if given.what == "train":
        train(given.real, given.cache, detectors)
    else:
        evaluate(given.real, given.cache, given.out, detectors, given.split)


if __name__ == "__main__":
    main()
