import math

import cv2
import numpy as np
import pytest
from tests.unit.curate.looks_views import gliding, scene, timeline_of

from worldfoundry.curate.detect.kind import CONTENT_TYPES, TYPES, UNWANTED_TYPES, KindDetector, score


def _bars(num_frames: int) -> list[np.ndarray]:
    colours = np.array(
        [[190, 190, 190], [190, 190, 0], [0, 190, 190], [0, 190, 0], [190, 0, 190], [190, 0, 0], [0, 0, 190]]
    )
    picture = colours[np.arange(640) * 7 // 640].astype(np.uint8)[None].repeat(360, axis=0)
    return [picture.copy() for _ in range(num_frames)]


def _page(num_frames: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    page = np.full((1200, 640, 3), 250, np.uint8)
    for y in range(20, 1190, 18):
        text = "".join(rng.choice(list("abcdefg hiklmno prstu"), int(rng.integers(10, 60))))
        cv2.putText(page, text, (12, y), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (30, 30, 30), 1, cv2.LINE_AA)
    return [page[20 * (i // 6) :][:360].copy() for i in range(num_frames)]


def _type(frames: list[np.ndarray], fps: float = 10.0) -> str:
    return score(timeline_of(KindDetector(), frames, fps), 0.0, 1e9).type


def test_a_test_pattern_a_page_and_a_frozen_picture_are_told_apart():
    assert _type(_bars(30)) == "pattern"
    assert _type(_page(30)) == "screen"
    assert _type([scene()] * 30) == "still"


def test_probabilities_add_up_and_the_type_is_the_most_probable():
    scores = score(timeline_of(KindDetector(), gliding(30, 10.0), 10.0), 0.0, 3.0)
    shares = [getattr(scores, f"type_{name}") for name in TYPES]
    assert sum(shares) == pytest.approx(1)
    assert scores.type == TYPES[int(np.argmax(shares))]
    assert scores.type_confidence == max(shares)


def test_an_image_is_never_called_still():
    scores = score(timeline_of(KindDetector(), [scene()], 1.0), 0.0, 1.0)
    assert scores.type_still < 1e-6
    assert scores.type in TYPES


def test_the_frame_rate_hardly_matters():
    shares = [
        score(timeline_of(KindDetector(), gliding(int(3 * fps), fps), fps), 0.0, 3.0).type_natural
        for fps in (10.0, 30.0, 60.0)
    ]
    assert max(shares) - min(shares) < 0.1


def test_a_span_without_samples_has_no_type():
    scores = score(timeline_of(KindDetector(), [scene()], 1.0), 4.0, 5.0)
    assert scores.type == ""
    assert math.isnan(scores.type_confidence)
    assert score(timeline_of(KindDetector(), [], 1.0), 0.0, 1.0).type == ""


@pytest.mark.parametrize("size", [(2, 2), (20, 500), (500, 20)])
def test_any_size_works(size: tuple[int, int]):
    assert _type([np.full((*size, 3), 90, np.uint8)] * 5) in TYPES


def test_the_taxonomies_have_no_name_twice():
    assert len(set(TYPES)) == len(TYPES)
    assert len(set(CONTENT_TYPES)) == len(CONTENT_TYPES) == 9
    assert set(UNWANTED_TYPES) < set(TYPES)


def test_the_same_frames_give_the_same_timeline():
    one, two = (timeline_of(KindDetector(), gliding(12, 6.0), 6.0) for _ in range(2))
    assert all(np.array_equal(one[k], two[k], equal_nan=True) for k in one)
