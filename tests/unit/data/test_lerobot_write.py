import json
from dataclasses import replace

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from worldfoundry.core.config import load_config
from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.data.lerobot import find_problems, open_lerobot
from worldfoundry.data.lerobot_write import (
    CONTROLS_PATH,
    LeRobotWriteConfig,
    RecordedEpisode,
    write_lerobot,
)
from worldfoundry.protocols.control import ControlSpec, bridge_actions

CONTROLS = ControlSpec(actions=bridge_actions(rate_hz=15.0))
CONFIG = LeRobotWriteConfig(fps=15.0, robot_type="arm", controls=CONTROLS, episodes_per_file=2)
LENGTHS = (5, 7, 4, 6, 3)
CAMERAS = ("observation.images.front", "observation.images.wrist")


def recorded(index, seed=0):
    rng = np.random.default_rng((seed, index))
    n = LENGTHS[index]
    level = (20 + 40 * index + 3 * np.arange(n)).astype(np.uint8)
    return RecordedEpisode(
        task=("push", "pull")[index % 2],
        columns={
            "action": rng.normal(size=(n, 7)).astype(np.float32),
            "observation.state": 1e6 + rng.normal(size=(n, 2)),
            "next.reward": rng.normal(size=n).astype(np.float32),
            "next.done": np.arange(n) == n - 1,
        },
        videos={
            c: np.broadcast_to((level + 7 * k)[:, None, None, None], (n, 64, 96, 3))
            for k, c in enumerate(CAMERAS)
        },
    )


@pytest.fixture(scope="module", params=["h264", "av1"])
def written(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("written") / request.param
    write_lerobot(root, map(recorded, range(5)), replace(CONFIG, codec=request.param))
    return root, request.param


def test_what_is_written_is_read_again(written):
    root, _ = written
    opened = open_lerobot(root)
    assert opened.info.features["action"].names == tuple(c.name for c in CONTROLS.actions.channels)
    for index, episode in enumerate(opened.episodes):
        given, rows = recorded(index), opened.read_rows(index)
        assert episode.tasks == (given.task,)
        assert {opened.tasks[t] for t in rows["task_index"].tolist()} == {given.task}
        for name, values in given.columns.items():
            assert rows[name].dtype == values.dtype
            np.testing.assert_array_equal(rows[name], values)
        for camera, pixels in given.videos.items():
            frames = opened.read_frames(index, camera)
            assert frames.pixels.shape == pixels.shape
            np.testing.assert_allclose(frames.pixels.mean((1, 2, 3)), pixels.mean((1, 2, 3)), atol=2.5)
    assert not [f for _, f in find_problems(opened) if isinstance(f, DataError)]
    assert load_config(ControlSpec, root / CONTROLS_PATH) == CONTROLS


def test_the_layout_is_the_published_one(written):
    """Read with pyarrow, PyAV and json alone."""
    root, codec = written
    info = json.loads((root / "meta/info.json").read_text())
    episodes = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert (info["codebase_version"], info["total_frames"]) == ("v3.0", sum(LENGTHS))
    index = []
    for e, row in enumerate(episodes):
        place = {k: row[f"data/{k}"] for k in ("chunk_index", "file_index")}
        assert place["file_index"] == e // 2
        data = pq.read_table(root / info["data_path"].format(**place)).to_pylist()
        mine = [r for r in data if r["episode_index"] == e]
        assert [r["index"] for r in mine] == list(range(row["dataset_from_index"], row["dataset_to_index"]))
        index += [r["index"] for r in mine]
        for camera in CAMERAS:
            place = {k: row[f"videos/{camera}/{k}"] for k in ("chunk_index", "file_index")}
            with av.open(str(root / info["video_path"].format(video_key=camera, **place))) as file:
                assert file.streams.video[0].codec_context.name == {"h264": "h264", "av1": "libdav1d"}[codec]
                times = [frame.time for frame in file.decode(video=0)]
            start, end = (row[f"videos/{camera}/{k}_timestamp"] for k in ("from", "to"))
            inside = [t for t in times if start - 1e-4 <= t < end - 1e-4]
            np.testing.assert_allclose(inside, start + np.arange(LENGTHS[e]) / 15, atol=1e-4)
    assert index == list(range(sum(LENGTHS)))
    meta = json.loads(pq.read_schema(root / "meta/tasks.parquet").metadata[b"pandas"])
    assert meta["index_columns"] == ["task"]


def test_the_statistics_are_those_of_all_rows(written):
    root, _ = written
    stats = json.loads((root / "meta/stats.json").read_text())
    for name in ("action", "observation.state", "next.reward"):
        whole = np.concatenate([recorded(i).columns[name] for i in range(5)]).astype(np.float64)
        whole = whole.reshape(len(whole), -1)
        for key, value in (("min", whole.min(0)), ("max", whole.max(0)), ("mean", whole.mean(0))):
            np.testing.assert_allclose(stats[name][key], value, rtol=1e-12)
        np.testing.assert_allclose(stats[name]["std"], whole.std(0), rtol=1e-9)
        assert stats[name]["count"] == [sum(LENGTHS)]
        assert np.all(
            np.diff([stats[name][q] for q in ("min", "q01", "q10", "q50", "q90", "q99", "max")], axis=0) >= 0
        )
    assert np.shape(stats[CAMERAS[0]]["mean"]) == (3, 1, 1)


def changed(episode, **columns):
    return replace(episode, columns={**episode.columns, **columns})


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (changed(recorded(1), action=np.full((7, 7), np.nan, np.float32)), "row 0: action must be finite"),
        (changed(recorded(1), action=np.zeros((6, 7), np.float32)), "the same number of rows"),
        (
            changed(recorded(1), action=np.zeros((7, 7))),
            "features must be those of episode 0, got others in action",
        ),
        (changed(recorded(1), timestamp=np.arange(7)), "timestamp must not be given"),
        (replace(recorded(1), videos={CAMERAS[0]: np.zeros((7, 8, 8, 3))}), "must be uint8"),
        (replace(recorded(1), videos={}), f"got others in {CAMERAS[0]}, {CAMERAS[1]}"),
    ],
)
def test_a_bad_episode_is_named_and_leaves_nothing(tmp_path, second, said):
    with pytest.raises(DataError) as error:
        write_lerobot(tmp_path / "set", [recorded(0), second], CONFIG)
    assert f"{tmp_path / 'set'}: episode 1: " in str(error.value)
    assert said in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(DataError, match="must be a new or empty folder"):
        write_lerobot(tmp_path, [recorded(0)], CONFIG)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(DataError, match="at least one episode"):
        write_lerobot(tmp_path / "none", [], CONFIG)


def test_actions_have_the_names_of_the_controls():
    with pytest.raises(ConfigError, match=r"names\.action must be those of controls"):
        replace(CONFIG, names={"action": ("a",) * 7})


def test_each_episode_has_its_own_statistics_with_exact_quantiles(tmp_path):
    rng = np.random.default_rng(0)
    actions = [rng.normal(size=(20 + k, 3)).astype(np.float32) for k in range(2)]
    episodes = [RecordedEpisode(task="t", columns={"action": a}) for a in actions]
    write_lerobot(tmp_path / "set", episodes, LeRobotWriteConfig(fps=10.0))
    rows = pq.read_table(next((tmp_path / "set/meta/episodes").rglob("*.parquet"))).to_pylist()
    for row, values in zip(rows, actions, strict=True):
        np.testing.assert_allclose(row["stats/action/q90"], np.quantile(values.astype(float), 0.9, axis=0))
        np.testing.assert_allclose(row["stats/action/mean"], values.astype(float).mean(0))
        assert row["stats/action/count"] == [len(values)]
