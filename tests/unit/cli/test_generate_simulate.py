"""What the command lines of generate and simulate refuse before any work."""

import multiprocessing
import os
import signal
from typing import get_args, get_type_hints

import numpy as np
import pytest

from worldfoundry.cli import simulate, simulate_work
from worldfoundry.cli.main import main
from worldfoundry.data.video_write import write_video
from worldfoundry.protocols.frames import Frames
from worldfoundry.simulate.render import context


def refusal(capsys, *args) -> str:
    """What stderr says, without line ends."""
    assert main(list(args)) in (1, 2)
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (
            ["--image", "a.png", "--context-frames", "5"],
            "--context-frames goes with --video, got 5 and --image",
        ),
        (["--video", "a.mp4", "--context-frames", "0"], "--context-frames must be at least 1, got 0"),
        (["--video", "a.mp4", "--num-frames", "0"], "--num-frames must be at least 1, got 0"),
        (["--video", "a.mp4", "--image", "a.png"], "both or neither"),
        ([], "both or neither"),
        (["--video", "a.mp4", "--prompt", "a ball"], "--prompt needs a model that takes text, got 'a ball'"),
        (["--image", "film.mp4"], "give it as one (--video on the command line)"),
        (["--video", "slow.mp4", "--resample"], "must run at 10 fps or more, got 4: frames would repeat"),
        (["--video", "slow.mp4"], "--video must run at the model's 10 fps, got 4; use a faster one"),
        (["--video", "film.mp4"], "got 25; add --resample"),
        (["--video", "film.mp4", "--context-frames", "4"], "at most 9, got 4; use 5"),
        (["--video", "film.mp4", "--context-frames", "7"], "at most 9, got 7; use 5 or 9"),
        (["--video", "film.mp4", "--context-frames", "40"], "at most 9, got 40; use 9"),
    ],
)
def test_generate_refuses_settings_that_do_not_go_together(capsys, tmp_path, monkeypatch, args, says):
    monkeypatch.chdir(tmp_path)
    for name, fps in (("film", 25.0), ("slow", 4.0)):
        if f"{name}.mp4" in args:
            pixels = np.zeros((40, 64, 64, 3), np.uint8)
            write_video(tmp_path / f"{name}.mp4", Frames.at_constant_rate(pixels, fps))
    assert says in refusal(capsys, "generate", *args, "--out", "b.mp4", "--dry-run")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["avalanche"], "unknown scene 'avalanche'"),
        (["free-fall,dominos"], "did you mean 'dominoes'"),
        (["free-fall", "--clips", "0"], "--clips must be at least 1, got 0"),
        (["free-fall", "--seed", "-1"], "--seed must be at least 0, got -1"),
        (["free-fall", "--size", "4"], "--size must be at least 16, got 4"),
        (
            ["free-fall", "--size", "17"],
            "--size must be even for videos, got 17; use 18, or --format clip-set",
        ),
        (["free-fall", "--fps", "0"], "--fps must be above 0 and finite, got 0"),
        (["free-fall", "--fps", "-1"], "--fps must be above 0 and finite, got -1"),
        (["free-fall", "--fps", "nan"], "--fps must be above 0 and finite, got nan"),
        (["free-fall", "--fps", "inf"], "--fps must be above 0 and finite, got inf"),
        (["free-fall", "--renderer", "none"], "raycast"),
        (["free-fall", "--format", "none"], "clip-set"),
    ],
)
def test_a_dry_run_of_simulate_refuses_what_a_run_would(capsys, args, says):
    assert says in refusal(capsys, "simulate", *args, "--out", "no-such-folder", "--dry-run")


def test_a_dry_run_of_simulate_takes_odd_sizes_of_a_clip_set(capsys):
    pytest.importorskip("mujoco")
    settings = ["free-fall", "--size", "17", "--format", "clip-set", "--out", "no-such-folder", "--dry-run"]
    assert main(["simulate", *settings]) == 0
    assert "would make 1 clip of" in capsys.readouterr().out


@pytest.mark.parametrize("mode", [[], ["--dry-run"]])
def test_a_renderer_that_is_not_there_is_refused(capsys, monkeypatch, mode, tmp_path):
    pytest.importorskip("mujoco")
    monkeypatch.setattr(context, "_gl_failure", lambda: "no display")
    settings = ["free-fall", "--renderer", "gl", "--out", str(tmp_path / "out"), *mode]
    assert "'gl' needs an OpenGL context, got 'no display'" in refusal(capsys, "simulate", *settings)


def _killing(clips, *_, **__):
    """Instead of a progress bar: kills a worker once a clip is there."""
    clips = iter(clips)
    yield next(clips)
    os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
    yield from clips


@pytest.mark.parametrize("format", ["videos", "clip-set"])
def test_a_worker_that_dies_ends_the_command_with_one_line_and_the_next_one_goes_on(
    capsys, monkeypatch, tmp_path, format
):
    settings = ["free-fall", "--clips", "24", "--size", "16", "--num-frames", "3", "--format", format]
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(simulate_work, "track", _killing)
        said = refusal(capsys, "simulate", *settings, "--workers", "2", "--out", str(out))
    assert "error: one of the 2 workers died, often for want of memory; lower --workers" in said
    assert not out.exists()
    assert (
        "out was begun with other settings, got seed 0 before and 1 now; give the same to go on"
        in refusal(capsys, "simulate", *settings, "--seed", "1", "--out", str(out))
    )
    assert main(["simulate", *settings, "--out", str(out)]) == 0
    assert " of 24 clips are there" in capsys.readouterr().err
    assert main(["simulate", *settings, "--out", str(tmp_path / "straight")]) == 0
    assert sorted(tmp_path.iterdir()) == [out, tmp_path / "straight"]
    for file in sorted(p.name for p in out.iterdir()):
        resumed, straight = (out / file, tmp_path / "straight" / file)
        if file.endswith(".npz"):
            assert np.array_equal(np.load(resumed)["pixels"], np.load(straight)["pixels"])
        else:
            assert resumed.read_bytes() == straight.read_bytes(), file


def test_simulate_replaces_nothing(capsys, tmp_path):
    for mode in ([], ["--dry-run"]):
        assert "must not exist yet" in refusal(capsys, "simulate", "free-fall", "--out", str(tmp_path), *mode)


def test_the_renderers_of_the_command_are_those_of_the_simulator():
    assert set(get_args(get_type_hints(simulate.SimulateArgs)["renderer"])) == set(context.RENDERERS)


def test_scenes_whose_controls_differ_are_refused_before_all_clips_are_made(capsys, tmp_path):
    line = [
        "simulate",
        "arm,drive",
        "--clips",
        "3",
        "--num-frames",
        "2",
        "--size",
        "16",
        "--format",
        "clip-set",
    ]
    assert main([*line, "--out", str(tmp_path / "set")]) == 1
    assert "controls must be the same on both sides" in capsys.readouterr().err
    assert len(list(tmp_path.rglob("*.npz"))) == 2
