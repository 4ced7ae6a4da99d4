"""Samplers: from noise to latents along falling noise levels. One loop; what differs is the step.

A denoiser is any ``f(x, sigma) -> x0`` with ``sigma`` a scalar tensor, such as
``functools.partial(denoise, network, sigma_data=0.5)``.

Axes: ``b`` batch, ``c`` channels, ``t h w`` latent frames, rows and columns, ``s`` noise levels from high to low.

Sources: arXiv 2206.00364 (schedule, Euler); arXiv 2308.02157 (RES); arXiv 2501.03575 (given frames).
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor

from worldfoundry.core.errors import ConfigError
from worldfoundry.models.diffusion.edm import corrupt_given, preconditioning

Denoiser = Callable[[Tensor, Tensor], Tensor]


def karras_sigmas(num: int, *, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Float64[Tensor, " s"]:
    """``num`` levels from ``sigma_max`` down to ``sigma_min``, evenly spaced in ``sigma ** (1 / rho)``."""
    if num < 2:
        raise ConfigError(f"a schedule must have at least 2 noise levels, got {num}; use more steps")
    ramp = torch.arange(num, dtype=torch.float64) / (num - 1)
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return (high + ramp * (low - high)) ** rho


def edm_euler_sigmas(
    num_steps: int, *, sigma_min: float = 0.0002, sigma_max: float = 80.0, rho: float = 7.0
) -> Float32[Tensor, " s"]:
    """Levels for ``num_steps`` Euler steps; the last step goes to 0."""
    sigmas = karras_sigmas(num_steps, sigma_min=sigma_min, sigma_max=sigma_max, rho=rho)
    return torch.cat((sigmas, sigmas.new_zeros(1))).float()


def res_sigmas(
    num_steps: int, *, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0
) -> Float64[Tensor, " s"]:
    """Levels for ``num_steps`` RES steps; the clean-up happens at the last of them."""
    return karras_sigmas(num_steps + 1, sigma_min=sigma_min, sigma_max=sigma_max, rho=rho)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenFrames:
    """Latent frames that the sampler is given and must keep."""

    latents: Float[Tensor, "b c t h w"]
    """The given frames in their places; the rest is not read."""
    indicator: Float[Tensor, "#b 1 t 1 1"]
    """1 on given frames."""
    noise: Float[Tensor, "b c t h w"]
    """Standard normal; the same at every step."""
    augment_sigma: float
    """Noise level at which the network sees the given frames; below it they are denoised like the others."""
    sigma_data: float = 0.5
    """Standard deviation of the latents as the process sees them."""
    is_first_release: bool = False
    """Reproduce a bug of the first published sampler, after which given frames come out about 1.6 times too large."""

    def _active(self, sigma: Tensor) -> Tensor:
        return (self.indicator > 0) & (sigma > self.augment_sigma).to(self.indicator.device)

    def mix(self, x: Float[Tensor, "b c t h w"], sigma: Float[Tensor, ""]) -> Float[Tensor, "b c t h w"]:
        """``x`` with its given frames replaced by the noisy latents that the network expects at ``sigma``."""
        augment_sigma = torch.tensor(self.augment_sigma, device=x.device)
        seen = corrupt_given(self.latents.float(), self.noise, augment_sigma, sigma.float(), self.sigma_data)
        return torch.where(self._active(sigma), seen.to(x.dtype), x)

    def replace(
        self, x0: Float[Tensor, "b c t h w"], sigma: Float[Tensor, ""], seen: Float[Tensor, "b c t h w"]
    ) -> Float[Tensor, "b c t h w"]:
        """A prediction from ``seen`` with its given frames replaced by the given latents."""
        latents = self.latents.to(x0.dtype)
        if self.is_first_release:
            c = preconditioning(sigma.float(), self.sigma_data)
            latents = latents + c.c_skip * (1 - c.c_out) * seen.to(x0.dtype)
        return torch.where(self._active(sigma), latents, x0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evaluation:
    """One call of the denoiser."""

    sigma: Tensor
    seen: Tensor
    x0: Tensor


Step = Callable[[Tensor, Tensor, _Evaluation, _Evaluation | None], Tensor]


def _evaluate(denoiser: Denoiser, x: Tensor, sigma: Tensor, given: GivenFrames | None) -> _Evaluation:
    if given is None:
        return _Evaluation(sigma=sigma, seen=x, x0=denoiser(x, sigma))
    seen = given.mix(x, sigma)
    return _Evaluation(sigma=sigma, seen=seen, x0=given.replace(denoiser(seen, sigma), sigma, seen))


def _sample(
    evaluate: Callable[[Tensor, Tensor], _Evaluation], x: Tensor, sigmas: Tensor, step: Step
) -> Tensor:
    """The loop: evaluate at each level, step to the next; ``step`` also sees the evaluation before."""
    previous = None
    for sigma, following in pairwise(sigmas.to(x.device)):
        now = evaluate(x, sigma)
        x = step(x, following, now, previous)
        previous = now
    return x


def _euler_step(x: Tensor, following: Tensor, now: _Evaluation, _: _Evaluation | None) -> Tensor:
    seen = now.seen.float()
    return (seen + (seen - now.x0) / now.sigma * (following - now.sigma)).to(x.dtype)


def _res_step(x: Tensor, following: Tensor, now: _Evaluation, previous: _Evaluation | None) -> Tensor:
    if previous is None:
        return (now.sigma - following) / now.sigma * now.x0 + following / now.sigma * x
    dt = torch.log(now.sigma / following)
    c2 = torch.log(now.sigma / previous.sigma) / dt
    phi1 = torch.expm1(-dt) / -dt
    b2 = (phi1 - 1) / -dt / c2
    return torch.exp(-dt) * x + dt * ((phi1 - b2) * now.x0 + b2 * previous.x0)


def sample_edm_euler(
    denoiser: Denoiser,
    x: Float[Tensor, "b c t h w"],
    sigmas: Float[Tensor, " s"],
    *,
    given: GivenFrames | None = None,
) -> Float[Tensor, "b c t h w"]:
    """First-order sampling of the probability-flow ODE; ``x`` is noise at ``sigmas[0]``.

    The state keeps the precision of ``x``, each step is computed in float32. Given frames replace those of the state, so the
    step starts from what the network saw. One evaluation for each step.
    """
    return _sample(
        lambda state, sigma: _evaluate(denoiser, state, sigma, given), x, sigmas.float(), _euler_step
    )


def sample_res(
    denoiser: Denoiser,
    x: Float[Tensor, "b c t h w"],
    sigmas: Float64[Tensor, " s"],
    *,
    given: GivenFrames | None = None,
) -> Float[Tensor, "b c t h w"]:
    """Second-order multistep sampling (RES), then one clean-up evaluation at ``sigmas[-1]``.

    The state is float64, the denoiser sees float32 and the result is float32. One evaluation for each level.
    """

    def evaluate(state: Tensor, sigma: Tensor) -> _Evaluation:
        return _evaluate(denoiser, state.float(), sigma, given)

    x = _sample(evaluate, x.double(), sigmas, _res_step)
    return evaluate(x, sigmas[-1].to(x.device)).x0
