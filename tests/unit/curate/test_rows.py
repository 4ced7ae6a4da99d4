"""Rows come back as they were added, be they in memory or on disk."""

import gc
import sys
import tempfile
from pathlib import Path
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.unit.curate.planted import INFO

from worldfoundry.curate.analyse import detectors_of
from worldfoundry.curate.config import CurateConfig
from worldfoundry.curate.detect import rows, shot_features, shot_network
from worldfoundry.curate.detect.rows import Rows, forget, split_columns


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
    for view in (array, array.T[1], np.asarray(array), np.zeros(3)):
        before = view.copy()
        forget(view)
        np.testing.assert_array_equal(view, before)


def test_columns_of_a_long_table_are_its_columns(monkeypatch):
    monkeypatch.setattr(rows, "_PIECE", 7)
    table = np.random.default_rng(0).integers(0, 9, (40, 2)).astype(np.float64)
    first, second = split_columns(table, [np.float32, bool])
    np.testing.assert_array_equal(first, table[:, 0].astype(np.float32))
    np.testing.assert_array_equal(second, table[:, 1] > 0)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells what is in memory")
def test_what_was_forgotten_takes_no_memory():
    table = Rows(np.uint8, (1 << 20,))
    for _ in range(9):
        table.append(np.ones(1 << 20))
    array = np.asarray(table.array())
    before = _mapped_kb()
    assert array.sum() == 9 << 20
    assert _mapped_kb() - before > 8 << 10
    forget(array)
    assert _mapped_kb() - before < 1 << 10


def _mapped_kb() -> int:
    """Memory that files take in this process."""
    return int(Path("/proc/self/status").read_text().split("RssFile:")[1].split()[0])


@pytest.mark.slow
def test_no_detector_holds_more_of_a_longer_video(monkeypatch):
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 1)
    monkeypatch.setattr(shot_network, "_WINDOW", 16)
    monkeypatch.setattr(shot_features, "_BLOCK", 16)
    meters = {d.name: d.begin(INFO) for d in detectors_of(CurateConfig())}
    noise = np.random.default_rng(0).integers(0, 255, (40, 80, 3), np.uint8)
    held: list[dict[str, int]] = []
    for k in range(209):
        small = np.roll(noise, k, axis=1)[:, :64]
        for meter in meters.values():
            meter.observe(SimpleNamespace(seconds=k / 2, small=small, luma=small[..., 1].copy()))  # pyright: ignore
        if k in (176, 208):  # as many windows and blocks of the shot detector later
            held.append({name: _bytes_of(meter, set()) for name, meter in meters.items()})
    for name, before in held[0].items():
        assert before > 1000
        assert held[1][name] - before < 32 * 2, name  # bytes a frame


def _bytes_of(thing: Any, seen: set[int]) -> int:
    """Memory of an object and of all that it refers to, without code."""
    if id(thing) in seen or isinstance(
        thing, type | ModuleType | FunctionType | tempfile._TemporaryFileWrapper
    ):
        return 0
    seen.add(id(thing))
    size = thing.nbytes if isinstance(thing, np.ndarray) else sys.getsizeof(thing)
    inner = [thing.base] if isinstance(thing, np.ndarray) else gc.get_referents(thing)
    return size + sum(_bytes_of(part, seen) for part in inner)
