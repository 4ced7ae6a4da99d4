import json
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.data.stored.made import CONTROLS, make_robot

from worldfoundry.core.config import to_json
from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.data import prepare as module
from worldfoundry.data.prepare import PrepareConfig, prepare, split_sources
from worldfoundry.data.stored import open_dataset
from worldfoundry.data.stored.convert import convert
from worldfoundry.data.stored.folder import FolderDataset
from worldfoundry.data.video_write import write_video
from worldfoundry.protocols.control import ActionChannel, ActionSpec, ControlSpec
from worldfoundry.protocols.video import Frames

CONFIG = PrepareConfig(size=16, fps=10.0, num_frames=4)


def film(path, frames, *, fps=10.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(frames).integers(0, 256, (frames, 16, 16, 3), dtype=np.uint8)
    write_video(path, Frames(pixels=pixels, fps=fps, pts_seconds=np.arange(frames) / fps))


def prepare_videos(folder, out, config):
    made, left_out = prepare(open_dataset(folder), out, config)
    return made[""], left_out


def test_videos_too_short_or_too_slow_are_named_with_the_reason(tmp_path):
    film(tmp_path / "in/good.mp4", 9)
    film(tmp_path / "in/short.mp4", 3)
    film(tmp_path / "in/slow.mp4", 9, fps=5.0)
    made, left_out = prepare_videos(tmp_path / "in", tmp_path / "out", CONFIG)
    assert [row["start_seconds"] for row in made.rows] == pytest.approx([0, 0.4])
    short, slow = left_out
    assert "short must last 4 frames at 10 fps, got 3" in short
    assert "slow must run at 10 fps or more, got 5" in slow


def test_two_videos_of_one_name_keep_different_sources(tmp_path):
    for name in ("a/0.mp4", "b/c/0.mp4"):
        film(tmp_path / "in" / name, 4)
    made, _ = prepare_videos(tmp_path / "in", tmp_path / "out", CONFIG)
    assert [row["source"] for row in made.rows] == ["a/0.mp4", "b/c/0.mp4"]


def test_when_nothing_is_left_the_error_says_why_and_nothing_is_written(tmp_path):
    film(tmp_path / "in/short.mp4", 3)
    (tmp_path / "in/broken.mp4").write_bytes(b"not a video")
    with pytest.raises(DataError, match=r"got 2 that cannot: .*broken\.mp4.*; .*short must last 4 frames"):
        prepare_videos(tmp_path / "in", tmp_path / "out", CONFIG)
    assert not (tmp_path / "out").exists()


def test_the_clips_of_a_video_are_written_before_the_next_video_is_read(tmp_path, monkeypatch):
    for k in range(3):
        film(tmp_path / f"in/{k}.mp4", 8)
    events = []
    read, write = FolderDataset.read_frames, module.write_clip_set

    def watched(clips):
        for clip in clips:
            events.append("write")
            yield clip

    monkeypatch.setattr(FolderDataset, "read_frames", lambda *of: events.append("read") or read(*of))
    monkeypatch.setattr(
        module, "write_clip_set", lambda out, clips, **rest: write(out, watched(clips), **rest)
    )
    prepare_videos(tmp_path / "in", tmp_path / "out", CONFIG)
    assert events == ["read", "write", "write"] * 3


def test_the_rate_is_kept_unless_another_is_asked_for(tmp_path):
    film(tmp_path / "in/a.mp4", 9, fps=12.5)
    kept, _ = prepare_videos(tmp_path / "in", tmp_path / "out", PrepareConfig(size=16, num_frames=4))
    assert kept.fps == 12.5
    film(tmp_path / "in/b.mp4", 9, fps=25.0)
    with pytest.raises(
        DataError, match=r"clips must have one rate, got 12\.5, 25 fps; resample them with --fps"
    ):
        prepare_videos(tmp_path / "in", tmp_path / "other", PrepareConfig(size=16, num_frames=4))


def acting(tmp_path, count=12):
    folder = tmp_path / "robots"
    for k in range(count):
        film(folder / f"{k}.mp4", 8)
        np.savez(
            folder / f"{k}.npz",
            actions=np.full((8, 2), k, np.float32) + np.arange(8)[:, None],
            intrinsics_px=np.repeat(np.array([[20.0, 0, 8], [0, 20.0, 8], [0, 0, 1]])[None], 8, 0),
        )
    return folder


def test_a_split_keeps_sources_together_and_is_written_down(tmp_path):
    config = PrepareConfig(size=16, num_frames=4, split=(("train", 0.7), ("test", 0.3)))
    made, _ = prepare(open_dataset(acting(tmp_path)), tmp_path / "out", config)
    sources = {part: {row["source"] for row in clips.rows} for part, clips in made.items()}
    assert not sources["train"] & sources["test"]
    assert len(sources["train"] | sources["test"]) == 12
    assert len(made["train"]) + len(made["test"]) == 24
    told = json.loads((tmp_path / "out/split.json").read_text())
    assert {part: set(names) for part, names in told["sources"].items()} == sources
    assert len(told["hash"]) == 16
    for part in made.values():
        for row, actions in zip(part.rows, part.arrays["actions"], strict=True):
            number = int(row["source"].split(".")[0])
            assert actions[0, 0] == number + round(row["start_seconds"] * 10)


def test_more_sources_move_none_to_another_part():
    names = [f"video-{k}" for k in range(200)]
    shares = (("train", 0.8), ("validation", 0.1), ("test", 0.1))
    few, many = split_sources(names[:80], shares), split_sources(names, shares)
    assert all(set(few[part]) <= set(many[part]) for part in few)
    assert 140 < len(many["train"]) < 180
    with pytest.raises(DataError, match="split 'test' must get a source, got none of 1"):
        split_sources(names[:1], (("train", 0.999999), ("test", 0.000001)))


def test_numbers_per_frame_are_not_resampled_and_the_lens_follows_the_crop(tmp_path):
    dataset = open_dataset(acting(tmp_path, count=1))
    with pytest.raises(DataError, match="actions, intrinsics_px must stay at 10 rows a second, got --fps 5"):
        prepare(dataset, tmp_path / "out", PrepareConfig(size=16, num_frames=4, fps=5.0))
    half = PrepareConfig(size=8, num_frames=4)
    made = prepare(dataset, tmp_path / "half", half)[0][""]
    np.testing.assert_allclose(made.arrays["intrinsics_px"][0, 0], [[10, 0, 4], [0, 10, 4], [0, 0, 1]])


@pytest.mark.parametrize("split", [(("train", 0.5),), (("a", 0.5), ("a", 0.5)), (("a", -1.0), ("b", 2.0))])
def test_shares_that_are_none_are_refused(split):
    with pytest.raises(ConfigError, match="split must be names with shares above 0 that sum to 1"):
        PrepareConfig(split=split)


def test_of_several_views_one_is_chosen_by_leaving_out_the_others(tmp_path):
    for view, frames in (("main", 4), ("wrist", 4)):
        film(tmp_path / f"in/a.{view}.mp4", frames)
    (tmp_path / "in/a.json").write_text(json.dumps({"views": ["main", "wrist"]}))
    lens = np.broadcast_to(np.eye(3), (4, 3, 3))
    np.savez(tmp_path / "in/a.npz", **{"intrinsics_px": lens, "wrist.intrinsics_px": lens + 4})
    with pytest.raises(
        DataError, match=r"in/a must be of one view to be prepared, got main, wrist; .* --drop wrist"
    ):
        prepare_videos(tmp_path / "in", tmp_path / "out", CONFIG)
    with pytest.raises(ConfigError, match=r"--drop must name what the clips have .*, got 'wirst'"):
        prepare_videos(tmp_path / "in", tmp_path / "out", replace(CONFIG, drop=("wirst",)))
    made, _ = prepare_videos(tmp_path / "in", tmp_path / "out", replace(CONFIG, drop=("wrist",)))
    assert made.arrays.keys() == {"intrinsics_px"}
    wrist, _ = prepare_videos(tmp_path / "in", tmp_path / "wrist", replace(CONFIG, drop=("main", "facts")))
    true = open_dataset(tmp_path / "in").read_frames(0, "wrist").pixels
    assert np.array_equal(wrist.pixels[0], true)
    assert "views" not in wrist.rows[0]
    assert wrist.arrays.keys() == {"intrinsics_px"}
    assert np.array_equal(wrist.arrays["intrinsics_px"][0], lens + 4)


def test_clips_whose_actions_mean_other_things_are_not_put_together(tmp_path):
    folder = acting(tmp_path, count=2)
    for k, unit in enumerate(("m", "mm")):
        channels = tuple(ActionChannel(name=n, unit=unit, frame="world", mode="delta") for n in "xy")
        controls = ControlSpec(actions=ActionSpec(channels=channels, rate_hz=10.0, per_latent=4))
        (folder / f"{k}.json").write_text(json.dumps({"controls": to_json(controls)}))
    config = PrepareConfig(size=16, num_frames=4)
    with pytest.raises(ConfigError, match=r"channels\[0\]\.unit: 0 'm', 1 'mm'"):
        prepare(open_dataset(folder), tmp_path / "out", config)
    assert not (tmp_path / "out").exists()
    for drop in (("controls",), ("actions",)):
        made = prepare(open_dataset(folder), tmp_path / drop[0], replace(config, drop=drop))[0][""]
        assert made.controls is None
        assert ("actions" in made.arrays) == (drop == ("controls",))


def test_arrays_that_are_not_alike_are_named_at_once_with_the_options(tmp_path):
    folder = acting(tmp_path, count=3)
    np.savez(folder / "1.npz", actions=np.zeros((8, 2)), body_positions_m=np.zeros((8, 4, 3)))
    says = r"intrinsics_px \(float64 \[t, 3, 3\] in 0, none in 1\); leave .* --drop body_positions_m --drop intrinsics_px"
    with pytest.raises(DataError, match=says):
        prepare(open_dataset(folder), tmp_path / "out", PrepareConfig(size=16, num_frames=4))
    drop = ("body_positions_m", "intrinsics_px")
    made = prepare(open_dataset(folder), tmp_path / "out", PrepareConfig(size=16, num_frames=4, drop=drop))
    assert list(made[0][""].arrays) == ["actions"]


def test_facts_with_a_value_a_frame_are_cut_like_the_frames(tmp_path):
    film(tmp_path / "in/a.mp4", 8)
    facts = {
        "speed": list(range(8)),
        "pose": [[[k]] for k in range(8)],
        "names": list("abcdefgh"),
        "x": [1, 2],
    }
    (tmp_path / "in/a.json").write_text(json.dumps({"facts": facts}))
    made = prepare(open_dataset(tmp_path / "in"), tmp_path / "out", PrepareConfig(size=16, num_frames=3))[0][
        ""
    ]
    assert [row["speed"] for row in made.rows] == [[0, 1, 2], [3, 4, 5]]
    assert made.rows[1]["pose"] == [[[3]], [[4]], [[5]]]
    assert all(row["names"] == list("abcdefgh") and row["x"] == [1, 2] for row in made.rows)
    slow = prepare(
        open_dataset(tmp_path / "in"), tmp_path / "slow", PrepareConfig(size=16, num_frames=3, fps=5.0)
    )
    assert all("speed" not in row for row in slow[0][""].rows)


def test_a_set_has_the_arrays_and_the_controls_of_its_one_view(tmp_path):
    robot = open_dataset(make_robot(tmp_path / "robot"))
    config = PrepareConfig(size=16, num_frames=3, drop=("wrist",))
    made = prepare(robot, tmp_path / "out", config)[0][""]
    assert sorted(made.arrays) == ["actions", "robot_state"]
    assert made.controls == CONTROLS


def test_a_rate_that_the_video_does_not_have_leaves_the_clip_out(tmp_path):
    film(tmp_path / "in/a.mp4", 8)
    shards = tmp_path / "shards"
    convert(open_dataset(tmp_path / "in"), shards, "webdataset")
    tar = shards / "000000.tar"
    tar.write_bytes(tar.read_bytes().replace(b'"fps": 10.0', b'"fps": 5.00'))
    with pytest.raises(DataError, match="a must run at the 5 fps that are stated of it, got 10"):
        prepare(open_dataset(shards), tmp_path / "out", PrepareConfig(size=16, num_frames=3))
