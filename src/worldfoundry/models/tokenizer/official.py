"""Published tokenizer checkpoints: their configurations and what to leave out of their files."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from worldfoundry.core.errors import CheckpointError
from worldfoundry.models.tokenizer.config import TokenizerConfig

_BUFFERS = (".wavelets", "._arange", ".patch_size_buffer")
"""Constants that TorchScript exports store beside the weights; they follow from the configuration."""
_DEAD = re.compile(r"\.(downsample|upsample)\.conv[123]\.")
"""Resampler convolutions; the first releases also store those of branches that never run."""


def config_from_golden(fields: Mapping[str, Any], state_dict: Mapping[str, Tensor]) -> TokenizerConfig:
    """Our configuration from the official field names; decoder levels are read off the weights."""
    multipliers = tuple(fields["channels_mult"])
    num_up = 1 + max(int(key.split(".")[2]) for key in state_dict if key.startswith("decoder.up."))
    return TokenizerConfig(
        channels=fields["channels"],
        channel_multipliers=multipliers,
        decoder_channel_multipliers=multipliers[:num_up],
        num_res_blocks=fields["num_res_blocks"],
        patch_size=fields["patch_size"],
        temporal_stride=fields["temporal_compression"],
        spatial_stride=fields["spatial_compression"],
        z_channels=fields["z_channels"],
        latent_channels=fields["latent_channels"],
    )


def load_official(model: nn.Module, state_dict: Mapping[str, Tensor]) -> None:
    """Load a state dict in the published layout, strictly, but for constants of TorchScript exports and dead convolutions."""
    expected = model.state_dict()
    weights = {
        key: value
        for key, value in state_dict.items()
        if not key.endswith(_BUFFERS) and (key in expected or not _DEAD.search(key))
    }
    missing, extra = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected.keys())
    if missing or extra:
        raise CheckpointError(
            f"state dict does not fit the tokenizer: missing {missing[:3]}, unexpected {extra[:3]} "
            f"({len(missing)} and {len(extra)} in all); use the configuration it was made with"
        )
    model.load_state_dict(weights)
