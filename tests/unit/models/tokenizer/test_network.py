import subprocess
import sys
from dataclasses import replace
from itertools import product

import pytest
import torch

from worldfoundry.core.errors import CheckpointError, ConfigError, DataError
from worldfoundry.models.tokenizer.config import TokenizerConfig, official_cv8x8x8, wavetok_c_t4s8z16_nano
from worldfoundry.models.tokenizer.initialise import initialise
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.models.tokenizer.official import load_official

SMALL = replace(wavetok_c_t4s8z16_nano(), channels=32)
STRIDE_8 = TokenizerConfig(
    channels=8,
    channel_multipliers=(2, 4, 4),
    decoder_channel_multipliers=(2, 4, 4),
    num_res_blocks=1,
)


def make(config):
    model = WaveletTokenizer(config).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    initialise(model, generator)
    for parameter in model.parameters():  # no weight may be special
        parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model


def clip(frames, seed=1, size=32):
    return torch.rand(1, 3, frames, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("config", [SMALL, STRIDE_8])
def test_a_later_frame_never_changes_an_earlier_latent_or_pixel(config):
    model, stride = make(config), config.temporal_stride
    x = clip(1 + 2 * stride)
    changed = x.clone()
    changed[:, :, 1 + stride :] = clip(stride, seed=2)
    before, after = model.encode(x), model.encode(changed)
    torch.testing.assert_close(before[:, :, :2], after[:, :, :2])
    assert (before[:, :, 2] - after[:, :, 2]).abs().max() > 1e-3
    torch.testing.assert_close(
        model.decode(before)[:, :, : 1 + stride], model.decode(after)[:, :, : 1 + stride]
    )


@pytest.mark.parametrize("config", [SMALL, STRIDE_8])
def test_a_prefix_of_the_latents_decodes_to_a_prefix_of_the_clip(config):
    model = make(config)
    z = model.encode(clip(1 + 2 * config.temporal_stride))
    whole, part = model.decode(z), model.decode(z[:, :, :2])
    torch.testing.assert_close(whole[:, :, : part.shape[2]], part, atol=2e-5, rtol=0)


def test_a_batch_gives_what_each_clip_gives_alone():
    model = make(SMALL)
    x = torch.cat([clip(5, seed=3), clip(5, seed=4)])
    torch.testing.assert_close(model(x), torch.cat([model(x[:1]), model(x[1:])]), atol=1e-3, rtol=0)


def test_fresh_weights_already_are_a_codec_and_depend_on_the_seed_alone():
    model, again = (WaveletTokenizer(wavetok_c_t4s8z16_nano()) for _ in range(2))
    for m in (model, again):
        initialise(m, torch.Generator().manual_seed(7))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    ramp = torch.linspace(-0.8, 0.8, 32)
    x = (ramp[:, None] * ramp[None] + 0.2).expand(1, 3, 5, 32, 32).contiguous()
    with torch.no_grad():
        error = (model(x) - x).square().mean()
    assert error < 0.15 * x.square().mean()


def test_the_official_size_has_the_published_number_of_parameters():
    with torch.device("meta"):
        model = WaveletTokenizer(official_cv8x8x8())
    assert sum(p.numel() for p in model.parameters()) == 105_653_696
    latents = model.encode(torch.zeros(1, 3, 17, 64, 96, device="meta"))
    assert latents.shape == (1, 16, 3, 8, 12)
    assert model.decode(latents).shape == (1, 3, 17, 64, 96)


@pytest.mark.parametrize(
    ("shape", "says"),
    [((1, 3, 6, 32, 32), "use 5 or 9"), ((1, 3, 5, 36, 32), "height must be a multiple of 8")],
)
def test_a_size_that_does_not_divide_is_an_error_that_names_the_sizes_that_do(shape, says):
    with pytest.raises(ConfigError, match=says):
        make(SMALL).encode(torch.zeros(shape))


def test_loading_is_strict_but_for_what_published_files_carry_besides():
    model = make(SMALL)
    state = dict(model.state_dict())
    load_official(model, state | {"encoder.patcher3d.wavelets": torch.ones(2)})
    with pytest.raises(CheckpointError, match="unexpected"):
        load_official(model, state | {"encoder.surprise": torch.ones(1)})
    del state["quant_conv.conv3d.bias"]
    with pytest.raises(CheckpointError, match="missing"):
        load_official(model, state)


@pytest.mark.parametrize("dimensions", ["video", "image"])
def test_what_a_configuration_encodes_it_decodes_to_the_same_size(dimensions):
    num_accepted = 0
    for t, s, up, down in product((1, 4, 8, 16), (4, 8, 16), (1, 2, 3), (2, 3)):
        try:
            config = TokenizerConfig(
                channels=1,
                channel_multipliers=(1,) * down,
                decoder_channel_multipliers=(1,) * up,
                num_res_blocks=1,
                temporal_stride=t,
                spatial_stride=s,
                z_channels=1,
                latent_channels=1,
                dimensions=dimensions,
            )
        except ConfigError:
            continue
        num_accepted += 1
        model, x = WaveletTokenizer(config), torch.zeros(1, 3, 1 + t, s, 2 * s)
        with torch.no_grad():
            z = model.encode(x)
            assert z.shape[1:] == model.spec.latent_shape(num_frames=1 + t, height=s, width=2 * s)
            assert model.decode(z).shape == x.shape, config
    assert num_accepted > 10


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("patch_size", 3),
        ("temporal_stride", 2),
        ("channels", 0),
        ("channel_multipliers", (1,)),
        ("channel_multipliers", ()),
        ("decoder_channel_multipliers", (1,)),
        ("decoder_channel_multipliers", ()),
    ],
)
def test_a_configuration_that_cannot_be_built_names_its_field(field, value):
    with pytest.raises(ConfigError, match=rf"tokenizer\.{field} "):
        replace(SMALL, **{field: value})


def test_latents_of_another_shape_are_refused():
    network = WaveletTokenizer(
        TokenizerConfig(
            channels=8,
            channel_multipliers=(1, 2),
            decoder_channel_multipliers=(1, 2),
            num_res_blocks=1,
            temporal_stride=4,
            spatial_stride=4,
            z_channels=8,
            latent_channels=8,
        )
    )
    for shape in ((1, 4, 2, 4, 4), (1, 8, 4, 4), (1, 8, 0, 4, 4)):
        with pytest.raises(DataError, match=r"latents must be \[b 8 t \.\.\.\] and not empty"):
            network.decode(torch.zeros(shape))


def test_bytes_are_not_taken_for_pixels():
    """As a user runs it: the tests check every annotated shape and type, and would stop before."""
    code = (
        "import torch\n"
        "from worldfoundry.core.errors import DataError\n"
        "from worldfoundry.models.pretrained.release import load_tokenizer\n"
        "network = load_tokenizer('wavetok-c-t4s8z16-nano')\n"
        "for x in (torch.zeros(1, 3, 5, 16, 16, dtype=torch.uint8), torch.zeros(1, 1, 5, 16, 16)):\n"
        "    try:\n        network.encode(x)\n"
        "    except DataError as error:\n        print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.count("pixels must be floating-point [b 3 ...] in [-1, 1], got torch.") == 2
