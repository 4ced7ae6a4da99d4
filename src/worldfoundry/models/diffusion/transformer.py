"""The diffusion transformer of the world model.

Axes: ``b`` batch, ``c`` channels, ``t h w`` latent frames, rows and columns, ``n`` tokens (time first, then rows, then
columns), ``d`` model width, ``m e`` text tokens and their width.

Departures from a plain DiT: self-attention, cross-attention and MLP are three residual branches, each with its own adaptive
norm; the modulation is low-rank plus a part shared by all branches; queries and keys are normalised; positions enter twice,
as rotary angles and as a vector added before every block; the vector that drives the modulation is the
normalised raw sinusoid of the noise level, the MLP of it enters through the shared part only.

Every published variant is this network with other settings: inputs that add channels or modulation are in ``inputs``. Views
of one clip lie one after the other along ``t``; positions start anew in each, and all of them attend to each other.

Source: arXiv 2501.03575. State-dict names are those of the published networks (prefix ``net.`` removed).
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from worldfoundry.core.errors import DataError
from worldfoundry.models.common.attention import RMSNorm
from worldfoundry.models.common.embeddings import LearnedPositions, Sinusoid, grid_sines
from worldfoundry.models.common.rope import rope_cos_sin
from worldfoundry.models.diffusion.blocks import (
    Block,
    Branch,
    FinalLayer,
    PatchEmbedding,
    Rope,
    RopeBuffer,
    TimestepMLP,
)
from worldfoundry.models.diffusion.config import DiTConfig
from worldfoundry.models.diffusion.inputs import (
    NO_EXTRA_INPUTS,
    ExtraInputs,
    action_modulation,
    augment_embedding,
    check_inputs,
    input_channels,
    input_modules,
)


def _draw(module: nn.Module, generator: torch.Generator | None) -> None:
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
        for name, module in input_modules(config).items():
            self.add_module(name, module)
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
        tables of views and tokens                  standard normal
        biases of the extra inputs                  0
        ``pos_embedder.seq``                        0, 1, 2 ...
        ==========================================  ==============================

        The gates open through the shared part, so they are small, not zero, at the start.
        """
        for module in self.modules():
            _draw(module, generator)
        for linear in self.t_embedder[1].children():
            nn.init.normal_(linear.get_parameter("weight"), std=0.02, generator=generator)
        for module in self.modules():
            if isinstance(module, Branch):
                nn.init.zeros_(module.adaLN_modulation.get_parameter("2.weight"))
        if self.config.positions == "learned":
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
        extra: ExtraInputs = NO_EXTRA_INPUTS,
    ) -> Float[Tensor, "b c t h w"]:
        """Predict F from latents already scaled by ``c_in``.

        ``fps`` is one rate for the whole batch (of a tensor, the first element counts), None for images. ``condition_mask``
        is 1 on given frames. ``padding_mask`` is 1 on padded pixels, at any resolution; None means no padding. ``extra``
        holds what only some variants read.
        """
        config = self.config
        check_inputs(config, text=text, condition_mask=condition_mask, padding_mask=padding_mask, extra=extra)
        grid = self._grid(x)
        channels = input_channels(self, config, x, condition_mask, padding_mask, extra)
        tokens = self.x_embedder(channels)
        e, shared = self._modulation(c_noise, x.dtype, extra)
        positions, rope = self._positions(grid, x.device), self._rope(grid, fps, x.device)
        text = None if text is None or text.shape[1] == 0 else text
        for block in self.blocks.values():
            tokens = block(tokens if positions is None else tokens + positions, e, shared, rope, text)
        p, r = config.patch_spatial, config.patch_temporal
        order = "b (t h w) (m n r c) -> b c (t r) (h m) (w n)"
        t, h, w = grid
        out = self.final_layer(tokens, e, shared)
        return rearrange(out, order, t=t * config.num_views, h=h, w=w, m=p, n=p, r=r)

    def _grid(self, x: Tensor) -> tuple[int, int, int]:
        p, r = self.config.patch_spatial, self.config.patch_temporal
        if x.shape[2] % self.config.num_views:
            raise DataError(
                f"latent axis t must hold {self.config.num_views} views of one length, got {x.shape[2]} frames; "
                "put the views one after the other"
            )
        sizes = (x.shape[2] // self.config.num_views, *x.shape[3:])
        for axis, size, patch, most in zip("thw", sizes, (r, p, p), self.config.max_grid, strict=True):
            if size % patch or size > most * patch:
                raise DataError(
                    f"latent axis {axis} must be a multiple of {patch} and at most {most * patch}, got {size}; "
                    "resize the clip or build the network with a larger max_latent size"
                )
        t, h, w = sizes
        return t // r, h // p, w // p

    def _modulation(self, c_noise: Tensor, dtype: torch.dtype, extra: ExtraInputs) -> tuple[Tensor, Tensor]:
        s = self.t_embedder[0](c_noise).to(dtype)
        shared = self.t_embedder[1](s)
        if extra.augment_c_noise is not None:
            s = s + augment_embedding(self, extra.augment_c_noise).to(dtype)
        if extra.action is not None:
            shared = shared + action_modulation(self, extra.action.to(dtype))
        return self.affline_norm(s), shared

    def _positions(self, grid: tuple[int, int, int], device: torch.device) -> Float[Tensor, "n d"] | None:
        config = self.config
        if config.positions == "none":
            return None
        if config.positions == "learned":
            each = self.extra_pos_embedder(*grid).flatten(0, 2)
        else:
            dtype = self.x_embedder.proj[1].weight.dtype
            each = grid_sines(
                grid, config.model_channels, ratios=config.position_ratios, dtype=dtype, device=device
            )
        return each if config.num_views == 1 else each.repeat(config.num_views, 1)

    def _rope(self, grid: tuple[int, int, int], fps: Tensor | float | None, device: torch.device) -> Rope:
        if fps is None and grid[0] > 1:
            raise DataError(
                f"fps may be None only for images (one latent frame), got {grid[0]}; pass the frame rate"
            )
        rate, config = float(fps[0]) if isinstance(fps, Tensor) else fps, self.config
        as_weights, rounded = config.rope_precision == "weights", config.rope_precision == "rounded-exponents"
        dtype = self.x_embedder.proj[1].weight.dtype if as_weights else torch.float32
        cos, sin = rope_cos_sin(
            grid,
            config.head_dim,
            config.rope_ratios,
            rate,
            dtype,
            device,
            torch.bfloat16 if rounded else None,
        )
        views = config.num_views
        return (cos, sin) if views == 1 else (cos.repeat(views, 1), sin.repeat(views, 1))
