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


class Attention(nn.Module):
    """Attention of ``x`` to ``context``; queries and keys are RMS-normalised over a head, values are not."""

    def __init__(self, dim: int, context_dim: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        head_dim = dim // num_heads
        self.to_q = nn.Sequential(nn.Linear(dim, dim, bias=False), RMSNorm(head_dim))
        self.to_k = nn.Sequential(nn.Linear(context_dim, dim, bias=False), RMSNorm(head_dim))
        self.to_v = nn.Sequential(nn.Linear(context_dim, dim, bias=False))
        self.to_out = nn.Sequential(nn.Linear(dim, dim, bias=False))

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        context: Float[Tensor, "b m e"],
        rope: tuple[Float[Tensor, "n half"], Float[Tensor, "n half"]] | None = None,
    ) -> Float[Tensor, "b n d"]:
        """Attend without a mask; ``rope`` holds the cosines and sines that turn queries and keys (self-attention)."""
        heads = "b n (k d) -> b n k d"
        q = self.to_q[1](rearrange(self._project("to_q", x), heads, k=self.num_heads)).transpose(1, 2)
        k = self.to_k[1](rearrange(self._project("to_k", context), heads, k=self.num_heads)).transpose(1, 2)
        v = rearrange(self._project("to_v", context), "b m (k d) -> b k m d", k=self.num_heads)
        if rope is not None:
            q, k = rotate(q, *rope), rotate(k, *rope)
        seen = rearrange(F.scaled_dot_product_attention(q, k, v), "b k n d -> b n (k d)")
        return self._project("to_out", seen)

    def linear(self, name: str) -> nn.Linear:
        """The matrix of ``to_q``, ``to_k``, ``to_v`` or ``to_out``."""
        found = self.get_submodule(name + ".0")
        assert isinstance(found, nn.Linear), "the first layer of a projection"
        return found

    def adapter(self, name: str) -> nn.Module | None:
        """What stands beside a projection and adds to it (``lora``), if anything does."""
        return self._modules.get(name + "_lora")

    def _project(self, name: str, x: Tensor) -> Tensor:
        adapter = self.adapter(name)
        y = self.linear(name)(x)
        return y if adapter is None else y + adapter(x)
