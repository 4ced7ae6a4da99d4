from dataclasses import replace

import pytest
import torch

from worldfoundry.core.errors import CheckpointError
from worldfoundry.models.autoregressive import official
from worldfoundry.models.autoregressive.config import AutoregressiveConfig
from worldfoundry.models.autoregressive.transformer import AutoregressiveTransformer

TEXT = AutoregressiveConfig(
    dim=24,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    head_dim=6,
    hidden_dim=16,
    vocab_size=64,
    latent_shape=(2, 2, 2),
    has_begin_token=True,
    has_absolute_positions=True,
    text_dim=8,
)
BARE = replace(TEXT, text_dim=0, has_qk_norm=False, has_begin_token=False)


def state(config: AutoregressiveConfig = TEXT) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {k: v.detach().clone() for k, v in AutoregressiveTransformer(config).state_dict().items()}


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_prefix_nesting_and_extra_states_are_taken_off():
    plain = state()
    stored = {"model": official.with_prefix(plain) | {"model.layers.0._extra_state": torch.zeros(1)}}
    assert same(official.plain(stored), plain)
    assert same(official.plain(plain), plain)
    with pytest.raises(CheckpointError, match="must hold tensors, got int in 'step'"):
        official.plain(plain | {"step": 3})


def test_transformer_engine_layout_there_and_back():
    plain = state()
    there = official.to_transformer_engine(plain)
    assert "layers.1.inter_attention.key_value.key_weight" in there
    assert same(official.from_transformer_engine(there), plain)
    with pytest.raises(CheckpointError, match="must have a place in the other layout"):
        official.to_transformer_engine(plain | {"layers.0.attention.odd": torch.zeros(1)})


@pytest.mark.parametrize("count", [1, 2])
def test_shards_there_and_back(count):
    plain = state()
    shards = official.split_shards(plain, count)
    assert shards[0]["layers.0.attention.wo.weight"].shape == (24, 24 // count)
    assert same(official.merge_shards(shards), plain)


def test_shards_of_two_models_are_refused():
    first, second = official.split_shards(state(), 2)
    with pytest.raises(CheckpointError, match=r"norm\.weight must be the same in every shard"):
        official.merge_shards([first, {**second, "norm.weight": second["norm.weight"] + 1}])
    del second["output.weight"]
    with pytest.raises(CheckpointError, match=r"shards must hold the same names, got 'output\.weight'"):
        official.merge_shards([first, second])
    with pytest.raises(CheckpointError, match="multiple of 5"):
        official.split_shards(state(), 5)


@pytest.mark.parametrize("rotation", ["halves", "pairs"])
def test_llama_layout_there_and_back(rotation):
    plain = state(BARE)
    there = official.to_llama(plain, head_dim=6, rotation=rotation)
    assert same(official.from_llama(there, head_dim=6, rotation=rotation), plain)
    with pytest.raises(CheckpointError, match="it cannot hold this model"):
        official.to_llama(state(), head_dim=6)


def test_a_llama_of_transformers_loads_it():
    transformers, c = pytest.importorskip("transformers"), BARE
    llama = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=c.vocab_size,
            hidden_size=c.dim,
            intermediate_size=c.hidden_dim,
            num_hidden_layers=c.num_layers,
            num_attention_heads=c.num_heads,
            num_key_value_heads=c.num_kv_heads,
            head_dim=c.head_dim,
        )
    )
    llama.load_state_dict(official.to_llama(state(BARE), head_dim=c.head_dim))


def test_one_matrix_of_queries_keys_and_values_is_taken_apart():
    plain = state()
    fused = {k: v for k, v in plain.items() if not k.startswith("layers.0.attention.w") or "wo" in k}
    fused["layers.0.attention.wqkv.weight"] = torch.cat(
        [plain[f"layers.0.attention.w{k}.weight"] for k in "qkv"]
    )
    assert same(official.split_fused(fused, num_heads=4, num_kv_heads=2), plain)
