"""The motion of a camera between two pictures: dense flow, and the similarity that most of the background obeys.

Positions and displacements are complex numbers ``x + i y`` in diagonals of the picture, measured from its centre, x to the
right and y down. A similarity moves ``z`` by ``shift + twist * z``: the real part of ``twist`` is zoom, its imaginary part
the roll of the content (clockwise positive, since y points down).

Two explanations are kept to the end, the best moving one and a (nearly) resting one, and the pictures themselves choose:
each cell, and those at the border more than those in the middle, votes for the explanation that predicts the later
picture better. Edges and faint texture vote where flow knows nothing, plain walls abstain, so a large object that
crosses a resting view is an object, and a view that follows an object moves.

Source: dense inverse search, arXiv:1603.03590, as in OpenCV; consensus by random minimal samples (Fischler and Bolles
1981), made exact by reweighted least squares (Geman and McClure's weights).
"""

import functools
from typing import Any, NamedTuple

import cv2
import numpy as np

FINE_WIDTH, COARSE_WIDTH = 256, 128
"""Columns of the pictures that the model and the jitter are measured on."""
_CELL_PX = 8
_TOLERANCE_PX = 0.3
_TOLERANCE_SHARE = 0.05
_SAMPLES = 40
_SCORED = 160
_ROUNDS = 3
_STILL_BONUS = 0.7
_VOTE_NOISE = 2.0
_TEXTURE = 4.0
_LEAST_POINTS = 12
_WILDEST = 0.5  # zoom and roll between two pictures


class Grid(NamedTuple):
    """Where the flow is sampled on pictures of one size."""

    rows: slice
    """Of the flow."""
    columns: slice
    """Of the flow."""
    places: np.ndarray
    """complex64 [n]: the sampled points."""
    prior: np.ndarray
    """float32 [n]: how likely a point is background, by its place."""
    diagonal_px: float
    """Length of the diagonal."""


class Camera(NamedTuple):
    """A fitted motion between two pictures; displacements in diagonals."""

    shift: complex
    """Displacement of the content at the centre."""
    twist: complex
    """Zoom + i roll: relative growth and turn of the content, radians."""
    inliers: float
    """Share of the textured picture that obeys it, 0 to 1."""
    speed: float
    """Mean displacement over the picture, camera and objects."""
    camera: float
    """Mean displacement over the picture by the camera alone."""
    objects: float
    """Mean displacement of what the camera leaves unexplained."""
    background: np.ndarray
    """float32 [n]: weight of each point of the grid as background."""


@functools.lru_cache(maxsize=16)
def grid_of(height: int, width: int) -> Grid:
    """The points of a picture: the centres of cells of 8 pixels."""
    half = _CELL_PX // 2
    rows, columns = slice(half, height, _CELL_PX), slice(half, width, _CELL_PX)
    y, x = np.mgrid[rows, columns].astype(np.float32)
    x, y = x.ravel() + 0.5 - width / 2, y.ravel() + 0.5 - height / 2
    edge = np.maximum(np.abs(x) / (width / 2), np.abs(y) / (height / 2))
    diagonal = float(np.hypot(height, width))
    prior = (0.5 + edge**2).astype(np.float32)
    return Grid(rows, columns, ((x + 1j * y) / diagonal).astype(np.complex64), prior, diagonal)


@functools.lru_cache(maxsize=1)
def _draws() -> np.ndarray:
    """Fixed uniform numbers: the same pictures give the same answer."""
    return np.random.default_rng(0).random((2, _SAMPLES))


def make_flow(refined: bool) -> Any:
    """Dense inverse search, matching patches of a quarter of the size of the picture; ``refined`` smooths the field."""
    preset = cv2.DISOPTICAL_FLOW_PRESET_FAST if refined else cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST
    return cv2.DISOpticalFlow.create(preset)


def fit_to(gray: np.ndarray, width: int) -> np.ndarray:
    """The picture with at most ``width`` columns, and no more points than ``width`` by three quarters of it."""
    h, w = gray.shape
    scale = min(1.0, width / w, (0.75 * width * width / (h * w)) ** 0.5)
    if scale == 1.0:
        return gray
    size = max(16, round(w * scale)), max(16, round(h * scale))
    return cv2.resize(gray, size, interpolation=cv2.INTER_AREA)


def texture(coarse: np.ndarray, grid: Grid) -> np.ndarray:
    """float32 [n], 0 to 1: where the picture has structure in two directions, so that its motion is known.

    ``coarse`` may be a smaller copy of the picture that ``grid`` belongs to.
    """
    gx = cv2.Sobel(coarse, cv2.CV_32F, 1, 0, scale=0.125)
    gy = cv2.Sobel(coarse, cv2.CV_32F, 0, 1, scale=0.125)
    cells = _cells(grid)
    xx, yy, xy = (
        cv2.resize(cv2.boxFilter(p, -1, (5, 5)), cells, interpolation=cv2.INTER_AREA).ravel()
        for p in (gx * gx, gy * gy, gx * gy)
    )
    least = 0.5 * (xx + yy - np.sqrt((xx - yy) ** 2 + 4 * xy * xy))
    scale = min(_TEXTURE, float(np.partition(least, -len(least) // 4)[-len(least) // 4]) + 0.02)
    weight = least / (least + scale)
    weight[weight < 0.15] = 0
    return weight.astype(np.float32)


def _cells(grid: Grid) -> tuple[int, int]:
    rows = len(range(*grid.rows.indices(grid.rows.stop)))
    return len(grid.places) // rows, rows


def displacements(flow_px: np.ndarray, grid: Grid) -> np.ndarray:
    """complex64 [n]: the flow at the points of the grid, in diagonals."""
    picked = np.ascontiguousarray(flow_px[grid.rows, grid.columns])
    return picked.view(np.complex64).ravel() / np.float32(grid.diagonal_px)


def fit_camera(
    moves: np.ndarray, weight: np.ndarray, grid: Grid, earlier: np.ndarray, later: np.ndarray
) -> Camera | None:
    """The camera behind ``moves`` (complex [n]), where ``weight`` says how well each is known; None for a blank picture.

    ``earlier`` and ``later`` are the two pictures, or smaller copies.
    """
    used = np.flatnonzero(weight)
    if len(used) < _LEAST_POINTS:
        return None
    z, u = grid.places[used], moves[used]
    w = weight[used] * grid.prior[used]
    tolerance = _TOLERANCE_PX / grid.diagonal_px
    moving = _refine(z, u, w, *_consensus(z, u, w, tolerance), tolerance)
    still = _refine(z, u, w, 0j, 0j, tolerance)
    shift, twist, inlying = moving
    if abs(moving[0] - still[0]) + 0.3 * abs(moving[1] - still[1]) > tolerance:
        for_still, for_moving = votes(earlier, later, still, moving, grid)
        if for_still >= _STILL_BONUS * for_moving:
            shift, twist, inlying = still
    known = weight[used]
    modelled = shift + twist * grid.places
    floor = (0.25 * tolerance) ** 2
    excess = (u - modelled[used]) * (1 - inlying)
    total = modelled.copy()
    total[used] += excess
    background = np.zeros(len(grid.places), np.float32)
    background[used] = known * inlying
    return Camera(
        shift=complex(shift),
        twist=complex(twist),
        inliers=float((w * inlying).sum() / w.sum()),
        speed=float(_above(total, floor).mean()),
        camera=float(_above(modelled, floor).mean()),
        objects=float(_above(excess, floor).sum() / len(modelled)),
        background=background,
    )


def fit_shift(moves: np.ndarray, weight: np.ndarray, tolerance: float) -> complex:
    """The shift that most of the weighted moves share, or (nearly) none if nearly as many rest; 0 where there is no weight."""
    total = float(weight.sum())
    if total <= 0:
        return 0j
    order = np.argsort(np.real(moves)), np.argsort(np.imag(moves))
    middle = [o[np.searchsorted(np.cumsum(weight[o]), total / 2)] for o in order]
    shift = complex(np.real(moves)[middle[0]], np.imag(moves)[middle[1]])
    moving = _settle(moves, weight, shift, tolerance)
    if abs(shift) < tolerance:
        return moving[0]
    still = _settle(moves, weight, 0j, tolerance)
    return still[0] if still[1] >= _STILL_BONUS * moving[1] else moving[0]


def split_speed(
    moves: np.ndarray, modelled: np.ndarray, known: np.ndarray, diagonal_px: float
) -> dict[str, float]:
    """Mean displacement over the picture: ``speed`` in all, ``camera`` as modelled, ``objects`` beyond it where ``known``."""
    rest = moves - modelled
    tolerance = 2 * _TOLERANCE_PX / diagonal_px + 2 * _TOLERANCE_SHARE * np.abs(modelled)
    excess = rest * (1 - _soft(rest, tolerance)) * known
    parts = {"speed": modelled + excess, "camera": modelled, "objects": excess}
    return {name: float(np.abs(part).mean()) for name, part in parts.items()}


def _settle(moves: np.ndarray, weight: np.ndarray, shift: complex, tolerance: float) -> tuple[complex, float]:
    support = weight
    for _ in range(3):
        support = weight * _soft(moves - shift, 2 * tolerance + _TOLERANCE_SHARE * abs(shift))
        shift = complex((support * moves).sum() / max(float(support.sum()), 1e-9))
    return shift, float(support.sum())


def votes(
    earlier: np.ndarray, later: np.ndarray, one: tuple, other: tuple, grid: Grid
) -> tuple[float, float]:
    """How many cells of the picture each of two motions ``(shift, twist, ...)`` predicts better than the other does."""
    a, b = (_cells_of(cv2.absdiff(_moved(earlier, m[0], m[1]), later), grid) for m in (one, other))
    gain = (b - a) / (a + b + _VOTE_NOISE) * grid.prior
    return float(gain[gain > 0].sum()), float(-gain[gain < 0].sum())


def _cells_of(picture: np.ndarray, grid: Grid) -> np.ndarray:
    return cv2.resize(picture.astype(np.float32), _cells(grid), interpolation=cv2.INTER_AREA).ravel()


def _moved(picture: np.ndarray, shift: complex, twist: complex) -> np.ndarray:
    """The picture after a motion of its content."""
    h, w = picture.shape
    centre, grown = complex(w / 2 - 0.5, h / 2 - 0.5), 1 + twist
    rest = centre - grown * centre + shift * float(np.hypot(h, w))
    matrix = np.array([[grown.real, -grown.imag, rest.real], [grown.imag, grown.real, rest.imag]])
    return cv2.warpAffine(picture, matrix, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _consensus(z: np.ndarray, u: np.ndarray, w: np.ndarray, tolerance: float) -> tuple[complex, complex]:
    """(shift, twist) that most points agree on, of those that two random points give."""
    total = np.cumsum(w)
    i, j = (np.searchsorted(total, d * total[-1] * 0.999999) for d in _draws())
    apart = np.abs(z[i] - z[j]) > 0.1
    i, j = i[apart], j[apart]
    twists = np.concatenate([(u[i] - u[j]) / (z[i] - z[j]), np.zeros(2, np.complex64)])
    middle = complex(np.median(np.real(u)), np.median(np.imag(u)))
    shifts = np.concatenate([u[i] - twists[: len(i)] * z[i], np.array([middle, 0], np.complex64)])
    twists[np.abs(twists) > _WILDEST] = 0
    some = np.linspace(0, len(z) - 1, min(_SCORED, len(z))).astype(int)
    tolerances = (tolerance + _TOLERANCE_SHARE * np.abs(shifts)).astype(np.float32)
    soft = _soft(u[some] - shifts[:, None] - twists[:, None] * z[some], tolerances[:, None])
    best = int((soft @ w[some]).argmax())
    return complex(shifts[best]), complex(twists[best])


def _refine(z: np.ndarray, u: np.ndarray, w: np.ndarray, shift: complex, twist: complex, tolerance: float):
    """Reweighted least squares from a first guess."""
    inlying = _soft(u - shift - twist * z, tolerance + _TOLERANCE_SHARE * abs(shift))
    for _ in range(_ROUNDS):
        ww = w * inlying
        total = max(float(ww.sum()), 1e-9)
        zc, uc = (ww * z).sum() / total, (ww * u).sum() / total
        dz = z - zc
        twist = (ww * dz.conj() * (u - uc)).sum() / max(
            float((ww * (np.real(dz) ** 2 + np.imag(dz) ** 2)).sum()), 1e-9
        )
        shift = uc - twist * zc
        inlying = _soft(u - shift - twist * z, tolerance + _TOLERANCE_SHARE * abs(shift))
    return complex(shift), complex(twist), inlying


def _soft(residual: np.ndarray, tolerance: Any) -> np.ndarray:
    """Geman and McClure's weight of residuals: 1 at 0, 1/4 at the tolerance."""
    share = (np.real(residual) ** 2 + np.imag(residual) ** 2) / (tolerance * tolerance)
    return 1 / (1 + share) ** 2


def _above(move: np.ndarray, floor: float) -> np.ndarray:
    """Length of displacements, less what the noise of the flow adds."""
    return np.sqrt(np.maximum(np.real(move) ** 2 + np.imag(move) ** 2 - floor, 0))
