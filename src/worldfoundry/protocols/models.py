"""Contracts of the tokenizer and of the world model, and the one place that does frame arithmetic.

Axes as in ``video``; ``tz hz wz cz`` are the axes of a latent. State is an explicit value (a carry), never hidden in a module.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from worldfoundry.core.errors import ConfigError
from worldfoundry.protocols.video import Clip


def latent_frames(num_frames: int, temporal_stride: int) -> int:
    """Latent frames of a clip: ``1 + (frames - 1) / stride``; a length that does not divide is an error, never rounded.

    >>> latent_frames(33, 4)
    9
    """
    if num_frames < 1 or (num_frames - 1) % temporal_stride:
        below = max(1, num_frames - 1) // temporal_stride * temporal_stride + 1
        raise ConfigError(
            f"num_frames must be 1 + a multiple of the temporal stride {temporal_stride}, got {num_frames}; "
            f"use {below} or {below + temporal_stride}"
        )
    return 1 + (num_frames - 1) // temporal_stride


def pixel_frames(num_latents: int, temporal_stride: int) -> int:
    """Frames that ``num_latents`` latent frames decode to: ``1 + (latents - 1) * stride``.

    >>> pixel_frames(9, 4)
    33
    """
    if num_latents < 1:
        raise ConfigError(
            f"num_latents must be at least 1, got {num_latents}; give one context latent or more"
        )
    return 1 + (num_latents - 1) * temporal_stride


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerSpec:
    """What others must know of a tokenizer: numbers, not code."""

    temporal_stride: int
    """Frames for each latent frame after the first."""
    spatial_stride: int
    """Pixels for each latent row or column."""
    latent_channels: int
    """Channels of a latent; of a discrete tokenizer, the digits of a code."""
    codebook_size: int = 0
    """Number of codes of a discrete tokenizer; 0: continuous."""

    def latent_shape(self, *, num_frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        """``(cz, tz, hz, wz)`` of a clip, or an error that names the sizes that work."""
        s = self.spatial_stride
        for name, value in (("height", height), ("width", width)):
            if value < s or value % s:
                raise ConfigError(
                    f"{name} must be a multiple of {s}, got {value}; use {max(s, value // s * s)}"
                )
        return self.latent_channels, latent_frames(num_frames, self.temporal_stride), height // s, width // s


@runtime_checkable
class Tokenizer(Protocol):
    """Clips to continuous latents and back."""

    spec: TokenizerSpec

    def encode(self, pixels: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b cz tz hz wz"]:
        """Latents of clips in [-1, 1]; the first frame stands alone, each later latent covers ``temporal_stride`` frames."""
        ...

    def decode(self, latents: Float[Tensor, "b cz tz hz wz"]) -> Float[Tensor, "b 3 t h w"]:
        """Clips in about [-1, 1] (not clamped)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSpec:
    """What others must know of a world model."""

    fps: float
    """Frame rate it was trained at."""
    height: int
    """Pixels."""
    width: int
    """Pixels."""
    tokenizer: TokenizerSpec
    """Strides of the latents it lives in."""
    window_latents: int
    """Latent frames of one window, context included."""
    max_context_latents: int
    """The longest context it was trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditioning:
    """What perturbs the world. A model refuses what it does not take; nothing is ignored."""

    text: str | None = None
    """Prompt."""
    actions: Float[Tensor, "b t a"] | None = None
    """Robot actions for each frame."""
    camera: Any | None = None
    """Camera path."""
    trajectory: Any | None = None
    """Driving trajectory."""

    def given(self) -> list[str]:
        """Names of the fields that are set.

        >>> Conditioning(text="a ball falls").given()
        ['text']
        """
        return [n for n in ("text", "actions", "camera", "trajectory") if getattr(self, n) is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carry:
    """State of a rollout: an explicit value that can be batched, forked (share it: nothing changes it) and saved."""

    latents: Float[Tensor, "b cz tz hz wz"]
    """The latents the next window is conditioned on, as the tokenizer gives them."""
    history: Float[Tensor, "b cz th hz wz"]
    """The latents before them that the causal decoder needs to continue exactly; may be the whole past."""
    rng_state: UInt8[Tensor, "b s"]
    """State of each clip's noise generator."""
    num_frames: int
    """Frames emitted so far, the context included."""


@runtime_checkable
class WorldModel(Protocol):
    """Predicts x(t+1) from x(0:t) and a perturbation."""

    spec: WorldSpec

    def start(
        self, context: Clip, conditioning: Conditioning, *, generators: Sequence[torch.Generator]
    ) -> Carry:
        """Encode the context into the first carry; refuses a wrong rate, size, length or conditioning.

        Each clip of the batch has its own generator, so that its future does not depend on the clips beside it.
        """
        ...

    def step(self, carry: Carry) -> tuple[Clip, Carry]:
        """Predict the next frames and the carry after them; ``carry`` itself is left as it was."""
        ...
