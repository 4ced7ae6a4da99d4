"""Shots: where one ends and the next begins, be it by a hard cut, a dissolve, a fade or a wipe.

While frames pass, a small network turns cheap measures into probabilities; a timeline keeps those, so that another
threshold costs nothing. ``transitions`` and ``spans`` are pure functions of a timeline. Times are presentation times, spans
are half-open, and what lies inside a transition belongs to no span.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from worldfoundry.curate.detect.rows import Rows, forget
from worldfoundry.curate.detect.shot_features import MIN_STEP_S, NAMES, THUMB, FrameFeatures
from worldfoundry.curate.detect.shot_network import OUTPUTS, NetworkStream, TemporalNetwork, load_network
from worldfoundry.protocols.curation import SourceInfo, Span, Timeline, View

Kind = Literal["cut", "dissolve", "fade", "wipe", "gradual"]

WEIGHTS = Path(__file__).parent / "weights" / "shots-tcn.safetensors"
"""The shipped weights."""
THRESHOLD = 0.5
"""Probability from which on a transition counts; the weights are calibrated on validation footage to make it this."""
BLANK_SIGMA = 4 / 255
"""Contrast below which a picture is empty: black, white or of one colour."""
DOUBT = 0.1
"""Share of the threshold from which on a transition ends a span, though it is not counted as one."""
_RAMP_S, _RAMPED = 3.0, 0.9
_SUSTAIN = 0.4  # of the threshold: how low a gradual transition may sink and still be the same one
_EVIDENCE = 2.0  # sum of probabilities, in frames: less is a flicker
_SURE = 0.9
_GAP_S = 0.1
_BLANK_HOLD_S = 2.5
_BLANK_RUN_S = 0.2
_STILL = 0.004
_FOUND, _LOOKS = ("p_cut", "p_gradual", "p_fade", "p_wipe"), ("luma_mean", "luma_sigma", "flat")
_PIECE = 1 << 13  # frames that are put together at a time
_MEAN, _SIGMA, _FLAT = (NAMES.index(n) for n in ("mean", "sigma", "flat"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """The way from one shot to the next."""

    start_s: float
    """Time of the first frame that is not purely of the old shot; of a hard cut, the first frame of the new one."""
    end_s: float
    """Time of the first frame that is purely of the new shot; equals ``start_s`` for a hard cut."""
    kind: Kind
    """``gradual`` where no one kind of gradual transition stands out."""
    probability: float
    """Greatest probability on the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotScores:
    """What the timeline says about the inside of a span."""

    transition: float
    """Greatest probability of any transition after its first frame."""
    blank: float
    """Share of frames that are empty: black, white or of one colour."""
    frozen: float
    """Share of frames that equal the one before."""
    card: float
    """Share of frames that are mostly one flat tone, as title cards and slides are."""


@dataclass(frozen=True, slots=True)
class ShotDetector:
    """Finds transitions with a small network of our own."""

    name: str = "shots"
    """Key of its timeline."""
    version: int = 2
    """Raised whenever the numbers change."""

    def begin(self, source: SourceInfo) -> "ShotMeter":
        """Start on one source."""
        del source
        return ShotMeter(NetworkStream(_shipped()))


@cache
def _shipped() -> TemporalNetwork:
    return load_network(WEIGHTS)


@dataclass
class ShotMeter:
    """Collects 30 bytes a frame, on disk."""

    _stream: NetworkStream
    looked: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """Positions of the frames that were looked at in full, once finished."""
    _features: FrameFeatures = field(default_factory=FrameFeatures)
    _seconds: Rows = field(default_factory=lambda: Rows(np.float64))
    _change: Rows = field(default_factory=lambda: Rows(np.float32))
    _looked: Rows = field(default_factory=lambda: Rows(np.int64))
    _looked_s: float = -np.inf
    _before: np.ndarray | None = None
    _found: Rows = field(default_factory=lambda: Rows(np.float16, (len(OUTPUTS),)))
    _looks: Rows = field(default_factory=lambda: Rows(np.float16, (len(_LOOKS),)))

    def observe(self, view: View) -> None:
        """See the next frame."""
        thumb = cv2.resize(view.small, THUMB, interpolation=cv2.INTER_AREA)
        before = thumb if self._before is None else self._before
        self._change.append(cv2.norm(thumb, before, cv2.NORM_L1) / (thumb.size * 255))
        self._before = thumb
        number = len(self._seconds)
        self._seconds.append(view.seconds)
        # A microsecond of tolerance: the rounding of time stamps must not decide which frames are looked at.
        if view.seconds - self._looked_s > MIN_STEP_S - 1e-6:
            self._looked.append(number)
            self._looked_s = view.seconds
            self._take(self._features.add(thumb, view.seconds))

    def finish(self) -> Timeline:
        """Probabilities and looks of every frame."""
        self._take(self._features.flush())
        self._found.extend(self._stream.finish().astype(np.float16))
        seconds, change, self.looked = (r.array() for r in (self._seconds, self._change, self._looked))
        found, looks = self._found.array(), self._looks.array()
        columns = {name: Rows(np.float16) for name in (*_FOUND, *_LOOKS, "change")}
        for first in range(0, len(self.looked), _PIECE):
            piece = slice(first, first + _PIECE)
            is_last = first + _PIECE >= len(self.looked)
            begin = int(self.looked[first - 1]) + 1 if first else 0
            stop = len(seconds) if is_last else int(self.looked[piece][-1]) + 1
            looked, moved = self.looked[piece] - begin, change[begin:stop]
            # Frames that were not looked at share what is known of the next one that was (the last ones: of the one before).
            which = np.minimum(np.searchsorted(looked, np.arange(stop - begin)), len(looked) - 1)
            p_cut = np.zeros(stop - begin, np.float16)
            p_cut[_sharpest(looked, moved)] = found[piece, 0]
            known = (p_cut, *found[piece, 1:][which].T, *looks[piece][which].T, moved.astype(np.float16))
            for column, values in zip(columns.values(), known, strict=True):
                column.extend(values)
            for array in (change, self.looked, found, looks):
                forget(array)
        return {"seconds": seconds, **{name: column.array() for name, column in columns.items()}}

    def _take(self, rows: np.ndarray | None) -> None:
        if rows is not None:
            self._looks.extend(rows[:, [_MEAN, _SIGMA, _FLAT]].astype(np.float16))
            self._found.extend(self._stream.push(rows).astype(np.float16))


def _sharpest(looked: np.ndarray, change: np.ndarray) -> np.ndarray:
    """For each frame looked at, the frame since the one before it that differs most from its own predecessor."""
    best = looked.copy()
    for k in np.flatnonzero(np.diff(looked, prepend=-1) > 1):
        first = looked[k - 1] + 1 if k else 0
        best[k] = first + int(np.argmax(change[first : looked[k] + 1]))
    return best


def transitions(timeline: Timeline, threshold: float = THRESHOLD) -> list[Transition]:
    """The transitions in order; they do not overlap.

    A gradual one begins and ends where its probability sinks below two fifths of the threshold; pieces with a short gap are one,
    a cut in one or at its end is part of it, and whatever leads into and out of a blank picture is one fade.
    """
    return [t for _, _, t in _find(timeline, threshold)]


def spans(timeline: Timeline, end_s: float, threshold: float = THRESHOLD) -> list[Span]:
    """What is left between transitions and blank pictures; ``end_s`` is the end of the last frame.

    In doubt a span ends: a transition inside a clip does more harm than a lost second. So less probable transitions, from
    ``DOUBT`` of the threshold on, count here too, and so do the fades that open and close a film.
    """
    seconds = timeline["seconds"]
    edges = np.append(seconds, end_s)
    levels = (threshold, threshold * DOUBT)
    closed = [(first, stop) for level in levels for first, stop, _ in _find(timeline, level)]
    for first, last in _runs(_blank(timeline)):
        if edges[last + 1] - seconds[first] >= _BLANK_RUN_S:
            closed.append((first, last + 1))
    closed += _ramps(timeline)
    found, start = [], 0
    for first, stop in sorted([*closed, (len(seconds), len(seconds))]):
        if first > start:
            found.append(Span(start_s=float(edges[start]), end_s=float(edges[first])))
        start = max(start, stop)
    return found


def _ramps(timeline: Timeline) -> list[tuple[int, int]]:
    """Frames of the fades that open and close the footage: from a blank end to where contrast stops growing."""
    sigma, seconds = timeline["luma_sigma"].astype(np.float32), timeline["seconds"]
    count = len(sigma)
    if count < 2:
        return []
    found = []
    for values, clock in ((sigma, seconds - seconds[0]), (sigma[::-1], seconds[-1] - seconds[::-1])):
        if values[0] >= BLANK_SIGMA:
            continue
        bright = np.flatnonzero(values >= BLANK_SIGMA)
        begin = int(bright[0]) if len(bright) else count
        near = values[begin:][clock[begin:] <= clock[min(begin, count - 1)] + _RAMP_S]
        full = begin + int(np.argmax(near >= _RAMPED * near.max())) if len(near) else count
        found.append((0, full) if values is sigma else (count - full, count))
    return found


def score(timeline: Timeline, start_s: float, end_s: float) -> ShotScores:
    """How sure it is that the span is one shot, and whether there is anything in it."""
    inside = (timeline["seconds"] >= start_s) & (timeline["seconds"] < end_s)
    if not inside.any():
        return ShotScores(transition=0.0, blank=1.0, frozen=1.0, card=1.0)
    part = {name: values[inside] for name, values in timeline.items()}
    later = np.maximum(part["p_cut"], part["p_gradual"])[1:]
    still = part["change"][1:] < _STILL / 4
    return ShotScores(
        transition=float(later.max()) if len(later) else 0.0,
        blank=float(_blank(part).mean()),
        frozen=float(still.mean()) if len(still) else 1.0,
        card=float(((part["flat"] > 0.75) & (part["change"] < _STILL)).mean()),
    )


def _blank(timeline: Timeline) -> np.ndarray:
    return timeline["luma_sigma"].astype(np.float32) < BLANK_SIGMA


def _find(timeline: Timeline, threshold: float) -> list[tuple[int, int, Transition]]:
    """Transitions with their first frame and the first frame after them."""
    seconds = timeline["seconds"]
    if len(seconds) < 2:
        return []
    found = _joined(timeline, sorted([*_gradual(timeline, threshold), *_cuts(timeline, threshold)]))
    # What fills the whole footage leads from nowhere to nowhere.
    found = [f for f in found if f != (0, len(seconds))]
    step = float(np.median(np.diff(seconds)))
    after = np.append(seconds, seconds[-1] + step)
    return [
        (a, b, _transition(timeline, a, b, start_s=float(after[a]), end_s=float(after[b]))) for a, b in found
    ]


def _gradual(timeline: Timeline, threshold: float) -> Iterator[tuple[int, int]]:
    p = timeline["p_gradual"].astype(np.float32)
    for first, last in _runs(p >= threshold * _SUSTAIN):
        run = p[first : last + 1]
        if run.max() >= threshold and run.sum() >= _EVIDENCE:
            yield first, last + 1


def _cuts(timeline: Timeline, threshold: float) -> Iterator[tuple[int, int]]:
    p = timeline["p_cut"].astype(np.float32)
    for first, last in _runs(p >= threshold):
        if first == last or last - first > 2:
            yield from ((k, k) for k in range(first, last + 1) if p[k] == p[max(k - 2, 0) : k + 3].max())
        elif p[first : last + 1].min() >= _SURE:
            yield from ((k, k) for k in range(first, last + 1))  # shots of one frame
        else:
            yield first, last  # one frame of doubt: it belongs to neither shot


def _joined(timeline: Timeline, pieces: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pieces without fragments: those with only a blank picture or very little between them become one."""
    seconds, blank = timeline["seconds"], _blank(timeline)
    found: list[tuple[int, int]] = []
    for first, stop in pieces:
        if found:
            a, b = found[-1]
            gap = float(seconds[first] - seconds[min(b, len(seconds) - 1)])
            both, is_inside = b > a and stop > first, first <= b and (b > a or stop > first)
            through_blank = first > b and bool(blank[b:first].all()) and gap < _BLANK_HOLD_S
            if through_blank or is_inside or (both and gap <= _GAP_S):
                found[-1] = (a, max(b, stop))
                continue
        found.append((first, stop))
    return found


def _transition(timeline: Timeline, first: int, stop: int, *, start_s: float, end_s: float) -> Transition:
    part = slice(first, max(stop, first + 1))
    p_cut, p_gradual = float(timeline["p_cut"][part].max()), float(timeline["p_gradual"][part].max())
    kind: Kind = "cut"
    if stop > first and (p_gradual >= p_cut or stop - first > 3):
        fade, wipe = (float(timeline[k][part].astype(np.float32).mean()) for k in ("p_fade", "p_wipe"))
        if _blank(timeline)[part].any() or fade >= 0.5:
            kind = "fade"
        elif wipe >= 0.5:
            kind = "wipe"
        else:
            kind = "dissolve" if max(fade, wipe) < 0.35 else "gradual"
    return Transition(start_s=start_s, end_s=end_s, kind=kind, probability=max(p_cut, p_gradual))


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """First and last position of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]
