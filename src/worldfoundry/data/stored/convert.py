"""One form of stored clips into another; what the target cannot hold is an error unless it is dropped by name."""

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from worldfoundry.core.config import to_json
from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.core.files import atomic_folder
from worldfoundry.data.clip_set import NewClip, write_clip_set
from worldfoundry.data.stored.clip import MAIN, StoredClip, StoredDataset
from worldfoundry.data.stored.shards import ShardSample, write_shards
from worldfoundry.data.video_write import write_video
from worldfoundry.protocols.control import ControlSpec

Target = Literal["webdataset", "folder", "clip-set", "lerobot"]
_LEROBOT_NAMES = {"actions": "action", "robot_state": "observation.state"}
"""What the field calls these columns."""


@dataclass(slots=True, kw_only=True)
class Converted:
    """What came of it."""

    clips: int = 0
    """Clips written."""
    encoded: int = 0
    """Videos that had to be encoded: their pixels are near the source's, not equal."""
    copied: int = 0
    """Videos copied byte by byte."""
    problems: list[str] = field(default_factory=list)
    """Clips that could not be read and were left out."""


def convert(
    dataset: StoredDataset, out: Path, target: Target, *, drop: tuple[str, ...] = (), crf: int = 12
) -> Converted:
    """Write every clip of ``dataset`` to ``out``, whole or not at all.

    ``drop`` names arrays, views, or ``facts``, ``controls``, ``caption`` that are left out. ``crf`` is the quality of videos
    that have to be encoded (0 to 51, smaller is better).
    """
    _check_drop(dataset, drop)
    done = Converted(problems=list(dataset.problems))
    writers: dict[str, Callable[[], None]] = {
        "webdataset": lambda: _to_shards(dataset, out, drop, crf, done),
        "folder": lambda: _to_folder(dataset, out, drop, crf, done),
        "clip-set": lambda: _to_clip_set(dataset, out, drop, done),
        "lerobot": lambda: _to_lerobot(dataset, out, drop, crf, done),
    }
    if out.exists():
        raise DataError(f"{out} must not exist yet; name another folder or remove it")
    if not dataset.clips:
        raise DataError(
            f"{dataset.path} must hold a clip that can be used, got none: {'; '.join(done.problems[:3])}"
        )
    writers[target]()
    return done


def _check_drop(dataset: StoredDataset, drop: tuple[str, ...]) -> None:
    known = {"facts", "controls", "caption", *(v for c in dataset.clips for v in c.views)}
    if dataset.clips:
        known |= set(dataset.read_arrays(0))
    for name in drop:
        if name not in known:
            raise ConfigError(
                f"--drop must name what the clips have ({', '.join(sorted(known))}), got {name!r}; correct it"
            )


def _views(clip: StoredClip, drop: tuple[str, ...]) -> list[str]:
    kept = [view for view in clip.views if view not in drop]
    if not kept:
        raise ConfigError(f"--drop must leave a view of {clip.name}, got {', '.join(drop)}; keep one")
    return kept


def _arrays(dataset: StoredDataset, index: int, drop: tuple[str, ...]) -> dict[str, np.ndarray]:
    return {name: values for name, values in dataset.read_arrays(index).items() if name not in drop}


def _document(clip: StoredClip, drop: tuple[str, ...], views: list[str]) -> dict[str, Any]:
    """Everything in words and numbers, as one JSON object."""
    e = clip.entry
    document: dict[str, Any] = {} if "facts" in drop else dict(clip.facts)
    document |= {
        "source": clip.source,
        "num_frames": e.num_frames,
        "height": e.height,
        "width": e.width,
        "fps": e.fps,
    }
    if clip.caption and "caption" not in drop:
        document["caption"] = clip.caption
    if clip.controls is not None and "controls" not in drop:
        document["controls"] = to_json(clip.controls)
    return document | ({"views": views} if views != [MAIN] else {})


def _video(dataset: StoredDataset, index: int, view: str, crf: int, done: Converted) -> bytes:
    """The stored video as it is, or its pixels encoded."""
    stored = dataset.video(index, view)
    if isinstance(stored, Path) and stored.suffix.lower() == ".mp4":
        stored = stored.read_bytes()
    if isinstance(stored, bytes):
        done.copied += 1
        return stored
    done.encoded += 1
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "video.mp4"
        write_video(file, dataset.read_frames(index, view), crf=crf, pad_to_even=False)
        return file.read_bytes()


def _to_shards(dataset: StoredDataset, out: Path, drop: tuple[str, ...], crf: int, done: Converted) -> None:
    def samples() -> Iterator[ShardSample]:
        for index, clip in enumerate(dataset.clips):
            views = _views(clip, drop)
            yield ShardSample(
                key=clip.name.replace("/", "-").replace(".", "-"),
                videos={view: _video(dataset, index, view, crf, done) for view in views},
                document=_document(clip, drop, views),
                arrays=_arrays(dataset, index, drop),
            )

    _check_unique(clip.name.replace("/", "-").replace(".", "-") for clip in dataset.clips)
    done.clips = write_shards(out, samples())


def _to_folder(dataset: StoredDataset, out: Path, drop: tuple[str, ...], crf: int, done: Converted) -> None:
    with atomic_folder(out) as folder:
        for index, clip in enumerate(dataset.clips):
            views = _views(clip, drop)
            stem = folder / clip.name.replace(".", "-")
            stem.parent.mkdir(parents=True, exist_ok=True)
            for view in views:
                name = f"{stem.name}.mp4" if views == [MAIN] or len(views) == 1 else f"{stem.name}.{view}.mp4"
                stem.with_name(name).write_bytes(_video(dataset, index, view, crf, done))
            document = _document(clip, drop, views if len(views) > 1 else [MAIN])
            stem.with_name(f"{stem.name}.json").write_text(
                json.dumps(document, indent=1) + "\n", encoding="utf-8"
            )
            arrays: dict[str, Any] = _arrays(dataset, index, drop)
            if arrays:
                np.savez_compressed(stem.with_name(f"{stem.name}.npz"), **arrays)
            done.clips += 1


def _to_clip_set(dataset: StoredDataset, out: Path, drop: tuple[str, ...], done: Converted) -> None:
    first = dataset.clips[0]
    for clip in dataset.clips:
        if len(_views(clip, drop)) > 1:
            raise DataError(
                f"a clip set holds one view, got {', '.join(_views(clip, drop))} of {clip.name}; leave out others with --drop"
            )
        if clip.entry != first.entry:
            raise DataError(
                f"a clip set holds clips of one length, size and rate, got {first.entry} of {first.name} and {clip.entry} of "
                f"{clip.name}; cut and resize them with 'worldfoundry data prepare'"
            )
    controls = None if "controls" in drop else _one_controls(dataset)
    like = {name: values.shape for name, values in _arrays(dataset, 0, drop).items()}

    def clips() -> Iterator[NewClip]:
        for index, clip in enumerate(dataset.clips):
            shapes = {name: values.shape for name, values in _arrays(dataset, index, drop).items()}
            other = sorted(name for name in {*like, *shapes} if like.get(name) != shapes.get(name))
            if other:
                raise DataError(
                    f"a clip set holds the same arrays of every clip, got {other[0]} {list(like.get(other[0], ()))} of "
                    f"{first.name} and {list(shapes.get(other[0], ()))} of {clip.name}; leave out {', '.join(other)} with --drop"
                )
            row = _document(clip, (*drop, "controls"), [MAIN])
            frames = dataset.read_frames(index, _views(clip, drop)[0])
            yield NewClip(frames.pixels, row, _arrays(dataset, index, drop))

    done.clips = len(write_clip_set(out, clips(), fps=first.entry.fps, controls=controls))


def _to_lerobot(dataset: StoredDataset, out: Path, drop: tuple[str, ...], crf: int, done: Converted) -> None:
    from worldfoundry.data.lerobot_write import (  # noqa: PLC0415  needs pyarrow
        LeRobotWriteConfig,
        RecordedEpisode,
        write_lerobot,
    )

    rates = sorted({clip.entry.fps for clip in dataset.clips})
    if len(rates) > 1:
        raise DataError(
            f"a LeRobot data set has one rate, got {rates} fps; resample with 'worldfoundry data prepare --fps'"
        )
    held = {"instruction", "tasks", "robot_type", "views", "source", *_SAID_BY_THE_FORMAT}
    beyond = sorted({name for clip in dataset.clips for name in clip.facts} - held)
    if beyond and "facts" not in drop:
        raise DataError(
            f"a LeRobot data set has no place for the facts {', '.join(beyond[:8])}{' …' if len(beyond) > 8 else ''}; leave them "
            "out with --drop facts"
        )
    controls = None if "controls" in drop else _one_controls(dataset)

    def episodes() -> Iterator[RecordedEpisode]:
        for index, clip in enumerate(dataset.clips):
            views = _views(clip, drop)
            done.encoded += len(views)
            done.clips += 1
            yield RecordedEpisode(
                task=str(clip.facts.get("instruction") or clip.caption),
                columns={
                    _LEROBOT_NAMES.get(name, name): _column(name, values)
                    for name, values in _arrays(dataset, index, drop).items()
                },
                videos={
                    view
                    if view.startswith("observation.images.")
                    else f"observation.images.{view}": dataset.read_frames(index, view).pixels
                    for view in views
                },
            )

    actions = controls.actions if controls else None
    names = {"action": tuple(c.name for c in actions.channels)} if actions else {}
    robots = {str(clip.facts.get("robot_type", "")) for clip in dataset.clips}
    config = LeRobotWriteConfig(
        fps=rates[0],
        robot_type=robots.pop() if len(robots) == 1 else "",
        names=names,
        controls=controls,
        crf=crf,
    )
    write_lerobot(out, episodes(), config)


_SAID_BY_THE_FORMAT = frozenset(("num_frames", "height", "width", "fps", "caption"))


def _column(name: str, values: np.ndarray) -> np.ndarray:
    if values.ndim > 2:
        raise DataError(
            f"a LeRobot data set takes numbers [t] or [t, n], got {name} of {list(values.shape)}; leave it out with --drop {name}"
        )
    return values


def _one_controls(dataset: StoredDataset) -> ControlSpec | None:
    """The controls that all clips share, the cameras of one clip apart where they differ from clip to clip."""
    found = [clip.controls for clip in dataset.clips]
    if all(c == found[0] for c in found):
        return found[0]
    bare = [None if c is None else replace(c, cameras=()) for c in found]
    if all(c == bare[0] for c in bare):
        return bare[0]
    raise DataError(
        f"{dataset.path} must have one meaning of its controls to be stored once, got different ones; convert the parts "
        "apart, or leave them out with --drop controls"
    )


def _check_unique(names: Iterable[str]) -> None:
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise DataError(f"clips must have names that differ, got {twice[0]!r} twice; rename a file")
