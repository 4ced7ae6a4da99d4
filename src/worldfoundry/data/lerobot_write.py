"""LeRobotDataset v3.0 written: episodes in, merged Parquet and mp4 files with their metadata out, whole or not at all.

Episodes are taken one by one and several share a file; a data set beyond memory is written as long as one file of rows
fits. Beside the published layout, ``meta/controls.json`` holds the ``ControlSpec``, which other readers leave alone.

Source: https://huggingface.co/docs/lerobot/lerobot-dataset-v3
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from worldfoundry.core.config import save_config
from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.core.files import atomic_folder
from worldfoundry.data.lerobot_rows import CLOCK
from worldfoundry.data.lerobot_stats import RunningStats
from worldfoundry.data.lerobot_tables import tasks_table, to_array, write_tables
from worldfoundry.data.video_write import Codec, VideoWriter
from worldfoundry.protocols.control import ControlSpec

CONTROLS_PATH = "meta/controls.json"
"""Where the ``ControlSpec`` lies in a data set."""
_PLACE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
_FILES_PER_CHUNK = 1000
_CLOCK_TYPES = dict.fromkeys((*CLOCK, "index"), "int64") | {"timestamp": "float32"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEpisode:
    """One episode to be written; all of it has the same number of rows."""

    task: str
    """What was to be done, in words."""
    columns: Mapping[str, np.ndarray]
    """``[t]`` or ``[t, n]`` by feature, such as ``action``; the same features and types in every episode."""
    videos: Mapping[str, np.ndarray] = field(default_factory=dict)
    """uint8 ``[t, h, w, 3]`` by camera, such as ``observation.images.front``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeRobotWriteConfig:
    """How a data set is written."""

    fps: float
    """Rows and frames per second."""
    robot_type: str = ""
    """Name of the robot, empty for none."""
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of the numbers of vector features."""
    controls: ControlSpec | None = None
    """What the actions and cameras mean."""
    codec: Codec = "h264"
    """Of the videos."""
    crf: int = 18
    """Constant rate factor of the codec: 0 is best, 51 smallest."""
    keyframe_every: int = 8
    """Frames from keyframe to keyframe: fewer are read faster at random and take more room."""
    episodes_per_file: int = 100
    """Episodes that share a file of rows and one video file a camera."""

    def __post_init__(self):
        if not self.fps > 0:
            raise ConfigError(f"fps must be above 0, got {self.fps}; give the rate of the rows")
        if self.episodes_per_file < 1:
            raise ConfigError(f"episodes_per_file must be at least 1, got {self.episodes_per_file}; raise it")
        actions = self.controls and self.controls.actions
        if actions and "action" in self.names:
            told = tuple(c.name for c in actions.channels)
            if tuple(self.names["action"]) != told:
                raise ConfigError(
                    f"names.action must be those of controls, {told}, got {self.names['action']}; drop one of the two"
                )


def write_lerobot(root: Path, episodes: Iterable[RecordedEpisode], config: LeRobotWriteConfig) -> None:
    """Write a new data set at ``root``, which must not hold anything yet."""
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise DataError(f"{root} must be a new or empty folder, got one with content; name another")
    with atomic_folder(root) as folder:
        writer = _Writer(folder, root, config)
        with ExitStack() as stack:
            writer.stack = stack
            for episode in episodes:
                writer.add(episode)
            writer.close_files()
        writer.finish()


class _Writer:
    def __init__(self, folder: Path, root: Path, config: LeRobotWriteConfig):
        self.folder, self.root, self.config = folder, root, config
        self.stack = ExitStack()
        self.tasks: dict[str, int] = {}
        self.features: dict[str, dict[str, Any]] = {}
        self.stats: dict[str, RunningStats] = {}
        self.episodes: list[dict[str, Any]] = []
        self.pending: list[dict[str, np.ndarray]] = []
        self.videos: dict[str, VideoWriter] = {}
        self.num_rows = self.file_rows = 0

    @property
    def place(self) -> dict[str, int]:
        """Indices of the file that is being filled."""
        number = len(self.episodes) // self.config.episodes_per_file
        return {"chunk_index": number // _FILES_PER_CHUNK, "file_index": number % _FILES_PER_CHUNK}

    def add(self, episode: RecordedEpisode) -> None:
        index = len(self.episodes)
        where = f"{self.root}: episode {index}"
        length = _check_episode(where, episode)
        features = self._features_of(episode)
        if not self.features:
            self.features = features
        elif features != self.features:
            names = [n for n in {**self.features, **features} if self.features.get(n) != features.get(n)]
            raise DataError(
                f"{where}: features must be those of episode 0, got others in {', '.join(names)}; write two data sets"
            )
        task = self.tasks.setdefault(episode.task, len(self.tasks))
        rows = {name: np.asarray(values) for name, values in episode.columns.items()}
        rows |= {
            "timestamp": (np.arange(length) / self.config.fps).astype(np.float32),
            "frame_index": np.arange(length),
            "episode_index": np.full(length, index),
            "index": np.arange(length) + self.num_rows,
            "task_index": np.full(length, task),
        }
        told = self._note_statistics(rows, episode.videos)
        record = {
            "episode_index": index,
            "tasks": [episode.task],
            "length": length,
            "dataset_from_index": self.num_rows,
            "dataset_to_index": self.num_rows + length,
            **{f"data/{k}": v for k, v in self.place.items()},
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
        }
        for camera, pixels in episode.videos.items():
            self._write_video(camera, pixels)
            record |= {f"videos/{camera}/{k}": v for k, v in self.place.items()}
            record[f"videos/{camera}/from_timestamp"] = self.file_rows / self.config.fps
            record[f"videos/{camera}/to_timestamp"] = (self.file_rows + length) / self.config.fps
        record |= told
        self.pending.append(rows)
        self.num_rows, self.file_rows = self.num_rows + length, self.file_rows + length
        is_last_of_file = (index + 1) % self.config.episodes_per_file == 0
        if is_last_of_file:
            self.close_files()
        self.episodes.append(record)

    def close_files(self) -> None:
        """End the files that are being filled."""
        for video in self.videos.values():
            video.__exit__(None, None, None)
        self.videos = {}
        self.stack.pop_all()  # they are closed: nothing is left to undo
        if self.pending:
            number = (self.pending[0]["episode_index"][0]) // self.config.episodes_per_file
            place = _PLACE.format(
                chunk_index=number // _FILES_PER_CHUNK, file_index=number % _FILES_PER_CHUNK
            )
            write_tables(
                self.folder / f"data/{place}.parquet",
                [pa.table({n: to_array(values) for n, values in rows.items()}) for rows in self.pending],
            )
        self.pending, self.file_rows = [], 0

    def finish(self) -> None:
        """Write the metadata."""
        if not self.episodes:
            raise DataError(f"{self.root} must hold at least one episode, got none; give some")
        write_tables(
            self.folder / f"meta/episodes/{_PLACE.format(chunk_index=0, file_index=0)}.parquet",
            [pa.Table.from_pylist(self.episodes)],
        )
        write_tables(self.folder / "meta/tasks.parquet", [tasks_table(self.tasks)])
        stats = {name: found.summary() for name, found in self.stats.items()}
        for name, document in (("info", self._info()), ("stats", stats)):
            text = json.dumps(document, indent=4, allow_nan=False)
            (self.folder / f"meta/{name}.json").write_text(text + "\n", encoding="utf-8")
        if self.config.controls is not None:
            save_config(self.config.controls, self.folder / CONTROLS_PATH)

    def _write_video(self, camera: str, pixels: np.ndarray) -> None:
        config = self.config
        if camera not in self.videos:
            path = self.folder / f"videos/{camera}/{_PLACE.format(**self.place)}.mp4"
            writer = VideoWriter(
                path, fps=config.fps, crf=config.crf, codec=config.codec, keyframe_every=config.keyframe_every
            )
            self.videos[camera] = self.stack.enter_context(writer)
        for picture in pixels:
            self.videos[camera].write(picture)

    def _note_statistics(
        self, rows: Mapping[str, np.ndarray], videos: Mapping[str, np.ndarray]
    ) -> dict[str, Any]:
        """Take an episode in; its own statistics as columns of its row."""
        told: dict[str, Any] = {}

        def note(name: str, shape: tuple[int, ...], table: np.ndarray, num_rows: int) -> None:
            own = RunningStats(shape)
            for stats in (own, self.stats.setdefault(name, RunningStats(shape))):
                stats.add(table, num_rows=num_rows)
            told.update({f"stats/{name}/{key}": value for key, value in own.summary().items()})

        for name, values in rows.items():
            if values.dtype.kind in "fiub":
                note(name, (), values.reshape(len(values), -1).astype(np.float64), len(values))
        for camera, pixels in videos.items():
            # A few pixels of each frame tell its channels well enough, and cost nothing.
            note(camera, (3, 1, 1), pixels[:, ::4, ::4].reshape(-1, 3) / 255.0, len(pixels))
        return told

    def _features_of(self, episode: RecordedEpisode) -> dict[str, dict[str, Any]]:
        features: dict[str, dict[str, Any]] = {}
        for name, values in episode.columns.items():
            shape = list(values.shape[1:]) or [1]
            features[name] = {"dtype": values.dtype.name, "shape": shape, "names": self._names(name, shape)}
        for camera, pixels in episode.videos.items():
            height, width = pixels.shape[1:3]
            facts = {
                "video.height": height,
                "video.width": width,
                "video.codec": self.config.codec,
                "video.pix_fmt": "yuv420p",
                "video.is_depth_map": False,
                "video.fps": self.config.fps,
                "video.channels": 3,
                "has_audio": False,
            }
            shape = {"shape": [height, width, 3], "names": ["height", "width", "channels"]}
            features[camera] = {"dtype": "video", **shape, "info": facts}
        clock = {n: {"dtype": t, "shape": [1], "names": None} for n, t in _CLOCK_TYPES.items()}
        return features | clock

    def _names(self, name: str, shape: list[int]) -> list[str] | None:
        actions = self.config.controls and self.config.controls.actions
        names = self.config.names.get(name)
        if name == "action" and actions:
            names = tuple(c.name for c in actions.channels)
        if names is not None and len(names) != shape[0]:
            raise DataError(
                f"{self.root}: {name} must have a name for each of its {shape[0]} numbers, got {len(names)}: "
                f"{', '.join(names)}; correct names or controls"
            )
        return None if names is None else list(names)

    def _info(self) -> dict[str, Any]:
        fps = self.config.fps
        return {
            "codebase_version": "v3.0",
            "robot_type": self.config.robot_type or None,
            "total_episodes": len(self.episodes),
            "total_frames": self.num_rows,
            "total_tasks": len(self.tasks),
            "chunks_size": _FILES_PER_CHUNK,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 200,
            "fps": int(fps) if float(fps).is_integer() else fps,
            "splits": {"train": f"0:{len(self.episodes)}"},
            "data_path": f"data/{_PLACE}.parquet",
            "video_path": f"videos/{{video_key}}/{_PLACE}.mp4",
            "features": self.features,
        }


def _check_episode(where: str, episode: RecordedEpisode) -> int:
    lengths = {name: len(values) for name, values in {**episode.columns, **episode.videos}.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        raise DataError(
            f"{where}: all features must have the same number of rows, at least 1, got {lengths}; cut them alike"
        )
    for name, values in episode.columns.items():
        if name in _CLOCK_TYPES:
            raise DataError(f"{where}: {name} must not be given, it is made here; drop it")
        if values.ndim > 2 or values.dtype.kind not in "fiub":
            raise DataError(
                f"{where}: {name} must be numbers [t] or [t, n], got {values.dtype} {list(values.shape)}; flatten it"
            )
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            row = int(np.argwhere(~np.isfinite(values))[0][0])
            raise DataError(f"{where}: row {row}: {name} must be finite, got {values[row]}; drop the episode")
    for camera, pixels in episode.videos.items():
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3:
            raise DataError(
                f"{where}: {camera} must be uint8 [t, h, w, 3], got {pixels.dtype} {list(pixels.shape)}; convert it"
            )
    return next(iter(lengths.values()))
