"""Looking into files: a bad one does not stop the others, and is not forgotten."""

import json

import numpy as np

from worldfoundry.cli.main import main
from worldfoundry.data.video_write import write_video
from worldfoundry.protocols.frames import Frames


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
