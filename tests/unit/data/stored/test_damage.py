"""Damaged data: each is told with its place, rule and fix, and leaves the rest."""

import json
import tarfile

import numpy as np
import pytest
from tests.unit.data.stored.made import film, write_tar

from worldfoundry.core.errors import DataError
from worldfoundry.data.stored import open_dataset
from worldfoundry.data.stored.convert import convert
from worldfoundry.data.stored.inspect import inspect_dataset


def cut_tar(robot, tmp_path):
    convert(open_dataset(robot), tmp_path / "cut", "webdataset")
    tar = tmp_path / "cut/000000.tar"
    tar.write_bytes(tar.read_bytes().rstrip(b"\0")[:-50])  # within the last member
    return (
        tmp_path / "cut",
        r"cut/000000\.tar must be a whole tar file, got member e\d\.\S+ cut short after \d whole samples; copy or write it again",
    )


def test_of_a_tar_cut_anywhere_whole_samples_alone_are_read(robot, tmp_path):
    convert(open_dataset(robot), tmp_path / "shards", "webdataset")
    tar, whole = tmp_path / "shards/000000.tar", open_dataset(tmp_path / "shards")
    content = tar.read_bytes()
    counts = []
    for size in range(1024, len(content.rstrip(b"\0")), len(content) // 40):
        tar.write_bytes(content[:size])
        back = open_dataset(tmp_path / "shards")
        assert len(back.problems) == 1
        assert f"after {len(back.clips)} whole samples" in back.problems[0]
        assert list(back.clips) == list(whole.clips)[: len(back.clips)]
        assert all(back.read_extras(k).keys() == {"contacts", "depth_m"} for k in range(len(back.clips)))
        counts.append(len(back.clips))
    assert counts == sorted(counts)
    assert set(counts) == {0, 1, 2}


def sample_without_video(robot, tmp_path):
    write_tar(tmp_path / "x.tar", [("a.json", b"{}"), ("a.txt", b"hello")])
    return tmp_path / "x.tar", r"x\.tar: a must hold a video or an image, got the members \.json, \.txt"


def missing_video(robot, tmp_path):
    (robot / "metadata.csv").write_text("file_name,text\nghost.mp4,boo\n")
    return robot, r"ghost\.mp4 must exist, for metadata names it, got no file"


def nan_actions(robot, tmp_path):
    actions = np.zeros((6, 7), np.float32)
    actions[4, 2] = np.nan
    np.savez(robot / "e1.npz", actions=actions)
    return robot, r"e1\.main\.mp4: actions must be finite, got \[.*nan.*\] in row 4"


def rows_that_disagree(robot, tmp_path):
    np.savez(robot / "e1.npz", actions=np.zeros((5, 7), np.float32))
    return robot, r"e1\.main\.mp4: actions must have one row for each of the 6 frames, got 5"


def frames_that_disagree(robot, tmp_path):
    told = json.loads((robot / "e2.json").read_text())
    (robot / "e2.json").write_text(json.dumps(told | {"num_frames": 9}))
    return robot, r"e2\.main\.mp4 must have the 9 frames that e2\.json states, got 6"


def frames_of_a_sample_that_disagree(robot, tmp_path):
    film(tmp_path / "v.mp4")
    told = {"num_frames": 9, "height": 16, "width": 16, "fps": 10.0}
    video = (tmp_path / "v.mp4").read_bytes()
    write_tar(tmp_path / "y.tar", [("a.mp4", video), ("a.json", json.dumps(told).encode())])
    return tmp_path / "y.tar", r"y\.tar: a \(main\) must have the 9 frames that its \.json states, got 6"


def missing_view(robot, tmp_path):
    (robot / "e1.wrist.mp4").unlink()
    return robot, r"e1 must have a video of each of its views main, wrist, got none of wrist; copy it again"


def cut_arrays(robot, tmp_path):
    path = robot / "e1.npz"
    path.write_bytes(path.read_bytes()[:400])
    return robot, r"e1\.npz must be an \.npz of arrays, got .*; write it again or remove it"


def cut_array_of_a_sample(robot, tmp_path):
    video = (robot / "e0.main.mp4").read_bytes()
    write_tar(
        tmp_path / "y.tar", [("a.mp4", video), ("a.actions.npz", (robot / "e0.npz").read_bytes()[:400])]
    )
    return tmp_path / "y.tar", r"y\.tar: a\.actions\.npz must hold an array, got .*; write it again"


def broken_video(robot, tmp_path):
    (robot / "e0.main.mp4").write_bytes(b"no video")
    return robot, r"e0\.main\.mp4 must be a video"


def _members(tar):
    with tarfile.open(tar) as opened:
        return [(m.name, opened.extractfile(m).read()) for m in opened]


def _arrays(robot, **changed):
    np.savez(robot / "e1.npz", **{**dict(np.load(robot / "e1.npz")), **changed})


def view_cut_short(robot, tmp_path):
    film(robot / "e1.wrist.mp4", frames=4)
    return robot, r"e1\.wrist\.mp4 must have the 6 frames of e1\.main\.mp4, got 4"


def broken_view(robot, tmp_path):
    (robot / "e1.wrist.mp4").write_bytes(b"no video")
    return robot, r"e1\.wrist\.mp4 must be a video"


def pixels_cut_short(robot, tmp_path):
    _arrays(robot, pixels=np.zeros((5, 16, 16, 3), np.uint8))
    return robot, r"e1\.npz: pixels must have the 6 frames of e1\.main\.mp4, got 5"


def no_object(robot, tmp_path):
    (robot / "e1.json").write_text('["does 1"]')
    return robot, r"e1\.json must hold a JSON object, got list"


def cut_json(robot, tmp_path):
    (robot / "e1.json").write_text((robot / "e1.json").read_text()[:50])
    return robot, r"e1\.json must hold JSON, got .*; correct it"


def unreadable_controls(robot, tmp_path):
    told = (robot / "e1.json").read_text()
    (robot / "e1.json").write_text(told.replace('"rate_hz"', '"rate"'))
    return robot, r"e1\.main\.mp4: controls: actions\.rate is not a setting"


def actions_of_another_width(robot, tmp_path):
    _arrays(robot, actions=np.zeros((6, 6), np.float32))
    return (
        robot,
        r"e1\.main\.mp4: actions must be the 7 numbers that controls name \(dx, .*gripper\), got 6; correct one",
    )


def actions_of_another_rate(robot, tmp_path):
    told = (robot / "e1.json").read_text()
    (robot / "e1.json").write_text(told.replace('"rate_hz": 10.0', '"rate_hz": 5.0'))
    return robot, r"must come at the 5 Hz that controls say, got a row for each frame at 10 fps"


def rate_of_a_sample_that_disagrees(robot, tmp_path):
    told = {"num_frames": 6, "height": 16, "width": 16, "fps": 5.0}
    video = (robot / "e0.main.mp4").read_bytes()
    write_tar(tmp_path / "y.tar", [("a.mp4", video), ("a.json", json.dumps(told).encode())])
    return tmp_path / "y.tar", r"y\.tar: a \(main\) must have fps 5 as its \.json states, got 10"


def header_inside_a_tar(robot, tmp_path):
    convert(open_dataset(robot), tmp_path / "bad", "webdataset")
    tar = tmp_path / "bad/000000.tar"
    with tarfile.open(tar) as opened:
        place = next(m.offset for m in opened if m.name.startswith("e1."))
    content = bytearray(tar.read_bytes())
    content[place : place + 100] = b"\xff" * 100
    tar.write_bytes(content)
    return (
        tmp_path / "bad",
        rf"000000\.tar must be a whole tar file, got a broken header at byte {place} after 0",
    )


def one_key_for_two(robot, tmp_path):
    convert(open_dataset(robot), tmp_path / "twice", "webdataset")
    tar = tmp_path / "twice/000000.tar"
    members = _members(tar)
    again = [(f"e0{name[2:]}", content) for name, content in members if name.startswith("e1")]
    write_tar(tar, [m for m in members if m[0][:2] != "e1"] + again)
    return tmp_path / "twice", r"000000\.tar: e0 must be one sample, got the member e0\.main\.mp4 twice"


def nan_in_a_set(robot, tmp_path):
    convert(open_dataset(robot), tmp_path / "set", "clip-set", drop=("wrist", "extras"))
    actions = np.load(tmp_path / "set/actions.npy")
    actions[1, 4, 2] = np.nan
    np.save(tmp_path / "set/actions.npy", actions)
    return tmp_path / "set", r"actions\.npy: clip 1 must be finite, got \[.*nan.*\] in row 4"


@pytest.mark.parametrize(
    "damage",
    [
        cut_tar,
        sample_without_video,
        missing_video,
        missing_view,
        cut_arrays,
        cut_array_of_a_sample,
        nan_actions,
        rows_that_disagree,
        frames_that_disagree,
        frames_of_a_sample_that_disagree,
        broken_video,
        broken_view,
        view_cut_short,
        pixels_cut_short,
        no_object,
        cut_json,
        unreadable_controls,
        actions_of_another_width,
        actions_of_another_rate,
        rate_of_a_sample_that_disagrees,
        header_inside_a_tar,
        one_key_for_two,
        nan_in_a_set,
    ],
)
def test_damage_is_told_with_its_place_and_leaves_the_rest(damage, robot, tmp_path):
    path, says = damage(robot, tmp_path)
    report = inspect_dataset(open_dataset(path))
    assert len(report["problems"]) == 1
    with pytest.raises(DataError, match=says):
        raise DataError(report["problems"][0])
    assert report["clips"] == {robot: 3 if damage is missing_video else 2}.get(path, report["clips"])
    assert report["next"].startswith("mend or remove")


def test_damaged_clips_are_left_out_and_the_others_keep_their_numbers(robot, tmp_path):
    path, _ = nan_in_a_set(robot, tmp_path)
    left = open_dataset(path)
    whole = np.load(path / "pixels.npy")
    assert [c.name for c in left.clips] == ["0000000", "0000002"]
    assert np.array_equal(left.read_frames(1, "main").pixels, whole[2])
    assert left.read_arrays(1)["actions"][0, 0] == 2


def test_a_window_beyond_the_end_names_the_video(robot, tmp_path):
    path, _ = frames_of_a_sample_that_disagree(robot, tmp_path)
    shards = open_dataset(path)
    assert len(shards.read_window(0, "main", 2, 4).pixels) == 4
    for first in (4, 7):
        with pytest.raises(
            DataError, match=rf"y\.tar: a \(main\) must hold frames {first} to {first + 2}, got 6 frames"
        ):
            shards.read_window(0, "main", first, 3)
