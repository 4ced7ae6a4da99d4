"""Training configurations; importing them does not import torch."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from worldfoundry.core.errors import ConfigError
from worldfoundry.models.diffusion.world_config import DiffusionWorldConfig
from worldfoundry.training.optim_config import OptimConfig, require_positive
from worldfoundry.training.tokenizer_config import TokenizerObjective

__all__ = ["OptimConfig", "TokenizerObjective", "TrainConfig", "WorldObjective"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldObjective:
    """Video2World denoising of tokenizer latents, EDM loss (arXiv 2501.03575, section 5.1)."""

    kind: Literal["diffusion-world"] = "diffusion-world"
    """Tells the objectives apart."""
    model: DiffusionWorldConfig
    """The world model to train."""
    start_at_first_frame: float = 0.7
    """Share of training windows that begin at the clip's first frame; the others begin at a later latent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """One training run, complete."""

    recipe: str
    """Name of the recipe; also the folder under ``runs/``."""
    objective: TokenizerObjective | WorldObjective
    """What is trained to do what."""
    data: tuple[str, ...] = ()
    """Clip sets to draw from; a tokenizer also learns from folders of videos."""
    data_shares: tuple[float, ...] = ()
    """Share of each set in a batch; empty: by number of clips."""
    workers: int = 0
    """Processes that decode videos; 0: the training process. Their number changes nothing that is learned."""
    on_damage: Literal["stop", "skip"] = "stop"
    """Whether a video that cannot be read ends the run, or is named and left out."""
    flip: bool = True
    """Mirror half of the clips left to right."""
    steps: int = 1000
    """Optimiser steps."""
    batch_size: int = 16
    """Clips a step."""
    seed: int = 0
    """Seed of the weights and of every draw."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """Optimiser and schedule."""
    ema_width: float = 0.05
    """Relative width of the power EMA (arXiv 2312.02696): the released weights average about this share of training."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Autocast of the forward pass; weights and optimiser stay float32."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; auto takes a GPU if there is one."""
    init_from: str = ""
    """Release name or folder to start from; empty: fresh weights."""
    log_every: int = 10
    """Steps between two lines of metrics."""
    checkpoint_every: int = 500
    """Steps between two checkpoints."""
    sample_every: int = 500
    """Steps between two sample pictures."""

    def __post_init__(self):
        require_positive(
            "train",
            steps=self.steps,
            batch_size=self.batch_size,
            log_every=self.log_every,
            checkpoint_every=self.checkpoint_every,
            sample_every=self.sample_every,
        )
        if self.workers < 0:
            raise ConfigError(
                f"train.workers must be 0 or above, got {self.workers}; 0 decodes in the training process"
            )
        if self.data_shares and len(self.data_shares) != len(self.data):
            raise ConfigError(
                f"train.data_shares must have one number for each of the {len(self.data)} sets in data, got "
                f"{len(self.data_shares)}; give as many"
            )
        if any(not 0 < share < math.inf for share in self.data_shares):
            raise ConfigError(
                f"train.data_shares must be above 0 and finite, got {self.data_shares}; leave a set out instead"
            )
        if not self.recipe or self.recipe != Path(self.recipe).name or self.recipe.startswith("."):
            raise ConfigError(
                f"train.recipe must be a plain name, for it names a folder below the runs, got {self.recipe!r}; leave out slashes"
            )
        if not 0 < self.ema_width < 0.28:
            raise ConfigError(f"train.ema_width must be in (0, 0.28), got {self.ema_width}; 0.05 is usual")
        if isinstance(self.objective, TokenizerObjective):
            self._check_stages(self.objective)

    def _check_stages(self, objective: TokenizerObjective) -> None:
        """Refuse a stage that would never begin, and two starting points."""
        for name, schedule in objective.schedules().items():
            late = [n for n in schedule.boundaries if n >= self.steps]
            if late:
                raise ConfigError(
                    f"objective.{name}.boundaries must be below the {self.steps} steps of the run, got {late}: the stage "
                    "would never begin; train longer or move it"
                )
        if self.init_from and objective.trunk_from:
            raise ConfigError(
                f"train.init_from must be empty where objective.trunk_from is {objective.trunk_from!r}, got "
                f"{self.init_from!r}; start from one of them"
            )
