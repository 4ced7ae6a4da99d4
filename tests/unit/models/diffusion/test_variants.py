from dataclasses import replace

import pytest
import torch

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.models.common.lora import LoRAConfig, add_lora, merge_lora
from worldfoundry.models.diffusion import config as configs
from worldfoundry.models.diffusion.conditions import Conditions
from worldfoundry.models.diffusion.config import DiTConfig, TokenConfig, ViewConfig
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
VIEWS = replace(NANO, positions="sincos", views=ViewConfig(num_views=2, channels=3, has_repeat=True))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(config: DiTConfig) -> DiffusionTransformer:
    net = DiffusionTransformer(config, generator=generator())
    for p in net.parameters():
        p.data = p.data + 0.1 * torch.randn(p.shape, generator=generator(p.numel()))
    return net.eval()


def call(net: DiffusionTransformer, t: int = 2, **given) -> torch.Tensor:
    x = torch.randn(1, 16, t, 4, 4, generator=generator(1))
    text = given.pop("text", torch.randn(1, 6, 8, generator=generator(2)))
    with torch.no_grad():
        return net(x, torch.zeros(1), text=text, fps=24.0, conditions=Conditions(**given))


@pytest.mark.parametrize(
    ("name", "parameters", "keys"),
    [
        ("official_7b_interpolator", 7_236_208_640, 571),
        ("official_7b_multiview_text2world", 7_234_783_280, 571),
        ("official_7b_multiview_video2world", 7_234_799_664, 571),
        ("official_7b_single_to_multiview", 7_234_799_670, 571),
        ("official_7b_action", 7_503_415_296, 576),
        ("official_7b_decoder", 7_237_257_216, 569),
    ],
)
def test_the_published_sizes_are_met(name, parameters, keys):
    with torch.device("meta"):
        net = DiffusionTransformer(getattr(configs, name)())
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert len(net.state_dict()) == keys


def test_no_repeat_is_zeros_and_no_indices_are_one_view_after_another():
    net = network(VIEWS)
    plain = call(net, 4)
    assert torch.equal(plain, call(net, 4, frame_repeat=torch.zeros(1, 2)))
    assert torch.equal(plain, call(net, 4, view_indices=torch.tensor([[0, 0, 1, 1]])))
    assert torch.equal(
        call(net, 4, view_indices=torch.tensor([[0, 0, 1, 1]])),
        call(net, 4, view_indices=torch.tensor([[0, 0, 9, 9]])),
    )
    assert not torch.allclose(plain, call(net, 4, frame_repeat=torch.ones(1, 2)))


def test_the_text_of_a_view_reaches_the_other_by_self_attention_alone():
    net = network(VIEWS)
    for attention in net.attentions("self"):
        attention.linear("to_out").weight.data.zero_()
    text = torch.randn(1, 6, 8, generator=generator(2))
    other = torch.cat((text[:, :3], text[:, 3:] + 1), dim=1)
    before, after = call(net, 4, text=text), call(net, 4, text=other)
    assert torch.equal(before[:, :, :2], after[:, :, :2])
    assert not torch.allclose(before[:, :, 2:], after[:, :, 2:])


def test_an_action_a_pose_and_tokens_are_read():
    action = network(replace(NANO, action_dim=3, positions="none"))
    assert not torch.allclose(call(action, action=torch.zeros(1, 3)), call(action, action=torch.ones(1, 3)))
    pose, rays = network(replace(NANO, pose_channels=6)), torch.randn(1, 6, 5, 4, 4)
    assert torch.equal(call(pose, pose=rays), call(pose, pose=rays[:, :, :2]))
    assert not torch.allclose(call(pose, pose=rays), call(pose, pose=rays + 1))
    tokens = network(replace(NANO, tokens=TokenConfig(codebook_size=9, channels=4)))
    codes = torch.zeros(1, 1, 2, 2, 2, dtype=torch.long)
    assert not torch.allclose(call(tokens, tokens=codes), call(tokens, tokens=codes + 1))


def test_what_a_network_does_not_read_and_what_it_lacks_are_refused():
    with pytest.raises(ConfigError, match="reads no action, got one"):
        call(network(NANO), action=torch.zeros(1, 7))
    with pytest.raises(ConfigError, match="needs pose, got none"):
        call(network(replace(NANO, pose_channels=6)))
    with pytest.raises(DataError, match="pose must have a frame for each of 2"):
        call(network(replace(NANO, pose_channels=6)), pose=torch.zeros(1, 6, 1, 4, 4))
    with pytest.raises(DataError, match="as many for each of 2 views, got 3"):
        call(network(VIEWS), 3)
    with pytest.raises(ConfigError, match="trajectory_dim and trajectory_channels"):
        ViewConfig(num_views=2, channels=2, trajectory_dim=192)


def test_an_adapter_adds_nothing_until_it_learned_and_merges_into_the_weights():
    net = network(NANO)
    plain = call(net)
    add_lora(
        net.attentions("self", 1), LoRAConfig(rank=2, projections=("to_q", "to_out")), generator=generator(3)
    )
    assert torch.equal(call(net), plain)
    names = {n for n in net.state_dict() if "_lora" in n}
    assert names == {
        f"blocks.block0.blocks.0.block.attn.{p}_lora.net.{k}.weight"
        for p in ("to_q", "to_out")
        for k in (0, 1)
    }
    for name in names:
        net.get_parameter(name).data.normal_(generator=generator(4))
    learned = call(net)
    assert not torch.allclose(learned, plain)
    merge_lora(net)
    assert not any("_lora" in n for n in net.state_dict())
    assert torch.allclose(call(net), learned, atol=1e-5)
