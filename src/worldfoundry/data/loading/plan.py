"""Which windows make up batch number n: a pure function of the data, the settings and n.

Time is cut into passes. In a pass every source gives its share of windows and every bucket whole batches; each (source,
bucket) is an endless row of shuffled epochs from which each pass takes the next stretch, so that no window is left out for
good and none comes twice before the others came once.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.data.loading.buckets import Bucket, Entry, bucket_of


class Window(NamedTuple):
    """A stretch of a clip."""

    source: int
    """Number of the source."""
    clip: int
    """Number of the clip in it."""
    first: int
    """First frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanConfig:
    """How windows become batches."""

    buckets: tuple[Bucket, ...]
    """Shapes of batches; those of one frame are for images."""
    batch_size: int
    """Clips of a batch over all ranks."""
    hop_frames: int = 0
    """Frames from a window of a clip to the next; 0: its length, so that windows do not overlap."""
    shares: tuple[float, ...] = ()
    """Share of each source among the windows; empty: by their number."""
    image_every: int = 0
    """Every so many batches is one of images; 0: only as often as there are images among the windows."""
    enlarge: bool = False
    """Also take clips that are smaller than the smallest bucket."""
    seed: int = 0
    """Of the order."""

    def __post_init__(self):
        for name, holds, rule in (
            ("buckets", bool(self.buckets), "must name at least one shape"),
            ("buckets", len(set(self.buckets)) == len(self.buckets), "must differ from each other"),
            ("batch_size", self.batch_size >= 1, "must be at least 1"),
            ("hop_frames", self.hop_frames >= 0, "must be 0 or above"),
            ("shares", not self.shares or min(self.shares) > 0, "must be above 0"),
            ("image_every", self.image_every == 0 or self.image_every >= 2, "must be 0, or 2 and above"),
        ):
            if not holds:
                raise ConfigError(f"{name} {rule}, got {getattr(self, name)}; change it")


class BatchPlan:
    """Batches by number, from 0 on without end."""

    def __init__(self, sources: Sequence[Sequence[Entry]], config: PlanConfig):
        if config.shares and len(config.shares) != len(sources):
            raise ConfigError(
                f"shares must have one number for each of the {len(sources)} sources, got {len(config.shares)}; give as many"
            )
        self.config, self.left_out = config, 0
        self._digest = _digest_of(sources, config)
        self._made: dict[int, tuple[int, list[tuple[int, np.ndarray]]]] = {}
        self._streams = self._cut_windows(sources)
        self._check(sources)
        images = [k for k, b in enumerate(config.buckets) if b.num_frames == 1]
        if config.image_every:
            videos = [k for k in range(len(config.buckets)) if k not in images]
            self._kinds = [self._lay_out(videos, "videos"), self._lay_out(images, "images")]
        else:
            self._kinds = [self._lay_out(range(len(config.buckets)), "clips")]

    @property
    def digest(self) -> str:
        """Sixteen hex digits that name the data and the settings."""
        return self._digest

    @property
    def num_windows(self) -> int:
        """Different windows, over all sources."""
        return sum(len(rows) for rows in self._streams.values())

    def batch(self, number: int) -> tuple[Bucket, list[Window]]:
        """Shape and windows of a batch, over all ranks."""
        every = self.config.image_every
        if not every:
            kind, number = 0, number
        elif (number + 1) % every == 0:
            kind, number = 1, number // every
        else:
            kind, number = 0, number - number // every
        counts = self._kinds[kind]
        per_pass = sum(map(sum, counts.values())) // self.config.batch_size
        bucket, rows = self._pass(kind, number // per_pass)[number % per_pass]
        return self.config.buckets[bucket], [Window(*row) for row in rows.tolist()]

    def instead_of(self, bucket: Bucket, *, number: int, place: int, attempt: int) -> Window:
        """Another window of the bucket, for one that cannot be read."""
        k = self.config.buckets.index(bucket)
        rows = [(source, row) for (source, b), found in self._streams.items() if b == k for row in found]
        rng = np.random.default_rng([self.config.seed, 7, number, place, attempt])
        source, row = rows[rng.integers(len(rows))]
        return Window(source, int(row[0]), int(row[1]))

    def _cut_windows(self, sources: Sequence[Sequence[Entry]]) -> dict[tuple[int, int], np.ndarray]:
        """(clip, first frame) [n, 2] by source and bucket."""
        config = self.config
        found: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for s, entries in enumerate(sources):
            for clip, entry in enumerate(entries):
                bucket = bucket_of(entry, config.buckets, enlarge=config.enlarge)
                if bucket is None:
                    self.left_out += 1
                    continue
                length = config.buckets[bucket].num_frames
                starts = range(0, entry.num_frames - length + 1, config.hop_frames or length)
                found.setdefault((s, bucket), []).extend((clip, first) for first in starts)
        return {key: np.array(rows) for key, rows in sorted(found.items())}

    def _check(self, sources: Sequence[Sequence[Entry]]) -> None:
        shapes = ", ".join(map(str, self.config.buckets))
        for s, entries in enumerate(sources):
            if not any(source == s for source, _ in self._streams):
                got = [f"{e.num_frames} x {e.height}x{e.width}" for e in entries[:3]]
                raise DataError(
                    f"source {s} must hold a clip for one of the buckets {shapes} (frames x rows x columns), got "
                    f"{len(entries)} clips{' such as ' + ', '.join(got) if got else ''}; add a bucket, or leave it out"
                )

    def _lay_out(self, buckets: Sequence[int], what: str) -> dict[int, list[int]]:
        """Windows that each source gives to each bucket in a pass: whole batches, shared as asked."""
        config, streams = self.config, self._streams
        sizes = {key: len(rows) for key, rows in streams.items() if key[1] in buckets}
        if not sizes:
            raise DataError(
                f"the data must hold {what} for batches of {what}, got none; add some, or change image_every and buckets"
            )
        total = sum(sizes.values())
        of_source = {s: sum(n for (t, _), n in sizes.items() if t == s) for s in {s for s, _ in sizes}}
        if config.shares:
            weight = sum(config.shares[s] for s in of_source)
            wanted = {
                (s, b): total * config.shares[s] / weight * n / of_source[s] for (s, b), n in sizes.items()
            }
        else:
            wanted = {key: float(n) for key, n in sizes.items()}
        laid: dict[int, list[int]] = {}
        num_sources = 1 + max(s for s, _ in sizes)
        for b in sorted({b for _, b in sizes}):
            shares = np.array([wanted.get((s, b), 0.0) for s in range(num_sources)])
            batches = max(1, round(shares.sum() / config.batch_size))
            laid[b] = _apportioned(shares, batches * config.batch_size)
        return laid

    def _pass(self, kind: int, number: int) -> list[tuple[int, np.ndarray]]:
        """(bucket, windows [batch, 3]) of each batch of a pass, in order; the last pass of each kind is kept."""
        if self._made.get(kind, (-1, []))[0] != number:
            self._made[kind] = (number, self._make_pass(kind, number))
        return self._made[kind][1]

    def _make_pass(self, kind: int, number: int) -> list[tuple[int, np.ndarray]]:
        made: list[tuple[int, np.ndarray]] = []
        rng = np.random.default_rng([self.config.seed, 1, kind, number])
        for bucket, counts in self._kinds[kind].items():
            rows = np.concatenate(
                [self._stretch(s, bucket, number * n, n) for s, n in enumerate(counts) if n]
            )
            rng.shuffle(rows)
            made += [(bucket, batch) for batch in rows.reshape(-1, self.config.batch_size, 3)]
        order = rng.permutation(len(made))
        return [made[k] for k in order]

    def _stretch(self, source: int, bucket: int, start: int, count: int) -> np.ndarray:
        """Windows [count, 3] from place ``start`` of the endless row of a source's epochs."""
        rows = self._streams[source, bucket]
        epochs = range(start // len(rows), (start + count - 1) // len(rows) + 1)
        orders = [
            np.random.default_rng([self.config.seed, 2, source, bucket, e]).permutation(len(rows))
            for e in epochs
        ]
        begin = start - epochs[0] * len(rows)
        chosen = rows[np.concatenate(orders)[begin : begin + count]]
        return np.column_stack([np.full(count, source), chosen])


def _apportioned(shares: np.ndarray, total: int) -> list[int]:
    """Whole numbers in the proportions of ``shares`` that sum to ``total`` (largest remainders)."""
    exact = shares / shares.sum() * total
    counts = np.floor(exact).astype(int)
    largest = np.argsort(counts - exact, kind="stable")[: total - counts.sum()]
    counts[largest] += 1
    return counts.tolist()


def _digest_of(sources: Sequence[Sequence[Entry]], config: PlanConfig) -> str:
    sha = hashlib.sha256(json.dumps(asdict(config), sort_keys=True).encode())
    for entries in sources:
        sha.update(b"source")
        for e in entries:
            sha.update(f"{e.num_frames},{e.height},{e.width},{e.fps!r};".encode())
    return sha.hexdigest()[:16]
