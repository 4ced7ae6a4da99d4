import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from worldfoundry.training.config import OptimConfig
from worldfoundry.training.ema import ema_beta, ema_exponent, update_ema


@given(st.integers(1, 500), st.integers(0, 50), st.floats(0, 1))
def test_the_rate_rises_then_never_rises_again_and_stays_in_range(steps, warmup, decay):
    config = OptimConfig(learning_rate=2.0, warmup_steps=warmup, decay_fraction=decay)
    rates = [config.learning_rate_at(k, steps) for k in range(steps)]
    assert all(0 < r <= 2.0 for r in rates)
    assert all(a >= b for a, b in zip(rates[warmup:], rates[warmup + 1 :], strict=False))


def test_the_exponents_are_those_of_the_paper():
    assert [round(ema_exponent(s), 3) for s in (0.1, 0.05, 0.025)] == [6.937, 16.972, 36.987]


def test_the_average_forgets_the_initial_weights_and_weighs_by_a_power_of_time():
    model, average = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    exponent, steps = ema_exponent(0.1), 400
    nn.init.constant_(average.weight, 1e6)
    for step in range(steps):
        nn.init.constant_(model.weight, float(step + 1))
        update_ema(average, model, ema_beta(step, exponent))
    times = torch.arange(1, steps + 1, dtype=torch.float64)
    expected = (times**exponent * times).sum() / (times**exponent).sum()
    assert abs(average.weight.item() / expected.item() - 1) < 0.01
