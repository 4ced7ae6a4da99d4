"""Configuration of the tokenizer; importing it does not import torch."""

import math
from dataclasses import dataclass, replace
from typing import Literal

from worldfoundry.core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerConfig:
    """Architecture of a tokenizer: causal video or image, continuous or discrete, from nano to the official 113 M parameters."""

    channels: int = 128
    """Channels after the first convolution."""
    channel_multipliers: tuple[int, ...] = (2, 4, 4)
    """Width of each encoder level as a multiple of ``channels``, highest resolution first."""
    decoder_channel_multipliers: tuple[int, ...] = (2, 4, 4)
    """Width of each decoder level; differs from the encoder's in one official release only."""
    num_res_blocks: int = 2
    """Residual blocks in an encoder level; a decoder level has one more."""
    patch_size: int = 4
    """Compression of the Haar wavelet in time and space, a power of two."""
    temporal_stride: int = 8
    """Frames for each latent frame after the first; 1 for images."""
    spatial_stride: int = 8
    """Pixels for each latent row or column."""
    z_channels: int = 16
    """Channels between the encoder and its last 1x1x1 convolution."""
    latent_channels: int = 16
    """Channels of a latent; of a discrete tokenizer, the digits of a code."""
    dimensions: Literal["video", "image"] = "video"
    """Causal convolutions over time and space, or images, each on its own."""
    norm_groups: int = 1
    """Groups of the norms of an image tokenizer, 32 or 1 as published; a video tokenizer has one."""
    fsq_levels: tuple[int, ...] = ()
    """Values of each digit of a code, the fastest digit first; empty for a continuous tokenizer."""
    attention_levels: tuple[int, ...] = ()
    """Levels with attention after each residual block, besides the middle; no published tokenizer has any."""
    is_variational: bool = False
    """Whether the encoder gives mean and log-variance of a Gaussian; no published tokenizer does."""
    patch_method: Literal["haar", "rearrange"] = "haar"
    """Wavelet, or pixels moved into channels as they are; every published tokenizer has the wavelet."""

    def __post_init__(self):
        self._check_strides()
        for name in ("channels", "num_res_blocks", "z_channels", "latent_channels", "norm_groups"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"tokenizer.{name} must be at least 1, got {getattr(self, name)}; give a positive number"
                )
        widths = {
            m * self.channels for m in (1, *self.channel_multipliers, *self.decoder_channel_multipliers)
        }
        if any(width % self.norm_groups for width in widths) or (
            self.dimensions == "video" and self.norm_groups != 1
        ):
            raise ConfigError(
                f"tokenizer.norm_groups must divide the widths {sorted(widths)} of an image tokenizer and be 1 for video, "
                f"got {self.norm_groups}; use 1"
            )
        if self.fsq_levels:
            self._check_levels()
        if wrong := [n for n in self.attention_levels if not 0 <= n < len(self.channel_multipliers)]:
            raise ConfigError(
                f"tokenizer.attention_levels must be levels 0 to {len(self.channel_multipliers) - 1}, got {wrong}; "
                "leave them out"
            )

    def _check_strides(self) -> None:
        is_image = self.dimensions == "image"
        if is_image and self.temporal_stride != 1:
            raise ConfigError(
                f"tokenizer.temporal_stride must be 1 for images, got {self.temporal_stride}; use 1"
            )
        for name in ("patch_size", "temporal_stride", "spatial_stride"):
            value = getattr(self, name)
            if value < 1 or value & (value - 1):
                raise ConfigError(f"tokenizer.{name} must be a power of two, got {value}; use 2, 4, 8 or 16")
        for name in ("spatial_stride",) if is_image else ("temporal_stride", "spatial_stride"):
            if getattr(self, name) < self.patch_size:
                raise ConfigError(
                    f"tokenizer.{name} must be at least patch_size {self.patch_size}, got {getattr(self, name)}; "
                    "lower patch_size or raise the stride"
                )
        self._check_resampling(
            "channel_multipliers", [self.encoder_resampling(i) for i in range(len(self.channel_multipliers))]
        )
        self._check_resampling(
            "decoder_channel_multipliers",
            [self.decoder_resampling(i) for i in range(len(self.decoder_channel_multipliers))],
        )

    def _check_resampling(self, name: str, levels: list[tuple[bool, bool]]) -> None:
        """Refuse levels that resample more or less often than the strides ask: clips would change their size."""
        space, time = (sum(level[axis] for level in levels) for axis in (0, 1))
        if not levels or (space, time) != (self.num_spatial_stages, self.num_temporal_stages):
            raise ConfigError(
                f"tokenizer.{name} must have levels for {self.num_spatial_stages} resamplings of space and "
                f"{self.num_temporal_stages} of time (strides t{self.temporal_stride} s{self.spatial_stride} at patch_size "
                f"{self.patch_size}), got {getattr(self, name)} with {space} and {time}; add a level, or raise spatial_stride "
                "to temporal_stride"
            )

    def _check_levels(self) -> None:
        if min(self.fsq_levels) < 2 or self.codebook_size >= 2**31:
            raise ConfigError(
                f"tokenizer.fsq_levels must each be at least 2 and multiply to less than 2**31, got {self.fsq_levels}; "
                "use for example (8, 8, 8, 5, 5, 5)"
            )
        if self.latent_channels != len(self.fsq_levels) or self.is_variational:
            raise ConfigError(
                f"tokenizer.latent_channels must be the {len(self.fsq_levels)} digits of fsq_levels and is_variational false, "
                f"got {self.latent_channels} and {self.is_variational}; set latent_channels={len(self.fsq_levels)}"
            )

    @property
    def num_spatial_stages(self) -> int:
        """Spatial halvings left for the network after the wavelet."""
        return int(math.log2(self.spatial_stride // self.patch_size))

    @property
    def num_temporal_stages(self) -> int:
        """Temporal halvings left for the network after the wavelet; none for images."""
        return 0 if self.dimensions == "image" else int(math.log2(self.temporal_stride // self.patch_size))

    @property
    def codebook_size(self) -> int:
        """Number of codes of a discrete tokenizer, 0 of a continuous one.

        >>> TokenizerConfig(fsq_levels=(8, 8, 8, 5, 5, 5), latent_channels=6).codebook_size
        64000
        """
        return math.prod(self.fsq_levels) if self.fsq_levels else 0

    @property
    def patch_channels(self) -> int:
        """Channels of a picture or clip in patches."""
        return 3 * self.patch_size ** (2 if self.dimensions == "image" else 3)

    def encoder_resampling(self, level: int) -> tuple[bool, bool]:
        """(space, time) halved after an encoder level; only images are halved after the last."""
        if self.dimensions == "video" and level == len(self.channel_multipliers) - 1:
            return False, False
        return level < self.num_spatial_stages, level < self.num_temporal_stages

    def decoder_resampling(self, level: int) -> tuple[bool, bool]:
        """(space, time) doubled after a decoder level; of video not the mirror of the encoder, as published."""
        num_levels = len(self.decoder_channel_multipliers)
        num_space, num_time = self.num_spatial_stages, self.num_temporal_stages
        if self.dimensions == "image":
            return level >= num_levels - num_space, False
        if level == 0:
            return False, False
        depth = num_levels - 1 - level
        time = 0 < depth < num_time + 1
        return time or (depth < num_space and num_space > num_time), time


def official_cv8x8x8() -> TokenizerConfig:
    """Cosmos-0.1/1.0-Tokenizer-CV8x8x8 and Cosmos-Tokenize1-CV8x8x8-720p: 105,653,696 parameters."""
    return TokenizerConfig()


def wavetok_c_t4s8z16_nano() -> TokenizerConfig:
    """The shipped nano tokenizer: 4x8x8 compression, 16 latent channels, made for 64 pixels on two CPU cores."""
    return TokenizerConfig(
        channels=96,
        channel_multipliers=(1, 2),
        decoder_channel_multipliers=(1, 2),
        num_res_blocks=1,
        temporal_stride=4,
        spatial_stride=8,
    )


def wavetok_d_t4s8_nano() -> TokenizerConfig:
    """The shipped discrete nano tokenizer: the continuous one with 64,000 codes instead of 16 channels."""
    return replace(wavetok_c_t4s8z16_nano(), latent_channels=6, fsq_levels=(8, 8, 8, 5, 5, 5))
