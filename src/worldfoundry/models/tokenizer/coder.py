"""Encoder and decoder of the tokenizer, and the residual blocks that both are built of, for video and images alike.

``Layers`` says what a convolution, a norm or a resampler is; the rest is the same for both. Names are the published ones.

Source: arXiv 2501.03575, section 4.1.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812  the field's name
from jaxtyping import Float
from torch import Tensor, nn

from worldfoundry.models.tokenizer.config import TokenizerConfig
from worldfoundry.models.tokenizer.layers import Layers
from worldfoundry.models.tokenizer.past import Past, is_start
from worldfoundry.models.tokenizer.wavelet import PatchMethod, patch, unpatch


class ResBlock(nn.Module):
    """Two convolutions, each behind norm and SiLU, and a shortcut."""

    def __init__(self, layers: Layers, c_in: int, c_out: int):
        super().__init__()
        self.norm1, self.conv1 = layers.norm(c_in), layers.conv(c_in, c_out)
        self.norm2, self.conv2 = layers.norm(c_out), layers.conv(c_out, c_out)
        self.nin_shortcut = layers.point(c_in, c_out) if c_in != c_out else nn.Identity()

    def forward(self, x: Float[Tensor, "b ci *thw"], past: Past | None = None) -> Float[Tensor, "b co *thw"]:
        """Residual update."""
        h = self.conv1(F.silu(self.norm1(x)), past)
        h = self.conv2(F.silu(self.norm2(h)), past)
        return self.nin_shortcut(x) + h


class Middle(nn.Module):
    """Residual block, attention, residual block."""

    def __init__(self, layers: Layers, channels: int):
        super().__init__()
        self.block_1 = ResBlock(layers, channels, channels)
        self.attn_1 = layers.attention(channels)
        self.block_2 = ResBlock(layers, channels, channels)

    def forward(self, x: Float[Tensor, "b c *thw"], past: Past | None = None) -> Float[Tensor, "b c *thw"]:
        """Residual updates at the lowest resolution."""
        return self.block_2(self.attn_1(self.block_1(x, past), past), past)


class Blocks(nn.Module):
    """The residual blocks of one resolution, each followed by attention if the level has it."""

    def __init__(self, layers: Layers, c_in: int, c_out: int, num_blocks: int, *, has_attention: bool):
        super().__init__()
        widths = [c_in] + [c_out] * num_blocks
        self.block = nn.ModuleList(ResBlock(layers, *pair) for pair in pairwise(widths))
        self.attn = nn.ModuleList(layers.attention(c_out) for _ in range(num_blocks * has_attention))

    def blocks(self, x: Float[Tensor, "b ci *thw"], past: Past | None) -> Float[Tensor, "b co *thw"]:
        """All of them, without the way to the next level."""
        for i, block in enumerate(self.block):
            x = block(x, past)
            if self.attn:
                x = self.attn[i](x, past)
        return x


class EncoderLevel(Blocks):
    """The residual blocks of one resolution, then the way down."""

    downsample: nn.Module

    def forward(self, x: Float[Tensor, "b ci *thw"], past: Past | None = None) -> Float[Tensor, "b co *uij"]:
        """Blocks, then resampler."""
        return self.downsample(self.blocks(x, past), past)


class DecoderLevel(Blocks):
    """The residual blocks of one resolution, then the way up."""

    upsample: nn.Module

    def forward(self, x: Float[Tensor, "b ci *thw"], past: Past | None = None) -> Float[Tensor, "b co *uij"]:
        """Blocks, then resampler."""
        return self.upsample(self.blocks(x, past), past)


class Encoder(nn.Module):
    """Pixels to features at the latent resolution."""

    def __init__(self, config: TokenizerConfig, layers: Layers):
        super().__init__()
        self.patch_size = config.patch_size
        self.patch_method: PatchMethod = config.patch_method
        widths = [config.channels * m for m in (1, *config.channel_multipliers)]
        self.conv_in = layers.conv(config.patch_channels, config.channels)
        self.down = nn.ModuleList()
        for i, (c_in, c_out) in enumerate(pairwise(widths)):
            has_attention = i in config.attention_levels
            level = EncoderLevel(layers, c_in, c_out, config.num_res_blocks, has_attention=has_attention)
            space, time = config.encoder_resampling(i)
            level.downsample = layers.down(c_out, space=space, time=time)
            self.down.append(level)
        self.mid = Middle(layers, widths[-1])
        self.norm_out = layers.norm(widths[-1])
        self.conv_out = layers.conv(widths[-1], config.z_channels * (2 if config.is_variational else 1))

    def forward(self, x: Float[Tensor, "b 3 *thw"], past: Past | None = None) -> Float[Tensor, "b z *thw_z"]:
        """Features before ``quant_conv``."""
        x = patch(x, self.patch_size, method=self.patch_method, is_start=is_start(past))
        x = self.conv_in(_channels_last(x), past)
        for level in self.down:
            x = level(x, past)
        return self.conv_out(F.silu(self.norm_out(self.mid(x, past))), past)


class Decoder(nn.Module):
    """Features at the latent resolution to pixels."""

    def __init__(self, config: TokenizerConfig, layers: Layers):
        super().__init__()
        self.patch_size = config.patch_size
        self.patch_method: PatchMethod = config.patch_method
        widths = [config.channels * m for m in config.decoder_channel_multipliers]
        self.conv_in = layers.conv(config.z_channels, widths[-1])
        self.mid = Middle(layers, widths[-1])
        self.up = nn.ModuleList()
        for i, (c_in, c_out) in enumerate(zip([*widths[1:], widths[-1]], widths, strict=True)):
            has_attention = i in config.attention_levels
            level = DecoderLevel(layers, c_in, c_out, config.num_res_blocks + 1, has_attention=has_attention)
            space, time = config.decoder_resampling(i)
            level.upsample = layers.up(c_out, space=space, time=time)
            self.up.append(level)
        self.norm_out = layers.norm(widths[0])
        self.conv_out = layers.conv(widths[0], config.patch_channels)

    def forward(self, z: Float[Tensor, "b z *thw_z"], past: Past | None = None) -> Float[Tensor, "b 3 *thw"]:
        """Pixels, not clamped."""
        x = self.mid(self.conv_in(_channels_last(z), past), past)
        for level in reversed(self.up):
            x = level(x, past)
        x = self.conv_out(F.silu(self.norm_out(x)), past)
        return unpatch(x, self.patch_size, method=self.patch_method, is_start=is_start(past))


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last_3d if x.ndim == 5 else torch.channels_last)
