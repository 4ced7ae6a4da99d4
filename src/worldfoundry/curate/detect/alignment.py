"""Whether two spans show the same recording: aligned in space and in time, then compared block by block.

Space: mirror, and one picture being a part of the other (crop, bars that were not seen), found by correlating many
parts of a few pictures at once. Time: speed and offset, found on what *changes*: each picture less its span's mean, so
that a still background, equal at all times, says nothing. The likeliest alignments are then fitted finely
(``alignment_fit.py``) and judged (``alignment_judge.py``).
"""

import dataclasses
from functools import lru_cache

import numpy as np

from worldfoundry.curate.detect.alignment_fit import refine, worth
from worldfoundry.curate.detect.alignment_judge import (
    WHOLE,
    Film,
    Match,
    Window,
    between,
    film_of,
    judged,
    seen,
    warp,
)
from worldfoundry.curate.detect.descriptor import Descriptor, resample

VERSION = 1
"""Raised whenever a similarity changes: stored ones are then made again."""
SPEEDS = (0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.11, 1.18, 1.25)
"""Speeds of a copy that are looked for; others between them are found by refinement."""
LEAST_OVERLAP = 0.7
"""Share of the shorter span that the other must cover."""
_SEARCH = 14  # cells along an edge of the pictures in which parts are looked for
_STEP_S = 0.125
_MOMENTS = 32
_FLOOR = 0.09  # squared grey levels of a cell below which change says nothing about time
_EVIDENT = 1.35  # worth of a match from which no other place is looked for
_HOPELESS = 0.6  # worth of a match that no fit makes one of copies
_SURE, _GOOD = 0.97, 0.9
_STARTS = 2


def compare(first: Descriptor, second: Descriptor) -> Match:
    """Align ``second`` with ``first`` and measure how well they agree; a still image never agrees with a video."""
    a, b = film_of(first), film_of(second)
    if a.is_still != b.is_still:
        return Match()
    if a.is_still:
        return _compare_stills(a, b)
    tried = [_timed(a, b, WHOLE, mirrored) for mirrored in (False, True)]
    if max(map(worth, tried)) < _EVIDENT:
        tried += [_timed(a, b, window, mirrored) for window, mirrored in _places(a.pictures, b.pictures)]
    tried.sort(key=worth, reverse=True)
    best = tried[0]
    if best.similarity > _SURE:
        return best
    for start in (match for match in tried[:_STARTS] if worth(match) > _HOPELESS):
        best = max(best, _fitted(a, b, start), key=lambda match: match.similarity)
        if best.similarity > _GOOD:
            break
    return best


def _fitted(a: Film, b: Film, match: Match) -> Match:
    """Fitted finely; once the place is better known, the time is looked for again."""
    fitted = refine(a, b, match)
    if fitted.similarity > _GOOD or worth(fitted) < worth(match) + 0.02:
        return fitted
    again = _timed(a, b, fitted.window, fitted.is_mirrored)
    return refine(a, b, again) if worth(again) > worth(fitted) else fitted


def _compare_stills(a: Film, b: Film) -> Match:
    places = [(WHOLE, False), (WHOLE, True), *_places(a.pictures, b.pictures)]
    tried = [judged(a, b, Match(window=w, is_mirrored=m)) for w, m in places]
    best = refine(a, b, max(tried, key=lambda match: match.picture))
    return dataclasses.replace(best, change=best.picture - 0.1)


# Space


@lru_cache(maxsize=1)
def _parts() -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Matrices [p * _SEARCH, SIDE] that read parts of an edge, and the parts."""
    parts = [(0.0, 1.0)]
    for size in (0.95, 0.9, 0.85, 0.8, 0.74):
        count = round((1 - size) / 0.05) + 1
        parts += [(float(s), float(s + size)) for s in np.linspace(0, 1 - size, count)]
    return np.concatenate([resample(*part, _SEARCH) for part in parts]), parts


def _places(a: np.ndarray, b: np.ndarray) -> list[tuple[Window, bool]]:
    """The two likeliest windows of ``a`` that ``b`` shows, and whether mirrored, from a few pictures of each."""
    hits = _search(_evenly(b, 3), _evenly(a, 12))[:2]
    for agreement, window, mirrored in _search(_evenly(a, 3), _evenly(b, 12))[:2]:
        top, bottom, left, right = window
        h, w = bottom - top, right - left
        inverse = (-top / h, (1 - top) / h, -left / w, (1 - left) / w)
        if mirrored:
            inverse = (*inverse[:2], 1 - inverse[3], 1 - inverse[2])
        hits.append((agreement, inverse, mirrored))
    hits.sort(key=lambda hit: -hit[0])
    return [(window, mirrored) for agreement, window, mirrored in hits[:2] if agreement > 0.5]


def _search(inner: np.ndarray, outer: np.ndarray) -> list[tuple[float, Window, bool]]:
    """The part of each ``outer`` picture that looks most like an ``inner`` one, best first."""
    bank, parts = _parts()
    p, cells = len(parts), _SEARCH**2
    whole = resample(0.0, 1.0, _SEARCH)
    targets = whole @ inner @ whole.T
    targets = np.concatenate([targets, targets[:, :, ::-1]]).reshape(-1, cells)
    targets = targets - targets.mean(1, keepdims=True)
    targets /= np.linalg.norm(targets, axis=1, keepdims=True) + 1e-3
    found = []
    for picture in outer:
        read = (
            (bank @ picture @ bank.T).reshape(p, _SEARCH, p, _SEARCH).transpose(0, 2, 1, 3).reshape(-1, cells)
        )
        # The targets have no mean, so that of the parts does not count in the product, only in their length.
        length = np.sqrt(np.maximum((read * read).sum(1) - cells * read.mean(1) ** 2, 0)) + 1e-3
        agreement = (read @ targets.T) / length[:, None]
        best = int(agreement.argmax())
        part, target = divmod(best, len(targets))
        window = (*parts[part // p], *parts[part % p])
        found.append((float(agreement.flat[best]), window, target >= len(inner)))
    return sorted(found, key=lambda hit: -hit[0])


def _evenly(pictures: np.ndarray, count: int) -> np.ndarray:
    return pictures[np.unique(np.linspace(0, len(pictures) - 1, count).round().astype(int))]


# Time


def _timed(a: Film, b: Film, window: Window, is_mirrored: bool) -> Match:
    """The match at the speed and offset at which changes agree best, the place being given."""
    visible = seen(window, is_mirrored)
    p = (warp(a.pictures, window, is_mirrored) * visible).reshape(len(a.pictures), -1)
    q = (b.pictures * visible).reshape(len(b.pictures), -1)
    p, q = p - p.mean(0), q - q.mean(0)
    cross, own_p, own_q = p @ q.T, (p * p).sum(1), (q * q).sum(1)
    after = np.append((p[:-1] * p[1:]).sum(1), 0.0)
    floor = _FLOOR * p.shape[1]
    least = max(2.0, LEAST_OVERLAP * min(len(p), len(q)))
    best, found = -np.inf, Match(window=window, is_mirrored=is_mirrored)
    # Of long spans some moments tell enough, and their number bounds what a pair costs.
    j = np.unique(np.linspace(0, len(q) - 1, min(_MOMENTS, len(q))).round().astype(int))
    least, own_q = least * len(j) / len(q), own_q[j]
    for speed in SPEEDS:
        first, last = a.seconds[0] - speed * b.seconds[-1], a.seconds[-1] - speed * b.seconds[0]
        offsets = np.arange(first, last + 1e-6, _STEP_S)
        low, high, part, valid = between(a.seconds, offsets[:, None] + speed * b.seconds[j])
        mixed = (1 - part) * cross[low, j] + part * cross[high, j]
        power = (1 - part) ** 2 * own_p[low] + part**2 * own_p[high] + 2 * part * (1 - part) * after[low]
        both = np.sqrt((power * valid).sum(1) * (own_q * valid).sum(1)) + floor * valid.sum(1) + 1e-3
        agreement = np.where(valid.sum(1) >= least, (mixed * valid).sum(1) / both, -np.inf)
        k = int(agreement.argmax())
        if agreement[k] > best:
            best = agreement[k]
            found = dataclasses.replace(found, speed=speed, offset_s=float(offsets[k]))
    return judged(a, b, found)
