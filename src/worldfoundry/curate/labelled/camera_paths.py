"""Labelled camera motion: a virtual camera over resting views, with things that only look like camera motion.

Three generators, one a split, differ in code: *train* slides and turns a crop window by closed formulas, *validation*
by splines through random keys, *test* turns a true camera of finite focal length (a homography for each frame) whose
speeds answer like a damped mass. Shaking is a relaxing random walk, filtered noise, and a sum of tremors.

A path is a function from seconds to a 3 by 3 matrix from the footage's pixels to unit coordinates of the picture (centre 0,
diagonal 1), so that one clip can be rendered at any size and rate. Tags are what was drawn, never what was measured; all
drawn motion is fast enough to be seen (``SLOWEST``) and what shakes does so by 0.25 % of the diagonal or more.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from worldfoundry.curate.detect.camera_tags import AXES
from worldfoundry.curate.labelled.camera_sources import SPLITS, Footage

SLOWEST, FASTEST = 0.015, 0.45
"""Mean speeds over the picture that are drawn, diagonals a second."""
_RADIUS = 0.27
_ASPECT = 16 / 9
KINDS = {
    "static": 5,
    "object": 4,
    "weather": 3,
    "pan": 4,
    "tilt": 4,
    "zoom": 5,
    "roll": 5,
    "compound": 5,
    "sequence": 2,
    "tracking": 2,
    "shake": 4,
    "shake+pan": 1,
    "handheld": 2,
}
"""What is drawn, and how often."""

Pose = tuple[float, float, float, float]
"""Camera in units of the picture: right, down (diagonals), log magnification, clockwise turn (radians)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPath:
    """A camera path and its words."""

    kind: str
    """One of ``KINDS``."""
    tags: frozenset[str]
    """What a viewer would say."""
    seconds: float
    """Length."""
    matrix: Callable[[float], np.ndarray]
    """From seconds to float64 [3, 3]: pixels of the footage to unit coordinates of the picture."""


def draw_path(split: str, kind: str, footage: Footage, rng: np.random.Generator) -> LabelledPath:
    """A path of ``kind`` over ``footage`` by the generator of ``split``."""
    h, w = footage.frames.shape[1:3]
    seconds = float(rng.uniform(1.8, 3.2))
    window = min(w, h * _ASPECT) * float(rng.uniform(0.5, 0.68))
    diagonal = window * float(np.hypot(1, 1 / _ASPECT))
    room = np.array([w - window, h - window / _ASPECT]) / 2 / diagonal
    targets, tags = _targets(kind, rng)
    course, seconds = _course(split, targets, kind == "sequence", room, seconds, rng)
    tremor = _tremor(split, kind, rng)
    lens = _turned if split == "test" else _window

    def matrix(t: float) -> np.ndarray:
        pose = np.array(course(t)) + np.array([*tremor(t), 0, 0])
        return lens(pose, np.array([w / 2, h / 2]), diagonal)

    return LabelledPath(kind=kind, tags=frozenset(tags), seconds=seconds, matrix=matrix)


def _targets(kind: str, rng: np.random.Generator) -> tuple[list[tuple[int, float]], set[str]]:
    """([(axis, speed of the picture)], tags); speeds carry the sign of the camera's pose, not of the content."""
    if kind in ("static", "object", "weather"):
        return [], {"static"}
    if kind in ("shake", "handheld"):
        return [], {kind}
    single = {"pan": [0], "tilt": [1], "zoom": [2], "roll": [3], "tracking": [0], "shake+pan": [0]}
    axes = single.get(kind) or [int(a) for a in rng.choice(4, 2, replace=False)]
    first = float(np.exp(rng.uniform(np.log(SLOWEST), np.log(FASTEST / (1, 1.3, 3, 3)[axes[0]]))))
    if kind in ("tracking", "shake+pan"):
        first = max(first, 0.05)
    targets = [(axes[0], first * rng.choice([-1, 1]))]
    for axis in axes[1:]:
        other = float(np.clip(first * rng.uniform(0.6, 1.5), SLOWEST, FASTEST / 3))
        targets.append((axis, other * rng.choice([-1, 1])))
    kinds = list(AXES.values())
    # The content moves against the shift and turn of the camera, and with its magnification.
    tags = {kinds[a][0 if (v > 0) == (a == 2) else 1] for a, v in targets}
    return targets, tags | ({"shake"} if kind == "shake+pan" else set())


def _course(
    split: str,
    targets: list[tuple[int, float]],
    in_turn: bool,
    room: np.ndarray,
    seconds: float,
    rng: np.random.Generator,
) -> tuple[Callable[[float], Pose], float]:
    """Where the camera is, and how long: each target's axis runs at its mean speed, within the room there is."""
    reach = np.array([room[0] * 2, room[1] * 2, 0.5, 0.7])
    rates = [(axis, speed / (1, 1, _RADIUS, _RADIUS)[axis]) for axis, speed in targets]
    for axis, rate in rates:
        seconds = max(min(seconds, 0.92 * reach[axis] / abs(rate)), 0.9)
    runs = []
    for k, (axis, rate) in enumerate(rates):
        rate = np.sign(rate) * min(abs(rate), 0.92 * reach[axis] / seconds)
        begin, end = (0.5 * k, 0.5 * k + 0.5) if in_turn else (0.0, 1.0)
        runs.append((axis, rate * seconds, _PROFILES[split](rng), begin, end))

    def course(t: float) -> Pose:
        pose = np.zeros(4)
        for axis, travel, profile, begin, end in runs:
            done = profile(float(np.clip((t / seconds - begin) / (end - begin), 0, 1)))
            start = -0.5 if axis != 2 else (0.0 if travel > 0 else 1.0) * -1
            pose[axis] = travel * (done + start)
        return float(pose[0]), float(pose[1]), float(pose[2]), float(pose[3])

    return course, seconds


def _formula(rng: np.random.Generator) -> Callable[[float], float]:
    """Constant, eased, or with a pause."""
    kind = rng.integers(0, 4)
    if kind <= 1:
        return lambda s: s
    if kind == 2:
        return lambda s: 0.35 * s + 0.65 * (3 * s * s - 2 * s**3)
    stop, pause = rng.uniform(0.3, 0.6), rng.uniform(0.1, 0.2)
    return lambda s: (min(s, stop) + max(0.0, s - stop - pause)) / (1 - pause)


def _spline(rng: np.random.Generator) -> Callable[[float], float]:
    """Monotone pieces through keys of uneven speed."""
    steps = rng.uniform(0.5, 1.5, 5)
    keys = np.concatenate([[0], np.cumsum(steps) / steps.sum()])
    fine = np.linspace(0, 1, 101)
    rough = np.interp(fine, np.linspace(0, 1, 6), keys)
    smooth = np.convolve(np.pad(rough, 8, mode="reflect", reflect_type="odd"), np.ones(17) / 17, "valid")
    smooth = (smooth - smooth[0]) / (smooth[-1] - smooth[0])
    return lambda s: float(np.interp(s, fine, smooth))


def _mass(rng: np.random.Generator) -> Callable[[float], float]:
    """A mass that gets up to speed, and perhaps brakes."""
    up, down = rng.uniform(0.02, 0.25), rng.choice([0.0, 0.15])
    fine = np.linspace(0, 1, 201)
    speed = (1 - np.exp(-fine / up)) * np.where(fine > 1 - down, (1 - fine) / max(down, 1e-6), 1)
    path = np.concatenate([[0], np.cumsum((speed[1:] + speed[:-1]) / 2)])
    return lambda s: float(np.interp(s, fine, path / path[-1]))


_PROFILES: dict[str, Callable[[np.random.Generator], Callable[[float], float]]] = {
    "train": _formula,
    "validation": _spline,
    "test": _mass,
}


def _tremor(split: str, kind: str, rng: np.random.Generator) -> Callable[[float], np.ndarray]:
    """Fast deviations from the path, diagonals."""
    if kind not in ("shake", "shake+pan", "handheld"):
        return lambda _: np.zeros(2)
    low, high = (0.0006, 0.0012) if kind == "handheld" else (0.0028, 0.02)
    size = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    rate, count = 60.0, 300
    times = np.arange(count) / rate
    if split == "train":  # a random walk that relaxes
        path, keep = np.zeros((count, 2)), float(np.exp(-1 / rate / rng.uniform(0.04, 0.12)))
        for k in range(1, count):
            path[k] = keep * path[k - 1] + rng.normal(0, 1, 2)
    elif split == "validation":  # white noise through a short window
        raw, width = rng.normal(0, 1, (count + 20, 2)), int(rng.integers(3, 9))
        path = np.stack([np.convolve(raw[:, i], np.hanning(width + 2), "same")[:count] for i in (0, 1)], 1)
    else:
        path = np.zeros((count, 2))
        for _ in range(5):
            hertz, phase, way = rng.uniform(2.5, 8), rng.uniform(0, 6.3), rng.normal(0, 1, 2)
            path += np.sin(2 * np.pi * hertz * times + phase)[:, None] * way
    path -= path.mean(0)
    path *= size / np.sqrt((path**2).sum(1).mean())
    return lambda t: np.array([np.interp(t, times, path[:, i]) for i in (0, 1)])


def _window(pose: np.ndarray, centre: np.ndarray, diagonal: float) -> np.ndarray:
    """A crop window: shifted, magnified, turned."""
    x, y, grown, turn = pose
    scale = float(np.exp(grown)) / diagonal
    c, s = np.cos(-turn) * scale, np.sin(-turn) * scale
    at = centre + np.array([x, y]) * diagonal
    return np.array([[c, -s, -(c * at[0] - s * at[1])], [s, c, -(s * at[0] + c * at[1])], [0, 0, 1]])


def _turned(pose: np.ndarray, centre: np.ndarray, diagonal: float) -> np.ndarray:
    """A camera before a wall, turned about its own centre: yaw, pitch and roll with perspective, zoom by focal length."""
    focal = 1.1  # diagonals: a view of 43 degrees across
    x, y, grown, turn = pose
    yaw, pitch = np.arctan2(x, focal), np.arctan2(y, focal)
    cy, sy, cp, sp, cr, sr = *_cos_sin(yaw), *_cos_sin(pitch), *_cos_sin(-turn)
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    wall = np.array(
        [[1 / diagonal, 0, -centre[0] / diagonal], [0, 1 / diagonal, -centre[1] / diagonal], [0, 0, focal]]
    )
    lens = np.diag([focal * np.exp(grown), focal * np.exp(grown), 1.0])
    return lens @ about_z @ about_x @ about_y @ wall


def _cos_sin(angle: float) -> tuple[float, float]:
    return float(np.cos(angle)), float(np.sin(angle))


def seed_of(split: str, *numbers: int) -> np.random.Generator:
    """The generator of random numbers of one clip of a split."""
    return np.random.default_rng([7, SPLITS.index(split), *numbers])
