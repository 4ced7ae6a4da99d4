"""Folders of videos with what is known beside them.

- ``a.mp4`` with ``a.txt`` (a caption), ``a.json`` (caption, controls, facts) and ``a.npz`` (arrays per frame), each or none;
- ``a.<view>.mp4`` for several cameras, their names in the ``views`` of ``a.json``: what ``worldfoundry simulate`` writes;
- captions of many in ``metadata.csv`` or ``metadata.jsonl`` with ``file_name`` and ``text``: the video folders of Hugging Face.
"""

import csv
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import read_array_header_1_0, read_array_header_2_0, read_magic

from worldfoundry.core.errors import DataError
from worldfoundry.data.actions import check_controls
from worldfoundry.data.files import find_videos
from worldfoundry.data.loading.buckets import Entry
from worldfoundry.data.stored.clip import (
    MAIN,
    StoredClip,
    StoredVideo,
    by_view,
    checked_arrays,
    is_per_frame,
    stretch,
)
from worldfoundry.data.stored.facts import parse, read_json
from worldfoundry.data.video_io import probe, read_times, read_video
from worldfoundry.protocols.frames import Frames

_SAID_ELSEWHERE = frozenset(("meta", "fps"))
"""In the ``.npz`` of a simulated clip, and also beside it."""


class FolderDataset:
    """Videos below a folder, at any depth."""

    form = "folder"

    def __init__(self, path: Path):
        self.path = path
        self._told = _table(path)
        self.clips, self.problems = list[StoredClip](), list[str]()
        self._videos, self._arrays = list[dict[str, Path]](), list[dict[str, np.ndarray]]()
        for stem, videos in _by_stem(path).items():
            try:
                self._add(stem, videos)
            except DataError as error:
                self.problems.append(str(error))
        found = {p.relative_to(path).as_posix() for videos in self._videos for p in videos.values()}
        broken = " ".join(self.problems)
        for name in self._told:
            if name not in found and name not in broken:
                self.problems.append(
                    f"{path / name} must exist, for metadata names it, got no file; copy it again or remove its row"
                )

    def _add(self, stem: str, videos: dict[str, Path]) -> None:
        document = self._document(stem, next(iter(videos.values())))
        videos = by_view(str(self.path / stem), videos, document.get("views") or ())
        main = next(iter(videos.values()))
        info, times = probe(main), read_times(main)
        told = parse(str(main), document, times.num_frames)
        stated = document.get("num_frames")
        if isinstance(stated, int) and stated != times.num_frames:
            raise DataError(
                f"{main} must have the {stated} frames that {Path(stem).name}.json states, got {times.num_frames}; correct one"
            )
        arrays = told.arrays | _arrays_of(self.path / f"{stem}.npz", per_frame=True)
        for name, values in arrays.items():
            if name.endswith("intrinsics_px") and values.shape == (3, 3):  # one lens for the whole clip
                arrays[name] = np.broadcast_to(values, (times.num_frames, 3, 3))
        checked_arrays(str(main), arrays, times.num_frames)
        check_controls(str(main), told.controls, arrays, times.fps)
        for view in (v for v in videos.values() if v is not main):
            _check_length(view, read_times(view).num_frames, times.num_frames, main)
        for view, shape in _stored_pixels(self.path / f"{stem}.npz").items():
            _check_length(f"{self.path / stem}.npz: {view}", shape[0], times.num_frames, main)
        self._arrays.append(arrays)
        self._videos.append(videos)
        self.clips.append(
            StoredClip(
                name=stem,
                source=told.source or (stem if len(videos) > 1 else main.relative_to(self.path).as_posix()),
                entry=Entry(num_frames=times.num_frames, height=info.height, width=info.width, fps=times.fps),
                views=tuple(videos),
                caption=told.caption,
                facts=told.facts,
                controls=told.controls,
            )
        )

    def _document(self, stem: str, main: Path) -> dict[str, Any]:
        document = dict(self._told.get(main.relative_to(self.path).as_posix(), {}))
        beside = self.path / f"{stem}.json"
        if beside.exists():
            found = read_json(beside)
            if not isinstance(found, dict):
                raise DataError(
                    f"{beside} must hold a JSON object, got {type(found).__name__}; write {{...}}"
                )
            document |= found
        text = self.path / f"{stem}.txt"
        if text.exists():
            document["caption"] = text.read_text(encoding="utf-8").strip()
        return document

    def read_frames(self, index: int, view: str) -> Frames:
        """The pixels that a simulator stored beside the video, else the decoded video."""
        clip = self.clips[index]
        name = "pixels" if view == clip.views[0] else f"{view}.pixels"
        stored = self.path / f"{clip.name}.npz"
        if stored.exists():
            with np.load(stored, allow_pickle=False) as arrays:
                if name in arrays.files:
                    return Frames.at_constant_rate(arrays[name], clip.entry.fps)
        return read_video(self._videos[index][view])

    def read_window(self, index: int, view: str, first: int, num_frames: int) -> Frames:
        """Cut out of the whole clip."""
        where = str(self._videos[index][view])
        return stretch(where, self.read_frames(index, view), first, num_frames)

    def read_arrays(self, index: int) -> dict[str, np.ndarray]:
        """What stands in the ``.npz`` and the ``.json`` with a row for each frame."""
        return self._arrays[index]

    def read_extras(self, index: int) -> dict[str, np.ndarray]:
        """What else stands in the ``.npz``; of ``pixels`` the video tells."""
        return _arrays_of(self.path / f"{self.clips[index].name}.npz", per_frame=False)

    def verify(self, index: int) -> None:
        """Nothing is left to compare: the files were asked when the folder was opened."""

    def video(self, index: int, view: str) -> StoredVideo:
        """The file."""
        path = self._videos[index][view]
        return StoredVideo(path.suffix.lower(), path)


def _by_stem(path: Path) -> dict[str, dict[str, Path]]:
    """Videos by clip and view."""
    found: dict[str, dict[str, Path]] = {}
    views_of: dict[Path, Any] = {}
    for video in find_videos(path):
        stem, view = video.with_suffix(""), MAIN
        for k in (k for k, letter in enumerate(stem.name) if letter == "." and k):
            base = stem.with_name(stem.name[:k])
            if base not in views_of:
                views_of[base] = _views_beside(base)
            if views_of[base] is None or stem.name[k + 1 :] in views_of[base]:
                stem, view = base, stem.name[k + 1 :]
                break
        found.setdefault(stem.relative_to(path).as_posix(), {})[view] = video
    return found


def is_described(path: Path) -> bool:
    """Whether anything in a folder of videos says more of them than they do."""
    if any((path / name).exists() for name in ("metadata.csv", "metadata.jsonl")):
        return True
    stems = {video.with_name(base) for video in find_videos(path) for base in _bases(video.name)}
    return any(s.with_name(s.name + suffix).exists() for s in stems for suffix in (".json", ".txt", ".npz"))


def _bases(name: str) -> list[str]:
    """What stands before each dot of a file's name."""
    return [name[:k] for k, letter in enumerate(name) if letter == "." and k]


def _views_beside(base: Path) -> Any:
    """The views that the ``.json`` of a clip names; ``None`` where it cannot be read, which is told with its clip."""
    file = base.with_name(f"{base.name}.json")
    if not file.exists():
        return ()
    try:
        document = read_json(file)
    except DataError:
        return None
    return (document.get("views") or ()) if isinstance(document, dict) else None


def _arrays_of(path: Path, *, per_frame: bool) -> dict[str, np.ndarray]:
    """Arrays of a ``.npz`` that have a row for each frame, or the others."""
    if not path.exists():
        return {}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return _chosen(stored, per_frame=per_frame)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path} must be an .npz of arrays, got {error}; write it again or remove it"
        ) from error


def _stored_pixels(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the pictures in a ``.npz``, by their headers alone."""
    found: dict[str, tuple[int, ...]] = {}
    if path.exists():
        with np.load(path, allow_pickle=False) as stored:
            for name in stored.files:
                if name.rsplit(".", 1)[-1] == "pixels":
                    with stored.zip.open(f"{name}.npy") as member:
                        version = read_magic(member)
                        read = read_array_header_1_0 if version == (1, 0) else read_array_header_2_0
                        found[name] = read(member)[0]
    return found


def _check_length(where: Path | str, found: int, wanted: int, main: Path) -> None:
    if found != wanted:
        raise DataError(
            f"{where} must have the {wanted} frames of {main.name}, got {found}; copy it again or leave the clip out"
        )


def _chosen(stored: Mapping[str, np.ndarray], *, per_frame: bool) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for name in stored:
        if name in _SAID_ELSEWHERE or name.rsplit(".", 1)[-1] == "pixels":
            continue
        if per_frame and not is_per_frame(name, (1,)):
            continue  # known by its name: it need not be unpacked
        values = stored[name]
        if is_per_frame(name, values.shape) == per_frame:
            found[name] = values
    return found


def _table(path: Path) -> dict[str, dict[str, Any]]:
    """Rows of ``metadata.csv`` or ``metadata.jsonl`` by file name."""
    for name, read in (("metadata.csv", _csv), ("metadata.jsonl", _jsonl)):
        file = path / name
        if file.exists():
            rows = read(file)
            for number, row in enumerate(rows):
                if not row.get("file_name"):
                    raise DataError(f"{file}: row {number} must have a file_name, got {row}; add it")
            return {row.pop("file_name"): row for row in rows}
    return {}


def _csv(file: Path) -> list[dict[str, Any]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return [dict(row) for row in csv.DictReader(lines)]


def _jsonl(file: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except ValueError as error:
        raise DataError(f"{file} must hold one JSON object a line, got {error}; correct it") from error
