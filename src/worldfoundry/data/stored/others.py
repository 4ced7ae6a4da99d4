"""Clip sets and LeRobot data sets as stored data sets."""

from pathlib import Path

import numpy as np

from worldfoundry.core.errors import DataError
from worldfoundry.data.actions import check_controls
from worldfoundry.data.clip_set import check_finite, open_clip_set
from worldfoundry.data.lerobot import LeRobotDataset, find_problems, open_lerobot
from worldfoundry.data.lerobot_inspect import load_controls
from worldfoundry.data.lerobot_meta import VISUAL
from worldfoundry.data.lerobot_rows import CLOCK
from worldfoundry.data.lerobot_write import CONTROLS_PATH
from worldfoundry.data.loading.buckets import Entry
from worldfoundry.data.stored.clip import StoredClip, StoredVideo
from worldfoundry.data.video_io import read_seconds
from worldfoundry.protocols.frames import Frames

_INDICES = frozenset((*CLOCK, "index"))


class ClipSetDataset:
    """One memory-mapped clip set."""

    form = "clip-set"

    def __init__(self, path: Path):
        self.path = path
        self._set = open_clip_set(path)
        t, h, w = self._set.pixels.shape[1:4]
        entry = Entry(num_frames=t, height=h, width=w, fps=self._set.fps)
        self.clips, self.problems = list[StoredClip](), list[str]()
        self._places: list[int] = []
        for k, row in enumerate(self._set.rows):
            try:
                check_finite(self._set, k)
            except DataError as error:
                self.problems.append(str(error))
                continue
            self._places.append(k)
            self.clips.append(
                StoredClip(
                    name=f"{k:07d}",
                    source=_source_of(k, row),
                    entry=entry,
                    caption=row.get("caption", ""),
                    facts={name: value for name, value in row.items() if name != "caption"},
                    controls=self._set.controls,
                )
            )

    def read_frames(self, index: int, view: str) -> Frames:  # noqa: ARG002  there is one
        """The pixels."""
        return Frames.at_constant_rate(np.array(self._set.pixels[self._places[index]]), self._set.fps)

    def read_window(self, index: int, view: str, first: int, num_frames: int) -> Frames:  # noqa: ARG002
        """The pixels of the stretch."""
        pixels = self._set.pixels[self._places[index], first : first + num_frames]
        return Frames.at_constant_rate(np.array(pixels), self._set.fps)

    def read_arrays(self, index: int) -> dict[str, np.ndarray]:
        """The arrays of the set."""
        return {name: np.array(values[self._places[index]]) for name, values in self._set.arrays.items()}

    def verify(self, index: int) -> None:
        """Nothing is left to compare: arrays were looked through when the set was opened."""

    def read_extras(self, index: int) -> dict[str, np.ndarray]:  # noqa: ARG002  there are none
        """Nothing: a set has rows for each frame alone."""
        return {}

    def video(self, index: int, view: str) -> None:
        """Pixels are stored, not a video."""


def _source_of(index: int, row: dict[str, object]) -> str:
    if "source" in row:
        return str(row["source"])
    return f"{row['scene']}-{row['seed']}" if "scene" in row and "seed" in row else str(index)


class LeRobotSource:
    """Episodes of a LeRobot data set; those that cannot be used stand in ``problems``."""

    def __init__(self, path: Path):
        self.path = path
        self._opened: LeRobotDataset = open_lerobot(path)
        info = self._opened.info
        self.form = f"lerobot {info.version}"
        self._views = tuple(info.cameras)
        if not self._views:
            raise DataError(
                f"{path} must have a camera, got the features {', '.join(info.features)}; use another data set"
            )
        self._controls = load_controls(path)
        self.clips, self.problems = list[StoredClip](), list[str]()
        self._episodes: list[int] = []
        for episode, found in find_problems(self._opened):
            if isinstance(found, DataError):
                self.problems.append(str(found))
                continue
            check_controls(str(path / CONTROLS_PATH), self._controls, found, info.fps)
            self._episodes.append(episode.index)
            self.clips.append(self._clip(episode.index, episode.num_rows, episode.tasks))

    def _clip(self, index: int, num_rows: int, tasks: tuple[str, ...]) -> StoredClip:
        info = self._opened.info
        shape = info.features[self._views[0]].shape
        rows, columns = shape[1:] if shape[0] in (1, 3) and shape[-1] not in (1, 3) else shape[:2]
        return StoredClip(
            name=f"episode-{index:06d}",
            source=f"episode-{index:06d}",
            entry=Entry(num_frames=num_rows, height=rows, width=columns, fps=info.fps),
            views=self._views,
            caption="; ".join(tasks),
            facts={"tasks": list(tasks), "robot_type": info.robot_type},
            controls=self._controls,
        )

    def read_frames(self, index: int, view: str) -> Frames:
        """Frames on the clock of the rows."""
        return self._opened.read_frames(self._episodes[index], view)

    def read_window(self, index: int, view: str, first: int, num_frames: int) -> Frames:
        """From the keyframe before the stretch on."""
        rows = slice(first, first + num_frames)
        return self._opened.read_frames(self._episodes[index], view, rows=rows)

    def read_arrays(self, index: int) -> dict[str, np.ndarray]:
        """Every column that is neither a picture nor an index."""
        rows = self._opened.read_rows(self._episodes[index])
        kinds = self._opened.info.features
        return {n: v for n, v in rows.items() if n not in _INDICES and kinds[n].dtype not in VISUAL}

    def verify(self, index: int) -> None:
        """Nothing is left to compare: rows and videos were when the data set was opened."""

    def read_extras(self, index: int) -> dict[str, np.ndarray]:  # noqa: ARG002  there are none
        """Nothing: a data set has rows for each frame alone."""
        return {}

    def video(self, index: int, view: str) -> StoredVideo | None:
        """The file, if the frames of this episode are all that it holds."""
        episode = self._opened.episodes[self._episodes[index]]
        span = episode.videos.get(view)
        if span is None or span.start_seconds > 0:
            return None
        is_whole = len(read_seconds(span.path)) == episode.num_rows
        return StoredVideo(span.path.suffix.lower(), span.path) if is_whole else None
