"""Golden cases of the samplers, with networks and denoisers that are formulas."""

from collections.abc import Iterator
from functools import partial
from typing import Any, cast, get_args

import numpy as np
import torch
from torch import Tensor

from worldfoundry.evaluate.parity import Check, GoldenCase, UnsupportedCaseError
from worldfoundry.evaluate.parity_diffusion_networks import tolerance_of
from worldfoundry.models.diffusion.config import EDMConfig
from worldfoundry.models.diffusion.edm import Network, denoise, given_indicator, guide
from worldfoundry.models.diffusion.samplers import (
    GivenFrames,
    Replacement,
    ResSolver,
    edm_euler_sigmas,
    evaluations_per_step,
    res_sigmas,
    sample_edm_euler,
    sample_res,
)

SAMPLER_TOLERANCE = 5e-5
_NETWORK = "F = 0.8*tanh(0.9*x + a + 0.3*sin(3*t)) + 0.2*roll(x,1,dim=W) "
_DENOISER = "x0 = 0.5*tanh(1.7*x/sqrt(sigma^2+0.25) + 0.3*ln(sigma)) + mu"
"""The formulas that are known, as cases state them."""


def given_frames(
    case: GoldenCase, augment_sigma: float, *, num_views: int = 1, replacement: Replacement = "latents"
) -> GivenFrames:
    """The given latents of a case, with the noise of its seed."""
    latents, num_given = case.tensors["inputs/condition_latent"], torch.tensor([case.meta["num_condition_t"]])
    return GivenFrames(
        latents=latents,
        indicator=given_indicator(num_given, latents.shape[2], num_views=num_views),
        noise=seeded_noise(latents.shape, case.meta["seed"]),
        augment_sigma=augment_sigma,
        sigma_data=_sigma_data(case),
        replacement=replacement,
    )


def _sigma_data(case: GoldenCase) -> float:
    return float(case.meta.get("sigma_data", EDMConfig().sigma_data))


def seeded_noise(shape: torch.Size, seed: int) -> Tensor:
    """The noise that published samplers draw for a seed, the same on every machine."""
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(tuple(shape)).astype(np.float32))


def _check_formula(case: GoldenCase, field: str, known: str) -> None:
    if not str(case.meta.get(field)).startswith(known):
        raise UnsupportedCaseError(f"{field} {case.meta.get(field)!r} is not a known formula")


def _analytic_network(
    x: Tensor, c_noise: Tensor, *, text: Tensor, condition_mask: Tensor | None = None
) -> Tensor:
    a = text.mean((1, 2)).view(-1, 1, 1, 1, 1)
    y = 0.8 * torch.tanh(0.9 * x + a + 0.3 * torch.sin(3 * c_noise.view(-1, 1, 1, 1, 1)))
    y = y + 0.2 * torch.roll(x, 1, dims=-1)
    if condition_mask is not None:
        y = y + 0.1 * condition_mask + 0.4 * condition_mask.mean((2, 3, 4), keepdim=True)
    return y


def guided(case: GoldenCase, conditional: Network, unconditional: Network) -> Any:
    """A denoiser with the guidance of a case."""
    network = guide(conditional, unconditional, case.meta["guidance"])
    return partial(denoise, network, sigma_data=_sigma_data(case))


def sigma_range(case: GoldenCase) -> dict[str, float]:
    """The noise range that a case states; what it leaves out has our default."""
    return {k: float(case.meta[k]) for k in ("sigma_min", "sigma_max", "rho") if k in case.meta}


def compare_res(case: GoldenCase) -> Iterator[Check]:
    """The solvers of the RES family, with a denoiser that is a formula; what they ask of it is compared too."""
    meta, mu, stored = case.meta, case.tensors["inputs/mu"], case.under("intermediates/")
    _check_formula(case, "denoiser", _DENOISER)
    for name, reference in sorted(case.under("outputs/").items()):
        if name not in get_args(ResSolver):
            yield Check(part=name, reason="not a solver of ours")
            continue
        solver = cast(ResSolver, name)
        seen: list[tuple[Tensor, Tensor]] = []

        def denoiser(x: Tensor, sigma: Tensor, seen: list[tuple[Tensor, Tensor]] = seen) -> Tensor:
            sigma = sigma.float()
            seen.append((x, sigma.expand(len(x))))
            return 0.5 * torch.tanh(1.7 * x / torch.sqrt(sigma**2 + 0.25) + 0.3 * torch.log(sigma)) + mu

        sigmas = res_sigmas(meta["num_steps"] // evaluations_per_step(solver), **sigma_range(case))
        pairs = [(sample_res(denoiser, case.tensors["inputs/x_sigma_max"], sigmas, solver=solver), reference)]
        calls = dict(
            zip(("x", "sigma"), (torch.stack(values) for values in zip(*seen, strict=True)), strict=True)
        )
        asked = [
            (calls[name], stored[f"{solver}_calls_{name}"])
            for name in calls
            if f"{solver}_calls_{name}" in stored
        ]
        yield Check(part=solver, pairs=pairs + asked, tolerance=_solver_tolerance(solver))


def _solver_tolerance(solver: str) -> float:
    """Stages of a "naive" rule divide by the lower noise level: what float32 rounds off comes out hundreds of times larger."""
    return SAMPLER_TOLERANCE * (10 if solver.endswith("naive") else 1)


def check_euler(
    case: GoldenCase,
    denoiser: Any,
    num_steps: int,
    given: GivenFrames | None,
    *,
    part: str = "",
    noise: str = "noise",
    output: str = "samples",
) -> Check:
    """A run of the EDM Euler sampler from the noise of a case, at the precision of the reference, with each of its states.

    Published Text2World runs draw noise in float32 and scale it, Video2World runs draw it in the precision of the state.
    """
    reference = case.tensors[f"outputs/{output}"]
    sigmas = edm_euler_sigmas(num_steps, **sigma_range(case))
    drawn = case.tensors[f"inputs/{noise}"].to(torch.float32 if given is None else reference.dtype)
    largest = float(case.meta.get("sigma_max", EDMConfig().sigma_max))
    states = [(drawn * (largest**2 + 1) ** 0.5).to(reference.dtype)]
    for i in range(num_steps):
        states.append(sample_edm_euler(denoiser, states[-1], sigmas[i : i + 2], given=given))
    pairs = [(states[-1], reference)]
    stored = case.tensors.get(f"intermediates/{part}_trajectory" if part else "intermediates/trajectory")
    if stored is not None:
        scale = stored.flatten(1).abs().amax(1).clamp(min=1).view(-1, *[1] * (stored.ndim - 1))
        pairs.append((torch.stack(states[1:]) / scale, stored / scale))
    return Check(part=part, pairs=pairs, tolerance=tolerance_of(reference, SAMPLER_TOLERANCE))


def compare_euler_text(case: GoldenCase) -> Iterator[Check]:
    """EDM Euler with guidance, without given frames."""
    _check_formula(case, "network", _NETWORK)
    t = case.under("inputs/")
    for part, reference in case.under("outputs/").items():
        text = t["text"].to(reference.dtype)
        other = t["neg_text"].to(reference.dtype) if part.endswith("neg") else torch.zeros_like(text)
        networks = (partial(_analytic_network, text=text), partial(_analytic_network, text=other))
        denoiser = guided(case, *networks)
        yield check_euler(case, denoiser, case.meta["num_steps"], None, part=part, output=part)


def compare_euler_video(case: GoldenCase) -> Iterator[Check]:
    """EDM Euler with given frames."""
    _check_formula(case, "network", _NETWORK)
    t = case.under("inputs/")
    for part, reference in case.under("outputs/").items():
        steps, augment, *flags = part.split("_")
        unknown = set(flags) - {"legacy", "bf16", "igf"}
        if unknown:
            yield Check(part=part, reason=f"unknown {', '.join(sorted(unknown))}")
            continue
        dtype = reference.dtype
        replacement: Replacement = "first-release" if "legacy" in flags else "published"
        given = given_frames(case, float(augment[1:]), replacement=replacement)
        mask = given.indicator.expand(-1, 1, *given.latents.shape[2:]).to(dtype)
        other_mask = torch.zeros_like(mask) if "igf" in flags else mask
        networks = (
            partial(_analytic_network, text=t["text"].to(dtype), condition_mask=mask),
            partial(_analytic_network, text=t["neg_text"].to(dtype), condition_mask=other_mask),
        )
        yield check_euler(case, guided(case, *networks), int(steps[1:]), given, part=part, output=part)


def compare_res_video(case: GoldenCase) -> Iterator[Check]:
    """RES with given frames."""
    _check_formula(case, "network", _NETWORK)
    t, meta = case.under("inputs/"), case.meta
    solver = meta.get("solver", "2ab")
    if solver not in get_args(ResSolver):
        raise UnsupportedCaseError(f"solver={solver!r} is not supported")
    for part, reference in case.under("outputs/").items():
        steps, augment = part.split("_")
        given = given_frames(case, float(augment[1:]))
        mask = given.indicator.expand(-1, 1, *given.latents.shape[2:])
        denoiser = guided(
            case,
            partial(_analytic_network, text=t["text"], condition_mask=mask),
            partial(_analytic_network, text=t["neg_text"], condition_mask=mask),
        )
        sigmas = res_sigmas(int(steps[1:]) // evaluations_per_step(solver), **sigma_range(case))
        x = given.noise.double() * meta["sigma_max"]
        ours = sample_res(denoiser, x, sigmas, given=given, solver=solver)
        yield Check(part=part, pairs=[(ours, reference)], tolerance=SAMPLER_TOLERANCE)
