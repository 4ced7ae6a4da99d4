"""The tokenizer task: random crops of clips and images, autoencoded, in stages, with a judge where one is asked for."""

import numpy as np
import torch
from torch import Tensor, nn

from worldfoundry.data.clip_set import open_clip_sets
from worldfoundry.data.fit import resize
from worldfoundry.models.pretrained.config import ReleaseConfig
from worldfoundry.models.pretrained.release import load_tokenizer
from worldfoundry.models.tokenizer.discretise import start_from_continuous
from worldfoundry.models.tokenizer.initialise import initialise
from worldfoundry.models.tokenizer.losses import Consistency, consistency, cut_windows, join_windows
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.training.config import TrainConfig
from worldfoundry.training.objectives import (
    ClipSampler,
    Loss,
    Opponent,
    draw_integer,
    picture_rows,
    to_unit,
)
from worldfoundry.training.tokenizer_config import TokenizerObjective
from worldfoundry.training.tokenizer_losses import TokenizerLosses

_TRUNK_CLIPS = 32
"""Clips that the first codes of a discrete tokenizer are fitted to."""


class TokenizerTask:
    """Autoencode random crops; a step is one of clips or, every ``image_every`` steps, one of images."""

    def __init__(self, config: TrainConfig, objective: TokenizerObjective, device: torch.device):
        self.config, self.objective, self.device = config, objective, device
        sizes = [objective.crop_size(aspect) for aspect in objective.aspects]
        self.sets = open_clip_sets(
            config.data, num_frames=objective.num_frames, least_size=max(max(size) for size in sizes)
        )
        self.sampler = ClipSampler(self.sets, config.data_shares)
        self.network = WaveletTokenizer(objective.model)
        initialise(self.network, torch.Generator().manual_seed(config.seed))
        if objective.trunk_from:
            clips = self._clips(_TRUNK_CLIPS, torch.Generator().manual_seed(config.seed))
            start_from_continuous(self.network, load_tokenizer(objective.trunk_from), clips)
        self.network.to(device)
        self.losses = TokenizerLosses(objective, seed=config.seed, device=device)
        self._judged: tuple[Tensor, Tensor] | None = None  # of the step in hand, between its two updates
        self.opponent = None
        if self.losses.judge is not None:
            self.opponent = Opponent(
                network=self.losses.judge,
                optim=objective.adversarial.optim,
                first_step=objective.adversarial.first_step or 0,
                loss=self._judge,
            )

    def _clips(self, count: int, generator: torch.Generator, *, num_frames: int = 0) -> Tensor:
        """``count`` crops [b 3 t h w] of one shape, of the objective's length unless another is given."""
        aspects, length = self.objective.aspects, num_frames or self.objective.num_frames
        which = draw_integer(len(aspects), generator) if len(aspects) > 1 else 0
        size = self.objective.crop_size(aspects[which])
        clips = [self._crop(s, i, length, size, generator) for s, i in self.sampler.draw(count, generator)]
        return to_unit(np.stack(clips))

    def _crop(
        self, which: int, index: int, length: int, size: tuple[int, int], generator: torch.Generator
    ) -> np.ndarray:
        """uint8 [t, h, w, 3]; every chance is asked for only where there is one, so that older runs go on as they were."""
        pixels = self.sets[which].pixels[index]
        is_small = self.objective.cover_share and _chance(self.objective.cover_share, generator)
        if is_small:
            first = draw_integer(len(pixels) - length + 1, generator)
            pixels = _cover(np.array(pixels[first : first + length]), size)
        t, y, x = (
            draw_integer(n - m + 1, generator) for n, m in zip(pixels.shape[:3], (length, *size), strict=True)
        )
        clip = pixels[t : t + length, y : y + size[0], x : x + size[1]]
        if self.config.flip and draw_integer(2, generator):
            clip = clip[:, :, ::-1]
        return clip[::-1] if self.objective.reverse and draw_integer(2, generator) else clip

    def loss(self, generator: torch.Generator, *, step: int) -> Loss:
        """All losses of the step's stage."""
        every, count = self.objective.image_every, self.config.batch_size
        if every and (step + 1) % every == 0:
            x = self._clips(count * self.objective.images_per_clip, generator, num_frames=1)
        else:
            x = self._clips(count, generator)
        x = x.to(self.device)
        y, agreement = self._reconstruct(x, step)
        y = y.float()
        total, parts = self.losses.total(x, y, step=step)
        if agreement is not None:
            total = total + self.objective.consistency.weight.at(step) * sum(agreement)
            parts = {**parts, "consistency": agreement.frames.detach()}
        self._judged = (x, y.detach())
        return total, parts

    def _reconstruct(self, x: Tensor, step: int) -> tuple[Tensor, Consistency | None]:
        c = self.objective.consistency
        if not c.weight.at(step) or x.shape[2] == 1:
            return self.network(x), None
        windows = cut_windows(x, num_frames=c.num_frames, step=c.step)
        latents = self.network.encode_codes(windows)
        recon = self.network.decode(latents)
        agreement = consistency(recon, latents, num_clips=len(x), step=c.step)
        return join_windows(recon, num_clips=len(x), step=c.step), agreement

    def _judge(self) -> Loss:
        assert self._judged is not None, "the judge learns behind the tokenizer, from the same batch"
        truth, recon = self._judged
        self._judged = None
        return self.losses.judge_loss(truth, recon)

    @torch.no_grad()
    def picture(self, network: nn.Module) -> np.ndarray:
        """Originals above reconstructions."""
        x = self._clips(4, torch.Generator().manual_seed(1)).to(self.device)
        y = network(x)
        return picture_rows([clip for pair in zip(x, y, strict=True) for clip in pair])

    def release(self, step: int) -> ReleaseConfig:
        """A tokenizer release."""
        return ReleaseConfig(
            name=self.config.recipe,
            family="tokenizer",
            tokenizer=self.objective.model,
            data_digests=tuple(s.digest for s in self.sets),
            steps=step,
        )


def _chance(share: float, generator: torch.Generator) -> bool:
    return float(torch.rand((), generator=generator)) < share


def _cover(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Frames made as small as they can be with ``size`` still inside."""
    h, w = pixels.shape[1:3]
    scale = max(size[0] / h, size[1] / w)
    return resize(pixels, max(size[0], round(h * scale)), max(size[1], round(w * scale)))
