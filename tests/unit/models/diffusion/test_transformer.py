from dataclasses import replace

import pytest
import torch

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.models.diffusion import config as configs
from worldfoundry.models.diffusion.config import DiTConfig
from worldfoundry.models.diffusion.transformer import Branch, DiffusionTransformer

NANO = DiTConfig(
    model_channels=48,
    num_blocks=2,
    num_heads=2,
    adaln_lora_dim=4,
    text_channels=8,
    rope_ratio_t=2.0,
    max_latent_frames=4,
    max_latent_height=8,
    max_latent_width=8,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(config: DiTConfig = NANO, *, open_gates: bool = True) -> DiffusionTransformer:
    net = DiffusionTransformer(config, generator=generator())
    if open_gates:
        for p in net.parameters():
            p.data = p.data + 0.1 * torch.randn(p.shape, generator=generator(p.numel()))
    return net.eval()


def inputs(b: int = 2, t: int = 3, size: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(b, 16, t, size, size, generator=generator(1)), torch.linspace(-1, 1, b)


@pytest.mark.parametrize(
    ("name", "parameters", "keys"),
    [
        ("official_7b_text2world", 7_236_192_256, 571),
        ("official_14b_text2world", 14_267_149_312, 731),
        ("official_7b_video2world", 7_236_208_640, 571),
        ("official_14b_video2world", 14_267_169_792, 731),
    ],
)
def test_the_published_sizes_are_met(name, parameters, keys):
    with torch.device("meta"):
        net = DiffusionTransformer(getattr(configs, name)())
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert len(net.state_dict()) == keys


@torch.no_grad()
def test_the_published_geometry_runs_by_shape_alone():
    with torch.device("meta"):
        net = DiffusionTransformer(replace(configs.official_7b_video2world(), num_blocks=1))
        x, mask, text = (
            torch.empty(1, 16, 16, 88, 160),
            torch.empty(1, 1, 16, 88, 160),
            torch.empty(1, 512, 1024),
        )
        assert net(x, torch.empty(1), text=text, fps=24.0, condition_mask=mask).shape == x.shape


def test_anchors_of_the_published_layout():
    with torch.device("meta"):
        shapes = {
            k: tuple(v.shape)
            for k, v in DiffusionTransformer(configs.official_7b_video2world()).state_dict().items()
        }
    assert shapes["x_embedder.proj.1.weight"] == (4096, 72)
    assert shapes["pos_embedder.seq"] == (128,)
    assert shapes["extra_pos_embedder.pos_emb_w"] == (120, 4096)
    assert shapes["blocks.block27.blocks.1.block.attn.to_v.0.weight"] == (4096, 1024)
    assert shapes["blocks.block0.blocks.2.adaLN_modulation.2.weight"] == (12288, 256)
    assert shapes["t_embedder.1.linear_2.weight"] == (12288, 4096)


@torch.no_grad()
def test_no_text_equals_zero_text_exactly():
    net, (x, c) = network(), inputs()
    without = net(x, c, fps=10.0)
    assert torch.equal(without, net(x, c, fps=10.0, text=torch.zeros(2, 5, 8)))
    assert torch.equal(without, net(x, c, fps=10.0, text=torch.zeros(2, 0, 8)))
    assert not torch.equal(without, net(x, c, fps=10.0, text=torch.ones(2, 5, 8)))


@torch.no_grad()
def test_samples_of_a_batch_do_not_see_each_other():
    net, (x, c) = network(), inputs()
    text = torch.randn(2, 5, 8, generator=generator(2))
    one = [net(x[i : i + 1], c[i : i + 1], text=text[i : i + 1], fps=10.0) for i in range(2)]
    torch.testing.assert_close(net(x, c, text=text, fps=10.0), torch.cat(one), atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_frame_rate_scales_time_and_is_one_for_the_batch():
    net, (x, c) = network(), inputs()
    assert not torch.allclose(net(x, c, fps=10.0), net(x, c, fps=20.0))
    assert torch.equal(net(x, c, fps=10.0), net(x, c, fps=torch.full((2,), 10.0)))
    with pytest.raises(DataError, match="fps may be None only for images"):
        net(x, c)
    net(x[:, :, :1], c)


@torch.no_grad()
def test_masks_enter_and_a_missing_padding_mask_means_no_padding():
    net, (x, c) = network(replace(NANO, has_condition_mask=True)), inputs()
    mask = torch.zeros(2, 1, 3, 4, 4)
    plain = net(x, c, fps=10.0, condition_mask=mask)
    assert torch.equal(
        plain, net(x, c, fps=10.0, condition_mask=mask, padding_mask=torch.zeros(2, 1, 32, 32))
    )
    assert not torch.equal(
        plain, net(x, c, fps=10.0, condition_mask=mask, padding_mask=torch.ones(2, 1, 32, 32))
    )
    assert not torch.equal(plain, net(x, c, fps=10.0, condition_mask=mask + 1))


@torch.no_grad()
def test_what_the_network_does_not_take_is_refused():
    net, (x, c) = network(), inputs()
    with pytest.raises(ConfigError, match="takes no condition_mask"):
        net(x, c, fps=10.0, condition_mask=torch.zeros(2, 1, 3, 4, 4))
    with pytest.raises(ConfigError, match="needs condition_mask"):
        network(replace(NANO, has_condition_mask=True))(x, c, fps=10.0)
    with pytest.raises(ConfigError, match="takes no padding_mask"):
        network(replace(NANO, has_padding_mask=False))(x, c, fps=10.0, padding_mask=torch.zeros(2, 1, 4, 4))
    with pytest.raises(DataError, match=r"axis t must be .* at most 4, got 5"):
        net(*inputs(t=5), fps=10.0)
    with pytest.raises(DataError, match="axis h must be a multiple of 2"):
        net(*inputs(size=5), fps=10.0)


@torch.no_grad()
def test_one_generator_decides_every_weight():
    first, second = (DiffusionTransformer(NANO, generator=generator(s)).state_dict() for s in (0, 0))
    assert all(torch.equal(first[k], second[k]) for k in first)
    with torch.device("meta"):
        net = DiffusionTransformer(NANO)
    net = net.to_empty(device="cpu")
    net.init_weights(generator())
    assert all(torch.equal(first[k], v) for k, v in net.state_dict().items())


def test_initial_values_follow_their_table():
    net = network(open_gates=False)
    branches = [m for m in net.modules() if isinstance(m, Branch)]
    assert len(branches) == 3 * NANO.num_blocks
    assert not any(b.adaLN_modulation[2].weight.any() for b in branches)
    assert net.final_layer.linear.weight.std() > 0.05
    assert net.t_embedder[1].linear_1.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert torch.equal(net.affline_norm.weight, torch.ones(48))


def test_training_works_after_a_first_call_in_inference_mode():
    net, (x, c) = network(), inputs()
    with torch.inference_mode():
        expected = net(x, c, fps=7.0)
    out = net(x, c, fps=7.0)
    out.square().mean().backward()
    assert torch.equal(out, expected)
    untouched = [n for n, p in net.named_parameters() if p.grad is None]
    assert all(".blocks.1." in n for n in untouched), "only cross-attention is idle without text"


@torch.no_grad()
def test_bfloat16_stays_near_float32():
    net, (x, c) = network(), inputs()
    exact = net(x, c, fps=10.0)
    coarse = net.to(torch.bfloat16)(x.bfloat16(), c.bfloat16(), fps=10.0)
    assert coarse.dtype == torch.bfloat16
    assert (coarse - exact).abs().max() < 0.05 * exact.abs().max()
