"""Trains the shot detector and judges it: ``python -m worldfoundry.curate.labelled.shots train|evaluate --real FOLDER``.

Training uses ``transitions_train`` on the training sources; thresholds are chosen with ``transitions_val`` on the validation
sources and become part of the weights; ``evaluate`` alone opens ``transitions_test`` and the hand-labelled films.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from functools import cache as once
from pathlib import Path

import numpy as np

from worldfoundry.core.files import atomic_path
from worldfoundry.curate.detect.shot_network import TemporalNetwork, load_network
from worldfoundry.curate.detect.shots import WEIGHTS
from worldfoundry.curate.labelled import (
    shots_judge,
    shots_learn,
    transitions_test,
    transitions_train,
    transitions_val,
)
from worldfoundry.curate.labelled.footage import Footage, drawn_footage, group_of, real_footage, split_of
from worldfoundry.curate.labelled.recording import Recording, Truth
from worldfoundry.curate.labelled.transitions_views import views
from worldfoundry.data.video_io import iter_frames, probe

CODED, PER_CODED, VIEWS = 2, 50, 3
"""Files of videos that pass a codec, videos in each, and further views of each video."""
SMALL, PER_SMALL = 6, 250
"""Files of videos that are composed as thumbnails, and videos in each."""
DRAWN = {"train": 42, "validation": 8, "test": 12}
"""Drawn pieces of each split."""
MORE_DRAWN = 30
"""Drawn pieces that only those are composed from, besides the sources of the others."""
VALIDATION, TEST = 140, 96
"""Videos of the other two generators."""
MEMBERS = 2
"""Networks that stand side by side."""
_OFFSETS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0)


def footage(split: str, real: Path | None, cache: Path) -> list[Footage]:
    """Sources of a split: drawn ones, and real ones if there is a folder."""
    drawn = drawn_footage(split, 0, count=DRAWN[split])
    found = real_footage(real, split, cache) if real else []
    return drawn + (2 if split == "train" else 1) * found


def train(real: Path | None, cache: Path, *, steps: int, weights: Path, log: Path) -> None:
    """Make examples, fit, calibrate, write."""
    cache.mkdir(parents=True, exist_ok=True)
    sources = once(lambda: footage("train", real, cache))
    small = once(lambda: [transitions_train.shrunk(f) for f in _with_more(sources())])
    examples = []
    for part in range(CODED):
        examples += shots_learn.load_or_make(cache / f"coded{part}.npz", _coded(part, sources))
    for part in range(SMALL):
        examples += shots_learn.load_or_make(cache / f"small{part}.npz", _small(part, small))
    members = []
    for seed in range(MEMBERS):
        network = None
        for step, loss, average in shots_learn.fit(examples, steps=steps, seed=seed):
            network = average
            print(f"network {seed} step {step} loss {loss:.4f}", file=sys.stderr, flush=True)  # noqa: T201 - progress of a long run
        assert network is not None
        members.append(network.weights())
    found = shots_learn.side_by_side(members)
    shots_learn.save(weights, found)
    chosen = calibrate(found, validation(real, cache))
    shots_learn.save(weights, found)
    _write(
        log, {"steps": steps, "videos": len(examples), "frames": sum(len(e.rows) for e in examples), **chosen}
    )


def _coded(part: int, sources: Callable[[], list[Footage]]) -> Iterator[Recording]:
    for k in range(part * PER_CODED, (part + 1) * PER_CODED):
        yield from views(np.random.default_rng([13, k]), transitions_train.make(k, sources()), VIEWS)


def _small(part: int, sources: Callable[[], list[Footage]]) -> Iterator[Recording]:
    for k in range(part * PER_SMALL, (part + 1) * PER_SMALL):
        yield transitions_train.make_small(k, sources())


def _with_more(sources: list[Footage]) -> list[Footage]:
    drawn = DRAWN["train"]
    return sources[:drawn] + drawn_footage("train", 1, count=MORE_DRAWN) + sources[drawn:]


def validation(real: Path | None, cache: Path) -> list[Recording]:
    """The validation videos, and the real validation files as single shots."""
    sources = footage("validation", real, cache)
    made = [transitions_val.make(k, sources) for k in range(VALIDATION)]
    return made + ([single(f) for f in real_footage(real, "validation", cache)] if real else [])


def calibrate(weights: dict[str, np.ndarray], recordings: list[Recording]) -> dict:
    """Shift the outputs so that a threshold of one half is best on validation: F1, purity, what is kept, less false cuts."""
    timelines = [shots_judge.timeline_of(TemporalNetwork(weights), r) for r in recordings]
    best = (-1.0, 0.0, 0.0, {})
    for cut in _OFFSETS:
        for gradual in _OFFSETS:
            moved = [
                t | {"p_cut": _moved(t["p_cut"], cut), "p_gradual": _moved(t["p_gradual"], gradual)}
                for t in timelines
            ]
            tallies = [shots_judge.tally_own(r, t) for r, t in zip(recordings, moved, strict=True)]
            figures = shots_judge.rates(shots_judge.total(tallies))
            single = [t for t, r in zip(tallies, recordings, strict=True) if not r.truths]
            false = shots_judge.rates(shots_judge.total(single))["false_per_minute"]
            score = figures["f1"] + 0.3 * figures["purity"] + 0.2 * figures["kept"]
            score -= 0.05 * (false if single else 0.0)
            if score > best[0]:
                best = (score, cut, gradual, {k: round(v, 4) for k, v in figures.items()})
    weights["leave.bias"][..., :2] += (best[1], best[2])
    return {"offset_cut": best[1], "offset_gradual": best[2], "validation": best[3]}


def _moved(p: np.ndarray, offset: float) -> np.ndarray:
    q = p.astype(np.float64).clip(1e-7, 1 - 1e-7)
    return (1 / (1 + np.exp(-np.log(q / (1 - q)) - offset))).astype(np.float16)


def single(piece: Footage) -> Recording:
    """Real footage of one shot as it is."""
    return Recording(piece.name, piece.group, piece.frames, np.arange(len(piece.frames)) / piece.fps, ())


def labelled(path: Path, marks: dict) -> Recording:
    """A real film with its labels, 256 columns wide."""
    info = probe(path)
    height = round(info.height * 256 / info.width / 2) * 2
    decoded = list(iter_frames(path, height=height, width=256))
    truths = [Truth(k, k, "cut") for k in marks["cuts"]] + [
        Truth(a, b, kind) for a, b, kind in marks["gradual"]
    ]
    truths += [Truth(a, b, "fade", ignored=True) for a, b in marks["ignored"]]
    seconds = np.array([f.seconds for f in decoded])
    return Recording(
        path.name, group_of(path.name), np.stack([f.pixels for f in decoded]), seconds, tuple(truths)
    )


def evaluate(real: Path | None, cache: Path, labels: Path, *, weights: Path) -> dict:
    """Figures on the test generator, the hand-labelled films and the single shots, with PySceneDetect's beside them."""
    network = load_network(weights)
    sources = footage("test", real, cache)
    sets = {"synthetic": (transitions_test.make(k, sources) for k in range(TEST))}
    if real:
        marks = json.loads(labels.read_text())
        films = {name: m for name, m in marks.items() if name != "note"}
        sets["films"] = (labelled(real / name, m) for name, m in films.items())
        files = sorted(
            p for p in real.iterdir() if p.suffix in {".mp4", ".mkv"} and split_of(p.name) == "test"
        )
        nothing = {"cuts": [], "gradual": [], "ignored": []}
        sets["single shots"] = (labelled(p, nothing) for p in files)
    report = {}
    for name, recordings in sets.items():
        rows: dict[str, list] = {}
        for r in recordings:
            rows.setdefault("ours", []).append(shots_judge.tally_own(r, shots_judge.timeline_of(network, r)))
            for rival, make in shots_judge.rivals().items():
                rows.setdefault(rival, []).append(shots_judge.tally_rival(r, make))
        report[name] = {row: shots_judge.summary(tallies) for row, tallies in rows.items()}
    return report


def _write(path: Path, content: dict) -> None:
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", choices=["train", "evaluate"])
    parser.add_argument(
        "--real", type=Path, help="folder of real footage; without it only drawn footage is used"
    )
    parser.add_argument("--cache", type=Path, required=True, help="folder for examples and decoded footage")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--labels", type=Path, default=Path("docs/models/shots-labels.json"))
    parser.add_argument("--out", type=Path, default=Path("docs/models/shots.json"))
    args = parser.parse_args()
    before = json.loads(args.out.read_text()) if args.out.exists() else {}
    if args.job == "train":
        log = args.cache / "training.json"
        train(args.real, args.cache, steps=args.steps, weights=args.weights, log=log)
        _write(args.out, {**before, "training": json.loads(log.read_text())})
    else:
        _write(
            args.out, {**before, "test": evaluate(args.real, args.cache, args.labels, weights=args.weights)}
        )


if __name__ == "__main__":
    main()
