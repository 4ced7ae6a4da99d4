"""What the trainer minimises: a task draws its own batches and returns ``(scalar, {name: value})``.

Every draw of a step comes from the generator that the trainer hands in, so that a resumed run sees the same batches.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from worldfoundry.data.clip_set import ClipSet
from worldfoundry.models.pretrained.config import ReleaseConfig
from worldfoundry.protocols.video import from_uint8, to_uint8
from worldfoundry.training.optim_config import OptimConfig

Loss = tuple[Tensor, dict[str, Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opponent:
    """A second network, trained against the first in the same steps, each time behind it."""

    network: nn.Module
    """What learns."""
    optim: OptimConfig
    """How; its schedule counts from ``first_step``."""
    first_step: int
    """Step from which it learns."""
    loss: Callable[[], Loss]
    """Loss of the batch whose loss the task gave last, and the parts to log."""


@runtime_checkable
class Task(Protocol):
    """A network and the loss of one batch."""

    @property
    def network(self) -> nn.Module:
        """The network that is trained."""
        ...

    @property
    def opponent(self) -> Opponent | None:
        """The network that is trained against it, if there is one."""
        ...

    @property
    def inputs(self) -> Mapping[str, str]:
        """Digests of the weights that the task takes from files and does not train, by the setting that names them."""
        ...

    def loss(self, generator: torch.Generator, *, step: int) -> Loss:
        """Loss of one freshly drawn batch at ``step``, counted from 0, and the parts to log."""
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
        return [(s, draw_integer(len(self.sets[s]), generator)) for s in which]


def draw_integer(below: int, generator: torch.Generator) -> int:
    """One of ``0 .. below - 1``."""
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
