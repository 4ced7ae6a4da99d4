"""Spans hold every frame once, are never too long, and end where something is missing."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldfoundry.curate.config import ShotsConfig
from worldfoundry.curate.records import Analysis
from worldfoundry.curate.spans import pieces_of
from worldfoundry.protocols.curation import SourceInfo, Span

WHOLE = [Span(start_s=-np.inf, end_s=np.inf)]


def analysis(seconds, damage=(), fps=25.0, is_still=False) -> Analysis:
    info = SourceInfo(
        source="a", source_id="b", width=4, height=4, fps=fps, duration_s=1.0, is_still=is_still
    )
    return Analysis(
        info=info,
        seconds=np.asarray(seconds, np.float64),
        damage_s=np.asarray(damage, np.float64),
        num_promised=len(seconds),
        is_cut_short=False,
        timelines={},
    )


@given(
    n=st.integers(1, 400),
    fps=st.sampled_from([1.0, 12.0, 24000 / 1001, 25.0, 60.0]),
    start=st.floats(0, 1e5),
    min_s=st.floats(0.1, 3.0),
    longer=st.floats(2.0, 10.0),
)
def test_one_shot_becomes_equal_parts_that_hold_every_frame_once(n, fps, start, min_s, longer):
    config = ShotsConfig(min_s=min_s, max_s=min_s * longer)
    pieces = pieces_of(analysis(start + np.arange(n) / fps, fps=fps), WHOLE, config)
    assert sum(p.num_frames for p in pieces) == n
    assert all(a.end_s == b.start_s for a, b in pairwise(pieces))
    assert pieces[-1].end_s == pytest.approx(start + n / fps, abs=1e-5)
    assert max(p.end_s - p.start_s for p in pieces) <= config.max_s + 1 / fps + 1e-5
    assert max(p.num_frames for p in pieces) - min(p.num_frames for p in pieces) <= 1
    if n / fps >= min_s + 0.01 and 1 / fps < 0.1:
        assert not any(p.is_short for p in pieces if p.end_s - p.start_s >= min_s)


def test_transitions_are_in_no_clip():
    shots = [Span(start_s=0.0, end_s=1.0), Span(start_s=1.4, end_s=3.0)]
    pieces = pieces_of(analysis(np.arange(75) / 25), shots, ShotsConfig(min_s=1.2))
    assert [(p.start_s, p.end_s, p.num_frames, p.is_short) for p in pieces] == [
        (0.0, 1.0, 25, True),
        (1.4, 3.0, 40, False),
    ]


def test_a_gap_and_a_damaged_frame_end_a_span():
    times = np.arange(100) / 25 + np.where(np.arange(100) >= 50, 3.0, 0.0)
    pieces = pieces_of(analysis(np.delete(times, 80), damage=[times[80]]), WHOLE, ShotsConfig(min_s=0.1))
    assert [p.num_frames for p in pieces] == [50, 30, 19]
    assert [(p.start_s, p.end_s) for p in pieces] == [
        pytest.approx(s, abs=1e-6) for s in ((0, 2), (5, 6.2), (6.24, 7))
    ]


def test_a_slow_source_has_no_gaps():
    assert len(pieces_of(analysis(np.arange(20) * 2.0, fps=0.5), WHOLE, ShotsConfig())) == 1


def test_times_that_vary_are_kept():
    times = np.cumsum([0.0, *([0.02, 0.08] * 30)])
    (piece,) = pieces_of(analysis(times, fps=20.0), WHOLE, ShotsConfig())
    assert (piece.is_variable, piece.fps, piece.num_frames) == (True, pytest.approx(20), 61)
    (even,) = pieces_of(analysis(np.arange(61) / 20, fps=20.0), WHOLE, ShotsConfig())
    assert not even.is_variable


def test_an_image_is_one_span():
    (piece,) = pieces_of(analysis([0.0], fps=1.0, is_still=True), WHOLE, ShotsConfig())
    assert (piece.start_s, piece.end_s, piece.num_frames, piece.is_short) == (0, 1, 1, False)
