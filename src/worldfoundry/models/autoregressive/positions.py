"""Where a token stands: rotary tables over time, rows and columns, and sums of sines and cosines.

Axes: ``n`` places of the tables, ``d`` width of a head or of the model. A begin token has place 0 and neither turns nor is
shifted; the clip follows, time first, then rows, then columns; the tables are filled up with places that do nothing.

Source: arXiv 2104.09864 and 2309.00071, as arXiv 2501.03575 and the published models use them.
"""

import math
from functools import lru_cache

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from worldfoundry.models.autoregressive.config import AutoregressiveConfig, YarnConfig
from worldfoundry.models.common.embeddings import grid_sines
from worldfoundry.models.common.rope import axis_dims


def rotary_frequencies(
    dim: int, theta: float, yarn: YarnConfig | None = None, original_length: int = 1
) -> Float[Tensor, " half"]:
    """Radians a step of ``dim / 2`` rotations, float32, slow ones slowed down further by ``yarn``."""
    frequencies = 1.0 / theta ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim)
    if yarn is None:
        return frequencies
    high, low = (2 * math.pi * beta / original_length for beta in (yarn.beta_fast, yarn.beta_slow))
    kept = ((frequencies - low) / (high - low)).clamp(0, 1)
    return frequencies * ((1 - kept) / yarn.scale + kept)


def grid_frequencies(config: AutoregressiveConfig) -> tuple[Float[Tensor, " t"], Float[Tensor, " s"]]:
    """Of time, and of rows and columns alike."""
    time, rows, _ = axis_dims(config.head_dim)
    original = config.yarn.original_latent_shape if config.yarn else (1, 1, 1)
    return (
        rotary_frequencies(time, config.rope_theta, config.yarn, original[0]),
        rotary_frequencies(rows, config.rope_theta, config.yarn, original[1]),
    )


def rotary_angles(config: AutoregressiveConfig) -> Float[Tensor, "n half"]:
    """Angles of every place, radians."""
    over_time, over_space = grid_frequencies(config)
    frames, rows, columns = (torch.arange(n, dtype=torch.float32) for n in config.latent_shape)
    grid = _over_grid(
        config,
        torch.outer(frames, over_time),
        torch.outer(rows, over_space),
        torch.outer(columns, over_space),
    )
    return _placed(config, grid)


@lru_cache(maxsize=8)
def rotary_tables(
    config: AutoregressiveConfig, dtype: torch.dtype = torch.float32, device: torch.device | None = None
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
    """Cosines and sines for ``turn``; remembered, so treat them as read-only."""
    with torch.inference_mode(False), torch.no_grad():
        angles = rotary_angles(config).repeat(1, 2)
        return angles.cos().to(device, dtype), angles.sin().to(device, dtype)


def turn(
    x: Shaped[Tensor, "*batch n d"], cos: Shaped[Tensor, "n d"], sin: Shaped[Tensor, "n d"]
) -> Shaped[Tensor, "*batch n d"]:
    """Turn heads by their angles: component ``i`` with ``i + d/2``, in the precision of the tables."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


def turn_pairs(
    x: Shaped[Tensor, "*batch n d"], cos: Float[Tensor, "n half"], sin: Float[Tensor, "n half"]
) -> Shaped[Tensor, "*batch n d"]:
    """Turn heads by their angles: component ``2 i`` with ``2 i + 1``, in float32, as text models of Meta's layout do."""
    even, odd = x.float()[..., 0::2], x.float()[..., 1::2]
    turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1)
    return turned.flatten(-2).to(x.dtype)


@lru_cache(maxsize=8)
def absolute_positions(
    config: AutoregressiveConfig, dtype: torch.dtype = torch.bfloat16, device: torch.device | None = None
) -> Float[Tensor, "n d"]:
    """What is added before every layer: sines, then cosines, of each axis; remembered, so treat it as read-only.

    The published models were trained with values rounded to bfloat16, whatever their own precision.
    """
    with torch.inference_mode(False), torch.no_grad():
        sines = grid_sines(config.latent_shape, config.dim, dtype=torch.float64)
        return _placed(config, sines).to(device, dtype)


def _over_grid(config: AutoregressiveConfig, time: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    shape = config.latent_shape
    parts = (time[:, None, None], rows[None, :, None], columns[None, None])
    return torch.cat([p.expand(*shape, -1) for p in parts], dim=-1).flatten(0, 2)


def _placed(config: AutoregressiveConfig, grid: Tensor) -> Tensor:
    before = int(config.has_begin_token)
    return torch.nn.functional.pad(grid, (0, 0, before, config.num_positions - before - len(grid)))
