"""Low-rank adaptation of a diffusion transformer: added beside its attention projections, trained alone, merged or kept.

Source: arXiv 2106.09685. Names are those of the published training code: ``...attn.to_q_lora.net.0.weight`` (down) and
``net.1.weight`` (up).
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from worldfoundry.core.errors import CheckpointError, ConfigError
from worldfoundry.models.common.attention import Attention, LowRank
from worldfoundry.models.diffusion.config import LoRAConfig
from worldfoundry.models.diffusion.transformer import DiffusionTransformer

_BRANCHES = {"self": "0", "cross": "1"}
_PROJECTIONS = ("to_q", "to_k", "to_v", "to_out")


def add_lora(
    network: DiffusionTransformer, config: LoRAConfig, *, generator: torch.Generator | None = None
) -> None:
    """Give ``network`` adaptations that change nothing yet, and freeze the rest of it.

    The layer down is normal with standard deviation ``1 / rank``, the layer up is 0.
    """
    if config.num_blocks > network.config.num_blocks:
        raise ConfigError(
            f"num_blocks must be at most {network.config.num_blocks}, the blocks of the network, got "
            f"{config.num_blocks}; lower it"
        )
    if not network.config.text_channels and any(name.startswith("cross.") for name in config.targets):
        raise ConfigError("targets name cross-attention, which a network without text lacks; leave them out")
    if any(_adaptations(network)):
        raise ConfigError("the network must have no adaptation yet, got one that has; merge it first")
    network.requires_grad_(False)
    for i in range(config.num_blocks):
        for target in config.targets:
            attention, projection = target.split(".")
            layer = network.get_submodule(f"blocks.block{i}.blocks.{_BRANCHES[attention]}.block.attn")
            _adapt(layer, projection, config, generator)


def _adapt(layer: nn.Module, projection: str, config: LoRAConfig, generator: torch.Generator | None) -> None:
    weight = layer.get_submodule(projection).get_parameter("0.weight")
    low_rank = LowRank(weight.shape[1], weight.shape[0], config.rank, config.scale).to(weight)
    if not weight.is_meta:
        nn.init.normal_(low_rank.net.get_parameter("0.weight"), std=1 / config.rank, generator=generator)
        nn.init.zeros_(low_rank.net.get_parameter("1.weight"))
    setattr(layer, f"{projection}_lora", low_rank)


def _adaptations(network: nn.Module) -> Iterator[tuple[Attention, str, LowRank]]:
    for layer in [module for module in network.modules() if isinstance(module, Attention)]:
        for projection in _PROJECTIONS:
            low_rank = getattr(layer, f"{projection}_lora")
            if low_rank is not None:
                yield layer, projection, low_rank


@torch.no_grad()
def merge_lora(network: DiffusionTransformer) -> None:
    """Put every adaptation into the weights beside it and remove it: the network computes the same with fewer parts.

    The sum is made in float32 and rounded once; parameters train again.
    """
    for layer, projection, low_rank in list(_adaptations(network)):
        down, up = (low_rank.net.get_parameter(f"{i}.weight").float() for i in (0, 1))
        weight = layer.get_submodule(projection).get_parameter("0.weight")
        weight.copy_(weight.float() + low_rank.scale * (up @ down))
        delattr(layer, f"{projection}_lora")
        setattr(layer, f"{projection}_lora", None)
    network.requires_grad_(True)


def lora_weights(network: DiffusionTransformer) -> dict[str, Tensor]:
    """The weights of the adaptations alone, by their names in the network."""
    return {name: value for name, value in network.state_dict().items() if "_lora.net." in name}


def load_lora(network: DiffusionTransformer, weights: Mapping[str, Tensor]) -> None:
    """Set the adaptations of ``network``, added before with the same settings; any other name or shape is refused."""
    expected = {name: tuple(value.shape) for name, value in lora_weights(network).items()}
    got = {name: tuple(value.shape) for name, value in weights.items()}
    differing = sorted(expected.items() ^ got.items())
    if differing:
        name = differing[0][0]
        raise CheckpointError(
            f"adaptation {name} must have the shape {expected.get(name)} of the network, got {got.get(name)}; add the "
            "adaptations with the settings that they were trained with"
        )
    network.load_state_dict(dict(weights), strict=False)
