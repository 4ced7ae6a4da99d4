"""The executor's contract: every item has one outcome, whatever happens to the others."""

import os

import pytest

from worldfoundry.core.errors import ConfigError
from worldfoundry.curate.local import LocalExecutor
from worldfoundry.protocols.curation import Failure


def work(item: int) -> int:
    if item == 3:
        raise ZeroDivisionError("three")
    if item == 5:
        os._exit(1)  # as a codec that crashes
    return item * item


def test_one_bad_item_is_a_failure_with_its_trace():
    results = dict(LocalExecutor(1)(work, [1, 2, 3, 4]))
    assert [results[k] for k in (0, 1, 3)] == [1, 4, 16]
    assert isinstance(results[2], Failure)
    assert results[2].error == "ZeroDivisionError: three"
    assert "raise ZeroDivisionError" in results[2].traceback


def test_a_worker_that_dies_harms_only_its_own_item():
    results = dict(LocalExecutor(2)(work, [1, 2, 3, 4, 5, 6, 7]))
    assert len(results) == 7
    assert [results[k] for k in (0, 1, 3, 5, 6)] == [1, 4, 16, 36, 49]
    assert "worker process died" in results[4].error
    assert "three" in results[2].error


def test_an_interrupt_is_not_a_failure():
    def interrupted(item):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(LocalExecutor(1)(interrupted, [1]))


def test_workers_are_counted_from_one():
    with pytest.raises(ConfigError, match="num_workers"):
        LocalExecutor(0)
