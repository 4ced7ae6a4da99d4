from dataclasses import replace

import pytest
import torch

from worldfoundry.models.diffusion.config import EDMConfig
from worldfoundry.models.diffusion.edm import (
    Uncertainty,
    corrupt_given,
    denoise,
    draw_training_noise,
    edm_loss,
    edm_loss_at,
    given_indicator,
    guide,
    preconditioning,
)

CONFIG = EDMConfig()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def zero_network(x, c_noise, *, condition_mask=None):
    return torch.zeros_like(x)


def latents(b: int = 2) -> torch.Tensor:
    return 0.5 * torch.randn(b, 16, 3, 4, 4, generator=generator(5))


def test_the_coefficients_keep_unit_variance_at_every_level():
    sigma = torch.logspace(-3, 2, 50, dtype=torch.float64)
    c = preconditioning(sigma, 0.5)
    torch.testing.assert_close(c.c_in**2 * (sigma**2 + 0.25), torch.ones_like(sigma))
    target_variance = ((1 - c.c_skip) ** 2 * 0.25 + c.c_skip**2 * sigma**2) / c.c_out**2
    torch.testing.assert_close(target_variance, torch.ones_like(sigma))
    torch.testing.assert_close(c.loss_weight * c.c_out**2, torch.ones_like(sigma))


def test_a_perfect_raw_prediction_recovers_the_data():
    x0, noise, sigma = latents(), torch.randn(2, 16, 3, 4, 4, generator=generator()), torch.tensor([0.1, 5.0])
    x = x0 + noise * sigma.view(-1, 1, 1, 1, 1)
    c = preconditioning(sigma.view(-1, 1, 1, 1, 1), 0.5)

    def oracle(scaled, c_noise):
        torch.testing.assert_close(scaled, x * c.c_in)
        torch.testing.assert_close(c_noise, sigma.log() / 4)
        return (x0 - c.c_skip * x) / c.c_out

    torch.testing.assert_close(denoise(oracle, x, sigma, sigma_data=0.5), x0)


def test_the_loss_of_a_zero_network_on_normal_data_is_one():
    x0 = 0.5 * torch.randn(8, 16, 8, 16, 16, generator=generator())
    loss, logs = edm_loss(zero_network, x0, config=CONFIG, generator=generator())
    assert loss.item() == pytest.approx(1, abs=0.02)
    assert logs["edm"].item() == pytest.approx(loss.item())


def test_one_generator_decides_the_loss():
    first, second, other = (
        edm_loss(zero_network, latents(), config=CONFIG, generator=generator(s))[0].item() for s in (3, 3, 4)
    )
    assert first == second != other


def test_given_frames_cost_nothing_and_reach_the_network_at_their_own_noise():
    x0, given = latents(), given_indicator(torch.tensor([1, 2]), 3)
    noise = draw_training_noise(x0, config=CONFIG, generator=generator())
    seen = {}

    def network(x, c_noise, *, condition_mask):
        seen["x"], seen["mask"] = x, condition_mask
        return 100 * condition_mask.expand_as(x)  # nonsense on given frames only

    loss, logs = edm_loss_at(network, x0, noise, config=CONFIG, given=given)
    quiet, _ = edm_loss_at(zero_network, x0, noise, config=CONFIG, given=given)
    assert loss == quiet
    assert torch.equal(seen["mask"][:, :, :, 0, 0].squeeze(1), torch.tensor([[1.0, 0, 0], [1, 1, 0]]))
    a = noise.augment_sigma[0]
    expected = (x0[0, :, 0] + a * noise.augment_noise[0, :, 0]) * preconditioning(a, 0.5).c_in
    torch.testing.assert_close(seen["x"][0, :, 0], expected)
    predicted = edm_loss_at(zero_network, x0, noise, config=CONFIG)[1]["mse"]
    assert logs["mse"] > 0
    assert predicted > 0


def test_corrupted_given_frames_do_not_depend_on_the_level_after_scaling():
    x0, noise, a = latents(), torch.randn(2, 16, 3, 4, 4, generator=generator()), torch.tensor(0.01)
    scaled = [
        corrupt_given(x0, noise, a, torch.tensor(s), 0.5) * preconditioning(torch.tensor(s), 0.5).c_in
        for s in (0.1, 1.0, 80.0)
    ]
    torch.testing.assert_close(scaled[0], scaled[1])
    torch.testing.assert_close(scaled[0], scaled[2])


def test_reductions_and_scale_agree():
    x0 = latents()
    noise = draw_training_noise(x0, config=CONFIG, generator=generator())
    mean, _ = edm_loss_at(zero_network, x0, noise, config=CONFIG)
    total, _ = edm_loss_at(
        zero_network, x0, noise, config=replace(CONFIG, loss_reduction="sum", loss_scale=10.0)
    )
    torch.testing.assert_close(total, mean * 10 * x0[0].numel())


def test_the_best_uncertainty_is_the_logarithm_of_the_loss():
    x0, uncertainty = latents(), Uncertainty(generator=generator())
    noise = draw_training_noise(x0, config=CONFIG, generator=generator())
    plain, _ = edm_loss_at(zero_network, x0, noise, config=CONFIG)
    torch.nn.init.zeros_(uncertainty.logvar[1].weight)
    with_zero, logs = edm_loss_at(zero_network, x0, noise, config=CONFIG, uncertainty=uncertainty)
    torch.testing.assert_close(with_zero, plain)
    with_zero.backward()
    assert uncertainty.logvar[1].weight.grad is not None
    assert logs["uncertainty"] == 0
    assert set(uncertainty.state_dict()) == {"logvar.0.freqs", "logvar.0.phases", "logvar.1.weight"}


def test_guidance_extrapolates_from_the_unconditional_prediction():
    x, c = latents(), torch.zeros(2)
    networks = (lambda x, c: x + 1, lambda x, c: x)
    for guidance, expected in ((0.0, 1.0), (-1.0, 0.0), (7.0, 8.0)):
        torch.testing.assert_close(guide(*networks, guidance)(x, c), x + expected)
