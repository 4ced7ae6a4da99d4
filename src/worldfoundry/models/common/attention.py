"""Multi-head attention with normalised queries and keys.

Axes: ``b`` batch, ``n`` tokens, ``m`` tokens attended to, ``d`` model width, ``k`` heads. Parameter names are those of the
published Cosmos networks.
"""

import torch
import torch.nn.functional as F  # noqa: N812  the name the field uses
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from worldfoundry.models.common.rope import rotate


class RMSNorm(nn.Module):
    """Root-mean-square norm with a learned scale; float32 inside, the scale included. Source: arXiv 1910.07467."""

    def __init__(self, dim: int, eps: float = 1e-6):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """Unit root mean square along the last axis, times the scale, in the precision of ``x``."""
        return F.rms_norm(x.float(), self.weight.shape, self.weight.float(), self.eps).to(x.dtype)


class LowRank(nn.Module):
    """What a linear layer gains in low-rank adaptation: ``scale * up(down(x))``. Source: arXiv 2106.09685."""

    def __init__(self, dim_in: int, dim_out: int, rank: int, scale: float):
        super().__init__()
        self.scale = scale
        down, up = nn.Linear(dim_in, rank, bias=False), nn.Linear(rank, dim_out, bias=False)
        self.net = nn.Sequential(down, up)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n e"]:
        """What is added to the output of the layer."""
        return self.scale * self.net(x)


def _project(base: nn.Module, low_rank: LowRank | None, x: Tensor) -> Tensor:
    return base(x) if low_rank is None else base(x) + low_rank(x)


class Attention(nn.Module):
    """Attention of ``x`` to ``context``; queries and keys are RMS-normalised over a head, values are not.

    Each projection may have a low-rank adaptation beside it; none has one when built.
    """

    def __init__(self, dim: int, context_dim: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        head_dim = dim // num_heads
        self.to_q = nn.Sequential(nn.Linear(dim, dim, bias=False), RMSNorm(head_dim))
        self.to_k = nn.Sequential(nn.Linear(context_dim, dim, bias=False), RMSNorm(head_dim))
        self.to_v = nn.Sequential(nn.Linear(context_dim, dim, bias=False))
        self.to_out = nn.Sequential(nn.Linear(dim, dim, bias=False))
        self.to_q_lora: LowRank | None = None
        self.to_k_lora: LowRank | None = None
        self.to_v_lora: LowRank | None = None
        self.to_out_lora: LowRank | None = None

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        context: Float[Tensor, "b m e"],
        rope: tuple[Float[Tensor, "n half"], Float[Tensor, "n half"]] | None = None,
    ) -> Float[Tensor, "b n d"]:
        """Attend without a mask; ``rope`` holds the cosines and sines that turn queries and keys (self-attention)."""
        heads = "b n (k d) -> b n k d"
        q, k = _project(self.to_q[0], self.to_q_lora, x), _project(self.to_k[0], self.to_k_lora, context)
        q = self.to_q[1](rearrange(q, heads, k=self.num_heads)).transpose(1, 2)
        k = self.to_k[1](rearrange(k, heads, k=self.num_heads)).transpose(1, 2)
        v = _project(self.to_v, self.to_v_lora, context)
        v = rearrange(v, "b m (k d) -> b k m d", k=self.num_heads)
        if rope is not None:
            q, k = rotate(q, *rope), rotate(k, *rope)
        out = rearrange(F.scaled_dot_product_attention(q, k, v), "b k n d -> b n (k d)")
        return _project(self.to_out, self.to_out_lora, out)
