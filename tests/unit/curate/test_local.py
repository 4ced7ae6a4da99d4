"""The executor's contract: every item has one outcome, whatever happens to the others."""

import os
import signal
import time

import numpy as np
import pytest

from worldfoundry.core.errors import ConfigError
from worldfoundry.curate.local import LocalExecutor, Worker
from worldfoundry.protocols.curation import Failure


def work(item: str) -> str:
    if item == "raise":
        raise ZeroDivisionError("three")
    if item == "leave":
        os._exit(1)
    if item == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == "hoard":
        return str(len([np.empty(1 << 29, np.uint8) for _ in range(1000)]))
    if item == "full":
        raise ValueError("wrapped") from OSError(28, "No space left on device")
    if item == "hang":
        time.sleep(1000)
    return item * 2


def run(executor: LocalExecutor, items: list[str], seconds: float = 120.0) -> dict:
    return dict(executor(work, items, deadlines_s=[seconds] * len(items)))


def test_a_bad_item_harms_only_itself():
    items = ["a", "raise", "leave", "b", "crash", "hoard", "full", "c"]
    results = run(LocalExecutor(num_workers=2, memory_gb=6.0), items)
    assert {k: r for k, r in results.items() if not isinstance(r, Failure)} == {0: "aa", 3: "bb", 7: "cc"}
    kinds = {items[k]: (r.kind, r.attempts) for k, r in results.items() if isinstance(r, Failure)}
    assert kinds == {
        "raise": ("error", 1),
        "leave": ("crash", 2),
        "crash": ("crash", 2),
        "hoard": ("memory", 2),
        "full": ("disk", 1),
    }
    assert "raise ZeroDivisionError" in results[1].traceback
    assert "SIGSEGV" in results[4].error


def test_a_hanging_item_is_killed_at_its_deadline():
    results = dict(LocalExecutor(attempts=1)(work, ["hang", "a"], deadlines_s=[3.0, 120.0]))
    assert (results[0].kind, results[1]) == ("timeout", "aa")


def test_a_worker_is_used_again_and_replaced_when_it_died():
    worker = Worker()
    try:
        assert worker.call(work, "a", deadline_s=120.0) == "aa"
        first = worker._process.pid
        assert worker.call(work, "b", deadline_s=120.0) == "bb"
        assert worker._process.pid == first
        assert worker.call(work, "crash", deadline_s=120.0).kind == "crash"
        assert worker.call(work, "c", deadline_s=120.0) == "cc"
    finally:
        worker.close()


def test_once_stopped_nothing_more_is_begun():
    seen = []
    for k, _ in LocalExecutor(num_workers=1)(
        work, ["a"] * 5, deadlines_s=[9.0, 8.0, 7.0, 6.0, 5.0], stopped=lambda: len(seen) >= 2
    ):
        seen.append(k)
    assert seen[:2] == [0, 1]  # the longest first
    assert len(seen) <= 3  # one may have been under way


def test_an_interrupt_is_not_a_failure():
    def interrupted(item):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(LocalExecutor(num_workers=0)(interrupted, [1], deadlines_s=[1.0]))


def test_workers_are_not_negative():
    with pytest.raises(ConfigError, match="workers"):
        LocalExecutor(num_workers=-1)


def _variable(name):
    return os.environ.get(name)


def test_children_have_the_environment_of_the_moment_they_start(monkeypatch):
    assert dict(LocalExecutor()(_variable, ["WF_LATE"], deadlines_s=[60.0])) == {0: None}
    monkeypatch.setenv("WF_LATE", "set")
    assert dict(LocalExecutor()(_variable, ["WF_LATE"], deadlines_s=[60.0])) == {0: "set"}
