"""The published Cosmos tokenizers: one network, twenty configurations. Importing this does not import torch.

Names: ``C`` or ``D`` for continuous or discrete, ``I`` or ``V`` for image or video, then the strides in time and space.

Source: docs of the releases and arXiv 2501.03575, section 4; shapes checked against every released state dict.
"""

from dataclasses import replace

from worldfoundry.core.errors import UnknownNameError
from worldfoundry.models.tokenizer.config import TokenizerConfig

FSQ_LEVELS = (8, 8, 8, 5, 5, 5)
"""Levels of every published discrete tokenizer: 64,000 codes."""


def _continuous(temporal_stride: int, spatial_stride: int, patch_size: int = 4) -> TokenizerConfig:
    return TokenizerConfig(
        patch_size=patch_size, temporal_stride=temporal_stride, spatial_stride=spatial_stride
    )


def _image(spatial_stride: int, patch_size: int = 4) -> TokenizerConfig:
    return TokenizerConfig(
        dimensions="image",
        norm_groups=32,
        patch_size=patch_size,
        temporal_stride=1,
        spatial_stride=spatial_stride,
    )


def _discrete(config: TokenizerConfig, z_channels: int) -> TokenizerConfig:
    return replace(config, fsq_levels=FSQ_LEVELS, latent_channels=len(FSQ_LEVELS), z_channels=z_channels)


RELEASED: dict[str, TokenizerConfig] = {
    "Cosmos-0.1-Tokenizer-CI8x8": _image(8),
    "Cosmos-0.1-Tokenizer-CI16x16": _image(16),
    "Cosmos-0.1-Tokenizer-DI8x8": _discrete(_image(8), 256),
    "Cosmos-0.1-Tokenizer-DI16x16": _discrete(_image(16), 256),
    # The one release whose decoder has a level less than its encoder.
    "Cosmos-0.1-Tokenizer-CV4x8x8": replace(_continuous(4, 8), decoder_channel_multipliers=(2, 4)),
    "Cosmos-0.1-Tokenizer-CV8x8x8": _continuous(8, 8),
    "Cosmos-0.1-Tokenizer-CV8x16x16": _continuous(8, 16),
    "Cosmos-0.1-Tokenizer-DV4x8x8": _discrete(_continuous(4, 8), 16),
    "Cosmos-0.1-Tokenizer-DV8x8x8": _discrete(_continuous(8, 8), 16),
    "Cosmos-0.1-Tokenizer-DV8x16x16": _discrete(_continuous(8, 16), 16),
    "Cosmos-1.0-Tokenizer-CV8x8x8": _continuous(8, 8),
    "Cosmos-1.0-Tokenizer-DV8x16x16": _discrete(_continuous(8, 16), 16),
    "Cosmos-Tokenize1-CI8x8-360p": _image(8, patch_size=2),
    "Cosmos-Tokenize1-CI16x16-360p": _image(16, patch_size=2),
    "Cosmos-Tokenize1-DI8x8-360p": _discrete(_image(8, patch_size=2), 256),
    # Trained with one group, which its shapes do not show: 32 groups load without a word and reconstruct badly.
    "Cosmos-Tokenize1-DI16x16-360p": replace(_discrete(_image(16, patch_size=2), 256), norm_groups=1),
    "Cosmos-Tokenize1-CV8x8x8-720p": _continuous(8, 8),
    "Cosmos-Tokenize1-CV4x8x8-360p": _continuous(4, 8, patch_size=2),
    "Cosmos-Tokenize1-DV8x16x16-720p": _discrete(_continuous(8, 16), 16),
    "Cosmos-Tokenize1-DV4x8x8-360p": _discrete(_continuous(4, 8, patch_size=2), 256),
}
"""Configuration of every release by the name of its repository."""


def get_released(name: str) -> TokenizerConfig:
    """Configuration of a published tokenizer.

    >>> get_released("Cosmos-0.1-Tokenizer-DI8x8").z_channels
    256
    """
    if name not in RELEASED:
        raise UnknownNameError("tokenizer", name, list(RELEASED))
    return RELEASED[name]
