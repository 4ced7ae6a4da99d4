import itertools
import json
from dataclasses import replace

import pytest
import torch

from worldfoundry.core.config import from_json, to_json
from worldfoundry.core.errors import CheckpointError, UnknownNameError
from worldfoundry.models.tokenizer.config import TokenizerConfig
from worldfoundry.models.tokenizer.infer import infer_config
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.models.tokenizer.official import (
    diffusers_from_official,
    load_official,
    merge_halves,
    official_from_checkpoint,
    official_from_diffusers,
    to_official,
)
from worldfoundry.models.tokenizer.released import RELEASED, get_released


@pytest.fixture(scope="session")
def layouts(repository):
    return json.loads((repository / "tests/data/golden/tokenizer/state_dict_layouts.json").read_text())


def on_meta(shapes):
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def small(name):
    """A released configuration at a width that runs in a moment, with every other number as it is."""
    config = get_released(name)
    return replace(config, channels=32 if config.norm_groups == 32 else 8, num_res_blocks=1)


def test_the_table_holds_every_release(layouts):
    assert RELEASED.keys() == layouts.keys()
    with pytest.raises(UnknownNameError, match="CI8x8"):
        get_released("Cosmos-0.1-Tokenizer-CI8x9")


@pytest.mark.parametrize("name", RELEASED)
def test_a_release_has_exactly_the_published_weights(name, layouts):
    with torch.device("meta"):
        model = WaveletTokenizer(RELEASED[name])
    published = layouts[name]
    assert {k: list(v.shape) for k, v in model.state_dict().items()} == published["parameters"]
    assert sum(p.numel() for p in model.parameters()) == published["num_parameters"]
    assert RELEASED[name].norm_groups == (published["image_num_groups"] or 1)


@pytest.mark.parametrize("name", RELEASED)
@pytest.mark.parametrize("with_buffers", [False, True])
def test_the_configuration_follows_from_the_weights(name, layouts, with_buffers):
    state = on_meta(layouts[name]["parameters"])
    if with_buffers:
        state |= on_meta(layouts[name]["buffers_ignorable"])
        state |= {k: torch.tensor(RELEASED[name].fsq_levels) for k in state if k.endswith("._levels")}
    groups = layouts[name]["image_num_groups"]
    assert infer_config(state, norm_groups=groups) == RELEASED[name]
    if groups != 1:
        assert infer_config(state) == RELEASED[name]


@pytest.mark.parametrize("name", RELEASED)
def test_what_a_configuration_stores_is_what_it_loads(name):
    assert from_json(TokenizerConfig, to_json(RELEASED[name])) == RELEASED[name]


def test_a_configuration_stored_before_images_and_codes_still_loads():
    new = ("dimensions", "norm_groups", "fsq_levels", "attention_levels", "is_variational", "patch_method")
    stored = {k: v for k, v in to_json(TokenizerConfig()).items() if k not in new}
    assert from_json(TokenizerConfig, stored) == TokenizerConfig()


def every_resampler_convolution(config):
    """The resamplers of an old export, those that never run too."""
    levels = [f"encoder.down.{i}.downsample" for i in range(len(config.channel_multipliers) - 1)]
    levels += [f"decoder.up.{i}.upsample" for i in range(1, len(config.decoder_channel_multipliers))]
    return {f"{level}.conv{n}.conv3d.weight": torch.ones(3) for level in levels for n in (1, 2, 3)}


def test_convolutions_that_never_run_are_left_out_but_hide_the_strides():
    config = small("Cosmos-0.1-Tokenizer-CV4x8x8")
    model = WaveletTokenizer(config)
    state = every_resampler_convolution(config) | model.state_dict()
    load_official(model, state)
    with pytest.raises(CheckpointError, match="strides"):
        infer_config(state)
    assert infer_config(state, strides=(4, 8)) == config


def test_a_convolution_that_the_model_lacks_is_refused_unless_all_resamplers_have_all_three():
    model = WaveletTokenizer(small("Cosmos-0.1-Tokenizer-CV4x8x8"))
    every = every_resampler_convolution(model.config)
    dead = sorted(every.keys() - model.state_dict().keys())
    assert dead
    for absent in dead:
        state = {k: v for k, v in every.items() if k != absent} | model.state_dict()
        with pytest.raises(CheckpointError, match=r"unexpected \['(en|de)coder"):
            load_official(model, state)


def test_no_release_loads_into_another_kind():
    models = {}
    for name in RELEASED:
        with torch.device("meta"):
            model = WaveletTokenizer(replace(get_released(name), channels=32, num_res_blocks=1))
        layout = tuple((k, tuple(v.shape)) for k, v in sorted(model.state_dict().items()))
        models.setdefault(layout, model)
    assert len(models) > 10
    for (layout, _), (_, model) in itertools.permutations(models.items(), 2):
        with pytest.raises(CheckpointError, match="does not fit"):
            load_official(model, on_meta(dict(layout)))


@pytest.mark.parametrize(
    "extra", ["encoder.patcher4d.wavelets", "quantizer.levels", "encoder.down.0.resample.conv1.weight"]
)
def test_an_unknown_name_is_refused(extra):
    model = WaveletTokenizer(small("Cosmos-0.1-Tokenizer-DV4x8x8"))
    with pytest.raises(CheckpointError, match="unexpected"):
        load_official(model, {**model.state_dict(), extra: torch.ones(1)})


def test_plain_patches_are_told_and_not_read():
    config = replace(small("Cosmos-0.1-Tokenizer-CV8x8x8"), patch_method="rearrange")
    with torch.device("meta"):
        state = WaveletTokenizer(config).state_dict()
    assert infer_config(state, patch_method="rearrange") == config


def test_another_shape_is_refused_by_name():
    model = WaveletTokenizer(small("Cosmos-0.1-Tokenizer-CI8x8"))
    state = {**model.state_dict(), "quant_conv.bias": torch.ones(3)}
    with pytest.raises(CheckpointError, match=r"other shape \['quant_conv.bias'\]"):
        load_official(model, state)


def test_two_halves_make_a_whole():
    model = WaveletTokenizer(small("Cosmos-Tokenize1-DV4x8x8-360p"))
    levels = torch.tensor(model.config.fsq_levels)
    encoder = {k: v for k, v in model.state_dict().items() if k.startswith(("encoder.", "quant_conv."))}
    decoder = {k: v for k, v in model.state_dict().items() if k not in encoder}
    whole = merge_halves(
        {**encoder, "quantizer._levels": levels, "encoder.patcher3d._arange": torch.arange(2)},
        {**decoder, "inv_quant.quantizer._levels": levels},
    )
    assert infer_config(whole) == model.config
    load_official(WaveletTokenizer(model.config), whole)
    with pytest.raises(CheckpointError, match="both"):
        merge_halves(encoder, whole)


@pytest.mark.parametrize("compiled", ["", "_orig_mod."])
def test_a_training_checkpoint_gives_its_average_or_its_weights(compiled):
    official = {"encoder.conv_in.0.conv3d.weight": torch.ones(1), "quant_conv.conv3d.bias": torch.ones(2)}
    checkpoint = {f"network.{compiled}{k}": v for k, v in official.items()}
    checkpoint |= {f"ema.network-{(compiled + k).replace('.', '-')}": 2 * v for k, v in official.items()}
    checkpoint |= {"loss.a": torch.ones(1), "ema.loss-a": torch.ones(1)}
    assert official_from_checkpoint(checkpoint, weights="network") == official
    averaged = to_official(checkpoint)
    assert averaged.keys() == official.keys()
    assert all(torch.equal(averaged[k], 2 * v) for k, v in official.items())
    with pytest.raises(CheckpointError, match="optimizer"):
        official_from_checkpoint({**checkpoint, "optimizer.lr": torch.ones(1)})
    with pytest.raises(CheckpointError, match="other kind"):
        official_from_checkpoint(
            {k: v for k, v in checkpoint.items() if not k.startswith("network.")}, weights="network"
        )


def test_the_diffusers_names_are_the_published_ones(repository):
    text = (repository / "tests/data/golden/tokenizer/diffusers_cv_p4_t8s8.json").read_text()
    names = json.loads(text)["official_to_diffusers_key_map"]
    official = {name: torch.tensor(i) for i, name in enumerate(names)}
    theirs = diffusers_from_official(official)
    assert {k: int(v) for k, v in theirs.items()} == {v: int(official[k]) for k, v in names.items()}
    assert official_from_diffusers(theirs) == official


@pytest.mark.parametrize("name", [n for n in RELEASED if "-CV" in n])
def test_the_diffusers_layout_goes_both_ways(name, layouts):
    official = on_meta(layouts[name]["parameters"] | layouts[name]["buffers_ignorable"])
    theirs = diffusers_from_official(official)
    assert not any("conv3d" in key or "patcher" in key for key in theirs)
    assert to_official(theirs).keys() == layouts[name]["parameters"].keys()
