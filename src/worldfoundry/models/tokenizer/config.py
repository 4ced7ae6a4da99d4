"""Configuration of the tokenizer; importing it does not import torch."""

import math
from dataclasses import dataclass

from worldfoundry.core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerConfig:
    """Architecture of a continuous causal video tokenizer, from nano to the official 105 M parameters."""

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
    """Frames for each latent frame after the first."""
    spatial_stride: int = 8
    """Pixels for each latent row or column."""
    z_channels: int = 16
    """Channels between the encoder and its last 1x1x1 convolution."""
    latent_channels: int = 16
    """Channels of a latent."""

    def __post_init__(self):
        for name in ("patch_size", "temporal_stride", "spatial_stride"):
            value = getattr(self, name)
            if value < 1 or value & (value - 1):
                raise ConfigError(f"tokenizer.{name} must be a power of two, got {value}; use 2, 4, 8 or 16")
        for name in ("temporal_stride", "spatial_stride"):
            if getattr(self, name) < self.patch_size:
                raise ConfigError(
                    f"tokenizer.{name} must be at least patch_size {self.patch_size}, got {getattr(self, name)}; "
                    "lower patch_size or raise the stride"
                )
        most = len(self.channel_multipliers) - 1
        if self.num_spatial_stages > most or self.num_temporal_stages > most:
            raise ConfigError(
                f"tokenizer strides t{self.temporal_stride} s{self.spatial_stride} at patch_size {self.patch_size} need "
                f"{max(self.num_spatial_stages, self.num_temporal_stages) + 1} levels, got channel_multipliers "
                f"{self.channel_multipliers}; add a level"
            )
        for name in ("channels", "num_res_blocks", "z_channels", "latent_channels"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"tokenizer.{name} must be at least 1, got {getattr(self, name)}; give a positive number"
                )

    @property
    def num_spatial_stages(self) -> int:
        """Spatial halvings left for the network after the wavelet."""
        return int(math.log2(self.spatial_stride // self.patch_size))

    @property
    def num_temporal_stages(self) -> int:
        """Temporal halvings left for the network after the wavelet."""
        return int(math.log2(self.temporal_stride // self.patch_size))


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
