"""Where clips come from, for the loader: entries to plan with, and one method that reads a window."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from worldfoundry.core.errors import DataError
from worldfoundry.data.clip_set import ClipSet
from worldfoundry.data.loading.buckets import Entry
from worldfoundry.data.video_io import probe, read_seconds, read_video

OnDamage = Literal["stop", "skip"]
"""What damaged data does: end the work with the error, or be left out and told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A window as it was read."""

    pixels: np.ndarray
    """uint8 [t, h, w, 3]."""
    fps: float
    """Frames per second."""
    name: str
    """The clip, for people."""
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    """More per frame, such as ``actions`` [t, a]; cut to the window."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What is known of the whole clip, such as its caption."""


@runtime_checkable
class ClipSource(Protocol):
    """A pile of clips. It is pickled into every worker, so it holds paths and not open files."""

    @property
    def name(self) -> str:
        """For people and for errors."""
        ...

    @property
    def digest(self) -> str:
        """Names the content: another digest, another data set."""
        ...

    @property
    def entries(self) -> Sequence[Entry]:
        """Length, size and rate of each clip."""
        ...

    def read(self, clip: int, first: int, num_frames: int, *, size: tuple[int, int]) -> Sample:
        """Frames ``first`` to ``first + num_frames`` of a clip; a ``DataError`` names the file, the rule and what was found.

        ``size`` (rows, columns) is what the frames will be resized to: a source that can do so on the way may.
        """
        ...


class ClipSetSource:
    """Clips of one memory-mapped set."""

    def __init__(self, opened: ClipSet):
        self._set = opened
        self.name, self.digest = str(opened.folder), opened.digest
        t, h, w = opened.pixels.shape[1:4]
        self.entries = [Entry(num_frames=t, height=h, width=w, fps=opened.fps)] * len(opened)

    def read(self, clip: int, first: int, num_frames: int, *, size: tuple[int, int]) -> Sample:  # noqa: ARG002
        """A copy of the window, at its own size."""
        span = slice(first, first + num_frames)
        return Sample(
            pixels=np.array(self._set.pixels[clip, span]),
            fps=self._set.fps,
            name=f"{self.name}[{clip}]",
            arrays={name: np.array(values[clip, span]) for name, values in self._set.arrays.items()},
            facts=self._set.rows[clip],
        )


class FileSource:
    """Video and image files, decoded when they are asked for.

    A file that cannot be opened raises, or with ``on_damage`` ``skip`` is left out and told in ``damaged``.
    """

    def __init__(self, files: Sequence[Path], *, name: str, on_damage: OnDamage = "stop"):
        self.name, self.damaged = name, list[str]()
        self._files, self._seconds, self.entries = list[Path](), list[np.ndarray](), list[Entry]()
        for path in files:
            try:
                info, seconds = probe(path), read_seconds(path)
            except DataError as error:
                if on_damage == "stop":
                    raise
                self.damaged.append(str(error))
                continue
            fps = info.fps_measured or info.fps_from_header
            self._files.append(path)
            self._seconds.append(seconds)
            self.entries.append(Entry(num_frames=len(seconds), height=info.height, width=info.width, fps=fps))
        self.digest = "|".join(f"{p.name}:{p.stat().st_size}" for p in self._files)

    def read(self, clip: int, first: int, num_frames: int, *, size: tuple[int, int]) -> Sample:
        """Decode the window, from the keyframe before it; resized while colours are converted, which costs least."""
        path, seconds = self._files[clip], self._seconds[clip]
        # Half a frame early: the same instant may come out of another sum of the container's ticks.
        start = (seconds[first - 1] + seconds[first]) / 2 if first else 0.0
        height, width = size
        frames = read_video(
            path, start_seconds=float(start), max_frames=num_frames, height=height, width=width
        )
        return Sample(pixels=frames.pixels, fps=self.entries[clip].fps, name=str(path))


def check_sample(sample: Sample, num_frames: int, needs: Sequence[str] = ()) -> None:
    """Raise a ``DataError`` unless the window has all its frames, the arrays of ``needs``, and finite numbers."""
    missing = [name for name in needs if name not in sample.arrays]
    if missing:
        raise DataError(
            f"{sample.name} must have {', '.join(missing)} for each frame, got "
            f"{', '.join(sorted(sample.arrays)) or 'no arrays'}; remove the clip or record it again"
        )
    if len(sample.pixels) != num_frames:
        raise DataError(
            f"{sample.name} must hold the {num_frames} frames of its window, got {len(sample.pixels)}; the file is shorter than "
            "its index says: make the index again, or remove it"
        )
    for name, values in sample.arrays.items():
        if len(values) != num_frames:
            raise DataError(
                f"{sample.name}: {name} must have one row for each of {num_frames} frames, got {len(values)}; correct it"
            )
        if not np.issubdtype(values.dtype, np.number):
            continue
        bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))
        if len(bad):
            raise DataError(
                f"{sample.name}: {name} must be finite, got {values[bad[0]].tolist()} in row {bad[0]} of the window; remove "
                "the clip or correct it"
            )
