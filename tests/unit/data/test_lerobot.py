import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.data.lerobot_made import CAMERAS, FPS, columns, grey, make_v3, make_v21, video

from worldfoundry.core.errors import DataError, UnknownNameError
from worldfoundry.data.lerobot import find_problems, open_lerobot
from worldfoundry.data.video_write import write_image

LENGTHS = (4, 3, 5)
FIRST = "data/chunk-000/file-000.parquet"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One data set of each version and codec."""
    folder = tmp_path_factory.mktemp("lerobot")
    return {
        "v3": make_v3(folder / "v3"),
        "v3 av1": make_v3(folder / "v3_av1", codec="libsvtav1", index_column="task"),
        "v2.1": make_v21(folder / "v21"),
    }


@pytest.fixture
def v3(made, tmp_path):
    return shutil.copytree(made["v3"], tmp_path / "set")


@pytest.mark.parametrize("kind", ["v3", "v3 av1", "v2.1"])
def test_every_row_and_frame_is_that_of_its_episode(made, kind):
    opened = open_lerobot(made[kind])
    assert [e.num_rows for e in opened.episodes] == list(LENGTHS)
    assert [e.tasks for e in opened.episodes] == [("push",), ("pull",), ("push",)]
    assert opened.tasks == {0: "push", 1: "pull"}
    assert opened.info.features["observation.state"].names == ("x", "y", "z")
    for index, length in enumerate(LENGTHS):
        rows = opened.read_rows(index)
        for name, values in columns((length,), index).items():
            if name != "index":
                np.testing.assert_array_equal(rows[name], values)
        for camera in CAMERAS:
            frames = opened.read_frames(index, camera)
            np.testing.assert_allclose(frames.pts_seconds, np.arange(length) / FPS, atol=1e-6)
            shown = frames.pixels.reshape(length, -1).mean(1)
            np.testing.assert_allclose(shown, [grey(index, r, camera) for r in range(length)], atol=2.5)
    assert not [found for _, found in find_problems(opened) if isinstance(found, DataError)]


def rewrite(path, change):
    written = pq.read_table(path)
    pq.write_table(change(written), path)


def put(written, name, values, kind=None):
    return written.set_column(written.column_names.index(name), name, pa.array(values, kind))


def set_row(name, row, value):
    """Another value in one row of the first file."""

    def change(written):
        values = written.column(name).to_pylist()
        values[row] = value
        return put(written, name, values, written.column(name).type)

    return change


DAMAGES = {
    "nan action": (
        FIRST,
        set_row("action", 5, [float("nan"), 0]),
        1,
        "row 1: action must be finite, got [nan",
    ),
    "null action": (FIRST, set_row("action", 2, None), 0, "row 2: action must have a value, got null"),
    "time goes back": (FIRST, set_row("timestamp", 2, 0.05), 0, "row 2: timestamp must be above"),
    "late start": (FIRST, set_row("timestamp", 4, 0.06), 1, "row 0: timestamp must begin at 0 s"),
    "frame number": (FIRST, set_row("frame_index", 1, 7), 0, "row 1: frame_index must be 1, got 7"),
    "task": (FIRST, set_row("task_index", 6, 9), 1, "row 2: task_index must be one of meta/tasks, got 9"),
    "lost row": (FIRST, lambda t: t.slice(0, 6), 1, "must have the 3 rows that meta/episodes states, got 2"),
    "lost column": (FIRST, lambda t: t.drop_columns(["action"]), 0, "got no action"),
    "type": (
        FIRST,
        lambda t: put(t, "action", [["a", "b"]] * len(t)),
        0,
        "action must be float32 [2] by meta/info.json, got list<",
    ),
    "ragged": (
        FIRST,
        lambda t: put(t, "action", [[0.0, 0.0]] * 5 + [[0.0]] + [[0.0, 0.0]], pa.list_(pa.float32())),
        1,
        "row 1: action must have the shape [2], got 1 values",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_row_is_told_with_file_row_rule_value_and_fix(v3, name):
    path, change, index, said = DAMAGES[name]
    rewrite(v3 / path, change)
    opened = open_lerobot(v3)
    with pytest.raises(DataError) as error:
        opened.read_rows(index)
    assert str(error.value).startswith(f"{v3 / path}: episode {index}: ")
    assert said in str(error.value)
    assert str(error.value).count("; ") >= 1
    problems = [(e.index, str(f)) for e, f in find_problems(opened) if isinstance(f, DataError)]
    assert (index, str(error.value)) in problems
    assert 2 not in dict(problems)  # the other file is whole


def test_a_lost_video_names_its_camera(v3):
    path = v3 / "videos" / CAMERAS[1] / "chunk-000/file-001.mp4"
    path.unlink()
    opened = open_lerobot(v3)
    with pytest.raises(DataError, match=f"{path} must exist: frames of {CAMERAS[1]}"):
        opened.read_frames(2, CAMERAS[1])
    assert len(opened.read_frames(2, CAMERAS[0]).pixels) == 5
    assert [isinstance(f, DataError) for _, f in find_problems(opened)] == [False, False, True]


def test_a_video_with_fewer_frames_than_rows_is_found_where_it_ends(v3):
    path = v3 / "videos" / CAMERAS[0] / "chunk-000/file-000.mp4"
    video(path, [50] * 6, "libx264")
    opened = open_lerobot(v3)
    said = (
        r"file-000\.mp4: episode 1: row 2: a frame must be at 0\.6 s .* got the nearest at 0\.5 s \(6 frames"
    )
    assert len(opened.read_frames(0, CAMERAS[0]).pixels) == 4
    with pytest.raises(DataError, match=r"row 2: a frame must be at 0\.6 s"):
        opened.read_frames(1, CAMERAS[0])
    found = [f for _, f in find_problems(opened) if isinstance(f, DataError)]
    assert len(found) == 1
    with pytest.raises(DataError, match=said):
        raise found[0]


def test_the_tolerance_is_the_border_of_what_counts_as_the_frame_of_a_row(v3):
    rewrite(v3 / FIRST, set_row("timestamp", 1, 0.1 + 0.003))
    opened = open_lerobot(v3)
    with pytest.raises(DataError, match=r"row 1: a frame must be at 0\.103 s to within 0\.0001 s"):
        opened.read_frames(0, CAMERAS[0])
    frames = opened.read_frames(0, CAMERAS[0], tolerance_seconds=0.0031)
    assert abs(frames.pixels[1].mean() - grey(0, 1, CAMERAS[0])) < 2.5


def edit_info(root, **changes):
    path = root / "meta/info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"codebase_version": "v1.6"}, "codebase_version must be one of v3.0, v2.1, v2.0, got 'v1.6'"),
        ({"fps": 0}, "fps must be above 0"),
        ({"fps": "ten"}, "fps must be number, got 'ten'"),
        ({"total_frames": 13}, "total_frames must be what meta/episodes adds up to, 12, got 13"),
        ({"total_episodes": 2}, "total_episodes must be what meta/episodes adds up to, 3, got 2"),
        ({"data_path": "../data/{chunk_index}"}, "must stay inside the data set"),
        ({"data_path": "/data/{chunk_index}"}, "must stay inside the data set"),
        ({"data_path": "data/{episode_index}"}, "must use chunk_index, file_index alone"),
        (
            {"features": {"action": {"dtype": "float32"}}},
            "features.action.shape must be list, got no such field",
        ),
    ],
)
def test_wrong_metadata_is_told_by_field(v3, changes, said):
    edit_info(v3, **changes)
    with pytest.raises(DataError) as error:
        open_lerobot(v3)
    assert str(v3 / "meta/info.json") in str(error.value)
    assert said in str(error.value)


@pytest.mark.parametrize("name", [FIRST, "meta/tasks.parquet", "meta/episodes/chunk-000/file-000.parquet"])
def test_a_cut_parquet_file_is_named(v3, name):
    (v3 / name).write_bytes((v3 / name).read_bytes()[:200])
    with pytest.raises(DataError, match=f"{v3 / name} must be a Parquet file"):
        open_lerobot(v3).read_rows(0)


def test_an_unknown_camera_offers_the_nearest(made):
    with pytest.raises(UnknownNameError, match=r"did you mean .observation\.images\.front"):
        open_lerobot(made["v3"]).read_frames(0, "observation.image.front")


def picture(pixels, suffix, folder):
    write_image(folder / f"i{suffix}", pixels)
    return (folder / f"i{suffix}").read_bytes()


@pytest.fixture
def pictured(v3, tmp_path):
    """Camera ``top`` in the rows: PNG, a JPEG in row 1 of episode 1."""
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (12, 8, 12, 3), dtype=np.uint8)
    pixels[5] = 77
    content = [picture(p, ".jpg" if k == 5 else ".png", tmp_path) for k, p in enumerate(pixels)]
    for file, part in ((FIRST, content[:7]), (FIRST.replace("000.p", "001.p"), content[7:])):
        column = pa.array([{"bytes": c, "path": f"{k}.png"} for k, c in enumerate(part)])
        rewrite(v3 / file, lambda t, column=column: t.append_column("top", column))
    edit_features(v3, top={"dtype": "image", "shape": [8, 12, 3], "names": ["height", "width", "channels"]})
    return v3, pixels


def edit_features(root, **features):
    path = root / "meta/info.json"
    edit_info(root, features=json.loads(path.read_text())["features"] | features)


def test_pictures_in_the_rows_are_read_exactly(pictured):
    root, pixels = pictured
    opened = open_lerobot(root)
    assert "top" in opened.info.cameras
    for index, first in enumerate((0, 4, 7)):
        frames = opened.read_frames(index, "top")
        expected = pixels[first : first + LENGTHS[index]]
        if index == 1:
            assert np.abs(frames.pixels[1].astype(int) - 77).max() <= 3
        np.testing.assert_array_equal(np.delete(frames.pixels, 1, 0), np.delete(expected, 1, 0))
        np.testing.assert_allclose(frames.pts_seconds, np.arange(LENGTHS[index]) / FPS, atol=1e-6)
    assert not [f for _, f in find_problems(opened) if isinstance(f, DataError)]


@pytest.mark.parametrize(
    ("change", "said", "by_inspection"),
    [
        (lambda c: c[:60], "row 1: top must be a PNG or JPEG of 8 bits, got", False),
        (lambda c: b"GIF89a" + c, "row 1: top must be a PNG or JPEG of 8 bits, got bytes that begin", False),
        (lambda c: None, "row 1: top must hold its picture, got no bytes", True),
    ],
)
def test_a_damaged_picture_is_told_with_its_row(pictured, change, said, by_inspection):
    root, _ = pictured
    content = pq.read_table(root / FIRST).column("top").to_pylist()[1]["bytes"]
    rewrite(root / FIRST, set_row("top", 1, {"bytes": change(content), "path": "1.png"}))
    opened = open_lerobot(root)
    with pytest.raises(DataError) as error:
        opened.read_frames(0, "top")
    assert str(error.value).startswith(f"{root / FIRST}: episode 0: {said}")
    found = [e.index for e, f in find_problems(opened) if isinstance(f, DataError)]
    assert found == ([0] if by_inspection else [])
    assert len(opened.read_frames(1, "top").pixels) == 3


def test_a_jpeg_cut_short_is_not_painted_grey(pictured):
    root, _ = pictured
    content = pq.read_table(root / FIRST).column("top").to_pylist()[5]["bytes"]
    rewrite(root / FIRST, set_row("top", 5, {"bytes": content[:-20], "path": "5.jpg"}))
    with pytest.raises(
        DataError, match=r"episode 1: row 1: top must be a PNG or JPEG of 8 bits, got a JPEG cut"
    ):
        open_lerobot(root).read_frames(1, "top")


def test_a_column_that_holds_no_pictures_is_told(pictured):
    root, _ = pictured
    rewrite(root / FIRST, lambda t: put(t, "top", list(range(7))))
    assert "top must be pictures, a struct of bytes and path, got int64" in str(
        next(f for _, f in find_problems(open_lerobot(root)))
    )
