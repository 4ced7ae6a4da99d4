"""The diffusion transformer of the world model.

Axes: ``b`` batch, ``c`` channels, ``t h w`` latent frames, rows and columns, ``n`` tokens (time first, then rows, then
columns), ``d`` model width, ``m e`` text tokens and their width.

Departures from a plain DiT: self-attention, cross-attention and MLP are three residual branches, each with its own adaptive
norm; the modulation is low-rank plus a part shared by all branches; queries and keys are normalised; positions enter twice,
as rotary angles and as a learned unit-norm vector added before every block; the vector that drives the modulation is the
normalised raw sinusoid of the noise level, the MLP of it enters through the shared part only.

Source: arXiv 2501.03575. State-dict names are those of the published networks (prefix ``net.`` removed).
"""

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812  the name the field uses
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.models.common.attention import Attention, RMSNorm
from worldfoundry.models.common.embeddings import LearnedPositions, Sinusoid, grid_sines, sinusoid
from worldfoundry.models.common.rope import rope_cos_sin
from worldfoundry.models.diffusion.conditions import (
    NONE,
    Conditions,
    channels_before_padding,
    channels_behind_padding,
    check_conditions,
    variant_modules,
)
from worldfoundry.models.diffusion.config import DiTConfig
from worldfoundry.models.diffusion.layers import (
    Block,
    Branch,
    CrossAttention,
    FinalLayer,
    PatchEmbedding,
    Rope,
    RopeBuffer,
    SelfAttention,
    TimestepMLP,
)


def _init(module: nn.Module, generator: torch.Generator | None) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight, generator=generator)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, generator=generator)
    elif isinstance(module, RMSNorm):
        nn.init.ones_(module.weight)


class DiffusionTransformer(nn.Module):
    """The network F of the EDM denoiser: noisy latents and their noise level to raw predictions."""

    def __init__(self, config: DiTConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.config = config
        d = config.model_channels
        self.x_embedder = PatchEmbedding(config)
        self.pos_embedder = RopeBuffer(max(config.max_grid))
        if config.positions == "learned":
            self.extra_pos_embedder = LearnedPositions(d, config.max_grid)
        self.t_embedder = nn.Sequential(Sinusoid(d), TimestepMLP(d))
        self.affline_norm = RMSNorm(d)
        self.blocks = nn.ModuleDict({f"block{i}": Block(config) for i in range(config.num_blocks)})
        self.final_layer = FinalLayer(config)
        for name, module in variant_modules(config).items():
            self.add_module(name, module)
        if not self.x_embedder.proj[1].weight.is_meta:
            self.init_weights(generator)

    @torch.no_grad()
    def init_weights(self, generator: torch.Generator | None = None):
        """Draw every parameter anew.

        ==========================================  ==============================
        every linear layer not named below          Xavier uniform, bias 0
        embeddings of views and tokens              normal
        ``t_embedder.1.linear_1 linear_2``          normal, standard deviation 0.02
        ``adaLN_modulation.2`` of every branch      0, so that every gate is shut
        ``extra_pos_embedder``                      normal 0.02, cut at +-2
        norm scales                                 1
        ``pos_embedder.seq``                        0, 1, 2 ...
        ==========================================  ==============================

        The gates open through the shared part, so they are small, not zero, at the start.
        """
        for module in self.modules():
            _init(module, generator)
        for linear in self.t_embedder[1].children():
            nn.init.normal_(linear.get_parameter("weight"), std=0.02, generator=generator)
        for module in self.modules():
            if isinstance(module, Branch):
                nn.init.zeros_(module.adaLN_modulation.get_parameter("2.weight"))
        if self.config.positions == "learned":
            for table in self.extra_pos_embedder.parameters():
                nn.init.trunc_normal_(table, std=0.02, generator=generator)
        self.pos_embedder.seq.copy_(torch.arange(len(self.pos_embedder.seq)))

    def attentions(self, kind: Literal["self", "cross"], num_blocks: int | None = None) -> list[Attention]:
        """Those of the first blocks, or of all."""
        wanted = SelfAttention if kind == "self" else CrossAttention
        blocks = list(self.blocks.values())[:num_blocks]
        return [m.attn for block in blocks for m in block.modules() if isinstance(m, wanted)]

    def forward(
        self,
        x: Float[Tensor, "b c t h w"],
        c_noise: Float[Tensor, " b"],
        *,
        text: Float[Tensor, "b m e"] | None = None,
        fps: Float[Tensor, " b"] | float | None = None,
        condition_mask: Float[Tensor, "b 1 t h w"] | None = None,
        padding_mask: Float[Tensor, "b 1 ph pw"] | None = None,
        conditions: Conditions = NONE,
    ) -> Float[Tensor, "b c t h w"]:
        """Predict F from latents already scaled by ``c_in``.

        ``fps`` is one rate for the whole batch (of a tensor, the first element counts), None for images. ``condition_mask``
        is 1 on given frames. ``padding_mask`` is 1 on padded pixels, at any resolution; None means no padding. Of several
        views the latent frames stand view after view, and so do the rows of ``text``.
        """
        check_conditions(self.config, conditions)
        grid = self._grid(x)
        tokens = self.x_embedder(self._with_channels(x, condition_mask, padding_mask, conditions))
        shared, e = self._modulation(c_noise, conditions, x.dtype)
        positions = self._positions(grid, x.device)
        rope = self._rope(grid, fps, x.device)
        text = None if text is None or text.shape[1] == 0 else text
        if text is not None and not self.config.text_channels:
            raise ConfigError(
                "this network takes no text (text_channels=0); leave it out or use a network that does"
            )
        for block in self.blocks.values():
            tokens = block(tokens if positions is None else tokens + positions, e, shared, rope, text)
        p, r = self.config.patch_spatial, self.config.patch_temporal
        order = "b (t h w) (m n r c) -> b c (t r) (h m) (w n)"
        t, h, w = grid
        t = t * self.config.num_views
        return rearrange(self.final_layer(tokens, e, shared), order, t=t, h=h, w=w, m=p, n=p, r=r)

    def _modulation(
        self, c_noise: Tensor, conditions: Conditions, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """The part that all branches share, and the vector that drives each branch's own."""
        s = self.t_embedder[0](c_noise).to(dtype)
        shared = self.t_embedder[1](s)
        if conditions.action is not None:
            shared = shared + self.get_submodule("action_embedder_B_3D")(conditions.action.to(dtype))
        if conditions.augment_c_noise is not None:
            s = s + sinusoid(conditions.augment_c_noise, s.shape[-1]).to(dtype)
        return shared, self.affline_norm(s)

    def _grid(self, x: Tensor) -> tuple[int, int, int]:
        """Tokens of one view along time, rows and columns."""
        p, r = self.config.patch_spatial, self.config.patch_temporal
        (*_, t, h, w), views = x.shape, self.config.num_views
        if t % views:
            raise DataError(
                f"latent frames must be as many for each of {views} views, got {t} in all; give whole views"
            )
        sizes = (t // views, h, w)
        for axis, size, patch, most in zip("thw", sizes, (r, p, p), self.config.max_grid, strict=True):
            if size % patch or size > most * patch:
                raise DataError(
                    f"latent axis {axis} must be a multiple of {patch} and at most {most * patch}, got {size}; "
                    "resize the clip or build the network with a larger max_latent size"
                )
        return sizes[0] // r, h // p, w // p

    def _with_channels(
        self, x: Tensor, condition_mask: Tensor | None, padding_mask: Tensor | None, conditions: Conditions
    ) -> Tensor:
        """The published order: latents, condition mask, rays or tokens, padding mask, views, trajectory."""
        channels = [x]
        if self.config.has_condition_mask != (condition_mask is not None):
            verb = "needs" if self.config.has_condition_mask else "takes no"
            raise ConfigError(
                f"this network {verb} condition_mask (has_condition_mask={self.config.has_condition_mask})"
            )
        if condition_mask is not None:
            channels.append(condition_mask.to(x.dtype))
        channels += channels_before_padding(self, x, conditions)
        if not self.config.has_padding_mask and padding_mask is not None:
            raise ConfigError("this network takes no padding_mask (has_padding_mask=False); leave it out")
        if self.config.has_padding_mask:
            mask = (
                x.new_zeros(1)
                if padding_mask is None
                else F.interpolate(padding_mask, x.shape[3:])[:, :, None]
            )
            channels.append(mask.to(x.dtype).expand(len(x), 1, *x.shape[2:]))
        channels += channels_behind_padding(self, self.config, x, conditions)
        return torch.cat(channels, dim=1)

    def _positions(self, grid: tuple[int, int, int], device: torch.device) -> Tensor | None:
        """What is added before every block; each view begins anew."""
        if self.config.positions == "none":
            return None
        if self.config.positions == "learned":
            table = self.extra_pos_embedder(*grid).flatten(0, 2)
        else:
            dtype = self.x_embedder.proj[1].weight.dtype
            table = grid_sines(grid, self.config.model_channels, dtype=dtype, device=device)
        return self._in_each_view(table)

    def _rope(self, grid: tuple[int, int, int], fps: Tensor | float | None, device: torch.device) -> Rope:
        if fps is None and grid[0] > 1:
            raise DataError(
                f"fps may be None only for images (one latent frame), got {grid[0]}; pass the frame rate"
            )
        rate = float(fps[0]) if isinstance(fps, Tensor) else fps
        precision = self.config.rope_precision
        dtype = self.x_embedder.proj[1].weight.dtype if precision == "weights" else torch.float32
        stored = torch.bfloat16 if precision == "rounded" else dtype
        cos, sin = rope_cos_sin(
            grid, self.config.head_dim, self.config.rope_ratios, rate, dtype, device, stored
        )
        return self._in_each_view(cos), self._in_each_view(sin)

    def _in_each_view(self, table: Tensor) -> Tensor:
        views = self.config.num_views
        return table if views == 1 else table.repeat(views, 1)
