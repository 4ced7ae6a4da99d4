"""How the camera moves, and how much else does.

A *pair* of frames 2/15 s apart, every 4/15 s, gives the camera (a similarity: shift, zoom, roll) and what it leaves
unexplained: objects. *Steps* of 1/15 s, on a smaller picture, give the shift alone, densely enough to see shaking, and miss
no time. Frames are chosen by their time, so that 15, 30 and 60 frames a second show the very same ones and other rates the
nearest; speeds are in diagonals of the picture a second, so that neither resolution nor frame rate matters; zoom and roll
are relative growth and radians a second.

Words of direction are the camera's: ``pan-left`` means that the camera turns (or travels) to its left, so that the
content moves right; ``tilt-up`` that the content moves down; ``zoom-in`` that it grows; ``roll-cw`` that the camera turns
clockwise about its axis, so that the content turns counter-clockwise. ``dx``, ``dy``, ``zoom`` and ``roll`` of the
timeline are the content's: right, down, growing and clockwise are positive.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from worldfoundry.curate.detect.camera_fit import (
    COARSE_WIDTH,
    FINE_WIDTH,
    Grid,
    displacements,
    fit_camera,
    fit_shift,
    fit_to,
    grid_of,
    make_flow,
    split_speed,
    texture,
)
from worldfoundry.curate.detect.camera_tags import CameraTag, describe, track_of
from worldfoundry.curate.detect.rows import Rows, split_columns
from worldfoundry.protocols.curation import Meter, SourceInfo, Timeline, View

__all__ = ["CameraDetector", "CameraScores", "CameraTag", "Detector", "find_tags", "score"]

_STEP_S, _PAIR_S, _PAIR_EVERY_S = 1 / 15, 2 / 15, 4 / 15
_LONGEST_S = 1.1
_FROZEN_LEVELS = 0.02
_HALF_SHAKE = 0.007
_COLUMNS = "speed camera objects dx dy zoom roll inliers change".split()


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraDetector:
    """Measures the motion of the camera and of objects."""

    name: str = "camera"
    """Key of the timeline."""
    version: int = 2
    """Of the numbers in its timelines."""

    def begin(self, source: SourceInfo) -> Meter:
        """A meter that holds two small pictures."""
        del source
        return _Meter()


Detector = CameraDetector


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraScores:
    """Motion of one span; NaN and empty where there are no two frames to compare."""

    motion: float
    """Mean speed over the picture, camera and objects, diagonals a second."""
    camera_speed: float
    """Mean speed over the picture by the camera alone, diagonals a second."""
    object_motion: float
    """Mean speed that the camera leaves unexplained, diagonals a second."""
    shake: float
    """Strength of shaking, 0 to 1; a half where the picture trembles by 0.7 % of its diagonal (RMS)."""
    frozen: float
    """Share of the time in which the picture does not change at all, as in slides and stalls."""
    tags: tuple[str, ...]
    """What the camera does, strongest first: static, pan-left, pan-right, tilt-up, tilt-down, zoom-in, zoom-out, roll-cw,
    roll-ccw, shake, handheld."""
    tag_details: tuple[str, ...]
    """For each tag: name, strength and the seconds of the source between which it holds, as ``pan-left 0.12 3.0-5.5``."""
    camera_motion: str
    """The tags joined by commas."""


def score(timeline: Timeline, start_s: float, end_s: float) -> CameraScores:
    """What the camera did from ``start_s`` to ``end_s``."""
    track = track_of(timeline, start_s, end_s)
    pairs, steps, tags = track.pairs, track.steps, describe(track)
    lasting, brief = (rows["end_seconds"] - rows["seconds"] for rows in (pairs, steps))
    motion, seen, objects = (_mean(steps[k], brief) for k in ("speed", "camera", "objects"))
    # Pairs tell the camera from objects; of a trembling view they miss the way there and back, which steps see.
    camera = _mean(pairs["camera"], lasting)
    camera += track.share * max(seen - camera, 0.0) if track.share else 0.0
    return CameraScores(
        motion=_rounded(motion),
        camera_speed=_rounded(camera),
        object_motion=_rounded(objects),
        shake=_rounded(track.jitter / (track.jitter + _HALF_SHAKE)),
        frozen=_rounded(_mean(steps["change"] < _FROZEN_LEVELS, brief)),
        tags=tuple(t.name for t in tags),
        tag_details=tuple(f"{t.name} {t.strength:.3g} {t.start_s:.2f}-{t.end_s:.2f}" for t in tags),
        camera_motion=",".join(t.name for t in tags),
    )


def find_tags(timeline: Timeline, start_s: float, end_s: float) -> tuple[CameraTag, ...]:
    """What the camera did in a span, strongest first; empty where no two frames can be compared."""
    return describe(track_of(timeline, start_s, end_s))


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    total = float(weights.sum())
    return float((values.astype(np.float64) * weights).sum() / total) if total else float("nan")


def _rounded(value: float) -> float:
    return round(max(value, 0.0), 6) if value == value else value


def _half(seconds: float) -> float:
    return min(seconds, _PAIR_S) / 2 - 1e-3


class _Meter:
    """Rows of pairs (all numbers) and steps (all but ``zoom``, ``roll``, ``inliers``), by their later frame."""

    def __init__(self):
        self._rows = Rows(np.float64, (3 + len(_COLUMNS),))  # begin, end, is a pair, numbers
        self._flows = make_flow(refined=False), make_flow(refined=False)
        self._pair: tuple[float, np.ndarray] | None = None
        self._step: tuple[float, np.ndarray] | None = None
        self._due_s = self._now = -np.inf
        self._cells: tuple[np.ndarray, np.ndarray] | None = None
        self._twist = 0j
        self._ended: tuple[float, ...] | None = None

    def observe(self, view: View) -> None:
        # The frame nearest to a wanted time is the first that comes less than half a frame before it.
        now, frame_s, self._now = view.seconds, view.seconds - self._now, view.seconds
        step_s = now - self._step[0] if self._step else np.inf
        if step_s < _STEP_S - _half(frame_s):
            return
        fine = fit_to(cv2.cvtColor(view.small, cv2.COLOR_RGB2GRAY), FINE_WIDTH)
        # Pairs begin and end with steps, so that the steps beside a pair saw the same time as the pair.
        if self._pair is not None and now - self._pair[0] >= _PAIR_S - _half(step_s):
            self._end_pair(now, fine)
        self._end_step(now, fit_to(fine, COARSE_WIDTH))
        self._keep_pair()
        if self._pair is None and now >= self._due_s - _half(step_s):
            self._pair = now, fine
            again = self._due_s + _PAIR_EVERY_S
            self._due_s = again if again > now + _PAIR_EVERY_S / 2 else now + _PAIR_EVERY_S

    def _end_pair(self, now: float, fine: np.ndarray) -> None:
        assert self._pair is not None, "a pair ends only after it began"
        (then, earlier), self._pair = self._pair, None
        gap = now - then
        if gap > _LONGEST_S or earlier.shape != fine.shape:
            return
        grid = grid_of(*fine.shape)
        moves = displacements(self._flows[0].calc(earlier, fine, None), grid)
        before, after = fit_to(earlier, COARSE_WIDTH), fit_to(fine, COARSE_WIDTH)
        known = texture(before, grid)
        fit = fit_camera(moves, known, grid, before, after)
        if fit is None:
            self._cells, self._twist = None, 0j
            self._keep(then, now, dict.fromkeys(_COLUMNS[:-1], 0.0), is_pair=True)
            return
        h, w = fine.shape
        self._twist = fit.twist / gap
        size = len(range(4, h, 8)), len(range(4, w, 8))
        self._cells = known.reshape(size), fit.background.reshape(size)
        numbers = (
            fit.speed,
            fit.camera,
            fit.objects,
            fit.shift.real,
            fit.shift.imag,
            fit.twist.real,
            fit.twist.imag,
        )
        values = dict(zip(_COLUMNS[:7], (v / gap for v in numbers), strict=True))
        self._keep(then, now, values | {"inliers": fit.inliers}, is_pair=True)

    def _end_step(self, now: float, coarse: np.ndarray) -> None:
        before, self._step = self._step, (now, coarse)
        if before is None or now - before[0] > _LONGEST_S or before[1].shape != coarse.shape:
            return
        then, earlier = before
        grid = grid_of(*coarse.shape)
        change = float(cv2.norm(earlier, coarse, cv2.NORM_L1)) / coarse.size
        shift = 0j
        numbers: dict[str, float] = dict.fromkeys(("speed", "camera", "objects"), 0.0)
        if change >= _FROZEN_LEVELS:
            moves = displacements(self._flows[1].calc(earlier, coarse, None), grid)
            turning = np.complex64(self._twist * (now - then)) * grid.places
            known, background = self._weights(coarse, grid)
            shift = fit_shift(moves - turning, background, 0.15 / grid.diagonal_px)
            modelled = turning + np.complex64(shift)
            numbers = split_speed(moves, modelled, known, grid.diagonal_px)
        numbers |= {"dx": shift.real, "dy": shift.imag}
        values = {name: number / (now - then) for name, number in numbers.items()}
        self._keep(then, now, values | {"change": change}, is_pair=False)

    def _keep(self, then: float, now: float, values: dict[str, float], *, is_pair: bool) -> None:
        row = (then, now, is_pair, *(values.get(name, np.nan) for name in _COLUMNS))
        if is_pair:  # it comes after the step that ends with it
            self._ended = row
        else:
            self._rows.append(row)

    def _keep_pair(self) -> None:
        if self._ended is not None:
            self._rows.append(self._ended)
            self._ended = None

    def _weights(self, coarse: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
        """What the last pair took for known and for background; before the first, all that has texture."""
        if self._cells is None:
            known = texture(coarse, grid)
            return known > 0, known * grid.prior
        h, w = coarse.shape
        size = len(range(4, w, 8)), len(range(4, h, 8))
        known, background = (cv2.resize(c, size, interpolation=cv2.INTER_AREA).ravel() for c in self._cells)
        return known > 0, background * grid.prior

    def finish(self) -> Timeline:
        begin, end, is_pair, *numbers = split_columns(
            self._rows.array(), [np.float64, np.float64, bool, *[np.float32] * len(_COLUMNS)]
        )
        named = dict(zip(_COLUMNS, numbers, strict=True))
        return {"seconds": begin, "end_seconds": end, "is_pair": is_pair, **named}
