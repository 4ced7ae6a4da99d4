"""WebDataset shards: tar files whose members of one name before the first dot are one sample.

Read as our curator and the ``webdataset`` package write them, and written so that both read them: ``<key>.mp4``
(``<key>.<view>.mp4`` of several cameras), ``<key>.txt``, ``<key>.json``, ``<key>.<array>.npy``, and ``<key>.extras.npz`` of
what has no row for each frame.
Source of the format: https://github.com/webdataset/webdataset.
"""

import io
import json
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from worldfoundry.core.errors import DataError
from worldfoundry.core.files import atomic_folder
from worldfoundry.data.actions import check_controls
from worldfoundry.data.files import VIDEO_SUFFIXES
from worldfoundry.data.loading.buckets import Entry
from worldfoundry.data.stored.clip import (
    MAIN,
    StoredClip,
    StoredVideo,
    as_file,
    by_view,
    checked_arrays,
    stretch,
)
from worldfoundry.data.stored.facts import parse
from worldfoundry.data.stored.tars import Member, find_tars, read_samples
from worldfoundry.data.video_io import probe, read_times, read_video
from worldfoundry.protocols.frames import Frames

_IMAGES = frozenset((".jpg", ".jpeg", ".png"))
_EXTRAS = ".extras.npz"


class ShardDataset:
    """The samples of a tar file, or of all tar files below a folder; nothing is unpacked."""

    form = "webdataset"

    def __init__(self, path: Path):
        self.path = path
        self.clips, self.problems = list[StoredClip](), list[str]()
        self._videos, self._arrays = list[dict[str, tuple[str, Member]]](), list[dict[str, np.ndarray]]()
        self._extras = list[tuple[str, Member | None]]()
        samples: list[tuple[Path, str, dict[str, Member]]] = []
        for tar in find_tars(path):
            found, problems = read_samples(tar)
            samples += [(tar, *sample) for sample in found.items()]
            self.problems += problems
        counts = Counter(key for _, key, _ in samples)
        for tar, key, members in samples:
            # Keys are unique in a shard only; the tar's name tells two apart.
            name = key if counts[key] == 1 else f"{tar.stem}/{key}"
            try:
                self._add(name, f"{tar}: {key}", members)
            except DataError as error:
                self.problems.append(str(error))

    def _add(self, name: str, where: str, members: dict[str, Member]) -> None:
        videos = {
            (suffix[1:].rpartition(".")[0] or MAIN): (f".{suffix.rsplit('.', 1)[-1]}", member)
            for suffix, member in members.items()
            if PurePosixPath(f"x{suffix}").suffix in VIDEO_SUFFIXES | _IMAGES
        }
        if not videos:
            raise DataError(
                f"{where} must hold a video or an image, got the members {', '.join(sorted(members))}; add it or leave the "
                "sample out"
            )
        document: Any = _json(where, members[".json"]) if ".json" in members else {}
        views = document.get("views") if isinstance(document, dict) else None
        videos = by_view(where, videos, views or ())
        entry = _stated(document) or _probed(where, *next(iter(videos.values())))
        told = parse(where, document, entry.num_frames)
        caption = members[".txt"].read().decode().strip() if ".txt" in members else told.caption
        arrays = told.arrays | _arrays(where, members)
        checked_arrays(where, arrays, entry.num_frames)
        check_controls(where, told.controls, arrays, entry.fps)
        self._arrays.append(arrays)
        self._videos.append(videos)
        self._extras.append((where, members.get(_EXTRAS)))
        self.clips.append(
            StoredClip(
                name=name,
                source=told.source or name,
                entry=entry,
                views=tuple(videos),
                caption=caption,
                facts=told.facts,
                controls=told.controls,
            )
        )

    def verify(self, index: int) -> None:
        """Compare what the ``.json`` states with every view's own frames, and with rate and size of the main one."""
        clip = self.clips[index]
        for view, (suffix, member) in self._videos[index].items():
            where = f"{member.tar}: {clip.name} ({view})"
            found = _probed(where, suffix, member)
            if found.num_frames != clip.entry.num_frames:
                raise DataError(
                    f"{where} must have the {clip.entry.num_frames} frames that its .json states, got {found.num_frames}; write "
                    "it again"
                )
            if view == clip.views[0]:
                check_stated(where, clip.entry, found)

    def read_frames(self, index: int, view: str) -> Frames:
        """Decode one view."""
        suffix, member = self._videos[index][view]
        with as_file(member.read(), suffix) as file:
            return read_video(file)

    def read_window(self, index: int, view: str, first: int, num_frames: int) -> Frames:
        """Decoded up to the end of the stretch."""
        suffix, member = self._videos[index][view]
        with as_file(member.read(), suffix) as file:
            frames = read_video(file, max_frames=first + num_frames)
        return stretch(f"{member.tar}: {self.clips[index].name} ({view})", frames, first, num_frames)

    def read_arrays(self, index: int) -> dict[str, np.ndarray]:
        """What stands in the ``.npz`` and the ``.json`` with a row for each frame."""
        return self._arrays[index]

    def read_extras(self, index: int) -> dict[str, np.ndarray]:
        """What stands in ``<key>.extras.npz``."""
        where, member = self._extras[index]
        return {} if member is None else _loaded(f"{where}{_EXTRAS}", "", member)

    def video(self, index: int, view: str) -> StoredVideo:
        """The member."""
        suffix, member = self._videos[index][view]
        return StoredVideo(suffix, member.read())


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSample:
    """What is written of one clip."""

    key: str
    """No dot, no slash."""
    videos: dict[str, StoredVideo]
    """By view, the main one first."""
    document: dict[str, Any]
    """Caption, facts, controls."""
    arrays: dict[str, np.ndarray]
    """Per frame."""
    extras: dict[str, np.ndarray] = field(default_factory=dict)
    """Others."""

    def members(self) -> Iterator[tuple[str, bytes]]:
        """Names and contents in their order."""
        for view, video in self.videos.items():
            name = self.key if len(self.videos) == 1 else f"{self.key}.{view}"
            yield f"{name}{video.suffix}", video.read()
        if self.document.get("caption"):
            yield f"{self.key}.txt", str(self.document["caption"]).encode()
        yield f"{self.key}.json", json.dumps(self.document, sort_keys=True).encode()
        for name, values in self.arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, values)
            yield f"{self.key}.{name}.npy", buffer.getvalue()
        if self.extras:
            buffer, extras = io.BytesIO(), dict[str, Any](self.extras)
            np.savez_compressed(buffer, **extras)
            yield f"{self.key}{_EXTRAS}", buffer.getvalue()


def write_shards(out: Path, samples: Iterable[ShardSample], *, max_mb: int = 500) -> int:
    """Write ``000000.tar`` and so on, whole or not at all; equal samples give equal bytes. Returns how many samples."""
    count, shards = 0, list[tarfile.TarFile]()
    with atomic_folder(out) as folder, ExitStack() as opened:
        for sample in samples:
            if not shards or shards[-1].offset > max_mb * 1_000_000:
                opened.close()
                path = folder / f"{len(shards):06d}.tar"
                shards.append(opened.enter_context(tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)))
            for name, content in sample.members():
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(content), 0o644
                shards[-1].addfile(member, io.BytesIO(content))
            count += 1
        if not count:
            raise DataError(f"{out} must get at least one clip, got none; check the source")
    return count


def _json(where: str, member: Member) -> Any:
    try:
        return json.loads(member.read())
    except ValueError as error:
        raise DataError(f"{where}.json must hold JSON, got {error}; write it again") from error


def _arrays(where: str, members: dict[str, Member]) -> dict[str, np.ndarray]:
    """Of ``<key>.<array>.npy``, and of an ``.npz`` as others write it."""
    found: dict[str, np.ndarray] = {}
    for suffix, member in members.items():
        if suffix.endswith((".npy", ".npz")) and suffix != _EXTRAS:
            found |= _loaded(f"{where}{suffix}", suffix[1:-4], member)
    return found


def _loaded(where: str, name: str, member: Member) -> dict[str, np.ndarray]:
    """An ``.npy`` as ``name``, or the arrays of an ``.npz`` by theirs."""
    try:
        loaded = np.load(io.BytesIO(member.read()), allow_pickle=False)
        return {name: loaded} if isinstance(loaded, np.ndarray) else {n: loaded[n] for n in loaded.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{where} must hold an array, got {error}; write it again") from error


def _stated(document: Any) -> Entry | None:
    """Length, size and rate by the ``.json``, if all are there: opening a million samples must not decode them."""
    if not isinstance(document, dict):
        return None
    found = [document.get(name) for name in ("num_frames", "height", "width", "fps")]
    numbers = [float(v) for v in found if isinstance(v, (int, float)) and v > 0]
    if len(numbers) < len(found):
        return None
    frames, height, width, fps = numbers
    return Entry(num_frames=round(frames), height=round(height), width=round(width), fps=fps)


def check_stated(where: str, stated: Entry, found: Entry) -> None:
    """Raise a ``DataError`` unless a video has the rate and the size that were stated of it."""
    for name, rule in (("fps", 1e-2), ("height", 0.0), ("width", 0.0)):
        told, got = getattr(stated, name), getattr(found, name)
        if abs(told - got) > rule * got:
            raise DataError(
                f"{where} must have {name} {told:g} as its .json states, got {got:g}; correct one"
            )


def _probed(where: str, suffix: str, member: Member) -> Entry:
    """Length, size and rate by the video itself."""
    with as_file(member.read(), suffix) as file:
        try:
            info, times = probe(file), read_times(file)
        except DataError as error:
            raise DataError(str(error).replace(str(file), f"{where}{suffix}")) from error
    return Entry(num_frames=times.num_frames, height=info.height, width=info.width, fps=times.fps)
