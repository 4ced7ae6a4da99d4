"""The index: one row a clip, kept or rejected, and one for each source that yields none; and all that a set knows.

::

    <out>/manifest.json       inputs, settings, fingerprints, counts; written last
    <out>/index.parquet       the rows, sorted by source and time
    <out>/clips/<aa>/<clip_id>.mp4
    <out>/similarities.parquet    pairs of clips that were compared
    <out>/analysis/, records/, captions/, enrich/    see records.py; what a rerun starts from
"""

import functools
import io
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from worldfoundry.core.config import from_json
from worldfoundry.core.errors import DataError
from worldfoundry.curate.analyse import detectors_of
from worldfoundry.curate.config import CurateConfig, settings_of
from worldfoundry.curate.decide import decide_again
from worldfoundry.curate.records import SCHEMA, Analysis, Row, load_analysis, read_json, source_path
from worldfoundry.curate.similarities import Similarities, read_similarities
from worldfoundry.curate.store import Store
from worldfoundry.curate.tables import read_table

_FIRST = {
    "clip_id": pa.string(),
    "source": pa.string(),
    "source_id": pa.string(),
    "start_s": pa.float64(),
    "end_s": pa.float64(),
    "num_frames": pa.int64(),
    "width": pa.int32(),
    "height": pa.int32(),
    "source_width": pa.int32(),
    "source_height": pa.int32(),
    "fps": pa.float64(),
    "is_still": pa.bool_(),
    "decision": pa.string(),
    "reason": pa.string(),
    "detail": pa.string(),
    "duplicate_of": pa.string(),
    "similarity": pa.float64(),
    "repeat": pa.int32(),
}
_SCORES = {
    "motion": pa.float64(),
    "camera_motion": pa.string(),
    "quality": pa.float64(),
    "overlay_text": pa.float64(),
    "type": pa.string(),
}
_LAST = {
    "caption": pa.string(),
    "caption_by": pa.string(),
    "caption_state": pa.string(),
    "caption_detail": pa.string(),
    "shard": pa.string(),
    "path": pa.string(),
}
COLUMNS = (*_FIRST, *_SCORES, *_LAST)
"""Columns that every index has; further scores stand before the caption."""


def schema_of(scores: Mapping[str, type]) -> pa.Schema:
    """The schema with the further scores of detectors and models, by name."""
    kinds = {float: pa.float64(), int: pa.int64(), bool: pa.bool_(), str: pa.string()}
    further = {n: kinds.get(k, pa.list_(pa.string())) for n, k in scores.items() if n not in _SCORES}
    return pa.schema([*_FIRST.items(), *_SCORES.items(), *further.items(), *_LAST.items()])


def write_index(store: Store, name: str, rows: Sequence[Row], schema: pa.Schema) -> None:
    """Write rows in the order given; equal rows give equal bytes."""
    columns = {n: [_stored(row.get(n)) for row in rows] for n in schema.names}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns, schema=schema), buffer, compression="zstd")
    store.write_bytes(name, buffer.getvalue())


def schema_of_index(store: Store, name: str = "index.parquet") -> pa.Schema:
    """The schema of a stored index."""
    return pq.read_schema(io.BytesIO(store.read_bytes(name))).remove_metadata()


def read_index(store: Store, name: str = "index.parquet") -> list[Row]:
    """The rows of an index."""
    try:
        return read_table(store, name).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{store.url(name)} must be the index of a curated set, got {error}; finish it with 'worldfoundry curate run'"
        ) from error


def write_embeddings(store: Store, model: str, vectors: Mapping[str, np.ndarray]) -> None:
    """Write embeddings by clip as ``embeddings.parquet``."""
    ids = sorted(vectors)
    values = pa.array([vectors[k] for k in ids], pa.list_(pa.float32()))
    table = pa.table({"clip_id": ids, "model": [model] * len(ids), "embedding": values})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    store.write_bytes("embeddings.parquet", buffer.getvalue())


def read_embeddings(store: Store) -> dict[str, np.ndarray]:
    """Embeddings by clip; empty where no model gave any."""
    if not store.exists("embeddings.parquet"):
        return {}
    table = read_table(store, "embeddings.parquet")
    ids, values = table["clip_id"].to_pylist(), table["embedding"].to_pylist()
    return {k: np.array(v, np.float32) for k, v in zip(ids, values, strict=True)}


def _stored(value: Any) -> Any:
    if isinstance(value, float) and value != value:
        return None
    return list(value) if isinstance(value, tuple) else value


@dataclass(frozen=True)
class CuratedSet:
    """A finished set, opened for reading."""

    store: Store
    """Where it is."""
    manifest: Mapping[str, Any]
    """What manifest.json says."""
    config: CurateConfig
    """The settings it was made with."""
    rows: list[Row] = field(repr=False)
    """The index."""

    def analysis(self, source_id: str) -> Analysis:
        """The timelines of a source, by its content address."""
        fingerprint = self.manifest["fingerprints"]["analysis"]
        return load_analysis(self.store, source_path("analysis", source_id, f"-{fingerprint}.npz"))[0]

    def decided(self, config: CurateConfig) -> list[Row]:
        """The rows as other thresholds would have them, from stored scores."""
        return decide_again(
            self.rows,
            self.config,
            config,
            analyses=self.analysis,
            detectors=detectors_of(self.config),
            vectors=read_embeddings(self.store),
            similarities=Similarities(read_similarities(self.store)),
        )

    def reproduce(self, row: Row) -> str:
        """The command that repeats what became of a row's source."""
        inputs = " ".join(shlex.quote(i) for i in self.manifest["inputs"])
        out = f"try/{(row['source_id'] or 'source')[:8]}"
        words = [f"worldfoundry curate run {inputs}", "--only", shlex.quote(row["source"]), "--out", out]
        return " ".join([*words, *flags_of(self.config)])

    @functools.cached_property
    def names(self) -> dict[str, str]:
        """Content address -> name of each source."""
        return {row["source_id"]: row["source"] for row in self.rows}


def load_set(store: Store) -> CuratedSet:
    """Open a finished set."""
    manifest = read_json(store, "manifest.json")
    if manifest is None or manifest.get("state") != "finished":
        got = "no manifest.json" if manifest is None else "an unfinished run"
        raise DataError(
            f"{store.root} must be a curated set, got {got}; make it with 'worldfoundry curate run'"
        )
    if manifest.get("schema") != SCHEMA:
        raise DataError(
            f"{store.url('manifest.json')} must have schema {SCHEMA}, got {manifest.get('schema')!r}; make the set again with "
            "'worldfoundry curate run'"
        )
    config = from_json(CurateConfig, manifest["config"], where=store.url("manifest.json"))
    return CuratedSet(store, manifest, config, read_index(store))


def flags_of(config: CurateConfig, base: CurateConfig | None = None) -> list[str]:
    """The settings that differ from ``base``, or from the default, as the command takes them."""
    usual = settings_of(base or CurateConfig())
    return [_flag(name, value) for name, value in settings_of(config).items() if usual.get(name) != value]


def _flag(name: str, value: Any) -> str:
    *path, last = name.replace("_", "-").split(".")
    if isinstance(value, bool):
        return "--" + ".".join([*path, last if value else f"no-{last}"])
    return " ".join(["--" + ".".join([*path, last]), *(shlex.quote(str(v)) for v in _words(value))])


def _words(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [word for pair in value.items() for word in pair]
    return value if isinstance(value, list) else [value]
