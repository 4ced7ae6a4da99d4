"""What detectors see: small and full pictures that agree, damage that is told and stepped over."""

import numpy as np
import pytest

from worldfoundry.core.errors import DataError
from worldfoundry.data.video_io import read_video
from worldfoundry.data.video_write import VideoWriter, write_image, write_video
from worldfoundry.data.views import Views, small_size
from worldfoundry.protocols.frames import Frames


def waves(num_frames: int, height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    frames = [
        np.stack([127 + 100 * np.sin(x / 60 + k / 9 + c) * np.cos(y / 50) for c in range(3)], -1)
        for k in range(num_frames)
    ]
    return np.stack(frames).round().clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "a.mp4"
    pixels = waves(50, 120, 480)
    write_video(path, Frames.at_constant_rate(pixels, 25.0))
    return path


def test_the_views_are_the_frames(film):
    frames, views = read_video(film), list(Views(film))
    assert [v.seconds for v in views] == frames.pts_seconds.tolist()
    for view, pixels in zip(views[::20], frames.pixels[::20], strict=True):
        assert view.small.shape == (64, 256, 3)
        assert (
            np.abs(view.small.mean((0, 1)) - pixels.mean((0, 1))).max() < 3.5
        )  # the fast scaler rounds down
        grey = pixels @ [0.2126, 0.7152, 0.0722]
        assert view.luma.shape == (120, 480)
        assert np.abs(view.luma - grey).mean() < 1.5
        assert np.array_equal(view.pixels(120, 480), pixels)


def test_a_span_has_the_frames_of_the_whole(film):
    whole = {v.seconds: v.luma.copy() for v in Views(film)}
    part = {v.seconds: v.luma.copy() for v in Views(film, 0.8, 1.2)}
    assert list(part) == [s for s in whole if 0.8 <= s < 1.2]
    assert all(np.array_equal(part[s], whole[s]) for s in part)


def test_small_pictures_are_never_enlarged(tmp_path):
    write_image(tmp_path / "a.png", waves(1, 31, 77)[0])
    (view,) = Views(tmp_path / "a.png")
    assert (view.seconds, view.small.shape, view.luma.shape) == (0.0, (31, 77, 3), (31, 77))
    assert small_size(1080, 1920) == (144, 256)
    assert small_size(1920, 1080) == (455, 256)


def test_what_is_lost_is_told_and_the_rest_is_seen(film, tmp_path):
    data = film.read_bytes()
    (tmp_path / "short.mp4").write_bytes(data[: len(data) * 2 // 3])
    views = Views(tmp_path / "short.mp4")
    times = [v.seconds for v in views]
    assert views.is_cut_short
    assert 5 < len(times) == views.num_frames < views.num_promised == 50
    assert times == sorted(times)
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(DataError, match="must be a video"):
        list(Views(tmp_path / "text.mp4"))


def test_bits_that_flipped_are_counted(tmp_path):
    path = tmp_path / "a.mp4"
    rng = np.random.default_rng(0)
    with VideoWriter(path, fps=25.0) as writer:
        for _ in range(40):
            writer.write(rng.integers(0, 255, (64, 64, 3), np.uint8))
    clean = Views(path)
    assert (sum(1 for _ in clean), clean.damage_s) == (40, [])
    data = bytearray(path.read_bytes())
    start = len(data) // 3
    data[start : start + 4000] = bytes(4000)
    path.write_bytes(data)
    views = Views(path)
    seen = sum(1 for _ in views)
    assert views.damage_s
    assert 20 < seen <= 40
