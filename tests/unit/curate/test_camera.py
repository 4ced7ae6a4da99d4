"""The camera detector: signs, invariance, symmetry and what must not fool it, on motion known in closed form."""

import functools
import pickle
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from worldfoundry.curate.detect.camera import CameraDetector, CameraScores, find_tags, score
from worldfoundry.curate.detect.camera_fit import displacements, fit_camera, grid_of
from worldfoundry.curate.labelled.camera_clips import Look, SmallView, measure, render, through_codec
from worldfoundry.curate.labelled.camera_paths import KINDS, draw_path, seed_of
from worldfoundry.curate.labelled.camera_sources import SPLITS, made_footage

SECONDS = 1.6
Pose = Callable[[float], tuple[float, float, float, float]]


@functools.cache
def _scene() -> np.ndarray:
    return made_footage("train", 0).frames[0]


def _frames(pose: Pose, fps: float, height: int, seconds: float = SECONDS) -> list[np.ndarray]:
    """Content shifted right and down (diagonals), grown, and turned clockwise, about the centre of the picture."""
    scene, width = _scene(), round(height * 16 / 9)
    h, w = scene.shape[:2]
    diagonal = float(np.hypot(height, width))
    frames = []
    for k in range(round(seconds * fps)):
        right, down, grown, turn = pose(k / fps)
        scale = 1.7 * height / h * np.exp(grown)
        c, s = scale * np.cos(turn), scale * np.sin(turn)
        at = np.array([width / 2 + right * diagonal, height / 2 + down * diagonal])
        matrix = np.array([[c, -s, at[0] - c * w / 2 + s * h / 2], [s, c, at[1] - s * w / 2 - c * h / 2]])
        frames.append(cv2.warpAffine(scene, matrix, (width, height), borderMode=cv2.BORDER_REFLECT))
    return frames


def _views(frames: list[np.ndarray], fps: float) -> list[SmallView]:
    size = 256, round(256 * frames[0].shape[0] / frames[0].shape[1])
    smaller = (cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames)
    return [SmallView(k / fps, f) for k, f in enumerate(smaller)]


def _scores(frames: list[np.ndarray], fps: float = 24.0) -> CameraScores:
    return score(measure(iter(_views(frames, fps)), fps), 0.0, np.inf)


def _still(t: float) -> tuple[float, float, float, float]:
    return 0.0, 0.0, 0.0, 0.0


def _trembling(t: float) -> tuple[float, float, float, float]:
    return 0.008 * np.sin(2 * np.pi * 4.3 * t), 0.008 * np.sin(2 * np.pi * 5.1 * t + 1), 0.0, 0.0


MOTIONS: dict[str, Pose] = {
    "pan-left": lambda t: (0.08 * (t - 0.8), 0, 0, 0),
    "pan-right": lambda t: (-0.08 * (t - 0.8), 0, 0, 0),
    "tilt-up": lambda t: (0, 0.06 * (t - 0.8), 0, 0),
    "tilt-down": lambda t: (0, -0.06 * (t - 0.8), 0, 0),
    "zoom-in": lambda t: (0, 0, 0.15 * t, 0),
    "zoom-out": lambda t: (0, 0, 0.15 * (SECONDS - t), 0),
    "roll-cw": lambda t: (0, 0, 0, -0.15 * t),
    "roll-ccw": lambda t: (0, 0, 0, 0.15 * t),
    "shake": _trembling,
    "static": _still,
}


@pytest.mark.parametrize("tag", MOTIONS)
def test_each_motion_has_its_word(tag):
    scores = _scores(_frames(MOTIONS[tag], 24, 180))
    assert scores.tags == (tag,)
    assert scores.camera_motion == tag


@pytest.mark.parametrize("speed", [0.02, 0.2, 1.0])
def test_slow_and_fast_pans_are_measured_within_a_twentieth(speed):
    frames = _frames(lambda t: (speed * (t - 0.35), 0, 0, 0), 30, 180, seconds=0.7)
    scores = _scores(frames, 30.0)
    assert scores.tags == ("pan-left",)
    assert scores.motion == pytest.approx(speed, rel=0.05)


@pytest.mark.parametrize("tag", ["zoom-in", "roll-ccw"])
def test_zoom_and_roll_are_measured_within_a_fifth(tag):
    scores = _scores(_frames(MOTIONS[tag], 30, 180), 30.0)
    assert scores.motion == pytest.approx(0.15 * 0.27, rel=0.2)
    assert scores.camera_speed == pytest.approx(0.15 * 0.27, rel=0.2)


def test_speeds_are_those_that_were_drawn():
    pan = _scores(_frames(MOTIONS["pan-left"], 30, 240), 30.0)
    assert pan.motion == pytest.approx(0.08, rel=0.08)
    assert pan.camera_speed == pytest.approx(0.08, rel=0.08)
    assert pan.object_motion < 0.004
    assert _scores(_frames(MOTIONS["zoom-in"], 30, 240), 30.0).camera_speed == pytest.approx(
        0.15 * 0.27, rel=0.15
    )


@pytest.mark.parametrize("tag", ["pan-left", "zoom-in", "roll-cw", "shake"])
def test_numbers_depend_neither_on_rate_nor_on_size(tag):
    seen = [
        _scores(_frames(MOTIONS[tag], fps, rows), fps)
        for fps, rows in ((30.0, 240), (15.0, 240), (60.0, 240), (30.0, 480))
    ]
    for other in seen[1:]:
        assert other.tags == seen[0].tags
        assert other.motion == pytest.approx(seen[0].motion, rel=0.05)
        assert other.shake == pytest.approx(seen[0].shake, rel=0.1, abs=0.02)


def test_the_same_moments_are_measured_at_every_rate_that_has_them():
    slow, usual, fast = (measure(iter(_views(_frames(_still, f, 90), f)), f) for f in (15.0, 30.0, 60.0))
    for other in (slow, fast):
        for k in ("seconds", "end_seconds", "is_pair"):
            assert other[k] == pytest.approx(usual[k], abs=1e-9)
    pairs, steps = ({k: v[usual["is_pair"] == p] for k, v in usual.items()} for p in (True, False))
    assert pairs["end_seconds"] - pairs["seconds"] == pytest.approx(2 / 15)
    assert np.diff(pairs["seconds"]) == pytest.approx(4 / 15)
    assert np.array_equal(steps["seconds"][1:], steps["end_seconds"][:-1]), "steps miss no time"


def test_an_uneven_rate_changes_no_speed():
    """Frames of 30 a second of which a third is missing, at chance moments."""
    frames = _frames(MOTIONS["pan-right"], 30, 120)
    views = _views(frames, 30.0)
    kept = np.flatnonzero(np.random.default_rng(1).random(len(views)) < 2 / 3)
    whole = score(measure(iter(views), 30.0), 0.0, np.inf)
    gappy = score(measure((views[k] for k in kept), 30.0), 0.0, np.inf)
    assert gappy.tags == whole.tags == ("pan-right",)
    assert gappy.motion == pytest.approx(whole.motion, rel=0.05)


def test_a_mirrored_clip_swaps_left_and_right():
    frames = _frames(lambda t: (0.08 * (t - 0.8), 0.05 * (t - 0.8), 0, 0), 24, 180)
    straight, mirrored = _scores(frames), _scores([np.ascontiguousarray(f[:, ::-1]) for f in frames])
    assert set(straight.tags) == {"pan-left", "tilt-up"}
    assert set(mirrored.tags) == {"pan-right", "tilt-up"}
    assert mirrored.motion == pytest.approx(straight.motion, rel=0.05)


def test_a_clip_played_backwards_reverses_each_direction():
    frames = _frames(lambda t: (0.07 * (t - 0.8), 0, 0.16 * t, 0), 24, 180)
    assert set(_scores(frames).tags) == {"pan-left", "zoom-in"}
    assert set(_scores(frames[::-1]).tags) == {"pan-right", "zoom-out"}


def _crossing(fps: float) -> list[np.ndarray]:
    """A large thing that crosses a resting view at 96 pixels a second."""
    frames = _frames(_still, fps, 180)
    thing = np.ascontiguousarray(made_footage("validation", 0).frames[0][200:350, 200:350])
    for k, frame in enumerate(frames):
        left = round(5 + 96 * k / fps)
        shown = thing[:, : max(0, min(150, frame.shape[1] - left))]
        frame[20:170, left : left + shown.shape[1]] = shown
    return frames


def test_a_large_object_before_a_resting_camera_is_no_camera_motion():
    seen = [_scores(_crossing(fps), fps) for fps in (24.0, 30.0, 15.0)]
    for scores in seen:
        assert scores.tags == ("static",)
        assert scores.object_motion > 0.03 > 10 * scores.camera_speed
        assert scores.object_motion == pytest.approx(seen[0].object_motion, rel=0.1)


def test_a_camera_that_follows_an_object_moves():
    frames = _frames(MOTIONS["pan-left"], 24, 180)
    thing = made_footage("validation", 0).frames[0][:90, :100]
    for frame in frames:
        frame[50:140, 110:210] = thing
    assert _scores(frames).tags == ("pan-left",)


def test_grain_flicker_and_rain_are_no_camera_motion():
    footage, path = (
        made_footage("validation", 0),
        draw_path("validation", "weather", made_footage("validation", 0), seed_of("validation")),
    )
    for effect in ("grain", "flicker", "rain"):
        look = Look(height=180, fps=15.0, crf=23, effect=effect)
        views = through_codec(render(path, footage, footage, look, np.random.default_rng(0)), look)
        scores = score(measure(views, look.fps), 0.0, np.inf)
        assert scores.tags == ("static",), effect
        assert scores.frozen < 0.5


def test_a_frozen_picture_is_told_from_a_resting_camera():
    frozen = _scores(_frames(_still, 24, 180))
    assert (frozen.frozen, frozen.motion, frozen.shake) == (1.0, 0.0, 0.0)
    moving = _scores(_frames(MOTIONS["pan-left"], 24, 180))
    assert moving.frozen == 0.0


def test_a_tag_holds_while_the_camera_moves():
    frames = _frames(lambda t: (0.1 * (min(max(t, 1.5), 3.0) - 2.2), 0, 0, 0), 20, 180, seconds=4.5)
    timeline = measure(iter(_views(frames, 20.0)), 20.0)
    (tag,) = find_tags(timeline, 0.0, np.inf)
    assert tag.name == "pan-left"
    assert tag.start_s == pytest.approx(1.5, abs=0.6)
    assert tag.end_s == pytest.approx(3.0, abs=0.6)
    assert [t.name for t in find_tags(timeline, 0.0, 1.3)] == ["static"]


def test_the_same_frames_give_the_same_timeline_and_a_span_sees_only_itself():
    views = _views(_frames(MOTIONS["roll-cw"], 24, 180), 24)
    one, two = (measure(iter(views), 24.0) for _ in range(2))
    assert all(np.array_equal(one[k], two[k], equal_nan=True) for k in one)
    assert len({len(v) for v in one.values()}) == 1
    shifted = measure((SmallView(v.seconds + 40.0, v.small) for v in views), 24.0)
    assert score(shifted, 40.0, 41.0).motion == pytest.approx(score(one, 0.0, 1.0).motion, rel=1e-5)


@pytest.mark.parametrize("frames", [0, 1])
def test_nothing_to_compare_is_not_measurable(frames):
    views = _views(_frames(_still, 24, 180), 24)[:frames]
    scores = score(measure(iter(views), 24.0), 0.0, 1.0)
    assert np.isnan(
        [scores.motion, scores.camera_speed, scores.object_motion, scores.shake, scores.frozen]
    ).all()
    assert (scores.tags, scores.camera_motion) == ((), "")


def test_blank_portrait_and_tiny_pictures_are_measured():
    for height, width in ((144, 256), (455, 256), (24, 32)):
        views = [SmallView(k / 10, np.full((height, width, 3), 90, np.uint8)) for k in range(12)]
        scores = score(measure(iter(views), 10.0), 0.0, np.inf)
        assert (scores.motion, scores.tags) == (0.0, ("static",))


def test_the_fit_finds_a_similarity_among_foreign_motion():
    grid = grid_of(144, 256)
    shift, twist = 0.011 - 0.004j, 0.02 + 0.03j
    moves = (shift + twist * grid.places).astype(np.complex64)
    moves[np.real(grid.places) > 0.2] = 0.05j
    still = np.zeros((72, 128), np.uint8)
    fit = fit_camera(moves, np.ones(len(moves), np.float32), grid, still, still + 1)
    assert fit is not None
    assert fit.shift == pytest.approx(shift, abs=1e-4)
    assert fit.twist == pytest.approx(twist, abs=1e-3)
    flow = np.zeros((144, 256, 2), np.float32)
    flow[..., 1] = grid.diagonal_px
    assert displacements(flow, grid) == pytest.approx(1j)


def test_generators_of_the_three_splits_differ_and_repeat():
    for split in SPLITS:
        footage = made_footage(split, 0)
        for kind in KINDS:
            one, two = (draw_path(split, kind, footage, seed_of(split, 5)) for _ in range(2))
            assert one.tags == two.tags
            assert np.array_equal(one.matrix(0.7), two.matrix(0.7))
    pictures = [made_footage(s, 0).frames[0].mean() for s in SPLITS]
    assert len(set(pictures)) == 3


def test_the_detector_is_plain_data():
    assert pickle.loads(pickle.dumps(CameraDetector())) == CameraDetector()
    assert CameraDetector().name == "camera"
