"""What an index and its set tell."""

import shlex

import tyro

from worldfoundry.cli.curate import RunArgs
from worldfoundry.curate.config import (
    CurateConfig,
    DedupConfig,
    MotionConfig,
    ShardConfig,
    ShotsConfig,
    TypeConfig,
)
from worldfoundry.curate.index import CuratedSet, flags_of, read_index, schema_of, write_index
from worldfoundry.curate.store import open_store


def test_the_command_that_reproduces_a_source_has_the_settings_of_the_set(tmp_path):
    config = CurateConfig(
        max_damage=0.5,
        shots=ShotsConfig(min_s=1.0),
        motion=MotionConfig(min=0.02),
        type=TypeConfig(drop=("a b", "c"), target={"d": 0.5, "e f": 0.25}),
    )
    manifest = {"inputs": ["my films", "s3://x/y"]}
    curated = CuratedSet(open_store(tmp_path), manifest, config, [])
    line = curated.reproduce({"source": "it's.mp4", "source_id": "0" * 40})
    program, group, action, *words = shlex.split(line)
    assert (program, group, action) == ("worldfoundry", "curate", "run")
    options = tyro.cli(RunArgs, args=words)
    assert (options.config, options.only) == (config, ("it's.mp4",))
    assert options.inputs == ("my films", "s3://x/y")


def test_equal_rows_give_equal_bytes_and_come_back(tmp_path):
    store, schema = open_store(tmp_path), schema_of({"shake": float, "tags": tuple, "type_confidence": float})
    row = {
        "clip_id": "a",
        "source": "b",
        "start_s": 0.0,
        "shake": float("nan"),
        "tags": ("x", "y"),
        "unknown": 1,
    }
    for name in ("a.parquet", "b.parquet"):
        write_index(store, name, [row], schema)
    assert store.read_bytes("a.parquet") == store.read_bytes("b.parquet")
    (found,) = read_index(store, "a.parquet")
    assert (found["shake"], found["tags"], found["motion"]) == (None, ["x", "y"], None)
    assert "unknown" not in found


def test_the_settings_of_a_set_are_flags_that_the_command_takes():
    config = CurateConfig(
        motion=MotionConfig(min=0.25),
        type=TypeConfig(drop=("screen", "still"), target={"natural": 0.5}),
        dedup=DedupConfig(perceptual=False),
        shard=ShardConfig(enabled=True, lengths_s=(2.0, 4.0)),
    )
    words = shlex.split(" ".join(flags_of(config)))
    assert tyro.cli(CurateConfig, args=words) == config
    assert flags_of(config, config) == []
