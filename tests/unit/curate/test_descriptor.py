"""Copies are recognised through what people do to them; other moments of the same place are not copies."""

import dataclasses

import cv2
import numpy as np
import pytest
from tests.unit.curate.planted import H, W, described, filmed, timeline_of

from worldfoundry.curate.config import DedupConfig
from worldfoundry.curate.dedup import LIKELY
from worldfoundry.curate.detect.alignment import compare
from worldfoundry.curate.detect.alignment_judge import Match
from worldfoundry.curate.detect.descriptor import score

FPS = 20.0
THRESHOLD = DedupConfig().min_similarity
ORIGINAL = filmed()


def captioned(pixels):
    out = pixels.copy()
    for picture in out:
        cv2.putText(picture, "SOME WORDS", (10, H - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 2)
    return out


COPIES = {
    "same": ORIGINAL,
    "mirrored": ORIGINAL[:, :, ::-1],
    "resized": np.stack([cv2.resize(p, (W // 2, H // 2), interpolation=cv2.INTER_AREA) for p in ORIGINAL]),
    "cropped": ORIGINAL[:, 8:-4, 6:-14],
    "cropped and mirrored": ORIGINAL[:, 3:-7, 10:-4][:, :, ::-1],
    "brighter": (60 + 0.6 * ORIGINAL.astype(np.float32)).astype(np.uint8),
    "captioned": captioned(ORIGINAL),
    "letterboxed": np.pad(ORIGINAL, ((0, 0), (14, 14), (0, 0), (0, 0))),
    "faster": filmed(speed=1.2),
    "slower": filmed(speed=0.82),
    "trimmed": filmed(start=0.6, end=3.5),
    "half the rate": ORIGINAL[::2],
}


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_recognised_from_both_sides(kind):
    fps = FPS / 2 if kind == "half the rate" else FPS
    original, copy = described(ORIGINAL, FPS), described(COPIES[kind], fps)
    cosines = [(original.vectors[0] @ copy.vectors.T).max(), (copy.vectors[0] @ original.vectors.T).max()]
    assert max(cosines) >= LIKELY
    assert compare(original, copy).similarity >= THRESHOLD
    assert compare(copy, original).similarity >= THRESHOLD


def test_the_alignment_that_is_found_is_the_one_that_was_made():
    match = compare(described(ORIGINAL, FPS), described(filmed(start=0.5, speed=1.25)[:, :, ::-1], FPS))
    assert match.is_mirrored
    assert match.speed == pytest.approx(1.25, abs=0.06)
    assert match.offset_s == pytest.approx(0.5, abs=0.15)


def test_the_window_of_a_crop_is_found_to_a_fraction_of_a_cell():
    match = compare(described(ORIGINAL, FPS), described(ORIGINAL[:, 9:-6, 7:-22], FPS))
    np.testing.assert_allclose(match.window, [9 / H, 1 - 6 / H, 7 / W, 1 - 22 / W], atol=0.012)
    assert match.similarity > 0.9


@pytest.mark.parametrize("bars", [(13, 15, 0, 0), (0, 0, 11, 20)])
def test_bars_leave_nothing_of_their_black_behind(bars):
    grey = np.full((20, H, W, 3), 150, np.uint8)
    barred = np.pad(grey, ((0, 0), bars[:2], bars[2:], (0, 0)))
    assert described(barred, FPS).frames.min() >= 148  # a cell that lies half in a bar has 75


def test_what_was_not_seen_and_a_speed_that_copies_do_not_have_make_a_match_less_sure():
    sure = Match(change=0.9, picture=0.9, coverage=1.0, speed=1.25)
    assert sure.similarity == 0.9
    assert dataclasses.replace(sure, coverage=0.75).similarity == pytest.approx(0.8)
    assert dataclasses.replace(sure, speed=1.32).similarity < 0.7
    assert dataclasses.replace(sure, speed=1 / 1.32).similarity < 0.7
    assert dataclasses.replace(sure, picture=0.3).similarity == 0.5


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_another_moment_before_the_same_background_is_no_copy(moment):
    match = compare(described(ORIGINAL, FPS), described(filmed(moment=moment), FPS))
    assert match.similarity < THRESHOLD - 0.1


def test_the_next_seconds_of_a_scene_are_no_copy():
    first, second = filmed(end=3.5), filmed(start=3.5, end=7.0)
    assert compare(described(first, FPS), described(second, FPS)).similarity < THRESHOLD - 0.1


def test_another_place_with_the_same_motion_is_no_copy():
    assert compare(described(ORIGINAL, FPS), described(filmed(place=5), FPS)).similarity < THRESHOLD


def test_vectors_are_of_unit_length_and_do_not_change_by_mirroring():
    one, two = described(ORIGINAL, FPS), described(ORIGINAL[:, :, ::-1], FPS)
    np.testing.assert_allclose(np.linalg.norm(one.vectors, axis=1), 1, atol=1e-5)
    assert (one.vectors[0] @ two.vectors[0]) > 0.999


def test_an_image_matches_a_changed_image_and_no_video():
    still, other = described(ORIGINAL[:1], 1.0), described(filmed(place=7)[:1], 1.0)
    assert compare(still, described(ORIGINAL[:1, 6:-6, 8:-8], 1.0)).similarity >= THRESHOLD
    assert compare(still, other).similarity < THRESHOLD
    assert compare(still, described(ORIGINAL, FPS)).similarity == -1


def test_nothing_outside_a_span_is_in_its_descriptor():
    calm, wild = np.zeros((40, H, W, 3), np.uint8), np.full((40, H, W, 3), 200, np.uint8)
    calm[:, 20:40, 30:60] = 120
    timeline = timeline_of(np.concatenate([calm, wild]), FPS)
    np.testing.assert_array_equal(score(timeline, 0.0, 2.0).frames[-1], score(timeline, 0.0, 1.0).frames[0])


def test_a_span_without_frames_and_an_empty_source_have_a_descriptor():
    for timeline, span in (
        (timeline_of(ORIGINAL, FPS), (90.0, 91.0)),
        (timeline_of(ORIGINAL[:0], FPS), (0.0, 1.0)),
    ):
        empty = score(timeline, *span)
        assert np.isfinite(empty.vectors).all()
        assert compare(empty, described(ORIGINAL, FPS)).similarity < 0


def test_the_timeline_grows_with_time_and_not_with_the_frame_rate():
    slow, fast = timeline_of(filmed(fps=15), 15), timeline_of(filmed(fps=60), 60)
    assert len(slow["seconds"]) == len(fast["seconds"]) == 16
    assert np.abs(slow["frames"].astype(int) - fast["frames"]).mean() < 3
