"""Rotary position embedding over time, rows and columns.

Axes: ``b`` batch, ``k`` heads, ``n`` tokens (time first, then rows, then columns), ``d`` width of a head. The rotation is
half-split: component ``i`` turns with component ``i + d/2``.

Source: arXiv 2104.09864; NTK ratios per axis as in arXiv 2501.03575.
"""

from functools import lru_cache

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

REFERENCE_FPS = 24.0
"""Frame rate at which latent frame ``k`` stands at position ``k``."""


def axis_dims(head_dim: int) -> tuple[int, int, int]:
    """Components of a head that time, rows and columns turn.

    >>> axis_dims(128)
    (44, 42, 42)
    """
    spatial = head_dim // 6 * 2
    return head_dim - 2 * spatial, spatial, spatial


def axis_angles(
    positions: Float[Tensor, " n"],
    dim: int,
    ratio: float,
    dtype: torch.dtype = torch.float32,
    exponent_dtype: torch.dtype | None = None,
) -> Float[Tensor, "n half"]:
    """Angles in radians of ``dim / 2`` frequencies at ``positions``.

    Every operation is rounded to ``dtype``: bfloat16 networks were trained with bfloat16 angles. ``exponent_dtype`` is what
    the exponents were stored in, if it is another.
    """
    exponents = torch.arange(0, dim, 2, device=positions.device).float() / dim
    exponents = exponents.to(exponent_dtype or dtype).to(dtype)
    frequencies = 1.0 / (10000.0 * ratio ** (dim / (dim - 2))) ** exponents
    return torch.outer(positions.to(dtype), frequencies).float()


def rope_angles(
    grid: tuple[int, int, int],
    head_dim: int,
    ratios: tuple[float, float, float],
    fps: float | None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | None = None,
    exponent_dtype: torch.dtype | None = None,
) -> Float[Tensor, "n half"]:
    """Angles of every token of a ``(time, rows, columns)`` grid.

    Frame ``k`` stands at ``k * 24 / fps``; ``fps`` None is an image batch, at ``k``.
    """
    t, h, w = grid
    frame, row, column = (torch.arange(n, device=device, dtype=torch.float32).to(dtype) for n in grid)
    if fps is not None:
        frame = frame / torch.tensor(fps, dtype=dtype, device=device) * REFERENCE_FPS
    tables = [
        axis_angles(p.float(), d, r, dtype, exponent_dtype)
        for p, d, r in zip((frame, row, column), axis_dims(head_dim), ratios, strict=True)
    ]
    parts = (
        tables[0][:, None, None].expand(t, h, w, -1),
        tables[1][None, :, None].expand(t, h, w, -1),
        tables[2][None, None, :].expand(t, h, w, -1),
    )
    return torch.cat(parts, dim=-1).flatten(0, 2)


@lru_cache(maxsize=8)
def rope_cos_sin(
    grid: tuple[int, int, int],
    head_dim: int,
    ratios: tuple[float, float, float],
    fps: float | None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | None = None,
    exponent_dtype: torch.dtype | None = None,
) -> tuple[Float[Tensor, "n half"], Float[Tensor, "n half"]]:
    """Cosines and sines of ``rope_angles``, float32; remembered, so treat the result as read-only."""
    with torch.inference_mode(False), torch.no_grad():
        angles = rope_angles(grid, head_dim, ratios, fps, dtype, device, exponent_dtype)
        return angles.cos(), angles.sin()


def rotate(
    x: Shaped[Tensor, "b k n d"], cos: Float[Tensor, "n half"], sin: Float[Tensor, "n half"]
) -> Shaped[Tensor, "b k n d"]:
    """Turn the heads by their angles, in float32, and return them in their own precision."""
    first, second = x.float().chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x.dtype)
