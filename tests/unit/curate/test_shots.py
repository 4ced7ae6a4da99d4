"""Shots: cuts on exact frames at any rate, none in single shots, the same in pieces as whole, pure rules on timelines."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from worldfoundry.curate.detect import shots
from worldfoundry.curate.detect.shot_features import NAMES, FrameFeatures, _cells
from worldfoundry.curate.detect.shot_network import NUM_INPUTS, NetworkStream, load_network
from worldfoundry.curate.labelled import (
    shots_judge,
    transitions_mixes,
    transitions_test,
    transitions_train,
    transitions_val,
)
from worldfoundry.curate.labelled.footage import KINDS, drawn_footage, group_of, split_of
from worldfoundry.curate.labelled.recording import Recording, Truth, even_times, uneven_times
from worldfoundry.curate.labelled.shots_learn import Sight, example
from worldfoundry.curate.labelled.transitions_views import views
from worldfoundry.protocols.curation import Detector, Meter, SourceInfo, View

SOURCE = SourceInfo(source="a.mp4", source_id="0" * 40, width=192, height=108, fps=30.0, duration_s=8.0)
CUTS_S = (2.0, 3.5, 5.0)


def analyse(frames, seconds):
    meter = shots.ShotDetector().begin(SOURCE)
    for pixels, time in zip(frames, seconds, strict=True):
        meter.observe(Sight(float(time), pixels))
    return meter.finish()


@pytest.fixture(scope="module")
def pieces():
    # Two of the kinds that training never saw.
    return [f.frames for f in drawn_footage("test", 5, count=4, seconds=3.0, fps=60.0)]


def film(pieces, times):
    """Four shots of a scene clock, sampled at any times; true whatever the rate."""
    edges = (0.0, *CUTS_S, 99.0)
    found = []
    for t in times:
        shot = next(k for k, (a, b) in enumerate(pairwise(edges)) if a <= t + 1e-9 < b)
        found.append(pieces[shot][int((t - edges[shot]) * 60 + 1e-6) % len(pieces[shot])])
    return np.stack(found)


def cut_times(timeline):
    return [t.start_s for t in shots.transitions(timeline)]


@pytest.mark.parametrize("fps", [12.5, 15.0, 25.0, 30.0, 60.0])
def test_a_cut_is_found_on_its_exact_frame_at_any_rate(pieces, fps):
    times = even_times(round(6.5 * fps), fps)
    timeline = analyse(film(pieces, times), times)
    expected = [times[np.searchsorted(times, c - 1e-9)] for c in CUTS_S]
    cuts = [t.start_s for t in shots.transitions(timeline) if t.kind == "cut"]
    assert cuts == pytest.approx(expected, abs=1e-9)


def test_variable_rate_gives_exact_presentation_times(pieces):
    times = uneven_times(np.random.default_rng(3), 170, 30.0)
    timeline = analyse(film(pieces, times), times)
    expected = [times[np.searchsorted(times, c)] for c in CUTS_S if c < times[-1]]
    assert set(expected) <= set(cut_times(timeline))
    assert set(cut_times(timeline)) <= set(times)
    assert all(s.start_s in times for s in shots.spans(timeline, float(times[-1]) + 0.03))


def test_a_single_shot_has_no_transition():
    for piece in drawn_footage("test", 11, count=4, seconds=4.0):
        timeline = analyse(piece.frames, even_times(len(piece.frames), 25.0))
        assert shots.transitions(timeline) == []
        # A doubt may end a span, but most of the shot stays.
        assert sum(s.end_s - s.start_s for s in shots.spans(timeline, 4.0)) > 2.4


def test_the_same_footage_gives_the_same_bytes(pieces):
    times = even_times(120, 30.0)
    one, two = (analyse(film(pieces, times), times) for _ in range(2))
    assert all(one[k].tobytes() == two[k].tobytes() for k in one)


def test_windows_of_the_network_do_not_show():
    network, rng = load_network(shots.WEIGHTS), np.random.default_rng(0)
    rows = np.abs(rng.normal(0.1, 0.1, (1500, len(NAMES)))).astype(np.float32)
    stream, found = NetworkStream(network), []
    for begin in range(0, len(rows), 97):
        found.append(stream.push(rows[begin : begin + 97]))
        assert stream._held < 1000  # memory does not grow with the length
    found.append(stream.finish())
    np.testing.assert_allclose(np.concatenate(found), network(rows), atol=2e-4)


def test_features_of_a_frame_do_not_depend_on_what_comes_later(pieces):
    times = even_times(100, 30.0)
    frames = [np.ascontiguousarray(f[::3, ::3]) for f in film(pieces, times)]
    whole, part = FrameFeatures(), FrameFeatures()
    rows = [r for f, t in zip(frames, times, strict=True) if (r := whole.add(f, t)) is not None]
    fewer = [r for f, t in zip(frames[:60], times[:60], strict=True) if (r := part.add(f, t)) is not None]
    fewer.append(part.flush())
    np.testing.assert_allclose(np.concatenate(rows)[:60], np.concatenate(fewer), atol=1e-5)


def synthetic(count=100, *, cut=(), gradual=(), blank=(), fps=25.0):
    """A timeline with given events."""
    timeline: dict[str, np.ndarray] = {"seconds": np.arange(count) / fps}
    for name in ("p_cut", "p_gradual", "p_fade", "p_wipe", "luma_mean", "flat", "change"):
        timeline[name] = np.full(count, 0.02, np.float16)
    timeline["luma_sigma"] = np.full(count, 0.2, np.float16)
    for k, p in cut:
        timeline["p_cut"][k] = p
    for first, stop, p in gradual:
        timeline["p_gradual"][first:stop] = p
    for first, stop in blank:
        timeline["luma_sigma"][first:stop] = 0
    return timeline


def test_a_fade_through_black_is_one_transition_though_it_is_in_pieces():
    timeline = synthetic(cut=[(30, 0.9)], gradual=[(45, 60, 0.9)], blank=[(30, 46)])
    (only,) = shots.transitions(timeline)
    assert (only.kind, only.start_s, only.end_s) == ("fade", 30 / 25, 60 / 25)


def test_a_gradual_transition_is_held_together_by_hysteresis():
    timeline = synthetic(gradual=[(40, 44, 0.9), (44, 48, 0.3), (48, 52, 0.9)])
    (only,) = shots.transitions(timeline)
    assert (only.start_s, only.end_s) == (40 / 25, 52 / 25)
    assert len(shots.transitions(timeline, 0.95)) == 0


def test_spans_leave_transitions_and_black_out_and_cover_the_rest():
    timeline = synthetic(cut=[(20, 0.9)], gradual=[(40, 50, 0.9)], blank=[(80, 100)])
    spans = [(s.start_s, s.end_s) for s in shots.spans(timeline, 4.0)]
    assert spans == [(0.0, 0.8), (0.8, 1.6), (2.0, 3.2)]


def test_a_higher_threshold_never_finds_more():
    rng = np.random.default_rng(1)
    timeline = synthetic(400)
    timeline["p_cut"] = (rng.random(400) ** 6).astype(np.float16)
    counts = [len(shots.transitions(timeline, t)) for t in (0.3, 0.5, 0.7, 0.9)]
    assert counts == sorted(counts, reverse=True)


def test_scores_tell_black_frozen_and_title_cards():
    black = np.zeros((60, 90, 160, 3), np.uint8)
    card = black.copy()
    card[:, 40:44, 50:110] = 255
    scores = [shots.score(analyse(f, even_times(60, 25.0)), 0.0, 2.4) for f in (black, card)]
    assert (scores[0].blank, scores[0].frozen) == (1.0, 1.0)
    assert scores[1].blank == 0.0
    assert scores[1].card == 1.0


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_very_short_footage(count):
    frames = np.zeros((count, 36, 64, 3), np.uint8)
    timeline = analyse(frames, even_times(count, 25.0))
    assert all(len(v) == count for v in timeline.values())
    assert shots.transitions(timeline) == []


def test_the_interfaces_are_those_of_the_protocol():
    detector = shots.ShotDetector()
    assert isinstance(detector, Detector)
    assert isinstance(detector.begin(SOURCE), Meter)
    assert isinstance(Sight(0.0, np.zeros((4, 4, 3), np.uint8)), View)
    assert shots.WEIGHTS.stat().st_size < 300_000
    assert load_network(shots.WEIGHTS).weights["enter"].shape[1] == NUM_INPUTS


@pytest.mark.parametrize("module", [transitions_train, transitions_val, transitions_test])
def test_generators_are_seeded_and_their_truth_is_in_order(module, monkeypatch):
    monkeypatch.setattr(module, "through_codec", lambda frames, seconds, _codec, _crf: (frames, seconds))
    footage = drawn_footage("train", 1, count=4, seconds=2.0)
    one, two = (module.make(5, footage) for _ in range(2))
    assert np.array_equal(one.frames, two.frames)
    assert one.truths == two.truths
    assert all(a.stop <= b.first for a, b in pairwise(one.truths))
    assert len(example(one).rows) == len(example(one).labels) <= len(one.frames)


def test_small_compositions_are_seeded_thumbnails_with_every_way_in_them():
    footage = [transitions_train.shrunk(f) for f in drawn_footage("train", 1, count=4, seconds=2.0)]
    one, two = (transitions_train.make_small(5, footage) for _ in range(2))
    assert one.frames.shape[1:] == (36, 64, 3)
    assert np.array_equal(one.frames, two.frames)
    ways = {x.kind for k in range(12) for x in transitions_train.make_small(k, footage).truths}
    assert ways == {"cut", "dissolve", "fade", "wipe"}


@pytest.mark.parametrize("form", sorted(set(transitions_mixes.FORMS)))
def test_a_wipe_leads_from_the_old_picture_to_the_new_one(form, monkeypatch):
    monkeypatch.setattr(transitions_mixes, "FORMS", (form,))
    old, new = np.full((9, 36, 64, 3), 40, np.uint8), np.full((9, 36, 64, 3), 200, np.uint8)
    for seed in range(6):
        found = transitions_mixes.wiped(np.random.default_rng(seed), old, new, np.linspace(0, 1, 9))
        share = (np.abs(found - 200.0) < 2).mean((1, 2, 3))
        assert share[0] < 0.1
        assert share[-1] > 0.9
        assert np.all(np.diff(share) > -0.1)


def test_dissolves_mix_in_any_light():
    old, new = np.full((3, 4, 4, 3), 20, np.uint8), np.full((3, 4, 4, 3), 220, np.uint8)
    ramp = np.array([0.0, 0.5, 1.0])
    found = [transitions_mixes.dissolved(np.random.default_rng(k), old, new, ramp) for k in range(12)]
    assert all((f[0] == 20).all() and (f[-1] == 220).all() for f in found)
    middles = {int(f[1, 0, 0, 0]) for f in found}
    assert min(middles) == 120
    assert max(middles) > 140


def test_cells_tell_where_a_picture_changed_and_that_it_only_moved():
    rng = np.random.default_rng(0)
    then = rng.integers(0, 256, (1, 18, 32), dtype=np.uint8)
    moved = _cells(np.roll(then, (1, 2), (1, 2)), then)[0]
    assert moved.reshape(3, 4)[1:, 1:].max() == 0  # inside; what came in at the border is new
    changed = then.copy()
    changed[:, 6:12, 8:16] = 255 - changed[:, 6:12, 8:16]
    assert np.flatnonzero(_cells(changed, then)[0] > 0.05).tolist() == [5]


def test_the_fades_that_open_and_close_a_film_are_no_part_of_a_span():
    timeline = synthetic(blank=[(0, 5), (95, 100)])
    timeline["luma_sigma"][5:20] = np.linspace(0.02, 0.19, 15)
    timeline["luma_sigma"][80:95] = np.linspace(0.19, 0.02, 15)
    (only,) = shots.spans(timeline, 4.0)
    assert 0.7 < only.start_s <= 0.8
    assert 3.2 <= only.end_s < 3.3


def test_in_doubt_a_span_ends_though_no_transition_is_counted():
    timeline = synthetic(cut=[(50, 0.3)])
    assert shots.transitions(timeline) == []
    assert [s.end_s for s in shots.spans(timeline, 4.0)] == [2.0, 4.0]
    assert len(shots.spans(synthetic(cut=[(50, 0.05)]), 4.0)) == 1


def test_further_views_keep_the_truth():
    levels = np.concatenate([np.full(30, 40), np.full(30, 200), np.linspace(190, 110, 9), np.full(31, 100)])
    frames = np.broadcast_to(levels.astype(np.uint8)[:, None, None, None], (100, 8, 8, 3))
    truths = (Truth(30, 30, "cut"), Truth(60, 69, "dissolve"))
    recording = Recording("a", "a", frames, even_times(100, 25.0), truths)
    rates = set()
    for seen in views(np.random.default_rng(1), recording, 12):
        level = seen.frames[:, 0, 0].astype(int)
        changes = (level[1:] != level[:-1]).any(1)
        expected = np.zeros(len(level) - 1, bool)
        for truth in seen.truths:
            expected[truth.first - 1 : truth.stop] = True
        assert np.array_equal(changes, expected)
        assert [x.first for x in seen.truths] == sorted(x.first for x in seen.truths)
        assert np.all(np.diff(seen.seconds) > 0)
        rates.add(len(level))
    assert len(rates) == 3


def test_a_gradual_transition_needs_some_evidence():
    assert shots.transitions(synthetic(gradual=[(40, 41, 0.9), (42, 43, 0.9)])) == []
    assert [t.kind for t in shots.transitions(synthetic(cut=[(30, 0.95), (31, 0.95)]))] == ["cut", "cut"]
    assert len(shots.transitions(synthetic(cut=[(30, 0.7), (31, 0.7)]))) == 1


def test_splits_share_no_source():
    names = [
        "sam2-demo-data-gallery-02_cups.mp4",
        "x-droid_new_setup-videos-val-0001-0.mp4",
        "big_buck_bunny.webm",
    ]
    assert [split_of(n) for n in names] == ["test", "test", "none"]
    assert group_of("c-droid_subset-videos-train-3-1.mp4") == group_of("c-droid_subset-videos-train-3-2.mp4")
    assert set(KINDS["test"]) - set(KINDS["train"])


def test_duplicates_are_false_and_a_cut_may_be_two_frames_off():
    frames = np.zeros((100, 4, 4, 3), np.uint8)
    truths = (Truth(0, 10, "fade", ignored=True), Truth(30, 30, "cut"), Truth(50, 70, "dissolve"))
    recording = Recording("a", "a", frames, even_times(100, 25.0), truths)
    tally = shots_judge.judge(recording, [(5, 8), (32, 32), (52, 55), (60, 66)], [])
    assert (tally.found, tally.missed, tally.false) == (2, 0, 1)
    assert shots_judge.judge(recording, [(33, 33)], []).false == 1


def test_the_card_states_what_was_measured():
    report = json.loads((Path(__file__).parents[3] / "docs/models/shots.json").read_text())
    card = (Path(__file__).parents[3] / "docs/models/shots.md").read_text()
    assert f"{report['test']['synthetic']['ours']['f1']:.3f}" in card
    assert f"{report['test']['films']['ours']['f1']:.3f}" in card
