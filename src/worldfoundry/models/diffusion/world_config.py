"""Configuration of a diffusion world model; importing it does not import torch."""

from dataclasses import dataclass, field
from typing import Literal

from worldfoundry.core.errors import ConfigError
from worldfoundry.models.diffusion.config import DiTConfig, EDMConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffusionWorldConfig:
    """A Video2World model: its network, its noise, the latents it lives in and how it samples."""

    network: DiTConfig
    """The denoiser."""
    edm: EDMConfig = field(default_factory=EDMConfig)
    """Preconditioning, training noise and loss."""
    tokenizer: str
    """Release name of the tokenizer whose latents it predicts."""
    temporal_stride: int
    """Of that tokenizer."""
    spatial_stride: int
    """Of that tokenizer."""
    fps: float
    """Frame rate it is trained at."""
    height: int
    """Pixels."""
    width: int
    """Pixels."""
    window_latents: int
    """Latent frames of one window, context included."""
    max_context_latents: int
    """The longest context it is trained on; training draws 1 to this many."""
    sampler: Literal["res", "euler"] = "res"
    """RES second-order multistep, or EDM Euler."""
    num_steps: int = 8
    """Sampler steps for each window."""
    context_sigma: float = 0.001
    """Noise on the given latents while sampling."""

    def __post_init__(self):
        if not 1 <= self.max_context_latents < self.window_latents:
            raise ConfigError(
                f"world.max_context_latents must be in [1, window_latents {self.window_latents}), got "
                f"{self.max_context_latents}; lower it"
            )
        if self.fps <= 0 or self.num_steps < 1 or self.context_sigma <= 0:
            raise ConfigError(
                f"world.fps, num_steps and context_sigma must be above 0, got {self.fps}, {self.num_steps}, "
                f"{self.context_sigma}; give positive numbers"
            )
        for name in ("height", "width"):
            if getattr(self, name) % (self.spatial_stride * self.network.patch_spatial):
                raise ConfigError(
                    f"world.{name} must be a multiple of {self.spatial_stride * self.network.patch_spatial} (tokenizer "
                    f"stride times patch), got {getattr(self, name)}; change it"
                )
        if not self.network.has_condition_mask:
            raise ConfigError(
                "world.network.has_condition_mask must be true for Video2World, got false; set it"
            )
