"""The layers of the diffusion transformer.

Axes: ``b`` batch, ``c`` channels, ``t h w`` latent frames, rows and columns, ``n`` tokens (time first, then rows, then
columns), ``d`` model width, ``m e`` text tokens and their width, ``v`` views.

Source: arXiv 2501.03575.
"""

import torch
import torch.nn.functional as F  # noqa: N812  the name the field uses
from einops import rearrange
from einops.layers.torch import Rearrange
from jaxtyping import Float
from torch import Tensor, nn

from worldfoundry.core.errors import DataError
from worldfoundry.models.common.attention import Attention
from worldfoundry.models.diffusion.config import DiTConfig

Rope = tuple[Float[Tensor, "n half"], Float[Tensor, "n half"]]


def _linear(dim_in: int, dim_out: int) -> nn.Linear:
    return nn.Linear(dim_in, dim_out, bias=False)


def _modulation(dim: int, rank: int, parts: int) -> nn.Sequential:
    return nn.Sequential(nn.SiLU(), _linear(dim, rank), _linear(rank, parts * dim))


def _modulate(
    x: Float[Tensor, "b n d"], shift: Float[Tensor, "b d"], scale: Float[Tensor, "b d"]
) -> Float[Tensor, "b n d"]:
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale[:, None]) + shift[:, None]


class PatchEmbedding(nn.Module):
    """Latents to tokens."""

    def __init__(self, config: DiTConfig):
        super().__init__()
        p, r = config.patch_spatial, config.patch_temporal
        order = Rearrange("b c (t r) (h m) (w n) -> b (t h w) (c r m n)", r=r, m=p, n=p)
        self.proj = nn.Sequential(order, _linear(config.in_channels * r * p * p, config.model_channels))

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b n d"]:
        """One token for each patch."""
        return self.proj(x)


class TimestepMLP(nn.Module):
    """The part of the modulation that all branches share."""

    def __init__(self, dim: int):
        super().__init__()
        self.linear_1 = _linear(dim, dim)
        self.linear_2 = _linear(dim, 3 * dim)

    def forward(self, s: Float[Tensor, "b d"]) -> Float[Tensor, "b d3"]:
        """Shift, scale and gate, side by side."""
        return self.linear_2(F.silu(self.linear_1(s)))


class RopeBuffer(nn.Module):
    """Holds the one buffer that the published layout stores for the rotary embedding; nothing reads it."""

    seq: Tensor

    def __init__(self, length: int):
        super().__init__()
        self.register_buffer("seq", torch.arange(length, dtype=torch.float32))


class SelfAttention(nn.Module):
    """Every token attends to every token of the clip."""

    def __init__(self, dim: int, num_heads: int):
        super().__init__()
        self.attn = Attention(dim, dim, num_heads)

    def forward(self, x: Float[Tensor, "b n d"], rope: Rope) -> Float[Tensor, "b n d"]:
        """Attend."""
        return self.attn(x, x, rope)


class CrossAttention(nn.Module):
    """Every token attends to every text row, without a mask; a zero row is a sink that adds nothing.

    With several views, one after the other along the tokens and along the text, each attends to the text of its own.
    """

    def __init__(self, dim: int, text_dim: int, num_heads: int, num_views: int = 1):
        super().__init__()
        self.num_views = num_views
        self.attn = Attention(dim, text_dim, num_heads)

    def forward(self, x: Float[Tensor, "b n d"], text: Float[Tensor, "b m e"]) -> Float[Tensor, "b n d"]:
        """Attend."""
        if self.num_views == 1:
            return self.attn(x, text)
        if text.shape[1] % self.num_views:
            raise DataError(
                f"text must have as many rows for each of the {self.num_views} views, got {text.shape[1]} in all; "
                "put the texts of the views one after the other"
            )
        each = "b (v n) d -> (b v) n d"
        x, text = rearrange(x, each, v=self.num_views), rearrange(text, each, v=self.num_views)
        return rearrange(self.attn(x, text), "(b v) n d -> b (v n) d", v=self.num_views)


class MLP(nn.Module):
    """Two linear layers around the exact GELU."""

    def __init__(self, dim: int, hidden_dim: int):
        super().__init__()
        self.layer1 = _linear(dim, hidden_dim)
        self.layer2 = _linear(hidden_dim, dim)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Each token on its own."""
        return self.layer2(F.gelu(self.layer1(x)))


class Branch(nn.Module):
    """A residual branch: adaptive norm, one of the three blocks above, gate."""

    def __init__(self, block: nn.Module, dim: int, rank: int):
        super().__init__()
        self.block = block
        self.adaLN_modulation = _modulation(dim, rank, 3)

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        e: Float[Tensor, "b d"],
        shared: Float[Tensor, "b d3"],
        *given: Rope | Tensor,
    ) -> Float[Tensor, "b n d"]:
        """Add the branch to ``x``; ``given`` is what its block reads besides ``x``."""
        shift, scale, gate = (self.adaLN_modulation(e) + shared).chunk(3, dim=-1)
        return x + gate[:, None] * self.block(_modulate(x, shift, scale), *given)


class Block(nn.Module):
    """Self-attention, cross-attention and MLP, each as a branch."""

    def __init__(self, config: DiTConfig):
        super().__init__()
        d, rank = config.model_channels, config.adaln_lora_dim
        parts = {"0": SelfAttention(d, config.num_heads), "2": MLP(d, int(config.mlp_ratio * d))}
        if config.text_channels:
            parts["1"] = CrossAttention(d, config.text_channels, config.num_heads, config.num_views)
        self.blocks = nn.ModuleDict({name: Branch(parts[name], d, rank) for name in sorted(parts)})

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        e: Float[Tensor, "b d"],
        shared: Float[Tensor, "b d3"],
        rope: Rope,
        text: Float[Tensor, "b m e"] | None,
    ) -> Float[Tensor, "b n d"]:
        """Without text the cross-attention is skipped: it would add exactly zero."""
        x = self.blocks["0"](x, e, shared, rope)
        if text is not None:
            x = self.blocks["1"](x, e, shared, text)
        return self.blocks["2"](x, e, shared)


class FinalLayer(nn.Module):
    """Tokens to patches."""

    def __init__(self, config: DiTConfig):
        super().__init__()
        d, patch = config.model_channels, config.patch_spatial**2 * config.patch_temporal
        self.linear = _linear(d, patch * config.latent_channels)
        self.adaLN_modulation = _modulation(d, config.adaln_lora_dim, 2)

    def forward(
        self, x: Float[Tensor, "b n d"], e: Float[Tensor, "b d"], shared: Float[Tensor, "b d3"]
    ) -> Float[Tensor, "b n p"]:
        """Modulated norm, then one linear layer."""
        shift, scale = (self.adaLN_modulation(e) + shared[:, : 2 * x.shape[-1]]).chunk(2, dim=-1)
        return self.linear(_modulate(x, shift, scale))
