from dataclasses import replace

import pytest
import torch

from worldfoundry.core.errors import CheckpointError
from worldfoundry.models.diffusion import config as configs
from worldfoundry.models.diffusion import official
from worldfoundry.models.diffusion.config import DiTConfig
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
    has_condition_mask=True,
)


def state(config: DiTConfig = NANO) -> dict[str, torch.Tensor]:
    return DiffusionTransformer(config, generator=torch.Generator().manual_seed(0)).state_dict()


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_the_names_of_diffusers_there_and_back():
    ours = state()
    theirs = official.to_diffusers(ours)
    assert len(theirs) == len(ours) - 1
    assert same(official.from_diffusers(theirs, NANO), ours)
    again = official.config_from_diffusers(official.config_to_diffusers(NANO))
    assert again == replace(NANO, rope_precision="float32")


def test_a_published_file_is_taken_apart_and_put_together():
    ours, uncertainty = state(), {"logvar.1.weight": torch.ones(1, 128)}
    stored = official.join_parts(ours, uncertainty)
    assert "net.x_embedder.proj.1.weight" in stored
    for file in (stored, {"model": {**stored, "net.blocks.block0._extra_state": None}}):
        network, rest = official.split_parts(file)
        assert same(network, ours)
        assert same(rest, uncertainty)
    with pytest.raises(CheckpointError, match=r"must hold tensors, got int in 'net\.step'"):
        official.split_parts({**stored, "net.step": 1})


@pytest.mark.parametrize(
    "name",
    [
        "official_7b_text2world",
        "official_14b_text2world",
        "official_7b_video2world",
        "official_14b_video2world",
    ],
)
def test_published_configurations_follow_from_the_weights(name):
    config = getattr(configs, name)()
    with torch.device("meta"):
        weights = DiffusionTransformer(config).state_dict()
    assert official.infer_config(weights) == config


def test_what_the_other_side_cannot_hold_is_refused():
    fields = official.config_to_diffusers(NANO)
    with pytest.raises(CheckpointError, match=r"concat_padding_mask True, as Cosmos 1\.0 has, got False"):
        official.config_from_diffusers({**fields, "concat_padding_mask": False})
    with pytest.raises(CheckpointError, match=r"odd\.weight must have a place"):
        official.to_diffusers({"odd.weight": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"odd\.weight must be a name of CosmosTransformer3DModel"):
        official.from_diffusers({"odd.weight": torch.zeros(1)}, NANO)
    with pytest.raises(CheckpointError, match="diffusers must know the network"):
        official.config_to_diffusers(replace(NANO, action_dim=7))
