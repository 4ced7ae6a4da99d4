"""Training configurations; importing them does not import torch."""

from dataclasses import dataclass, field
from typing import Literal

from worldfoundry.core.errors import ConfigError
from worldfoundry.models.diffusion.world_config import DiffusionWorldConfig
from worldfoundry.models.tokenizer.config import TokenizerConfig


def _positive(where: str, **values: int | float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ConfigError(f"{where}.{name} must be above 0, got {value}; give a positive number")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerObjective:
    """Reconstruct clips: L1 and squared error of the pixels (arXiv 2501.03575, section 4.2, first stage, without VGG)."""

    kind: Literal["tokenizer"] = "tokenizer"
    """Tells the objectives apart."""
    model: TokenizerConfig
    """The tokenizer to train."""
    crop: int = 64
    """Side of the random square crop, pixels."""
    num_frames: int = 9
    """Frames of each training clip."""
    l1_weight: float = 1.0
    """Weight of the mean absolute error."""
    mse_weight: float = 2.0
    """Weight of the mean squared error."""
    trunk_from: str = ""
    """For a discrete tokenizer, release of the continuous one to start from; empty: fresh weights."""

    def __post_init__(self):
        _positive("objective", crop=self.crop, num_frames=self.num_frames)
        if (self.num_frames - 1) % self.model.temporal_stride or self.crop % self.model.spatial_stride:
            raise ConfigError(
                f"objective.num_frames must be 1 + a multiple of {self.model.temporal_stride} and crop a multiple of "
                f"{self.model.spatial_stride}, got {self.num_frames} and {self.crop}; change them"
            )


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
class OptimConfig:
    """AdamW with linear warm-up, a plateau, and a linear decay to zero."""

    learning_rate: float = 1e-3
    """Peak learning rate."""
    beta1: float = 0.9
    """First-moment decay."""
    beta2: float = 0.99
    """Second-moment decay."""
    eps: float = 1e-10
    """Added to the root of the second moment."""
    weight_decay: float = 0.01
    """Decoupled weight decay, on matrices and kernels only."""
    warmup_steps: int = 100
    """Steps of linear warm-up."""
    decay_fraction: float = 0.3
    """Last part of training over which the rate falls linearly to zero."""
    grad_clip: float = 1.0
    """Largest global gradient norm."""

    def __post_init__(self):
        _positive("optim", learning_rate=self.learning_rate, grad_clip=self.grad_clip, eps=self.eps)
        if not 0 <= self.decay_fraction <= 1 or self.warmup_steps < 0:
            raise ConfigError(
                f"optim.decay_fraction must be in [0, 1] and warmup_steps >= 0, got {self.decay_fraction} and "
                f"{self.warmup_steps}; change them"
            )

    def learning_rate_at(self, step: int, steps: int) -> float:
        """Learning rate of step ``step`` (from 0) of ``steps``.

        >>> OptimConfig(learning_rate=1.0, warmup_steps=2, decay_fraction=0.5).learning_rate_at(0, 8)
        0.5
        """
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        decay = max(1.0, self.decay_fraction * steps)
        return self.learning_rate * warm * min(1.0, (steps - step) / decay)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """One training run, complete."""

    recipe: str
    """Name of the recipe; also the folder under ``runs/``."""
    objective: TokenizerObjective | WorldObjective
    """What is trained to do what."""
    data: tuple[str, ...] = ()
    """Clip sets to draw from."""
    data_shares: tuple[float, ...] = ()
    """Share of each set in a batch; empty: by number of clips."""
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
        _positive(
            "train",
            steps=self.steps,
            batch_size=self.batch_size,
            log_every=self.log_every,
            checkpoint_every=self.checkpoint_every,
            sample_every=self.sample_every,
        )
        if self.data_shares and len(self.data_shares) != len(self.data):
            raise ConfigError(
                f"train.data_shares must have one number for each of the {len(self.data)} sets in data, got "
                f"{len(self.data_shares)}; give as many"
            )
        if self.init_from and isinstance(self.objective, TokenizerObjective) and self.objective.trunk_from:
            raise ConfigError(
                f"train.init_from must be empty where objective.trunk_from is {self.objective.trunk_from!r}, got "
                f"{self.init_from!r}; start from one of them"
            )
        if not 0 < self.ema_width < 0.28:
            raise ConfigError(f"train.ema_width must be in (0, 0.28), got {self.ema_width}; 0.05 is usual")
