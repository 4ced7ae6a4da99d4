"""A clip set: equally long, equally large uint8 clips in one memory-mapped array, and a row of facts for each.

::

    <set>/pixels.npy      uint8 [n, t, h, w, 3]
    <set>/rows.jsonl      one line a clip: source, span or seed, what is known of it
    <set>/<name>.npy      [n, t, ...], more per frame, such as actions; any number of them
    <set>/manifest.json   schema, fps, shape, digest of the content, shapes of the arrays, controls

The whole set appears at once or not at all. Random access costs nothing and memory holds only what a batch touches.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.lib.format import dtype_to_descr, write_array_header_1_0

from worldfoundry.core.config import to_json
from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.core.files import atomic_folder
from worldfoundry.core.runs import append_jsonl, read_jsonl
from worldfoundry.data.actions import check_controls, read_controls
from worldfoundry.protocols.control import ControlSpec, check_match
from worldfoundry.protocols.held_out import EVALUATION_SEED

_SCHEMAS = (1, 2)
"""1 has neither arrays nor controls."""


class NewClip(NamedTuple):
    """What is written of one clip."""

    pixels: np.ndarray
    """uint8 [t, h, w, 3]."""
    row: dict[str, Any]
    """Facts, as JSON values."""
    arrays: dict[str, np.ndarray] = {}  # noqa: RUF012  a default that nobody writes to
    """[t, ...] by name, alike in every clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSet:
    """An opened clip set."""

    folder: Path
    """Where it lies."""
    pixels: np.ndarray
    """uint8 [n, t, h, w, 3], read-only memory map."""
    rows: list[dict[str, Any]]
    """Facts of each clip."""
    fps: float
    """Frames per second of every clip."""
    digest: str
    """Sixteen hex digits that name the pixels and the arrays."""
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    """[n, t, ...] by name, read-only memory maps."""
    controls: ControlSpec | None = None
    """What the arrays mean."""

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def num_frames(self) -> int:
        """Frames of each clip."""
        return self.pixels.shape[1]


def write_clip_set(
    folder: Path,
    clips: Iterable[tuple[np.ndarray, dict[str, Any]] | NewClip],
    *,
    fps: float,
    num_clips: int | None = None,
    controls: ControlSpec | None = None,
) -> ClipSet:
    """Write clips (uint8 [t, h, w, 3], a row of facts, arrays per frame), holding one at a time; replaces nothing.

    Another number of clips than ``num_clips`` is an error; without it as many are written as come.
    """
    if folder.exists():
        raise DataError(f"{folder} must not exist yet; name another folder or remove it")
    with atomic_folder(folder) as temporary, ExitStack() as files:
        writer: _Writer | None = None
        for clip in clips:
            new = clip if isinstance(clip, NewClip) else NewClip(*clip)
            if writer is None:
                check_controls(str(folder), controls, new.arrays, fps)
                writer = _Writer(folder, temporary, new, files)
            writer.add(new)
        if writer is None or num_clips not in (None, writer.count):
            raise DataError(
                f"{folder} was promised {num_clips or 'some'} clips, got {writer.count if writer else 0}; nothing was written"
            )
        manifest = writer.finish() | {"fps": fps, "controls": None if controls is None else to_json(controls)}
        (temporary / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return open_clip_set(folder)


class _Writer:
    """The files of a set while clips are added."""

    def __init__(self, name: Path, folder: Path, first: NewClip, files: ExitStack):
        self.name, self.folder, self.count, self.sha = name, folder, 0, hashlib.sha256()
        self.like = self._contents(first)
        self.files = {key: files.enter_context((folder / f"{key}.npy").open("wb")) for key in self.like}
        self._write_headers()

    def _contents(self, clip: NewClip) -> dict[str, np.ndarray]:
        if "pixels" in clip.arrays:
            raise DataError(f"{self.name}: arrays must have other names than 'pixels'; rename it")
        return {"pixels": clip.pixels, **clip.arrays}

    def add(self, clip: NewClip) -> None:
        """Append one clip, which must be like the first."""
        contents = self._contents(clip)
        self._check(contents)
        for key, values in contents.items():
            content = values.tobytes()
            self.files[key].write(content)
            self.sha.update(content)
        append_jsonl(self.folder / "rows.jsonl", clip.row)
        self.count += 1

    def _check(self, contents: dict[str, np.ndarray]) -> None:
        """All that differs from the first clip, told at once."""
        pixels, like = contents["pixels"], self.like["pixels"]
        if pixels.shape != like.shape or pixels.dtype != np.uint8:
            raise DataError(
                f"clip {self.count} of {self.name} must be uint8 {list(like.shape)}, got {pixels.dtype} {list(pixels.shape)}; "
                "cut and resize all clips alike"
            )
        odd = {
            key: f"{key} {_kind(contents.get(key))} beside {_kind(self.like.get(key))}"
            for key in sorted(contents.keys() | self.like.keys())
            if _kind(contents.get(key)) != _kind(self.like.get(key)) or len(contents[key]) != len(pixels)
        }
        if odd:
            raise DataError(
                f"clip {self.count} of {self.name} must have the arrays of the first, with {len(pixels)} rows, got "
                f"{', '.join(odd.values())}; give every clip the same, or leave them out ({' '.join(f'--drop {k}' for k in odd)})"
            )

    def finish(self) -> dict[str, Any]:
        """Say how long the arrays have become; what the manifest holds of them."""
        self._write_headers()
        shapes = {key: [self.count, *values.shape] for key, values in self.like.items()}
        return {
            "schema": _SCHEMAS[-1],
            "shape": shapes.pop("pixels"),
            "digest": self.sha.hexdigest()[:16],
            "arrays": shapes,
        }

    def _write_headers(self) -> None:
        for key, file in self.files.items():
            _write_header(file, (self.count, *self.like[key].shape), self.like[key].dtype)


def _write_header(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Begin a ``.npy`` file, or say again how long it has become: numpy leaves room for the first axis to grow."""
    file.seek(0)
    write_array_header_1_0(file, {"descr": dtype_to_descr(dtype), "fortran_order": False, "shape": shape})


def is_clip_set(folder: Path) -> bool:
    """Whether a folder is a clip set, or what is left of one."""
    return (folder / "pixels.npy").exists() or all(
        (folder / name).exists() for name in ("manifest.json", "rows.jsonl")
    )


def check_finite(s: ClipSet, clip: int) -> None:
    """Raise a ``DataError`` unless all numbers of a clip's arrays are numbers."""
    for name, all_values in s.arrays.items():
        values = all_values[clip]
        if np.issubdtype(values.dtype, np.number) and not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))[0])
            raise DataError(
                f"{s.folder}/{name}.npy: clip {clip} must be finite, got {values[row].tolist()} in row {row}; make the set again"
            )


def open_clip_set(folder: Path) -> ClipSet:
    """Open a set; a folder that is none, or one whose parts disagree, is a ``DataError``."""
    if not (folder / "manifest.json").is_file():
        got = "a folder without manifest.json" if folder.is_dir() else "no such folder"
        raise DataError(
            f"{folder} must be a clip set, got {got}; make one with 'worldfoundry simulate --format clip-set' or "
            "'worldfoundry data prepare'"
        )
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        pixels = np.load(folder / "pixels.npy", mmap_mode="r")
        shapes = manifest.get("arrays", {})
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in shapes}
        rows = read_jsonl(folder / "rows.jsonl")
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder} must be a clip set, got {error}; make one with 'worldfoundry simulate' or 'worldfoundry data prepare'"
        ) from error
    found = {name: list(values.shape) for name, values in arrays.items()}
    if (
        manifest.get("schema") not in _SCHEMAS
        or list(pixels.shape) != manifest["shape"]
        or found != shapes
        or len(rows) != len(pixels)
    ):
        raise DataError(
            f"{folder} must hold schema {_SCHEMAS[-1]}, {manifest.get('shape')} and {shapes}, got pixels {list(pixels.shape)}, "
            f"{found} and {len(rows)} rows; make the set again"
        )
    where, told = f"{folder}/manifest.json: controls", manifest.get("controls")
    controls = None if told is None else read_controls(where, told)
    check_controls(where, controls, {name: values[0] for name, values in arrays.items()}, manifest["fps"])
    return ClipSet(
        folder=folder,
        pixels=pixels,
        rows=rows,
        fps=manifest["fps"],
        digest=manifest["digest"],
        arrays=arrays,
        controls=controls,
    )


def common_controls(sets: Sequence[ClipSet]) -> ControlSpec | None:
    """The controls that all sets have; ``None`` where they differ or have none, which suits a model that takes none."""
    return None if other_controls(sets) else sets[0].controls


def other_controls(sets: Sequence[ClipSet]) -> str:
    """The first two sets whose controls differ, and both sides; empty where all are the same."""
    for s in sets[1:]:
        try:
            check_match(
                sets[0].controls,
                s.controls,
                where="data",
                our_name=str(sets[0].folder),
                their_name=str(s.folder),
            )
        except ConfigError as error:
            return str(error)
    return ""


def open_clip_sets(
    folders: Iterable[str | Path],
    *,
    num_frames: int,
    fps: float | None = None,
    size: tuple[int, int] | None = None,
    least_size: int = 1,
) -> list[ClipSet]:
    """Open several sets to train on together.

    Each must hold clips of ``num_frames`` or more and ``least_size`` pixels or more, have ``fps`` and ``size`` (rows,
    columns) where they are given, and hold no simulated clip that is kept for evaluation.
    """
    sets = [open_clip_set(Path(f)) for f in folders]
    if not sets:
        raise ConfigError("data must name at least one clip set, got none; give --data FOLDER")
    for s in sets:
        if s.num_frames < num_frames:
            raise ConfigError(
                f"data {str(s.folder)!r} must hold clips of {num_frames} frames or more, got {s.num_frames}; "
                "make the set again with --num-frames"
            )
        shape = s.pixels.shape[2:4]
        if (size is not None and shape != size) or min(shape) < least_size:
            wanted = f"{size[0]}x{size[1]} pixels" if size else f"{least_size} pixels a side or more"
            raise ConfigError(
                f"data {str(s.folder)!r} must hold clips of {wanted}, got {shape[0]}x{shape[1]}; make it again with --size"
            )
        if fps is not None and abs(s.fps - fps) > 1e-6:
            raise ConfigError(
                f"data {str(s.folder)!r} must be at {fps} fps, got {s.fps}; prepare it again with --fps {fps}"
            )
        check_seeds(str(s.folder), s.rows)
        for clip in range(len(s)):
            check_finite(s, clip)
    return sets


def _kind(values: np.ndarray | None) -> str:
    return "none" if values is None else f"{values.dtype} {list(values.shape)}"


def check_seeds(name: str, facts: Iterable[Mapping[str, Any]]) -> None:
    """Refuse to train on simulated clips that are kept for evaluation; ``facts`` are those of each clip of the data ``name``."""
    highest = max((row.get("seed") or 0 for row in facts), default=0)
    if isinstance(highest, int) and highest >= EVALUATION_SEED:
        raise ConfigError(
            f"data {name!r} must hold simulated clips of seeds below {EVALUATION_SEED}, the others are kept for "
            f"evaluation, got {highest}; simulate it again with a smaller --seed"
        )
