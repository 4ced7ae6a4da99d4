"""What a curated set knows on disk: a part file for each finished video, and the index of all clips.

::

    <out>/manifest.json            schema, source folder, settings and their digest, versions, counts
    <out>/index.parquet            one row a clip, kept or rejected, and one a video that could not be used
    <out>/clips/<clip_id>.mp4
    <out>/work/<sha256>-<digest>.json   what came of one video under one configuration

Parts are named by the content of the video and the settings, so results of two configurations never mix, and written whole
or not at all, so a killed run is continued by running it again.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from worldfoundry.core.errors import DataError
from worldfoundry.core.files import atomic_path
from worldfoundry.protocols.curation import Record, Rejection

SCORES = ("motion", "camera_motion", "object_motion")
SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("source", pa.string()),
        ("source_sha256", pa.string()),
        ("start_seconds", pa.float64()),
        ("end_seconds", pa.float64()),
        ("fps", pa.float64()),
        ("num_frames", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        *((name, pa.float64()) for name in SCORES),
        ("kept", pa.bool_()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("path", pa.string()),
    ]
)

Row = dict[str, Any]


def row_of(outcome: Record | Rejection) -> Row:
    """One row of the index; scores that were never measured are null."""
    rejected = isinstance(outcome, Rejection)
    record = outcome.record if isinstance(outcome, Rejection) else outcome
    facts = {name: getattr(record, name) for name in SCHEMA.names if hasattr(record, name)}
    return {
        **facts,
        **{name: record.scores.get(name) for name in SCORES},
        "kept": not rejected,
        "reason": str(outcome.reason) if isinstance(outcome, Rejection) else "",
        "detail": outcome.detail if isinstance(outcome, Rejection) else "",
    }


def write_index(path: Path, rows: list[Row]) -> None:
    """Write rows in the order given; equal rows give equal bytes."""
    columns = {name: [row[name] for row in rows] for name in SCHEMA.names}
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(columns, schema=SCHEMA), temporary, compression="zstd")


def read_index(path: Path) -> list[Row]:
    """The rows of an index."""
    try:
        return pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{path} must be the index of a curated set, got {error}; finish it with 'worldfoundry curate run'"
        ) from error


def part_path(out: Path, source_sha256: str, config_digest: str) -> Path:
    """Where the result of one video under one configuration lies."""
    return out / "work" / f"{source_sha256}-{config_digest}.json"


def find_part(path: Path, out: Path) -> Row | None:
    """A finished part whose clips are all there, or None: then the video is done again."""
    try:
        part = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DataError(f"{path} must be JSON, got {error}; remove it and run again") from error
    return part if all((out / row["path"]).is_file() for row in part["rows"] if row["kept"]) else None


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_parts(out: Path, config_digest: str) -> Iterator[Row]:
    """All parts of one configuration, sorted by name."""
    for path in sorted((out / "work").glob(f"*-{config_digest}*.json")):
        yield json.loads(path.read_text(encoding="utf-8"))
