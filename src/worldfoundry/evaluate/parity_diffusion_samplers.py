"""Golden cases of the samplers, with networks and denoisers that are formulas."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worldfoundry.evaluate.parity import Check, GoldenCase
from worldfoundry.evaluate.parity_diffusion_networks import tolerance_of
from worldfoundry.models.diffusion.edm import Network, denoise, given_indicator, guide
from worldfoundry.models.diffusion.samplers import (
    GivenFrames,
    edm_euler_sigmas,
    res_sigmas,
    sample_edm_euler,
    sample_res,
)

SAMPLER_TOLERANCE = 5e-5


def given_frames(case: GoldenCase, augment_sigma: float) -> GivenFrames:
    """The given latents of a case, with the noise of its seed."""
    latents = case.tensors["inputs/condition_latent"]
    return GivenFrames(
        latents=latents,
        indicator=given_indicator(torch.tensor([case.meta["num_condition_t"]]), latents.shape[2]),
        noise=seeded_noise(latents.shape, case.meta["seed"]),
        augment_sigma=augment_sigma,
    )


def seeded_noise(shape: torch.Size, seed: int) -> Tensor:
    """The noise that published samplers draw for a seed, the same on every machine."""
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(tuple(shape)).astype(np.float32))


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
    return partial(denoise, guide(conditional, unconditional, case.meta["guidance"]), sigma_data=0.5)


def sigma_range(case: GoldenCase) -> dict[str, float]:
    """The noise range that a case states; what it leaves out has our default."""
    return {k: float(case.meta[k]) for k in ("sigma_min", "sigma_max", "rho") if k in case.meta}


def compare_res(case: GoldenCase) -> Iterator[Check]:
    """The solvers of the RES family, with a denoiser that is a formula."""
    meta, mu, seen = case.meta, case.tensors["inputs/mu"], []

    def denoiser(x: Tensor, sigma: Tensor) -> Tensor:
        seen.append(x)
        sigma = sigma.float()
        return 0.5 * torch.tanh(1.7 * x / torch.sqrt(sigma**2 + 0.25) + 0.3 * torch.log(sigma)) + mu

    sigmas = res_sigmas(meta["num_steps"], **sigma_range(case))
    ours = sample_res(denoiser, case.tensors["inputs/x_sigma_max"], sigmas)
    pairs = [
        (ours, case.tensors["outputs/2ab"]),
        (torch.stack(seen), case.tensors["intermediates/2ab_calls_x"]),
    ]
    yield Check(part="2ab", pairs=pairs, tolerance=SAMPLER_TOLERANCE)
    for name in sorted(case.under("outputs/").keys() - {"2ab"}):
        yield Check(part=name, reason="no published model samples with it")


def run_euler(
    case: GoldenCase, denoiser: Any, num_steps: int, dtype: torch.dtype, given: GivenFrames | None
) -> Tensor:
    """A run of the EDM Euler sampler from the noise of a case."""
    sigmas = edm_euler_sigmas(num_steps, **sigma_range(case))
    x = (case.tensors["inputs/noise"] * (case.meta["sigma_max"] ** 2 + 1) ** 0.5).to(dtype)
    return sample_edm_euler(denoiser, x, sigmas, given=given)


def compare_euler_text(case: GoldenCase) -> Iterator[Check]:
    """EDM Euler with guidance, without given frames."""
    t = case.under("inputs/")
    for part, reference in case.under("outputs/").items():
        text = t["text"].to(reference.dtype)
        other = t["neg_text"].to(reference.dtype) if part.endswith("neg") else torch.zeros_like(text)
        networks = (partial(_analytic_network, text=text), partial(_analytic_network, text=other))
        ours = run_euler(case, guided(case, *networks), case.meta["num_steps"], reference.dtype, None)
        yield Check(
            part=part, pairs=[(ours, reference)], tolerance=tolerance_of(reference, SAMPLER_TOLERANCE)
        )


def compare_euler_video(case: GoldenCase) -> Iterator[Check]:
    """EDM Euler with given frames."""
    t = case.under("inputs/")
    for part, reference in case.under("outputs/").items():
        steps, augment, *flags = part.split("_")
        if "legacy" in flags or "bf16" in flags:
            reason = {
                "legacy": "a bug of the first release",
                "bf16": "given frames are replaced in float32 here",
            }
            yield Check(part=part, reason=reason[flags[0]])
            continue
        given = given_frames(case, float(augment[1:]))
        mask = given.indicator.expand(-1, 1, *given.latents.shape[2:])
        other_mask = torch.zeros_like(mask) if "igf" in flags else mask
        networks = (
            partial(_analytic_network, text=t["text"], condition_mask=mask),
            partial(_analytic_network, text=t["neg_text"], condition_mask=other_mask),
        )
        ours = run_euler(case, guided(case, *networks), int(steps[1:]), reference.dtype, given)
        yield Check(part=part, pairs=[(ours, reference)], tolerance=SAMPLER_TOLERANCE)


def compare_res_video(case: GoldenCase) -> Iterator[Check]:
    """RES with given frames."""
    t, meta = case.under("inputs/"), case.meta
    for part, reference in case.under("outputs/").items():
        steps, augment = part.split("_")
        given = given_frames(case, float(augment[1:]))
        mask = given.indicator.expand(-1, 1, *given.latents.shape[2:])
        denoiser = guided(
            case,
            partial(_analytic_network, text=t["text"], condition_mask=mask),
            partial(_analytic_network, text=t["neg_text"], condition_mask=mask),
        )
        sigmas = res_sigmas(int(steps[1:]), **sigma_range(case))
        x = given.noise.double() * meta["sigma_max"]
        ours = sample_res(denoiser, x, sigmas, given=given)
        yield Check(part=part, pairs=[(ours, reference)], tolerance=SAMPLER_TOLERANCE)
