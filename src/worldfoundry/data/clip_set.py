"""A clip set: equally long, equally large uint8 clips in one memory-mapped array, and a row of facts for each.

::

    <set>/pixels.npy      uint8 [n, t, h, w, 3]
    <set>/rows.jsonl      one line a clip: source, span or seed, what is known of it
    <set>/manifest.json   schema, fps, shape, digest of the pixels

The whole set appears at once or not at all. Random access costs nothing and memory holds only what a batch touches.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.format import write_array_header_1_0

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.core.files import atomic_folder
from worldfoundry.core.runs import append_jsonl, read_jsonl
from worldfoundry.protocols.held_out import EVALUATION_SEED

_SCHEMA = 1


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
    """Sixteen hex digits that name the pixels."""

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def num_frames(self) -> int:
        """Frames of each clip."""
        return self.pixels.shape[1]


def write_clip_set(
    folder: Path,
    clips: Iterable[tuple[np.ndarray, dict[str, Any]]],
    *,
    fps: float,
    num_clips: int | None = None,
) -> ClipSet:
    """Write pairs of uint8 [t, h, w, 3] and a row of facts, holding one at a time; replaces nothing that is there.

    Another number of clips than ``num_clips`` is an error; without it as many are written as come.
    """
    if folder.exists():
        raise DataError(f"{folder} must not exist yet; name another folder or remove it")
    sha, shape, written = hashlib.sha256(), None, 0
    with atomic_folder(folder) as temporary:
        with (temporary / "pixels.npy").open("wb") as pixels:
            for clip, row in clips:
                if shape is None:
                    shape = clip.shape
                    _write_header(pixels, (0, *shape))
                if clip.shape != shape or clip.dtype != np.uint8:
                    raise DataError(
                        f"clip {written} of {folder} must be uint8 {list(shape)}, got {clip.dtype} {list(clip.shape)}; "
                        "cut and resize all clips alike"
                    )
                content = clip.tobytes()
                pixels.write(content)
                sha.update(content)
                append_jsonl(temporary / "rows.jsonl", row)
                written += 1
            if shape is None or num_clips not in (None, written):
                raise DataError(
                    f"{folder} was promised {num_clips or 'some'} clips, got {written}; nothing was written"
                )
            _write_header(pixels, (written, *shape))
        manifest = {
            "schema": _SCHEMA,
            "fps": fps,
            "shape": [written, *shape],
            "digest": sha.hexdigest()[:16],
        }
        (temporary / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return open_clip_set(folder)


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """Begin a ``.npy`` file, or say again how long it has become: numpy leaves room for the first axis to grow."""
    file.seek(0)
    write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


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
        rows = read_jsonl(folder / "rows.jsonl")
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder} must be a clip set, got {error}; make one with 'worldfoundry simulate' or 'worldfoundry data prepare'"
        ) from error
    if (
        manifest.get("schema") != _SCHEMA
        or list(pixels.shape) != manifest["shape"]
        or len(rows) != len(pixels)
    ):
        raise DataError(
            f"{folder} must hold schema {_SCHEMA} and {manifest.get('shape')}, got pixels {list(pixels.shape)} and "
            f"{len(rows)} rows; make the set again"
        )
    return ClipSet(folder=folder, pixels=pixels, rows=rows, fps=manifest["fps"], digest=manifest["digest"])


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
        highest = max(row.get("seed", 0) for row in s.rows)
        if highest >= EVALUATION_SEED:
            raise ConfigError(
                f"data {str(s.folder)!r} must hold simulated clips of seeds below {EVALUATION_SEED}, the others are kept for "
                f"evaluation, got {highest} in rows.jsonl; simulate it again with a smaller --seed"
            )
    return sets
