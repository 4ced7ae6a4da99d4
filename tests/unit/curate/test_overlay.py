import math

import cv2
import numpy as np
import pytest
from tests.unit.curate.looks_views import gliding, scene, timeline_of

from worldfoundry.curate.config import OverlayConfig
from worldfoundry.curate.detect.overlay import OverlayDetector, score

TEXT = "the words of a subtitle"


def _written(picture: np.ndarray, left: int = 130) -> np.ndarray:
    """White words with a dark edge in the lower part."""
    out = picture.copy()
    scale = out.shape[0] / 360
    at = (int(left * scale), int(325 * scale))
    for colour, thickness in (((10, 10, 10), 4), ((255, 255, 255), 2)):
        cv2.putText(
            out, TEXT, at, cv2.FONT_HERSHEY_DUPLEX, 0.9 * scale, colour, round(thickness * scale), cv2.LINE_AA
        )
    return out


def _overlay(frames: list[np.ndarray], fps: float = 8.0) -> float:
    return score(timeline_of(OverlayDetector(), frames, fps), 0.0, 1e9).overlay_text


def _attached(num_frames: int, fps: float, seed: int) -> list[np.ndarray]:
    """The same words painted on the scene, passing by with it."""
    px_per_s = 60
    wide = _written(scene(360, 640 + int(px_per_s * num_frames / fps) + 8, seed), left=250)
    return [wide[:, int(i / fps * px_per_s) :][:, :640].copy() for i in range(num_frames)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_words_fixed_on_the_screen_are_told_from_words_that_pass_with_the_scene(seed: int):
    bare = gliding(26, 8.0, seed=seed)
    fixed, attached = _overlay([_written(f) for f in bare]), _overlay(_attached(26, 8.0, seed))
    assert fixed > OverlayConfig().max > attached
    assert fixed > attached + 0.3
    assert _overlay(bare) < 0.2


def test_the_frame_rate_hardly_matters():
    values = [_overlay([_written(f) for f in gliding(int(3 * fps), fps)], fps) for fps in (8.0, 24.0, 48.0)]
    assert max(values) - min(values) < 0.1


def test_the_resolution_hardly_matters():
    frames = [_written(f) for f in gliding(26, 8.0, h=720, w=1280, px_per_s=120)]
    halves = [cv2.resize(f, (640, 360), interpolation=cv2.INTER_AREA) for f in frames]
    assert abs(_overlay(frames) - _overlay(halves)) < 0.1


def test_the_region_lies_around_the_words():
    timeline = timeline_of(OverlayDetector(), [_written(f) for f in gliding(26, 8.0)], 8.0)
    left, top, right, bottom = map(float, score(timeline, 0.0, 10.0).overlay_region.split(", "))
    assert left < 0.35
    assert right > 0.5
    assert 0.6 < top < 0.93 < bottom


def test_a_span_does_not_see_what_was_before_it():
    """Persistence is counted inside the span: a cut to the same still background must leave no trace."""
    first, second = [_written(f) for f in gliding(16, 8.0)], gliding(16, 8.0, seed=4)
    alone = timeline_of(OverlayDetector(), second, 8.0)
    joined = timeline_of(OverlayDetector(), first + second, 8.0)
    later = score(joined, 2.5, 4.0)
    assert later.overlay_text == pytest.approx(score(alone, 0.5, 2.0).overlay_text, abs=0.15)
    assert later.overlay_text < 0.3 < score(joined, 0.0, 2.0).overlay_text


def test_a_still_image_and_an_empty_span_are_no_error():
    timeline = timeline_of(OverlayDetector(), [scene()], 1.0)
    assert 0 <= score(timeline, 0.0, 1.0).overlay_text <= 1
    assert math.isnan(score(timeline, 3.0, 4.0).overlay_text)
    assert math.isnan(score(timeline_of(OverlayDetector(), [], 1.0), 0.0, 1.0).overlay_text)


@pytest.mark.parametrize("size", [(2, 2), (20, 500), (500, 20), (1080, 1920)])
def test_any_size_works(size: tuple[int, int]):
    frames = [np.full((*size, 3), 90 + 10 * i, np.uint8) for i in range(6)]
    assert _overlay(frames, 2.0) < 0.5


def test_the_same_frames_give_the_same_timeline():
    one, two = (timeline_of(OverlayDetector(), gliding(10, 4.0), 4.0) for _ in range(2))
    assert all((one[k] == two[k]).all() for k in one)
