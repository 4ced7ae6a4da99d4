"""Layouts of published diffusion weights, as maps between names; values are copied bit for bit.

Ours is that of ``model.pt`` without its prefix ``net.``. Beside the network that file may hold the learned uncertainty
(``logvar.``) and what TransformerEngine adds; diffusers has the same tensors under other names, and not the buffer that nothing
reads.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from worldfoundry.core.errors import CheckpointError
from worldfoundry.models.diffusion.config import DiTConfig

State = dict[str, Tensor]
PREFIX = "net."
UNCERTAINTY = "logvar."
_BUFFER = "pos_embedder.seq"
_BRANCHES = {"0": ("attn1", "norm1"), "1": ("attn2", "norm2"), "2": ("ff", "norm3")}
_LAYERS = {
    "attn.to_q.0": "to_q",
    "attn.to_q.1": "norm_q",
    "attn.to_k.0": "to_k",
    "attn.to_k.1": "norm_k",
    "attn.to_v.0": "to_v",
    "attn.to_out.0": "to_out.0",
    "layer1": "net.0.proj",
    "layer2": "net.2",
}
_OUTSIDE = {
    "x_embedder.proj.1": "patch_embed.proj",
    "extra_pos_embedder.pos_emb_t": "learnable_pos_embed.pos_emb_t",
    "extra_pos_embedder.pos_emb_h": "learnable_pos_embed.pos_emb_h",
    "extra_pos_embedder.pos_emb_w": "learnable_pos_embed.pos_emb_w",
    "t_embedder.1.linear_1": "time_embed.t_embedder.linear_1",
    "t_embedder.1.linear_2": "time_embed.t_embedder.linear_2",
    "affline_norm": "time_embed.norm",
    "final_layer.adaLN_modulation.1": "norm_out.linear_1",
    "final_layer.adaLN_modulation.2": "norm_out.linear_2",
    "final_layer.linear": "proj_out",
}
_BLOCK = re.compile(r"blocks\.block(\d+)\.blocks\.([012])\.(?:block\.(.+)|adaLN_modulation\.([12]))")
_THEIR_BLOCK = re.compile(r"transformer_blocks\.(\d+)\.(attn1|attn2|ff|norm1|norm2|norm3)\.(.+)")


def split_parts(state: Mapping[str, Any]) -> tuple[State, State]:
    """The network and the learned uncertainty of a ``model.pt``, however it is nested and prefixed."""
    inner = state.get("model", state)
    kept = {k: v for k, v in inner.items() if "_extra_state" not in k}
    odd = [k for k, v in kept.items() if not isinstance(v, Tensor)]
    if odd:
        raise CheckpointError(
            f"model.pt must hold tensors, got {type(kept[odd[0]]).__name__} in {odd[0]!r}; fetch it again"
        )
    uncertainty = {k: v for k, v in kept.items() if k.startswith(UNCERTAINTY)}
    network = {k.removeprefix(PREFIX): v for k, v in kept.items() if k not in uncertainty}
    return network, uncertainty


def join_parts(network: Mapping[str, Tensor], uncertainty: Mapping[str, Tensor]) -> State:
    """The reverse: names as in the published files."""
    return {**{PREFIX + k: v for k, v in network.items()}, **uncertainty}


def to_diffusers(network: Mapping[str, Tensor]) -> State:
    """Names of diffusers' ``CosmosTransformer3DModel``, which knows Text2World and Video2World."""
    return {_their_name(name): value for name, value in network.items() if name != _BUFFER}


def from_diffusers(state: Mapping[str, Tensor], config: DiTConfig) -> State:
    """The reverse; the buffer is made anew."""
    found = {_our_name(name): value for name, value in state.items()}
    dtype = next(iter(found.values())).dtype
    return {**found, _BUFFER: torch.arange(max(config.max_grid), dtype=torch.float32).to(dtype)}


def config_from_diffusers(fields: Mapping[str, Any]) -> DiTConfig:
    """Configuration of a diffusers ``transformer/config.json``; what later generations added is refused."""
    fixed = {"out_channels": 16, "concat_padding_mask": True, "extra_pos_embed_type": "learnable"}
    for name, value in fixed.items():
        if fields.get(name, value) != value:
            raise CheckpointError(
                f"config.json must have {name} {value!r}, as Cosmos 1.0 has, got {fields[name]!r}; this is another generation"
            )
    heads, (frames, height, width) = fields["num_attention_heads"], fields["max_size"]
    ratio_t, ratio_h, ratio_w = fields["rope_scale"]
    patch_temporal, patch_spatial, other = fields["patch_size"]
    channels = fields["in_channels"] - fields["out_channels"]
    if patch_spatial != other or channels not in (0, 1):
        raise CheckpointError(
            f"config.json must have square patches and 16 or 17 in_channels, got {fields['patch_size']} and "
            f"{fields['in_channels']}; this is another model"
        )
    return DiTConfig(
        model_channels=heads * fields["attention_head_dim"],
        num_blocks=fields["num_layers"],
        num_heads=heads,
        adaln_lora_dim=fields["adaln_lora_dim"],
        text_channels=fields["text_embed_dim"],
        mlp_ratio=float(fields["mlp_ratio"]),
        patch_spatial=patch_spatial,
        patch_temporal=patch_temporal,
        rope_ratio_t=float(ratio_t),
        rope_ratio_h=float(ratio_h),
        rope_ratio_w=float(ratio_w),
        rope_precision="float32",
        max_latent_frames=frames,
        max_latent_height=height,
        max_latent_width=width,
        has_condition_mask=channels == 1,
    )


def config_to_diffusers(config: DiTConfig) -> dict[str, Any]:
    """What stands in ``transformer/config.json``."""
    plain = config.latent_channels + config.has_condition_mask + 1
    if config.in_channels != plain or config.action_dim or config.positions != "learned":
        raise CheckpointError(
            "diffusers must know the network, Text2World or Video2World with learned positions and a padding mask, got "
            f"{config.in_channels} input channels, positions {config.positions!r} and action_dim {config.action_dim}; write the "
            "official layout"
        )
    return {
        "_class_name": "CosmosTransformer3DModel",
        "in_channels": config.latent_channels + config.has_condition_mask,
        "out_channels": config.latent_channels,
        "num_attention_heads": config.num_heads,
        "attention_head_dim": config.head_dim,
        "num_layers": config.num_blocks,
        "mlp_ratio": config.mlp_ratio,
        "text_embed_dim": config.text_channels,
        "adaln_lora_dim": config.adaln_lora_dim,
        "max_size": [config.max_latent_frames, config.max_latent_height, config.max_latent_width],
        "patch_size": [config.patch_temporal, config.patch_spatial, config.patch_spatial],
        "rope_scale": list(config.rope_ratios),
        "concat_padding_mask": True,
        "extra_pos_embed_type": "learnable",
    }


def infer_config(network: Mapping[str, Tensor]) -> DiTConfig:
    """Configuration of Text2World or Video2World weights: sizes from shapes, rotary ratios from the published sizes.

    Ratios leave no trace in weights; sizes that were never published take those of 7B (2, 1, 1).
    """
    width = network["x_embedder.proj.1.weight"].shape[0]
    patches, channels = 4, network["x_embedder.proj.1.weight"].shape[1]
    head_dim = network["blocks.block0.blocks.0.block.attn.to_q.1.weight"].shape[0]
    blocks = {name.split(".")[1] for name in network if name.startswith("blocks.")}
    rows = {axis: network[f"extra_pos_embedder.pos_emb_{axis}"].shape[0] for axis in "thw"}
    inputs = channels // patches
    if channels % patches or inputs not in (17, 18):
        raise CheckpointError(
            f"x_embedder.proj.1.weight must read 17 or 18 channels of 2 x 2 patches, as Text2World and Video2World do, got "
            f"{channels} values; name the network"
        )
    is_large = width == 5120
    return DiTConfig(
        model_channels=width,
        num_blocks=len(blocks),
        num_heads=width // head_dim,
        adaln_lora_dim=network["final_layer.adaLN_modulation.1.weight"].shape[0],
        text_channels=network["blocks.block0.blocks.1.block.attn.to_k.0.weight"].shape[1],
        mlp_ratio=network["blocks.block0.blocks.2.block.layer1.weight"].shape[0] / width,
        rope_ratio_t=2.0,
        rope_ratio_h=2.0 if is_large else 1.0,
        rope_ratio_w=2.0 if is_large else 1.0,
        max_latent_frames=rows["t"],
        max_latent_height=2 * rows["h"],
        max_latent_width=2 * rows["w"],
        has_condition_mask=inputs == 18,
    )


def _their_name(name: str) -> str:
    stem, dot, kind = name.rpartition(".")
    found = _BLOCK.fullmatch(stem) or _BLOCK.fullmatch(name)
    if found and found[3] and found[3] in _LAYERS:
        return f"transformer_blocks.{found[1]}.{_BRANCHES[found[2]][0]}.{_LAYERS[found[3]]}{dot}{kind}"
    if found and found[4]:
        return f"transformer_blocks.{found[1]}.{_BRANCHES[found[2]][1]}.linear_{found[4]}{dot}{kind}"
    if name in _OUTSIDE:
        return _OUTSIDE[name]
    if stem in _OUTSIDE:
        return f"{_OUTSIDE[stem]}{dot}{kind}"
    raise CheckpointError(
        f"{name} must have a place in diffusers' layout, got none; it cannot hold this network"
    )


def _our_name(name: str) -> str:
    stem, dot, kind = name.rpartition(".")
    found = _THEIR_BLOCK.fullmatch(stem)
    layers = {theirs: ours for ours, theirs in _LAYERS.items()}
    branches = {part: place for place, parts in _BRANCHES.items() for part in parts}
    outside = {theirs: ours for ours, theirs in _OUTSIDE.items()}
    if found and found[3] in layers and not found[2].startswith("norm"):
        return f"blocks.block{found[1]}.blocks.{branches[found[2]]}.block.{layers[found[3]]}{dot}{kind}"
    if found and found[2].startswith("norm") and found[3].startswith("linear_"):
        part = found[3].removeprefix("linear_")
        return f"blocks.block{found[1]}.blocks.{branches[found[2]]}.adaLN_modulation.{part}{dot}{kind}"
    if name in outside:
        return outside[name]
    if stem in outside:
        return f"{outside[stem]}{dot}{kind}"
    raise CheckpointError(
        f"{name} must be a name of CosmosTransformer3DModel, got another; this is not such a file"
    )
