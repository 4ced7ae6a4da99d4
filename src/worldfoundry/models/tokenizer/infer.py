"""The configuration of a tokenizer from its weights alone: more to be trusted than a table, and good for unknown sizes."""

import math
from collections.abc import Iterator

from worldfoundry.core.errors import CheckpointError
from worldfoundry.models.tokenizer.config import TokenizerConfig
from worldfoundry.models.tokenizer.official import StateDict, count_levels
from worldfoundry.models.tokenizer.released import FSQ_LEVELS
from worldfoundry.models.tokenizer.wavelet import PatchMethod


def infer_config(
    state_dict: StateDict,
    *,
    norm_groups: int | None = None,
    fsq_levels: tuple[int, ...] | None = None,
    strides: tuple[int, int] | None = None,
    patch_method: PatchMethod = "haar",
) -> TokenizerConfig:
    """Read everything off the names and shapes of an official state dict, buffers included or not.

    Of a half the other half is taken to be its mirror, which nothing depends on; a decoder's ``channels`` and multipliers are
    then the smallest that give its widths.

    Weights cannot tell four things, which the arguments say instead:

    ``norm_groups``  of an image tokenizer; without it 32, which is wrong for Cosmos-Tokenize1-DI16x16-360p alone
    ``fsq_levels``   where the quantiser's buffers are absent; without it those of all releases if a latent has six channels
    ``strides``      (time, space) of a file with every resampling convolution, some of which may never run; without it such a
                     file is a ``CheckpointError``
    ``patch_method`` wavelet or plain patches; without it the wavelet, which every release has
    """
    reader = _Reader(state_dict)
    half = "encoder" if reader.has("encoder.") else "decoder"
    z_channels, latent_channels = reader.latent_widths()
    if fsq_levels is None:
        fsq_levels = stored_levels(state_dict) or (FSQ_LEVELS if latent_channels == len(FSQ_LEVELS) else ())
    patch_size = reader.patch_size(half)
    down, up = ([*reader.widths(name)] for name in ("encoder.down", "decoder.up"))
    channels = reader.shape("encoder.conv_in")[0] if down else math.gcd(*up)
    time, space = strides or reader.strides(half, len(down or up), patch_size)
    return TokenizerConfig(
        channels=channels,
        channel_multipliers=tuple(width // channels for width in down or up),
        decoder_channel_multipliers=tuple(width // channels for width in up or down),
        num_res_blocks=reader.num_res_blocks(),
        patch_size=patch_size,
        temporal_stride=time,
        spatial_stride=space,
        z_channels=z_channels,
        latent_channels=latent_channels,
        dimensions="image" if reader.is_image else "video",
        norm_groups=norm_groups or (32 if reader.is_image else 1),
        fsq_levels=fsq_levels,
        attention_levels=reader.attention_levels(len(down or up)),
        is_variational=bool(down and up) and reader.shape("encoder.conv_out")[0] == 2 * z_channels,
        patch_method=patch_method,
    )


class _Reader:
    def __init__(self, state_dict: StateDict):
        self.state_dict = state_dict
        self.is_image = any(f"{half}.conv_in.weight" in state_dict for half in ("encoder", "decoder"))

    def has(self, prefix: str) -> bool:
        return any(key.startswith(prefix) for key in self.state_dict)

    def shape(self, layer: str) -> tuple[int, ...]:
        """Shape of the first weights of a convolution: plain, over channels, or the part over space of a pair."""
        for suffix in (".weight", ".conv3d.weight", ".0.conv3d.weight"):
            if layer + suffix in self.state_dict:
                return tuple(self.state_dict[layer + suffix].shape)
        raise CheckpointError(
            f"state dict must hold the weights of {layer!r}, got none; give a whole tokenizer, its encoder or its decoder"
        )

    def latent_widths(self) -> tuple[int, int]:
        """Channels behind the decoder's first convolution over channels, and in front of it: those of a latent."""
        if self.has("post_quant_conv."):
            z, latent = self.shape("post_quant_conv")[:2]
            return z, latent
        latent, z = self.shape("quant_conv")[:2]
        return z, latent

    def patch_size(self, half: str) -> int:
        channels = (
            self.shape("encoder.conv_in")[1] if half == "encoder" else self.shape("decoder.conv_out")[0]
        )
        return round((channels / 3) ** (1 / (2 if self.is_image else 3)))

    def widths(self, prefix: str) -> Iterator[int]:
        if not self.has(f"{prefix}."):
            return
        for i in range(count_levels(self.state_dict, f"{prefix}.")):
            yield self.shape(f"{prefix}.{i}.block.0.conv1")[0]

    def num_res_blocks(self) -> int:
        if self.has("encoder."):
            return count_levels(self.state_dict, "encoder.down.0.block.")
        return count_levels(self.state_dict, "decoder.up.0.block.") - 1

    def attention_levels(self, num_levels: int) -> tuple[int, ...]:
        names = ("encoder.down", "decoder.up")
        return tuple(i for i in range(num_levels) if any(self.has(f"{name}.{i}.attn.") for name in names))

    def strides(self, half: str, num_levels: int, patch_size: int) -> tuple[int, int]:
        time, space = self.stages(half, num_levels)
        if self.is_ambiguous(half, num_levels):
            raise CheckpointError(
                "state dict has every resampling convolution, as old exports may have with some that never run; "
                "give strides=(time, space), on the command line --strides"
            )
        return (1 if self.is_image else patch_size * 2**time), patch_size * 2**space

    def is_ambiguous(self, half: str, num_levels: int) -> bool:
        time, space = self.stages(half, num_levels)
        return not self.is_image and time == space == num_levels - 1 > 0

    def stages(self, half: str, num_levels: int) -> tuple[int, int]:
        """Levels with a convolution that resamples (time, space)."""
        place, in_space, in_time = (
            ("encoder.down.{}.downsample.", "conv1.", "conv2.")
            if half == "encoder"
            else ("decoder.up.{}.upsample.", "conv2.", "conv1.")
        )
        levels = [place.format(i) for i in range(num_levels)]
        if self.is_image:
            return 0, sum(self.has(level + "conv.") for level in levels)
        time, space = (sum(self.has(level + conv) for level in levels) for conv in (in_time, in_space))
        return time, space


def has_every_resampler(state_dict: StateDict) -> bool:
    """Whether a whole or a half has every resampling convolution, so that its names do not tell its strides."""
    reader = _Reader(state_dict)
    half, levels = ("encoder", "encoder.down.") if reader.has("encoder.") else ("decoder", "decoder.up.")
    return reader.is_ambiguous(half, count_levels(state_dict, levels))


def stored_levels(state_dict: StateDict) -> tuple[int, ...]:
    """Levels of the quantiser by the buffers of an export; empty where it has none."""
    for key in ("quantizer._levels", "inv_quant.quantizer._levels"):
        if key in state_dict:
            return tuple(int(n) for n in state_dict[key])
    return ()
