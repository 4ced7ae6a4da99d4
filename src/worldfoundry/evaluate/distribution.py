"""Distances between the distributions of two sets of features.

The *kernel distance* is the squared maximum mean discrepancy with the polynomial kernel ``(x . y / d + 1)^3``, without
bias: two samples of one distribution have 0 on average, at any number of clips, and single values may be below it. The
*Fréchet distance* is that of FID and FVD; it is biased upwards by hundreds where clips are few, so compare it at equal
numbers only.

Source: arXiv 1801.01401 (kernel distance), arXiv 1706.08500 (Fréchet distance).
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from worldfoundry.core.errors import DataError


class Estimate(NamedTuple):
    """A distance with its interval."""

    value: float
    """Of all clips."""
    ci95: tuple[float, float] | None
    """95 % interval by the jackknife over videos; none for fewer than three."""


def kernel_distance(
    truth: Float[Tensor, "m n d"], other: Float[Tensor, "m n d"], sources: Int[Tensor, "m s"]
) -> Estimate:
    """Of ``m`` clips with ``n`` features each; row ``i`` of ``sources`` numbers the videos that clip ``i`` of either set is from.

    Clips that share a video are never compared with each other, least of all a clip with its own reconstruction: they are not
    independent draws, and would pull the distance below zero. Identical sets have none. The jackknife leaves out one
    video at a time, by the first column.
    """
    apart = ~(sources[:, None, :, None] == sources[None, :, None, :]).any(-1).any(-1)
    if truth.shape != other.shape or not apart.any():
        raise DataError(
            f"a kernel distance needs as many clips of one as of the other, from two videos or more, got {list(truth.shape)} and "
            f"{list(other.shape)} from {len(sources[:, 0].unique())}; give more videos"
        )
    cross = _block_sums(truth, other)
    pairs = (_block_sums(truth, truth) + _block_sums(other, other) - cross - cross.T) / truth.shape[1] ** 2
    value = float(pairs[apart].mean())
    videos = sources[:, 0].unique()
    if len(videos) < 3:
        return Estimate(value, None)
    kept = [apart & (sources[:, 0] != v)[:, None] & (sources[:, 0] != v) for v in videos]
    left_out = torch.stack([pairs[k].mean() for k in kept])
    count = len(videos)
    error = math.sqrt((count - 1) / count * float((left_out - left_out.mean()).square().sum()))
    return Estimate(value, (value - 1.96 * error, value + 1.96 * error))


def _block_sums(x: Float[Tensor, "m n d"], y: Float[Tensor, "l k d"]) -> Float[Tensor, "m l"]:
    """Sum of the kernel over all pairs of features, a number for each pair of clips."""
    flat = y.flatten(0, 1).T
    rows = [
        ((clip @ flat / clip.shape[-1] + 1) ** 3).view(len(clip), len(y), -1).sum(dim=(0, 2)) for clip in x
    ]
    return torch.stack(rows)


def frechet_distance(truth: Float[Tensor, "n d"], other: Float[Tensor, "k d"]) -> float:
    """Between normal distributions of the same means and covariances as the two sets."""
    if min(len(truth), len(other)) < 2:
        raise DataError(
            f"a Fréchet distance needs two features or more of each, got {len(truth)} and {len(other)}; give more clips"
        )
    means, covariances = zip(*((x.mean(0), torch.cov(x.T)) for x in (truth, other)), strict=True)
    root = _root(covariances[0])
    cross = torch.linalg.eigvalsh(root @ covariances[1] @ root).clamp_min(0).sqrt().sum()
    traces = covariances[0].trace() + covariances[1].trace()
    return float((means[0] - means[1]).square().sum() + traces - 2 * cross)


def _root(matrix: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp_min(0).sqrt() @ vectors.T


def in_units_of(
    truth: Float[Tensor, "m n d"], other: Float[Tensor, "m n d"]
) -> tuple[Float[Tensor, "m n d"], Float[Tensor, "m n d"]]:
    """Both with the mean of ``truth`` taken out, in units of its root mean square deviation: one number for all features.

    A deviation of each feature for itself would be tiny by chance where clips are few, and the distance anything.
    """
    mean = truth.mean(dim=(0, 1))
    scale = (truth - mean).square().mean().sqrt().clamp_min(1e-12)
    return (truth - mean) / scale, (other - mean) / scale
