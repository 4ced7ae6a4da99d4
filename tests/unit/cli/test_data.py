"""Looking into files: a bad one does not stop the others, and is not forgotten."""

import json

import numpy as np
import pytest
import torch
from tests.unit.data.lerobot_made import make_v3, make_v21

from worldfoundry.cli.main import main
from worldfoundry.core.errors import DataError
from worldfoundry.data.clip_set import open_clip_set
from worldfoundry.data.lerobot_write import LeRobotWriteConfig, RecordedEpisode, write_lerobot
from worldfoundry.data.stored import open_dataset
from worldfoundry.data.video_write import write_video
from worldfoundry.models.pretrained.release import encoder_digest, load_tokenizer
from worldfoundry.protocols.control import ControlSpec, bridge_actions
from worldfoundry.protocols.frames import Frames
from worldfoundry.training.world_task import encode_set

PIXELS = np.zeros((10, 16, 16, 3), np.uint8)


def film(path):
    write_video(path, Frames.at_constant_rate(np.zeros((5, 16, 16, 3), np.uint8), 10.0))


def test_a_bad_file_does_not_hide_the_good_ones(tmp_path, capsys):
    film(tmp_path / "good.mp4")
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    paths = [str(tmp_path / name) for name in ("absent.mp4", "bad.mp4", "good.mp4")]
    assert main(["data", "inspect", *paths]) == 1
    said = capsys.readouterr()
    assert "good.mp4  container" in said.out
    assert said.out.count("\n") == 1
    assert [line.split(" must")[0] for line in said.err.splitlines()] == [f"error: {p}" for p in paths[:2]]
    for named in (paths, [str(tmp_path)]):
        main(["data", "inspect", "--json", *named])
        rows = json.loads(capsys.readouterr().out)
        assert ["error" in row for row in rows] == [True] * (len(rows) - 1) + [False]
    assert main(["data", "inspect", paths[2]]) == 0


def test_a_file_where_a_folder_is_needed_is_told_as_one(tmp_path, capsys):
    film(tmp_path / "good.mp4")
    assert main(["data", "prepare", str(tmp_path / "good.mp4"), "--out", str(tmp_path / "out")]) == 1
    assert "must be a folder with videos, got a file; name the folder it is in" in capsys.readouterr().err


def test_one_clip_is_not_1_clips(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    film(tmp_path / "in/good.mp4")
    line = ["data", "prepare", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--size", "16"]
    assert main([*line, "--num-frames", "5"]) == 0
    assert capsys.readouterr().out.startswith("1 clip in ")


def test_a_robot_set_is_described_and_its_bad_episode_told(tmp_path, capsys):
    root = make_v3(tmp_path / "robot")
    assert main(["data", "inspect", str(root)]) == 0
    said = capsys.readouterr().out
    assert "LeRobotDataset v3.0" in said
    assert "3 episodes, 12 rows, 1.2 s at 10 fps" in said
    assert "idle 0.0%" in said
    assert "2 tasks: 'push', 'pull'" in said
    assert "no units or frames" in said
    assert f"next: worldfoundry data prepare {root} --out" in said
    main(["data", "inspect", "--json", str(root)])
    (report,) = json.loads(capsys.readouterr().out)
    for action in report["actions"]:
        assert sum(action["histogram"]) == 12
    (root / "videos/observation.images.front/chunk-000/file-001.mp4").unlink()
    assert main(["data", "inspect", str(root)]) == 1
    said = capsys.readouterr()
    assert "1 episode cannot be used" in said.out
    assert said.err.startswith(
        f"error: {root}/videos/observation.images.front/chunk-000/file-001.mp4 must exist"
    )


def test_the_command_suggested_for_a_robot_set_runs(tmp_path, capsys, monkeypatch):
    root = make_v21(tmp_path / "robot", lengths=(9, 9))
    monkeypatch.chdir(tmp_path)
    main(["data", "inspect", "--json", str(root)])
    words = json.loads(capsys.readouterr().out)[0]["next"].split()
    assert words[0] == "worldfoundry"
    assert main(words[1:]) == 0
    assert capsys.readouterr().out.startswith("2 clips")


def test_an_idle_robot_a_stuck_action_and_wrong_controls_are_warned_of(tmp_path, capsys):
    still = np.zeros((10, 7), np.float32)
    still[:, 0] = np.minimum(np.arange(10), 4)
    controls = ControlSpec(actions=bridge_actions(rate_hz=5.0))
    pixels = np.zeros((10, 16, 16, 3), np.uint8)
    episode = RecordedEpisode(task="rest", columns={"action": still}, videos={"observation.images.a": pixels})
    write_lerobot(tmp_path / "set", [episode], LeRobotWriteConfig(fps=10.0, controls=controls))
    assert main(["data", "inspect", "--json", str(tmp_path / "set")]) == 1
    (report,) = json.loads(capsys.readouterr().out)
    assert report["idle_share"] == 5 / 9
    warnings = "\n".join(report["warnings"])
    assert "nothing moves in 56%" in warnings
    (problem,) = report["problems"]
    assert "controls.json: actions must come at the 5 Hz that controls say, got a row" in problem
    assert report["episodes_with_problems"] == 0
    with pytest.raises(DataError, match="must come at the 5 Hz that controls say"):
        open_dataset(tmp_path / "set")
    assert "action dy is always 0" in warnings
    assert "action dx is at its limit" in warnings
    assert "no units" not in warnings


def test_the_actions_of_a_robot_set_have_the_units_of_its_controls(tmp_path, capsys):
    controls = ControlSpec(actions=bridge_actions(rate_hz=10.0))
    moving = np.arange(70, dtype=np.float32).reshape(10, 7)
    episode = RecordedEpisode(task="go", columns={"action": moving}, videos={"observation.images.a": PIXELS})
    write_lerobot(tmp_path / "set", [episode], LeRobotWriteConfig(fps=10.0, controls=controls))
    assert main(["data", "inspect", "--json", str(tmp_path / "set")]) == 0
    (report,) = json.loads(capsys.readouterr().out)
    assert [a["unit"] for a in report["actions"]] == ["m"] * 3 + ["rad"] * 3 + ["open fraction"]


def simulated(folder, widths=(2, 2, 2), bodies=(3, 4, 3), fps=(10.0, 10.0, 10.0)):
    """Three clips whose numbers of bodies differ, as those of the simulator do."""
    folder.mkdir()
    for k, (a, n, rate) in enumerate(zip(widths, bodies, fps, strict=True)):
        write_video(folder / f"{k}.mp4", Frames.at_constant_rate(PIXELS, rate))
        more = {"body_positions_m": np.zeros((10, n, 3)), "contacts": np.zeros((2, 9))}
        np.savez(folder / f"{k}.npz", actions=np.ones((10, a), np.float32), **more)
    return folder


@pytest.mark.parametrize("more", [{}, {"widths": (2, 7, 2)}, {"fps": (10.0, 5.0, 10.0)}])
def test_the_command_suggested_for_any_folder_runs(tmp_path, capsys, monkeypatch, more):
    monkeypatch.chdir(tmp_path)
    simulated(tmp_path / "robot", **more)
    assert main(["data", "inspect", "--json", "robot"]) == 0
    (report,) = json.loads(capsys.readouterr().out)
    words = report["next"].split()
    assert words[:3] == ["worldfoundry", "data", "prepare"]
    assert main(words[1:]) == 0
    made = open_clip_set(tmp_path / "datasets/robot")
    assert len({row["source"] for row in made.rows}) == 3
    assert sorted(made.arrays) == ([] if more else ["actions"])


def test_a_picture_that_cannot_be_made_hides_no_report(tmp_path, capsys):
    folder = simulated(tmp_path / "robot")
    for k in range(3):
        (folder / f"{k}.mp4").write_bytes(b"no video")
    assert main(["data", "inspect", str(folder), "--sheet", str(tmp_path / "sheet.png")]) == 1
    said = capsys.readouterr().err
    assert all(f"{k}.mp4 must be a video" in said for k in range(3))
    assert "must hold a clip to be pictured" in said


def test_latents_are_stored_where_world_training_looks_for_them(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    film(tmp_path / "in/good.mp4")
    line = ["data", "prepare", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--size", "16"]
    assert main([*line, "--num-frames", "5", "--latents", "wavetok-c-t4s8z16-nano"]) == 0
    stored = sorted((tmp_path / "out").glob("latents-*.npy"))
    assert [np.load(file).shape for file in stored] == [(1, 16, 2, 2, 2)] * 2
    capsys.readouterr()
    tokenizer = load_tokenizer("wavetok-c-t4s8z16-nano")
    clips = open_clip_set(tmp_path / "out")
    settings = {"digest": encoder_digest(tokenizer.state_dict()), "device": torch.device("cpu")}
    encode_set(clips, tokenizer, flips=(False, True), **settings)
    assert capsys.readouterr().err == ""  # nothing was encoded again


def test_a_video_cut_short_or_damaged_inside_is_named_among_good_ones(tmp_path, capsys):
    for name in ("a", "b", "c"):
        rng = np.random.default_rng(0)
        frames = Frames.at_constant_rate(rng.integers(0, 256, (60, 32, 32, 3), dtype=np.uint8), 10.0)
        write_video(tmp_path / f"{name}.mp4", frames)
    whole = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "b.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    assert main(["data", "inspect", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "b.mp4 must be" in said.err
    assert "cut short by" in said.err
    assert said.out.count("path ") == 2
    (tmp_path / "b.mp4").unlink()
    middle, count = len(whole) // 2, len(whole) // 10
    (tmp_path / "c.mp4").write_bytes(whole[:middle] + bytes(count) + whole[middle + count :])
    assert main(["data", "inspect", str(tmp_path)]) == 0  # only decoding finds it
    assert main(["data", "inspect", str(tmp_path), "--decode"]) == 1
    assert "c.mp4 must be a whole video" in capsys.readouterr().err
