"""The metadata of a LeRobotDataset: features, episodes, tasks, and where the rows and frames of an episode lie.

Read are v3.0 (many episodes in one file: ``meta/episodes/*.parquet``, ``meta/tasks.parquet``) and v2.0 and v2.1 (one file an
episode: ``meta/episodes.jsonl``, ``meta/tasks.jsonl``). Rows and frames are found by the path templates of ``meta/info.json``.
Needs pyarrow (extra ``curate``).

Source: https://huggingface.co/docs/lerobot/lerobot-dataset-v3
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from worldfoundry.core.errors import DataError

VERSIONS = ("v3.0", "v2.1", "v2.0")
VISUAL = ("video", "image")
_RESTORE = "copy the file again from its source"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One column of the rows, or one camera."""

    name: str
    """Such as ``action`` or ``observation.images.front``."""
    dtype: str
    """NumPy name, ``string``, ``video`` or ``image``."""
    shape: tuple[int, ...]
    """Of one row; ``(1,)`` for a scalar."""
    names: tuple[str, ...]
    """Names of the numbers of a vector, empty where the data set gives none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """``meta/info.json``."""

    version: str
    """Format: one of ``VERSIONS``."""
    fps: float
    """Rows, and frames of every camera, per second."""
    robot_type: str
    """Empty where it is not given."""
    num_episodes: int
    """As the file states."""
    num_rows: int
    """As the file states."""
    features: dict[str, Feature]
    """By name, in the order of the file."""
    data_path: str
    """Template of the path of rows."""
    video_path: str
    """Template of the path of videos; empty where there is none."""
    chunks_size: int
    """Files in a folder."""

    @property
    def cameras(self) -> list[str]:
        """Names of the features that are pictures."""
        return [f.name for f in self.features.values() if f.dtype in VISUAL]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSpan:
    """Where the frames of one episode and camera lie."""

    path: Path
    """Video file, perhaps shared by episodes."""
    start_seconds: float
    """Presentation time of the first frame of the episode."""
    end_seconds: float
    """Time at which the last frame ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One recording without a cut."""

    index: int
    """Its number in the data set."""
    num_rows: int
    """Rows, and frames of every camera."""
    tasks: tuple[str, ...]
    """What was to be done, in words."""
    data_path: Path
    """File of its rows, perhaps shared by episodes."""
    videos: dict[str, VideoSpan]
    """By camera."""


def read_info(root: Path) -> Info:
    """The features and the path templates of a data set, checked."""
    path = root / "meta" / "info.json"
    document = _read_json(path)
    version = _field(path, document, "codebase_version", str)
    if version not in VERSIONS:
        raise DataError(
            f"{path}: codebase_version must be one of {', '.join(VERSIONS)}, got {version!r}; convert it with lerobot"
        )
    features = {
        name: _feature(path, name, value) for name, value in _field(path, document, "features", dict).items()
    }
    fps = _field(path, document, "fps", (int, float))
    if not fps > 0:
        raise DataError(f"{path}: fps must be above 0, got {fps}; write the rate of the rows")
    has_videos = any(f.dtype == "video" for f in features.values())
    return Info(
        version=version,
        fps=float(fps),
        robot_type=document.get("robot_type") or "",
        num_episodes=_field(path, document, "total_episodes", int),
        num_rows=_field(path, document, "total_frames", int),
        features=features,
        data_path=_field(path, document, "data_path", str),
        video_path=_field(path, document, "video_path", str) if has_videos else "",
        chunks_size=document.get("chunks_size") or 1000,
    )


def read_tasks(root: Path, info: Info) -> dict[int, str]:
    """Text of each task by its number."""
    if info.version.startswith("v2"):
        path = root / "meta" / "tasks.jsonl"
        rows = _read_jsonl(path)
    else:
        path = root / "meta" / "tasks.parquet"
        rows = read_parquet(path).to_pylist()
    found: dict[int, str] = {}
    for row in rows:
        # The text is the index of a data frame: without a name, pandas calls its column so.
        text = row.get("task", row.get("__index_level_0__"))
        if not isinstance(text, str) or not isinstance(row.get("task_index"), int):
            raise DataError(
                f"{path}: each row must have a task (text) and a task_index (integer), got {row}; {_RESTORE}"
            )
        found[row["task_index"]] = text
    return found


def read_episodes(root: Path, info: Info) -> list[Episode]:
    """Every episode in order, as the metadata tell; no data file is opened."""
    if info.version.startswith("v2"):
        path = root / "meta" / "episodes.jsonl"
        episodes = [_episode_v2(root, info, path, row) for row in _read_jsonl(path)]
    else:
        path = root / "meta" / "episodes"
        files = sorted(path.glob("chunk-*/file-*.parquet"))
        if not files:
            raise DataError(f"{path} must hold chunk-000/file-000.parquet, got none; {_RESTORE}")
        episodes = [_episode_v3(root, info, file, row) for file in files for row in _episode_rows(file)]
    episodes.sort(key=lambda e: e.index)
    if [e.index for e in episodes] != list(range(len(episodes))):
        raise DataError(
            f"{path}: episode_index must count from 0 without gaps, got {[e.index for e in episodes][:20]}; {_RESTORE}"
        )
    return episodes


def read_parquet(path: Path, **options: Any) -> pa.Table:
    """A Parquet file, or a ``DataError`` that names it."""
    try:
        return pq.read_table(path, **options)
    except (OSError, pa.ArrowException) as error:
        raise _no_parquet(path, error) from error


def parquet_names(path: Path) -> list[str]:
    """Columns of a Parquet file, or a ``DataError`` that names it."""
    return parquet_schema(path).names


def parquet_schema(path: Path) -> pa.Schema:
    """Columns and types of a Parquet file, or a ``DataError`` that names it."""
    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise _no_parquet(path, error) from error


def _no_parquet(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} must be a Parquet file, got {str(error).splitlines()[0]}; {_RESTORE}")


def _episode_rows(path: Path) -> list[dict[str, Any]]:
    """Without the statistics, which may be most of the file."""
    names = [n for n in parquet_names(path) if not n.startswith("stats/")]
    return read_parquet(path, columns=names).to_pylist()


def _episode_v3(root: Path, info: Info, path: Path, row: dict[str, Any]) -> Episode:
    def place(template: str, group: str, **more: str) -> Path:
        numbers = {key: _field(path, row, f"{group}/{key}", int) for key in ("chunk_index", "file_index")}
        return _place(root, template, **numbers, **more)

    videos = {
        key: VideoSpan(
            path=place(info.video_path, f"videos/{key}", video_key=key),
            start_seconds=_field(path, row, f"videos/{key}/from_timestamp", float),
            end_seconds=_field(path, row, f"videos/{key}/to_timestamp", float),
        )
        for key, feature in info.features.items()
        if feature.dtype == "video"
    }
    return Episode(
        index=_field(path, row, "episode_index", int),
        num_rows=_field(path, row, "length", int),
        tasks=tuple(_field(path, row, "tasks", list)),
        data_path=place(info.data_path, "data"),
        videos=videos,
    )


def _episode_v2(root: Path, info: Info, path: Path, row: dict[str, Any]) -> Episode:
    index, num_rows = (_field(path, row, name, int) for name in ("episode_index", "length"))
    numbers = {"episode_index": index, "episode_chunk": index // info.chunks_size}
    videos = {
        key: VideoSpan(
            path=_place(root, info.video_path, **numbers, video_key=key),
            start_seconds=0.0,
            end_seconds=num_rows / info.fps,
        )
        for key, feature in info.features.items()
        if feature.dtype == "video"
    }
    return Episode(
        index=index,
        num_rows=num_rows,
        tasks=tuple(_field(path, row, "tasks", list)),
        data_path=_place(root, info.data_path, **numbers),
        videos=videos,
    )


def _place(root: Path, template: str, **values: Any) -> Path:
    """The path a template names; templates come from the data set, so they may not lead out of it."""
    try:
        relative = Path(template.format(**values))
    except (LookupError, ValueError, AttributeError) as error:
        raise DataError(
            f"{root / 'meta' / 'info.json'}: path templates must use {', '.join(values)} alone, got {template!r}; correct it"
        ) from error
    if relative.is_absolute() or ".." in relative.parts:
        raise DataError(
            f"{root / 'meta' / 'info.json'}: path templates must stay inside the data set, got {template!r}; correct it"
        )
    return root / relative


def _feature(path: Path, name: str, value: Any) -> Feature:
    if not isinstance(value, dict):
        raise DataError(f"{path}: features.{name} must be an object, got {value!r}; {_RESTORE}")
    names = value.get("names")
    if isinstance(names, Mapping):  # v2: {"motors": [...]}
        names = [n for group in names.values() for n in (group if isinstance(group, list) else [group])]
    shape = _field(path, value, "shape", list, f"features.{name}.")
    return Feature(
        name=name,
        dtype=_field(path, value, "dtype", str, f"features.{name}."),
        shape=tuple(int(n) for n in shape) or (1,),
        names=tuple(map(str, names or ())),
    )


def _field(path: Path, document: Mapping[str, Any], name: str, kind: Any, above: str = "") -> Any:
    value = document.get(name)
    if kind is float and type(value) is int:
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, kind):
        wanted = getattr(kind, "__name__", "number")
        got = repr(value) if name in document else "no such field"
        raise DataError(f"{path}: {above}{name} must be {wanted}, got {got}; {_RESTORE}")
    return value


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} must be a JSON file, got {error}; {_RESTORE}") from error
    if not isinstance(document, dict):
        raise DataError(f"{path} must hold one JSON object, got a {type(document).__name__}; {_RESTORE}")
    return document


def _read_jsonl(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise DataError(f"{path} must be a JSON Lines file, got {error}; {_RESTORE}") from error
