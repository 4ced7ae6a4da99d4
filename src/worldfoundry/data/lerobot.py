"""LeRobotDataset v3.0, v2.1 and v2.0 read: rows as NumPy arrays, frames of every camera on the clock of the rows.

Every row and frame that is given out was checked; what breaks a rule raises a ``DataError`` with file, row, rule, value and
fix, and nothing is skipped, filled or resampled. Several episodes may share a file: rows are told apart by their
``episode_index``, frames by the episode's ``from_timestamp``. Row numbers in errors count within the episode, from 0.
``find_problems`` looks through the whole data set without decoding a picture.

Source: https://huggingface.co/docs/lerobot/lerobot-dataset-v3
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from worldfoundry.core.errors import DataError, UnknownNameError
from worldfoundry.data import video_io
from worldfoundry.data.lerobot_images import read_encoded, read_images
from worldfoundry.data.lerobot_meta import (
    Episode,
    Feature,
    Info,
    VideoSpan,
    read_episodes,
    read_info,
    read_tasks,
)
from worldfoundry.data.lerobot_rows import CLOCK, Rows, broken, check_rows, read_rows
from worldfoundry.protocols.frames import Frames

TOLERANCE_SECONDS = 1e-4
"""How far the time of a frame may be from that of its row; the value of the lerobot package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeRobotDataset:
    """An opened data set; nothing but metadata is held in memory."""

    root: Path
    """Its folder."""
    info: Info
    """Features and rates."""
    episodes: list[Episode]
    """In order."""
    tasks: dict[int, str]
    """Text by number."""

    def __len__(self) -> int:
        return len(self.episodes)

    def read_rows(self, index: int) -> Rows:
        """Every column of an episode, pictures excepted, ``[t, *shape]``; a scalar feature is ``[t]``."""
        episode = self.episodes[index]
        rows = read_rows(self.info, episode)
        check_rows(self.info, self.tasks, episode, rows)
        return rows

    def read_frames(
        self,
        index: int,
        camera: str,
        *,
        rows: slice = slice(None),
        tolerance_seconds: float = TOLERANCE_SECONDS,
    ) -> Frames:
        """The frames of one camera, one for each of ``rows``; times are those of the rows, from the start of the episode."""
        episode = self.episodes[index]
        seconds = self.read_rows(index)["timestamp"].astype(np.float64)[rows]
        if camera in self.info.cameras and camera not in episode.videos:
            pixels = read_images(episode, camera)[rows]
            _check_size(episode.data_path, self.info.features[camera], pixels.shape[1:3])
            return Frames(pixels=pixels, fps=self.info.fps, pts_seconds=seconds)
        span = _span(self.info, episode, camera)
        wanted, half = span.start_seconds + seconds, 0.5 / self.info.fps
        read = video_io.read_video(span.path, start_seconds=wanted[0] - half, end_seconds=wanted[-1] + half)
        chosen = _match(span.path, episode, wanted, read.pts_seconds, tolerance_seconds)
        _check_size(span.path, self.info.features[camera], read.pixels.shape[1:3])
        return Frames(pixels=read.pixels[chosen], fps=self.info.fps, pts_seconds=seconds)


def open_lerobot(root: Path) -> LeRobotDataset:
    """Open a data set by its metadata, which must agree with themselves."""
    info = read_info(root)
    episodes = read_episodes(root, info)
    path, num_rows = root / "meta" / "info.json", sum(e.num_rows for e in episodes)
    for name, stated, found in (
        ("total_episodes", info.num_episodes, len(episodes)),
        ("total_frames", info.num_rows, num_rows),
    ):
        if stated != found:
            raise DataError(
                f"{path}: {name} must be what meta/episodes adds up to, {found}, got {stated}; correct it"
            )
    missing = [n for n in CLOCK if n not in info.features]
    if missing:
        raise DataError(
            f"{path}: features must have {', '.join(CLOCK)}, got none of {', '.join(missing)}; add them"
        )
    return LeRobotDataset(root=root, info=info, episodes=episodes, tasks=read_tasks(root, info))


def find_problems(
    dataset: LeRobotDataset, *, tolerance_seconds: float = TOLERANCE_SECONDS
) -> Iterator[tuple[Episode, Rows | DataError]]:
    """Each episode with its rows, or with the first rule that it breaks in its rows or its videos."""
    times: dict[Path, np.ndarray | DataError] = {}
    for episode in dataset.episodes:
        try:
            rows = dataset.read_rows(episode.index)
            for camera, span in episode.videos.items():
                if span.path not in times:
                    times = {p: t for p, t in times.items() if p.parent != span.path.parent}
                    times[span.path] = _times(span.path, camera)
                found = times[span.path]
                if isinstance(found, DataError):
                    raise found
                _match(span.path, episode, span.start_seconds + rows["timestamp"], found, tolerance_seconds)
            for camera in dataset.info.cameras:
                if camera not in episode.videos:
                    read_encoded(episode, camera)
        except DataError as error:
            yield episode, error
        else:
            yield episode, rows


def _times(path: Path, camera: str) -> np.ndarray | DataError:
    try:
        _check_exists(path, camera)
        return video_io.read_seconds(path)
    except DataError as error:
        return error


def _span(info: Info, episode: Episode, camera: str) -> VideoSpan:
    if camera not in info.cameras:
        raise UnknownNameError("camera", camera, info.cameras)
    _check_exists(episode.videos[camera].path, camera)
    return episode.videos[camera]


def _check_exists(path: Path, camera: str) -> None:
    if not path.is_file():
        raise DataError(
            f"{path} must exist: frames of {camera} are in it by the metadata, got no file; copy it again"
        )


def _check_size(path: Path, feature: Feature, size: tuple[int, ...]) -> None:
    stated = (
        feature.shape[1:]
        if feature.shape[0] in (1, 3) and feature.shape[-1] not in (1, 3)
        else feature.shape[:2]
    )
    if tuple(stated) != tuple(size):
        raise DataError(
            f"{path}: frames must be {list(stated)} (rows, columns) by meta/info.json, got {list(size)}; correct shape"
        )


def _match(
    path: Path, episode: Episode, wanted: np.ndarray, times: np.ndarray, tolerance_seconds: float
) -> np.ndarray:
    """Index of the frame of each row."""
    after = np.searchsorted(times, wanted).clip(1, max(1, len(times) - 1))
    nearest = np.where(
        wanted - times[after - 1] <= times[after.clip(max=len(times) - 1)] - wanted, after - 1, after
    ).clip(max=len(times) - 1)
    off = np.abs(times[nearest] - wanted)
    if (late := np.flatnonzero(off > tolerance_seconds)).size:
        row = int(late[0])
        raise broken(
            path,
            episode,
            f"row {row}: a frame must be at {wanted[row]:.6g} s to within {tolerance_seconds:g} s, got the nearest at "
            f"{times[nearest[row]]:.6g} s ({len(times)} frames, {len(wanted)} rows, {late.size} rows without their frame)",
            "copy the video again, correct from_timestamp, or widen the tolerance",
        )
    return nearest
