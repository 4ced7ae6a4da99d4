"""Exports of a finished set that other tools read: folders of their form, made from the clips, the index and captions.

- ``webdataset``: tar shards, one sample a clip (``<id>.mp4``, ``<id>.json``, ``<id>.txt``), see ``shard.py``.
- ``predict2``: the fine-tuning folder of Cosmos-Predict 2 and 2.5, ``videos/<name>.mp4`` beside ``metas/<name>.txt``;
  without text embeddings, which those trainers make themselves. Clips without a caption, and images, are left out; a
  clip that the mix repeats stands there as often.
- ``cosmos-curate``: ``clips/``, ``metas/v0/<uuid>.json`` and ``summary.json``, from which that project's sharding and
  deduplication find their inputs; ids are UUIDs, paths relative, and ``valid`` says that the clip is kept;
  it knows no repeated clips.
- ``parquet``: ``clips.parquet``, the kept clips, and ``rejected.parquet``, everything else, for duckdb and its like.

Every export is made again over an older one and then holds nothing but this set's files.
"""

import io
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from worldfoundry.core.errors import DataError, UnknownNameError
from worldfoundry.curate.index import CuratedSet, load_set, read_embeddings
from worldfoundry.curate.records import Row, write_json
from worldfoundry.curate.shard import write_shards
from worldfoundry.curate.store import Store
from worldfoundry.curate.tables import read_table

_ROOT = uuid.UUID("6f1d6f54-95f6-5e0f-8c1f-0c1a0f7d5e2b")
"""Name space of the UUIDs of clips and sources."""


@dataclass(frozen=True, slots=True)
class _Export:
    """One export under way: what was written is remembered, so that leftovers can be found."""

    curated: CuratedSet
    out: Store
    names: set[str]

    @property
    def kept(self) -> list[Row]:
        """Rows of clips that are in the set."""
        return [row for row in self.curated.rows if row["decision"] == "kept"]

    def copy(self, row: Row, name: str) -> None:
        """Put the clip of a row under a name, unless it is there; clips are named by content, so size decides."""
        self.names.add(name)
        if self.out.size(name) == self.curated.store.size(row["path"]):
            return
        with self.curated.store.local(row["path"]) as clip, self.out.writing(name) as path:
            path.write_bytes(clip.read_bytes())

    def text(self, name: str, text: str) -> None:
        """Put a text under a name."""
        self.names.add(name)
        self.out.write_bytes(name, text.encode())

    def json(self, name: str, value: Any) -> None:
        """Put a document under a name."""
        self.names.add(name)
        write_json(self.out, name, value)

    def table(self, name: str, table: pa.Table) -> None:
        """Put a table under a name."""
        self.names.add(name)
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        self.out.write_bytes(name, buffer.getvalue())


def export(store: Store, fmt: str, destination: Store) -> dict[str, int]:
    """Write an export of a finished set and return what it holds: clips, files, and clips left out.

    The destination must be empty or hold an export of the same form.
    """
    if fmt not in FORMATS:
        raise UnknownNameError("export format", fmt, FORMATS)
    if destination.root.rstrip("/") == store.root.rstrip("/"):
        raise DataError(f"destination {destination.root!r} must not be the set itself; give another folder")
    _claim(destination, fmt)
    work = _Export(load_set(store), destination, {_MARK})
    counts = FORMATS[fmt](work)
    for name in destination.names():
        if name not in work.names:
            destination.remove(name)
    return {**counts, "files": len(work.names) - 1}


_MARK = "export.json"


def _claim(out: Store, fmt: str) -> None:
    mark = {"schema": 1, "format": fmt}
    if not out.exists(_MARK) and out.names():
        raise DataError(
            f"destination {out.root!r} must be empty or an export, got other files; give another folder"
        )
    if out.exists(_MARK) and json.loads(out.read_bytes(_MARK)) != mark:
        raise DataError(f"destination {out.root!r} holds an export of another form; give another folder")
    write_json(out, _MARK, mark)


def _webdataset(work: _Export) -> dict[str, int]:
    found = write_shards(work.curated.store, work.kept, work.curated.config.shard, destination=work.out)
    work.names.update(work.out.names("shards"))
    return {"clips": len(found), "left_out": 0}


# Cosmos-Predict


def _predict2(work: _Export) -> dict[str, int]:
    clips = [row for row in work.kept if row.get("caption") and not row["is_still"]]
    count = 0
    for row in clips:
        for k in range(
            row["repeat"] or 1
        ):  # those trainers draw files alike, so a clip that counts twice stands twice
            key = row["clip_id"] if k == 0 else f"{row['clip_id']}-{k}"
            name = f"{key}_0_{row['num_frames'] - 1}"
            work.copy(row, f"videos/{name}.mp4")
            work.text(f"metas/{name}.txt", row["caption"])
            count += 1
    return {"clips": count, "left_out": len(work.kept) - len(clips)}


# cosmos-curate


def _cosmos_curate(work: _Export) -> dict[str, int]:
    described = read_embeddings(work.curated.store)
    clips = [row for row in work.kept if not row["is_still"]]
    for row in clips:
        work.copy(row, f"clips/{_clip_uuid(row)}.mp4")
        work.json(f"metas/v0/{_clip_uuid(row)}.json", _meta(work, row))
    if described:
        rows = [row for row in clips if row["clip_id"] in described]
        values = pa.array([described[r["clip_id"]].tolist() for r in rows], pa.list_(pa.float64()))
        table = pa.table({"id": [_clip_uuid(r) for r in rows], "embedding": values})
        work.table(f"{_embedding_folder(work)}/clips.parquet", table)
    work.json("summary.json", _summary(work, clips))
    return {"clips": len(clips), "left_out": len(work.kept) - len(clips)}


def _embedding_folder(work: _Export) -> str:
    model = work.curated.config.embed.model
    return {"internvideo2": "iv2_embd_parquet", "cosmos-embed1": "ce1_embd_224p_parquet"}.get(
        model, f"{model}_embd_parquet"
    )


def _clip_uuid(row: Mapping[str, Any]) -> str:
    return str(uuid.uuid5(_ROOT, row["clip_id"]))


def _source_uuid(row: Mapping[str, Any]) -> str:
    return str(uuid.uuid5(_ROOT, row["source_id"]))


def _meta(work: _Export, row: Row) -> dict[str, Any]:
    """The record of one clip. The model of a caption is part of a key there, so it also stands in a value here."""
    by = row.get("caption_by") or "none"
    window = {
        "start_frame": 0,
        "end_frame": row["num_frames"] - 1,
        f"{by.replace('/', '_')}_caption": row.get("caption") or "",
    }
    return {
        "span_uuid": _clip_uuid(row),
        "source_video": row["source"],
        "duration_span": [row["start_s"], row["end_s"]],
        "width_source": row["width"],
        "height_source": row["height"],
        "framerate_source": row["fps"],
        "clip_location": f"clips/{_clip_uuid(row)}.mp4",
        "width": row["width"],
        "height": row["height"],
        "framerate": row["fps"],
        "num_frames": row["num_frames"],
        "num_bytes": work.curated.store.size(row["path"]),
        "video_codec": "h264",
        "windows": [window] if row.get("caption") else [],
        "filtered_windows": [],
        "valid": True,
        "has_caption": bool(row.get("caption")),
        "caption_model": by,
        "clip_id": row["clip_id"],
        "scores": {
            k: v for k, v in sorted(row.items()) if isinstance(v, float) and k not in _NOT_SCORES and v == v
        },
    }


_NOT_SCORES = frozenset(("start_s", "end_s", "fps", "similarity"))


def _summary(work: _Export, clips: Sequence[Row]) -> dict[str, Any]:
    """Totals, and one object for each source, under its name."""
    lengths = [row["end_s"] - row["start_s"] for row in clips]
    totals = {
        "num_input_videos": len({row["source"] for row in work.curated.rows}),
        "num_processed_videos": len({row["source"] for row in work.curated.rows if row["clip_id"]}),
        "embedding_algorithm": work.curated.config.embed.model,
        "total_clip_duration": sum(lengths),
        "max_clip_duration": max(lengths, default=0.0),
        "total_num_clips_passed": len(clips),
    }
    return {**totals, **dict(_videos(work.curated.rows))}


def _videos(rows: Sequence[Row]) -> Iterator[tuple[str, dict[str, Any]]]:
    by_source: dict[str, list[Row]] = {}
    for row in rows:
        by_source.setdefault(row["source"], []).append(row)
    for source, members in sorted(by_source.items()):
        kept = [r for r in members if r["decision"] == "kept" and not r["is_still"]]
        left = [r for r in members if r["clip_id"] and r["decision"] != "kept"]
        yield (
            source,
            {
                "source_video": source,
                "video_uuid": _source_uuid(members[0]),
                "num_clip_chunks": 1,
                "num_total_clips": len(kept) + len(left),
                "clips": [_clip_uuid(r) for r in kept],
                "filtered_clips": [_clip_uuid(r) for r in left],
            },
        )


# Parquet


def _parquet(work: _Export) -> dict[str, int]:
    table = read_table(work.curated.store, "index.parquet")
    kept = [decision == "kept" for decision in table["decision"].to_pylist()]
    work.table("clips.parquet", table.filter(pa.array(kept, pa.bool_())))
    work.table("rejected.parquet", table.filter(pa.array([not k for k in kept], pa.bool_())))
    for row in work.kept:
        work.copy(row, row["path"])
    return {"clips": len(work.kept), "left_out": 0}


FORMATS: dict[str, Callable[[_Export], dict[str, int]]] = {
    "webdataset": _webdataset,
    "predict2": _predict2,
    "cosmos-curate": _cosmos_curate,
    "parquet": _parquet,
}
"""Name -> what writes it."""
