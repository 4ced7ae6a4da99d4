"""The local executor: one process a worker, and a boundary around every item."""

import multiprocessing
import os
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from worldfoundry.core.errors import ConfigError
from worldfoundry.protocols.curation import Failure


@dataclass(frozen=True, slots=True)
class LocalExecutor:
    """Runs items in this process (one worker) or in child processes (more).

    A child that dies (a crash in a codec, out of memory) takes down only the item it had: the items that were under way are
    run again, each in a process of its own, so that the guilty one is known.
    """

    num_workers: int = 1
    """Processes; 1 stays in this one, where a crash of a codec ends the run."""

    def __post_init__(self):
        if self.num_workers < 1:
            raise ConfigError(
                f"num_workers must be at least 1, got {self.num_workers}; use the number of cores"
            )

    def __call__(
        self, function: Callable[[Any], Any], items: Sequence[Any]
    ) -> Iterator[tuple[int, Any | Failure]]:
        """Pairs of an item's position and its result, as they are done."""
        if self.num_workers == 1 or len(items) < 2:
            yield from ((k, guarded(function, item)) for k, item in enumerate(items))
            return
        crashed: list[int] = []
        for k, result in _in_pool(function, dict(enumerate(items)), min(self.num_workers, len(items))):
            if isinstance(result, BrokenProcessPool):
                crashed.append(k)
            else:
                yield k, result
        for k in sorted(crashed):
            for _, result in _in_pool(function, {k: items[k]}, 1):
                if isinstance(result, BrokenProcessPool):
                    message = "the worker process died, as after a crash in a codec or when memory runs out"
                    result = Failure(error=message, traceback=str(result))
                yield k, result


def guarded(function: Callable[[Any], Any], item: Any) -> Any | Failure:
    """``function(item)``, or what went wrong: one video never stops the others."""
    try:
        return function(item)
    except Exception as error:  # noqa: BLE001  the one boundary around a record: it becomes a stored rejection
        return Failure(error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())


def _in_pool(
    function: Callable[[Any], Any], items: dict[int, Any], num_workers: int
) -> Iterator[tuple[int, Any]]:
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if "forkserver" in methods:
        context.set_forkserver_preload([function.__module__])  # heavy imports once, not once a worker
    pool = ProcessPoolExecutor(num_workers, mp_context=context, initializer=_end_with_parent)
    try:
        waiting: dict[Future[Any], int] = {
            pool.submit(guarded, function, item): k for k, item in items.items()
        }
        for done in as_completed(waiting):
            died = done.exception()
            yield waiting[done], died if isinstance(died, BrokenProcessPool) else done.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _end_with_parent() -> None:
    """Leave at once when the parent is gone: a killed run must not leave workers behind."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "workers are child processes"

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
