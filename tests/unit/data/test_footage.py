"""Folders as the field lays them out."""

import numpy as np
import pytest

from worldfoundry.core.errors import DataError
from worldfoundry.data.footage import DAVIS_FPS, find_footage
from worldfoundry.data.video_write import write_image, write_video
from worldfoundry.protocols.frames import Frames


def pictures(count, size=(16, 24), seed=0):
    return np.random.default_rng(seed).integers(0, 255, (count, *size, 3), dtype=np.uint8)


def sequence(folder, count=3):
    folder.mkdir(parents=True)
    frames = pictures(count)
    for k, frame in enumerate(frames):
        write_image(folder / f"{k:05d}.jpg", frame)
    return frames


def video(path, seconds=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, Frames.at_constant_rate(pictures(10 * seconds), 10.0))


@pytest.mark.parametrize("below", ["", "JPEGImages/480p"])
def test_davis_is_a_folder_of_frames_a_sequence(below, tmp_path):
    frames = sequence(tmp_path / below / "bear")
    sequence(tmp_path / below / "boat", 2)
    layout, found = find_footage(tmp_path)
    assert (layout, [f.name for f in found], {f.group for f in found}) == (
        "davis",
        ["bear", "boat"],
        {"davis"},
    )
    read = found[0].read()
    assert read.fps == DAVIS_FPS
    assert read.pixels.shape == frames.shape
    assert np.abs(read.pixels.astype(int) - frames).mean() < 30  # JPEG of noise
    assert len(found[0].read(max_seconds=1 / DAVIS_FPS).pixels) == 1


def test_two_resolutions_of_davis_are_not_chosen_from(tmp_path):
    for name in ("480p", "Full-Resolution"):
        sequence(tmp_path / "JPEGImages" / name / "bear")
    with pytest.raises(DataError, match=r"one resolution below JPEGImages.*\['480p', 'Full-Resolution'\]"):
        find_footage(tmp_path)
    assert find_footage(tmp_path / "JPEGImages/480p")[0] == "davis"


def test_frames_of_two_sizes_are_no_sequence(tmp_path):
    sequence(tmp_path / "bear")
    write_image(tmp_path / "bear/00009.jpg", pictures(1, (8, 8))[0])
    with pytest.raises(DataError, match="frames of one size"):
        find_footage(tmp_path)[1][0].read()


def test_tokenbench_is_a_folder_a_source_and_ten_seconds_count(tmp_path):
    for name in ("BDD100K", "bridge_v2", "EgoExo-4D", "panda70m"):
        video(tmp_path / name / "a.mp4", seconds=12 if name == "panda70m" else 1)
    layout, found = find_footage(tmp_path)
    assert layout == "tokenbench"
    assert [f.group for f in found] == ["bdd100k", "egoexo-4d", "bridge_v2", "panda70m"]
    assert len(found[-1].read().pixels) == 100


def test_anything_else_is_plain(tmp_path):
    video(tmp_path / "bdd/a.mp4")
    video(tmp_path / "mine/b.mp4")
    (tmp_path / "mine/thumbnails").mkdir()
    write_image(tmp_path / "mine/thumbnails/b.jpg", pictures(1)[0])
    layout, found = find_footage(tmp_path)
    assert (layout, [f.name for f in found]) == ("plain", ["bdd/a.mp4", "mine/b.mp4"])
    assert {f.group for f in found} == {"real"}
    with pytest.raises(DataError, match="no such folder"):
        find_footage(tmp_path / "none")
