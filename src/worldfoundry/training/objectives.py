"""What the trainer minimises: a task draws its own batches and returns ``(scalar, {name: value})``.

Every draw of a step comes from the generator that the trainer hands in, so that a resumed run sees the same batches.
"""

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from worldfoundry.data.clip_set import ClipSet, open_clip_sets
from worldfoundry.models.pretrained.config import ReleaseConfig
from worldfoundry.models.pretrained.release import load_tokenizer
from worldfoundry.models.tokenizer.discretise import start_from_continuous
from worldfoundry.models.tokenizer.initialise import initialise
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.protocols.video import from_uint8, to_uint8
from worldfoundry.training.config import TokenizerObjective, TrainConfig

_TRUNK_CLIPS = 32
"""Clips that the first codes of a discrete tokenizer are fitted to."""
Loss = tuple[Tensor, dict[str, Tensor]]


@runtime_checkable
class Task(Protocol):
    """A network and the loss of one batch."""

    @property
    def network(self) -> nn.Module:
        """The network that is trained."""
        ...

    def loss(self, generator: torch.Generator) -> Loss:
        """Loss of one freshly drawn batch and the parts to log."""
        ...

    def picture(self, network: nn.Module) -> np.ndarray:
        """uint8 [h, w, 3]: what the network does at this moment."""
        ...

    def release(self, step: int) -> ReleaseConfig:
        """Configuration to store beside the weights."""
        ...


class ClipSampler:
    """Draws clips from several sets, with replacement."""

    def __init__(self, sets: list[ClipSet], shares: tuple[float, ...]):
        self.sets = sets
        weights = torch.tensor(shares or [float(len(s)) for s in sets])
        self.weights = weights / weights.sum()

    def draw(self, count: int, generator: torch.Generator) -> list[tuple[int, int]]:
        """``count`` pairs of set number and clip number."""
        which = torch.multinomial(self.weights, count, replacement=True, generator=generator).tolist()
        return [(s, _integer(len(self.sets[s]), generator)) for s in which]


def _integer(below: int, generator: torch.Generator) -> int:
    return int(torch.randint(below, (), generator=generator))


def to_unit(pixels: np.ndarray) -> Float[Tensor, "b 3 t h w"]:
    """uint8 [b, t, h, w, 3] to float in [-1, 1]."""
    return from_uint8(torch.from_numpy(np.array(pixels)).permute(0, 4, 1, 2, 3))


def picture_rows(rows: list[Float[Tensor, "3 t h w"]], *, num_frames: int = 8) -> np.ndarray:
    """A grid of frames, one clip a row, as uint8 [h, w, 3]."""
    strips = []
    for clip in rows:
        keep = np.linspace(0, clip.shape[1] - 1, min(num_frames, clip.shape[1])).round().astype(int)
        strips.append(torch.cat([clip[:, k] for k in keep], dim=-1))
    grid = torch.cat(strips, dim=-2).float().cpu()
    return to_uint8(grid).permute(1, 2, 0).numpy()


class TokenizerTask:
    """Autoencode random crops."""

    def __init__(self, config: TrainConfig, objective: TokenizerObjective, device: torch.device):
        self.config, self.objective, self.device = config, objective, device
        self.network = WaveletTokenizer(objective.model)
        initialise(self.network, torch.Generator().manual_seed(config.seed))
        self.network.to(device)
        self.sets = open_clip_sets(config.data, num_frames=objective.num_frames, least_size=objective.crop)
        self.sampler = ClipSampler(self.sets, config.data_shares)
        if objective.trunk_from:
            clips = self._batch(_TRUNK_CLIPS, torch.Generator().manual_seed(config.seed))
            start_from_continuous(self.network, load_tokenizer(objective.trunk_from).to(device), clips)

    def _batch(self, count: int, generator: torch.Generator) -> Float[Tensor, "b 3 t h w"]:
        size, length = self.objective.crop, self.objective.num_frames
        clips = []
        for s, index in self.sampler.draw(count, generator):
            pixels = self.sets[s].pixels
            t, y, x = (
                _integer(n - m + 1, generator)
                for n, m in zip(pixels.shape[1:4], (length, size, size), strict=True)
            )
            clip = pixels[index, t : t + length, y : y + size, x : x + size]
            clips.append(clip[:, :, ::-1] if self.config.flip and _integer(2, generator) else clip)
        return to_unit(np.stack(clips)).to(self.device)

    def loss(self, generator: torch.Generator) -> Loss:
        """Weighted L1 and squared error of the reconstruction."""
        x = self._batch(self.config.batch_size, generator)
        error = self.network(x).float() - x
        l1, mse = error.abs().mean(), error.square().mean()
        psnr = -10 * torch.log10(mse.detach() / 4)
        total = self.objective.l1_weight * l1 + self.objective.mse_weight * mse
        return total, {"l1": l1.detach(), "mse": mse.detach(), "psnr": psnr}

    @torch.no_grad()
    def picture(self, network: nn.Module) -> np.ndarray:
        """Originals above reconstructions."""
        x = self._batch(4, torch.Generator().manual_seed(1))
        y = network(x)
        return picture_rows([clip for pair in zip(x, y, strict=True) for clip in pair])

    def release(self, step: int) -> ReleaseConfig:
        """A tokenizer release."""
        digests = tuple(s.digest for s in self.sets)
        name = self.config.recipe
        return ReleaseConfig(
            name=name, family="tokenizer", tokenizer=self.objective.model, data_digests=digests, steps=step
        )
