import numpy as np
import pytest

from worldfoundry.core.errors import DataError
from worldfoundry.data import prepare
from worldfoundry.data.prepare import PrepareConfig, prepare_videos
from worldfoundry.data.video_write import write_video
from worldfoundry.protocols.video import Frames

CONFIG = PrepareConfig(size=16, fps=10.0, num_frames=4)


def film(path, frames, *, fps=10.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(frames).integers(0, 256, (frames, 16, 16, 3), dtype=np.uint8)
    write_video(path, Frames(pixels=pixels, fps=fps, pts_seconds=np.arange(frames) / fps))


def test_videos_too_short_or_too_slow_are_named_with_the_reason(tmp_path):
    film(tmp_path / "in/good.mp4", 9)
    film(tmp_path / "in/short.mp4", 3)
    film(tmp_path / "in/slow.mp4", 9, fps=5.0)
    made, left_out = prepare_videos(tmp_path / "in", tmp_path / "out", CONFIG)
    assert [row["start_seconds"] for row in made.rows] == pytest.approx([0, 0.4])
    short, slow = left_out
    assert "short.mp4 must last 4 frames at 10 fps, got 3" in short
    assert "slow.mp4 must run at 10 fps or more, got 5" in slow


def test_two_videos_of_one_name_keep_different_sources(tmp_path):
    for name in ("a/0.mp4", "b/c/0.mp4"):
        film(tmp_path / "in" / name, 4)
    made, _ = prepare_videos(tmp_path / "in", tmp_path / "out", CONFIG)
    assert [row["source"] for row in made.rows] == ["a/0.mp4", "b/c/0.mp4"]


def test_when_nothing_is_left_the_error_says_why_and_nothing_is_written(tmp_path):
    film(tmp_path / "in/short.mp4", 3)
    (tmp_path / "in/broken.mp4").write_bytes(b"not a video")
    with pytest.raises(
        DataError, match=r"got 2 that cannot: .*broken\.mp4.*; .*short\.mp4 must last 4 frames"
    ):
        prepare_videos(tmp_path / "in", tmp_path / "out", CONFIG)
    assert not (tmp_path / "out").exists()


def test_the_clips_of_a_video_are_written_before_the_next_video_is_read(tmp_path, monkeypatch):
    for k in range(3):
        film(tmp_path / f"in/{k}.mp4", 8)
    events = []
    read, write = prepare.read_video, prepare.write_clip_set

    def watched(clips):
        for clip in clips:
            events.append("write")
            yield clip

    monkeypatch.setattr(prepare, "read_video", lambda path: events.append("read") or read(path))
    monkeypatch.setattr(
        prepare, "write_clip_set", lambda out, clips, **rest: write(out, watched(clips), **rest)
    )
    prepare_videos(tmp_path / "in", tmp_path / "out", CONFIG)
    assert events == ["read", "write", "write"] * 3
