"""Golden cases of the diffusion transformer: its configuration, weights and inputs as a case stores them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from worldfoundry.evaluate.parity import Check, GoldenCase, UnsupportedCaseError
from worldfoundry.models.diffusion.config import DiTConfig, LoRAConfig
from worldfoundry.models.diffusion.edm import Network
from worldfoundry.models.diffusion.inputs import ExtraInputs
from worldfoundry.models.diffusion.lora import add_lora
from worldfoundry.models.diffusion.transformer import DiffusionTransformer

NETWORK_TOLERANCE = 2e-5
BF16_RELATIVE_TOLERANCE = 2e-2
"""Of the largest reference value: bfloat16 networks differ by the order of sums in kernels."""

_SETTINGS = {
    "model_channels": "model_channels",
    "num_blocks": "num_blocks",
    "num_heads": "num_heads",
    "adaln_lora_dim": "adaln_lora_dim",
    "crossattn_emb_channels": "text_channels",
    "out_channels": "latent_channels",
    "mlp_ratio": "mlp_ratio",
    "patch_spatial": "patch_spatial",
    "patch_temporal": "patch_temporal",
    "rope_t_extrapolation_ratio": "rope_ratio_t",
    "rope_h_extrapolation_ratio": "rope_ratio_h",
    "rope_w_extrapolation_ratio": "rope_ratio_w",
    "extra_t_extrapolation_ratio": "position_ratio_t",
    "extra_h_extrapolation_ratio": "position_ratio_h",
    "extra_w_extrapolation_ratio": "position_ratio_w",
    "max_frames": "max_latent_frames",
    "max_img_h": "max_latent_height",
    "max_img_w": "max_latent_width",
    "concat_padding_mask": "has_padding_mask",
    "add_augment_sigma_embedding": "has_augment_sigma",
    "n_views": "num_views",
}
"""Official names of what is a setting of ours without more."""

_FIXED = {
    "block_config": "FA-CA-MLP",
    "block_x_format": "THWBD",
    "pos_emb_cls": "rope3d",
    "pos_emb_learnable": False,
    "pos_emb_interpolation": "crop",
    "affline_emb_norm": True,
    "use_adaln_lora": True,
    "legacy_patch_emb": False,
    "concat_view_embedding": True,
    "diffusion_decoder_condition_on_sigma": False,
}
"""What every published network has; another value is refused."""

_UNREAD_INPUTS = {"crossattn_mask", "image_size", "num_frames", "condition_video_indicator"}
"""Conditions that published networks take and never read."""


def config_from_golden(fields: Mapping[str, Any], kind: str) -> DiTConfig:
    """Our configuration from the official field names; refuses options that the network does not have.

    ``kind`` of the case tells the class of the published network, which the fields do not say.
    """
    rest, is_multiview = dict(fields), "multiview" in kind
    for name, value in _FIXED.items():
        if rest.pop(name, value) != value:
            raise UnsupportedCaseError(f"{name}={fields[name]!r} is not supported")
    settings = {ours: rest.pop(name) for name, ours in _SETTINGS.items() if name in rest}
    has_mask = any(part in kind for part in ("video2world", "v2w", "view_extend"))
    # Multiview classes count the mask themselves, the others have it in their setting.
    beyond = rest.pop("in_channels") - settings["latent_channels"] - (has_mask and not is_multiview)
    if beyond != (6 if "camera" in kind else 0):
        raise UnsupportedCaseError(f"in_channels={fields['in_channels']} is not supported for {kind}")
    config = DiTConfig(
        **settings,
        **_positions(rest, is_multiview),
        **_view_settings(rest, fields),
        **_token_settings(rest),
        has_condition_mask=has_mask,
        camera_channels=beyond,
        action_dim=rest.pop("action_dim", 7) if "action" in kind else 0,
    )
    if rest:
        raise UnsupportedCaseError(f"unknown settings {', '.join(sorted(rest))}")
    return config


def _positions(rest: dict[str, Any], is_multiview: bool) -> dict[str, Any]:
    """Multiview classes build sincos positions whatever the setting says."""
    name = rest.pop("extra_per_block_abs_pos_emb_type", None)
    has_positions = rest.pop("extra_per_block_abs_pos_emb", False) or is_multiview
    if not has_positions:
        return {"positions": "none"}
    positions = {"learnable": "learned", "sincos": "sincos"}.get(str(name))
    if positions is None:
        raise UnsupportedCaseError(f"extra_per_block_abs_pos_emb_type={name!r} is not supported")
    return {"positions": "sincos" if is_multiview else positions}


def _view_settings(rest: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    if "n_views" not in fields:
        return {}
    rows, trajectory = rest.pop("n_views_emb", -1), rest.pop("traj_condition_dim", 0)
    return {
        "num_view_embeddings": rows if rows > 0 else fields["n_views"],
        "view_channels": rest.pop("view_condition_dim"),
        "has_view_repeat": rest.pop("add_repeat_frame_embedding", False),
        "trajectory_channels": trajectory if rest.pop("concat_traj_embedding", False) else 0,
    }


def _token_settings(rest: dict[str, Any]) -> dict[str, Any]:
    is_decoder = rest.pop("is_diffusion_decoder", False)
    reads_tokens = rest.pop("diffusion_decoder_condition_on_token", False)
    vocabulary = rest.pop("diffusion_decoder_token_condition_voc_size", 0)
    channels = rest.pop("diffusion_decoder_token_condition_dim", 0)
    has_tokens = is_decoder and reads_tokens
    return {"token_vocabulary": vocabulary, "token_channels": channels} if has_tokens else {}


def network_from_golden(case: GoldenCase, prefix: str = "weights/", **changes: Any) -> DiffusionTransformer:
    """The network of a case with its weights, loaded strictly; ``changes`` are settings that the case does not state."""
    weights = case.under(prefix)
    config = replace(config_from_golden(case.meta["config"], str(case.meta["kind"])), **changes)
    network = DiffusionTransformer(config)
    if "lora" in case.meta:
        add_lora(network, lora_from_golden(case.meta["lora"]))
    network.to(weights["x_embedder.proj.1.weight"].dtype).load_state_dict(weights)
    return network.eval()


def lora_from_golden(fields: Mapping[str, Any]) -> LoRAConfig:
    """Our configuration of a low-rank adaptation from the one of a case."""
    unknown = sorted(fields.keys() - {"first_nblocks", "rank", "scale", "targets"})
    if unknown:
        raise UnsupportedCaseError(f"unknown settings {', '.join(unknown)} of lora")
    names = [target.split(".") for target in fields["targets"]]
    try:
        targets = tuple(
            f"{ {'FA': 'self', 'CA': 'cross'}[attention] }.{projection}" for attention, projection in names
        )
    except KeyError as error:
        raise UnsupportedCaseError(f"lora on {error} is not supported") from error
    return LoRAConfig(
        num_blocks=fields["first_nblocks"], rank=fields["rank"], scale=float(fields["scale"]), targets=targets
    )


def network_inputs(case: GoldenCase, config: DiTConfig) -> dict[str, Any]:
    """Keyword arguments of one call of the network of a case; what its published class ignores is left out."""
    t = {name: value for name, value in case.under("inputs/").items() if name not in _UNREAD_INPUTS}
    if not t.pop("video_cond_bool", torch.ones(1)).all():
        raise UnsupportedCaseError("video_cond_bool=False is not supported")
    x = t.pop("x")
    inputs = {
        "x": x,
        "c_noise": t.pop("timesteps").reshape(-1).expand(len(x)),
        "text": t.pop("crossattn_emb", None),
        "fps": t.pop("fps", None),
        "condition_mask": t.pop("condition_video_input_mask", None),
        "padding_mask": t.pop("padding_mask", None),
        "extra": extra_inputs(t, config),
    }
    if t:
        raise UnsupportedCaseError(f"unknown inputs {', '.join(sorted(t))}")
    return inputs


def extra_inputs(t: dict[str, Tensor], config: DiTConfig) -> ExtraInputs:
    """Takes the inputs of the variants out of ``t``."""
    given = {
        "camera": (t.pop("condition_video_pose", None), config.camera_channels),
        "tokens": (t.pop("latent_condition", None), config.token_vocabulary),
        "view_repeat": (t.pop("frame_repeat", None), config.has_view_repeat),
        "view_indices": (t.pop("view_indices_B_T", None), config.num_view_embeddings),
        "trajectory": (t.pop("trajectory", None), config.trajectory_channels),
        "action": (t.pop("action", None), config.action_dim),
        "augment_c_noise": (t.pop("condition_video_augment_sigma", None), config.has_augment_sigma),
    }
    return ExtraInputs(**{name: value for name, (value, is_read) in given.items() if is_read})


def compare_network(case: GoldenCase) -> Iterator[Check]:
    """The whole network at the precision of the case and, where stored, in float32 with the same weights."""
    reference = case.tensors["outputs/net_out"]
    if case.meta.get("dtype", "float32") != str(reference.dtype).removeprefix("torch."):
        raise UnsupportedCaseError(
            f"dtype={case.meta['dtype']!r} is not that of the output, {reference.dtype}"
        )
    network = network_from_golden(case)
    ours = network(**network_inputs(case, network.config))
    yield Check(pairs=[(ours, reference)], tolerance=tolerance_of(reference, NETWORK_TOLERANCE))
    if "outputs/net_out_fp32_same_weights" in case.tensors:
        exact = _in_float32(case)
        network = network_from_golden(exact, rope_precision="rounded-exponents")
        pair = (
            network(**network_inputs(exact, network.config)),
            case.tensors["outputs/net_out_fp32_same_weights"],
        )
        yield Check(part="fp32_same_weights", pairs=[pair], tolerance=NETWORK_TOLERANCE)


def _in_float32(case: GoldenCase) -> GoldenCase:
    tensors = {k: v.float() if v.is_floating_point() else v for k, v in case.tensors.items()}
    return replace(case, tensors=tensors)


def tolerance_of(reference: Tensor, float32: float) -> float:
    """The tolerance for ``reference``: ``float32``, or relative to its largest value if it is bfloat16."""
    return (
        float32
        if reference.dtype != torch.bfloat16
        else BF16_RELATIVE_TOLERANCE * float(reference.abs().max())
    )


def bind(network: Network, case: GoldenCase, **more: Any) -> Network:
    """``network`` with the fps and padding mask of a case, and ``more``, bound to it."""
    t = case.tensors
    common = {"fps": t["inputs/fps"], "padding_mask": t["inputs/padding_mask"]}
    return partial(network, **common, **more)
