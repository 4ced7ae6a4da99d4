"""The rows of one episode of a LeRobotDataset, read from Parquet and checked against the metadata."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from worldfoundry.core.errors import DataError
from worldfoundry.data.lerobot_meta import VISUAL, Episode, Feature, Info, parquet_names, read_parquet

CLOCK = ("timestamp", "frame_index", "episode_index", "task_index")
"""Columns that every data set has."""
_KINDS = {
    "f": pa.types.is_floating,
    "i": pa.types.is_integer,
    "u": pa.types.is_integer,
    "b": pa.types.is_boolean,
}

Rows = dict[str, np.ndarray]


def read_rows(info: Info, episode: Episode) -> Rows:
    """Every column, pictures excepted, ``[t, *shape]``; shapes and types are those of the metadata."""
    path, features = episode.data_path, [f for f in info.features.values() if f.dtype not in VISUAL]
    if not path.is_file():
        raise DataError(
            f"{path} must exist: episode {episode.index} is in it by meta/episodes, got no file; copy it again"
        )
    names = [f.name for f in features]
    lost = [n for n in names if n not in parquet_names(path)]
    if lost:
        raise broken(
            path,
            episode,
            f"must have the columns of meta/info.json, got no {', '.join(lost)}",
            "write them, or take them out of features",
        )
    table = read_parquet(path, filters=[("episode_index", "==", episode.index)], columns=names)
    if len(table) != episode.num_rows:
        raise broken(
            path,
            episode,
            f"must have the {episode.num_rows} rows that meta/episodes states, got {len(table)}",
            "copy the file again, or correct length",
        )
    return {f.name: _column(path, episode, f, table.column(f.name)) for f in features}


def _column(path: Path, episode: Episode, feature: Feature, column: pa.ChunkedArray) -> np.ndarray:
    values = column.combine_chunks()
    depth = _check_type(path, episode, feature, values.type)
    if feature.dtype == "string":
        return np.array(values.to_pylist(), dtype=object)
    shape = () if depth == 0 else feature.shape
    for row, item in enumerate(values if values.null_count else ()):
        if not item.is_valid:
            raise broken(
                path,
                episode,
                f"row {row}: {feature.name} must have a value, got null",
                "fill or drop the episode",
            )
    flat = values
    for size in shape:
        lengths = flat.value_lengths().to_numpy(zero_copy_only=False) if len(flat) else np.zeros(0)
        if (bad := np.flatnonzero(lengths != size)).size:
            row = int(bad[0]) * len(values) // len(flat)
            raise broken(
                path,
                episode,
                f"row {row}: {feature.name} must have the shape {list(feature.shape)}, got {int(lengths[bad[0]])} values",
                "correct the row, or shape in meta/info.json",
            )
        flat = flat.flatten()
    if flat.null_count:
        row = int(np.flatnonzero(flat.is_null().to_numpy(zero_copy_only=False))[0]) // max(
            1, math.prod(shape)
        )
        raise broken(
            path,
            episode,
            f"row {row}: {feature.name} must have numbers, got null",
            "fill or drop the episode",
        )
    array = flat.to_numpy(zero_copy_only=False).astype(feature.dtype, copy=False)
    return array.reshape(len(values), *shape)


def _check_type(path: Path, episode: Episode, feature: Feature, kind: pa.DataType) -> int:
    """How deep the lists of a column are nested; a type that is not that of the feature raises."""
    leaf, depth = kind, 0
    while pa.types.is_list(leaf) or pa.types.is_fixed_size_list(leaf) or pa.types.is_large_list(leaf):
        leaf, depth = leaf.value_type, depth + 1
    if feature.dtype == "string":
        fits = pa.types.is_string(leaf) or pa.types.is_large_string(leaf)
    else:
        try:
            fits = _KINDS.get(np.dtype(feature.dtype).kind, lambda _: False)(leaf)
        except TypeError:
            fits = False
    is_scalar = feature.shape == (1,)
    if not fits or not (depth == len(feature.shape) or (is_scalar and depth == 0)):
        raise broken(
            path,
            episode,
            f"{feature.name} must be {feature.dtype} {list(feature.shape)} by meta/info.json, got {kind}",
            "write it in that type, or correct features",
        )
    return depth


def check_rows(info: Info, tasks: Mapping[int, str], episode: Episode, rows: Rows) -> None:
    """Raise unless numbers are finite, times rise from 0, rows are numbered and tasks are known."""
    path = episode.data_path
    for name, values in rows.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            row = int(np.argwhere(~np.isfinite(values))[0][0])
            raise broken(
                path,
                episode,
                f"row {row}: {name} must be finite, got {_short(values[row])}",
                "repair the recording or drop the episode",
            )
    seconds = rows["timestamp"].astype(np.float64).reshape(-1)
    if (back := np.flatnonzero(np.diff(seconds) <= 0)).size:
        row = int(back[0]) + 1
        raise broken(
            path,
            episode,
            f"row {row}: timestamp must be above that of the row before, {seconds[row - 1]:g} s, got {seconds[row]:g} s",
            "sort the rows or record again",
        )
    if len(seconds) and abs(seconds[0]) > 0.5 / info.fps:
        raise broken(
            path,
            episode,
            f"row 0: timestamp must begin at 0 s, got {seconds[0]:g} s",
            "subtract the start of the episode",
        )
    count = rows["frame_index"].reshape(-1)
    if (off := np.flatnonzero(count != np.arange(len(count)))).size:
        row = int(off[0])
        raise broken(
            path, episode, f"row {row}: frame_index must be {row}, got {count[row]}", "number the rows from 0"
        )
    for row, task in enumerate(rows["task_index"].reshape(-1).tolist()):
        if task not in tasks:
            raise broken(
                path,
                episode,
                f"row {row}: task_index must be one of meta/tasks, got {task}",
                "add the task or correct it",
            )


def broken(path: Path, episode: Episode, problem: str, fix: str) -> DataError:
    """The error of a rule that an episode breaks in a file."""
    return DataError(f"{path}: episode {episode.index}: {problem}; {fix}")


def _short(value: np.ndarray) -> str:
    return np.array2string(np.asarray(value), precision=4, threshold=12).replace("\n", "")
