"""Batches read ahead, in other processes if asked, in the order of the plan."""

import hashlib
import itertools
import math
import multiprocessing
import signal
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from worldfoundry.core.errors import CheckpointError, ConfigError, DataError
from worldfoundry.data.loading.buckets import Bucket
from worldfoundry.data.loading.fit import Fit, fitted, size_inside
from worldfoundry.data.loading.plan import BatchPlan, PlanConfig, Window
from worldfoundry.data.loading.source import ClipSource, OnDamage, Sample, check_sample

_MOST_ATTEMPTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderConfig:
    """What batches are made of and how they are read."""

    plan: PlanConfig
    """Shapes, size and order of batches."""
    fit: Fit = "crop"
    """How clips are made to fit their bucket."""
    workers: int = 0
    """Processes that decode; 0: this one. Their number does not change a batch."""
    needs: tuple[str, ...] = ()
    """Arrays that every clip must have; a clip without one is damaged. Give those that you read."""
    on_damage: OnDamage = "stop"
    """Whether a window that cannot be read ends the run, or is told and replaced by another of its bucket."""

    def __post_init__(self):
        if self.workers < 0:
            raise ConfigError(f"workers must be 0 or above, got {self.workers}; 0 decodes in this process")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Windows of one shape."""

    number: int
    """Of the batch, from 0."""
    pixels: UInt8[Tensor, "b t h w 3"]
    """RGB."""
    padding_mask: Bool[Tensor, "b h w"]
    """True where pixels are reflections and not footage."""
    fps: Float[Tensor, " b"]
    """Frames per second of each clip."""
    names: list[str]
    """Where each clip comes from."""
    arrays: dict[str, Tensor]
    """More numbers per frame [b, t, ...], for what all clips of the batch have in one shape: body counts, for one, differ."""
    facts: list[dict[str, Any]]
    """What is known of each clip."""
    damaged: list[str] = field(default_factory=list)
    """What could not be read and was replaced."""


@dataclass(frozen=True, slots=True)
class _Read:
    number: int
    sample: Sample
    pixels: np.ndarray
    mask: np.ndarray
    damaged: list[str]


class _Windows:
    """Reads the window at a place of a batch; pickled into every worker."""

    def __init__(self, sources: list[ClipSource], plan: BatchPlan, config: LoaderConfig):
        self._sources, self._plan, self._config = sources, plan, config

    def read(self, number: int, place: int) -> _Read:
        """The window, or the one that stands in for it."""
        bucket, windows = self._plan.batch(number)
        window, damaged = windows[place], list[str]()
        for attempt in range(_MOST_ATTEMPTS):
            try:
                return self._read(window, bucket, number, damaged)
            except DataError as error:
                if self._config.on_damage == "stop":
                    raise
                damaged.append(str(error))
                window = self._plan.instead_of(bucket, number=number, place=place, attempt=attempt)
        raise DataError(
            f"bucket {bucket} must hold windows that can be read, got {_MOST_ATTEMPTS} in a row that cannot: {damaged[-1]}"
        )

    def _read(self, window: Window, bucket: Bucket, number: int, damaged: list[str]) -> _Read:
        source = self._sources[window.source]
        entry = source.entries[window.clip]
        size = size_inside(entry.height, entry.width, bucket, self._config.fit)
        sample = source.read(window.clip, window.first, bucket.num_frames, size=size)
        check_sample(sample, bucket.num_frames, self._config.needs)
        pixels, mask = fitted(sample.pixels, bucket, size)
        return _Read(number, sample, pixels, mask, damaged)


class ClipLoader:
    """Endless batches of this rank's part; ``state_dict`` and ``load_state_dict`` go on at the very next batch.

    Rank r takes every ``world_size``-th clip of each batch from r on: all ranks together see the plan's batches, whatever
    their number.
    """

    def __init__(
        self, sources: Sequence[ClipSource], config: LoaderConfig, *, rank: int = 0, world_size: int = 1
    ):
        if not 0 <= rank < world_size or config.plan.batch_size % world_size:
            raise ConfigError(
                f"batch_size must be a multiple of the {world_size} ranks, and rank one of them, got "
                f"{config.plan.batch_size} and rank {rank}; change one"
            )
        self.plan = BatchPlan([s.entries for s in sources], config.plan)
        self.config, self.step, self.damaged = config, 0, list[str]()
        contents = "\n".join([self.plan.digest, *(s.digest for s in sources)])
        self.digest = hashlib.sha256(contents.encode()).hexdigest()[:16]
        self._windows = _Windows(list(sources), self.plan, config)
        self._mine = range(rank, config.plan.batch_size, world_size)

    def __iter__(self) -> Iterator[Batch]:
        """Batches from ``step`` on."""
        reads = self._read_here() if self.config.workers == 0 else self._read_in_workers()
        try:
            for batch in map(_collate, reads):
                self.step = batch.number + 1
                self.damaged += batch.damaged
                yield batch
        finally:
            reads.close()

    def _read_here(self) -> Generator[list[_Read]]:
        for number in itertools.count(self.step):
            yield [self._windows.read(number, place) for place in self._mine]

    def _read_in_workers(self) -> Generator[list[_Read]]:
        workers = self.config.workers
        pool = ProcessPoolExecutor(
            workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin_worker,
            initargs=(self._windows,),
        )
        ahead = 1 + math.ceil(2 * workers / len(self._mine))
        try:
            coming = deque[list[Future[_Read]]]()
            for number in itertools.count(self.step):
                coming.append([pool.submit(_read_in_worker, number, place) for place in self._mine])
                if len(coming) > ahead:
                    yield [future.result() for future in coming.popleft()]
        except BrokenProcessPool as error:
            raise DataError(
                f"one of the {workers} loading workers died, often for want of memory; lower workers and go on from the last "
                "checkpoint"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint has to hold."""
        return {"step": self.step, "digest": self.digest}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on behind the batch that was given out last; other data or settings are a ``CheckpointError``."""
        if state["digest"] != self.digest:
            raise CheckpointError(
                f"the checkpoint's order of clips must be that of this data and these settings, got {state['digest']} and "
                f"{self.digest}; put the data back as it was, or start anew"
            )
        self.step = state["step"]


_of_this_worker: _Windows | None = None


def _begin_worker(windows: _Windows) -> None:
    """What a worker reads with; the cores are shared by the workers already."""
    global _of_this_worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the training process decides when to stop
    torch.set_num_threads(1)
    _of_this_worker = windows


def _read_in_worker(number: int, place: int) -> _Read:
    assert _of_this_worker is not None, "the pool's initializer has run"
    return _of_this_worker.read(number, place)


def _collate(reads: list[_Read]) -> Batch:
    """Windows of one batch as tensors."""
    samples = [r.sample for r in reads]
    kinds = [{(name, v.dtype, v.shape) for name, v in s.arrays.items()} for s in samples]
    common = {name for name, dtype, _ in set.intersection(*kinds) if dtype.kind in "biuf"}
    return Batch(
        number=reads[0].number,
        pixels=torch.from_numpy(np.stack([r.pixels for r in reads])),
        padding_mask=torch.from_numpy(np.stack([r.mask for r in reads])),
        fps=torch.tensor([s.fps for s in samples]),
        names=[s.name for s in samples],
        arrays={
            name: torch.from_numpy(np.stack([s.arrays[name] for s in samples])) for name in sorted(common)
        },
        facts=[s.facts for s in samples],
        damaged=[text for r in reads for text in r.damaged],
    )
