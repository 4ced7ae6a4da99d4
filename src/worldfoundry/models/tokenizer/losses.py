"""What a tokenizer is trained for: losses of a reconstruction, each without its weight.

Clips are ``[b c t h w]`` and images ``[b c h w]``, in [-1, 1]. A loss has one value an element, an image or a clip; its mean is
what is minimised. Extractors of features are in ``perceptual``, the judge of the adversarial loss in ``discriminator``.

Source: arXiv 2501.03575, section 4.2 (which losses, and when); the formulas are those of the published post-training, except
``warped_error`` and the adversarial losses, of which nothing is published.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  the field's name
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from worldfoundry.core.errors import ConfigError

FlowEstimator = Callable[[Tensor, Tensor], Tensor]
"""Two batches of images ``[n 3 h w]`` to the flow ``[n 2 h w]`` from the first to the second, pixels; differentiable."""


def absolute_error(
    truth: Float[Tensor, "b c *thw"], recon: Float[Tensor, "b c *thw"]
) -> Float[Tensor, "b c *thw"]:
    """``|x - y|`` of every element: L1."""
    return (truth - recon).abs()


def kl_divergence(
    mean: Float[Tensor, "b c *thw"], log_variance: Float[Tensor, "b c *thw"]
) -> Float[Tensor, "b c *thw"]:
    """Of a variational tokenizer's posterior from the standard normal distribution, every element."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def perceptual_distance(
    truth: Sequence[Float[Tensor, "n _ _ _"]],
    recon: Sequence[Float[Tensor, "n _ _ _"]],
    weights: Sequence[float],
) -> Float[Tensor, " n"]:
    """Weighted sum over layers of the mean absolute difference of features, one value an image."""
    layers = zip(weights, truth, recon, strict=True)
    return sum((w * (a - b).abs().mean(dim=(1, 2, 3)) for w, a, b in layers), _zeros(truth))


def gram_matrix(features: Float[Tensor, "n c *axes"]) -> Float[Tensor, "n c c"]:
    """Mean product of every pair of channels over all positions: what there is, wherever it is."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def gram_distance(
    truth: Sequence[Float[Tensor, "n _ _ _"]],
    recon: Sequence[Float[Tensor, "n _ _ _"]],
    weights: Sequence[float],
    *,
    num_frames: int = 1,
) -> Float[Tensor, " b"]:
    """Weighted sum over layers of the mean squared difference of Gram matrices, one value a clip.

    ``num_frames`` consecutive images are one clip, whose frames share one matrix.
    """

    def matrix(features: Tensor) -> Tensor:
        return gram_matrix(rearrange(features, "(b t) c h w -> b c t h w", t=num_frames))

    layers = zip(weights, truth, recon, strict=True)
    terms = (w * (matrix(a) - matrix(b)).square().mean(dim=(1, 2)) for w, a, b in layers)
    return sum(terms, _zeros(truth)[::num_frames])


def _zeros(features: Sequence[Tensor]) -> Tensor:
    return torch.zeros(len(features[0]), device=features[0].device, dtype=features[0].dtype)


def flow_distance(
    truth: Float[Tensor, "b 3 t h w"],
    recon: Float[Tensor, "b 3 t h w"],
    *,
    estimate: FlowEstimator,
    scale: int = 2,
) -> Float[Tensor, "b 1 u h w"]:
    """Absolute difference of the flow of both clips, ``2 (t - 1)`` fields: forward, then of the clip in reverse.

    Flow is estimated on the clip made ``scale`` times smaller, and enlarged again, lengths too.
    """
    return (_flow(truth, estimate, scale) - _flow(recon, estimate, scale)).abs().mean(dim=1, keepdim=True)


def _flow(clip: Tensor, estimate: FlowEstimator, scale: int) -> Tensor:
    b, _, t, h, w = clip.shape
    small = F.interpolate(clip, size=(t, h // scale, w // scale), mode="trilinear")

    def neighbours(frames: Tensor) -> Tensor:
        pair = (rearrange(x, "b c t h w -> (b t) c h w") for x in (frames[:, :, :-1], frames[:, :, 1:]))
        return rearrange(estimate(*pair), "(b t) c h w -> b c t h w", b=b)

    both = torch.cat([neighbours(small), neighbours(small.flip(2)).flip(2)], dim=2) * scale
    return F.interpolate(both, size=(2 * (t - 1), h, w), mode="trilinear")


def warped_error(
    truth: Float[Tensor, "b 3 t h w"],
    recon: Float[Tensor, "b 3 t h w"],
    *,
    forward: Float[Tensor, "b 2 u h w"],
    backward: Float[Tensor, "b 2 u h w"],
) -> Float[Tensor, "b 3 v h w"]:
    """How much the reconstruction changes along the motion of the truth where the truth does not, ``2 (t - 1)`` fields.

    With ``W`` fetching the next frame along the true flow it is ``|(W y' - y) - (W x' - x)|``, and as ``W`` is linear, the
    change of the error ``y - x`` on its way: flicker, and details that stick to the screen while things move. It takes the
    flow of the truth alone, so that an estimator without gradients will do. ``forward`` leads from each frame to the next,
    ``backward`` back, in pixels (columns, rows).

    Source: temporal warping losses, arXiv 1808.00449, here on the error instead of the picture.
    """
    error = recon - truth
    before, after = error[:, :, :-1], error[:, :, 1:]
    there, back = warp(after, forward) - before, warp(before, backward) - after
    return torch.cat([there, back], dim=2).abs()


def warp(frames: Float[Tensor, "b c t h w"], flow: Float[Tensor, "b 2 t h w"]) -> Float[Tensor, "b c t h w"]:
    """Each pixel fetched from where its flow (columns, rows; pixels) leads; bilinear, borders repeated."""
    b, _, _, h, w = frames.shape
    y, x = torch.meshgrid(
        torch.arange(h, device=flow.device, dtype=flow.dtype),
        torch.arange(w, device=flow.device, dtype=flow.dtype),
        indexing="ij",
    )
    place = rearrange(flow, "b c t h w -> (b t) h w c") + torch.stack([x, y], dim=-1)
    grid = (2 * place + 1) / torch.tensor([w, h], device=flow.device, dtype=flow.dtype) - 1
    images = rearrange(frames, "b c t h w -> (b t) c h w")
    moved = F.grid_sample(
        images, grid.to(images.dtype), mode="bilinear", padding_mode="border", align_corners=False
    )
    return rearrange(moved, "(b t) c h w -> b c t h w", b=b)


class Consistency(NamedTuple):
    """How far overlapping windows disagree about the frames, and the latents, that they share."""

    frames: Tensor
    """Mean absolute difference of shared frames in neighbouring windows."""
    latents: Tensor
    """The same of latents, times the pixel values for each latent value."""


def cut_windows(
    clip: Float[Tensor, "b c t h w"], *, num_frames: int, step: int
) -> Float[Tensor, "bk c n h w"]:
    """Windows of ``num_frames``, ``step`` apart, those of one clip together; a clip that they do not fill is an error."""
    if (clip.shape[2] - num_frames) % step or clip.shape[2] < num_frames:
        raise ConfigError(
            f"a clip in windows of {num_frames} frames, {step} apart, must have {num_frames} frames and a multiple of {step} "
            f"more, got {clip.shape[2]}; change the clip or the windows"
        )
    return rearrange(clip.unfold(2, num_frames, step), "b c k h w n -> (b k) c n h w")


def join_windows(
    windows: Float[Tensor, "bk c n h w"], *, num_clips: int, step: int
) -> Float[Tensor, "b c t h w"]:
    """Inverse of ``cut_windows``; a frame in several windows is their mean."""
    parts = rearrange(windows, "(b k) c n h w -> b k c n h w", b=num_clips)
    b, k, c, n, h, w = parts.shape
    total = windows.new_zeros(b, c, (k - 1) * step + n, h, w)
    count = windows.new_zeros(total.shape[2])
    for i in range(k):
        span = slice(i * step, i * step + n)
        total = torch.cat(
            [total[:, :, : span.start], total[:, :, span] + parts[:, i], total[:, :, span.stop :]], dim=2
        )
        count[span] += 1
    return total / count[:, None, None]


def consistency(
    recon: Float[Tensor, "bk c n h w"], latents: Float[Tensor, "bk z m i j"], *, num_clips: int, step: int
) -> Consistency:
    """Disagreement of windows that were encoded and decoded each on its own.

    Latents overlap by as many as the frames do, rounded to the latent's own stride.
    """
    frames, codes = (rearrange(x, "(b k) c n h w -> b k c n h w", b=num_clips) for x in (recon, latents))
    n, m = frames.shape[3], codes.shape[3]
    lag = max(1, round(step * (m - 1) / max(1, n - 1)))
    values = frames[0, 0].numel() / codes[0, 0].numel()
    return Consistency(
        frames=(frames[:, :-1, :, step:] - frames[:, 1:, :, : n - step]).abs().mean(),
        latents=(codes[:, :-1, :, lag:] - codes[:, 1:, :, : m - lag]).abs().mean() * values,
    )


def discriminator_hinge(real: Float[Tensor, "..."], fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """What the judge minimises: true clips above 1, reconstructions below -1.

    Source: arXiv 1705.02894.
    """
    return (F.relu(1 - real).mean() + F.relu(1 + fake).mean()) / 2


def generator_hinge(fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """What the tokenizer minimises: the judge's score of a reconstruction, negated."""
    return -fake.mean()
