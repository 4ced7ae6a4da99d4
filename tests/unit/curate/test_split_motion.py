"""Cuts and motion on videos whose truth is known."""

from itertools import pairwise

import numpy as np
import pytest

from worldfoundry.core.errors import ConfigError
from worldfoundry.curate.config import CurateConfig
from worldfoundry.curate.motion import FlowMeter, Motion
from worldfoundry.curate.split import Split, clip_id
from worldfoundry.protocols.curation import Reason, Record, Rejection


def texture(seed: int, height: int = 72, width: int = 400) -> np.ndarray:
    """Smooth coloured blobs, so that flow is defined everywhere."""
    coarse = np.random.default_rng(seed).integers(0, 255, (height // 8 + 2, width // 8 + 2, 3)).astype(float)
    rows, columns = np.linspace(0, len(coarse) - 2, height), np.linspace(0, coarse.shape[1] - 2, width)
    r, c = rows.astype(int)[:, None], columns.astype(int)[None]
    fr, fc = (rows % 1)[:, None, None], (columns % 1)[None, :, None]
    top = coarse[r, c] * (1 - fc) + coarse[r, c + 1] * fc
    bottom = coarse[r + 1, c] * (1 - fc) + coarse[r + 1, c + 1] * fc
    return (top * (1 - fr) + bottom * fr).astype(np.uint8)


def pan(seed: int, num_frames: int, px_per_frame: int) -> list[np.ndarray]:
    wide = texture(seed)
    return [wide[:, px_per_frame * k : px_per_frame * k + 128] for k in range(num_frames)]


def whole(fps: float = 25.0) -> Record:
    return Record(source="a.mp4", source_sha256="ab", end_seconds=9.0, fps=fps, width=128, height=72)


def judged(stage, frames, fps=25.0, times=None, record=None):
    measure = stage.begin(whole(fps))
    for k, pixels in enumerate(frames):
        measure.observe(pixels, times[k] if times is not None else k / fps)
    return list(stage.judge(record or whole(fps), measure))


@pytest.mark.parametrize("detector", ["adaptive", "content"])
def test_shots_begin_at_the_known_cuts(detector):
    frames = pan(1, 60, 1) + pan(2, 75, 2) + pan(3, 20, 1) + pan(4, 55, 0)
    outcomes = judged(Split(CurateConfig(detector=detector)), frames)
    records = [o.record if isinstance(o, Rejection) else o for o in outcomes]
    assert [r.num_frames for r in records] == [60, 75, 20, 55]
    assert [r.start_seconds for r in records] == [0, 2.4, 5.4, 6.2]
    assert [r.end_seconds for r in records] == [2.4, 5.4, 6.2, 8.4]
    assert [getattr(o, "reason", None) for o in outcomes] == [None, None, Reason.TOO_SHORT, None]
    assert len({r.clip_id for r in records}) == 4


def test_a_video_without_cuts_is_one_shot():
    for frames in (pan(1, 60, 2), [np.zeros((72, 128, 3), np.uint8)] * 60):
        (record,) = judged(Split(CurateConfig()), frames)
        assert (record.start_seconds, record.end_seconds, record.num_frames) == (0, 2.4, 60)


def test_a_single_frame_is_too_short():
    (rejection,) = judged(Split(CurateConfig()), pan(1, 1, 0))
    assert rejection.reason == Reason.TOO_SHORT


def test_long_shots_become_equal_parts_that_lose_no_frame():
    config = CurateConfig(min_clip_seconds=0.5, max_clip_seconds=1.0)
    records = judged(Split(config), pan(1, 64, 1))
    assert len(records) == 3
    assert [r.num_frames for r in records] == [22, 21, 21]
    assert all(a.end_seconds == b.start_seconds for a, b in pairwise(records))


def test_times_that_vary_are_kept():
    times = np.cumsum([0.0, *([0.02, 0.08] * 30)])
    (record,) = judged(Split(CurateConfig()), pan(1, 61, 1), fps=20.0, times=times)
    assert record.end_seconds == pytest.approx(3.05)
    assert record.fps == pytest.approx(20)
    start = judged(Split(CurateConfig()), pan(1, 61, 1), fps=20.0, times=times + 7.0)[0].start_seconds
    assert start == 7.0


def test_the_id_of_a_clip_is_its_content_and_settings():
    config = CurateConfig()
    same = clip_id("ab", 0.0, 2.0, config)
    assert same == clip_id("ab", 0.0, 2.0, CurateConfig())
    others = [
        clip_id("ac", 0.0, 2.0, config),
        clip_id("ab", 0.1, 2.0, config),
        clip_id("ab", 0.0, 2.0, CurateConfig(crf=20)),
    ]
    assert len({same, *others}) == 4


@pytest.mark.parametrize(("fps", "px"), [(25.0, 1), (25.0, 2), (12.5, 2), (50.0, 1)])
def test_a_pan_has_its_true_speed_at_any_rate_and_is_the_camera(fps, px):
    (record,) = judged(Motion(CurateConfig()), pan(5, 60, px), fps=fps)
    assert record.scores["motion"] == pytest.approx(px * fps / 128, rel=0.05)
    assert record.scores["camera_motion"] == pytest.approx(px * fps / 128, rel=0.05)
    assert record.scores["object_motion"] < 0.1 * record.scores["motion"]


def test_a_moving_thing_before_a_still_camera_is_an_object():
    ground, thing = texture(6, 144, 512)[:, :256], texture(7)[:60, :60]
    frames = []
    for k in range(50):
        picture = ground.copy()
        picture[40:100, 20 + 2 * k : 80 + 2 * k] = thing
        frames.append(picture)
    (record,) = judged(Motion(CurateConfig()), frames)
    assert record.scores["camera_motion"] < 0.1 * record.scores["object_motion"]


def test_static_shots_are_rejected_with_their_score():
    noise = np.random.default_rng(0).integers(-2, 3, (60, 72, 128, 3))
    still = [(texture(8)[:, :128] + n).clip(0, 255).astype(np.uint8) for n in noise]
    (rejection,) = judged(Motion(CurateConfig()), still)
    assert rejection.reason == Reason.STATIC
    assert rejection.record.scores["motion"] < 0.004
    assert "min_motion 0.004" in rejection.detail
    (record,) = judged(Motion(CurateConfig(min_motion=0.0)), still)
    assert record.scores["motion"] == rejection.record.scores["motion"]


def test_motion_never_looks_across_a_cut():
    meter = FlowMeter()
    for k, pixels in enumerate(pan(1, 30, 0) + pan(2, 30, 0)):
        meter.observe(pixels, k / 25)
    first = Record(source="a", source_sha256="b", start_seconds=0.0, end_seconds=1.2)
    (rejection,) = Motion(CurateConfig()).judge(first, meter)
    assert rejection.record.scores["motion"] < 1e-3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_clip_seconds": 0.0}, "min_clip_seconds must be above 0"),
        ({"min_motion": -1.0}, "min_motion must be"),
        ({"max_clip_seconds": 3.0}, "at least twice min_clip_seconds"),
        ({"max_height": 721}, "even number"),
        ({"analysis_width": 10}, "64 to 1024"),
        ({"crf": 60}, "crf must be 0 to 51"),
    ],
)
def test_wrong_settings_name_the_field(settings, message):
    with pytest.raises(ConfigError, match=message):
        CurateConfig(**settings)
