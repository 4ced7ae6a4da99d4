"""The EDM process: noise levels, preconditioned denoising, given frames and the training loss.

A noisy latent is ``x = x0 + sigma * noise``: ``sigma`` is the standard deviation of the noise, from 0 (data) up. The network
F predicts through ``D(x; sigma) = c_skip x + c_out F(c_in x; c_noise)``. A *network* here is anything that maps the scaled
latents and ``c_noise [b]`` to F; text, fps and masks are bound to it beforehand with ``functools.partial``.

Axes: ``b`` batch, ``c`` channels, ``t h w`` latent frames, rows and columns.

Source: arXiv 2206.00364 (EDM); arXiv 2501.03575 section 5 (given frames); arXiv 2312.02696 (learned uncertainty).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from worldfoundry.models.common.embeddings import RandomFourierFeatures
from worldfoundry.models.diffusion.config import EDMConfig

Network = Callable[..., Tensor]


class Preconditioning(NamedTuple):
    """The coefficients of EDM at given noise levels."""

    c_skip: Float[Tensor, "*s"]
    c_out: Float[Tensor, "*s"]
    c_in: Float[Tensor, "*s"]
    c_noise: Float[Tensor, "*s"]
    loss_weight: Float[Tensor, "*s"]


def preconditioning(sigma: Float[Tensor, "*s"], sigma_data: float) -> Preconditioning:
    """Coefficients at ``sigma``, in its precision."""
    variance = sigma**2 + sigma_data**2
    return Preconditioning(
        c_skip=sigma_data**2 / variance,
        c_out=sigma * sigma_data / variance.sqrt(),
        c_in=1 / variance.sqrt(),
        c_noise=sigma.log() / 4,
        loss_weight=variance / (sigma * sigma_data) ** 2,
    )


def _per_sample(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1, 1) if values.ndim else values


def denoise(
    network: Network, x: Float[Tensor, "b c t h w"], sigma: Float[Tensor, "*s"], *, sigma_data: float
) -> Float[Tensor, "b c t h w"]:
    """Predict the clean latents, float32; ``sigma`` is one level for each sample or one for all.

    The network sees its input and ``c_noise`` in the precision of ``x``.
    """
    c = preconditioning(sigma.float(), sigma_data)
    scaled = (x * _per_sample(c.c_in)).to(x.dtype)
    raw = network(scaled, c.c_noise.to(x.dtype).expand(len(x)))
    return _per_sample(c.c_skip) * x.float() + _per_sample(c.c_out) * raw


def guide(conditional: Network, unconditional: Network, guidance: float) -> Network:
    """Classifier-free guidance: ``Fc + g (Fc - Fu)``; 0 is unguided, -1 is ``unconditional`` alone."""

    def network(x: Tensor, c_noise: Tensor) -> Tensor:
        given = conditional(x, c_noise)
        return given + guidance * (given - unconditional(x, c_noise))

    return network


def given_indicator(
    num_given: Int[Tensor, " b"], num_frames: int, *, num_views: int = 1
) -> Float[Tensor, "b 1 t 1 1"]:
    """1 on the first ``num_given`` latent frames of each sample, 0 after them; of several views, in each of them."""
    frames = torch.arange(num_frames // num_views, device=num_given.device).repeat(num_views)
    return (frames < num_given[:, None]).float()[:, None, :, None, None]


def corrupt_given(
    latents: Float[Tensor, "b c t h w"],
    noise: Float[Tensor, "b c t h w"],
    augment_sigma: Float[Tensor, "*a"],
    sigma: Float[Tensor, "*s"],
    sigma_data: float,
) -> Float[Tensor, "b c t h w"]:
    """Given latents with noise at ``augment_sigma``, scaled so that the ``c_in`` of ``sigma`` turns into theirs."""
    scale = preconditioning(augment_sigma, sigma_data).c_in / preconditioning(sigma, sigma_data).c_in
    return (latents + noise * _per_sample(augment_sigma)) * _per_sample(scale)


class Uncertainty(nn.Module):
    """Learned log variance of the loss at each noise level, a linear function of random Fourier features."""

    def __init__(self, dim: int = 128, *, generator: torch.Generator | None = None):
        super().__init__()
        features = RandomFourierFeatures(dim, generator=generator)
        self.logvar = nn.Sequential(features, nn.Linear(dim, 1, bias=False))
        nn.init.uniform_(self.logvar.get_parameter("1.weight"), -(dim**-0.5), dim**-0.5, generator=generator)

    def forward(self, c_noise: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """One value for each sample."""
        return self.logvar(c_noise)[:, 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingNoise:
    """What one training step draws at random."""

    sigma: Float[Tensor, " b"]
    """Noise level of each sample."""
    noise: Float[Tensor, "b c t h w"]
    """Standard normal; what ``sigma`` scales."""
    augment_sigma: Float[Tensor, " b"]
    """Noise level of the given frames of each sample."""
    augment_noise: Float[Tensor, "b c t h w"]
    """Standard normal; what ``augment_sigma`` scales."""


def draw_training_noise(
    latents: Float[Tensor, "b c t h w"], *, config: EDMConfig, generator: torch.Generator
) -> TrainingNoise:
    """Log-normal noise levels and normal noise, float32, from ``generator`` alone (whatever its device)."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=generator.device).to(latents.device)

    b = len(latents)
    return TrainingNoise(
        sigma=(config.p_mean + config.p_std * normal(b)).exp() * config.sigma_multiplier,
        noise=normal(*latents.shape),
        augment_sigma=(config.augment_p_mean + config.augment_p_std * normal(b)).exp()
        * config.augment_sigma_multiplier,
        augment_noise=normal(*latents.shape),
    )


def edm_loss_at(
    network: Network,
    latents: Float[Tensor, "b c t h w"],
    noise: TrainingNoise,
    *,
    config: EDMConfig,
    given: Float[Tensor, "b 1 t 1 1"] | None = None,
    uncertainty: Uncertainty | None = None,
) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
    """The loss at stated noise; see ``edm_loss``."""
    c = preconditioning(noise.sigma, config.sigma_data)
    x = latents + noise.noise * _per_sample(noise.sigma)
    if given is None:
        predicted = denoise(network, x, noise.sigma, sigma_data=config.sigma_data)
        error = (latents - predicted) ** 2
        num_predicted = error.numel()
    else:
        corrupted = corrupt_given(
            latents, noise.augment_noise, noise.augment_sigma, noise.sigma, config.sigma_data
        )
        mask = given.expand(-1, 1, *x.shape[2:])

        def masked(scaled: Tensor, c_noise: Tensor) -> Tensor:
            return network(scaled, c_noise, condition_mask=mask)

        predicted = denoise(
            masked, torch.where(given > 0, corrupted, x), noise.sigma, sigma_data=config.sigma_data
        )
        error = (latents - predicted) ** 2 * (1 - given)
        num_predicted = (1 - given).sum() * (error.numel() / given.numel())
    weighted = error * _per_sample(c.loss_weight)
    logs = {"mse": error.detach().sum() / num_predicted, "edm": weighted.detach().mean()}
    if uncertainty is not None:
        u = uncertainty(c.c_noise)
        weighted = weighted * _per_sample(torch.exp(-u)) + _per_sample(u)
        logs["uncertainty"] = u.detach().mean()
    total = weighted.mean() if config.loss_reduction == "mean" else weighted.flatten(1).sum(1).mean()
    return total * config.loss_scale, logs


def edm_loss(
    network: Network,
    latents: Float[Tensor, "b c t h w"],
    *,
    config: EDMConfig,
    generator: torch.Generator,
    given: Float[Tensor, "b 1 t 1 1"] | None = None,
    uncertainty: Uncertainty | None = None,
) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
    """Denoising loss at random noise levels, and what to log.

    ``latents`` have standard deviation ``sigma_data``. Frames where ``given`` is 1 enter with their own, usually small,
    noise and are marked in ``condition_mask``; their error counts as zero in the mean. With ``uncertainty`` the loss of a
    sample is ``l exp(-u) + u``. The logs hold ``mse`` (over predicted frames, unweighted), ``edm`` (weighted) and
    ``uncertainty``.
    """
    noise = draw_training_noise(latents, config=config, generator=generator)
    return edm_loss_at(network, latents, noise, config=config, given=given, uncertainty=uncertainty)
