"""Statistics of latents, by which diffusion models see them with mean 0 and deviation 1."""

import hashlib
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from worldfoundry.core.errors import CheckpointError, DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentStatistics:
    """Mean and deviation of each channel at each latent frame of a window; the first frame differs from the rest.

    Source: ``mean_std.pt`` of Cosmos-1.0-Tokenizer-CV8x8x8 and Cosmos-Tokenize1-CV8x8x8-720p.
    """

    mean: Float[Tensor, "cz tz"]
    std: Float[Tensor, "cz tz"]

    def __post_init__(self):
        if self.mean.ndim != 2 or self.mean.shape != self.std.shape or not self.mean.numel():
            raise CheckpointError(
                f"latent statistics must be mean and std of one shape [channels frames], got {list(self.mean.shape)} and "
                f"{list(self.std.shape)}; give both of one file"
            )
        is_finite = bool(self.mean.isfinite().all() and self.std.isfinite().all())
        if not is_finite or not bool((self.std > 0).all()):
            raise CheckpointError(
                f"latent statistics must be finite and std above 0, got mean {_range(self.mean)} and std {_range(self.std)}; "
                "fetch or convert the file again"
            )

    @property
    def digest(self) -> str:
        """Sixteen hex digits (SHA-256) of the numbers, whatever precision they are stored in."""
        values = torch.stack([self.mean, self.std]).float().cpu().contiguous()
        return hashlib.sha256(f"{list(values.shape)}".encode() + values.numpy().tobytes()).hexdigest()[:16]

    @classmethod
    def from_flat(
        cls, mean: Float[Tensor, " n"], std: Float[Tensor, " n"], *, latent_channels: int
    ) -> "LatentStatistics":
        """From the two lists of ``mean_std.pt``, channel-major."""
        if not mean.numel() or mean.numel() != std.numel() or mean.numel() % latent_channels:
            raise CheckpointError(
                f"latent statistics must be two lists of a multiple of {latent_channels}, got {mean.numel()} and {std.numel()}; "
                "give mean and std of one mean_std.pt"
            )
        shape = (latent_channels, -1)
        return cls(mean=mean.reshape(shape), std=std.reshape(shape))

    def rounded(self, dtype: torch.dtype) -> "LatentStatistics":
        """The same, rounded to ``dtype``: the published diffusion models use them in bfloat16."""
        return LatentStatistics(mean=self.mean.to(dtype).float(), std=self.std.to(dtype).float())

    def normalise(
        self, latents: Float[Tensor, "b cz tz hz wz"], *, start: int = 0
    ) -> Float[Tensor, "b cz tz hz wz"]:
        """``(latents - mean) / std``; ``start`` is the place of the first latent frame in its window.

        A window has at most as many latent frames as there are statistics.
        """
        mean, std = self._like(latents, start)
        return (latents - mean) / std

    def denormalise(
        self, latents: Float[Tensor, "b cz tz hz wz"], *, start: int = 0
    ) -> Float[Tensor, "b cz tz hz wz"]:
        """Inverse of ``normalise``."""
        mean, std = self._like(latents, start)
        return latents * std + mean

    def _like(self, latents: Tensor, start: int) -> list[Tensor]:
        channels, most = self.mean.shape
        stop = start + latents.shape[2]
        if latents.shape[1] != channels or stop > most:
            raise DataError(
                f"latents must have {channels} channels and at most {most} frames, got {list(latents.shape)} from frame {start} "
                "on; cut longer clips into windows"
            )
        return [s[None, :, start:stop, None, None].to(latents) for s in (self.mean, self.std)]


def _range(values: Tensor) -> str:
    return f"{float(values.min()):.3g} to {float(values.max()):.3g}"
