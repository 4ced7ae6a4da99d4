"""Video in: every codec and container, exact spans, and one clear error for each kind of broken file."""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.data.video_io import iter_frames, probe, read_image, read_last, read_video, resample_rate
from worldfoundry.data.video_write import write_image, write_video
from worldfoundry.protocols.video import Frames

QUIET = {
    "libx265": {"x265-params": "log-level=none"},
    "libsvtav1": {"preset": "12"},
    "libvpx-vp9": {"cpu-used": "8"},
}
PAIRS = [
    (codec, suffix)
    for suffix, codecs in {
        "mp4": ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "mpeg4"),
        "mov": ("libx264", "libx265", "mpeg4"),
        "mkv": ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "mpeg4"),
        "webm": ("libsvtav1", "libvpx-vp9"),
        "avi": ("libx264", "mpeg4"),
    }.items()
    for codec in codecs
]


@pytest.fixture(autouse=True)
def _tame_encoders(monkeypatch):
    """SVT-AV1 talks, and gives its caller real-time priority, which would starve all that runs beside the tests."""
    monkeypatch.setenv("SVT_LOG", "0")
    policy = os.sched_getscheduler(0) if hasattr(os, "sched_getscheduler") else None
    yield
    if policy is not None and os.sched_getscheduler(0) != policy:
        os.sched_setscheduler(0, policy, os.sched_param(0))


def moving_square(num_frames: int, height: int = 64, width: int = 96) -> np.ndarray:
    """Frame k has grey level 8 + 6 k and a bright square at column 2 k: each is told from its neighbours."""
    pixels = np.zeros((num_frames, height, width, 3), np.uint8)
    for k in range(num_frames):
        pixels[k] = 8 + 6 * (k % 36)
        pixels[k, 8:24, 2 * (k % 36) : 2 * (k % 36) + 16] = (230, 120, 40)
    return pixels


def encode(
    path: Path, pixels, codec="libx264", *, rate=25, pix_fmt="yuv420p", ticks=None, sound=False, options=None
):
    with av.open(path, "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=Fraction(rate), options=dict(QUIET.get(codec, {})))
        stream.width, stream.height, stream.pix_fmt = pixels.shape[2], pixels.shape[1], pix_fmt
        stream.codec_context.thread_count = 1
        stream.codec_context.gop_size = 12
        base = Fraction(1, 1000) if ticks else 1 / Fraction(rate)
        stream.codec_context.time_base = base
        audio = (
            container.add_stream("aac" if path.suffix in (".mp4", ".mov") else "libopus", rate=48000)
            if sound
            else None
        )
        for k, picture in enumerate(pixels):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.time_base, frame.pts = base, ticks[k] if ticks else k
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if audio:
            silence = av.AudioFrame.from_ndarray(
                np.zeros((2, 960), np.float32), format="fltp", layout="stereo"
            )
            silence.sample_rate = 48000
            for k in range(30):
                silence.pts = 960 * k
                container.mux(audio.encode(silence))
            container.mux(audio.encode())
    return path


def error_of(path: Path, function=read_video) -> str:
    with pytest.raises(DataError) as caught:
        function(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("codec", "suffix"), PAIRS)
def test_every_codec_and_container_gives_all_frames_at_the_true_rate(tmp_path, codec, suffix):
    path = encode(tmp_path / f"a.{suffix}", moving_square(30), codec)
    frames = read_video(path)
    assert frames.pixels.shape == (30, 64, 96, 3)
    assert frames.fps == 25
    np.testing.assert_allclose(frames.pts_seconds, np.arange(30) / 25, atol=1.1e-3)
    levels = frames.pixels[:, 40:, :].mean((1, 2, 3))
    np.testing.assert_allclose(levels, 8 + 6 * np.arange(30), atol=4)
    info = probe(path)
    assert (info.width, info.height, info.num_frames, info.fps_measured) == (96, 64, 30, 25)
    assert info.duration_seconds == pytest.approx(1.2, abs=0.002)
    assert not any((info.has_audio, info.is_variable_rate, info.is_still))


@pytest.mark.parametrize(("codec", "suffix"), [p for p in PAIRS if p[0] != "libsvtav1" or p[1] == "mp4"])
def test_a_span_equals_a_slice_of_the_whole(tmp_path, codec, suffix):
    path = encode(tmp_path / f"a.{suffix}", moving_square(60), codec)
    whole = read_video(path)
    times = whole.pts_seconds
    for first, last in ((0, 5), (11, 13), (12, 30), (31, 32), (47, 60)):
        end = times[last] if last < 60 else np.inf
        part = read_video(path, start_seconds=times[first], end_seconds=end)
        np.testing.assert_array_equal(part.pixels, whole.pixels[first:last])
        np.testing.assert_array_equal(part.pts_seconds, times[first:last])
    half = read_video(path, start_seconds=times[20] - 0.02, max_frames=3)
    np.testing.assert_array_equal(half.pixels, whole.pixels[20:23])


@pytest.mark.parametrize(("codec", "suffix"), [p for p in PAIRS if p[0] != "libsvtav1" or p[1] == "mp4"])
def test_the_last_frames_are_those_of_the_whole(tmp_path, codec, suffix):
    path = encode(tmp_path / f"a.{suffix}", moving_square(60), codec)
    whole = read_video(path)
    for n in (1, 5, 60):
        last = read_last(path, n)
        np.testing.assert_array_equal(last.pixels, whole.pixels[-n:])
        np.testing.assert_array_equal(last.pts_seconds, whole.pts_seconds[-n:])
        assert last.fps == 25
    slower = read_last(path, 4, fps=10.0)
    np.testing.assert_allclose(slower.pts_seconds, whole.pts_seconds[-1] - np.array([0.3, 0.2, 0.1, 0]))
    for pixels, seconds in zip(slower.pixels, slower.pts_seconds, strict=True):
        near = np.abs(whole.pts_seconds - seconds) < 0.5 / 25 + 2e-3  # one frame, or two equally near
        assert any(np.array_equal(pixels, other) for other in whole.pixels[near])
    with pytest.raises(DataError, match="must have 61 frames or more, got 60"):
        read_last(path, 61)
    with pytest.raises(DataError, match="must have 26 frames at 10 fps or more, got 25"):
        read_last(path, 26, fps=10.0)


def test_what_lies_before_the_last_frames_is_not_decoded(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (40, 64, 96, 3), np.uint8)
    path = encode(tmp_path / "a.mp4", noise)
    whole = read_video(path)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + len(data) // 10
    data[start : start + 4000] = bytes(4000)
    path.write_bytes(data)
    error_of(path)
    np.testing.assert_array_equal(read_last(path, 3).pixels, whole.pixels[-3:])


def test_an_open_group_of_pictures_is_sought_exactly(tmp_path):
    path = tmp_path / "a.mp4"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            QUIET, "libx264", {"x264-params": "open-gop=1:bframes=3:keyint=12:b-adapt=0:scenecut=0"}
        )
        encode(path, moving_square(60))
    whole = read_video(path)
    for k in range(0, 60, 3):
        part = read_video(path, start_seconds=whole.pts_seconds[k], max_frames=2)
        np.testing.assert_array_equal(part.pixels, whole.pixels[k : k + 2])


def test_a_variable_rate_keeps_its_times_through_read_and_write(tmp_path):
    ticks = np.cumsum([0, *([33, 40, 100, 17] * 5)]).tolist()
    path = encode(tmp_path / "vfr.mkv", moving_square(len(ticks)), rate=30, ticks=ticks)
    frames = read_video(path)
    np.testing.assert_allclose(frames.pts_seconds, np.array(ticks) / 1000)
    assert frames.fps == pytest.approx(20 / (ticks[-1] / 1000))
    assert probe(path).is_variable_rate
    write_video(tmp_path / "out.mp4", frames)
    np.testing.assert_allclose(read_video(tmp_path / "out.mp4").pts_seconds, frames.pts_seconds, atol=2e-5)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_metadata_is_applied(tmp_path, degrees):
    pixels = np.zeros((4, 64, 96, 3), np.uint8)
    pixels[:, :20, :20] = 255  # top left
    path = encode(tmp_path / "a.mp4", pixels)
    clockwise = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees]
    a, b, c, d = (int(v * 65536).to_bytes(4, "big", signed=True) for v in clockwise)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 44
    data[matrix : matrix + 20] = a + b + bytes(4) + c + d
    path.write_bytes(data)
    upright = read_video(path).pixels[0]
    np.testing.assert_allclose(upright, np.rot90(pixels[0], -degrees // 90), atol=12)
    info = probe(path)
    assert (info.height, info.width) == upright.shape[:2]
    assert info.rotation_degrees == (360 - degrees) % 360
    assert read_video(path, height=32).pixels.shape[1] == 32


@pytest.mark.parametrize("codec", ["libx265", "libsvtav1"])
def test_ten_bits_become_eight(tmp_path, codec):
    path = encode(tmp_path / "a.mkv", moving_square(6), codec, pix_fmt="yuv420p10le")
    assert probe(path).pix_fmt == "yuv420p10le"
    levels = read_video(path).pixels[:, 40:].mean((1, 2, 3))
    np.testing.assert_allclose(levels, 8 + 6 * np.arange(6), atol=4)


@pytest.mark.parametrize(("codec", "pix_fmt"), [("libx264", "yuv444p"), ("libvpx-vp9", "yuv420p")])
def test_odd_sizes_are_read_as_they_are(tmp_path, codec, pix_fmt):
    path = encode(tmp_path / "a.mkv", moving_square(4, 63, 97), codec, pix_fmt=pix_fmt)
    pixels = read_video(path).pixels
    assert pixels.shape == (4, 63, 97, 3)
    np.testing.assert_allclose(pixels[2, -1, -1], 20, atol=6)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm"])
def test_sound_is_left_out(tmp_path, suffix):
    codec = "libvpx-vp9" if suffix == "webm" else "libx264"
    path = encode(tmp_path / f"a.{suffix}", moving_square(10), codec, sound=True)
    assert len(read_video(path).pixels) == 10
    assert probe(path).has_audio
    assert probe(path).num_frames == 10


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_still_image_is_a_video_of_one_frame(tmp_path, suffix):
    picture = moving_square(1)[0]
    path = tmp_path / f"a%03d{suffix}"  # never taken for a pattern
    write_image(path, picture)
    for frames in (read_image(path), read_video(path)):
        assert frames.pixels.shape == (1, 64, 96, 3)
        assert (frames.fps, frames.pts_seconds.tolist()) == (1, [0])
        np.testing.assert_allclose(
            frames.pixels[0].mean((0, 1)), picture.mean((0, 1)), atol=0 if suffix == ".png" else 2
        )
    info = probe(path)
    assert (info.is_still, info.num_frames, info.duration_seconds) == (True, 1, 1.0)
    encode(tmp_path / "a.mp4", moving_square(3))
    said = error_of(tmp_path / "a.mp4", read_image)
    assert "must be a still image, got a video; give it as one (--video on the command line)" in said


def test_resizing_happens_only_when_asked_for(tmp_path):
    path = encode(tmp_path / "a.mp4", moving_square(3))
    assert read_video(path, height=32).pixels.shape[1:3] == (32, 48)
    assert read_video(path, width=24).pixels.shape[1:3] == (16, 24)
    assert read_video(path, height=10, width=20).pixels.shape[1:3] == (10, 20)
    streamed = list(iter_frames(path, height=32))
    np.testing.assert_array_equal(np.stack([f.pixels for f in streamed]), read_video(path, height=32).pixels)


@pytest.mark.parametrize("source_fps", [24.0, 25.0, 29.97])
@pytest.mark.parametrize("fps", [5.0, 10.0, 24.0])
def test_resampling_takes_the_nearest_frame_in_time(source_fps, fps):
    frames = Frames.at_constant_rate(
        np.arange(40, dtype=np.uint8)[:, None, None, None].repeat(3, -1), source_fps
    )
    out = resample_rate(frames, fps)
    assert out.fps == fps
    assert len(out.pixels) == int(40 / source_fps * fps + 1e-6)
    distance = np.abs(frames.pts_seconds[out.pixels[:, 0, 0, 0]] - out.pts_seconds)
    np.testing.assert_allclose(
        distance, np.abs(frames.pts_seconds - out.pts_seconds[:, None]).min(1), atol=1e-8
    )
    assert len(np.unique(out.pixels[:, 0, 0, 0])) == len(out.pixels)


def test_no_frame_is_repeated_to_reach_a_higher_rate(tmp_path):
    frames = Frames.at_constant_rate(moving_square(30), 9.95)
    assert len(resample_rate(frames, 10.0).pixels) == 30  # within the rounding of a container
    with pytest.raises(
        DataError, match=r"a\.mp4 must run at 10\.1 fps or more, got 9\.95: frames would repeat"
    ):
        resample_rate(frames, 10.1, source="a.mp4")
    path = encode(tmp_path / "slow.mp4", moving_square(30), rate=5)
    with pytest.raises(DataError, match=r"slow\.mp4 must run at 10 fps or more, got 5: frames would repeat"):
        read_last(path, 2, fps=10.0)
    assert len(read_last(path, 1, fps=10.0).pixels) == 1
    with pytest.raises(ConfigError, match="fps must be above 0"):
        resample_rate(frames, 0.0)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm", "avi"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_file_says_how_many_frames_came(tmp_path, suffix, share):
    codec = "libvpx-vp9" if suffix == "webm" else "libx264"
    noise = np.random.default_rng(0).integers(0, 255, (40, 64, 96, 3), np.uint8)
    options = {"movflags": "+faststart"} if suffix == "mp4" else {}
    path = encode(tmp_path / f"a.{suffix}", noise, codec, options=options)
    whole = read_video(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    message = error_of(path)
    came, promised = (int(word) for word in message.split("got ")[1].split()[0:3:2])
    assert 0 < came < promised == 40
    if suffix in ("mp4", "mkv"):  # what is there is still good
        np.testing.assert_array_equal(read_video(path, max_frames=5).pixels, whole.pixels[:5])


@pytest.mark.parametrize("share", [0.02, 0.5])
def test_an_mp4_that_lost_its_index_is_one_error(tmp_path, share):
    path = encode(tmp_path / "a.mp4", moving_square(20))
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    assert "copy it again" in error_of(path)
    error_of(path, probe)


def test_damage_inside_is_one_error(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (30, 64, 96, 3), np.uint8)
    path = encode(tmp_path / "a.mp4", noise, options={"movflags": "+faststart"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    path.write_bytes(data)
    error_of(path)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.txt", "a.png", "a.avi"])
@pytest.mark.parametrize("content", [b"", b"just some text, again and again\n" * 50, bytes(3000)])
def test_what_is_no_video_is_one_error(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert "must be a " in error_of(path)
    error_of(path, probe)


def test_missing_files_folders_and_sound_alone_are_one_error(tmp_path):
    assert "no such file" in error_of(tmp_path / "absent.mp4")
    assert "folder" in error_of(tmp_path)
    with av.open(tmp_path / "sound.mp4", "w") as container:
        stream = container.add_stream("aac", rate=48000)
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        silence.sample_rate = 48000
        container.mux([*stream.encode(silence), *stream.encode()])
    assert "without pictures" in error_of(tmp_path / "sound.mp4")


def test_a_video_without_frames_is_one_error(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        container.start_encoding()
    error_of(path)
    error_of(path, probe)


def test_an_empty_span_names_it(tmp_path):
    path = encode(tmp_path / "a.mp4", moving_square(10))
    with pytest.raises(DataError, match=r"frames between 3 s and 4 s"):
        read_video(path, start_seconds=3.0, end_seconds=4.0)
    with pytest.raises(ConfigError, match="start_seconds"):
        read_video(path, start_seconds=3.0, end_seconds=2.0)
