"""One form of stored clips into another; what the target cannot hold is an error unless it is dropped by name."""

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from worldfoundry.core.errors import DataError
from worldfoundry.core.files import atomic_folder
from worldfoundry.data.clip_set import NewClip, write_clip_set
from worldfoundry.data.files import VIDEO_SUFFIXES
from worldfoundry.data.stored.clip import StoredClip, StoredDataset, StoredVideo
from worldfoundry.data.stored.selection import Selection, dropping
from worldfoundry.data.stored.shards import ShardSample, write_shards
from worldfoundry.data.video_write import write_video

Target = Literal["webdataset", "folder", "clip-set", "lerobot"]
_LEROBOT_NAMES = {"actions": "action", "robot_state": "observation.state"}
"""What the field calls these columns."""
_LEROBOT_HOLDS = frozenset(
    "instruction tasks robot_type views source num_frames height width fps caption".split()
)


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

    ``drop`` names arrays, views, or ``facts``, ``controls``, ``caption``, ``extras`` that are left out. ``crf`` is the
    quality of videos that have to be encoded (0 to 51, smaller is better).
    """
    chosen = Selection(dataset, drop)
    done = Converted(problems=list(dataset.problems))
    writers: dict[str, Callable[[], None]] = {
        "webdataset": lambda: _to_shards(chosen, out, crf, done),
        "folder": lambda: _to_folder(chosen, out, crf, done),
        "clip-set": lambda: _to_clip_set(chosen, out, done),
        "lerobot": lambda: _to_lerobot(chosen, out, crf, done),
    }
    if out.exists():
        raise DataError(f"{out} must not exist yet; name another folder or remove it")
    if not dataset.clips:
        raise DataError(
            f"{dataset.path} must hold a clip that can be used, got none: {'; '.join(done.problems[:3])}"
        )
    writers[target]()
    return done


def _video(chosen: Selection, index: int, view: str, crf: int, done: Converted) -> StoredVideo:
    """The stored video as it is, or its pixels encoded."""
    stored = chosen.dataset.video(index, view)
    if stored is not None:
        done.copied += 1
        return stored
    done.encoded += 1
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "video.mp4"
        write_video(file, chosen.dataset.read_frames(index, view), crf=crf, pad_to_even=False)
        return StoredVideo(".mp4", file.read_bytes())


def _to_shards(chosen: Selection, out: Path, crf: int, done: Converted) -> None:
    keys = chosen.file_names(separator="-")

    def samples() -> Iterator[ShardSample]:
        for index, clip in enumerate(chosen.dataset.clips):
            views = chosen.views(clip)
            yield ShardSample(
                key=keys[index],
                videos={view: _video(chosen, index, view, crf, done) for view in views},
                document=chosen.document(clip),
                arrays=chosen.arrays(index),
                extras=chosen.extras(index),
            )

    done.clips = write_shards(out, samples())


def _to_folder(chosen: Selection, out: Path, crf: int, done: Converted) -> None:
    names = chosen.file_names(separator="/")
    with atomic_folder(out) as folder:
        for index, clip in enumerate(chosen.dataset.clips):
            views = chosen.views(clip)
            stem = folder / names[index]
            stem.parent.mkdir(parents=True, exist_ok=True)
            for view in views:
                video = _video(chosen, index, view, crf, done)
                if video.suffix not in VIDEO_SUFFIXES:
                    raise DataError(
                        f"a folder of videos holds no {video.suffix}, got one of {clip.name}; convert to webdataset"
                    )
                name = stem.name if len(views) == 1 else f"{stem.name}.{view}"
                stem.with_name(f"{name}{video.suffix}").write_bytes(video.read())
            document = chosen.document(clip)
            stem.with_name(f"{stem.name}.json").write_text(
                json.dumps(document, indent=1) + "\n", encoding="utf-8"
            )
            arrays: dict[str, Any] = chosen.arrays(index) | chosen.extras(index)
            if arrays:
                np.savez_compressed(stem.with_name(f"{stem.name}.npz"), **arrays)
            done.clips += 1


def _to_clip_set(chosen: Selection, out: Path, done: Converted) -> None:
    first = chosen.dataset.clips[0]
    for index, clip in enumerate(chosen.dataset.clips):
        if chosen.extras(index):
            raise DataError(
                f"a clip set takes small rows for each frame alone, got also {', '.join(sorted(chosen.extras(index)))} of "
                f"{clip.name}; leave them out with --drop extras"
            )
        if len(chosen.views(clip)) > 1:
            raise DataError(
                f"a clip set holds one view, got {', '.join(chosen.views(clip))} of {clip.name}; leave out others with --drop"
            )
        if clip.entry != first.entry:
            raise DataError(
                f"a clip set holds clips of one length, size and rate, got {first.entry} of {first.name} and {clip.entry} of "
                f"{clip.name}; cut and resize them with 'worldfoundry data prepare'"
            )
    chosen.check_even()
    controls = chosen.common_controls()

    def clips() -> Iterator[NewClip]:
        for index, clip in enumerate(chosen.dataset.clips):
            row = {name: value for name, value in chosen.document(clip).items() if name != "controls"}
            frames = chosen.dataset.read_frames(index, chosen.views(clip)[0])
            yield NewClip(frames.pixels, row, chosen.arrays(index))

    done.clips = len(write_clip_set(out, clips(), fps=first.entry.fps, controls=controls))


def _to_lerobot(chosen: Selection, out: Path, crf: int, done: Converted) -> None:
    from worldfoundry.data.lerobot_write import (  # noqa: PLC0415  needs pyarrow
        LeRobotWriteConfig,
        RecordedEpisode,
        write_lerobot,
    )

    rates = sorted({clip.entry.fps for clip in chosen.dataset.clips})
    if len(rates) > 1:
        raise DataError(
            f"a LeRobot data set has one rate, got {rates} fps; resample with 'worldfoundry data prepare --fps'"
        )
    _check_fits(chosen)
    controls = chosen.common_controls()

    def episodes() -> Iterator[RecordedEpisode]:
        for index, clip in enumerate(chosen.dataset.clips):
            views = chosen.views(clip)
            done.encoded += len(views)
            done.clips += 1
            yield RecordedEpisode(
                task=_task(chosen, clip),
                columns={
                    _LEROBOT_NAMES.get(name, name): values for name, values in chosen.arrays(index).items()
                },
                videos={
                    view
                    if view.startswith("observation.images.")
                    else f"observation.images.{view}": chosen.dataset.read_frames(index, view).pixels
                    for view in views
                },
            )

    actions = controls.actions if controls else None
    names = {"action": tuple(c.name for c in actions.channels)} if actions else {}
    robots = {str(clip.facts.get("robot_type", "")) for clip in chosen.dataset.clips}
    config = LeRobotWriteConfig(
        fps=rates[0],
        robot_type=robots.pop() if len(robots) == 1 else "",
        names=names,
        controls=controls,
        crf=crf,
    )
    write_lerobot(out, episodes(), config)


def _task(chosen: Selection, clip: StoredClip) -> str:
    return str(clip.facts.get("instruction") or ("" if "caption" in chosen.drop else clip.caption))


def _check_fits(chosen: Selection) -> None:
    """Refuse what an episode cannot hold (it has rows of numbers [t] or [t, n], a task, the robot's name), all at once."""
    clips, lost = chosen.dataset.clips, dict[str, str]()
    extras = {name for k in range(len(clips)) for name in chosen.extras(k)}
    wide = {name for k in range(len(clips)) for name, v in chosen.arrays(k).items() if v.ndim > 2}
    facts = sorted({name for clip in clips for name in clip.facts} - _LEROBOT_HOLDS)
    if len({clip.source for clip in clips}) < len(clips):
        facts.append("source (shared by clips)")
    if extras:
        lost["extras"] = f"{', '.join(sorted(extras))} (not small rows for each frame)"
    if facts and "facts" not in chosen.drop:
        lost["facts"] = f"the facts {', '.join(facts)}"
    if "caption" not in chosen.drop and any(c.caption and _task(chosen, c) != c.caption for c in clips):
        lost["caption"] = "a caption beside the instruction"
    lost |= {name: f"{name} (a matrix for each frame)" for name in sorted(wide)}
    if lost:
        raise DataError(
            f"a LeRobot data set has no place for {'; '.join(lost.values())}; leave them out with "
            + dropping(lost)
        )
