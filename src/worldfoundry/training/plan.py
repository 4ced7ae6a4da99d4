"""What a training run will take, before it starts: ``worldfoundry train RECIPE --dry-run``."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from worldfoundry.models.diffusion.world import DiffusionWorldNetwork
from worldfoundry.models.pretrained.source import is_remote
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.training.config import TokenizerObjective, TrainConfig, WorldObjective
from worldfoundry.training.memory import peak_bytes
from worldfoundry.training.tokenizer_losses import TokenizerLosses
from worldfoundry.training.tokenizer_task import reconstruct
from worldfoundry.training.trainer import autocast, resolve_device

_STATE_BYTES = 20
"""For each parameter: weight, gradient, two moments of AdamW and the average, float32."""
_GRADIENT_BYTES = 4
_TRIAL_CLIPS = 2
_JUDGE_BYTES = 16
"""The same without an average."""
Batch = Callable[[], Iterator[Tensor]]
"""Losses of one kind of batch, one after the other, each to be followed back before the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is tried of a configuration."""

    network: nn.Module
    """What is trained."""
    judge: nn.Module | None = None
    """What is trained against it."""
    clips: Batch
    """A batch of ``_TRIAL_CLIPS`` clips."""
    images: Batch | None = None
    """As many images as stand for them, where there are such batches."""
    image_share: float = 0.0
    """Share of the steps that are of images."""
    unit: str
    """What a clip is counted in."""
    per_clip: int
    """How many of them a clip has."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What else to tell."""


def plan(config: TrainConfig) -> dict[str, Any]:
    """Parameters, bytes, tokens a step, and seconds, from a trial step on the device and in the precision of the run.

    The bytes of the activations are the growth of the memory in use, scaled from the trial's clips to the batch; of batches of
    clips and of images the larger. On a CPU the kernels that the trial loads are part of it, and memory that the process
    freed before and still holds is not: ask in a fresh process.
    """
    device = resolve_device(config.device)
    trial = _trial(config, device)
    parameters = _count(trial.network)
    state_bytes = parameters * _STATE_BYTES + (_count(trial.judge) * _JUDGE_BYTES if trial.judge else 0)
    batches = config.batch_size / _TRIAL_CLIPS
    seconds, grown_bytes = _measured(trial.clips, config, device)
    if trial.images is not None:
        of_images, grown_by_images = _measured(trial.images, config, device)
        seconds = (1 - trial.image_share) * seconds + trial.image_share * of_images
        grown_bytes = max(grown_bytes, grown_by_images)
    activation_bytes = round(max(0, grown_bytes - parameters * _GRADIENT_BYTES) * batches)
    return {
        "recipe": config.recipe,
        "parameters": parameters,
        "state_bytes": state_bytes,
        "activation_bytes": activation_bytes,
        "memory_bytes": state_bytes + activation_bytes,
        "steps": config.steps,
        "clips_per_step": config.batch_size,
        f"{trial.unit}_per_step": trial.per_clip * config.batch_size,
        **trial.facts,
        "seconds_per_step": round(seconds * batches, 3),
        "hours": round(seconds * batches * config.steps / 3600, 2),
        "device": device.type,
        "precision": config.precision,
        **_start(config.init_from),
        "missing_data": [d for d in config.data if not _is_there(Path(d), config)],
    }


def _start(init_from: str) -> dict[str, str]:
    if not init_from:
        return {}
    return {"starts_from": f"{init_from}, fetched from the Hub" if is_remote(init_from) else init_from}


def _is_there(data: Path, config: TrainConfig) -> bool:
    """Whether it is a clip set, or a folder where footage will do."""
    takes_footage = isinstance(config.objective, TokenizerObjective)
    return (data / "manifest.json").is_file() or (takes_footage and data.is_dir())


def _count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def _measured(batch: Batch, config: TrainConfig, device: torch.device) -> tuple[float, int]:
    """Seconds of a step, and the bytes by which two of them raise the peak of the memory in use."""
    before = peak_bytes(device, restart=True)
    _step(batch, config, device)  # first calls set up kernels
    began = time.perf_counter()
    _step(batch, config, device)
    return time.perf_counter() - began, peak_bytes(device) - before


def _step(batch: Batch, config: TrainConfig, device: torch.device) -> None:
    losses = batch()
    while True:
        with autocast(config, device):
            loss = next(losses, None)
        if loss is None:
            break
        loss.backward()
    _wait(device)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _trial(config: TrainConfig, device: torch.device) -> Trial:
    if isinstance(config.objective, TokenizerObjective):
        return _try_tokenizer(config, config.objective, device)
    return _try_world(config.objective, device)


def _try_tokenizer(config: TrainConfig, objective: TokenizerObjective, device: torch.device) -> Trial:
    """Batches of clips and of images with the losses of the last stage, which is the dearest, and with the judge's own."""
    network, step = WaveletTokenizer(objective.model).to(device), config.steps - 1
    losses = TokenizerLosses(objective, seed=0, device=device)

    def batch(count: int, num_frames: int) -> Batch:
        x = torch.zeros(count, 3, num_frames, objective.crop, objective.crop, device=device)

        def found() -> Iterator[Tensor]:
            y, agreement = reconstruct(network, objective, x, step=step)
            total = losses.total(x, y.float(), step=step)[0]
            yield total if agreement is None else total + sum(agreement)
            if losses.judge is not None:
                yield losses.judge_loss(x, y.detach().float())[0]

        return found

    every = objective.image_every
    return Trial(
        network=network,
        judge=losses.judge,
        clips=batch(_TRIAL_CLIPS, objective.num_frames),
        images=batch(_TRIAL_CLIPS * objective.images_per_clip, 1) if every else None,
        image_share=1 / every if every else 0.0,
        unit="pixels",
        per_clip=objective.num_frames * objective.crop**2,
        facts=_stages(config, objective, losses.judge),
    )


def _stages(config: TrainConfig, objective: TokenizerObjective, judge: nn.Module | None) -> dict[str, Any]:
    """Losses by the step that they begin at, and what is done besides batches of whole clips."""
    starts = {name: schedule.first_step for name, schedule in objective.schedules().items()}
    facts: dict[str, Any] = {"losses_from_step": {k: v for k, v in starts.items() if v is not None}}
    if judge is not None:
        facts |= {"judge_parameters": _count(judge), "judge_from_step": objective.adversarial.first_step}
    if starts["consistency.weight"] is not None:
        c = objective.consistency
        facts["consistency_windows"] = f"{c.num_frames} frames, {c.step} apart"
    if objective.image_every:
        images = config.batch_size * objective.images_per_clip
        facts |= {"image_batch_every": objective.image_every, "images_per_image_batch": images}
    return facts


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

    def found() -> Iterator[Tensor]:
        yield network.loss(z, generator=torch.Generator().manual_seed(0))[0]

    return Trial(network=network, clips=found, unit="tokens", per_clip=tokens)
