"""Settings of the diffusion world model: the network and the EDM noise. Imports no torch.

The network settings express every published network; the ``official_*`` functions give them.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

from worldfoundry.core.errors import ConfigError


def _require_positive(config: object, *names: str):
    for name in names:
        value = getattr(config, name)
        if not (math.isfinite(value) and value > 0):
            raise ConfigError(f"{name} must be greater than 0, got {value!r}; give a positive number")


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewConfig:
    """Several cameras in one clip: view after view along the latent frames."""

    num_views: int
    """Views of a clip."""
    channels: int
    """Input channels that say which view a frame is of."""
    table_rows: int = 0
    """Views that can be told apart; 0: as many as a clip has."""
    has_repeat: bool = False
    """Another number for each view is embedded: how often its frames repeat."""
    trajectory_dim: int = 0
    """Numbers of a trajectory, 192 for 64 points in space; 0: none."""
    trajectory_channels: int = 0
    """Input channels that the trajectory becomes."""

    def __post_init__(self):
        _require_positive(self, "num_views", "channels")
        if bool(self.trajectory_dim) != bool(self.trajectory_channels) or self.table_rows < 0:
            raise ConfigError(
                "trajectory_dim and trajectory_channels must both be 0 or both be given, and table_rows be 0 or more, got "
                f"{self.trajectory_dim}, {self.trajectory_channels} and {self.table_rows}; change them"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenConfig:
    """Discrete tokens, at half the rows and columns, that the latents are to follow: the diffusion decoder."""

    codebook_size: int
    """Codes."""
    channels: int
    """Input channels of an embedded token."""

    def __post_init__(self):
        _require_positive(self, "codebook_size", "channels")


@dataclass(frozen=True, slots=True, kw_only=True)
class DiTConfig:
    """Settings of the diffusion transformer."""

    model_channels: int
    """Width of a token."""
    num_blocks: int
    """Blocks of self-attention, cross-attention and MLP."""
    num_heads: int
    """Attention heads; must divide model_channels."""
    adaln_lora_dim: int
    """Rank of the low-rank modulation of each sub-block."""
    text_channels: int
    """Width of the text embeddings that cross-attention reads; 0 builds no cross-attention."""
    latent_channels: int = 16
    """Channels of the latents, in and out."""
    mlp_ratio: float = 4.0
    """Hidden width of the MLP as a multiple of model_channels."""
    patch_spatial: int = 2
    """Latent rows and columns of one token."""
    patch_temporal: int = 1
    """Latent frames of one token."""
    rope_ratio_t: float = 1.0
    """Extrapolation ratio of the rotary embedding over time."""
    rope_ratio_h: float = 1.0
    """Extrapolation ratio of the rotary embedding over rows."""
    rope_ratio_w: float = 1.0
    """Extrapolation ratio of the rotary embedding over columns."""
    rope_precision: Literal["weights", "float32", "rounded"] = "weights"
    """Precision of the rotary angles: that of the weights, as published models have it, or always float32, or float32 of
    exponents that were rounded to bfloat16, as published weights have them that were made float32."""
    max_latent_frames: int = 128
    """The longest latent clip; length of the learned position table over time, before patching."""
    max_latent_height: int = 240
    """The most latent rows; length of the learned position table over rows, before patching."""
    max_latent_width: int = 240
    """The most latent columns; length of the learned position table over columns, before patching."""
    has_condition_mask: bool = False
    """An input channel says which frames are given (Video2World)."""
    has_padding_mask: bool = True
    """An input channel says which pixels are padding."""
    positions: Literal["learned", "sincos", "none"] = "learned"
    """What is added to the tokens before every block, besides the rotary embedding."""
    has_augment_sigma: bool = False
    """The modulation also reads the noise level of given frames."""
    pose_channels: int = 0
    """Input channels of the camera's rays (Pluecker coordinates: 6); 0: none."""
    action_dim: int = 0
    """Numbers of an action, which enter the modulation; 0: none."""
    views: ViewConfig | None = None
    """Several cameras; None: one."""
    tokens: TokenConfig | None = None
    """Discrete tokens to decode; None: none."""

    def __post_init__(self):
        _require_positive(
            self,
            *(
                "model_channels",
                "num_blocks",
                "num_heads",
                "adaln_lora_dim",
                "latent_channels",
            ),
            *("mlp_ratio", "patch_spatial", "patch_temporal", "rope_ratio_t", "rope_ratio_h", "rope_ratio_w"),
            *("max_latent_frames", "max_latent_height", "max_latent_width"),
        )
        if self.positions not in ("learned", "sincos", "none"):
            raise ConfigError(
                f"positions must be 'learned', 'sincos' or 'none', got {self.positions!r}; use one"
            )
        if min(self.pose_channels, self.action_dim) < 0:
            raise ConfigError(
                f"pose_channels and action_dim must be 0 or more, got {self.pose_channels} and {self.action_dim}; 0 is none"
            )
        if self.text_channels < 0:
            raise ConfigError(
                f"text_channels must be at least 0, got {self.text_channels}; 0 builds no cross-attention"
            )
        if self.model_channels % self.num_heads:
            raise ConfigError(
                f"num_heads must divide model_channels {self.model_channels}, got {self.num_heads}; "
                f"use {math.gcd(self.model_channels, self.num_heads)}"
            )
        if self.head_dim < 12 or self.head_dim % 2:
            raise ConfigError(
                "model_channels / num_heads must be even and at least 12 (three rotary axes), got "
                f"{self.model_channels} / {self.num_heads} = {self.head_dim}; change num_heads"
            )
        if self.rope_precision not in ("weights", "float32", "rounded"):
            raise ConfigError(
                f"rope_precision must be 'weights', 'float32' or 'rounded', got {self.rope_precision!r}; use one"
            )
        for name, patch in (
            ("max_latent_frames", self.patch_temporal),
            ("max_latent_height", self.patch_spatial),
            ("max_latent_width", self.patch_spatial),
        ):
            value = getattr(self, name)
            if value % patch:
                raise ConfigError(
                    f"{name} must be a multiple of the patch {patch}, got {value}; use {value + -value % patch}"
                )

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.model_channels // self.num_heads

    @property
    def in_channels(self) -> int:
        """Channels that enter the patch embedding: latents, condition mask, rays, tokens, padding mask, views, trajectory."""
        masks = self.has_condition_mask + self.has_padding_mask
        views = self.views.channels + self.views.trajectory_channels if self.views else 0
        return (
            self.latent_channels
            + masks
            + self.pose_channels
            + (self.tokens.channels if self.tokens else 0)
            + views
        )

    @property
    def num_views(self) -> int:
        """Cameras of a clip."""
        return self.views.num_views if self.views else 1

    @property
    def max_grid(self) -> tuple[int, int, int]:
        """The most tokens along time, rows and columns."""
        return (
            self.max_latent_frames // self.patch_temporal,
            self.max_latent_height // self.patch_spatial,
            self.max_latent_width // self.patch_spatial,
        )

    @property
    def rope_ratios(self) -> tuple[float, float, float]:
        """Extrapolation ratios of time, rows and columns."""
        return self.rope_ratio_t, self.rope_ratio_h, self.rope_ratio_w


@dataclass(frozen=True, slots=True, kw_only=True)
class EDMConfig:
    """Settings of the noise: preconditioning, training draws, sampling range."""

    sigma_data: float = 0.5
    """Standard deviation of the latents as the process sees them."""
    sigma_min: float = 0.0002
    """Smallest noise level of the sampling schedule."""
    sigma_max: float = 80.0
    """Largest noise level of the sampling schedule."""
    rho: float = 7.0
    """Curvature of the sampling schedule."""
    p_mean: float = 0.0
    """Mean of the logarithm of the training noise level."""
    p_std: float = 1.0
    """Standard deviation of the logarithm of the training noise level."""
    sigma_multiplier: float = 1.0
    """Factor on the training noise level; the published Video2World recipes use the root of the latent length."""
    augment_p_mean: float = -3.0
    """Mean of the logarithm of the noise level that corrupts given frames."""
    augment_p_std: float = 2.0
    """Standard deviation of the logarithm of the noise level that corrupts given frames."""
    augment_sigma_multiplier: float = 1.0
    """Factor on the noise level that corrupts given frames."""
    loss_scale: float = 1.0
    """Factor on the loss."""
    loss_reduction: Literal["mean", "sum"] = "mean"
    """Mean over everything, or the sum over each sample and the mean over the batch."""

    def __post_init__(self):
        _require_positive(self, "sigma_data", "sigma_min", "sigma_max", "rho", "p_std", "sigma_multiplier")
        _require_positive(self, "augment_p_std", "augment_sigma_multiplier", "loss_scale")
        if self.sigma_min >= self.sigma_max:
            raise ConfigError(
                f"sigma_min must be below sigma_max {self.sigma_max}, got {self.sigma_min}; use a smaller sigma_min"
            )
        for name in ("p_mean", "augment_p_mean"):
            if not math.isfinite(getattr(self, name)):
                raise ConfigError(f"{name} must be finite, got {getattr(self, name)}; give a number")
        if self.loss_reduction not in ("mean", "sum"):
            raise ConfigError(
                f"loss_reduction must be 'mean' or 'sum', got {self.loss_reduction!r}; use one of them"
            )


def official_7b_text2world() -> DiTConfig:
    """The published 7B Text2World network."""
    return DiTConfig(
        model_channels=4096,
        num_blocks=28,
        num_heads=32,
        adaln_lora_dim=256,
        text_channels=1024,
        rope_ratio_t=2.0,
    )


def official_14b_text2world() -> DiTConfig:
    """The published 14B Text2World network."""
    return replace(
        official_7b_text2world(),
        model_channels=5120,
        num_blocks=36,
        num_heads=40,
        rope_ratio_h=2.0,
        rope_ratio_w=2.0,
    )


def official_7b_video2world() -> DiTConfig:
    """The published 7B Video2World network."""
    return replace(official_7b_text2world(), has_condition_mask=True)


def official_14b_video2world() -> DiTConfig:
    """The published 14B Video2World network."""
    return replace(official_14b_text2world(), has_condition_mask=True)


def official_7b_interpolator() -> DiTConfig:
    """The published 7B World Interpolator network: that of Video2World."""
    return official_7b_video2world()


def official_7b_multiview_text2world() -> DiTConfig:
    """The published 7B network of six driving cameras."""
    views = ViewConfig(num_views=6, channels=6, has_repeat=True)
    return replace(official_7b_text2world(), positions="sincos", views=views)


def official_7b_multiview_video2world() -> DiTConfig:
    """The same with given frames."""
    return replace(official_7b_multiview_text2world(), has_condition_mask=True)


def official_7b_single_to_multiview() -> DiTConfig:
    """The published 7B network that adds five cameras to one; its table knows a seventh."""
    views = ViewConfig(num_views=6, channels=6, table_rows=7, has_repeat=True)
    return replace(official_7b_multiview_video2world(), views=views)


def official_7b_action() -> DiTConfig:
    """The 7B network of the published action training, 7 numbers of a robot arm; no weights of it are published."""
    return replace(official_7b_video2world(), positions="none", action_dim=7)


def official_7b_decoder() -> DiTConfig:
    """The published 7B diffusion decoder of autoregressive models."""
    return replace(
        official_7b_text2world(),
        rope_ratio_t=1.0,
        rope_ratio_h=1.5,
        rope_ratio_w=1.5,
        positions="none",
        tokens=TokenConfig(codebook_size=64_000, channels=32),
    )
