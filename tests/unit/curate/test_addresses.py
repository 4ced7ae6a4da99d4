"""A content address is that of the bytes that are there now, whatever is remembered."""

import os

import pytest

from worldfoundry.curate import addresses
from worldfoundry.curate.addresses import content_address, known_address


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(addresses, "_SMALL_BYTES", 0)
    path = tmp_path / "a.mp4"
    path.write_bytes(b"one")
    os.utime(path, (1e9, 1e9))
    return path


def read_again(path, monkeypatch):
    seen = []
    monkeypatch.setattr(addresses, "content_address", lambda p: seen.append(p) or content_address(p))
    found = known_address(path)
    return found, bool(seen)


def test_an_unchanged_file_is_read_once(file, monkeypatch):
    first = known_address(file)
    assert first == content_address(file)
    assert read_again(file, monkeypatch) == (first, False)


def test_a_changed_file_is_read_again_be_its_size_the_same(file, monkeypatch):
    first = known_address(file)
    file.write_bytes(b"two")
    found, is_read = read_again(file, monkeypatch)
    assert is_read
    assert found == content_address(file) != first
    assert read_again(file, monkeypatch)[1]  # written a moment ago: its clock may not tell the next change


def test_a_replaced_file_of_the_same_size_and_time_is_read_again(file, tmp_path, monkeypatch):
    known_address(file)
    other = tmp_path / "b.mp4"
    other.write_bytes(b"two")
    os.utime(other, (1e9, 1e9))
    other.replace(file)
    assert read_again(file, monkeypatch) == (content_address(file), True)


def test_a_memory_that_is_broken_or_cannot_be_written_costs_time_alone(file, tmp_path, monkeypatch):
    expected = known_address(file)
    (stored,) = (tmp_path / "cache").rglob("*.json")
    stored.write_bytes(b"{")
    assert known_address(file) == expected
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    assert known_address(file) == expected
