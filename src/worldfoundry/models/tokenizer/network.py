"""The tokenizer: one network for every size, for video and images, continuous and discrete.

``Layers`` says what a convolution, a norm or a resampler is; the rest is the same for all. Of a video, latent ``k`` depends on
frames ``0..k * temporal_stride`` and on nothing later.

State-dict names are those of the published Cosmos checkpoints, which load as they are.

Source: arXiv 2501.03575, section 4.1.
"""

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  the field's name
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.models.tokenizer.config import TokenizerConfig
from worldfoundry.models.tokenizer.image_layers import image_layers
from worldfoundry.models.tokenizer.layers import Layers, Past, is_start, video_layers
from worldfoundry.models.tokenizer.quantize import FSQ
from worldfoundry.models.tokenizer.wavelet import PatchMethod, patch, unpatch
from worldfoundry.protocols.models import TokenizerSpec

if TYPE_CHECKING:
    from worldfoundry.models.tokenizer.stream import TokenizerStream


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


class Posterior(NamedTuple):
    """What the encoder of a variational tokenizer says of a latent."""

    mean: Tensor
    """The latent that ``encode`` gives."""
    log_variance: Tensor
    """Clamped to [-30, 20]."""


class WaveletTokenizer(nn.Module):
    """Clips to latents or indices and back; a still image is a clip of one frame.

    An image tokenizer (``config.dimensions == "image"``) takes images ``[b 3 h w]``, or clips of which each frame is an image
    of its own; what it gives has the same axes.
    """

    def __init__(self, config: TokenizerConfig):
        super().__init__()
        self.config = config
        self.spec = TokenizerSpec(
            temporal_stride=config.temporal_stride,
            spatial_stride=config.spatial_stride,
            latent_channels=config.latent_channels,
            codebook_size=config.codebook_size,
        )
        self.fsq = FSQ(config.fsq_levels) if config.fsq_levels else None
        layers = video_layers() if config.dimensions == "video" else image_layers(config.norm_groups)
        moments = 2 if config.is_variational else 1
        self.encoder = Encoder(config, layers)
        self.quant_conv = layers.point(moments * config.z_channels, moments * config.latent_channels)
        self.post_quant_conv = layers.point(config.latent_channels, config.z_channels)
        self.decoder = Decoder(config, layers)

    def encode(
        self, pixels: Float[Tensor, "b 3 *thw"]
    ) -> Float[Tensor, "b cz *thw_z"] | Int[Tensor, "b ..."]:
        """Latents of clips in [-1, 1], or int32 indices if discrete.

        A size that does not divide is a ``ConfigError``, never padded or cropped.
        """
        codes = self.encode_codes(pixels)
        return codes if self.fsq is None else self.fsq.indices(codes)

    def encode_codes(
        self, pixels: Float[Tensor, "b 3 *thw"], past: Past | None = None
    ) -> Float[Tensor, "b cz *thw_z"]:
        """What the decoder is to see: the latents, or the codes, through which gradients pass straight.

        With a ``past`` the frames continue a clip (``stream``).
        """
        z = self._features(pixels, past)
        if self.config.is_variational:
            z = z.chunk(2, dim=1)[0]
        return z.contiguous() if self.fsq is None else self.fsq.quantize(z.contiguous())

    def posterior(self, pixels: Float[Tensor, "b 3 *thw"]) -> Posterior:
        """Mean and log-variance of the latents of a variational tokenizer."""
        if not self.config.is_variational:
            raise ConfigError(
                "tokenizer.is_variational must be true for a posterior, got false; use encode instead"
            )
        mean, log_variance = self._features(pixels, None).chunk(2, dim=1)
        return Posterior(mean, log_variance.clamp(-30, 20))

    def _features(self, pixels: Tensor, past: Past | None) -> Tensor:
        """The encoder's output behind ``quant_conv``."""
        self._check(pixels, past)
        if self.config.dimensions == "image" and pixels.ndim == 5:
            images = rearrange(pixels, "b c t h w -> (b t) c h w")
            return rearrange(self._features(images, None), "(b t) c h w -> b c t h w", b=len(pixels))
        return self.quant_conv(self.encoder(pixels, past))

    def decode(
        self, latents: Float[Tensor, "b cz *thw_z"] | Int[Tensor, "b ..."], past: Past | None = None
    ) -> Float[Tensor, "b 3 *thw"]:
        """Clips in about [-1, 1], not clamped, from latents (or codes) if floating-point, else from indices.

        ``1 + (tz - 1) * temporal_stride`` frames, or ``tz * temporal_stride`` that continue a ``past``.
        """
        if not latents.is_floating_point():
            latents = self._codes(latents)
        if self.config.dimensions == "image" and latents.ndim == 5:
            images = rearrange(latents, "b c t h w -> (b t) c h w")
            return rearrange(self.decode(images), "(b t) c h w -> b c t h w", b=len(latents))
        return self.decoder(self.post_quant_conv(latents), past).contiguous()

    def forward(self, pixels: Float[Tensor, "b 3 *thw"]) -> Float[Tensor, "b 3 *thw"]:
        """Reconstruction."""
        return self.decode(self.encode_codes(pixels))

    def stream(self, *, attended_latents: int = 0) -> "TokenizerStream":
        """For a clip that comes in pieces; see there."""
        from worldfoundry.models.tokenizer.stream import TokenizerStream  # noqa: PLC0415  it imports this module

        return TokenizerStream(self, attended_latents=attended_latents)

    def _codes(self, indices: Tensor) -> Tensor:
        if self.fsq is None:
            raise DataError(
                f"latents of a continuous tokenizer must be floating-point, got {indices.dtype}; take those of encode"
            )
        return self.fsq.codes(indices, self.dtype)

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the weights."""
        return next(self.parameters()).dtype

    def _check(self, pixels: Tensor, past: Past | None) -> None:
        if pixels.ndim == 4 and self.config.dimensions == "video":
            raise DataError(
                f"pixels of a video tokenizer must be [b 3 t h w], got {list(pixels.shape)}; an image is a clip of one frame"
            )
        height, width = pixels.shape[-2:]
        num_frames = pixels.shape[2] if pixels.ndim == 5 else 1
        if not is_start(past):
            if num_frames % self.spec.temporal_stride:
                raise DataError(
                    f"frames that continue a clip must be a multiple of {self.spec.temporal_stride}, got {num_frames}; "
                    "give whole latent frames"
                )
            num_frames += 1
        self.spec.latent_shape(num_frames=num_frames, height=height, width=width)
