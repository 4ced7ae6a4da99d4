"""A tokenizer learns straight from videos: resumed equals straight, workers equal none, damage stops or is told."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.core.runs import read_jsonl
from worldfoundry.data.clip_set import NewClip, write_clip_set
from worldfoundry.data.stored import open_dataset
from worldfoundry.data.stored.convert import convert
from worldfoundry.data.video_write import write_video
from worldfoundry.protocols.frames import Frames
from worldfoundry.recipes.table import RECIPES
from worldfoundry.training.trainer import train


@pytest.fixture
def footage(tmp_path):
    """Videos of three shapes, textures that move."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "footage"
    folder.mkdir()
    for k, (rows, columns) in enumerate(((10, 16), (12, 12), (16, 12), (10, 16))):
        texture = np.kron(rng.integers(30, 220, (rows, columns, 3)), np.ones((6, 6, 1))).astype(np.uint8)
        moving = np.stack([np.roll(texture, 2 * t, axis=1) for t in range(20)])
        write_video(folder / f"{k}.mp4", Frames.at_constant_rate(moving, 10.0))
    return folder


@pytest.fixture
def config(footage):
    debug = RECIPES.get("wavetok-c-t4s8z16-nano-debug")()
    objective = replace(debug.objective, aspects=("1:1", "4:3"), image_every=3, reverse=True, crop=32)
    return replace(
        debug,
        data=(str(footage),),
        objective=objective,
        batch_size=2,
        steps=6,
        checkpoint_every=2,
        sample_every=2,
    )


def losses(run):
    return [row["loss"] for row in read_jsonl(run / "metrics.jsonl")]


def weights(run):
    return torch.load(sorted(run.glob("checkpoints/*/train_state.pt"))[-1], weights_only=True)["network"]


def test_a_resumed_run_equals_an_uninterrupted_one(config, tmp_path):
    straight = train(replace(config, log_every=1), runs_root=tmp_path / "straight")
    for _ in range(3):
        resumed = train(replace(config, log_every=1), runs_root=tmp_path / "parts", stop_after=2)
    assert losses(resumed) == losses(straight)
    a, b = weights(resumed), weights(straight)
    assert all(torch.equal(a[name], b[name]) for name in b)


def test_workers_change_nothing_that_is_learned(config, tmp_path):
    short = replace(config, steps=3, log_every=1)
    alone = train(short, runs_root=tmp_path / "alone")
    helped = train(replace(short, workers=1), runs_root=tmp_path / "helped")
    assert losses(helped) == losses(alone)


def test_a_video_that_cannot_be_read_stops_the_run_or_is_named_and_left_out(
    config, footage, tmp_path, capsys
):
    (footage / "0.mp4").write_bytes((footage / "0.mp4").read_bytes()[:-2000])
    (footage / "9.mp4").write_bytes(b"no video")
    with pytest.raises(DataError, match=r"9\.mp4|0\.mp4"):
        train(config, runs_root=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    train(replace(config, on_damage="skip"), runs_root=tmp_path / "runs")
    said = capsys.readouterr().err
    assert "skipped: " in said
    assert "9.mp4" in said


def test_shards_of_the_same_videos_teach_too(config, footage, tmp_path):
    convert(open_dataset(footage), tmp_path / "shards", "webdataset")
    run = train(
        replace(config, data=(str(tmp_path / "shards"),), steps=2, log_every=1), runs_root=tmp_path / "runs"
    )
    assert len(losses(run)) == 2


def test_a_folder_that_is_not_there_is_named(config, tmp_path):
    with pytest.raises(DataError, match=r"data must name folders that are there, got .*nowhere"):
        train(replace(config, data=(*config.data, str(tmp_path / "nowhere"))), runs_root=tmp_path / "runs")


def test_what_stands_beside_the_videos_of_a_folder_is_checked_with_them(config, footage, tmp_path, capsys):
    (footage / "1.json").write_text('{"num_frames": 99}')
    with pytest.raises(DataError, match=r"1\.mp4 must have the 99 frames that 1\.json states, got 20"):
        train(config, runs_root=tmp_path / "runs")
    run = train(replace(config, on_damage="skip"), runs_root=tmp_path / "runs")
    assert "must have the 99 frames" in capsys.readouterr().err
    (footage / "1.json").unlink()
    (footage / "1.mp4").unlink()
    assert losses(run) == losses(
        train(replace(config, on_damage="skip", seed=config.seed), runs_root=tmp_path / "without")
    )


@pytest.fixture
def described(footage):
    """The same footage with something told of each video."""
    for k in range(4):
        np.savez(footage / f"{k}.npz", actions=np.zeros((20, 2), np.float32))
        (footage / f"{k}.json").write_text(json.dumps({"seed": k, "num_frames": 20}))
    return footage


def test_what_is_told_of_videos_changes_no_order(config, footage, tmp_path, request):
    plain = train(replace(config, steps=2, log_every=1), runs_root=tmp_path / "plain")
    request.getfixturevalue("described")
    told = train(replace(config, steps=2, log_every=1), runs_root=tmp_path / "told")
    assert losses(told) == losses(plain)


def nan_actions(folder):
    actions = np.zeros((20, 2), np.float32)
    actions[4, 1] = np.nan
    np.savez(folder / "1.npz", actions=actions)
    return r"1\.mp4: actions must be finite, got .* in row 4"


def missing_video(folder):
    (folder / "metadata.csv").write_text("file_name,text\nghost.mp4,boo\n")
    return r"ghost\.mp4 must exist, for metadata names it"


def frames_that_disagree(folder):
    (folder / "1.json").write_text('{"num_frames": 19}')
    return r"1\.mp4 must have the 19 frames that 1\.json states, got 20"


@pytest.mark.parametrize("damage", [nan_actions, missing_video, frames_that_disagree])
def test_damage_beside_videos_stops_the_run_or_is_named(config, described, damage, tmp_path, capsys):
    says = damage(described)
    config = replace(config, steps=1)
    with pytest.raises(DataError, match=says):
        train(config, runs_root=tmp_path / "runs")
    train(replace(config, on_damage="skip"), runs_root=tmp_path / "runs")
    assert re.search("skipped: .*" + says, capsys.readouterr().err)


@pytest.mark.parametrize("to", ["folder", "webdataset"])
def test_simulated_clips_that_are_kept_for_evaluation_are_refused(config, described, to, tmp_path):
    (described / "2.json").write_text('{"seed": 1000000}')
    convert(open_dataset(described), tmp_path / "data", to)
    with pytest.raises(
        ConfigError, match="seeds below 1000000, the others are kept for evaluation, got 1000000"
    ):
        train(replace(config, data=(str(tmp_path / "data"),)), runs_root=tmp_path / "runs")


def test_clips_whose_arrays_differ_in_shape_make_a_batch(config, described, tmp_path):
    for k in range(4):
        np.savez(described / f"{k}.npz", body_positions_m=np.zeros((20, k + 1, 3)))
    convert(open_dataset(described), tmp_path / "shards", "webdataset")
    run = train(
        replace(config, data=(str(tmp_path / "shards"),), steps=2, log_every=1), runs_root=tmp_path / "runs"
    )
    assert len(losses(run)) == 2


def test_a_clip_set_with_numbers_that_are_none_or_without_pixels_is_refused(config, tmp_path):
    folder = tmp_path / "set"
    clips = [NewClip(np.zeros((5, 32, 32, 3), np.uint8), {}, {"actions": np.zeros((5, 2))}) for _ in range(3)]
    write_clip_set(folder, clips, fps=10.0)
    actions = np.load(folder / "actions.npy")
    actions[1, 4, 1] = np.nan
    np.save(folder / "actions.npy", actions)
    for data in ((str(folder),), (*config.data, str(folder))):  # alone, and among footage
        with pytest.raises(
            DataError, match=r"actions\.npy: clip 1 must be finite, got \[0.0, nan\] in row 4"
        ):
            train(replace(config, data=data), runs_root=tmp_path / "runs")
    (folder / "pixels.npy").unlink()
    with pytest.raises(DataError, match=r"must be a clip set, got .*pixels\.npy"):
        train(replace(config, data=(str(folder),)), runs_root=tmp_path / "runs")
    (folder / "rows.jsonl").unlink()  # no clip set is a folder of videos with a manifest of its own
    for file in folder.glob("*.npy"):
        file.unlink()
    (folder / "a.mp4").write_bytes(next(Path(config.data[0]).glob("*.mp4")).read_bytes())
    assert open_dataset(folder).form == "folder"
