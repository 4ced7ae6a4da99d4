"""Distances of whole sets of clips, from the features that were kept of each clip."""

import numpy as np
import torch
from torch import Tensor

from worldfoundry.evaluate.config import ALL, Row, Score
from worldfoundry.evaluate.distribution import frechet_distance, in_units_of, kernel_distance
from worldfoundry.evaluate.features import FeatureSet
from worldfoundry.evaluate.tokenizer_config import REAL

TRUTH = "truth"
_LEAST_VIDEOS = 16
"""For true clips against true clips: what halves of fewer differ by says which videos they are, and nothing else."""
_LEAST_VARIANCE = 1e-10
"""Copies of one clip do not span a unit to measure in; the distance would be anything."""
ClipFeatures = dict[str, list[list[Tensor]]]
"""Of one clip: row or ``truth`` -> extractor -> network -> [1 n d]."""


def distances(found: list[ClipFeatures], extractors: list[FeatureSet], videos: list[int]) -> dict[str, Row]:
    """Of each row from the truth, and of true clips from true clips of other videos where there are enough.

    Nothing where there is but one video, or copies of one.
    """
    sources = torch.tensor(videos)[:, None]
    table: dict[str, Row] = {}
    if len(sources.unique()) < 2:
        return table
    first, second = _halves(sources)
    for e, extractor in enumerate(extractors):
        truth = _stacked(found, TRUTH, e)
        if any(float(x.flatten(0, 1).std(0).square().mean()) < _LEAST_VARIANCE for x in truth):
            continue
        for row in (name for name in found[0] if name != TRUTH):
            sets = list(zip(truth, _stacked(found, row, e), strict=True))
            table.setdefault(row, {}).update(_named(extractor, sets, sources))
        if len(sources.unique()) >= _LEAST_VIDEOS:
            pairs = torch.cat([sources[first], sources[second]], dim=1)
            real = [(x[first], x[second]) for x in truth]
            table.setdefault(REAL, {}).update(_named(extractor, real, pairs))
    return table


def _halves(sources: Tensor) -> tuple[Tensor, Tensor]:
    """As many clips of videos at even places as of those at odd ones."""
    place = torch.searchsorted(sources.unique(), sources[:, 0].contiguous())
    even, odd = ((place % 2 == k).nonzero()[:, 0] for k in (0, 1))
    count = min(len(even), len(odd))
    return even[:count], odd[:count]


def _stacked(found: list[ClipFeatures], row: str, extractor: int) -> list[Tensor]:
    """[m n d] of every network."""
    return [torch.cat(parts) for parts in zip(*(f[row][extractor] for f in found), strict=True)]


def _named(extractor: FeatureSet, sets: list[tuple[Tensor, Tensor]], sources: Tensor) -> Row:
    """The distances of one pair of sets by name, averaged over the extractor's networks."""
    count = len(sources)
    scaled = sets if extractor.is_official else [in_units_of(truth, other) for truth, other in sets]
    estimates = [kernel_distance(truth, other, sources) for truth, other in scaled]
    intervals = [e.ci95 for e in estimates if e.ci95 is not None]
    low, high = np.mean(intervals, axis=0) if intervals else (0.0, 0.0)
    score = Score(
        mean=float(np.mean([e.value for e in estimates])),
        ci95=(float(low), float(high)) if intervals else None,
        n=count,
    )
    named = {f"kernel-distance/{extractor.name}_set": {ALL: score}}
    if extractor.is_official:
        distance = frechet_distance(*(x.flatten(0, 1) for x in sets[0]))
        name = f"{'rFID' if extractor.kind == 'frames' else 'rFVD'}/{extractor.name}_set"
        named[name] = {ALL: Score(mean=distance, ci95=None, n=count)}
    return named
