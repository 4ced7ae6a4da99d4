"""Golden cases of the diffusion world model: which comparison belongs to which kind of case."""

from worldfoundry.evaluate import parity_diffusion_decoder as decoder
from worldfoundry.evaluate import parity_diffusion_networks as networks
from worldfoundry.evaluate import parity_diffusion_process as process
from worldfoundry.evaluate import parity_diffusion_samplers as samplers
from worldfoundry.evaluate import parity_diffusion_tables as tables
from worldfoundry.evaluate.parity import Comparison, GoldenCase, UnsupportedCaseError

_REMARKS = {"case", "note", "tensors", "num_weight_tensors", "num_steps_s6"}
_HONOURED = {
    *("kind", "config", "dtype", "lora", "seed", "seed_inference", "denoiser", "network", "solver"),
    *(
        "guidance",
        "num_steps",
        "num_condition_t",
        "augment_sigma",
        "sigma_data",
        "sigma_min",
        "sigma_max",
        "rho",
    ),
    *("head_dim", "shape_3d", "model_channels", "lens", "shape_BTHW", "channels"),
    *(
        "power_ema",
        "lr_multiplier",
        "num_latent_frames_for_input_frames",
        "num_pixel_frames_for_latent_overlap",
    ),
    "num_latent_frames_legacy_first_release",
}
"""Fields at the top of a case; the ``max_abs_`` of rotary tables are remarks too."""


def find_comparison(case: GoldenCase) -> Comparison | None:
    """The comparison that a diffusion case needs, if there is one; a case with a field that none reads is refused."""
    if "kind" not in case.meta and case.meta.get("name") == "diffusion_decoder":
        return decoder.compare_decoder
    comparison = _COMPARISONS.get(str(case.meta.get("kind")))
    unknown = sorted(k for k in case.meta.keys() - _REMARKS - _HONOURED if not k.startswith("max_abs_"))
    if comparison and unknown:
        raise UnsupportedCaseError(f"unknown fields {', '.join(unknown)}")
    return comparison


_COMPARISONS: dict[str, Comparison] = {
    "text2world": networks.compare_network,
    "video2world": networks.compare_network,
    "video2world_camera": networks.compare_network,
    "video2world_lora": networks.compare_network,
    "action_video2world": networks.compare_network,
    "multiview_text2world": networks.compare_network,
    "multiview_video2world": networks.compare_network,
    "multiview_view_extend": networks.compare_network,
    "diffusion_decoder": networks.compare_network,
    "edm_scaling": tables.compare_coefficients,
    "edm_denoise_loss": process.compare_training,
    "edm_denoise_loss_v2w": process.compare_training,
    "edm_denoise_v2w_inference": process.compare_inference,
    "sampler_res": samplers.compare_res,
    "sampler_edm_euler": samplers.compare_euler_text,
    "sampler_edm_euler_v2w": samplers.compare_euler_video,
    "sampler_res_v2w": samplers.compare_res_video,
    "end_to_end_t2w": process.compare_end_to_end,
    "end_to_end_v2w": process.compare_end_to_end,
    "end_to_end_multiview_v2w": process.compare_end_to_end,
    "misc": tables.compare_misc,
    "noise_schedules": tables.compare_schedules,
    "rope_tables": tables.compare_rope,
    "abs_pos_emb": tables.compare_positions,
    "timestep_sinusoid": tables.compare_sinusoid,
}
