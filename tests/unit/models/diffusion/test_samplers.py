from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from worldfoundry.core.errors import ConfigError
from worldfoundry.models.diffusion.edm import given_indicator
from worldfoundry.models.diffusion.samplers import (
    GivenFrames,
    edm_euler_sigmas,
    evaluations_per_step,
    karras_sigmas,
    res_sigmas,
    sample_edm_euler,
    sample_res,
)

SHAPE = (1, 2, 3, 2, 2)


def noise(seed: int = 0) -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def normal_denoiser(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """The exact denoiser of data that is normal with deviation 0.5."""
    return (x.double() * 0.25 / (0.25 + sigma.double() ** 2)).float()


def test_schedules_fall_from_the_largest_to_the_smallest_level():
    sigmas = karras_sigmas(35, sigma_min=0.002, sigma_max=80.0)
    assert sigmas.dtype == torch.float64
    assert (sigmas.diff() < 0).all()
    torch.testing.assert_close(sigmas[[0, -1]], torch.tensor([80.0, 0.002], dtype=torch.float64))
    assert edm_euler_sigmas(35)[-1] == 0
    assert len(edm_euler_sigmas(35)) == len(res_sigmas(35)) == 36
    with pytest.raises(ConfigError, match="at least 2"):
        edm_euler_sigmas(1)


@pytest.mark.parametrize(
    ("sample", "levels", "order"), [(sample_edm_euler, edm_euler_sigmas, 1), (sample_res, res_sigmas, 2)]
)
def test_both_samplers_converge_to_the_flow_of_normal_data_at_their_order(sample, levels, order):
    x, exact = 80 * noise(), 80 * noise() * 0.5 / (80**2 + 0.25) ** 0.5
    errors = [
        (sample(normal_denoiser, x, levels(n, sigma_min=0.002)) - exact).abs().max() for n in (50, 100, 200)
    ]
    assert errors[2] < 0.02
    for coarse, fine in pairwise(errors):
        assert coarse / fine > 0.8 * 2**order


def test_the_two_samplers_agree_on_one_loop():
    x = 80 * noise()
    fine = sample_edm_euler(normal_denoiser, x, edm_euler_sigmas(400))
    torch.testing.assert_close(fine, sample_res(normal_denoiser, x, res_sigmas(100)), atol=2e-2, rtol=0)


@pytest.mark.parametrize(
    ("sample", "levels"), [(sample_edm_euler, edm_euler_sigmas), (sample_res, res_sigmas)]
)
def test_given_frames_come_out_as_they_went_in(sample, levels):
    latents = noise(1)
    given = GivenFrames(
        latents=latents, indicator=given_indicator(torch.tensor([2]), 3), noise=noise(2), augment_sigma=0.0
    )
    out = sample(normal_denoiser, 80 * noise(), levels(6), given=given)
    torch.testing.assert_close(out[:, :, :2], latents[:, :, :2])
    free = sample(normal_denoiser, 80 * noise(), levels(6))
    torch.testing.assert_close(out[:, :, 2:], free[:, :, 2:])


def test_below_their_noise_level_given_frames_are_denoised_like_the_others():
    given = GivenFrames(
        latents=noise(1), indicator=given_indicator(torch.tensor([1]), 3), noise=noise(2), augment_sigma=0.5
    )
    x, above, below = noise(3), torch.tensor(0.6), torch.tensor(0.5)
    assert torch.equal(given.mix(x, below), x)
    assert torch.equal(given.replace(x, below), x)
    assert torch.equal(given.replace(x, above)[:, :, 0], given.latents[:, :, 0])
    assert not torch.equal(given.mix(x, above)[:, :, 0], x[:, :, 0])
    assert torch.equal(given.mix(x, above)[:, :, 1:], x[:, :, 1:])


def test_the_state_keeps_its_precision():
    x = (80 * noise()).bfloat16()
    assert sample_edm_euler(normal_denoiser, x, edm_euler_sigmas(3)).dtype == torch.bfloat16
    assert sample_res(normal_denoiser, x, res_sigmas(3)).dtype == torch.float32


@pytest.mark.parametrize(
    ("solver", "order"),
    [
        ("1euler", 1),
        ("2mid", 2),
        ("2mid_stable", 2),
        ("2heun_edm", 2),
        ("2heun_naive", 1),
        ("3kutta_naive", 3),
    ],
)
def test_every_solver_of_the_family_converges_at_its_order(solver, order):
    x, exact = 80 * noise(), 80 * noise().double() * 0.5 / (80**2 + 0.25) ** 0.5
    calls = []

    def counted(state: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        calls.append(sigma)
        return state.double() * 0.25 / (0.25 + sigma.double() ** 2)

    errors = []
    for n in (40, 80):
        calls.clear()
        out = sample_res(counted, x, res_sigmas(n, sigma_min=0.1), solver=solver)
        assert len(calls) == n * evaluations_per_step(solver) + 1
        level = exact * (0.1**2 + 0.25) ** 0.5 / 0.5
        errors.append((out - level * 0.25 / (0.25 + 0.1**2)).abs().max().item())
    assert errors[0] / errors[1] > 0.7 * 2**order


GIVEN = GivenFrames(
    latents=noise(1), indicator=given_indicator(torch.tensor([1]), 3), noise=noise(2), augment_sigma=0.001
)


def test_the_published_replacement_is_the_latents_up_to_rounding_and_that_of_the_first_release_is_not():
    run = [
        sample_edm_euler(
            normal_denoiser, 80 * noise(), edm_euler_sigmas(35), given=replace(GIVEN, replacement=r)
        )
        for r in ("latents", "published", "first-release")
    ]
    torch.testing.assert_close(run[1], run[0], atol=1e-4, rtol=0)
    ratio = run[2][:, :, 0].norm() / run[0][:, :, 0].norm()
    assert 1.5 < ratio < 1.7, "the bug makes given frames 1.59 times too large"
    torch.testing.assert_close(run[2][:, :, 1:], run[0][:, :, 1:], atol=1e-4, rtol=0)


def test_given_frames_of_several_views_are_the_first_of_each():
    assert given_indicator(torch.tensor([1]), 6, num_views=3).flatten().tolist() == [1, 0, 1, 0, 1, 0]
