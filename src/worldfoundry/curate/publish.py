"""Publish: captions, the index, embeddings, shards, the manifest and the report, in the driver and at the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from worldfoundry.curate import enrich
from worldfoundry.curate.annotate import annotate
from worldfoundry.curate.config import AnnotateConfig, CurateConfig
from worldfoundry.curate.index import schema_of, write_embeddings, write_index
from worldfoundry.curate.records import Row, write_json
from worldfoundry.curate.report import write_report
from worldfoundry.curate.shard import write_shards
from worldfoundry.curate.store import Store
from worldfoundry.protocols.curation import Executor, Failure, Span

_BATCH = 256
_START_S = 600.0  # until a model is loaded


@dataclass(frozen=True, slots=True)
class Annotate:
    """Captions of a batch of kept rows."""

    store: Store
    """Where clips and answers lie."""
    config: AnnotateConfig
    """Settings."""

    def __call__(self, rows: Sequence[Row]) -> list[dict[str, str]]:
        """What is written about each row, in their order."""
        return annotate(rows, self.store, self.config, frames=partial(frames_of_clip, self.store))


def caption_rows(store: Store, rows: Sequence[Row], config: AnnotateConfig, executor: Executor) -> list[Row]:
    """Rows with what is written about the kept ones; a model is asked by the executor if that spans machines."""
    kept = [row for row in rows if row["decision"] == "kept"]
    if config.captioner == "none" or not kept:
        return list(rows)
    step = Annotate(store, config)
    if executor.is_distributed and config.captioner != "measured":
        batches = [kept[k : k + _BATCH] for k in range(0, len(kept), _BATCH)]
        deadlines = [_START_S + len(b) * config.timeout_s * (config.retries + 1) for b in batches]
        results = dict(executor.for_models()(step, batches, deadlines_s=deadlines))
        captions = [words for k in range(len(batches)) for words in _captions(results[k], batches[k])]
    else:
        captions = step(kept)
    by_id = {row["clip_id"]: words for row, words in zip(kept, captions, strict=True)}
    return [{**row, **by_id.get(row["clip_id"], {})} for row in rows]


def _captions(result: list[dict[str, str]] | Failure, rows: Sequence[Row]) -> list[dict[str, str]]:
    if not isinstance(result, Failure):
        return result
    failed = {"caption": "", "caption_by": "", "caption_state": result.kind, "caption_detail": result.error}
    return [failed for _ in rows]


def frames_of_clip(
    store: Store, row: Row, num_frames: int, max_side_px: int
) -> tuple[np.ndarray, np.ndarray]:
    """Frames evenly over an encoded clip: uint8 [t, h, w, 3] and their times from its start."""
    whole = Span(start_s=0.0, end_s=row["end_s"] - row["start_s"])
    with store.local(row["path"]) as path:
        return enrich.frames_of(path, whole, 1 if row["is_still"] else num_frames, max_side_px)


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
