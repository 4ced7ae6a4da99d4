"""Golden cases of the diffusion transformer and its variants."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from worldfoundry.evaluate.parity import Check, GoldenCase, UnsupportedCaseError
from worldfoundry.models.common.lora import LoRAConfig, add_lora
from worldfoundry.models.diffusion.conditions import Conditions
from worldfoundry.models.diffusion.config import DiTConfig, TokenConfig, ViewConfig
from worldfoundry.models.diffusion.transformer import DiffusionTransformer

NETWORK_TOLERANCE = 2e-5
BF16_RELATIVE_TOLERANCE = 2e-2
"""Of the largest reference value: bfloat16 networks differ by the order of sums in kernels."""
KINDS = (
    "text2world",
    "video2world",
    "video2world_camera",
    "video2world_lora",
    "multiview_text2world",
    "multiview_video2world",
    "multiview_view_extend",
    "action_video2world",
    "diffusion_decoder",
)
_FIXED = {
    "out_channels": 16,
    "block_config": "FA-CA-MLP",
    "block_x_format": "THWBD",
    "pos_emb_cls": "rope3d",
    "pos_emb_learnable": False,
    "pos_emb_interpolation": "crop",
    "affline_emb_norm": True,
    "use_adaln_lora": True,
    "legacy_patch_emb": False,
    "diffusion_decoder_condition_on_sigma": False,
}
_READ = frozenset(
    "in_channels patch_spatial patch_temporal concat_padding_mask mlp_ratio adaln_lora_dim extra_per_block_abs_pos_emb "
    "extra_per_block_abs_pos_emb_type crossattn_emb_channels rope_h_extrapolation_ratio rope_w_extrapolation_ratio "
    "rope_t_extrapolation_ratio max_img_h max_img_w max_frames model_channels num_heads num_blocks add_augment_sigma_embedding "
    "n_views n_views_emb view_condition_dim add_repeat_frame_embedding traj_condition_dim concat_traj_embedding "
    "is_diffusion_decoder diffusion_decoder_condition_on_token diffusion_decoder_token_condition_voc_size "
    "diffusion_decoder_token_condition_dim".split()
)
_POSE_CHANNELS = 6
_INPUTS = {
    "condition_video_augment_sigma": "augment_c_noise",
    "condition_video_pose": "pose",
    "action": "action",
    "latent_condition": "tokens",
    "frame_repeat": "frame_repeat",
    "view_indices_B_T": "view_indices",
    "view_indices": "view_indices",
    "trajectory": "trajectory",
}


def config_from_golden(meta: dict[str, Any]) -> DiTConfig:
    """Our configuration from a case's fields, which are official names; refuses options that the network does not have."""
    fields, kind = meta["config"], meta.get("kind", "")
    for name, value in _FIXED.items():
        if fields.get(name, value) != value:
            raise UnsupportedCaseError(f"{name}={fields[name]!r} is not supported")
    if unknown := sorted(fields.keys() - _FIXED.keys() - _READ):
        raise UnsupportedCaseError(f"unknown fields {', '.join(unknown)}")
    views, is_decoder = _views(fields), fields.get("is_diffusion_decoder", False)
    channels = fields["in_channels"]
    has_mask = (
        kind in ("multiview_video2world", "multiview_view_extend", "end_to_end_multiview_v2w")
        if views
        else channels > 16
    )
    return DiTConfig(
        model_channels=fields["model_channels"],
        num_blocks=fields["num_blocks"],
        num_heads=fields["num_heads"],
        adaln_lora_dim=fields["adaln_lora_dim"],
        text_channels=fields["crossattn_emb_channels"],
        mlp_ratio=fields["mlp_ratio"],
        patch_spatial=fields["patch_spatial"],
        patch_temporal=fields["patch_temporal"],
        rope_ratio_t=fields["rope_t_extrapolation_ratio"],
        rope_ratio_h=fields["rope_h_extrapolation_ratio"],
        rope_ratio_w=fields["rope_w_extrapolation_ratio"],
        max_latent_frames=fields["max_frames"],
        max_latent_height=fields["max_img_h"],
        max_latent_width=fields["max_img_w"],
        has_condition_mask=has_mask,
        has_padding_mask=fields["concat_padding_mask"],
        positions=_positions(fields, views),
        has_augment_sigma=fields.get("add_augment_sigma_embedding", False),
        pose_channels=_POSE_CHANNELS if channels == 17 + _POSE_CHANNELS else 0,
        action_dim=7 if kind == "action_video2world" else 0,
        views=views,
        tokens=_tokens(fields) if is_decoder else None,
    )


def _positions(fields: dict[str, Any], views: ViewConfig | None) -> Any:
    """Networks of several views always have the fixed table, whatever their field says."""
    if not fields.get("extra_per_block_abs_pos_emb", True):
        return "none"
    named = {"learnable": "learned", "sincos": "sincos"}.get(
        fields.get("extra_per_block_abs_pos_emb_type", "learnable")
    )
    if named is None:
        raise UnsupportedCaseError(
            f"extra_per_block_abs_pos_emb_type={fields['extra_per_block_abs_pos_emb_type']!r}"
        )
    return "sincos" if views else named


def _views(fields: dict[str, Any]) -> ViewConfig | None:
    if "n_views" not in fields:
        return None
    has_path = fields.get("concat_traj_embedding", False)
    return ViewConfig(
        num_views=fields["n_views"],
        channels=fields["view_condition_dim"],
        table_rows=fields.get("n_views_emb", 0),
        has_repeat=fields.get("add_repeat_frame_embedding", False),
        trajectory_dim=192 if has_path else 0,
        trajectory_channels=fields["traj_condition_dim"] if has_path else 0,
    )


def _tokens(fields: dict[str, Any]) -> TokenConfig:
    if not fields["diffusion_decoder_condition_on_token"]:
        raise UnsupportedCaseError("diffusion_decoder_condition_on_token=False is not supported")
    return TokenConfig(
        codebook_size=fields["diffusion_decoder_token_condition_voc_size"],
        channels=fields["diffusion_decoder_token_condition_dim"],
    )


def network_from_golden(
    case: GoldenCase, prefix: str = "weights/", dtype: torch.dtype | None = None
) -> DiffusionTransformer:
    """The network of a case with its weights, loaded strictly."""
    weights = case.under(prefix)
    network = DiffusionTransformer(config_from_golden(case.meta))
    if "lora" in case.meta:
        _add_lora(network, case.meta["lora"])
    network.to(dtype or weights["x_embedder.proj.1.weight"].dtype).load_state_dict(weights)
    return network.eval()


def _add_lora(network: DiffusionTransformer, fields: dict[str, Any]) -> None:
    for target in fields["targets"]:
        kind, projection = target.split(".")
        config = LoRAConfig(rank=fields["rank"], scale=float(fields["scale"]), projections=(projection,))
        add_lora(network.attentions("self" if kind == "FA" else "cross", fields["first_nblocks"]), config)


def network_inputs(case: GoldenCase) -> dict[str, Any]:
    """Keyword arguments of one call of the network of a case."""
    t = case.under("inputs/")
    return {
        "x": t["x"],
        "c_noise": t["timesteps"].reshape(-1).expand(len(t["x"])),
        "text": t["crossattn_emb"],
        "fps": t.get("fps"),
        "condition_mask": t.get("condition_video_input_mask"),
        "padding_mask": t["padding_mask"],
        "conditions": conditions_from(t),
    }


def conditions_from(inputs: dict[str, Tensor]) -> Conditions:
    """What single variants read."""
    found = {ours: inputs[theirs] for theirs, ours in _INPUTS.items() if theirs in inputs}
    if "action" in found:
        found["action"] = found["action"].flatten(1)
    return Conditions(**found)


def compare_network(case: GoldenCase) -> Iterator[Check]:
    """One call of the network."""
    reference = case.tensors["outputs/net_out"]
    ours = network_from_golden(case)(**network_inputs(case))
    yield Check(pairs=[(ours, reference)], tolerance=tolerance_of(reference, NETWORK_TOLERANCE))
    if "outputs/net_out_fp32_same_weights" in case.tensors:
        reference = case.tensors["outputs/net_out_fp32_same_weights"]
        config = replace(config_from_golden(case.meta), rope_precision="rounded")
        network = DiffusionTransformer(config)
        network.load_state_dict({k: v.float() for k, v in case.under("weights/").items()})
        ours = network.eval()(**_float(network_inputs(case)))
        yield Check(part="fp32_same_weights", pairs=[(ours, reference)], tolerance=NETWORK_TOLERANCE)


def _float(inputs: dict[str, Any]) -> dict[str, Any]:
    return {k: v.float() if isinstance(v, Tensor) else v for k, v in inputs.items()}


def tolerance_of(reference: Tensor, float32: float) -> float:
    """The tolerance in float32, or that of bfloat16."""
    if reference.dtype != torch.bfloat16:
        return float32
    return BF16_RELATIVE_TOLERANCE * float(reference.abs().max())
