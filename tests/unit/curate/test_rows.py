"""Rows come back as they were added, be they in memory or on disk."""

import numpy as np
import pytest

from worldfoundry.curate.detect import rows
from worldfoundry.curate.detect.rows import Rows, forget


@pytest.mark.parametrize("block", [1, 100, 1 << 20])
@pytest.mark.parametrize("shape", [(), (3,), (2, 5)])
def test_rows_come_back_in_their_order(monkeypatch, block, shape):
    monkeypatch.setattr(rows, "_BLOCK_BYTES", block)
    given = np.random.default_rng(0).normal(size=(41, *shape)).astype(np.float32)
    table = Rows(np.float32, shape)
    for row in given[:20]:
        table.append(row)
    table.extend(given[20:])
    assert len(table) == len(given)
    np.testing.assert_array_equal(table.array(), given)


def test_no_rows_have_their_shape():
    assert Rows(np.uint8, (4, 2)).array().shape == (0, 4, 2)


def test_many_rows_lie_on_disk():
    table = Rows(np.uint8, (1024,))
    for _ in range(1024):
        table.append(np.zeros(1024))
    assert isinstance(table.array(), np.memmap)


def test_rows_of_another_shape_are_refused():
    with pytest.raises(AssertionError, match=r"rows have shape \(2,\)"):
        Rows(np.uint8, (2,)).append((1, 2, 3))


def test_what_was_forgotten_is_read_again(monkeypatch):
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 1)
    table = Rows(np.int64, (3,))
    table.extend(np.arange(30_000).reshape(-1, 3))
    array = table.array()
    for view in (array, array.T[1], np.zeros(3)):
        before = view.copy()
        forget(view)
        np.testing.assert_array_equal(view, before)
