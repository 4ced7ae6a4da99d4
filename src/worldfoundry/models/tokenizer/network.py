"""The causal video tokenizer: one network class for every size.

Activations are ``[b c t h w]``, laid out in memory channels-last, so that the factorised convolutions, (1,3,3) in space and
(3,1,1) in time, run as 2-D convolutions on views, without copies. Norms, spatial convolutions and spatial attention see one
frame at a time; temporal convolutions replicate the first frame of their own input in front; temporal attention is masked:
latent ``k`` depends on frames ``0..k * temporal_stride`` and on nothing later.

State-dict names are those of the published Cosmos checkpoints, which load as they are.

Source: arXiv 2501.03575, section 4.1.
"""

import torch
import torch.nn.functional as F  # noqa: N812  the field's name
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from worldfoundry.models.tokenizer.config import TokenizerConfig
from worldfoundry.models.tokenizer.wavelet import patch, unpatch
from worldfoundry.protocols.models import TokenizerSpec


def _frames(x: Tensor) -> Tensor:
    """``b c t h w -> (b t) c h w``: a view where memory is channels-last."""
    return x.transpose(1, 2).flatten(0, 1)


def _clips(x: Tensor, batch: int) -> Tensor:
    """Inverse of ``_frames``."""
    return x.unflatten(0, (batch, -1)).transpose(1, 2)


class CausalConv(nn.Module):
    """A convolution over space (1,k,k), or over time (k,1,1) and causal, or over channels (1,1,1)."""

    def __init__(
        self, c_in: int, c_out: int, kernel: tuple[int, int, int], *, stride: int = 1, padding: int = 0
    ):
        super().__init__()
        self.conv3d = nn.Conv3d(
            c_in, c_out, kernel
        )  # holds the weights under their published name; never called
        self.stride, self.padding = stride, padding

    def forward(self, x: Float[Tensor, "b ci t h w"]) -> Float[Tensor, "b co u i j"]:
        """Convolve; a temporal kernel sees ``k - stride`` copies of the first frame in front."""
        weight, bias = self.conv3d.weight, self.conv3d.bias
        kt, kh, _ = self.conv3d.kernel_size
        if kh > 1:
            y = F.conv2d(_frames(x), weight[:, :, 0], bias, self.stride, self.padding)
            return _clips(y, x.shape[0])
        h, w = x.shape[3:]
        if kt > self.stride:
            x = torch.cat([x[:, :, :1]] * (kt - self.stride) + [x], dim=2)
        y = F.conv2d(x.flatten(3), weight[..., 0], bias, (self.stride, 1))
        return y.unflatten(3, (h, w))


class FactorisedConv(nn.Sequential):
    """A convolution over space, then one over time, with nothing between them."""

    def __init__(self, c_in: int, c_out: int):
        super().__init__(CausalConv(c_in, c_out, (1, 3, 3), padding=1), CausalConv(c_out, c_out, (3, 1, 1)))


class FrameNorm(nn.Module):
    """Group norm with one group over (c, h, w) of each frame on its own, which keeps causality."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.GroupNorm(1, channels, eps=1e-6)

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
        """Normalise every frame."""
        return _clips(self.norm(_frames(x)), x.shape[0])


class ResBlock(nn.Module):
    """Two factorised convolutions, each behind norm and SiLU, and a shortcut."""

    def __init__(self, c_in: int, c_out: int):
        super().__init__()
        self.norm1, self.conv1 = FrameNorm(c_in), FactorisedConv(c_in, c_out)
        self.norm2, self.conv2 = FrameNorm(c_out), FactorisedConv(c_out, c_out)
        self.nin_shortcut = CausalConv(c_in, c_out, (1, 1, 1)) if c_in != c_out else nn.Identity()

    def forward(self, x: Float[Tensor, "b ci t h w"]) -> Float[Tensor, "b co t h w"]:
        """Residual update."""
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return self.nin_shortcut(x) + h


class Attention(nn.Module):
    """One-head attention over the positions of each frame, or causally over the frames of each position."""

    def __init__(self, channels: int, *, over_time: bool):
        super().__init__()
        self.norm = FrameNorm(channels)
        self.q, self.k, self.v, self.proj_out = (CausalConv(channels, channels, (1, 1, 1)) for _ in range(4))
        self.over_time = over_time

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
        """Residual update."""
        b, _, t, h, w = x.shape
        y = self.norm(x)
        split = "b c t h w -> (b h w) 1 t c" if self.over_time else "b c t h w -> (b t) 1 (h w) c"
        q, k, v = (rearrange(part(y), split) for part in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.over_time and t > 1)
        join = "(b h w) 1 t c -> b c t h w" if self.over_time else "(b t) 1 (h w) c -> b c t h w"
        return x + self.proj_out(rearrange(y, join, b=b, t=t, h=h, w=w))


class Middle(nn.Module):
    """Residual block, spatial attention, temporal attention, residual block."""

    def __init__(self, channels: int):
        super().__init__()
        self.block_1 = ResBlock(channels, channels)
        self.attn_1 = nn.Sequential(Attention(channels, over_time=False), Attention(channels, over_time=True))
        self.block_2 = ResBlock(channels, channels)

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
        """Residual updates at the lowest resolution."""
        return self.block_2(self.attn_1(self.block_1(x)))


class Downsample(nn.Module):
    """Halves space, time or both by strided convolution plus average pooling; nothing at all if neither."""

    def __init__(self, channels: int, *, space: bool, time: bool):
        super().__init__()
        self.conv1 = CausalConv(channels, channels, (1, 3, 3), stride=2) if space else None
        self.conv2 = CausalConv(channels, channels, (3, 1, 1), stride=2) if time else None
        self.conv3 = CausalConv(channels, channels, (1, 1, 1)) if space or time else nn.Identity()

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c u i j"]:
        """Space first, then time."""
        if self.conv1 is not None:
            pool = _clips(F.avg_pool2d(_frames(x), 2), x.shape[0])
            x = self.conv1(F.pad(x, (0, 1, 0, 1))) + pool
        if self.conv2 is not None:
            u = torch.cat([x[:, :, :1], x], dim=2)
            x = self.conv2(u) + (u[:, :, 0::2] + u[:, :, 1::2]) / 2
        return self.conv3(x)


class Upsample(nn.Module):
    """Doubles time, space or both by repetition and a residual convolution; nothing at all if neither."""

    def __init__(self, channels: int, *, space: bool, time: bool):
        super().__init__()
        self.conv1 = CausalConv(channels, channels, (3, 1, 1)) if time else None
        self.conv2 = CausalConv(channels, channels, (1, 3, 3), padding=1) if space else None
        self.conv3 = CausalConv(channels, channels, (1, 1, 1)) if space or time else nn.Identity()

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c u i j"]:
        """Time first (the first frame stays single), then space."""
        if self.conv1 is not None:
            if x.shape[2] > 1:
                x = x.repeat_interleave(2, dim=2)[:, :, 1:]
            x = self.conv1(x) + x
        if self.conv2 is not None:
            x = _clips(F.interpolate(_frames(x), scale_factor=2.0, mode="nearest"), x.shape[0])
            x = self.conv2(x) + x
        return self.conv3(x)


class EncoderLevel(nn.Module):
    """The residual blocks of one resolution, then the way down."""

    def __init__(self, c_in: int, c_out: int, num_blocks: int, downsample: nn.Module):
        super().__init__()
        self.block = nn.Sequential(*(ResBlock(c_in if i == 0 else c_out, c_out) for i in range(num_blocks)))
        self.downsample = downsample

    def forward(self, x: Float[Tensor, "b ci t h w"]) -> Float[Tensor, "b co u i j"]:
        """Blocks, then resampler."""
        return self.downsample(self.block(x))


class DecoderLevel(nn.Module):
    """The residual blocks of one resolution, then the way up."""

    def __init__(self, c_in: int, c_out: int, num_blocks: int, upsample: nn.Module):
        super().__init__()
        self.block = nn.Sequential(*(ResBlock(c_in if i == 0 else c_out, c_out) for i in range(num_blocks)))
        self.upsample = upsample

    def forward(self, x: Float[Tensor, "b ci t h w"]) -> Float[Tensor, "b co u i j"]:
        """Blocks, then resampler."""
        return self.upsample(self.block(x))


class Encoder(nn.Module):
    """Pixels to ``z_channels`` features at the latent resolution."""

    def __init__(self, config: TokenizerConfig):
        super().__init__()
        self.patch_size = config.patch_size
        widths = [config.channels * m for m in config.channel_multipliers]
        self.conv_in = FactorisedConv(3 * config.patch_size**3, config.channels)
        self.down = nn.ModuleList()
        for level, (c_in, c_out) in enumerate(zip([config.channels, *widths], widths, strict=False)):
            space, time = level < config.num_spatial_stages, level < config.num_temporal_stages
            last = level == len(widths) - 1
            down = nn.Identity() if last else Downsample(c_out, space=space, time=time)
            self.down.append(EncoderLevel(c_in, c_out, config.num_res_blocks, down))
        self.mid = Middle(widths[-1])
        self.norm_out = FrameNorm(widths[-1])
        self.conv_out = FactorisedConv(widths[-1], config.z_channels)

    def forward(self, x: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b z tz hz wz"]:
        """Features before ``quant_conv``."""
        x = patch(x, self.patch_size).contiguous(memory_format=torch.channels_last_3d)
        x = self.conv_in(x)
        for level in self.down:
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(self.mid(x))))


class Decoder(nn.Module):
    """``z_channels`` features at the latent resolution to pixels."""

    def __init__(self, config: TokenizerConfig):
        super().__init__()
        self.patch_size = config.patch_size
        widths = [config.channels * m for m in config.decoder_channel_multipliers]
        top = len(widths) - 1
        self.conv_in = FactorisedConv(config.z_channels, widths[-1])
        self.mid = Middle(widths[-1])
        self.up = nn.ModuleList()
        for level, c_out in enumerate(widths):
            space, time = _decoder_upsampling(config, top - level)
            up = Upsample(c_out, space=space, time=time) if level > 0 else nn.Identity()
            self.up.append(DecoderLevel(widths[min(level + 1, top)], c_out, config.num_res_blocks + 1, up))
        self.norm_out = FrameNorm(widths[0])
        self.conv_out = FactorisedConv(widths[0], 3 * config.patch_size**3)

    def forward(self, z: Float[Tensor, "b z tz hz wz"]) -> Float[Tensor, "b 3 t h w"]:
        """Pixels, not clamped."""
        x = self.mid(self.conv_in(z.contiguous(memory_format=torch.channels_last_3d)))
        for level in reversed(self.up):
            x = level(x)
        return unpatch(self.conv_out(F.silu(self.norm_out(x))), self.patch_size)


def _decoder_upsampling(config: TokenizerConfig, depth: int) -> tuple[bool, bool]:
    """(space, time) of the up-sampler ``depth`` levels below the bottom; not the mirror of the encoder, as published."""
    time = 0 < depth < config.num_temporal_stages + 1
    space = time or (
        depth < config.num_spatial_stages and config.num_spatial_stages > config.num_temporal_stages
    )
    return space, time


class WaveletTokenizer(nn.Module):
    """Continuous causal video tokenizer; a still image is a clip of one frame."""

    def __init__(self, config: TokenizerConfig):
        super().__init__()
        self.config = config
        self.spec = TokenizerSpec(
            temporal_stride=config.temporal_stride,
            spatial_stride=config.spatial_stride,
            latent_channels=config.latent_channels,
        )
        self.encoder = Encoder(config)
        self.quant_conv = CausalConv(config.z_channels, config.latent_channels, (1, 1, 1))
        self.post_quant_conv = CausalConv(config.latent_channels, config.z_channels, (1, 1, 1))
        self.decoder = Decoder(config)

    def encode(self, pixels: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b cz tz hz wz"]:
        """Latents of clips in [-1, 1]; a size that does not divide is a ``ConfigError``, never padded or cropped."""
        self.spec.latent_shape(num_frames=pixels.shape[2], height=pixels.shape[3], width=pixels.shape[4])
        return self.quant_conv(self.encoder(pixels)).contiguous()

    def decode(self, latents: Float[Tensor, "b cz tz hz wz"]) -> Float[Tensor, "b 3 t h w"]:
        """Clips in about [-1, 1], not clamped; ``1 + (tz - 1) * temporal_stride`` frames."""
        return self.decoder(self.post_quant_conv(latents)).contiguous()

    def forward(self, pixels: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b 3 t h w"]:
        """Reconstruction."""
        return self.decode(self.encode(pixels))
