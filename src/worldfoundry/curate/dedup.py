"""Duplicates: of clips that are copies of each other the best stays, and a clip goes only for one that stays.

Clips are taken from the best to the worst. Each is compared with those that were kept so far: first by a cheap look at
unit vectors, then the likeliest few exactly (``detect/alignment.py``); or by the cosine of two embeddings. So every removed
clip has a kept original that it was compared with, and chains of likeness (A~B~C, but not A~C) lose only B. Nothing depends
on the order in which clips come. Up to ``exact_up_to`` clips every pair of vectors is looked at; above that, pairs that
share a cluster, each clip being in its two nearest; that makes 100,000 clips a matter of minutes.

Source: eps and clusters as in SemDeDup (arXiv 2303.09540), which compares with removed clips too and so loses C above.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from worldfoundry.curate.config import DedupConfig
from worldfoundry.curate.detect.alignment import compare
from worldfoundry.curate.detect.descriptor import Descriptor

LIKELY = 0.5
"""Cosine of two descriptors from which a pair is compared exactly."""
MOST_COMPARED = 24
"""Kept clips that one clip is compared with exactly, at most."""
_HELD = 2048  # descriptors in memory; the others are made again when asked for
_BLOCK = 256
_PROBES = 2
_FINENESS = 2  # clusters, in square roots of the clips
_ROUNDS = 12
_SAMPLE = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """Why a clip goes."""

    of: int
    """Position of the kept original."""
    similarity: float
    """Of the two, by the stage that found it."""
    stage: Literal["perceptual", "semantic"] = "perceptual"
    """perceptual: the same recording. semantic: the same meaning, by embeddings."""


@runtime_checkable
class _Finder(Protocol):
    def find(self, k: int, kept: np.ndarray) -> Duplicate | None:
        """The kept clip, among those before the k-th, of which it is a copy; ``of`` counts in order of rank."""
        ...


Asked = Callable[[int, int, Callable[[], float]], float]
"""The similarity of a better and a lesser clip, by position; the function compares them."""


def _compared(_better: int, _lesser: int, compare_them: Callable[[], float]) -> float:
    return compare_them()


def find_duplicates(
    descriptors: Sequence[Descriptor],
    ranks: Sequence[tuple[Any, ...]],
    config: DedupConfig,
    *,
    embeddings: Any = None,
    similarity: Asked = _compared,
) -> list[Duplicate | None]:
    """One entry a clip: None if it stays. ``ranks`` order the clips, the largest being the best.

    ``embeddings`` has one vector a clip; None, or a vector that is not finite, where there is none. ``similarity`` may know
    some pairs already.
    """
    order = sorted(range(len(ranks)), key=lambda k: ranks[k], reverse=True)
    finders: list[_Finder] = []
    if config.perceptual:
        finders.append(_Perceptual(descriptors, order, config, similarity))
    if config.semantic and embeddings is not None:
        finders.append(_Semantic(embeddings, order, config))
    kept = np.ones(len(order), bool)
    found: list[Duplicate | None] = [None] * len(order)
    for k, position in enumerate(order):
        for finder in finders:
            copy = finder.find(k, kept)
            if copy is not None:
                found[position] = Duplicate(of=order[copy.of], similarity=copy.similarity, stage=copy.stage)
                kept[k] = False
                break
    return found


class _Perceptual:
    """Copies of one recording."""

    def __init__(
        self, descriptors: Sequence[Descriptor], order: Sequence[int], config: DedupConfig, similarity: Asked
    ):
        self._order, self._similarity = order, similarity
        vectors = [v.astype(np.float16) for v in _each_vectors(descriptors)]
        sides = np.stack([vectors[k] for k in order]) if order else np.zeros((0, 1, 1), np.float16)
        self._near = _near(sides.astype(np.float32), config.exact_up_to)
        self._threshold = config.min_similarity
        self._held = lru_cache(maxsize=_HELD)(lambda k: descriptors[order[k]])

    def find(self, k: int, kept: np.ndarray) -> Duplicate | None:
        before, cosines = self._near.before(k)
        likely = kept[before] & (cosines >= LIKELY)
        best = heapq.nsmallest(MOST_COMPARED, zip(-cosines[likely], before[likely], strict=True))
        for _, other in best:
            better = int(other)
            similarity = self._similarity(
                self._order[better], self._order[k], partial(self._compare, better, k)
            )
            if similarity >= self._threshold:
                return Duplicate(of=better, similarity=min(1.0, similarity))
        return None

    def _compare(self, better: int, k: int) -> float:
        return float(compare(self._held(better), self._held(k)).similarity)


class _Semantic:
    """Clips whose embeddings lie together."""

    def __init__(self, embeddings: Any, order: Sequence[int], config: DedupConfig):
        unit = unit_rows(embeddings)
        self._near = _near(unit[list(order)][:, None], config.exact_up_to)
        self._threshold = config.min_semantic

    def find(self, k: int, kept: np.ndarray) -> Duplicate | None:
        before, cosines = self._near.before(k)
        fits = kept[before] & (cosines >= self._threshold)
        if not fits.any():
            return None
        cosine, other = min(zip(-cosines[fits], before[fits], strict=True))
        return Duplicate(of=int(other), similarity=min(1.0, float(-cosine)), stage="semantic")


def _each_vectors(descriptors: Sequence[Descriptor]) -> Iterator[np.ndarray]:
    return (descriptors[k].vectors for k in range(len(descriptors)))


def unit_rows(embeddings: Any) -> np.ndarray:
    """Float32 [n, d] of unit length; rows that are None or not finite become 0 and so resemble nothing."""
    known = [np.asarray(e, np.float32).ravel() for e in embeddings if e is not None]
    width = len(known[0]) if known else 1
    rows = np.zeros((len(embeddings), width), np.float32)
    for row, vector in zip(rows, embeddings, strict=True):
        if vector is not None and np.isfinite(vector).all():
            flat = np.asarray(vector, np.float32).ravel()
            row[:] = flat / max(float(np.linalg.norm(flat)), 1e-12)
    return rows


# Which pairs are looked at. Vectors are [n, v, d], the best clip first; the cosine of two clips is the largest between
# the whole of one and any view of the other.


@runtime_checkable
class _Near(Protocol):
    def before(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Places before the k-th that it is compared with, rising, and the cosines."""
        ...


def _near(vectors: np.ndarray, exact_up_to: int) -> _Near:
    return _Exact(vectors) if len(vectors) <= exact_up_to else _Clustered(vectors)


def _cosines(one: np.ndarray, many: np.ndarray) -> np.ndarray:
    """[n, m] for [n, v, d] and [m, v, d]."""
    best = one[:, 0] @ many[:, 0].T
    for v in range(1, one.shape[1]):
        np.maximum(best, one[:, 0] @ many[:, v].T, out=best)
        np.maximum(best, one[:, v] @ many[:, 0].T, out=best)
    return best


class _Exact:
    """All pairs, a block of rows at a time."""

    def __init__(self, vectors: np.ndarray):
        self._vectors = vectors
        self._start, self._rows = -1, np.zeros((0, 0), np.float32)

    def before(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        start = k // _BLOCK * _BLOCK
        if start != self._start:
            block = self._vectors[start : start + _BLOCK]
            self._start, self._rows = start, _cosines(block, self._vectors[: start + len(block)])
        return np.arange(k), self._rows[k - start, :k]


class _Clustered:
    """Pairs of which one's whole picture has a cluster, among its two nearest, in which a view of the other lies."""

    def __init__(self, vectors: np.ndarray):
        self._vectors = vectors
        centres = cluster(vectors[:, 0])
        probes = min(_PROBES, len(centres))
        self._asked: list[np.ndarray] = []
        self._members: list[list[int]] = [[] for _ in centres]
        for start in range(0, len(vectors), _BLOCK):
            block = vectors[start : start + _BLOCK] @ centres.T
            whole = np.argpartition(-block[:, 0], probes - 1, axis=1)[:, :probes]
            views = block[:, 1:].argmax(2)
            for k, (homes, others) in enumerate(zip(whole, views, strict=True), start):
                self._asked.append(np.union1d(homes, others))
                for home in homes:
                    self._members[home].append(k)

    def before(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        found = [np.array(self._members[home], np.int64) for home in self._asked[k]]
        places = np.unique(np.concatenate([members[: np.searchsorted(members, k)] for members in found]))
        return places, _cosines(self._vectors[k : k + 1], self._vectors[places])[0]


def cluster(unit: np.ndarray) -> np.ndarray:
    """Centres [k, d] of unit vectors [n, d] by spherical k-means; the same on every machine with the same arithmetic.

    The start is a spread of rows, not a draw. No faster library is taken where one happens to be installed: its clusters
    would differ, and with them the clips that are kept.
    """
    sample = unit[:: -(-len(unit) // _SAMPLE)] if len(unit) else unit
    count = max(1, round(_FINENESS * len(unit) ** 0.5))
    centres = sample[np.linspace(0, len(sample) - 1, min(count, len(sample))).astype(int)].copy()
    for _ in range(_ROUNDS):
        nearest = np.concatenate([(part @ centres.T).argmax(1) for part in _split(sample)])
        total = np.zeros_like(centres)
        np.add.at(total, nearest, sample)
        length = np.linalg.norm(total, axis=1, keepdims=True)
        centres = np.where(length > 1e-6, total / np.maximum(length, 1e-6), centres).astype(np.float32)
    return centres


def _split(rows: np.ndarray) -> Iterator[np.ndarray]:
    return (rows[start : start + 4096] for start in range(0, len(rows), 4096))
