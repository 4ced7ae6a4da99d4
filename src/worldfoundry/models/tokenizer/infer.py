"""The configuration of a tokenizer from its weights alone: more to be trusted than a table, and good for unknown sizes."""

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

    Weights cannot tell four things, which the arguments say instead:

    ``norm_groups``  of an image tokenizer; without it 32, which is wrong for Cosmos-Tokenize1-DI16x16-360p alone
    ``fsq_levels``   where the quantiser's buffers are absent; without it those of all releases if a latent has six channels
    ``strides``      (time, space) of a file with convolutions that never run; without it such a file is a ``CheckpointError``
    ``patch_method`` wavelet or plain patches; without it the wavelet, which every release has
    """
    reader = _Reader(state_dict)
    latent_channels, z_channels = reader.shape("post_quant_conv")[1::-1]
    if fsq_levels is None:
        fsq_levels = _stored_levels(state_dict) or (FSQ_LEVELS if latent_channels == len(FSQ_LEVELS) else ())
    channels, patch_channels = reader.shape("encoder.conv_in")[:2]
    patch_size = round((patch_channels / 3) ** (1 / (2 if reader.is_image else 3)))
    down, up = (count_levels(state_dict, prefix) for prefix in ("encoder.down.", "decoder.up."))
    time, space = strides or reader.strides(down, patch_size)
    return TokenizerConfig(
        channels=channels,
        channel_multipliers=reader.multipliers("encoder.down", down, channels),
        decoder_channel_multipliers=reader.multipliers("decoder.up", up, channels),
        num_res_blocks=count_levels(state_dict, "encoder.down.0.block."),
        patch_size=patch_size,
        temporal_stride=time,
        spatial_stride=space,
        z_channels=z_channels,
        latent_channels=latent_channels,
        dimensions="image" if reader.is_image else "video",
        norm_groups=norm_groups or (32 if reader.is_image else 1),
        fsq_levels=fsq_levels,
        attention_levels=tuple(i for i in range(down) if reader.has(f"encoder.down.{i}.attn.")),
        is_variational=reader.shape("encoder.conv_out")[0] == 2 * z_channels,
        patch_method=patch_method,
    )


class _Reader:
    def __init__(self, state_dict: StateDict):
        self.state_dict = state_dict
        self.is_image = "encoder.conv_in.weight" in state_dict

    def has(self, prefix: str) -> bool:
        return any(key.startswith(prefix) for key in self.state_dict)

    def shape(self, layer: str) -> tuple[int, ...]:
        """Shape of the first weights of a convolution: plain, over channels, or the part over space of a pair."""
        for suffix in (".weight", ".conv3d.weight", ".0.conv3d.weight"):
            if layer + suffix in self.state_dict:
                return tuple(self.state_dict[layer + suffix].shape)
        raise CheckpointError(
            f"state dict must hold the weights of {layer!r}, got none; give a whole tokenizer"
        )

    def multipliers(self, prefix: str, num_levels: int, channels: int) -> tuple[int, ...]:
        return tuple(self.shape(f"{prefix}.{i}.block.0.conv1")[0] // channels for i in range(num_levels))

    def strides(self, num_levels: int, patch_size: int) -> tuple[int, int]:
        levels = [f"encoder.down.{i}.downsample." for i in range(num_levels)]
        if self.is_image:
            return 1, patch_size * 2 ** sum(self.has(level + "conv.") for level in levels)
        space, time = (sum(self.has(level + conv) for level in levels) for conv in ("conv1.", "conv2."))
        if space == time == num_levels - 1 and space > 1:
            raise CheckpointError(
                "state dict has every resampling convolution, as old exports may have with some that never run; "
                "give strides=(time, space)"
            )
        return patch_size * 2**time, patch_size * 2**space


def _stored_levels(state_dict: StateDict) -> tuple[int, ...]:
    for key in ("quantizer._levels", "inv_quant.quantizer._levels"):
        if key in state_dict:
            return tuple(int(n) for n in state_dict[key])
    return ()
