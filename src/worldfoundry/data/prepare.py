"""From clips of any form to clip sets: resize, cut squares, cut lengths, split by source; asked for and recorded."""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.core.files import atomic_folder
from worldfoundry.data.clip_set import ClipSet, NewClip, open_clip_set, write_clip_set
from worldfoundry.data.fit import resize, square_offsets, squares
from worldfoundry.data.stored.clip import StoredClip, StoredDataset
from worldfoundry.data.stored.selection import Selection, dropping
from worldfoundry.data.video_io import resample_rate
from worldfoundry.protocols.control import ControlSpec
from worldfoundry.protocols.frames import Frames

_SAME_RATE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareConfig:
    """How to cut videos into clips of one shape."""

    size: int = 64
    """Side of the square clips, pixels; the shorter side of the video is resized to it."""
    fps: float | None = None
    """Frame rate to resample to, the nearest source frame in time is taken; ``None`` keeps the rate, which must be one."""
    num_frames: int = 37
    """Frames of each clip."""
    crops: int = 1
    """Squares along the longer side: 1 takes the centre, 3 also both ends."""
    split: tuple[tuple[str, float], ...] = ()
    """Names and shares of parts, such as train 0.9 and validation 0.1; empty: one set. All clips of a source go together."""
    drop: tuple[str, ...] = ()
    """Arrays, views, ``facts``, ``caption`` or ``controls`` to leave out; one view has to remain."""

    def __post_init__(self):
        for name, holds, rule, fix in (
            ("size", self.size >= 8, "must be at least 8", "use 64"),
            ("fps", self.fps is None or 0 < self.fps < math.inf, "must be above 0", "use 10"),
            ("num_frames", self.num_frames >= 1, "must be at least 1", "use 37"),
            ("crops", self.crops in (1, 3), "must be 1 or 3", "use one of them"),
            (
                "split",
                self._is_split(),
                "must be names with shares above 0 that sum to 1",
                "write train=0.9,test=0.1",
            ),
        ):
            if not holds:
                raise ConfigError(f"{name} {rule}, got {getattr(self, name)}; {fix}")

    def _is_split(self) -> bool:
        names, shares = [n for n, _ in self.split], [s for _, s in self.split]
        return not self.split or (
            len(set(names)) == len(names)
            and all(name.isidentifier() for name in names)
            and min(shares) > 0
            and abs(sum(shares) - 1) < 1e-6
        )


def prepare(dataset: StoredDataset, out: Path, config: PrepareConfig) -> tuple[dict[str, ClipSet], list[str]]:
    """Cut every clip of ``dataset`` and write one clip set, or one a part of the split; also why clips were left out.

    The rest of a clip that fills no window is not used. A clip that cannot be used does not stop the others. The parts stand
    in ``<out>/<part>``, with ``<out>/split.json`` saying which source went where, and a hash of that.
    """
    left_out = list(dataset.problems)
    chosen = Selection(dataset, config.drop)
    for clip in dataset.clips:
        _one_view(chosen, clip)
    fps = _rate(dataset.clips, config)
    _check_rows(chosen, fps)
    chosen.check_even()
    controls = _controls(chosen)
    if not config.split:
        everything = list(range(len(dataset.clips)))
        return {"": _write(chosen, out, config, fps, left_out, everything, controls)}, left_out
    parts = split_sources(sorted({clip.source for clip in dataset.clips}), config.split)
    with atomic_folder(out) as folder:
        for part, sources in parts.items():
            indices = [k for k, clip in enumerate(dataset.clips) if clip.source in sources]
            _write(chosen, folder / part, config, fps, left_out, indices, controls)
        document = {"shares": dict(config.split), "sources": parts, "hash": split_hash(parts)}
        (folder / "split.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return {part: open_clip_set(out / part) for part in parts}, left_out


def split_sources(sources: list[str], shares: tuple[tuple[str, float], ...]) -> dict[str, list[str]]:
    """Part to sources, by the hash of each name alone: more sources later move none that is there."""
    parts: dict[str, list[str]] = {name: [] for name, _ in shares}
    bounds = np.cumsum([share for _, share in shares])
    for source in sources:
        place = int.from_bytes(hashlib.sha256(source.encode()).digest()[:8]) / 2**64
        parts[shares[min(int(np.searchsorted(bounds, place, side="right")), len(shares) - 1)][0]].append(
            source
        )
    empty = [name for name, found in parts.items() if not found]
    if empty:
        raise DataError(
            f"split {empty[0]!r} must get a source, got none of {len(sources)}; raise its share or add sources"
        )
    return parts


def split_hash(parts: dict[str, list[str]]) -> str:
    """Sixteen hex digits that name a split."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _rate(clips: Any, config: PrepareConfig) -> float:
    """The rate of the set: asked for, or the one that all clips have."""
    if config.fps is not None:
        return config.fps
    rates = sorted({clip.entry.fps for clip in clips})
    if rates and not _is_same(rates[0], rates[-1]):
        shown = ", ".join(f"{rate:.3g}" for rate in rates[:6])
        raise DataError(
            f"clips must have one rate, got {shown} fps; resample them with --fps, at most {rates[0]:.3g} to use all"
        )
    return rates[0] if rates else 10.0


def _one_view(chosen: Selection, clip: StoredClip) -> str:
    views = chosen.views(clip)
    if len(views) > 1:
        raise DataError(
            f"{chosen.dataset.path}/{clip.name} must be of one view to be prepared, got {', '.join(views)}; leave out all but "
            f"one, {dropping(views[1:])}"
        )
    return views[0]


def _check_rows(chosen: Selection, fps: float) -> None:
    """Refuse a rate that would leave out every clip for its numbers per frame, with the options that leave those out instead."""
    clips = chosen.dataset.clips
    if not clips or any(
        _is_same(clip.entry.fps, fps) or not chosen.arrays(k) for k, clip in enumerate(clips)
    ):
        return
    names = sorted({name for k in range(len(clips)) for name in chosen.arrays(k)})
    raise DataError(
        f"{chosen.dataset.path}: {', '.join(names)} must stay at {clips[0].entry.fps:g} rows a second, got --fps {fps:g}: "
        f"numbers per frame are not resampled; keep the rate, or leave them out with {dropping(names)}"
    )


def _is_same(rate: float, fps: float) -> bool:
    return abs(rate - fps) <= _SAME_RATE * fps


def _write(
    chosen: Selection,
    out: Path,
    config: PrepareConfig,
    fps: float,
    left_out: list[str],
    indices: list[int],
    controls: ControlSpec | None,
) -> ClipSet:
    clips = _clips(chosen, config, fps, left_out, indices)
    first = next(clips, None)
    if first is None:
        more = f"; and {len(left_out) - 5} more" if len(left_out) > 5 else ""
        raise DataError(
            f"{chosen.dataset.path} must hold a video that can be used, got {len(left_out)} that cannot: "
            f"{'; '.join(left_out[:5])}{more}"
        )
    return write_clip_set(out, chain([first], clips), fps=fps, controls=controls)


def _controls(chosen: Selection) -> ControlSpec | None:
    """What the actions mean; cameras change with every crop, and a trajectory starts where its clip did: neither is kept."""
    found = chosen.common_controls()
    return None if found is None or found.actions is None else ControlSpec(actions=found.actions)


def _clips(
    chosen: Selection, config: PrepareConfig, fps: float, left_out: list[str], indices: list[int]
) -> Iterator[NewClip]:
    """Clips and their rows, one video in memory at a time; adds to ``left_out``."""
    for index in indices:
        try:
            yield from _cut(chosen, index, config, fps)
        except DataError as error:
            left_out.append(str(error))


def _cut(chosen: Selection, index: int, config: PrepareConfig, fps: float) -> Iterator[NewClip]:
    dataset, clip = chosen.dataset, chosen.dataset.clips[index]
    where = f"{dataset.path}/{clip.name}"
    frames, arrays = dataset.read_frames(index, _one_view(chosen, clip)), chosen.arrays(index)
    if not _is_same(frames.fps, clip.entry.fps):
        raise DataError(
            f"{where} must run at the {clip.entry.fps:g} fps that are stated of it, got {frames.fps:g}; correct one"
        )
    facts = chosen.facts(clip)
    if not _is_same(frames.fps, fps):
        if arrays:
            raise DataError(
                f"{where}: {', '.join(arrays)} must stay at {clip.entry.fps:g} rows a second, got --fps {fps:g}: numbers per "
                f"frame are not resampled; keep the rate, or leave them out with {dropping(arrays)}"
            )
        facts = {n: v for n, v in facts.items() if not _is_by_frame(v, len(frames.pixels))}
        frames = resample_rate(frames, fps, source=where)
    if len(frames.pixels) < config.num_frames:
        raise DataError(
            f"{where} must last {config.num_frames} frames at {fps:g} fps, got {len(frames.pixels)}; lower --num-frames or leave "
            "it out"
        )
    yield from _windows(facts, frames, arrays, config)


def _is_by_frame(value: Any, num_frames: int) -> bool:
    """Whether a fact is a list with a number, or rows of numbers, for each frame."""
    return (
        isinstance(value, list)
        and len(value) == num_frames > 1
        and all(isinstance(v, (int, float, list)) for v in value)
    )


def _windows(
    facts: dict[str, Any], frames: Frames, arrays: dict[str, np.ndarray], config: PrepareConfig
) -> Iterator[NewClip]:
    h, w = frames.pixels.shape[1:3]
    scale = config.size / min(h, w)
    rows, columns = max(config.size, round(h * scale)), max(config.size, round(w * scale))
    small = resize(frames.pixels, rows, columns) if (rows, columns) != (h, w) else frames.pixels
    offsets = square_offsets(rows, columns, config.crops)
    by_frame = [name for name, value in facts.items() if _is_by_frame(value, len(frames.pixels))]
    for crop, (square, offset) in enumerate(zip(squares(small, config.crops), offsets, strict=True)):
        fitted = {
            n: _lens(v, columns / w, rows / h, offset) if n.endswith("intrinsics_px") else v
            for n, v in arrays.items()
        }
        for first in range(0, len(square) - config.num_frames + 1, config.num_frames):
            span = slice(first, first + config.num_frames)
            row = facts | {name: facts[name][span] for name in by_frame}
            row |= {"start_seconds": float(frames.pts_seconds[first]), "crop": crop}
            yield NewClip(square[span], row, {n: v[span] for n, v in fitted.items()})


def _lens(k: np.ndarray, across: float, down: float, offset: tuple[int, int]) -> np.ndarray:
    """K [t, 3, 3] of the resized and cropped picture."""
    fitted = k.copy()
    fitted[:, 0] *= across
    fitted[:, 1] *= down
    fitted[:, 0, 2] -= offset[1]
    fitted[:, 1, 2] -= offset[0]
    return fitted
