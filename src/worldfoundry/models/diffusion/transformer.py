"""The diffusion transformer of the world model.

Axes: ``b`` batch, ``c`` channels, ``t h w`` latent frames, rows and columns, ``n`` tokens (time first, then rows, then
columns), ``d`` model width, ``m e`` text tokens and their width.

Departures from a plain DiT: self-attention, cross-attention and MLP are three residual branches, each with its own adaptive
norm; the modulation is low-rank plus a part shared by all branches; queries and keys are normalised; positions enter twice,
as rotary angles and as a learned unit-norm vector added before every block; the vector that drives the modulation is the
normalised raw sinusoid of the noise level, the MLP of it enters through the shared part only.

Source: arXiv 2501.03575. State-dict names are those of the published networks (prefix ``net.`` removed).
"""

import torch
import torch.nn.functional as F  # noqa: N812  the name the field uses
from einops import rearrange
from einops.layers.torch import Rearrange
from jaxtyping import Float
from torch import Tensor, nn

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.models.common.attention import Attention, RMSNorm
from worldfoundry.models.common.embeddings import LearnedPositions, Sinusoid
from worldfoundry.models.common.rope import rope_cos_sin
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
    """Every token attends to every text row, without a mask; a zero row is a sink that adds nothing."""

    def __init__(self, dim: int, text_dim: int, num_heads: int):
        super().__init__()
        self.attn = Attention(dim, text_dim, num_heads)

    def forward(self, x: Float[Tensor, "b n d"], text: Float[Tensor, "b m e"]) -> Float[Tensor, "b n d"]:
        """Attend."""
        return self.attn(x, text)


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
            parts["1"] = CrossAttention(d, config.text_channels, config.num_heads)
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


class DiffusionTransformer(nn.Module):
    """The network F of the EDM denoiser: noisy latents and their noise level to raw predictions."""

    def __init__(self, config: DiTConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.config = config
        d = config.model_channels
        self.x_embedder = PatchEmbedding(config)
        self.pos_embedder = RopeBuffer(max(config.max_grid))
        self.extra_pos_embedder = LearnedPositions(d, config.max_grid)
        self.t_embedder = nn.Sequential(Sinusoid(d), TimestepMLP(d))
        self.affline_norm = RMSNorm(d)
        self.blocks = nn.ModuleDict({f"block{i}": Block(config) for i in range(config.num_blocks)})
        self.final_layer = FinalLayer(config)
        if not self.x_embedder.proj[1].weight.is_meta:
            self.init_weights(generator)

    @torch.no_grad()
    def init_weights(self, generator: torch.Generator | None = None):
        """Draw every parameter anew.

        ==========================================  ==============================
        every linear layer not named below          Xavier uniform
        ``t_embedder.1.linear_1 linear_2``          normal, standard deviation 0.02
        ``adaLN_modulation.2`` of every branch      0, so that every gate is shut
        ``extra_pos_embedder``                      normal 0.02, cut at +-2
        norm scales                                 1
        ``pos_embedder.seq``                        0, 1, 2 ...
        ==========================================  ==============================

        The gates open through the shared part, so they are small, not zero, at the start.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, generator=generator)
            elif isinstance(module, RMSNorm):
                nn.init.ones_(module.weight)
        for linear in self.t_embedder[1].children():
            nn.init.normal_(linear.get_parameter("weight"), std=0.02, generator=generator)
        for module in self.modules():
            if isinstance(module, Branch):
                nn.init.zeros_(module.adaLN_modulation.get_parameter("2.weight"))
        for table in self.extra_pos_embedder.parameters():
            nn.init.trunc_normal_(table, std=0.02, generator=generator)
        self.pos_embedder.seq.copy_(torch.arange(len(self.pos_embedder.seq)))

    def forward(
        self,
        x: Float[Tensor, "b c t h w"],
        c_noise: Float[Tensor, " b"],
        *,
        text: Float[Tensor, "b m e"] | None = None,
        fps: Float[Tensor, " b"] | float | None = None,
        condition_mask: Float[Tensor, "b 1 t h w"] | None = None,
        padding_mask: Float[Tensor, "b 1 ph pw"] | None = None,
    ) -> Float[Tensor, "b c t h w"]:
        """Predict F from latents already scaled by ``c_in``.

        ``fps`` is one rate for the whole batch (of a tensor, the first element counts), None for images. ``condition_mask``
        is 1 on given frames. ``padding_mask`` is 1 on padded pixels, at any resolution; None means no padding.
        """
        grid = self._grid(x)
        tokens = self.x_embedder(self._with_masks(x, condition_mask, padding_mask))
        s = self.t_embedder[0](c_noise).to(x.dtype)
        shared, e = self.t_embedder[1](s), self.affline_norm(s)
        positions = self.extra_pos_embedder(*grid).flatten(0, 2)
        rope = self._rope(grid, fps, x.device)
        text = None if text is None or text.shape[1] == 0 else text
        if text is not None and not self.config.text_channels:
            raise ConfigError(
                "this network takes no text (text_channels=0); leave it out or use a network that does"
            )
        for block in self.blocks.values():
            tokens = block(tokens + positions, e, shared, rope, text)
        p, r = self.config.patch_spatial, self.config.patch_temporal
        order = "b (t h w) (m n r c) -> b c (t r) (h m) (w n)"
        t, h, w = grid
        return rearrange(self.final_layer(tokens, e, shared), order, t=t, h=h, w=w, m=p, n=p, r=r)

    def _grid(self, x: Tensor) -> tuple[int, int, int]:
        p, r = self.config.patch_spatial, self.config.patch_temporal
        for axis, size, patch, most in zip("thw", x.shape[2:], (r, p, p), self.config.max_grid, strict=True):
            if size % patch or size > most * patch:
                raise DataError(
                    f"latent axis {axis} must be a multiple of {patch} and at most {most * patch}, got {size}; "
                    "resize the clip or build the network with a larger max_latent size"
                )
        return x.shape[2] // r, x.shape[3] // p, x.shape[4] // p

    def _with_masks(self, x: Tensor, condition_mask: Tensor | None, padding_mask: Tensor | None) -> Tensor:
        channels = [x]
        if self.config.has_condition_mask != (condition_mask is not None):
            verb = "needs" if self.config.has_condition_mask else "takes no"
            raise ConfigError(
                f"this network {verb} condition_mask (has_condition_mask={self.config.has_condition_mask})"
            )
        if condition_mask is not None:
            channels.append(condition_mask.to(x.dtype))
        if not self.config.has_padding_mask and padding_mask is not None:
            raise ConfigError("this network takes no padding_mask (has_padding_mask=False); leave it out")
        if self.config.has_padding_mask:
            mask = (
                x.new_zeros(1)
                if padding_mask is None
                else F.interpolate(padding_mask, x.shape[3:])[:, :, None]
            )
            channels.append(mask.to(x.dtype).expand(len(x), 1, *x.shape[2:]))
        return torch.cat(channels, dim=1)

    def _rope(self, grid: tuple[int, int, int], fps: Tensor | float | None, device: torch.device) -> Rope:
        if fps is None and grid[0] > 1:
            raise DataError(
                f"fps may be None only for images (one latent frame), got {grid[0]}; pass the frame rate"
            )
        rate = float(fps[0]) if isinstance(fps, Tensor) else fps
        table = self.extra_pos_embedder.pos_emb_t
        dtype = table.dtype if self.config.rope_precision == "weights" else torch.float32
        return rope_cos_sin(grid, self.config.head_dim, self.config.rope_ratios, rate, dtype, device)
