"""The commands, chained at toy size: simulate, train a tokenizer, train a world, predict, and what each says when it cannot."""

import json

import numpy as np
import pytest

from worldfoundry.cli.main import main
from worldfoundry.data.video_io import read_video
from worldfoundry.data.video_write import write_image


def run(capsys, *args, code=0):
    assert main([str(a) for a in args]) == code
    return capsys.readouterr()


@pytest.fixture
def clips(tmp_path, capsys):
    out = tmp_path / "clips"
    run(
        capsys,
        "simulate",
        "free-fall",
        "--clips",
        3,
        "--num-frames",
        13,
        "--size",
        32,
        "--format",
        "clip-set",
        "--out",
        out,
    )
    return out


@pytest.mark.slow
def test_simulate_train_and_predict(tmp_path, capsys, clips):
    runs = tmp_path / "runs"
    train = ["--data", clips, "--runs", runs, "--json"]
    tokenizer = json.loads(run(capsys, "train", "wavetok-c-t4s8z16-nano-debug", *train).out)["run"]
    again = json.loads(run(capsys, "train", "wavetok-c-t4s8z16-nano-debug", *train).out)["run"]
    assert again == tokenizer  # finished: nothing is done twice

    toy = ["--objective.model.tokenizer", tokenizer, "--objective.model.network.latent-channels", 8]
    toy += ["--objective.model.height", 32, "--objective.model.width", 32]
    world = json.loads(run(capsys, "train", "dit-v2w-nano-debug", *toy, *train).out)["run"]

    run(
        capsys,
        "simulate",
        "free-fall",
        "--clips",
        1,
        "--num-frames",
        6,
        "--size",
        32,
        "--out",
        tmp_path / "film",
    )
    video = tmp_path / "film/free-fall-0000000.mp4"
    out = tmp_path / "future.mp4"
    predict = ["generate", "--model", world, "--video", video, "--num-frames", 11]
    run(capsys, *predict, "--out", out)
    made = read_video(out)
    assert made.pixels.shape == (5 + 11, 32, 32, 3)
    assert made.fps == pytest.approx(10)
    before = out.read_bytes()

    write_image(tmp_path / "still.png", np.zeros((40, 60, 3), np.uint8))
    still = ["generate", "--model", world, "--image", tmp_path / "still.png", "--out", tmp_path / "still.mp4"]
    assert "--fit crop" in run(capsys, *still, code=1).err
    run(capsys, *still, "--fit", "crop", "--num-frames", 4)
    assert "--out must not exist yet" in run(capsys, *predict, "--out", out, code=2).err
    for mode in ([], ["--dry-run"]):
        refused = ["--out", out, "--overwrite", *mode]
        assert (
            "--prompt needs a model that takes text"
            in run(capsys, *predict, *refused, "--prompt", "a ball", code=1).err
        )
        for count in (6, 9):
            said = run(capsys, *predict, *refused, "--context-frames", count, code=1).err
            assert f"--context-frames must be 1 + a multiple of 4 and at most 5, got {count}; use 5" in said
    assert "would write" in run(capsys, *predict, "--out", tmp_path / "not.mp4", "--dry-run").out
    assert not (tmp_path / "not.mp4").exists()
    assert out.read_bytes() == before  # a refused run leaves the old file


def test_the_same_seed_gives_the_same_film_and_another_seed_another_film(tmp_path, capsys):
    run(capsys, "simulate", "dominoes", "--num-frames", 5, "--out", tmp_path / "film")
    predict = ["generate", "--video", tmp_path / "film/dominoes-0000000.mp4", "--num-frames", 8]
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(capsys, *predict, "--seed", seed, "--out", tmp_path / f"{name}.mp4")
    a, b, c = ((tmp_path / f"{name}.mp4").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_the_workers_do_not_change_a_simulated_set(tmp_path, capsys, clips):
    arguments = [
        "simulate",
        "free-fall",
        "--clips",
        3,
        "--num-frames",
        13,
        "--size",
        32,
        "--format",
        "clip-set",
    ]
    run(capsys, *arguments, "--workers", 2, "--out", tmp_path / "two")
    assert (tmp_path / "two/pixels.npy").read_bytes() == (clips / "pixels.npy").read_bytes()
    assert "must not exist" in run(capsys, *arguments, "--out", clips, code=2).err


def test_a_simulated_clip_comes_with_its_ground_truth(tmp_path, capsys):
    run(capsys, "simulate", "dominoes", "--num-frames", 3, "--size", 32, "--out", tmp_path / "out")
    truth = np.load(tmp_path / "out/dominoes-0000000.npz")
    assert truth["pixels"].shape == (3, 32, 32, 3)
    assert truth["segmentation"].shape == truth["depth_m"].shape == (3, 32, 32)
    assert truth["body_positions_m"].shape == (3, len(truth["body_names"]), 3)


def test_latents_decode_to_what_the_roundtrip_gives(tmp_path, capsys):
    run(capsys, "simulate", "free-fall", "--num-frames", 6, "--size", 36, "--out", tmp_path / "film")
    video = tmp_path / "film/free-fall-0000000.mp4"
    assert (
        "--cut" in run(capsys, "tokenize", "encode", video, "--out", tmp_path / "z.safetensors", code=1).err
    )
    run(capsys, "tokenize", "encode", video, "--cut", "--out", tmp_path / "z.safetensors")
    run(capsys, "tokenize", "decode", tmp_path / "z.safetensors", "--out", tmp_path / "decoded.mp4")
    said = json.loads(
        run(capsys, "tokenize", "roundtrip", video, "--cut", "--json", "--out", tmp_path / "r.mp4").out
    )
    assert (tmp_path / "decoded.mp4").read_bytes() == (tmp_path / "r.mp4").read_bytes()
    assert said["pixels"] == [1, 3, 5, 32, 32]
    assert said["psnr_db"] > 20


def test_a_plan_says_what_training_takes_and_what_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = json.loads(run(capsys, "train", "dit-v2w-nano-debug", "--dry-run", "--json").out)
    assert plan["parameters"] > 10_000
    assert plan["tokens_per_step"] == 2 * 4 * 4 * 4
    assert plan["missing_data"] == ["datasets/debug"]
    assert list(tmp_path.iterdir()) == []


def test_the_shipped_models_are_listed_and_shown(capsys):
    rows = json.loads(run(capsys, "models", "list", "--json").out)
    assert {"wavetok-c-t4s8z16-nano", "dit-v2w-nano"} <= {row["name"] for row in rows}
    assert sum(row["bytes"] for row in rows) < 60e6
    shown = json.loads(run(capsys, "models", "show", "dit-v2w-nano", "--json").out)
    assert shown["world"]["tokenizer"] == "wavetok-c-t4s8z16-nano"
    assert "did you mean" in run(capsys, "models", "show", "dit-v2w-nan", code=2).err


def test_real_videos_become_a_set_and_slow_or_broken_ones_are_named(tmp_path, capsys, samples):
    said = run(
        capsys,
        "data",
        "prepare",
        samples,
        "--out",
        tmp_path / "set",
        "--size",
        32,
        "--fps",
        10,
        "--num-frames",
        9,
        "--json",
    )
    result = json.loads(said.out)
    assert result["clips"] > 0
    assert any("broken.mp4" in reason for reason in result["left_out"])
    (row,) = json.loads(run(capsys, "data", "inspect", tmp_path / "set", "--json").out)
    assert (row["lengths"], row["sizes"], row["fps"]) == ([9], ["32x32"], 10.0)
    rows = json.loads(run(capsys, "data", "inspect", samples, "--json", code=1).out)
    assert any("codec" in row for row in rows)
