"""What all forms of stored clips have in common."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np

from worldfoundry.core.errors import DataError
from worldfoundry.data.loading.buckets import Entry
from worldfoundry.data.loading.source import Sample
from worldfoundry.protocols.control import ControlSpec
from worldfoundry.protocols.frames import Frames

MAIN = "main"
"""Name of the only view of a clip."""

_T = TypeVar("_T")
_WHOLE_CLIP = frozenset(("body_names", "contacts", "trajectory"))
_PICTURES = ("segmentation", "depth_m")


class StoredVideo(NamedTuple):
    """A video or an image as it is stored, to be copied."""

    suffix: str
    """Such as ``.mp4``."""
    content: bytes | Path
    """The bytes, or the file that holds them."""

    def read(self) -> bytes:
        """All of it."""
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredClip:
    """What is known of a clip without decoding it."""

    name: str
    """Unique in its data set; may have slashes."""
    source: str
    """The recording that it was cut from: clips of one source belong on one side of a split."""
    entry: Entry
    """Length, size and rate of the main view."""
    views: tuple[str, ...] = (MAIN,)
    """Cameras, the main one first."""
    caption: str = ""
    """What happens, in words."""
    facts: dict[str, Any] = field(default_factory=dict)
    """More that is known, as JSON values."""
    controls: ControlSpec | None = None
    """What its arrays and cameras mean, where the clip says so itself."""


@runtime_checkable
class StoredDataset(Protocol):
    """Clips of one folder or file, in one form."""

    @property
    def path(self) -> Path:
        """Folder or file."""
        ...

    @property
    def form(self) -> str:
        """Such as ``webdataset``."""
        ...

    @property
    def clips(self) -> Sequence[StoredClip]:
        """Those that can be used, by all that is known without decoding them."""
        ...

    @property
    def problems(self) -> Sequence[str]:
        """What cannot be used: file, place, rule, value, fix."""
        ...

    def read_frames(self, index: int, view: str) -> Frames:
        """Pictures of a clip."""
        ...

    def read_window(self, index: int, view: str, first: int, num_frames: int) -> Frames:
        """Pictures of a stretch of a clip; decodes no more than it has to."""
        ...

    def read_arrays(self, index: int) -> dict[str, np.ndarray]:
        """Numbers per frame [t, ...] by name, finite and one row a frame."""
        ...

    def verify(self, index: int) -> None:
        """Raise a ``DataError`` where what is stated of a clip is not what its files hold."""
        ...

    def read_extras(self, index: int) -> dict[str, np.ndarray]:
        """Other arrays by name: pictures such as ``depth_m``, and what has no row for each frame, such as ``contacts``."""
        ...

    def video(self, index: int, view: str) -> StoredVideo | None:
        """The stored video or image of one view; ``None`` where pixels are stored otherwise."""
        ...


class DatasetSource:
    """A stored data set for the loader (``data.loading``): the main view of each clip."""

    def __init__(self, dataset: StoredDataset):
        self._dataset = dataset
        self.name = str(dataset.path)
        self.damaged = list(dataset.problems)
        self.entries = [clip.entry for clip in dataset.clips]
        self.digest = "|".join(f"{c.name}:{c.entry.num_frames}" for c in dataset.clips)

    def read(self, clip: int, first: int, num_frames: int, *, size: tuple[int, int]) -> Sample:  # noqa: ARG002
        """Decode the window, and read the rows beside it."""
        stored = self._dataset.clips[clip]
        span = slice(first, first + num_frames)
        frames = self._dataset.read_window(clip, stored.views[0], first, num_frames)
        return Sample(
            pixels=frames.pixels,
            fps=stored.entry.fps,
            name=f"{self.name}: {stored.name}",
            arrays={name: values[span] for name, values in self._dataset.read_arrays(clip).items()},
            facts={"caption": stored.caption, **stored.facts},
        )


def stretch(where: str, frames: Frames, first: int, num_frames: int) -> Frames:
    """Frames ``first`` to ``first + num_frames``; a clip that ends before is a ``DataError``."""
    span = slice(first, first + num_frames)
    if len(frames.pixels) < span.stop:
        raise DataError(
            f"{where} must hold frames {first} to {span.stop - 1}, got {len(frames.pixels)} frames: it is shorter than what is "
            "stated of it; copy or write it again"
        )
    return replace(frames, pixels=frames.pixels[span], pts_seconds=frames.pts_seconds[span])


def by_view(where: str, videos: dict[str, _T], views: Sequence[str]) -> dict[str, _T]:
    """Videos in the order of ``views``, those of a document beside them; the only one has the only name."""
    if len(videos) == 1 and len(views) == 1:
        return {views[0]: next(iter(videos.values()))}
    lost = [view for view in views if view not in videos]
    if lost:
        raise DataError(
            f"{where} must have a video of each of its views {', '.join(views)}, got none of {', '.join(lost)}; copy it again or "
            "correct views"
        )
    return {view: videos[view] for view in dict.fromkeys((*views, *sorted(videos)))}


def is_per_frame(name: str, shape: tuple[int, ...]) -> bool:
    """Whether an array of a clip has a small row for each frame, by its name and shape; else it is an extra."""
    return bool(shape) and name.rsplit(".", 1)[-1] not in _PICTURES and name not in _WHOLE_CLIP


def checked_arrays(where: str, arrays: dict[str, np.ndarray], num_frames: int) -> dict[str, np.ndarray]:
    """The arrays, if each has one finite row a frame; else a ``DataError`` with file, row, rule and value."""
    for name, values in arrays.items():
        if len(values) != num_frames:
            raise DataError(
                f"{where}: {name} must have one row for each of the {num_frames} frames, got {len(values)}; correct it or leave "
                "the clip out"
            )
        if not np.issubdtype(values.dtype, np.number):
            continue
        bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))
        if len(bad):
            raise DataError(
                f"{where}: {name} must be finite, got {values[bad[0]].tolist()} in row {bad[0]}; correct it or leave the clip out"
            )
    return arrays


@contextmanager
def as_file(content: bytes, suffix: str) -> Iterator[Path]:
    """Bytes as a file for a while, for readers that take files only."""
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        file.write(content)
        file.flush()
        yield Path(file.name)
