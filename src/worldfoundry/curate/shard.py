"""Shards: WebDataset tar files of kept clips, by resolution, aspect and length.

::

    shards/<resolution>_<aspect>_<length>/<n>.tar    <key>.mp4 (or .jpg), <key>.json, and <key>.txt if there is a caption
    shards/<resolution>_<aspect>_<length>/<n>.json   what the tar was made of: its commit
    shards/index.parquet                             one row a sample: where each member begins in which tar

Equal clips and settings give equal bytes. The plan of all shards is made first, from ids and sizes; a shard that is there
and was made by the same plan is not written again, one that no plan names is removed. A clip that the mix repeats stands in
as many samples, ``<clip_id>-1`` and so on, at other places.
"""

import hashlib
import io
import json
import math
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from worldfoundry.core.errors import DataError
from worldfoundry.curate.config import ShardConfig
from worldfoundry.curate.records import Row, read_json, write_json
from worldfoundry.curate.store import Store

ASPECTS = ((0.65, "9x16"), (0.88, "3x4"), (1.16, "1x1"), (1.55, "4x3"), (math.inf, "16x9"))
"""Width over height up to which a picture goes by a name. Source: cosmos-curate's sharding."""
_BLOCK = tarfile.BLOCKSIZE
_LEFT_OUT = frozenset(("path", "shard", "detail", "reason", "decision", "duplicate_of", "similarity"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sample of a shard."""

    key: str
    """Name of its members before the first dot."""
    clip_id: str
    """The clip."""
    path: str
    """Its file in the set."""
    path_bytes: int
    """Size of that file."""
    texts: tuple[tuple[str, bytes], ...]
    """Suffix and content of the other members."""

    @property
    def members(self) -> tuple[tuple[str, int], ...]:
        """Suffix and size of all members, in their order."""
        first = PurePosixPath(self.path).suffix
        return ((first, self.path_bytes), *((suffix, len(data)) for suffix, data in self.texts))

    @property
    def num_bytes(self) -> int:
        """Space in the tar."""
        return sum(_BLOCK + -(-size // _BLOCK) * _BLOCK for _, size in self.members)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One tar file, planned."""

    name: str
    """Its name in the set."""
    samples: tuple[Sample, ...]
    """In their order."""

    @property
    def digest(self) -> str:
        """Names what goes into it."""
        parts = [[s.key, s.path, s.path_bytes, [[k, d.hex()] for k, d in s.texts]] for s in self.samples]
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()

    @property
    def num_bytes(self) -> int:
        """Size of the file: tar ends with two empty blocks and whole records."""
        content = sum(s.num_bytes for s in self.samples) + 2 * _BLOCK
        return -(-content // tarfile.RECORDSIZE) * tarfile.RECORDSIZE


def write_shards(
    store: Store, rows: Sequence[Row], config: ShardConfig, *, destination: Store | None = None
) -> dict[str, tuple[str, ...]]:
    """Write the shards of kept rows and return the names of those that each clip is in.

    They are written to ``destination`` if given, else beside the clips.
    """
    out = destination or store
    plan = plan_shards(store, rows, config)
    for shard in plan:
        if not _is_done(out, shard):
            with out.writing(shard.name) as path, path.open("wb") as file:
                write_tar(file, store, shard)
            write_json(out, _commit_of(shard), {"schema": 1, "digest": shard.digest})
    wanted = {name for shard in plan for name in (shard.name, _commit_of(shard))}
    for name in out.names("shards"):
        if name not in wanted and name != "shards/index.parquet":
            out.remove(name)
    out.write_bytes("shards/index.parquet", _index(plan))
    found: dict[str, tuple[str, ...]] = {}
    for shard in plan:
        for sample in shard.samples:
            found[sample.clip_id] = (*found.get(sample.clip_id, ()), shard.name)
    return found


def plan_shards(store: Store, rows: Sequence[Row], config: ShardConfig) -> list[Shard]:
    """What goes where, whatever the order of the rows."""
    bins: dict[str, list[Sample]] = {}
    for row in rows:
        for sample in _samples(store, row):
            bins.setdefault(bin_of(row, config), []).append(sample)
    plan = []
    for name, samples in sorted(bins.items()):
        samples.sort(key=lambda s: (_hash(config.seed, s.key), s.key))
        for number, part in enumerate(_filled(samples, config.max_mb * 1_000_000)):
            plan.append(Shard(name=f"shards/{name}/{number:06d}.tar", samples=tuple(part)))
    return plan


def bin_of(row: Mapping[str, Any], config: ShardConfig) -> str:
    """Name of the folder for a clip, such as ``720p_16x9_5-10s``; a resolution is the shorter side, rounded down.

    >>> bin_of({"width": 1280, "height": 720, "start_s": 0.0, "end_s": 7.5, "is_still": False}, ShardConfig())
    '720p_16x9_5-10s'
    """
    short = min(row["width"], row["height"])
    sizes = sorted(config.resolutions)
    reached = [size for size in sizes if short >= size]
    resolution = f"{reached[-1]}p" if reached else f"under{sizes[0]}p"
    aspect = next(name for most, name in ASPECTS if row["width"] / row["height"] <= most)
    return f"{resolution}_{aspect}_{_length(row, config)}"


def _length(row: Mapping[str, Any], config: ShardConfig) -> str:
    if row["is_still"]:
        return "image"
    seconds, edges = row["end_s"] - row["start_s"], sorted(config.lengths_s)
    passed = [edge for edge in edges if seconds >= edge - 1e-6]
    if not passed:
        return f"0-{edges[0]:g}s"
    return f"{passed[-1]:g}-{edges[len(passed)]:g}s" if len(passed) < len(edges) else f"{edges[-1]:g}s"


def _samples(store: Store, row: Row) -> Iterator[Sample]:
    size = store.size(row["path"])
    if size is None:
        raise DataError(
            f"{store.url(row['path'])} must be there to be sharded, got no file; run 'curate run' again"
        )
    for copy in range(row.get("repeat") or 1):
        key = row["clip_id"] if copy == 0 else f"{row['clip_id']}-{copy}"
        texts = [(".json", describe(row))]
        if row.get("caption"):
            texts.append((".txt", row["caption"].encode()))
        yield Sample(key=key, clip_id=row["clip_id"], path=row["path"], path_bytes=size, texts=tuple(texts))


def describe(row: Mapping[str, Any]) -> bytes:
    """The facts of a clip as JSON: numbers that were not measured are null, names sorted."""
    facts = {k: _plain(v) for k, v in row.items() if k not in _LEFT_OUT}
    return json.dumps(facts, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return list(value) if isinstance(value, tuple) else value


def _hash(seed: int, key: str) -> bytes:
    return hashlib.blake2b(f"shard/{seed}/{key}".encode(), digest_size=8).digest()


def _filled(samples: Sequence[Sample], most: int) -> Iterator[list[Sample]]:
    part: list[Sample] = []
    held = 0
    for sample in samples:
        if part and held + sample.num_bytes > most - tarfile.RECORDSIZE:
            yield part
            part, held = [], 0
        part.append(sample)
        held += sample.num_bytes
    if part:
        yield part


def write_tar(file: Any, store: Store, shard: Shard) -> None:
    """Write one shard: equal shards are equal bytes, so owners, times and rights are constants."""
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in shard.samples:
            with store.local(sample.path) as path, path.open("rb") as clip:
                if path.stat().st_size != sample.path_bytes:
                    raise DataError(
                        f"{sample.path} must be {sample.path_bytes} bytes, as planned, got {path.stat().st_size}; "
                        "let nobody write to the set meanwhile and run again"
                    )
                tar.addfile(_header(sample.key + path.suffix, sample.path_bytes), clip)
            for suffix, data in sample.texts:
                tar.addfile(_header(sample.key + suffix, len(data)), io.BytesIO(data))


def _header(name: str, size: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size, header.mtime, header.mode = size, 0, 0o644
    header.uid = header.gid = 0
    header.uname = header.gname = ""
    return header


def _commit_of(shard: Shard) -> str:
    return shard.name.removesuffix(".tar") + ".json"


def _is_done(store: Store, shard: Shard) -> bool:
    commit = read_json(store, _commit_of(shard))
    return commit == {"schema": 1, "digest": shard.digest} and store.size(shard.name) == shard.num_bytes


def _index(plan: Sequence[Shard]) -> bytes:
    """Where the content of each member begins: readers fetch single clips from a shard by a range of bytes."""
    rows: list[dict[str, Any]] = []
    for shard in plan:
        at = 0
        for sample in shard.samples:
            row: dict[str, Any] = {"shard": shard.name, "key": sample.key, "clip_id": sample.clip_id}
            for suffix, size in sample.members:
                kind = {".json": "json", ".txt": "txt"}.get(suffix, "clip")
                row |= {f"{kind}_offset": at + _BLOCK, f"{kind}_bytes": size}
                at += _BLOCK + -(-size // _BLOCK) * _BLOCK
            rows.append(row)
    kinds = [
        (f"{kind}_{fact}", pa.int64()) for kind in ("clip", "json", "txt") for fact in ("offset", "bytes")
    ]
    schema = pa.schema([("shard", pa.string()), ("key", pa.string()), ("clip_id", pa.string()), *kinds])
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), buffer, compression="zstd")
    return buffer.getvalue()
