"""Samplers: from noise to latents along falling noise levels. One loop; what differs is the step.

A denoiser is any ``f(x, sigma) -> x0`` with ``sigma`` a scalar tensor, such as
``functools.partial(denoise, network, sigma_data=0.5)``.

Axes: ``b`` batch, ``c`` channels, ``t h w`` latent frames, rows and columns, ``s`` noise levels from high to low.

Sources: arXiv 2206.00364 (schedule, Euler); arXiv 2308.02157 (RES); arXiv 2501.03575 (given frames).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Literal, get_args

import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor

from worldfoundry.core.errors import ConfigError
from worldfoundry.models.diffusion.edm import corrupt_given, preconditioning

Denoiser = Callable[[Tensor, Tensor], Tensor]
Replacement = Literal["latents", "published", "first-release"]
ResSolver = Literal["2ab", "1euler", "2mid", "2mid_stable", "2heun_edm", "2heun_naive", "3kutta_naive"]
"""Members of the RES family by their published names: order first, then the rule. Published models sample with 2ab."""


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
    replacement: Replacement = "latents"
    """How a prediction is replaced: by the latents themselves; by what the raw prediction must be for them, in the precision
    of the state, as in published EDM Euler sampling; or by the latter with the bug of its first release."""

    def __post_init__(self):
        if self.replacement not in get_args(Replacement):
            raise ConfigError(
                f"replacement must be one of {', '.join(get_args(Replacement))}, got {self.replacement!r}; use one"
            )

    def _active(self, sigma: Tensor) -> Tensor:
        return (self.indicator > 0) & (sigma > self.augment_sigma).to(self.indicator.device)

    def mix(self, x: Float[Tensor, "b c t h w"], sigma: Float[Tensor, ""]) -> Float[Tensor, "b c t h w"]:
        """``x`` with its given frames replaced by the noisy latents that the network expects at ``sigma``."""
        if self.replacement != "latents":
            sigma = sigma.to(x.dtype)
            own = (self.augment_sigma**2 + self.sigma_data**2) ** -0.5
            noisy = self.latents.to(x.dtype) + self.noise * self.augment_sigma
            seen = noisy * own / preconditioning(sigma, self.sigma_data).c_in
            return torch.where(self._active(sigma), seen.to(x.dtype), x)
        augment_sigma = torch.tensor(self.augment_sigma, device=x.device)
        seen = corrupt_given(self.latents.float(), self.noise, augment_sigma, sigma.float(), self.sigma_data)
        return torch.where(self._active(sigma), seen.to(x.dtype), x)

    def replace(self, x0: Float[Tensor, "b c t h w"], sigma: Float[Tensor, ""]) -> Float[Tensor, "b c t h w"]:
        """A prediction with its given frames replaced by the given latents."""
        return torch.where(self._active(sigma), self.latents.to(x0.dtype), x0)

    def correct(
        self, x0: Float[Tensor, "b c t h w"], seen: Float[Tensor, "b c t h w"], sigma: Float[Tensor, ""]
    ) -> Float[Tensor, "b c t h w"]:
        """The prediction from ``seen`` with its given frames replaced as ``replacement`` says."""
        if self.replacement == "latents":
            return self.replace(x0, sigma)
        rounded = sigma.to(seen.dtype)
        c, latents = preconditioning(rounded, self.sigma_data), self.latents.to(seen.dtype)
        raw = (latents - c.c_skip * seen) / c.c_out
        if self.replacement == "first-release":
            raw = latents / c.c_out - c.c_skip * seen
        exact = preconditioning(sigma.float(), self.sigma_data)
        implied = exact.c_skip * seen.float() + exact.c_out * raw
        return torch.where(self._active(rounded), implied.to(x0.dtype), x0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evaluation:
    """One call of the denoiser."""

    sigma: Tensor
    seen: Tensor
    x0: Tensor


Evaluate = Callable[[Tensor, Tensor], _Evaluation]
Step = Callable[[Evaluate, Tensor, Tensor, _Evaluation, _Evaluation | None], Tensor]


def _evaluate(denoiser: Denoiser, x: Tensor, sigma: Tensor, given: GivenFrames | None) -> _Evaluation:
    if given is None:
        return _Evaluation(sigma=sigma, seen=x, x0=denoiser(x, sigma))
    seen = given.mix(x, sigma)
    return _Evaluation(sigma=sigma, seen=seen, x0=given.correct(denoiser(seen, sigma), seen, sigma))


def _sample(evaluate: Evaluate, x: Tensor, sigmas: Tensor, step: Step) -> Tensor:
    """The loop: evaluate at each level, step to the next; ``step`` may evaluate on its way and sees the level before."""
    previous = None
    for sigma, following in pairwise(sigmas.to(x.device)):
        now = evaluate(x, sigma)
        x = step(evaluate, x, following, now, previous)
        previous = now
    return x


def _euler_step(
    _: Evaluate, x: Tensor, following: Tensor, now: _Evaluation, __: _Evaluation | None
) -> Tensor:
    seen = now.seen.float()
    return (seen + (seen - now.x0) / now.sigma * (following - now.sigma)).to(x.dtype)


def _towards(x: Tensor, sigma: Tensor, following: Tensor, x0: Tensor) -> Tensor:
    """The flow from ``sigma`` to ``following`` if the prediction stayed ``x0``."""
    return (sigma - following) / sigma * x0 + following / sigma * x


def _single_step(
    _: Evaluate, x: Tensor, following: Tensor, now: _Evaluation, __: _Evaluation | None
) -> Tensor:
    return _towards(x, now.sigma, following, now.x0)


def _exponential_step(x: Tensor, following: Tensor, now: _Evaluation, other: _Evaluation) -> Tensor:
    """Second order in the logarithm of the noise level, from predictions at ``now`` and at any other level."""
    dt = torch.log(now.sigma / following)
    c2 = torch.log(now.sigma / other.sigma) / dt
    phi1 = torch.expm1(-dt) / -dt
    b2 = (phi1 - 1) / -dt / c2
    return torch.exp(-dt) * x + dt * ((phi1 - b2) * now.x0 + b2 * other.x0)


def _multistep(
    evaluate: Evaluate, x: Tensor, following: Tensor, now: _Evaluation, previous: _Evaluation | None
) -> Tensor:
    if previous is None:
        return _single_step(evaluate, x, following, now, previous)
    return _exponential_step(x, following, now, previous)


def _midpoint_step(
    evaluate: Evaluate,
    x: Tensor,
    following: Tensor,
    now: _Evaluation,
    _: _Evaluation | None,
    *,
    stable: bool,
) -> Tensor:
    """``stable`` steps with the prediction at the middle alone."""
    middle = (now.sigma * following).sqrt()
    there = evaluate(_towards(x, now.sigma, middle, now.x0), middle)
    return (
        _towards(x, now.sigma, following, there.x0) if stable else _exponential_step(x, following, now, there)
    )


def _heun_step(
    evaluate: Evaluate, x: Tensor, following: Tensor, now: _Evaluation, _: _Evaluation | None
) -> Tensor:
    there = evaluate(_towards(x, now.sigma, following, now.x0), following)
    return _towards(x, now.sigma, following, (now.x0 + there.x0) / 2)


def _naive_heun_step(
    evaluate: Evaluate, x: Tensor, following: Tensor, now: _Evaluation, _: _Evaluation | None
) -> Tensor:
    """Mean of two slopes ``dx/dsigma``, the first of them taken from the end point but divided by the level of the start.

    That is what the reference computes; it makes the rule one of first order, and it diverges on long steps.
    """
    end = _towards(x, now.sigma, following, now.x0)
    slopes = (end - now.x0) / now.sigma + (end - evaluate(end, following).x0) / following
    return x + (following - now.sigma) * slopes / 2


def _kutta_step(
    evaluate: Evaluate, x: Tensor, following: Tensor, now: _Evaluation, _: _Evaluation | None
) -> Tensor:
    """Kutta's third-order rule on ``dx/dsigma``; its stages divide by the lower level, so it diverges on long steps."""
    step, middle = following - now.sigma, (now.sigma + following) / 2
    k1 = (x - now.x0) / now.sigma
    x2 = x + step / 2 * k1
    k2 = (x2 - evaluate(x2, middle).x0) / middle
    x3 = x + step * (2 * k2 - k1)
    k3 = (x3 - evaluate(x3, following).x0) / following
    return x + step * (k1 + 4 * k2 + k3) / 6


_RES_STEPS: dict[ResSolver, Step] = {
    "2ab": _multistep,
    "1euler": _single_step,
    "2mid": partial(_midpoint_step, stable=False),
    "2mid_stable": partial(_midpoint_step, stable=True),
    "2heun_edm": _heun_step,
    "2heun_naive": _naive_heun_step,
    "3kutta_naive": _kutta_step,
}


def evaluations_per_step(solver: ResSolver) -> int:
    """How often a solver asks the denoiser in one step.

    >>> evaluations_per_step("2ab"), evaluations_per_step("2mid")
    (1, 2)
    """
    return 1 if solver == "2ab" else int(solver[0])


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
    solver: ResSolver = "2ab",
) -> Float[Tensor, "b c t h w"]:
    """Sampling with a solver of the RES family, then one clean-up evaluation at ``sigmas[-1]``.

    The state is float64, the denoiser sees float32 and the result is float32. The default is second-order multistep, with one
    evaluation for each level; ``evaluations_per_step`` tells those of the others. Given frames in steps between the levels
    are replaced as at the levels.
    """
    if solver not in _RES_STEPS:
        raise ConfigError(f"solver must be one of {', '.join(_RES_STEPS)}, got {solver!r}; use one of them")

    def evaluate(state: Tensor, sigma: Tensor) -> _Evaluation:
        return _evaluate(denoiser, state.float(), sigma, given)

    x = _sample(evaluate, x.double(), sigmas, _RES_STEPS[solver])
    return evaluate(x, sigmas[-1].to(x.device)).x0
