"""Embeddings of noise levels and positions.

Axes: ``b`` batch, ``d`` model width, ``t h w`` tokens along time, rows and columns.
"""

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from worldfoundry.models.common.rope import axis_dims


def sinusoid(values: Float[Tensor, " b"], dim: int) -> Float[Tensor, "b d"]:
    """``[cos | sin]`` at ``dim / 2`` frequencies from 1 to 1/10000; float32 inside, then the precision of ``values``."""
    half = dim // 2
    exponents = torch.arange(half, device=values.device, dtype=torch.float32) / half
    angles = values.float()[:, None] * torch.exp(-math.log(10000) * exponents)
    return torch.cat((angles.cos(), angles.sin()), dim=-1).to(values.dtype)


class Sinusoid(nn.Module):
    """``sinusoid`` as a layer."""

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim

    def forward(self, c_noise: Float[Tensor, " b"]) -> Float[Tensor, "b d"]:
        """Cosines, then sines."""
        return sinusoid(c_noise, self.dim)


class LearnedPositions(nn.Module):
    """One learned vector for each frame, row and column; their sum, scaled to unit root mean square."""

    def __init__(self, dim: int, max_grid: tuple[int, int, int]):
        super().__init__()
        t, h, w = max_grid
        self.pos_emb_t = nn.Parameter(torch.zeros(t, dim))
        self.pos_emb_h = nn.Parameter(torch.zeros(h, dim))
        self.pos_emb_w = nn.Parameter(torch.zeros(w, dim))

    def forward(self, t: int, h: int, w: int) -> Float[Tensor, "t h w d"]:
        """Positions of a grid that starts at the origin; the caller checks that it fits the tables."""
        rows = self.pos_emb_h[:h, None]
        total = (self.pos_emb_t[:t, None, None] + rows) + self.pos_emb_w[:w]
        norm = torch.linalg.vector_norm(total, dim=-1, keepdim=True, dtype=torch.float32)
        return total / (1e-6 + norm * total.shape[-1] ** -0.5).to(total.dtype)


class RandomFourierFeatures(nn.Module):
    """``sqrt(2) cos(freqs v + phases)`` of a scalar, with fixed random frequencies and phases."""

    freqs: Tensor
    phases: Tensor

    def __init__(self, dim: int, *, generator: torch.Generator | None = None):
        super().__init__()
        self.register_buffer("freqs", 2 * math.pi * torch.randn(dim, generator=generator))
        self.register_buffer("phases", 2 * math.pi * torch.rand(dim, generator=generator))

    def forward(self, values: Float[Tensor, " b"]) -> Float[Tensor, "b d"]:
        """Features in float32."""
        return math.sqrt(2) * torch.cos(values.float()[:, None] * self.freqs.float() + self.phases.float())


@lru_cache(maxsize=2)
def sincos_positions(
    grid: tuple[int, int, int],
    dim: int,
    ratios: tuple[float, float, float] = (1.0, 1.0, 1.0),
    dtype: torch.dtype = torch.float32,
    device: torch.device | None = None,
) -> Float[Tensor, "n d"]:
    """``[sin | cos]`` of frame, row and column of every token of a grid, side by side; not normalised.

    ``ratios`` divide the frame, row and column numbers. Computed in float64; remembered, so treat the result as read-only.
    """
    with torch.inference_mode(False), torch.no_grad():
        tables = [
            _sincos(length, width, ratio)
            for length, width, ratio in zip(grid, axis_dims(dim), ratios, strict=True)
        ]
        t, h, w = grid
        parts = (
            tables[0][:, None, None].expand(t, h, w, -1),
            tables[1][None, :, None].expand(t, h, w, -1),
            tables[2][None, None, :].expand(t, h, w, -1),
        )
        return torch.cat(parts, dim=-1).flatten(0, 2).to(device=device, dtype=dtype)


def _sincos(length: int, dim: int, ratio: float) -> Float[Tensor, "n d"]:
    half = dim // 2
    frequencies = 10000.0 ** -(torch.arange(half, dtype=torch.float64, device="cpu") / half)
    angles = torch.outer(torch.arange(length, dtype=torch.float64, device="cpu") / ratio, frequencies)
    return torch.cat((angles.sin(), angles.cos()), dim=-1).float()
