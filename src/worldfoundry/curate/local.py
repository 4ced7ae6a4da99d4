"""Workers: a child process for one item at a time, which can be killed, and the local executor that runs several.

A codec that crashes, hangs or eats all memory takes a child with it and nothing else: its deadline passes or its pipe
closes, the item it had is charged, and a new child goes on with the next item.
"""

import functools
import importlib
import multiprocessing
import os
import queue
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

from worldfoundry.core.errors import ConfigError, WorldFoundryError
from worldfoundry.curate.store import is_disk_error
from worldfoundry.protocols.curation import Failure

_PRELOAD = ("av", "cv2", "numpy", "worldfoundry.curate.analyse", "worldfoundry.curate.encode")
_START_S = 120.0
"""Seconds that a new child has to come up: imports on a busy machine."""
_JOIN_S = 5.0


class WorkerError(WorldFoundryError, RuntimeError):
    """Workers cannot start, which is no fault of what they were to do."""


def never() -> bool:
    """The answer of a run that nobody stops."""
    return False


class Worker:
    """A child process that calls functions; it is started when it is first needed and again after it died."""

    def __init__(self, *, memory_gb: float = 0.0):
        self._memory_bytes = int(memory_gb * 1e9)
        self._process: Any = None
        self._pipe: Any = None

    def call(self, function: Callable[[Any], Any], item: Any, *, deadline_s: float) -> Any | Failure:
        """``function(item)``, or what went wrong; never later than the deadline, never an exception of the function."""
        if self._process is None or not self._process.is_alive():
            self._start()
        try:
            self._pipe.send((function, item))
            if not self._pipe.poll(deadline_s):
                self.close()
                error = f"no result within {deadline_s:g} s, so the worker was killed"
                return Failure(kind="timeout", error=error)
            result = self._pipe.recv()
        except (EOFError, ConnectionError, BrokenPipeError):
            return self._died()
        if isinstance(result, Failure) and result.kind == "memory":
            self.close()  # what is left of its address space is anyone's guess
        return result

    def close(self) -> None:
        """Kill the child, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.join(_JOIN_S)
            self._pipe.close()
        self._process = self._pipe = None

    def _start(self) -> None:
        self.close()
        context = _context()
        self._pipe, theirs = context.Pipe()
        process = context.Process(
            target=_serve, args=(theirs, self._memory_bytes, dict(os.environ)), daemon=True
        )
        process.start()
        self._process = process
        theirs.close()
        try:
            if self._pipe.poll(_START_S):
                self._pipe.recv()
                return
        except EOFError:
            pass
        self.close()
        raise WorkerError(
            f"worker processes must start within {_START_S:.0f} s, and one did not: see above for its error; a script "
            "that starts a run needs 'if __name__ == \"__main__\":' around it"
        )

    def _died(self) -> Failure:
        self._process.join(_JOIN_S)
        code = self._process.exitcode
        self.close()
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            kind = "memory" if -code == signal.SIGKILL else "crash"
            hint = (
                "; the system kills so when memory runs out"
                if kind == "memory"
                else ", as when a codec crashes"
            )
            return Failure(kind=kind, error=f"the worker was ended by {name}{hint}")
        return Failure(kind="crash", error=f"the worker left with exit code {code}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalExecutor:
    """Runs items in child processes of this machine, one item at a time in each."""

    num_workers: int = 1
    """Child processes; 0 runs everything in this process, where nothing can be killed: for the debugger only."""
    attempts: int = 2
    """How often an item is tried whose worker hung or died."""
    memory_gb: float = 0.0
    """Address space of a child at most; 0 sets no limit."""

    def __post_init__(self):
        if self.num_workers < 0:
            raise ConfigError(f"workers must be at least 0, got {self.num_workers}; use the number of cores")

    def __call__(
        self,
        function: Callable[[Any], Any],
        items: Sequence[Any],
        *,
        deadlines_s: Sequence[float],
        stopped: Callable[[], bool] = never,
    ) -> Iterator[tuple[int, Any | Failure]]:
        """Pairs of an item's position and its result, as they are done; the longest items are begun first."""
        order = sorted(range(len(items)), key=lambda k: (-deadlines_s[k], k))
        if self.num_workers == 0:
            yield from ((k, guarded(function, items[k])) for k in order if not stopped())
            return
        pool = _Pool(self, function, items, deadlines_s, stopped)
        yield from pool.results(order)

    def for_models(self) -> "LocalExecutor":
        """One worker: several would each hold a copy of the model in the same memory; a model uses all cores by itself."""
        return replace(self, num_workers=min(1, self.num_workers))


class _Pool:
    """Threads that each drive one child; they share a queue of positions."""

    def __init__(self, executor: LocalExecutor, function: Any, items: Any, deadlines_s: Any, stopped: Any):
        self._executor, self._function, self._items = executor, function, items
        self._deadlines_s, self._stopped = deadlines_s, stopped
        self._todo: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[int, Any] | WorkerError | None] = queue.SimpleQueue()
        self._is_over = threading.Event()

    def results(self, order: Sequence[int]) -> Iterator[tuple[int, Any | Failure]]:
        """Results as they come; the pool ends with its reader."""
        for k in order:
            self._todo.put(k)
        left = min(self._executor.num_workers, len(order))
        for _ in range(left):
            threading.Thread(target=self._work, daemon=True).start()
        try:
            while left:
                result = self._next()
                if isinstance(result, WorkerError):
                    raise result
                if result is None:
                    left -= 1
                else:
                    yield result
        finally:
            self._is_over.set()

    def _work(self) -> None:
        worker, attempts = Worker(memory_gb=self._executor.memory_gb), self._executor.attempts
        try:
            while not (self._stopped() or self._is_over.is_set()):
                k = self._todo.get_nowait()
                result = persistent(worker, self._function, self._items[k], self._deadlines_s[k], attempts)
                self._done.put((k, result))
        except queue.Empty:
            pass
        except Exception as error:  # noqa: BLE001  whatever it is, the reader must hear of it
            self._done.put(
                error if isinstance(error, WorkerError) else WorkerError(f"a worker failed: {error!r}")
            )
        finally:
            try:
                worker.close()
            finally:
                self._done.put(None)

    def _next(self) -> Any:
        """The next result; wakes up now and then, so that signals are seen."""
        while True:
            try:
                return self._done.get(timeout=0.2)
            except queue.Empty:
                continue


def persistent(
    worker: Worker, function: Callable[[Any], Any], item: Any, deadline_s: float, attempts: int
) -> Any | Failure:
    """A worker's result; tried again where the worker hung or died, which may have had another cause than the item."""
    result = None
    for attempt in range(1, attempts + 1):
        result = worker.call(function, item, deadline_s=deadline_s)
        if not isinstance(result, Failure):
            return result
        result = Failure(kind=result.kind, error=result.error, traceback=result.traceback, attempts=attempt)
        if result.kind in ("error", "disk"):
            return result
    return result


def guarded(function: Callable[[Any], Any], item: Any) -> Any | Failure:
    """``function(item)``, or what went wrong: one item never stops the others."""
    try:
        return function(item)
    except MemoryError as error:
        return Failure(kind="memory", error=f"MemoryError: {error or 'no memory left'}")
    except Exception as error:  # noqa: BLE001  the one boundary around an item: it becomes a stored outcome
        if _is_memory_error(error):
            return Failure(kind="memory", error=f"{type(error).__name__}: {error}")
        kind = "disk" if is_disk_error(error) else "error"
        return Failure(kind=kind, error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())


def _is_memory_error(error: Exception) -> bool:
    return type(error).__name__ in ("ArrayMemoryError", "_ArrayMemoryError") or "Insufficient memory" in str(
        error
    )


@functools.cache
def _context() -> Any:
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if "forkserver" in methods:
        context.set_forkserver_preload(list(_PRELOAD))  # heavy imports once, not once a worker
    return context


def _serve(pipe: Connection, memory_bytes: int, environment: dict[str, str]) -> None:
    """The life of a child: one call after the other, until the parent is gone."""
    os.environ.update(environment)  # what it was forked from began before credentials may have been set
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent decides when to stop
    _end_with_parent()
    if memory_bytes:
        _limit_memory(memory_bytes)
    for name in _PRELOAD:  # already there where processes fork
        importlib.import_module(name)
    try:
        pipe.send("ready")
        while True:
            function, item = pipe.recv()
            pipe.send(guarded(function, item))
    except (EOFError, ConnectionError):
        return


def _limit_memory(memory_bytes: int) -> None:
    try:
        import resource  # noqa: PLC0415  not on every system
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _end_with_parent() -> None:
    """Leave at once when the parent is gone: a killed run must not leave workers behind."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "workers are child processes"

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
