"""What a training run will take, before it starts: ``worldfoundry train RECIPE --dry-run``."""

import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from worldfoundry.models.diffusion.world import DiffusionWorldNetwork
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.training.config import TokenizerObjective, TrainConfig, WorldObjective

_STATE_BYTES = 20
"""For each parameter: weight, gradient, two moments and the average, float32."""
_TRIAL_CLIPS = 2


def plan(config: TrainConfig) -> dict[str, Any]:
    """Parameters, bytes of training state, tokens a step, and seconds from a timed trial step on this machine."""
    if isinstance(config.objective, TokenizerObjective):
        network, seconds, unit, per_clip = _try_tokenizer(config.objective)
    else:
        network, seconds, unit, per_clip = _try_world(config.objective)
    parameters = sum(p.numel() for p in network.parameters())
    step_seconds = seconds * config.batch_size / _TRIAL_CLIPS
    return {
        "recipe": config.recipe,
        "parameters": parameters,
        "state_bytes": parameters * _STATE_BYTES,
        "steps": config.steps,
        "clips_per_step": config.batch_size,
        f"{unit}_per_step": per_clip * config.batch_size,
        "seconds_per_step": round(step_seconds, 3),
        "hours": round(step_seconds * config.steps / 3600, 2),
        "device_of_the_trial": "cpu",
        "missing_data": [d for d in config.data if not (Path(d) / "manifest.json").is_file()],
    }


def _timed(step: Any) -> float:
    step()  # first calls set up kernels
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def _try_tokenizer(objective: TokenizerObjective) -> tuple[nn.Module, float, str, int]:
    network = WaveletTokenizer(objective.model)
    x = torch.zeros(_TRIAL_CLIPS, 3, objective.num_frames, objective.crop, objective.crop)
    seconds = _timed(lambda: network(x).square().mean().backward())
    return network, seconds, "pixels", objective.num_frames * objective.crop**2


def _try_world(objective: WorldObjective) -> tuple[nn.Module, float, str, int]:
    world = objective.model
    network = DiffusionWorldNetwork(world, generator=torch.Generator().manual_seed(0))
    height, width = world.height // world.spatial_stride, world.width // world.spatial_stride
    z = torch.zeros(_TRIAL_CLIPS, world.network.latent_channels, world.window_latents, height, width)
    seconds = _timed(lambda: network.loss(z, generator=torch.Generator().manual_seed(0))[0].backward())
    tokens = (
        world.window_latents
        // world.network.patch_temporal
        * height
        * width
        // world.network.patch_spatial**2
    )
    return network, seconds, "tokens", tokens
