"""Power-function moving average of the weights.

Source: arXiv 2312.02696 (equations 1 to 4), as the diffusion specification uses it: the averaging window is a constant share of
the training so far, so that no half-life has to be tuned to the length of the run.
"""

import torch
from torch import nn


def ema_exponent(width: float) -> float:
    """The exponent gamma whose average has relative standard deviation ``width``.

    >>> round(ema_exponent(0.1), 3)
    6.937
    """
    low, high, gamma = 0.0, 1e6, 0.0
    for _ in range(200):
        gamma = (low + high) / 2
        if ((gamma + 1) / ((gamma + 2) ** 2 * (gamma + 3))) ** 0.5 > width:
            low = gamma
        else:
            high = gamma
    return gamma


def ema_beta(step: int, exponent: float) -> float:
    """Share of the old average that stays at ``step``, counted from 0; nothing of the initial weights survives."""
    return (1 - 1 / (step + 1)) ** (exponent + 1)


@torch.no_grad()
def update_ema(average: nn.Module, model: nn.Module, beta: float) -> None:
    """``average <- beta * average + (1 - beta) * model``; buffers are copied."""
    for a, b in zip(average.parameters(), model.parameters(), strict=True):
        a.lerp_(b, 1 - beta)
    for a, b in zip(average.buffers(), model.buffers(), strict=True):
        a.copy_(b)
