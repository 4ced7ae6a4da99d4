import hashlib
import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from worldfoundry.core.errors import CheckpointError, ConfigError, UnknownNameError
from worldfoundry.models.pretrained import checksum
from worldfoundry.models.pretrained.release import build_tokenizer, load_tokenizer
from worldfoundry.models.pretrained.tokenizer_files import OpenOptions, open_tokenizer
from worldfoundry.models.tokenizer.released import RELEASED

CV, DV, CI, DI = (
    "Cosmos-0.1-Tokenizer-CV4x8x8",
    "Cosmos-Tokenize1-DV4x8x8-360p",
    "Cosmos-0.1-Tokenizer-CI8x8",
    "Cosmos-Tokenize1-DI16x16-360p",
)


def equal(a, b):
    a, b = (x if isinstance(x, dict) else x.state_dict() for x in (a, b))
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k].to(a[k].dtype)) for k in a)


@pytest.mark.parametrize("name", [CV, DV, CI, DI, "Cosmos-0.1-Tokenizer-DV4x8x8"])
@pytest.mark.parametrize("which", [("autoencoder",), ("encoder", "decoder"), ("model",)])
def test_every_official_file_gives_its_tokenizer(files, tmp_path, name, which):
    model, folder = files.tiny(name), tmp_path / "weights"
    if which == ("model",):
        files.checkpoint(model, folder)
    else:
        files.export(model, folder, files=which)
    options = OpenOptions(norm_groups=model.config.norm_groups)
    opened = open_tokenizer(str(folder), options)
    assert opened.release.tokenizer == model.config
    assert equal(load_tokenizer(str(folder), options=options), model)
    assert opened.num_parameters == sum(p.numel() for p in model.parameters())
    assert bool(opened.buffers) == (which != ("model",))
    if len(which) == 1:
        path = str(folder / (f"{which[0]}.pt" if which == ("model",) else f"{which[0]}.jit"))
        assert equal(load_tokenizer(path, options=options), model)


def test_a_checkpoint_gives_its_average_unless_asked_for_the_other(files, tmp_path):
    model = files.tiny(CV)
    files.checkpoint(model, tmp_path)
    opened = open_tokenizer(str(tmp_path / "model.pt"))
    assert opened.ignored == {"losses": 2, "weights being trained": len(model.state_dict())}
    training = load_tokenizer(str(tmp_path), options=OpenOptions(average="network"))
    key = "encoder.conv_in.0.conv3d.weight"
    assert torch.equal(training.state_dict()[key], 2 * model.state_dict()[key])


def test_a_diffusers_folder_gives_its_tokenizer_also_below_vae(files, tmp_path):
    model = files.tiny(CV)
    files.diffusers(model, tmp_path / "vae")
    assert equal(load_tokenizer(str(tmp_path)), model)
    assert equal(load_tokenizer(str(tmp_path / "vae")), model)
    assert equal(load_tokenizer(str(tmp_path / "vae" / "diffusion_pytorch_model.safetensors")), model)
    files.diffusers(model, tmp_path / "other", temporal_compression_ratio=8)
    with pytest.raises(
        CheckpointError, match=r"config\.json must describe .*'temporal_compression_ratio': 4.*8"
    ):
        load_tokenizer(str(tmp_path / "other"))


@pytest.mark.parametrize("name", [CV, "Cosmos-0.1-Tokenizer-CV8x16x16", DV, CI])
@pytest.mark.parametrize("half", ["encoder", "decoder"])
def test_a_half_works_and_refuses_the_other_direction(files, tmp_path, name, half):
    model = files.tiny(name)
    files.export(model, tmp_path, files=(half,))
    for given in (tmp_path, tmp_path / f"{half}.jit"):
        groups = 32 if model.config.dimensions == "image" else None
        loaded = load_tokenizer(str(given), options=OpenOptions(norm_groups=groups))
        assert (loaded.spec, loaded.parts) == (model.spec, half)
        size = (16, 16) if model.config.dimensions == "image" else (1 + model.spec.temporal_stride, 16, 16)
        pixels = torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(0))
        codes = model.encode(pixels)
        if half == "encoder":
            assert torch.equal(loaded.encode(pixels), codes)
            with pytest.raises(
                CheckpointError, match="must hold its decoder to decode, got the encoder alone"
            ):
                loaded.decode(codes)
        else:
            assert torch.equal(loaded.decode(codes), model.decode(codes))
            with pytest.raises(
                CheckpointError, match="must hold its encoder to encode, got the decoder alone"
            ):
                loaded.encode(pixels)


def test_the_groups_of_an_image_tokenizer_are_told_by_its_name_or_by_the_caller(files, tmp_path):
    model = files.tiny(DI)
    nameless, named = tmp_path / "weights", tmp_path / f"models--nvidia--{DI}" / "snapshots" / "1"
    for folder in (nameless, named):
        files.checkpoint(model, folder)
    with pytest.raises(CheckpointError, match="do not tell the groups of its norms; give norm_groups: 1 for"):
        load_tokenizer(str(nameless))
    for groups in (1, 32):
        loaded = (
            load_tokenizer(str(nameless), options=OpenOptions(norm_groups=groups)) if groups == 1 else None
        )
        assert loaded is None or loaded.config.norm_groups == groups
    assert load_tokenizer(str(named)).config == model.config
    with pytest.raises(
        CheckpointError, match=f"norm_groups must be 1, since {DI} is published with 1, got 32"
    ):
        load_tokenizer(str(named), options=OpenOptions(norm_groups=32))
    with pytest.raises(CheckpointError, match="norms of a video tokenizer have 1, got 32"):
        load_tokenizer(
            str(files.checkpoint(files.tiny(CV), tmp_path / "v")), options=OpenOptions(norm_groups=32)
        )


def test_weights_under_the_name_of_another_release_are_refused(files, tmp_path):
    files.checkpoint(files.tiny(CV), tmp_path / "Cosmos-0.1-Tokenizer-DV8x8x8")
    with pytest.raises(
        CheckpointError, match=r"by its name, which has temporal_stride 8, got 4; latent_channels 6, got 16"
    ):
        load_tokenizer(str(tmp_path / "Cosmos-0.1-Tokenizer-DV8x8x8"))


def test_an_old_export_is_understood_by_its_name_or_its_strides(files, tmp_path):
    model = files.tiny(CV)
    every = {f"encoder.down.{i}.downsample.conv{n}" for i in (0, 1) for n in (1, 2, 3)}
    every |= {f"decoder.up.1.upsample.conv{n}" for n in (1, 2, 3)}
    dead = {f"{layer}.conv3d.weight": torch.ones(3) for layer in every} | model.state_dict()
    for folder in (tmp_path / "weights", tmp_path / CV):
        folder.mkdir()
        torch.save({"model": {f"network.{k}": v for k, v in dead.items()}}, folder / "model.pt")
    options = OpenOptions(average="network")
    with pytest.raises(CheckpointError, match="strides"):
        open_tokenizer(str(tmp_path / "weights"), options)
    opened = open_tokenizer(str(tmp_path / CV), options)
    assert len(opened.dead) == len(dead) - len(model.state_dict())
    assert equal(opened.weights, model)
    asked = open_tokenizer(str(tmp_path / "weights"), replace(options, strides=(4, 8)))
    assert equal(build_tokenizer(asked), model)


@pytest.mark.parametrize("half", ["encoder", "decoder"])
def test_a_half_of_an_old_export_is_understood_by_its_name_or_its_strides(files, tmp_path, half):
    model = files.tiny(CV)  # two levels in the decoder: its one resampler of all three kinds says nothing
    every = {f"encoder.down.{i}.downsample.conv{n}" for i in (0, 1) for n in (1, 2, 3)}
    every |= {f"decoder.up.1.upsample.conv{n}" for n in (1, 2, 3)}
    state = {f"{layer}.conv3d.weight": torch.ones(3) for layer in every} | model.state_dict()
    prefixes = {"encoder": ("encoder.", "quant_conv."), "decoder": ("decoder.", "post_quant_conv.")}[half]
    state = {f"network.{k}": v for k, v in state.items() if k.startswith(prefixes)}
    for folder in (tmp_path / "weights", tmp_path / CV):
        folder.mkdir()
        torch.save({"model": state}, folder / "model.pt")
    options = OpenOptions(average="network")
    with pytest.raises(CheckpointError, match=r"give strides=\(time, space\)"):
        open_tokenizer(str(tmp_path / "weights"), options)
    for name, asked in ((CV, options), ("weights", replace(options, strides=(4, 8)))):
        found = build_tokenizer(open_tokenizer(str(tmp_path / name), asked))
        assert (found.spec, found.parts) == (model.spec, half)


def test_a_diffusers_folder_says_the_strides_that_two_levels_do_not(files, tmp_path):
    model = files.tiny(
        CV, channel_multipliers=(1, 2), decoder_channel_multipliers=(1, 2, 2), temporal_stride=8
    )
    loaded = load_tokenizer(str(files.diffusers(model, tmp_path / "d")))
    assert loaded.spec == model.spec
    files.export(model, tmp_path / "o", files=("autoencoder",))
    with pytest.raises(CheckpointError, match="strides"):
        load_tokenizer(str(tmp_path / "o"))
    assert load_tokenizer(str(tmp_path / "o"), options=OpenOptions(strides=(8, 8))).spec == model.spec


def test_folders_further_out_do_not_name_a_file(files, tmp_path):
    mine = files.checkpoint(
        files.tiny(CV), tmp_path / "Cosmos-0.1-Tokenizer-DV8x8x8" / "experiments" / "mine"
    )
    opened = open_tokenizer(str(mine))
    assert opened.source.release == ""
    assert opened.release.tokenizer.temporal_stride == 4
    below = files.diffusers(files.tiny(CV), tmp_path / CV / "vae")
    for name in (below, below.parent, below / "diffusion_pytorch_model.safetensors"):
        assert open_tokenizer(str(name)).source.release == CV


@pytest.mark.parametrize(
    ("change", "says"), [("missing", "missing"), ("extra", "unexpected"), ("shape", "other shape")]
)
def test_weights_that_do_not_fit_are_named(files, tmp_path, change, says):
    state, key = files.tiny(CV).state_dict(), "decoder.mid.block_1.conv2.1.conv3d.bias"
    if change == "missing":
        del state[key]
    elif change == "extra":
        key = "decoder.mid.block_1.conv3.bias"
        state[key] = torch.ones(1)
    else:
        state[key] = torch.ones(3)
    save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(CheckpointError, match=rf"{says} \['{key}'\]"):
        load_tokenizer(str(tmp_path / "weights.safetensors"))


def test_latent_statistics_lie_beside_the_weights(files, tmp_path):
    files.export(files.tiny(CV), tmp_path, files=("autoencoder",))
    mean, std = files.statistics(tmp_path)
    statistics = load_tokenizer(str(tmp_path)).statistics
    assert torch.equal(statistics.mean, mean.view(16, 16))
    assert torch.equal(statistics.std, std.view(16, 16))
    torch.save((mean, std, std), tmp_path / "mean_std.pt")
    with pytest.raises(CheckpointError, match=r"mean_std\.pt must hold mean and std, got 3"):
        load_tokenizer(str(tmp_path))
    values = {"latents_mean": mean.tolist(), "latents_std": std.tolist()}
    files.diffusers(files.tiny(CV), tmp_path / "vae", **values)
    assert torch.equal(load_tokenizer(str(tmp_path / "vae")).statistics.mean, mean.view(16, 16))


def test_a_published_file_is_known_by_its_md5_and_a_changed_one_is_refused(files, tmp_path, monkeypatch):
    named, other = tmp_path / DI, tmp_path / "mine"
    files.export(files.tiny(DI), named, files=("encoder",))
    path = named / "encoder.jit"
    expected, found = checksum.PUBLISHED_MD5[DI, "encoder.jit"], hashlib.md5(path.read_bytes()).hexdigest()
    with pytest.raises(CheckpointError, match=f"must have the MD5 {expected} that is published.*got {found}"):
        load_tokenizer(str(path))
    named.rename(other)
    says = open_tokenizer(str(other), OpenOptions(norm_groups=1)).notes
    assert says == (f"encoder.jit: MD5 {found}, not a file whose MD5 is published",)
    monkeypatch.setitem(checksum._BY_MD5, found, (DI, "encoder.jit"))
    opened = open_tokenizer(str(other))  # its bytes say which release it is, and that has one group
    assert opened.release.tokenizer.norm_groups == 1
    assert opened.notes[0].endswith(f"as published in {DI}")


def test_every_release_of_march_2025_has_its_checksums():
    releases = {name for name in RELEASED if "Tokenize1" in name}
    assert {name for name, _ in checksum.PUBLISHED_MD5} == releases
    assert len(set(checksum.PUBLISHED_MD5.values())) == len(checksum.PUBLISHED_MD5) == 3 * len(releases) + 1
    assert all(len(digest) == 32 for digest in checksum.PUBLISHED_MD5.values())


def test_what_is_no_tokenizer_says_what_it_is(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        CheckpointError, match=r"must hold model\.safetensors \+ config\.json, .* autoencoder\.jit"
    ):
        load_tokenizer(str(tmp_path / "empty"))
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(CheckpointError, match=r"must be weights .* got a \.txt file"):
        load_tokenizer(str(tmp_path / "notes.txt"))
    torch.save({"model": 3}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="under 'model'"):
        load_tokenizer(str(tmp_path / "a.pt"))
    torch.save({"weight": torch.ones(2)}, tmp_path / "b.pt")
    with pytest.raises(CheckpointError, match=r"must be of a tokenizer, .*got \['weight'\]"):
        load_tokenizer(str(tmp_path / "b.pt"))
    (tmp_path / "c.pt").write_bytes(b"garbage")
    with pytest.raises(CheckpointError, match=r"c\.pt must be a whole file of tensors"):
        load_tokenizer(str(tmp_path / "c.pt"))
    with pytest.raises(UnknownNameError, match=r"Cosmos-0\.1-Tokenizer-CV8x8x8"):
        load_tokenizer("Cosmos-0.1-Tokenizer-CV8x8")


def test_a_pickle_with_code_is_refused(tmp_path, capsys):
    class Bomb:
        def __reduce__(self):
            return print, ("ran",)

    torch.save({"model": {"network.a": Bomb()}}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="weights_only=True"):
        load_tokenizer(str(tmp_path))
    assert capsys.readouterr().out == ""


def test_weights_of_our_own_take_their_groups_from_their_configuration(files, tmp_path):
    from worldfoundry.models.pretrained.config import ReleaseConfig
    from worldfoundry.models.pretrained.release import save_release

    model = files.tiny(DI)
    save_release(tmp_path, model, ReleaseConfig(name="mine", family="tokenizer", tokenizer=model.config))
    assert load_tokenizer(str(tmp_path)).config == model.config
    with pytest.raises(CheckpointError, match=r"config\.json says 1, got 32"):
        load_tokenizer(str(tmp_path), options=OpenOptions(norm_groups=32))
    document = json.loads((tmp_path / "config.json").read_text())
    document["tokenizer"]["spatial_stride"] = 12
    (tmp_path / "config.json").write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="spatial_stride"):
        load_tokenizer(str(tmp_path))
    assert load_file(tmp_path / "model.safetensors")
