"""Golden cases of the diffusion world model: which comparison belongs to which kind of case."""

from worldfoundry.evaluate import parity_diffusion_networks as networks
from worldfoundry.evaluate import parity_diffusion_process as process
from worldfoundry.evaluate import parity_diffusion_samplers as samplers
from worldfoundry.evaluate import parity_diffusion_tables as tables
from worldfoundry.evaluate.parity import Comparison, GoldenCase


def find_comparison(case: GoldenCase) -> Comparison | None:
    """The comparison that a diffusion case needs, if there is one."""
    return _COMPARISONS.get(str(case.meta.get("kind")))


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
