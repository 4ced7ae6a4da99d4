"""What a training run will take, before it starts: ``worldfoundry train RECIPE --dry-run``."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from worldfoundry.models.diffusion.world import DiffusionWorldNetwork
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.training.config import TokenizerObjective, TrainConfig, WorldObjective
from worldfoundry.training.memory import peak_bytes
from worldfoundry.training.tokenizer_losses import TokenizerLosses
from worldfoundry.training.trainer import autocast, resolve_device

_STATE_BYTES = 20
"""For each parameter: weight, gradient, two moments of AdamW and the average, float32."""
_GRADIENT_BYTES = 4
_TRIAL_CLIPS = 2
_JUDGE_BYTES = 16
"""The same without an average."""
Trial = tuple[nn.Module, nn.Module | None, Callable[[], Tensor], str, int]
"""Network, its judge if there is one, loss of the trial's clips, unit of a clip's length, and that length."""


def plan(config: TrainConfig) -> dict[str, Any]:
    """Parameters, bytes, tokens a step, and seconds, from a trial step on the device and in the precision of the run.

    The bytes of the activations are the growth of the memory in use, scaled from the trial's clips to the batch. On a CPU
    the kernels that the trial loads are part of it, and memory that the process freed before and still holds is not: ask in
    a fresh process.
    """
    device = resolve_device(config.device)
    network, judge, loss, unit, per_clip = _trial(config, device)
    parameters = _count(network)
    state_bytes = parameters * _STATE_BYTES + (_count(judge) * _JUDGE_BYTES if judge else 0)
    batches = config.batch_size / _TRIAL_CLIPS

    def step() -> None:
        with autocast(config, device):
            value = loss()
        value.backward()

    seconds, grown_bytes = _measured(step, device)
    activation_bytes = round(max(0, grown_bytes - parameters * _GRADIENT_BYTES) * batches)
    return {
        "recipe": config.recipe,
        "parameters": parameters,
        "state_bytes": state_bytes,
        "activation_bytes": activation_bytes,
        "memory_bytes": state_bytes + activation_bytes,
        "steps": config.steps,
        "clips_per_step": config.batch_size,
        f"{unit}_per_step": per_clip * config.batch_size,
        "seconds_per_step": round(seconds * batches, 3),
        "hours": round(seconds * batches * config.steps / 3600, 2),
        "device": device.type,
        "precision": config.precision,
        "missing_data": [d for d in config.data if not _is_there(Path(d), config)],
    }


def _is_there(data: Path, config: TrainConfig) -> bool:
    """Whether it is a clip set, or a folder where footage will do."""
    takes_footage = isinstance(config.objective, TokenizerObjective)
    return (data / "manifest.json").is_file() or (takes_footage and data.is_dir())


def _count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def _measured(step: Callable[[], None], device: torch.device) -> tuple[float, int]:
    """Seconds of a step, and the bytes by which two of them raise the peak of the memory in use."""
    before = peak_bytes(device, restart=True)
    step()  # first calls set up kernels
    _wait(device)
    began = time.perf_counter()
    step()
    _wait(device)
    return time.perf_counter() - began, peak_bytes(device) - before


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _trial(config: TrainConfig, device: torch.device) -> Trial:
    if isinstance(config.objective, TokenizerObjective):
        return _try_tokenizer(config.objective, config.steps, device)
    return _try_world(config.objective, device)


def _try_tokenizer(objective: TokenizerObjective, steps: int, device: torch.device) -> Trial:
    """A batch of clips with the losses of the last stage, which is the dearest."""
    network = WaveletTokenizer(objective.model).to(device)
    losses = TokenizerLosses(objective, seed=0, device=device)
    x = torch.zeros(_TRIAL_CLIPS, 3, objective.num_frames, objective.crop, objective.crop, device=device)
    pixels = objective.num_frames * objective.crop**2

    def loss() -> Tensor:
        return losses.total(x, network(x).float(), step=steps - 1)[0]

    return network, losses.judge, loss, "pixels", pixels


def _try_world(objective: WorldObjective, device: torch.device) -> Trial:
    world = objective.model
    network = DiffusionWorldNetwork(world, generator=torch.Generator().manual_seed(0)).to(device)
    height, width = world.height // world.spatial_stride, world.width // world.spatial_stride
    shape = (_TRIAL_CLIPS, world.network.latent_channels, world.window_latents, height, width)
    z = torch.zeros(shape, device=device)
    tokens = (
        world.window_latents
        // world.network.patch_temporal
        * height
        * width
        // world.network.patch_spatial**2
    )

    def loss() -> Tensor:
        return network.loss(z, generator=torch.Generator().manual_seed(0))[0]

    return network, None, loss, "tokens", tokens
