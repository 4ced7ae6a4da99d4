"""Golden cases of the diffusion transformer: its configuration, weights and inputs as a case stores them."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from worldfoundry.evaluate.parity import Check, GoldenCase, UnsupportedCaseError
from worldfoundry.models.diffusion.config import DiTConfig
from worldfoundry.models.diffusion.edm import Network
from worldfoundry.models.diffusion.transformer import DiffusionTransformer

NETWORK_TOLERANCE = 2e-5
BF16_RELATIVE_TOLERANCE = 2e-2
"""Of the largest reference value: bfloat16 networks differ by the order of sums in kernels."""

_SUPPORTED_OPTIONS = {
    "out_channels": 16,
    "block_config": "FA-CA-MLP",
    "pos_emb_cls": "rope3d",
    "pos_emb_learnable": False,
    "pos_emb_interpolation": "crop",
    "affline_emb_norm": True,
    "use_adaln_lora": True,
    "extra_per_block_abs_pos_emb": True,
    "extra_per_block_abs_pos_emb_type": "learnable",
    "add_augment_sigma_embedding": False,
}


def config_from_golden(fields: dict[str, Any]) -> DiTConfig:
    """Our configuration from the official field names; refuses options that the network does not have."""
    for name, value in _SUPPORTED_OPTIONS.items():
        if fields.get(name, value) != value:
            raise UnsupportedCaseError(f"{name}={fields[name]!r} is not supported")
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
        has_condition_mask=fields["in_channels"] == 17,
        has_padding_mask=fields["concat_padding_mask"],
    )


def network_from_golden(
    case: GoldenCase, prefix: str = "weights/", dtype: torch.dtype | None = None
) -> DiffusionTransformer:
    """The network of a case with its weights, loaded strictly."""
    weights = case.under(prefix)
    network = DiffusionTransformer(config_from_golden(case.meta["config"]))
    network.to(dtype or weights["x_embedder.proj.1.weight"].dtype).load_state_dict(weights)
    return network.eval()


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
    }


def compare_network(case: GoldenCase) -> Iterator[Check]:
    """The whole network, at the precision of the case."""
    reference = case.tensors["outputs/net_out"]
    ours = network_from_golden(case)(**network_inputs(case))
    yield Check(pairs=[(ours, reference)], tolerance=tolerance_of(reference, NETWORK_TOLERANCE))
    if "outputs/net_out_fp32_same_weights" in case.tensors:
        yield Check(
            part="fp32_same_weights", reason="float32 angles from buffers rounded to bfloat16 are not offered"
        )


def tolerance_of(reference: Tensor, float32: float) -> float:
    """The tolerance for ``reference``: ``float32``, or relative to its largest value if it is bfloat16."""
    return (
        float32
        if reference.dtype != torch.bfloat16
        else BF16_RELATIVE_TOLERANCE * float(reference.abs().max())
    )


def bind(network: Network, case: GoldenCase, **more: Tensor) -> Network:
    """``network`` with the fps and padding mask of a case, and ``more``, bound to it."""
    t = case.tensors
    common = {"fps": t["inputs/fps"], "padding_mask": t["inputs/padding_mask"]}
    return partial(network, **common, **more)
