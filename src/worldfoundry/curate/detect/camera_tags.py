"""Words for what a camera does, from its measured motion.

Shift, zoom and roll are put into one unit, the mean speed that each gives to the picture (diagonals a second), and are
smoothed over a second, which takes out trembling. Each direction then gives a few numbers: how fast, how lasting, how
large a part of all camera motion; a logistic model, the same for both directions of an axis, so that mirrored footage has
mirrored tags, says whether a viewer would name it. Trembling is the deviation of the camera's path from its own smooth course.

Trained by ``python -m worldfoundry.curate.labelled.camera train``; the numbers are in ``weights/camera.json``.
"""

import functools
import json
from dataclasses import dataclass
from importlib import resources

import numpy as np

from worldfoundry.protocols.curation import Timeline

AXES = {
    "pan": ("pan-left", "pan-right"),
    "tilt": ("tilt-up", "tilt-down"),
    "zoom": ("zoom-in", "zoom-out"),
    "roll": ("roll-ccw", "roll-cw"),
}
"""Tags of each axis: first the one under which the timeline's number (dx, dy, zoom, roll) is positive."""
TAGS = (*(t for pair in AXES.values() for t in pair), "shake", "handheld", "static")
"""All tags."""
_MEAN_RADIUS = 0.27  # mean distance of a picture's points from its centre, in diagonals (16:9; 4:3 has 0.28)
_SMOOTH_S = 0.5
_COURSE_S = 0.35
_LEAST_NEAR = 5
_JERKS = 0.15  # starts, stops and jerks take at most this share of the time
_HOLDS = 0.4
_TREMBLES = 0.0015
_FEW, _PAIRS_SEE = 4, 2.0
_TRUSTED = 0.2  # share of inliers from which trembling is believed
_FLOOR = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraTag:
    """One word, how strongly and when it holds."""

    name: str
    """One of ``TAGS``."""
    strength: float
    """Mean speed over the picture while it holds (diagonals a second); of shake and handheld the trembling (diagonals, RMS);
    of static the share of the textured picture that rests."""
    start_s: float
    """First time at which it holds."""
    end_s: float
    """Last time at which it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """The camera of one span, ready to be described."""

    pairs: Timeline
    """The pairs of frames that lie within it."""
    steps: Timeline
    """The steps that lie within it."""
    raw: np.ndarray
    """float64 [pairs, 4]: pan, tilt, zoom and roll in the signs of the timeline, diagonals a second."""
    smooth: np.ndarray
    """The same, smoothed over a second."""
    off: np.ndarray
    """float64 [steps]: distance from the smooth course, diagonals."""
    jitter: float
    """Trembling as one number, RMS in diagonals; NaN without steps."""
    share: float
    """How far the steps are to be believed rather than the pairs, by trembling: 0 to 1."""
    whole: float
    """Mean smoothed speed of the camera, diagonals a second; NaN without pairs."""


def track_of(timeline: Timeline, start_s: float, end_s: float) -> Track:
    """What a timeline says of a span: pairs and steps whose two frames both lie in it."""
    inside = (timeline["seconds"] >= start_s - 1e-6) & (timeline["end_seconds"] < end_s)
    is_pair = timeline["is_pair"]
    pairs = {k: v[inside & is_pair] for k, v in timeline.items()}
    steps = {k: v[inside & ~is_pair] for k, v in timeline.items()}
    unit = np.array([1, 1, _MEAN_RADIUS, _MEAN_RADIUS])
    raw = np.stack([pairs[k] for k in ("dx", "dy", "zoom", "roll")], 1).astype(np.float64) * unit
    smooth = _over_pairs(pairs, raw)
    off = trembling(steps)
    jitter = _rms_without_jerks(off)
    if len(raw) >= _FEW:
        # What only the steps see is objects: the fit of pairs tells them from the camera.
        gaps = pairs["end_seconds"] - pairs["seconds"]
        seen = _PAIRS_SEE * _rms_without_jerks(np.linalg.norm(raw[:, :2] - smooth[:, :2], axis=1) * gaps)
        off, jitter = off * min(1.0, seen / max(jitter, 1e-9)), min(jitter, seen)
        # A course that hardly anything obeys is a guess, and guesses tremble.
        trust = min(1.0, float(pairs["inliers"].mean()) / _TRUSTED)
        off, jitter = off * trust, jitter * trust
    share = jitter**2 / (jitter**2 + _TREMBLES**2) if len(off) else 0.0
    if share:
        smooth[:, :2] += share * (_over_steps(pairs, steps) - smooth[:, :2])
    return Track(
        pairs=pairs,
        steps=steps,
        raw=raw,
        smooth=smooth,
        off=off,
        jitter=jitter,
        share=share,
        whole=float(np.sqrt((smooth**2).sum(1)).mean()) if len(raw) else float("nan"),
    )


def _rms_without_jerks(values: np.ndarray) -> float:
    """NaN of nothing. A start, stop or missed cut is one high peak, but shaking goes on: the trimmed mean tells them apart."""
    calm = np.sort(values)[: max(1, round((1 - _JERKS) * len(values)))]
    return float(np.sqrt((calm**2).mean())) if len(values) else float("nan")


def _over_pairs(pairs: Timeline, raw: np.ndarray) -> np.ndarray:
    """Mean of the pairs within a second, by their trust."""
    middle = (pairs["seconds"] + pairs["end_seconds"]) / 2
    trusted = 0.05 + pairs["inliers"].astype(np.float64)
    out = np.zeros_like(raw)
    for k, t in enumerate(middle):
        weight, near = _tent(middle, t)
        weight *= trusted[near]
        out[k] = weight @ raw[near] / weight.sum()
    return out


def _over_steps(pairs: Timeline, steps: Timeline) -> np.ndarray:
    """Mean shift of the steps within a second of each pair: they miss no time, so trembling cancels out."""
    middle, times = ((rows["seconds"] + rows["end_seconds"]) / 2 for rows in (pairs, steps))
    lasting = steps["end_seconds"] - steps["seconds"]
    shifts = np.stack([steps["dx"], steps["dy"]], 1).astype(np.float64)
    out = np.zeros((len(middle), 2))
    for k, t in enumerate(middle):
        weight, near = _tent(times, t)
        weight *= lasting[near]
        out[k] = weight @ shifts[near] / max(float(weight.sum()), 1e-9)
    return out


def _tent(times: np.ndarray, t: float) -> tuple[np.ndarray, slice]:
    first, last = np.searchsorted(times, [t - 2 * _SMOOTH_S, t + 2 * _SMOOTH_S])
    return (1 - np.abs(times[first:last] - t) / (2 * _SMOOTH_S)).clip(1e-6), slice(int(first), int(last))


def trembling(steps: Timeline) -> np.ndarray:
    """Distance of the path from its own smooth course, a parabola over 0.7 s, in diagonals; 0 where steps are too far apart."""
    gaps = steps["end_seconds"] - steps["seconds"]
    moves = (steps["dx"].astype(np.float64) + 1j * steps["dy"]) * gaps
    times, path = steps["end_seconds"], np.cumsum(moves)
    near = 2 * int(_COURSE_S / max(float(np.median(gaps)), 1e-3) + 0.5) + 1 if len(gaps) else 0
    if near < _LEAST_NEAR or len(path) < near:
        return np.zeros(len(path))
    at = np.arange(len(path))
    window = np.clip(at - near // 2, 0, len(path) - near)[:, None] + np.arange(near)
    x = (times[window] - times[at, None]) / _COURSE_S
    basis = np.stack([np.ones_like(x), x, x * x], -1)
    normal = np.einsum("nwi,nwj->nij", basis, basis) + 1e-9 * np.eye(3)
    right = np.einsum("nwi,nw->ni", basis, path[window])
    course = np.linalg.solve(normal, right[..., None])[:, 0, 0]
    return np.abs(path - course)


def direction_features(track: Track) -> dict[str, np.ndarray]:
    """What the model sees of each direction: speed, peak, duration, part of all motion, steadiness, trembling, inliers."""
    whole = np.sqrt((track.smooth**2).sum(1))
    trusted = np.log(float(track.pairs["inliers"].mean()) + 0.05)
    found = {}
    for axis, names in enumerate(AXES.values()):
        for name, sign in zip(names, (1, -1), strict=True):
            along, raw = np.maximum(sign * track.smooth[:, axis], 0), track.raw[:, axis]
            lasting = float((along > np.maximum(0.006, 0.3 * whole)).mean())
            part = float(along.mean() / (whole.mean() + _FLOOR))
            steady = float(max(sign * raw.mean(), 0) / (np.abs(raw).mean() + _FLOOR))
            speed, peak = np.log(along.mean() + _FLOOR), np.log(along.max() + _FLOOR)
            found[name] = np.array([speed, peak, lasting, part, steady, np.log(track.jitter + 1e-4), trusted])
    return found


def shake_features(track: Track) -> np.ndarray:
    """What the model of shaking sees: trembling, that of the calmer half of the span, speed, share of inliers."""
    parts = np.array_split(track.off, max(1, len(track.off) // 8))
    calm = float(np.median([np.sqrt((p**2).mean()) for p in parts]))
    speed = float(np.abs(track.steps["dx"] + 1j * track.steps["dy"]).mean())
    inliers = float(track.pairs["inliers"].mean())
    return np.array([np.log(track.jitter + 1e-4), np.log(calm + 1e-4), np.log(speed + 0.01), inliers])


def rest_features(track: Track) -> np.ndarray:
    """What the model of a held camera, against a resting one, sees: trembling, its calm half, drift, share of inliers."""
    shaking = shake_features(track)
    return np.array([shaking[0], shaking[1], np.log(track.whole + 0.002), np.log(shaking[3] + 0.05)])


@functools.lru_cache(maxsize=1)
def _weights() -> dict[str, dict[str, list[float]]]:
    text = resources.files("worldfoundry.curate.detect").joinpath("weights/camera.json").read_text("utf-8")
    return json.loads(text)


def margin(model: dict[str, list[float]], features: np.ndarray) -> float:
    """Logit of a logistic model ``{"weights": [...], "bias": [b]}``: above 0 where it says yes."""
    return float(np.dot(model["weights"], features) + model["bias"][0])


def evidence_of_motion(track: Track) -> float:
    """The largest logit of all models that speak of a moving camera: one number for resting (below 0) against moving."""
    models, features = _weights(), direction_features(track)
    directions = (margin(models[k], features[n]) for k, names in AXES.items() for n in names)
    shaken, held = (
        margin(models["shake"], shake_features(track)),
        margin(models["handheld"], rest_features(track)),
    )
    return max(*directions, shaken, held)


def describe(track: Track) -> tuple[CameraTag, ...]:
    """What the camera did, strongest first; empty where no two frames can be compared."""
    if not len(track.raw) or not len(track.off):
        return ()
    models = _weights()
    features = direction_features(track)
    found = [
        _moving(track, axis, sign, name)
        for axis, (kind, names) in enumerate(AXES.items())
        for name, sign in zip(names, (1, -1), strict=True)
        if margin(models[kind], features[name]) > 0
    ]
    found.sort(key=lambda t: (-t.strength, t.name))
    if margin(models["shake"], shake_features(track)) > 0:
        found.append(_shaking(track))
    if not found:
        is_held = margin(models["handheld"], rest_features(track)) > 0
        name, strength = (
            ("handheld", track.jitter) if is_held else ("static", float(track.pairs["inliers"].mean()))
        )
        start_s, end_s = float(track.pairs["seconds"][0]), float(track.pairs["end_seconds"][-1])
        found.append(CameraTag(name=name, strength=strength, start_s=start_s, end_s=end_s))
    return tuple(found)


def _moving(track: Track, axis: int, sign: int, name: str) -> CameraTag:
    along = np.maximum(sign * track.smooth[:, axis], 0)
    held = np.flatnonzero(along >= _HOLDS * along.max())
    return CameraTag(
        name=name,
        strength=float(along[held].mean()),
        start_s=float(track.pairs["seconds"][held[0]]),
        end_s=float(track.pairs["end_seconds"][held[-1]]),
    )


def _shaking(track: Track) -> CameraTag:
    held = np.flatnonzero(track.off >= 0.5 * track.jitter)
    return CameraTag(
        name="shake",
        strength=track.jitter,
        start_s=float(track.steps["seconds"][held[0]]),
        end_s=float(track.steps["end_seconds"][held[-1]]),
    )
