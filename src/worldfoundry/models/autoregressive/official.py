"""Layouts of published autoregressive weights, as maps between names; values are copied bit for bit.

Ours is the plain one of ``model.pt``. The others: the same with a prefix, shards of tensor parallelism, TransformerEngine's
names, and those of Hugging Face's Llama.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from worldfoundry.core.errors import CheckpointError

State = dict[str, Tensor]
Rotation = Literal["halves", "pairs"]
"""Which components of a head turn together: ``i`` with ``i + d/2``, as in all video models, or ``2 i`` with ``2 i + 1``."""
PREFIX = "model."
_RENAMED = {
    "attention_norm.weight": "self_attention.layernorm_qkv.layer_norm_weight",
    "attention.wq.weight": "self_attention.layernorm_qkv.query_weight",
    "attention.wk.weight": "self_attention.layernorm_qkv.key_weight",
    "attention.wv.weight": "self_attention.layernorm_qkv.value_weight",
    "attention.wo.weight": "self_attention.proj.weight",
    "attention.q_norm.weight": "self_attention.q_norm.weight",
    "attention.k_norm.weight": "self_attention.k_norm.weight",
    "ffn_norm.weight": "layernorm_mlp.layer_norm_weight",
    "feed_forward.w2.weight": "layernorm_mlp.fc2_weight",
    "cross_attention_norm.weight": "inter_attention.layernorm_query.layer_norm_weight",
    "cross_attention.wq.weight": "inter_attention.layernorm_query.query_weight",
    "cross_attention.wk.weight": "inter_attention.key_value.key_weight",
    "cross_attention.wv.weight": "inter_attention.key_value.value_weight",
    "cross_attention.wo.weight": "inter_attention.proj.weight",
    "cross_attention.q_norm.weight": "inter_attention.q_norm.weight",
    "cross_attention.k_norm.weight": "inter_attention.k_norm.weight",
}
_GATES = ("feed_forward.w1.weight", "feed_forward.w3.weight")
_FUSED_GATES = "layernorm_mlp.fc1_weight"
_FUSED_QKV = "attention.wqkv.weight"
_LLAMA = {
    "attention_norm.weight": "input_layernorm.weight",
    "attention.wq.weight": "self_attn.q_proj.weight",
    "attention.wk.weight": "self_attn.k_proj.weight",
    "attention.wv.weight": "self_attn.v_proj.weight",
    "attention.wo.weight": "self_attn.o_proj.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "feed_forward.w1.weight": "mlp.gate_proj.weight",
    "feed_forward.w2.weight": "mlp.down_proj.weight",
    "feed_forward.w3.weight": "mlp.up_proj.weight",
}
_LLAMA_OUTSIDE = {
    "tok_embeddings.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_BY_COLUMNS = ("attention.wo.weight", "feed_forward.w2.weight")
_LAYER = re.compile(r"layers\.(\d+)\.(.+)")


def plain(state: Mapping[str, object]) -> State:
    """Weights of ``model.pt``: taken out of ``model``, without the prefix and without what TransformerEngine adds."""
    inner = state.get("model", state)
    assert isinstance(inner, Mapping), "a state is a mapping"
    kept = {k: v for k, v in inner.items() if "_extra_state" not in k}
    odd = [k for k, v in kept.items() if not isinstance(v, Tensor)]
    if odd:
        raise CheckpointError(
            f"model.pt must hold tensors, got {type(kept[odd[0]]).__name__} in {odd[0]!r}; fetch it again"
        )
    if kept and all(k.startswith(PREFIX) for k in kept):
        kept = {k.removeprefix(PREFIX): v for k, v in kept.items()}
    return {k: v for k, v in kept.items() if isinstance(v, Tensor)}


def with_prefix(state: Mapping[str, Tensor]) -> State:
    """Names as in the published files."""
    return {f"{PREFIX}{k}": v for k, v in state.items()}


def to_transformer_engine(state: Mapping[str, Tensor]) -> State:
    """TransformerEngine's names; both gates of the MLP in one matrix."""
    found: State = {}
    for name, value in state.items():
        layer, inner = _split(name)
        if inner == _GATES[0]:
            other = state[f"layers.{layer}.{_GATES[1]}"]
            found[f"layers.{layer}.{_FUSED_GATES}"] = torch.cat((value, other))
        elif inner != _GATES[1]:
            found[name if layer is None else f"layers.{layer}.{_known(_RENAMED, name, inner)}"] = value
    return found


def from_transformer_engine(state: Mapping[str, Tensor]) -> State:
    """The reverse."""
    names, found = {v: k for k, v in _RENAMED.items()}, State()
    for name, value in state.items():
        layer, inner = _split(name)
        if inner == _FUSED_GATES:
            found |= {
                f"layers.{layer}.{k}": half.clone() for k, half in zip(_GATES, value.chunk(2), strict=True)
            }
        else:
            found[name if layer is None else f"layers.{layer}.{_known(names, name, inner)}"] = value
    return found


def to_llama(state: Mapping[str, Tensor], *, head_dim: int, rotation: Rotation = "halves") -> State:
    """Names of Hugging Face's Llama, whose heads turn in halves; it has no text and no norm of queries and keys."""
    found: State = {}
    for name, value in state.items():
        layer, inner = _split(name)
        if layer is None:
            found[_known(_LLAMA_OUTSIDE, name, name)] = value
            continue
        if rotation == "pairs" and inner in ("attention.wq.weight", "attention.wk.weight"):
            value = value.reshape(-1, head_dim // 2, 2, value.shape[1]).transpose(1, 2).reshape(value.shape)
        found[f"model.layers.{layer}.{_known(_LLAMA, name, inner)}"] = value
    return found


def from_llama(state: Mapping[str, Tensor], *, head_dim: int, rotation: Rotation = "halves") -> State:
    """The reverse."""
    names, outside, found = (
        {v: k for k, v in _LLAMA.items()},
        {v: k for k, v in _LLAMA_OUTSIDE.items()},
        State(),
    )
    for name, value in state.items():
        if name in outside:
            found[outside[name]] = value
            continue
        layer, inner = _split(name.removeprefix(PREFIX))
        new = _known(names, name, inner)
        if rotation == "pairs" and new in ("attention.wq.weight", "attention.wk.weight"):
            value = value.reshape(-1, 2, head_dim // 2, value.shape[1]).transpose(1, 2).reshape(value.shape)
        found[f"layers.{layer}.{new}"] = value
    return found


def split_shards(state: Mapping[str, Tensor], count: int) -> list[State]:
    """What each of ``count`` ranks of tensor parallelism holds."""
    shards: list[State] = [{} for _ in range(count)]
    for name, value in state.items():
        axis = _shard_axis(name, value)
        if axis is not None and value.shape[axis] % count:
            raise CheckpointError(
                f"{name} must have a multiple of {count} along axis {axis} to be split, got {list(value.shape)}; choose another "
                "number of shards"
            )
        parts = [value] * count if axis is None else [p.clone() for p in value.chunk(count, dim=axis)]
        for shard, part in zip(shards, parts, strict=True):
            shard[name] = part
    return shards


def merge_shards(shards: Sequence[Mapping[str, Tensor]]) -> State:
    """One state from the shards of all ranks, in their order; what every rank holds has to be the same."""
    names = shards[0].keys()
    for rank, shard in enumerate(shards):
        if shard.keys() != names:
            odd = sorted(shard.keys() ^ names)
            raise CheckpointError(
                f"shards must hold the same names, got {odd[0]!r} in some and not in others (rank {rank}); fetch all of one model"
            )
    merged: State = {}
    for name in names:
        parts = [shard[name] for shard in shards]
        axis = _shard_axis(name, parts[0])
        if axis is None and any(
            not torch.allclose(p.float(), parts[0].float(), rtol=1e-2, atol=1e-5) for p in parts
        ):
            raise CheckpointError(
                f"{name} must be the same in every shard, got different ones; fetch all shards of one model"
            )
        merged[name] = _common(parts) if axis is None else torch.cat(parts, dim=axis)
    return merged


def split_fused(state: Mapping[str, Tensor], *, num_heads: int, num_kv_heads: int) -> State:
    """Queries, keys and values apart where a file holds them in one matrix."""
    found: State = {}
    for name, value in state.items():
        layer, inner = _split(name)
        if inner != _FUSED_QKV:
            found[name] = value
            continue
        unit = len(value) // (num_heads + 2 * num_kv_heads)
        parts = value.split([num_heads * unit, num_kv_heads * unit, num_kv_heads * unit])
        found |= {
            f"layers.{layer}.attention.w{k}.weight": p.clone() for k, p in zip("qkv", parts, strict=True)
        }
    return found


def _common(parts: Sequence[Tensor]) -> Tensor:
    """What is the same in all stays as it is; ranks that drifted apart by rounding are averaged, as published."""
    if all(torch.equal(p, parts[0]) for p in parts):
        return parts[0]
    return torch.stack([p.float() for p in parts]).mean(0).to(parts[0].dtype)


def _shard_axis(name: str, value: Tensor) -> int | None:
    if value.ndim < 2:
        return None
    return 1 if name.endswith(_BY_COLUMNS) else 0


def _split(name: str) -> tuple[int | None, str]:
    """Layer and name inside it; no layer for what lies outside."""
    found = _LAYER.fullmatch(name)
    return (int(found[1]), found[2]) if found else (None, name)


def _known(names: Mapping[str, str], name: str, inner: str) -> str:
    if inner not in names:
        raise CheckpointError(
            f"{name} must have a place in the other layout, got none; it cannot hold this model"
        )
    return names[inner]
