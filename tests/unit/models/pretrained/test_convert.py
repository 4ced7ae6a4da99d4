"""Every layout into every other and back, bit by bit; sources are written by the tests, not by the code that is tested."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from worldfoundry.cli.main import main
from worldfoundry.core.errors import CheckpointError, ConfigError, DataError
from worldfoundry.models.pretrained.config import ReleaseConfig, read_release
from worldfoundry.models.pretrained.convert import FAMILIES, Family, convert
from worldfoundry.models.pretrained.release import load_tokenizer, save_release, weights_digest
from worldfoundry.models.pretrained.source import OpenOptions
from worldfoundry.models.pretrained.torchscript import read_torchscript
from worldfoundry.models.tokenizer.config import TokenizerConfig
from worldfoundry.models.tokenizer.network import WaveletTokenizer

CV, DV, CI, DI = (
    "Cosmos-0.1-Tokenizer-CV4x8x8",
    "Cosmos-Tokenize1-DV4x8x8-360p",
    "Cosmos-0.1-Tokenizer-CI8x8",
    "Cosmos-Tokenize1-DI16x16-360p",
)


def bits(state):
    return {k: (v.dtype, v.shape, v.contiguous().view(torch.uint8).tolist()) for k, v in state.items()}


def odd(model):
    """Weights that only survive if no bit is touched: subnormal, minus zero, the largest."""
    state = model.state_dict()
    key = (
        "decoder.conv_out.0.conv3d.bias"
        if "decoder.conv_out.0.conv3d.bias" in state
        else "decoder.conv_out.bias"
    )
    state[key][:3] = torch.tensor([1e-39, -0.0, 3.3e38])
    return model


@pytest.mark.parametrize("name", [CV, DV, CI, DI])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_official_to_native_to_official_keeps_every_bit_of_every_file(files, tmp_path, name, dtype):
    model = odd(files.tiny(name))
    source = files.export(model, tmp_path / "source", dtype=dtype)
    mean, std = files.statistics(source)
    options = OpenOptions(norm_groups=model.config.norm_groups)
    if model.config.fsq_levels:
        (source / "mean_std.pt").unlink()
    convert(str(source), tmp_path / "native", options=options)
    convert(str(tmp_path / "native"), tmp_path / "back", to="official")
    assert read_release(str(tmp_path / "native"))[1].tokenizer == model.config
    stored = load_file(tmp_path / "native" / "model.safetensors")
    assert bits(stored) == bits({k: v.to(dtype) for k, v in model.state_dict().items()})
    for file in ("autoencoder", "encoder", "decoder"):
        before, after = (read_torchscript(tmp_path / f / f"{file}.jit") for f in ("source", "back"))
        assert bits(after) == bits(before) == bits(files.published_state(model, file, dtype))
    if not model.config.fsq_levels:
        back = torch.load(tmp_path / "back" / "mean_std.pt", weights_only=True)
        assert bits(dict(enumerate(back))) == bits({0: mean, 1: std})


def test_native_to_diffusers_to_native_keeps_every_bit_and_the_statistics(files, tmp_path):
    model = odd(files.tiny(CV))
    (tmp_path / "a").mkdir()
    save_release(tmp_path / "a", model, ReleaseConfig(name="a", family="tokenizer", tokenizer=model.config))
    generator = torch.Generator().manual_seed(1)
    pair = {k: torch.rand(16, 4, generator=generator) + 0.1 for k in ("mean", "std")}
    save_file(pair, tmp_path / "a" / "latent_statistics.safetensors")
    convert(str(tmp_path / "a"), tmp_path / "d", to="diffusers")
    convert(str(tmp_path / "d"), tmp_path / "b")
    for file in ("model.safetensors", "latent_statistics.safetensors"):
        before, after = (load_file(tmp_path / folder / file) for folder in "ab")
        assert bits(before) == bits(after)
    assert read_release(str(tmp_path / "b"))[1].tokenizer == model.config
    convert(str(tmp_path / "d"), tmp_path / "o", to="official")
    assert torch.equal(load_tokenizer(str(tmp_path / "o")).statistics.std, pair["std"])
    assert weights_digest(str(tmp_path / "a")) == weights_digest(str(tmp_path / "b"))


def test_diffusers_files_are_those_of_the_published_layout(files, tmp_path):
    model = odd(files.tiny(CV))
    theirs = files.diffusers(model, tmp_path / "theirs")
    convert(str(theirs), tmp_path / "native")
    convert(str(tmp_path / "native"), tmp_path / "ours", to="diffusers")
    before, after = (
        load_file(tmp_path / f / "diffusion_pytorch_model.safetensors") for f in ("theirs", "ours")
    )
    assert bits(before) == bits(after)
    fields = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert fields["encoder_block_out_channels"] == [8, 16, 32, 32]
    assert fields["decode_block_out_channels"] == [16, 32, 32]
    assert set(fields["latents_mean"]) == {0.0}
    assert load_tokenizer(str(tmp_path / "ours")).statistics is None


@pytest.mark.parametrize(
    ("name", "says"), [(DV, "continuous"), (CI, "a video tokenizer"), (DI, "video.* and continuous")]
)
def test_what_diffusers_does_not_have_is_refused_and_nothing_is_left(files, tmp_path, name, says):
    model = files.tiny(name)
    files.checkpoint(model, tmp_path / "source")
    options = OpenOptions(norm_groups=model.config.norm_groups)
    with pytest.raises(ConfigError, match=f"must be .*{says}.*AutoencoderKLCosmos"):
        convert(str(tmp_path / "source"), tmp_path / "out", to="diffusers", options=options)
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


def test_halves_convert_to_halves(files, tmp_path):
    model = files.tiny(DV)
    files.export(model, tmp_path / "source", files=("decoder",))
    convert(str(tmp_path / "source"), tmp_path / "native")
    convert(str(tmp_path / "native"), tmp_path / "back", to="official")
    assert [p.name for p in (tmp_path / "back").iterdir()] == ["decoder.jit"]
    before, after = (read_torchscript(tmp_path / f / "decoder.jit") for f in ("source", "back"))
    assert bits(before) == bits(after)
    with pytest.raises(ConfigError, match="must be whole"):
        convert(str(tmp_path / "native"), tmp_path / "d", to="diffusers")


def test_a_conversion_that_does_not_fit_leaves_nothing(files, tmp_path):
    state = files.tiny(CV).state_dict()
    del state["quant_conv.conv3d.bias"]
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=r"missing \['quant_conv.conv3d.bias'\]"):
        convert(str(tmp_path / "a.safetensors"), tmp_path / "out")
    (tmp_path / "there").mkdir()
    with pytest.raises(DataError, match="must not exist yet"):
        convert("wavetok-c-t4s8z16-nano", tmp_path / "there")
    assert {p.name for p in tmp_path.iterdir()} == {"a.safetensors", "there"}


def test_a_world_keeps_its_bits_and_has_no_other_layout(tmp_path):
    convert("dit-v2w-nano", tmp_path / "world")
    assert weights_digest(str(tmp_path / "world")) == weights_digest("dit-v2w-nano")
    assert read_release(str(tmp_path / "world"))[1] == read_release("dit-v2w-nano")[1]
    with pytest.raises(ConfigError, match="to must be one of native for 'dit-v2w-nano', got 'official'"):
        convert("dit-v2w-nano", tmp_path / "official", to="official")


def test_every_family_keeps_the_contract():
    for name in FAMILIES.names():
        assert isinstance(FAMILIES.get(name)(), Family)


def test_the_command_prints_what_was_loaded(files, tmp_path, capsys):
    model = files.tiny(DI)
    files.checkpoint(model, tmp_path / "weights")
    line = ["models", "convert", str(tmp_path / "weights"), "--norm-groups", "1"]
    assert main([*line, "--to", "official", "--out", str(tmp_path / "out")]) == 0
    rows = dict(row.split(None, 1) for row in capsys.readouterr().out.splitlines())
    assert rows["tensors"] == str(len(model.state_dict()))
    assert rows["parameters"] == f"{sum(p.numel() for p in model.parameters()):,}"
    assert rows["dtype"].startswith("float32")
    assert rows["losses"].split() == ["left", "out", "2"]
    again = [
        "models",
        "convert",
        str(tmp_path / "out"),
        "--norm-groups",
        "1",
        "--out",
        str(tmp_path / "n"),
        "--json",
    ]
    assert main(again) == 0
    loaded = json.loads(capsys.readouterr().out)["loaded"]
    assert len(loaded["buffers"]) == 7
    assert loaded["files"][0].startswith("autoencoder.jit: MD5")
    assert (
        main(["models", "show", str(tmp_path / "out" / "decoder.jit"), "--norm-groups", "1", "--json"]) == 0
    )
    shown = json.loads(capsys.readouterr().out)
    assert shown["tokenizer"]["fsq_levels"] == [8, 8, 8, 5, 5, 5]
    assert main(["models", "show", str(tmp_path / "out")]) == 1
    assert "--norm-groups" in capsys.readouterr().err


def test_diffusers_itself_reads_and_writes_what_we_do(files, tmp_path):
    diffusers = pytest.importorskip("diffusers", exc_type=ImportError)
    model = files.tiny("Cosmos-1.0-Tokenizer-CV8x8x8")
    (tmp_path / "native").mkdir()
    release = ReleaseConfig(name="a", family="tokenizer", tokenizer=model.config)
    save_release(tmp_path / "native", model, release)
    convert(str(tmp_path / "native"), tmp_path / "ours", to="diffusers")
    theirs = diffusers.AutoencoderKLCosmos.from_pretrained(str(tmp_path / "ours")).eval()
    pixels = torch.rand((1, 3, 9, 32, 32), generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        latents = theirs.encode(pixels).latent_dist.mode()
        torch.testing.assert_close(model.encode(pixels), latents, atol=1e-4, rtol=1e-4)
        frames = theirs.decode(latents).sample
        torch.testing.assert_close(model.decode(latents), frames, atol=1e-4, rtol=1e-4)
    theirs.save_pretrained(str(tmp_path / "theirs"))
    convert(str(tmp_path / "theirs"), tmp_path / "back")
    before, after = (load_file(tmp_path / f / "model.safetensors") for f in ("native", "back"))
    assert bits(before) == bits(after)
    assert read_release(str(tmp_path / "back"))[1].tokenizer == model.config


def small(folder, **settings):
    """A native tokenizer of a few weights."""
    config = TokenizerConfig(
        **{
            "channels": 8,
            "channel_multipliers": (1, 2),
            "decoder_channel_multipliers": (1, 2),
            "num_res_blocks": 1,
            "temporal_stride": 4,
            "spatial_stride": 4,
            "z_channels": 8,
            "latent_channels": 8,
            **settings,
        }
    )
    folder.mkdir()
    save_release(
        folder, WaveletTokenizer(config), ReleaseConfig(name="small", family="tokenizer", tokenizer=config)
    )
    return str(folder), config


@pytest.mark.parametrize("layout", ["official", "diffusers"])
def test_six_latent_channels_do_not_make_a_tokenizer_discrete(tmp_path, layout):
    width = 8 if layout == "official" else 6
    native, config = small(tmp_path / "native", latent_channels=6, z_channels=width)
    convert(native, tmp_path / layout, to=layout)
    assert load_tokenizer(str(tmp_path / layout)).config == config


def test_what_the_official_layout_cannot_say_is_refused(tmp_path):
    native, _ = small(tmp_path / "native", patch_method="rearrange")
    with pytest.raises(
        ConfigError, match=r"must begin with the Haar wavelet to be written as 'official'.*'rearrange'"
    ):
        convert(native, tmp_path / "official", to="official")
    assert not (tmp_path / "official").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (OpenOptions(fsq_levels=(5, 5, 5, 8, 8, 8)), "fsq_levels must be"),
        (OpenOptions(strides=(8, 16)), r"strides must be \(4, 4\)"),
    ],
)
def test_options_that_contradict_a_native_file_are_refused(tmp_path, options, says):
    native, _ = small(tmp_path / "native")
    with pytest.raises(CheckpointError, match=says):
        load_tokenizer(native, options=options)
