"""Video out: rates, sizes and colours as they went in, the same bytes every time, whole or not at all."""

import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.data.video_io import read_video
from worldfoundry.data.video_write import VideoWriter, write_video
from worldfoundry.protocols.video import Frames


def moving_picture(num_frames: int, height: int = 64, width: int = 96) -> np.ndarray:
    """Frame k has grey level 8 + 6 k and a bright square at column 2 k."""
    pixels = np.zeros((num_frames, height, width, 3), np.uint8)
    for k in range(num_frames):
        pixels[k] = 8 + 6 * k
        pixels[k, 8:24, 2 * k : 2 * k + 16] = (230, 120, 40)
    return pixels


@pytest.mark.parametrize(
    "fps", [Fraction(30000, 1001), 24, 10, Fraction(12_500, 1000), 59.94005994005994, 0.5]
)
def test_written_clips_keep_rate_and_count_and_start_fast(tmp_path, fps):
    path = tmp_path / "a.mp4"
    pixels = moving_picture(12)
    write_video(path, Frames.at_constant_rate(pixels, float(fps)))
    back = read_video(path)
    assert back.fps == pytest.approx(float(fps), rel=1e-9)
    np.testing.assert_allclose(back.pts_seconds, np.arange(12) / float(fps), atol=1e-4)
    assert np.abs(back.pixels.astype(int) - pixels).mean() < 2
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    write_video(tmp_path / "b.mp4", Frames.at_constant_rate(pixels, float(fps)))
    assert (tmp_path / "b.mp4").read_bytes() == data
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


def test_bytes_do_not_depend_on_what_was_in_memory_before(tmp_path):
    """glibc fills memory that it hands out with a pattern; 144 is no multiple of the 128 pixels that x264 counts in."""
    np.save(tmp_path / "pixels.npy", moving_picture(12, 160, 144))
    code = (
        "import numpy as np\n"
        "from worldfoundry.data.video_write import VideoWriter\n"
        "with VideoWriter('{name}.mp4', fps=10.0) as writer:\n"
        "    for pixels in np.load('pixels.npy'):\n"
        "        writer.write(pixels)\n"
    )
    for pattern in ("0", "1"):
        filled = {**os.environ, "MALLOC_PERTURB_": pattern, "MALLOC_MMAP_THRESHOLD_": "4000000000"}
        command = [sys.executable, "-c", code.format(name=pattern)]
        subprocess.run(command, cwd=tmp_path, env=filled, check=True, timeout=60)
    assert (tmp_path / "0.mp4").read_bytes() == (tmp_path / "1.mp4").read_bytes()


def test_colours_survive_the_round_trip(tmp_path):
    colours = np.array([[200, 40, 60], [30, 160, 70], [20, 40, 220], [250, 250, 250], [3, 3, 3]], np.uint8)
    pixels = np.broadcast_to(colours[:, None, None], (5, 32, 32, 3))
    write_video(tmp_path / "a.mp4", Frames.at_constant_rate(pixels, 10.0), crf=5)
    np.testing.assert_allclose(read_video(tmp_path / "a.mp4").pixels[:, 16, 16], colours, atol=4)


def test_odd_sizes_are_refused_or_padded_when_told_to(tmp_path):
    frames = Frames.at_constant_rate(moving_picture(2, 63, 97), 10.0)
    with pytest.raises(ConfigError, match=r"even sizes, got 97x63.*pad_to_even=True"):
        write_video(tmp_path / "a.mp4", frames)
    assert not list(tmp_path.iterdir())
    write_video(tmp_path / "a.mp4", frames, pad_to_even=True)
    assert read_video(tmp_path / "a.mp4").pixels.shape == (2, 64, 98, 3)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    writer = VideoWriter(path, fps=10.0)
    with pytest.raises(KeyboardInterrupt), writer:
        writer.write(moving_picture(1)[0])
        raise KeyboardInterrupt
    with pytest.raises(DataError, match="at least one frame"), VideoWriter(path, fps=10.0):
        pass
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1
