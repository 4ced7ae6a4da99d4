"""Stored clips: what is written is read, by us and by others, and what is damaged is told with its place."""

import itertools
import json
import tarfile

import av
import numpy as np
import pytest
from tests.unit.data.lerobot_made import CAMERAS, make_v3, make_v21
from tests.unit.data.stored.made import CONTROLS, film, write_tar

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.data.clip_set import open_clip_set
from worldfoundry.data.loading.buckets import Bucket
from worldfoundry.data.loading.loader import ClipLoader, LoaderConfig
from worldfoundry.data.loading.plan import PlanConfig
from worldfoundry.data.stored import open_dataset
from worldfoundry.data.stored.clip import DatasetSource
from worldfoundry.data.stored.convert import convert
from worldfoundry.data.stored.inspect import inspect_dataset, write_sheet
from worldfoundry.data.video_io import read_video
from worldfoundry.data.video_write import write_image, write_video
from worldfoundry.protocols.frames import Frames


def test_a_simulated_folder_is_read_with_everything(robot):
    dataset = open_dataset(robot)
    assert dataset.problems == []
    assert [c.name for c in dataset.clips] == ["e0", "e1", "e2"]
    clip = dataset.clips[1]
    assert clip.views == ("main", "wrist")
    assert clip.caption == "does 1"
    assert clip.controls == CONTROLS
    assert clip.facts["instruction"] == "do 1"
    arrays = dataset.read_arrays(1)
    assert sorted(arrays) == ["actions", "robot_state", "wrist.intrinsics_px"]
    assert arrays["wrist.intrinsics_px"].shape == (6, 3, 3)
    assert sorted(dataset.read_extras(1)) == ["contacts", "depth_m"]
    assert arrays["robot_state"].shape == (6, 3)
    assert dataset.read_frames(1, "wrist").pixels.shape == (6, 16, 16, 3)


def copied(dataset, index, view):
    """The stored bytes of a view."""
    video = dataset.video(index, view)
    assert video is not None
    return video.read()


def test_shards_keep_everything_byte_by_byte(robot, tmp_path):
    convert(open_dataset(robot), tmp_path / "shards", "webdataset")
    back = open_dataset(tmp_path / "shards")
    convert(back, tmp_path / "again", "webdataset")
    assert (tmp_path / "again/000000.tar").read_bytes() == (tmp_path / "shards/000000.tar").read_bytes()
    first = open_dataset(robot)
    for k, (a, b) in enumerate(zip(first.clips, back.clips, strict=True)):
        assert (a.name, a.caption, a.views, a.controls, a.entry) == (
            b.name,
            b.caption,
            b.views,
            b.controls,
            b.entry,
        )
        assert b.facts["instruction"] == a.facts["instruction"]
        for view in a.views:
            assert copied(first, k, view) == copied(back, k, view)
        for x, y in (
            (first.read_arrays(k), back.read_arrays(k)),
            (first.read_extras(k), back.read_extras(k)),
        ):
            assert x.keys() == y.keys()
            assert all(np.array_equal(x[n], y[n]) for n in x)


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # the package leaves its files to the collector
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_webdataset_package_reads_our_shards_and_we_read_its(robot, tmp_path):
    wds = pytest.importorskip("webdataset")
    convert(open_dataset(robot), tmp_path / "shards", "webdataset")
    read = list(wds.WebDataset(str(tmp_path / "shards/000000.tar"), shardshuffle=False).decode())
    assert [s["__key__"] for s in read] == ["e0", "e1", "e2"]
    assert read[2]["txt"] == "does 2"
    assert np.array_equal(read[2]["actions.npy"], open_dataset(robot).read_arrays(2)["actions"])
    assert read[2]["json"]["instruction"] == "do 0"
    film(tmp_path / "v.mp4", seed=5)
    with wds.TarWriter(str(tmp_path / "theirs.tar")) as writer:
        for k in range(2):
            video = (tmp_path / "v.mp4").read_bytes()
            writer.write(
                {
                    "__key__": f"dir/s{k}",
                    "mp4": video,
                    "txt": f"t{k}",
                    "json": {"source": "film"},
                    "pose.npy": np.ones((6, 4)),
                }
            )
    ours = open_dataset(tmp_path / "theirs.tar")
    assert ours.problems == []
    assert [(c.name, c.caption, c.source) for c in ours.clips] == [
        ("dir/s0", "t0", "film"),
        ("dir/s1", "t1", "film"),
    ]
    assert ours.read_arrays(1)["pose"].shape == (6, 4)
    assert np.array_equal(ours.read_frames(0, "main").pixels, read_video(tmp_path / "v.mp4").pixels)


def test_captions_stand_beside_or_in_one_table(tmp_path):
    for folder in ("beside", "csv", "jsonl"):
        (tmp_path / folder).mkdir()
        for k in range(2):
            film(tmp_path / folder / f"{k}.mp4", seed=k)
    (tmp_path / "beside/0.txt").write_text("first\n")
    (tmp_path / "beside/1.json").write_text('{"caption": "second", "weather": "dry"}')
    (tmp_path / "csv/metadata.csv").write_text('file_name,text\n0.mp4,"first, really"\n1.mp4,second\n')
    rows = [{"file_name": f"{k}.mp4", "text": t} for k, t in enumerate(("first", "second"))]
    (tmp_path / "jsonl/metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert [c.caption for c in open_dataset(tmp_path / "beside").clips] == ["first", "second"]
    assert open_dataset(tmp_path / "beside").clips[1].facts == {"weather": "dry"}
    assert [c.caption for c in open_dataset(tmp_path / "csv").clips] == ["first, really", "second"]
    assert [c.caption for c in open_dataset(tmp_path / "jsonl").clips] == ["first", "second"]


def test_a_robot_folder_becomes_a_lerobot_set_and_comes_back(robot, tmp_path):
    with pytest.raises(DataError) as error:
        convert(open_dataset(robot), tmp_path / "lerobot", "lerobot")
    said, fix = str(error.value).split("; leave them out with ")
    for name in ("contacts, depth_m", "the facts seed", "a caption beside", "wrist.intrinsics_px (a matrix"):
        assert name in said
    drop = tuple(fix.replace("--drop ", "").split())
    assert drop == ("extras", "facts", "caption", "wrist.intrinsics_px")
    for left in itertools.combinations(drop, 3):
        with pytest.raises(DataError, match="has no place for"):
            convert(open_dataset(robot), tmp_path / "lerobot", "lerobot", drop=left)
    assert not (tmp_path / "lerobot").exists()
    dataset = open_dataset(robot)
    convert(dataset, tmp_path / "lerobot", "lerobot", drop=drop)
    back = open_dataset(tmp_path / "lerobot")
    assert back.form == "lerobot v3.0"
    assert len(back.clips) == 3
    assert back.clips[0].controls == CONTROLS
    for k in range(3):
        assert back.clips[k].caption == f"do {k % 2}"
        arrays = back.read_arrays(k)
        assert np.array_equal(arrays["action"], dataset.read_arrays(k)["actions"])
        assert np.array_equal(arrays["observation.state"], dataset.read_arrays(k)["robot_state"])
        a, b = (d.read_frames(k, d.clips[k].views[1]).pixels.astype(int) for d in (dataset, back))
        assert np.abs(a - b).mean() < 6


def test_a_clip_set_takes_one_view_and_arrays_that_are_alike(robot, tmp_path):
    dataset = open_dataset(robot)
    with pytest.raises(
        DataError, match="holds one view, got main, wrist of e0; leave out others with --drop"
    ):
        convert(dataset, tmp_path / "set", "clip-set", drop=("extras",))
    with pytest.raises(DataError, match="got also contacts of e0"):
        convert(dataset, tmp_path / "set", "clip-set", drop=("wrist", "depth_m"))
    with pytest.raises(ConfigError, match="must leave a view of e0"):
        convert(dataset, tmp_path / "set", "clip-set", drop=("main", "wrist", "extras"))
    with pytest.raises(ConfigError, match=r"must name what the clips have .*, got 'wrst'"):
        convert(dataset, tmp_path / "set", "clip-set", drop=("wrst",))
    convert(dataset, tmp_path / "set", "clip-set", drop=("wrist", "extras"))
    made = open_clip_set(tmp_path / "set")
    assert made.controls == CONTROLS
    assert made.arrays["actions"].shape == (3, 6, 7)
    assert np.array_equal(made.pixels[2], dataset.read_frames(2, "main").pixels)
    again = open_dataset(tmp_path / "set")
    assert [c.source for c in again.clips] == ["e0", "e1", "e2"]


def test_a_folder_written_anew_is_the_same_clips(robot, tmp_path):
    convert(open_dataset(robot), tmp_path / "again", "folder")
    first, back = open_dataset(robot), open_dataset(tmp_path / "again")
    assert [(c.name, c.views, c.caption, c.source) for c in back.clips] == [
        (c.name, c.views, c.caption, c.source) for c in first.clips
    ]
    assert back.read_extras(2)["contacts"].max() == 2


def test_cameras_keep_their_names_and_whole_videos_their_bytes(tmp_path):
    robot = make_v21(tmp_path / "robot", lengths=(3, 4))
    for target in ("folder", "webdataset"):
        done = convert(open_dataset(robot), tmp_path / target, target)
        assert (done.copied, done.encoded) == (4, 0)
        back = open_dataset(tmp_path / target)
        assert [c.views for c in back.clips] == [CAMERAS] * 2
        for k, camera in itertools.product(range(2), CAMERAS):
            path = robot / f"videos/chunk-000/{camera}/episode_{k:06d}.mp4"
            assert copied(back, k, camera) == path.read_bytes()
    done = convert(open_dataset(robot), tmp_path / "one", "webdataset", drop=(CAMERAS[0],))
    assert open_dataset(tmp_path / "one").clips[0].views == (CAMERAS[1],)
    shared = make_v3(tmp_path / "v3")
    done = convert(open_dataset(shared), tmp_path / "shared", "folder")
    assert (done.copied, done.encoded) == (2, 4)  # episode 2 alone has files of its own
    assert open_dataset(tmp_path / "shared").problems == []


def test_images_and_other_containers_stay_what_they_are(tmp_path):
    film(tmp_path / "v.mp4", frames=1)
    write_image(tmp_path / "i.png", read_video(tmp_path / "v.mp4"))
    png = (tmp_path / "i.png").read_bytes()
    with av.open(str(tmp_path / "m.mkv"), "w") as out, av.open(str(tmp_path / "v.mp4")) as source:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    write_tar(tmp_path / "x.tar", [("a.png", png), ("b.mkv", (tmp_path / "m.mkv").read_bytes())])
    convert(open_dataset(tmp_path / "x.tar"), tmp_path / "shards", "webdataset")
    with tarfile.open(tmp_path / "shards/000000.tar") as tar:
        assert [n for n in tar.getnames() if not n.endswith(".json")] == ["a.png", "b.mkv"]
    with pytest.raises(DataError, match=r"holds no \.png, got one of a; convert to webdataset"):
        convert(open_dataset(tmp_path / "x.tar"), tmp_path / "folder", "folder")
    assert not (tmp_path / "folder").exists()


def test_names_of_samples_lead_nowhere_else_and_hide_none(tmp_path):
    film(tmp_path / "v.mp4")
    video = (tmp_path / "v.mp4").read_bytes()
    write_tar(tmp_path / "x.tar", [(f"{tmp_path}/away/a.mp4", video), ("../../b.mp4", video)])
    convert(open_dataset(tmp_path / "x.tar"), tmp_path / "folder", "folder")
    assert not (tmp_path / "away").exists()
    assert len(open_dataset(tmp_path / "folder").clips) == 2
    for name in ("c-d.mp4", "c.d.mp4"):
        (tmp_path / "alike").mkdir(exist_ok=True)
        (tmp_path / "alike" / name).write_bytes(video)
    for target in ("folder", "webdataset"):
        with pytest.raises(DataError, match="names that differ, also without dots, got 'c-d' twice"):
            convert(open_dataset(tmp_path / "alike"), tmp_path / "out", target)


def test_a_window_is_what_the_whole_clip_has_there(robot, tmp_path):
    options = {"webdataset": {}, "clip-set": {"drop": ("wrist", "extras")}}
    options["lerobot"] = {"drop": ("extras", "facts", "caption", "wrist.intrinsics_px")}
    for form, more in options.items():
        convert(open_dataset(robot), tmp_path / form, form, **more)
    for path in (robot, *(tmp_path / form for form in options)):
        dataset = open_dataset(path)
        for view in dataset.clips[1].views:
            whole = dataset.read_frames(1, view)
            assert len(whole.pixels) == 6
            for first, count in ((0, 6), (2, 3), (5, 1)):
                part = dataset.read_window(1, view, first, count)
                assert np.array_equal(part.pixels, whole.pixels[first : first + count])
                assert len(part.pixels) == count


def test_the_loader_takes_any_stored_data_set(robot):
    bucket = Bucket(height=16, width=16, num_frames=3)
    loader = ClipLoader(
        [DatasetSource(open_dataset(robot))], LoaderConfig(plan=PlanConfig(buckets=(bucket,), batch_size=2))
    )
    for batch in itertools.islice(loader, 4):
        assert batch.arrays["actions"].shape == (2, 3, 7)
        for facts, actions in zip(batch.facts, batch.arrays["actions"], strict=True):
            assert float(actions[0, 0]) % 21 == int(facts["caption"].split()[-1])


def test_a_report_and_a_picture(robot, tmp_path):
    report = inspect_dataset(open_dataset(robot))
    assert report["clips"] == 3
    assert report["fps"] == 10.0
    assert report["tasks"] == ["do 0", "do 1"]
    assert [a["unit"] for a in report["actions"]][:2] == ["m", "m"]
    assert report["idle_share"] == 0.0
    write_sheet(open_dataset(robot), tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 500


def test_jitter_is_that_of_the_frames(robot, tmp_path):
    assert inspect_dataset(open_dataset(robot))["jitter_ms"] < 0.1
    late = np.arange(6) / 10
    late[3] += 0.04
    write_video(
        robot / "e1.main.mp4",
        Frames(pixels=np.zeros((6, 16, 16, 3), np.uint8), fps=10.0, pts_seconds=late),
    )
    convert(open_dataset(robot), tmp_path / "shards", "webdataset")
    for path in (robot, tmp_path / "shards"):
        report = inspect_dataset(open_dataset(path))
        assert report["jitter_ms"] == pytest.approx(40, abs=0.5)
        assert "times leave the 10 Hz grid by up to 40 ms" in report["warnings"]


def test_what_is_none_of_them_says_what_was_looked_for(tmp_path):
    with pytest.raises(DataError, match=r"must hold one of meta/info\.json"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match="got no such file or folder"):
        open_dataset(tmp_path / "nowhere")
