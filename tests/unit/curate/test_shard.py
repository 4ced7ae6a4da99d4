"""Shards are the same bytes whenever they are written, hold every clip once, and are found again byte by byte."""

import io
import json
import tarfile

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.unit.curate.sets import row_of

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.curate.config import ShardConfig
from worldfoundry.curate.shard import bin_of, plan_shards, write_shards
from worldfoundry.curate.store import Store, open_store

SMALL = ShardConfig(enabled=True, max_mb=1)


@pytest.fixture
def filled(tmp_path):
    """Forty clips of about 100 kB and of several shapes, and the store they are in."""
    rng = np.random.default_rng(0)
    shapes = [(1920, 1080, 3.0), (1280, 720, 7.0), (720, 1280, 31.0), (320, 240, 12.0)]
    rows = []
    store = open_store(tmp_path / "set")
    for k in range(40):
        width, height, seconds = shapes[k % 4]
        rows.append(
            row_of(
                k, width=width, height=height, end_s=seconds, caption="" if k % 5 == 0 else f"caption {k} ü"
            )
        )
        store.write_bytes(rows[-1]["path"], rng.bytes(90_000 + 517 * k))
    return store, rows


def contents(store: Store) -> dict[str, bytes]:
    return {name: store.read_bytes(name) for name in store.names("shards")}


def test_every_clip_is_in_one_shard_of_its_shape_and_no_shard_is_too_large(filled):
    store, rows = filled
    found = write_shards(store, rows, SMALL)
    assert sorted(found) == sorted(row["clip_id"] for row in rows)
    for row in rows:
        (name,) = found[row["clip_id"]]
        assert name.split("/")[1] == bin_of(row, SMALL)
        with tarfile.open(fileobj=io.BytesIO(store.read_bytes(name))) as tar:
            clip = tar.extractfile(f"{row['clip_id']}.mp4")
            assert clip is not None
            assert clip.read() == store.read_bytes(row["path"])
    tars = [name for name in store.names("shards") if name.endswith(".tar")]
    assert len(tars) > 4
    assert all((store.size(name) or 0) <= 1_000_000 for name in tars)


def test_the_same_clips_give_the_same_bytes_in_any_order_and_in_another_place(filled, tmp_path):
    store, rows = filled
    write_shards(store, rows, SMALL)
    order = np.random.default_rng(1).permutation(len(rows))
    other = open_store(tmp_path / "other")
    write_shards(store, [rows[k] for k in order], SMALL, destination=other)
    assert contents(other) == contents(store)


def test_a_run_that_was_cut_off_ends_as_a_straight_one(filled, monkeypatch):
    store, rows = filled
    write_shards(store, rows, SMALL)
    straight = contents(store)
    names = sorted(straight)
    for lost in (names[0], names[-3], names[-2]):
        store.remove(lost)
    store.write_bytes(names[4], straight[names[4]][:-10_240] if names[4].endswith(".tar") else b"{}")
    store.write_bytes("shards/nobody/000000.tar", b"of an older plan")
    write_shards(store, rows, SMALL)
    assert contents(store) == straight


def test_a_finished_shard_is_not_written_again(filled, monkeypatch):
    store, rows = filled
    write_shards(store, rows, SMALL)
    written = []
    monkeypatch.setattr("worldfoundry.curate.shard.write_tar", lambda *a: written.append(a))
    write_shards(store, rows, SMALL)
    assert not written
    with pytest.raises(AssertionError):  # a changed caption makes its shard stale
        write_shards(store, [{**rows[1], "caption": "new"}, *rows[2:]], SMALL)
        assert not written


def test_the_index_points_at_the_bytes_of_every_member(filled):
    store, rows = filled
    write_shards(store, rows, SMALL)
    table = pq.read_table(io.BytesIO(store.read_bytes("shards/index.parquet"))).to_pylist()
    assert len(table) == len(rows)
    by_id = {row["clip_id"]: row for row in rows}
    for entry in table:
        shard, row = store.read_bytes(entry["shard"]), by_id[entry["clip_id"]]
        begin = entry["clip_offset"]
        assert shard[begin : begin + entry["clip_bytes"]] == store.read_bytes(row["path"])
        facts = json.loads(shard[entry["json_offset"] : entry["json_offset"] + entry["json_bytes"]])
        assert facts["clip_id"] == row["clip_id"]
        if row["caption"]:
            said = shard[entry["txt_offset"] : entry["txt_offset"] + entry["txt_bytes"]]
            assert said.decode() == row["caption"]
        else:
            assert entry["txt_offset"] is None


def test_webdataset_reads_them(filled, tmp_path):
    from webdataset import tariterators as reading

    store, rows = filled
    write_shards(store, rows, SMALL)
    samples = []
    for name in store.names("shards"):
        if name.endswith(".tar"):
            with (tmp_path / "set" / name).open("rb") as tar:
                members = [{**member, "__url__": name} for member in reading.tar_file_iterator(tar)]
            samples += reading.group_by_keys(members)
    assert {s["__key__"] for s in samples} == {row["clip_id"] for row in rows}
    assert all({"mp4", "json"} <= set(s) for s in samples)


def test_a_repeated_clip_is_as_many_samples(filled):
    store, rows = filled
    plan = plan_shards(store, [{**rows[0], "repeat": 3}, *rows[1:]], SMALL)
    keys = [s.key for shard in plan for s in shard.samples]
    assert len(keys) == len(set(keys)) == len(rows) + 2
    assert sum(s.clip_id == rows[0]["clip_id"] for shard in plan for s in shard.samples) == 3


@pytest.mark.parametrize(
    ("width", "height", "seconds", "name"),
    [
        (1920, 1080, 4.99, "1080p_16x9_0-5s"),
        (1080, 1920, 5.0, "1080p_9x16_5-10s"),
        (640, 480, 10.0, "480p_4x3_10-30s"),
        (300, 300, 60.0, "under480p_1x1_30s"),
    ],
)
def test_limits_belong_to_the_folder_that_they_begin(width, height, seconds, name):
    assert bin_of(row_of(0, width=width, height=height, end_s=seconds), ShardConfig()) == name


def test_images_have_a_folder_of_their_own():
    assert bin_of(row_of(0, is_still=True, width=480, height=640), ShardConfig()) == "480p_3x4_image"


def test_scores_that_were_not_measured_are_null(filled):
    store, rows = filled
    (shard,) = plan_shards(store, [{**rows[0], "quality": float("nan")}], SMALL)
    assert json.loads(dict(shard.samples[0].texts)[".json"])["quality"] is None


def test_a_missing_clip_and_settings_that_make_no_sense_are_told(filled):
    store, rows = filled
    store.remove(rows[3]["path"])
    with pytest.raises(DataError, match="curate run"):
        write_shards(store, rows, SMALL)
    with pytest.raises(ConfigError, match="lengths_s"):
        ShardConfig(lengths_s=(5.0, 5.0))
