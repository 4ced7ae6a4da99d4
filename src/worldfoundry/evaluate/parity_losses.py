"""The golden case ``losses``: every loss of a tokenizer's training and the metrics of its evaluation."""

from collections.abc import Iterator

import torch
from torch import Tensor

from worldfoundry.evaluate.metrics import frame_psnr, frame_ssim
from worldfoundry.evaluate.parity import Check, GoldenCase
from worldfoundry.models.tokenizer import losses
from worldfoundry.models.tokenizer.perceptual import VGG_LAYER_WEIGHTS, scale_images
from worldfoundry.models.tokenizer.quantize import codebook_usage, count_codes

LOSS_TOLERANCE = 1e-5
"""Relative to the largest reference value."""
PERCEPTUAL_WEIGHT, GRAM_WEIGHT, FLOW_WEIGHT, KL_WEIGHT = 0.1, 0.062, 0.01, 1e-6
"""With which the reference stored its values."""
_WINDOW_STEP = 4
_CODEBOOK_SIZE = 64


def compare_losses(case: GoldenCase) -> Iterator[Check]:
    """Losses on stored tensors and stored features, then the metrics."""
    t = case.tensors
    yield _check("color", (losses.absolute_error(t["input"], t["recon"]), t["color"]))
    yield _check("kl", (KL_WEIGHT * losses.kl_divergence(t["kl.mean"], t["kl.logvar"]), t["kl"]))
    for kind in ("image", "video"):
        yield from _compare_features(kind, case)
    yield _check("scaling-layer", (scale_images(t["scaling_layer.input"]), t["scaling_layer.output"]))
    flow = losses.flow_distance(t["input"], t["recon"], estimate=_difference)
    yield _check("flow", (FLOW_WEIGHT * flow, t["flow"]))
    yield from _compare_consistency(case)
    yield _check("reduce-mean", (t["color"].mean()[None], t["reduce.MEAN"]))
    clips, frames = len(t["color"]), t["color"].shape[2]
    sums = losses.absolute_error(t["input"], t["recon"]).sum()[None] / clips
    yield _check("reduce-sum", (sums, t["reduce.SUM"]), (sums / frames, t["reduce.SUM_PER_FRAME"]))
    yield from _compare_metrics(case)


def _check(part: str, *pairs: tuple[Tensor, Tensor]) -> Check:
    """Ours and the reference in units of the reference's largest value."""
    units = [float(theirs.abs().max()) or 1.0 for _, theirs in pairs]
    scaled = [(ours / unit, theirs / unit) for unit, (ours, theirs) in zip(units, pairs, strict=True)]
    return Check(part=part, pairs=scaled, tolerance=LOSS_TOLERANCE)


def _compare_features(kind: str, case: GoldenCase) -> Iterator[Check]:
    """The reference spreads one value over all pixels; ours is that value."""
    t = case.under(f"{kind}.")
    truth, recon = ([t[f"feat{i + first}"] for i in range(5)] for first in (0, 5))
    frames = len(truth[0]) // len(t["lpips"])
    perceptual = losses.perceptual_distance(truth, recon, VGG_LAYER_WEIGHTS)
    gram = losses.gram_distance(truth, recon, VGG_LAYER_WEIGHTS, num_frames=frames)
    if kind == "video":
        perceptual = perceptual.view(len(t["lpips"]), 1, frames, 1, 1)
    for name, ours, weight in (("lpips", perceptual, PERCEPTUAL_WEIGHT), ("gram", gram, GRAM_WEIGHT)):
        reference = t[name]
        spread = ours.reshape(*ours.shape, *(1,) * (reference.ndim - ours.ndim)).expand(reference.shape)
        yield _check(f"{kind}-{name}", (weight * spread, reference))


def _difference(first: Tensor, second: Tensor) -> Tensor:
    """The reference's stand-in for an estimator of flow."""
    return (second - first)[:, :2]


def _compare_consistency(case: GoldenCase) -> Iterator[Check]:
    t = case.under("consistency.")
    clips, length = t["video"].shape[0], t["shuffled"].shape[2]
    windows = losses.cut_windows(t["video"], num_frames=length, step=_WINDOW_STEP)
    joined = losses.join_windows(t["recon"], num_clips=clips, step=_WINDOW_STEP)
    ours = losses.consistency(t["recon"], t["latent"], num_clips=clips, step=_WINDOW_STEP)
    yield _check("windows", (windows, t["shuffled"]), (joined, t["unshuffled"]))
    yield _check("consistency", (ours.frames[None], t["frame"]), (ours.latents[None], t["latent_value"]))


def _compare_metrics(case: GoldenCase) -> Iterator[Check]:
    t = case.tensors
    ours = {
        "psnr": frame_psnr(t["input"], t["recon"]).mean(),
        "ssim": frame_ssim(t["input"], t["recon"], window="uniform-7").mean(),
        "perplexity": codebook_usage(count_codes(t["metric.indices"], _CODEBOOK_SIZE)).perplexity,
    }
    for name, value in ours.items():
        yield _check(name, (torch.as_tensor(value).reshape(1), t[f"metric.{name}"]))
