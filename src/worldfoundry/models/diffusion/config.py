"""Settings of the diffusion world model: the network and the EDM noise. Imports no torch.

The network settings express every published network; the ``official_*`` functions here give those of Text2World and
Video2World, ``variants`` has the others.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from worldfoundry.core.errors import ConfigError

RopePrecision = Literal["weights", "float32", "rounded-exponents"]
Positions = Literal["learned", "sincos", "none"]


def _require_positive(config: object, *names: str):
    for name in names:
        value = getattr(config, name)
        if not (math.isfinite(value) and value > 0):
            raise ConfigError(f"{name} must be greater than 0, got {value!r}; give a positive number")


def _require_counts(config: object, *names: str):
    for name in names:
        value = getattr(config, name)
        if value < 0:
            raise ConfigError(f"{name} must be at least 0, got {value}; 0 builds the network without it")


def _require_pair(config: object, first: str, second: str):
    if bool(getattr(config, first)) != bool(getattr(config, second)):
        raise ConfigError(
            f"{first} and {second} must both be 0 or both be above, got {getattr(config, first)} and "
            f"{getattr(config, second)}; set both"
        )


def _require_one_of(config: object, name: str, options: tuple[str, ...]):
    value = getattr(config, name)
    if value not in options:
        raise ConfigError(f"{name} must be one of {', '.join(options)}, got {value!r}; use one of them")


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
    rope_precision: RopePrecision = "weights"
    """Precision of the rotary angles: that of the weights, as published models have it, always float32, or float32 from
    exponents rounded to bfloat16 (float32 copies of bfloat16 networks)."""
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
    positions: Positions = "learned"
    """What is added before every block: learned vectors of unit root mean square, sines and cosines, or nothing."""
    position_ratio_t: float = 1.0
    """Divides the frame numbers of sincos positions."""
    position_ratio_h: float = 1.0
    """Divides the row numbers of sincos positions."""
    position_ratio_w: float = 1.0
    """Divides the column numbers of sincos positions."""
    num_views: int = 1
    """Cameras of one clip, one after the other along time; each has positions and text of its own."""
    num_view_embeddings: int = 0
    """Rows of the table of view embeddings; 0 builds none."""
    view_channels: int = 0
    """Input channels that tell the view, the width of that table."""
    has_view_repeat: bool = False
    """A learned function of one number for each view is added to its channels."""
    trajectory_channels: int = 0
    """Input channels made from the trajectory of the ego car; 0 builds none."""
    trajectory_numbers: int = 192
    """Numbers of one trajectory: 64 points in space."""
    camera_channels: int = 0
    """Input channels of the camera rays (6: moment and direction of each ray); 0 builds none."""
    action_dim: int = 0
    """Numbers of one action, which enters through the modulation; 0 builds none."""
    token_vocabulary: int = 0
    """Size of the vocabulary of discrete tokens to decode (diffusion decoder); 0 builds none."""
    token_channels: int = 0
    """Input channels of an embedded token."""
    has_augment_sigma: bool = False
    """The noise level of the given frames is added to the embedding of the noise level."""

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
            *("position_ratio_t", "position_ratio_h", "position_ratio_w", "num_views", "trajectory_numbers"),
        )
        _require_counts(self, "text_channels", "num_view_embeddings", "view_channels", "trajectory_channels")
        _require_counts(self, "camera_channels", "action_dim", "token_vocabulary", "token_channels")
        _require_pair(self, "num_view_embeddings", "view_channels")
        _require_pair(self, "token_vocabulary", "token_channels")
        if self.has_view_repeat and not self.view_channels:
            raise ConfigError("has_view_repeat needs view_channels above 0, got 0; set them")
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
        _require_one_of(self, "rope_precision", get_args(RopePrecision))
        _require_one_of(self, "positions", get_args(Positions))
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
        """Channels that enter the patch embedding, in the order of their sum."""
        before_padding = self.has_condition_mask + self.camera_channels + self.token_channels
        after_padding = self.view_channels + self.trajectory_channels
        return self.latent_channels + before_padding + self.has_padding_mask + after_padding

    @property
    def max_grid(self) -> tuple[int, int, int]:
        """The most tokens along time, rows and columns; of each view."""
        return (
            self.max_latent_frames // self.patch_temporal,
            self.max_latent_height // self.patch_spatial,
            self.max_latent_width // self.patch_spatial,
        )

    @property
    def rope_ratios(self) -> tuple[float, float, float]:
        """Extrapolation ratios of time, rows and columns."""
        return self.rope_ratio_t, self.rope_ratio_h, self.rope_ratio_w

    @property
    def position_ratios(self) -> tuple[float, float, float]:
        """Ratios of the sincos positions of time, rows and columns."""
        return self.position_ratio_t, self.position_ratio_h, self.position_ratio_w


@dataclass(frozen=True, slots=True, kw_only=True)
class LoRAConfig:
    """Settings of a low-rank adaptation of the attention layers."""

    num_blocks: int
    """The first so many blocks are adapted; published recipes leave out the last."""
    rank: int = 8
    """Width between the two layers of an adaptation."""
    scale: float = 1.0
    """Factor on what an adaptation adds; not divided by the rank."""
    targets: tuple[str, ...] = ("self.to_q", "self.to_v", "cross.to_q", "cross.to_v")
    """Projections: ``self`` or ``cross`` attention, then ``to_q``, ``to_k``, ``to_v`` or ``to_out``."""

    def __post_init__(self):
        _require_positive(self, "num_blocks", "rank")
        possible = [f"{a}.{p}" for a in ("self", "cross") for p in ("to_q", "to_k", "to_v", "to_out")]
        wrong = [name for name in self.targets if name not in possible]
        if wrong or not self.targets:
            raise ConfigError(
                f"targets must be among {', '.join(possible)}, got {wrong or 'none'}; use those"
            )


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
