"""Publish: the index, embeddings, shards, the manifest and the report, in the driver and at the end."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from worldfoundry.curate.config import CurateConfig
from worldfoundry.curate.index import schema_of, write_embeddings, write_index
from worldfoundry.curate.records import Row, write_json
from worldfoundry.curate.report import write_report
from worldfoundry.curate.shard import write_shards
from worldfoundry.curate.store import Store


def publish(
    store: Store,
    rows: Sequence[Row],
    config: CurateConfig,
    manifest: Mapping[str, Any],
    *,
    columns: Mapping[str, type],
    vectors: Mapping[str, np.ndarray],
) -> None:
    """Write everything that readers of a set look at; the manifest says when it is whole."""
    kept = [row for row in rows if row["decision"] == "kept"]
    shards = write_shards(store, kept, config.shard) if config.shard.enabled else {}
    for row in kept:
        row["shard"] = next(iter(shards.get(row["clip_id"], ())), None)
    if vectors:
        write_embeddings(store, config.embed.model, vectors)
    else:
        store.remove("embeddings.parquet")
    write_index(store, "index.parquet", rows, schema_of(columns))
    counts: dict[str, int] = {}
    for row in rows:
        key = row["decision"] if row["decision"] == "kept" else f"{row['decision']}: {row['reason']}"
        counts[key] = counts.get(key, 0) + 1
    sources = len({row["source"] for row in rows})
    facts = {**manifest, "state": "finished", "num_sources": sources, "counts": dict(sorted(counts.items()))}
    write_json(store, "manifest.json", facts)
    write_report(store)
