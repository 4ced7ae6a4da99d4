from dataclasses import replace

import pytest
import torch

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.models.common.rope import axis_angles, axis_dims
from worldfoundry.models.diffusion import variants
from worldfoundry.models.diffusion.blocks import CrossAttention
from worldfoundry.models.diffusion.config import DiTConfig
from worldfoundry.models.diffusion.inputs import ExtraInputs
from worldfoundry.models.diffusion.transformer import DiffusionTransformer

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
VIEWS = replace(
    NANO, positions="sincos", num_views=2, num_view_embeddings=2, view_channels=3, has_view_repeat=True
)


def normal(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def network(config: DiTConfig) -> DiffusionTransformer:
    net = DiffusionTransformer(config, generator=torch.Generator().manual_seed(0))
    for i, p in enumerate(net.parameters()):
        p.data = p.data + 0.1 * normal(*p.shape, seed=i)
    return net.eval().requires_grad_(False)


def run(net: DiffusionTransformer, x: torch.Tensor, **inputs) -> torch.Tensor:
    extra = {k: inputs.pop(k) for k in list(inputs) if k in ExtraInputs.__dataclass_fields__}
    return net(x, torch.linspace(-1, 1, len(x)), fps=24.0, extra=ExtraInputs(**extra), **inputs)


@pytest.mark.parametrize(
    ("name", "parameters", "keys", "width"),
    [
        ("official_7b_multiview_text2world", 7_234_783_280, 571, 92),
        ("official_7b_multiview_video2world", 7_234_799_664, 571, 96),
        ("official_7b_single_to_multiview", 7_234_799_670, 571, 96),
        ("official_7b_action", 7_503_415_296, 576, 72),
        ("official_7b_decoder", 7_237_257_216, 569, 196),
    ],
)
def test_the_published_variants_have_their_sizes(name, parameters, keys, width):
    with torch.device("meta"):
        net = DiffusionTransformer(getattr(variants, name)())
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert len(net.state_dict()) == keys
    assert tuple(net.x_embedder.proj[1].weight.shape) == (4096, width)


def test_anchors_of_the_published_layout():
    with torch.device("meta"):
        nets = [
            variants.official_7b_single_to_multiview(),
            variants.official_7b_action(),
            variants.official_7b_decoder(),
        ]
        views, action, decoder = (
            {k: tuple(v.shape) for k, v in DiffusionTransformer(c).state_dict().items()} for c in nets
        )
    assert views["view_embeddings.weight"] == (7, 6)
    assert views["repeat_frame_embedding.weight"] == (6, 1)
    assert "extra_pos_embedder.pos_emb_t" not in views
    assert action["action_embedder_B_D.fc2.weight"] == (4096, 16384)
    assert action["action_embedder_B_3D.fc2.weight"] == (12288, 16384)
    assert decoder["token_embedder.weight"] == (64000, 32)


def test_channels_enter_in_the_published_order():
    config = replace(
        VIEWS,
        has_condition_mask=True,
        camera_channels=6,
        token_vocabulary=5,
        token_channels=2,
        trajectory_channels=1,
        trajectory_numbers=4,
    )
    net, seen = network(config), []
    net.x_embedder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x, mask, camera = normal(1, 16, 4, 4, 4), torch.full((1, 1, 4, 4, 4), 3.0), normal(1, 6, 5, 4, 4)
    padding, tokens = torch.full((1, 1, 32, 32), 7.0), torch.full((1, 1, 4, 2, 2), 4)
    trajectory, repeat = normal(1, 4), torch.tensor([[0.0, 1.0]])
    run(
        net,
        x,
        condition_mask=mask,
        camera=camera,
        padding_mask=padding,
        tokens=tokens,
        trajectory=trajectory,
        view_repeat=repeat,
    )
    table, lift = net.get_parameter("view_embeddings.weight"), net.get_submodule("repeat_frame_embedding")
    parts = seen[0].split([16, 1, 6, 2, 1, 3, 1], dim=1)
    assert torch.equal(parts[0], x)
    assert torch.equal(parts[1], mask)
    assert torch.equal(parts[2], camera[:, :, :4]), "rays beyond the clip are cut off"
    torch.testing.assert_close(parts[3][0, :, 2, 1, 1], net.get_parameter("token_embedder.weight")[4])
    assert (parts[4] == 7).all()
    for view, frames in enumerate((slice(0, 2), slice(2, 4))):
        expected = table[view] + lift(repeat[0, view : view + 1])
        assert torch.allclose(parts[5][0, :, frames], expected[:, None, None, None])
    assert torch.allclose(parts[6], net.get_submodule("traj_embeddings")(trajectory)[:, :, None, None, None])


def test_each_view_attends_to_its_own_text():
    layer, x, text = CrossAttention(24, 8, 2, num_views=2), normal(1, 6, 24), normal(1, 10, 8, seed=2)
    changed = torch.cat((text[:, :5], text[:, 5:] + 1), dim=1)
    before, after = layer(x, text), layer(x, changed)
    torch.testing.assert_close(before[:, :3], after[:, :3], atol=0, rtol=0)
    assert not torch.allclose(before[:, 3:], after[:, 3:])
    alone = CrossAttention(24, 8, 2)
    alone.load_state_dict(layer.state_dict())
    torch.testing.assert_close(alone(x[:, 3:], text[:, 5:]), before[:, 3:])
    with pytest.raises(DataError, match="2 views, got 9"):
        layer(x, text[:, :9])


def test_views_swap_places_without_changing_each_other():
    """Positions start anew in every view and self-attention is joint, so only the view channels tell which is first."""
    net, x, text = network(VIEWS), normal(1, 16, 4, 4, 4), normal(1, 6, 8, seed=2)
    order = torch.tensor([2, 3, 0, 1])
    indices = torch.tensor([[0, 0, 1, 1]])
    repeat = torch.tensor([[0.3, 1.0]])
    out = run(net, x, text=text, view_indices=indices, view_repeat=repeat)
    swapped = run(
        net,
        x[:, :, order],
        text=text.roll(3, 1),
        view_indices=indices[:, order],
        view_repeat=repeat.flip(1),
    )
    torch.testing.assert_close(swapped, out[:, :, order], atol=1e-5, rtol=0)
    other = x.clone()
    other[:, :, 2:] += 1
    assert not torch.allclose(run(net, other, text=text)[:, :, :2], run(net, x, text=text)[:, :, :2]), (
        "views see each other"
    )


def test_what_is_left_out_of_the_views_has_its_published_default():
    net, x = network(VIEWS), normal(1, 16, 4, 4, 4)
    plain = run(net, x)
    assert torch.equal(plain, run(net, x, view_repeat=torch.zeros(1, 2)))
    assert torch.equal(plain, run(net, x, view_indices=torch.tensor([[0, 0, 1, 1]])))
    assert torch.equal(plain, run(net, x, view_indices=torch.tensor([[0, 0, 1, 8]]))), "clamped to the table"
    assert not torch.equal(plain, run(net, x, view_indices=torch.tensor([[1, 1, 0, 0]])))


def test_sincos_positions_reach_the_tokens_and_no_positions_leave_them_alone():
    x = normal(1, 16, 2, 4, 4)
    with_positions, without = (network(replace(NANO, positions=p)) for p in ("sincos", "none"))
    without.load_state_dict(with_positions.state_dict())
    assert not torch.allclose(run(with_positions, x), run(without, x))


def test_the_action_and_the_noise_on_given_frames_enter_the_modulation():
    x = normal(2, 16, 2, 4, 4)
    for config, name, one, other in (
        (replace(NANO, action_dim=7), "action", normal(2, 1, 7), normal(2, 1, 7, seed=2)),
        (replace(NANO, has_augment_sigma=True), "augment_c_noise", normal(2), normal(2, seed=2)),
    ):
        net = network(config)
        out = run(net, x, **{name: one})
        assert not torch.allclose(out, run(net, x, **{name: other}))
        mixed = run(net, x, **{name: torch.cat((one[:1], other[1:]))})
        torch.testing.assert_close(mixed[0], out[0], msg="each sample has its own")
        unread = "action_embedder_B_D" if name == "action" else "augment_sigma_embedder.1"
        for p in net.get_submodule(unread).parameters():
            p.data += 1
        assert torch.equal(out, run(net, x, **{name: one})), f"nothing reads {unread}"


@pytest.mark.parametrize(
    ("config", "name", "value"),
    [
        (replace(NANO, camera_channels=6), "camera", torch.zeros(1, 6, 2, 4, 4)),
        (replace(NANO, token_vocabulary=5, token_channels=2), "tokens", torch.zeros(1, 1, 2, 2, 2).long()),
        (replace(NANO, trajectory_channels=1, trajectory_numbers=4), "trajectory", torch.zeros(1, 4)),
        (replace(NANO, action_dim=7), "action", torch.zeros(1, 1, 7)),
        (replace(NANO, has_augment_sigma=True), "augment_c_noise", torch.zeros(1)),
    ],
)
def test_an_input_is_given_exactly_if_the_network_reads_it(config, name, value):
    x = normal(1, 16, 2, 4, 4)
    run(network(config), x, **{name: value})
    with pytest.raises(ConfigError, match=f"needs {name}"):
        run(network(config), x)
    with pytest.raises(ConfigError, match=f"takes no {name}"):
        run(network(NANO), x, **{name: value})


def test_wrong_shapes_are_refused():
    x = normal(1, 16, 4, 4, 4)
    with pytest.raises(DataError, match="2 views of one length, got 3"):
        run(network(VIEWS), x[:, :, :3])
    with pytest.raises(DataError, match=r"view_repeat .* 2 views, got 3"):
        run(network(VIEWS), x, view_repeat=torch.zeros(1, 3))
    with pytest.raises(DataError, match=r"view_indices .* 4 latent frames, got 3"):
        run(network(VIEWS), x, view_indices=torch.zeros(1, 3).long())
    with pytest.raises(DataError, match="at least 4 frames, got 6 and 3"):
        run(network(replace(NANO, camera_channels=6)), x, camera=torch.zeros(1, 6, 3, 4, 4))


def test_the_drawn_weights_of_the_inputs_follow_their_table():
    net = DiffusionTransformer(replace(VIEWS, action_dim=7), generator=torch.Generator().manual_seed(0))
    assert not net.get_parameter("repeat_frame_embedding.bias").any()
    assert not net.get_parameter("action_embedder_B_3D.fc1.bias").any()
    assert net.get_parameter("view_embeddings.weight").std() > 0.3


@pytest.mark.parametrize(
    "wrong", [{"view_channels": 3}, {"token_vocabulary": 3}, {"has_view_repeat": True}, {"num_views": 0}]
)
def test_settings_that_need_each_other_are_refused_alone(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        replace(NANO, **wrong)


def test_rounded_exponents_give_the_angles_of_a_bfloat16_network_in_float32():
    dim, position = axis_dims(128)[0], torch.tensor([100.0])
    exponents = (torch.arange(0, dim, 2).float() / dim).bfloat16().double()
    expected = 100 / (10000 * 2 ** (dim / (dim - 2))) ** exponents
    rounded = axis_angles(position, dim, 2.0, exponent_dtype=torch.bfloat16)[0].double()
    torch.testing.assert_close(rounded, expected, atol=0, rtol=1e-5)
    assert (axis_angles(position, dim, 2.0)[0] - expected).abs().max() > 0.01, (
        "a float32 network has other angles"
    )


def test_the_precision_of_the_rotary_angles_is_a_setting_of_the_network():
    wide = replace(NANO, model_channels=80, num_heads=2)
    exact, rounded = (network(replace(wide, rope_precision=p)) for p in ("weights", "rounded-exponents"))
    x = normal(1, 16, 4, 8, 8)
    assert not torch.equal(run(exact, x), run(rounded, x))
    torch.testing.assert_close(run(exact, x), run(rounded, x), atol=0.1, rtol=0)
