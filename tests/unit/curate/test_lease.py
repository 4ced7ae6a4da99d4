"""A set has one writer: in a folder by the system's lock, in an object store by an object that grows old."""

import json
import time
import uuid

import fsspec
import pytest

from worldfoundry.core.errors import ConfigError
from worldfoundry.curate import lease
from worldfoundry.curate.lease import reading_from, writing_to
from worldfoundry.curate.store import open_store


@pytest.fixture(params=["folder", "objects"])
def store(request, tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "_SETTLE_S", 0.0)
    return open_store(tmp_path if request.param == "folder" else f"memory://{uuid.uuid4().hex}")


def test_writers_exclude_each_other_and_readers(store):
    with writing_to(store):
        with pytest.raises(ConfigError, match="must not be in use"), writing_to(store):
            pass
        with pytest.raises(ConfigError, match="must not be in use"), reading_from(store):
            pass
    with writing_to(store) as again:
        again.confirm()
    assert store.names() == []


def test_readers_share(store):
    with reading_from(store), reading_from(store):
        pass


@pytest.fixture
def objects(monkeypatch):
    monkeypatch.setattr(lease, "_SETTLE_S", 0.0)
    return open_store(f"memory://{uuid.uuid4().hex}")


def left_by(store, **facts):
    content = {"id": "other", "host": "elsewhere", "pid": 1, "seconds": time.time(), **facts}
    store.write_bytes(".lease.json", json.dumps(content).encode())


def test_what_a_dead_writer_left_is_no_hindrance(objects, monkeypatch):
    left_by(objects)
    with pytest.raises(ConfigError, match="in use"), writing_to(objects):
        pass
    left_by(objects, seconds=time.time() - 3600)
    with writing_to(objects):
        pass
    left_by(objects, host=lease.platform.node(), pid=2**22 + 1)  # above the largest that Linux gives
    with writing_to(objects):
        pass
    objects.write_bytes(".lease.json", b"{")
    with writing_to(objects):
        pass


def test_a_writer_that_was_overtaken_finds_out_and_leaves_the_other_alone(objects):
    with writing_to(objects) as ours:
        left_by(objects)
        with pytest.raises(ConfigError, match="in use"):
            ours.confirm()
    assert json.loads(fsspec.filesystem("memory").cat(objects.url(".lease.json")))["id"] == "other"
