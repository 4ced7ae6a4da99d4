"""Low-rank adapters of attention: small matrices that learn while the network stays as it is.

Source: arXiv 2106.09685, with the names (``to_q_lora.net.0`` and ``.1`` beside ``to_q``) and the plain scale of the published
training code; it is not divided by the rank.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from worldfoundry.core.errors import ConfigError
from worldfoundry.models.common.attention import Attention

PROJECTIONS = ("to_q", "to_k", "to_v", "to_out")
"""What can be adapted."""
SUFFIX = "_lora"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoRAConfig:
    """Which projections of an attention get an adapter."""

    rank: int = 8
    """Width between the two matrices."""
    scale: float = 1.0
    """Factor on what an adapter adds."""
    projections: tuple[str, ...] = ("to_q", "to_v")
    """Names of projections."""

    def __post_init__(self):
        if self.rank < 1:
            raise ConfigError(f"lora.rank must be 1 or more, got {self.rank}; raise it")
        if not self.projections or any(name not in PROJECTIONS for name in self.projections):
            raise ConfigError(
                f"lora.projections must be some of {', '.join(PROJECTIONS)}, got {self.projections}; change them"
            )


class LoRA(nn.Module):
    """Down to the rank and up again; it adds nothing until it has learned."""

    def __init__(self, beside: nn.Linear, config: LoRAConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.scale = config.scale
        like = {"bias": False, "device": beside.weight.device, "dtype": beside.weight.dtype}
        down = nn.Linear(beside.in_features, config.rank, **like)
        self.net = nn.Sequential(down, nn.Linear(config.rank, beside.out_features, **like))
        if not down.weight.is_meta:
            nn.init.normal_(down.weight, std=1 / config.rank, generator=generator)
            nn.init.zeros_(self.net.get_parameter("1.weight"))

    def forward(self, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch m"]:
        """What is added to the projection."""
        return self.scale * self.net(x)

    def delta(self) -> Float[Tensor, "m n"]:
        """What it adds, as one matrix."""
        return self.scale * (self.net.get_parameter("1.weight") @ self.net.get_parameter("0.weight"))


def add_lora(
    attentions: Iterable[Attention], config: LoRAConfig, *, generator: torch.Generator | None = None
) -> None:
    """Put adapters beside projections; what was there is frozen by the caller."""
    for attention in attentions:
        for name in config.projections:
            attention.add_module(name + SUFFIX, LoRA(attention.linear(name), config, generator=generator))


@torch.no_grad()
def merge_lora(network: nn.Module) -> None:
    """Add every adapter to the weight that it stands beside, and take it away: the same numbers, the plain layout."""
    for attention in network.modules():
        if not isinstance(attention, Attention):
            continue
        for name in PROJECTIONS:
            adapter = attention.adapter(name)
            if adapter is not None:
                assert isinstance(adapter, LoRA), "add_lora puts them there"
                attention.linear(name).weight += adapter.delta()
                delattr(attention, name + SUFFIX)
