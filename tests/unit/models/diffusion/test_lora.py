from dataclasses import replace

import pytest
import torch

from worldfoundry.core.errors import CheckpointError, ConfigError
from worldfoundry.models.diffusion.config import DiTConfig, LoRAConfig, official_7b_video2world
from worldfoundry.models.diffusion.lora import add_lora, load_lora, lora_weights, merge_lora
from worldfoundry.models.diffusion.transformer import DiffusionTransformer

NANO = DiTConfig(
    model_channels=48,
    num_blocks=2,
    num_heads=2,
    adaln_lora_dim=4,
    text_channels=8,
    max_latent_frames=4,
    max_latent_height=8,
    max_latent_width=8,
)
EVERYWHERE = LoRAConfig(
    num_blocks=2,
    rank=3,
    scale=2.0,
    targets=tuple(f"{a}.{p}" for a in ("self", "cross") for p in ("to_q", "to_k", "to_v", "to_out")),
)


def normal(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def network() -> DiffusionTransformer:
    net = DiffusionTransformer(NANO, generator=torch.Generator().manual_seed(0))
    for i, p in enumerate(net.parameters()):
        p.data = p.data + 0.1 * normal(*p.shape, seed=i)
    return net


def run(net: DiffusionTransformer) -> torch.Tensor:
    return net(normal(1, 16, 2, 4, 4), torch.zeros(1), text=normal(1, 3, 8), fps=24.0)


def adapted(config: LoRAConfig = EVERYWHERE, *, trained: bool = True) -> DiffusionTransformer:
    net = network()
    add_lora(net, config, generator=torch.Generator().manual_seed(1))
    if trained:
        for i, value in enumerate(lora_weights(net).values()):
            value.copy_(0.3 * normal(*value.shape, seed=i))
    return net


def test_a_new_adaptation_changes_nothing_and_is_all_that_trains():
    net, plain = adapted(trained=False), network()
    assert torch.equal(run(net), run(plain))
    run(net).square().mean().backward()
    trained = {name for name, p in net.named_parameters() if p.grad is not None}
    assert trained == lora_weights(net).keys()
    assert len(trained) == 2 * 2 * 8
    assert all(net.get_parameter(n).grad.any() for n in trained if n.endswith("net.1.weight"))


def test_merged_is_unmerged_in_every_projection():
    for target in EVERYWHERE.targets:
        net = adapted(replace(EVERYWHERE, targets=(target,)))
        before = run(net)
        assert not torch.allclose(before, run(network()), atol=1e-4), target
        merge_lora(net)
        torch.testing.assert_close(run(net), before, atol=2e-5, rtol=0)
        assert net.state_dict().keys() == network().state_dict().keys()
        assert all(p.requires_grad for p in net.parameters())


def test_the_scale_is_a_factor_not_divided_by_the_rank():
    single, double = adapted(replace(EVERYWHERE, scale=1.0)), adapted()
    for net in (single, double):
        merge_lora(net)
    name, base = "blocks.block0.blocks.0.block.attn.to_q.0.weight", network()
    one, two = (net.get_parameter(name) - base.get_parameter(name) for net in (single, double))
    torch.testing.assert_close(two, 2 * one, atol=1e-5, rtol=0)


def test_adaptations_go_to_another_network_by_their_published_names():
    net, other = adapted(), adapted(trained=False)
    weights = lora_weights(net)
    assert tuple(weights["blocks.block1.blocks.1.block.attn.to_v_lora.net.0.weight"].shape) == (3, 8)
    load_lora(other, weights)
    assert torch.equal(run(net), run(other))
    with pytest.raises(CheckpointError, match=r"to_k_lora.net.0.weight must have the shape .*, got None"):
        load_lora(
            other, {n: v for n, v in weights.items() if "block0.blocks.0.block.attn.to_k_lora.net.0" not in n}
        )
    with pytest.raises(CheckpointError, match="got"):
        load_lora(adapted(replace(EVERYWHERE, rank=2)), weights)


def test_the_default_adapts_q_and_v_of_the_first_blocks_only():
    net = adapted(LoRAConfig(num_blocks=1))
    assert {name.split(".")[1] for name in lora_weights(net)} == {"block0"}
    assert len(lora_weights(net)) == 4 * 2
    with torch.device("meta"):
        official = DiffusionTransformer(official_7b_video2world())
        add_lora(official, LoRAConfig(num_blocks=27))
    # Self-attention: q and v, 8 * (4096 + 4096) each; cross-attention: q as before, v from 1024 text channels.
    assert sum(p.numel() for p in official.parameters() if p.requires_grad) == 27 * 8 * (3 * 8192 + 5120)


def test_wrong_settings_are_refused():
    with pytest.raises(ConfigError, match=r"at most 2.*got 3"):
        add_lora(network(), LoRAConfig(num_blocks=3))
    with pytest.raises(ConfigError, match=r"targets must be among.*to_x"):
        LoRAConfig(num_blocks=1, targets=("self.to_x",))
    with pytest.raises(ConfigError, match="cross-attention"):
        add_lora(DiffusionTransformer(replace(NANO, text_channels=0)), LoRAConfig(num_blocks=1))
    with pytest.raises(ConfigError, match="no adaptation yet"):
        add_lora(adapted(), EVERYWHERE)
