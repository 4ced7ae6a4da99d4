"""The tokenizer task: random crops of clips and images, autoencoded, in stages, with a judge where one is asked for."""

import numpy as np
import torch
from torch import Tensor, nn

from worldfoundry.models.pretrained.config import ReleaseConfig
from worldfoundry.models.pretrained.release import load_tokenizer, tensors_digest
from worldfoundry.models.tokenizer.discretise import start_from_continuous
from worldfoundry.models.tokenizer.initialise import initialise
from worldfoundry.models.tokenizer.losses import Consistency, consistency, cut_windows, join_windows
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.training.clips import open_clips
from worldfoundry.training.config import TrainConfig
from worldfoundry.training.objectives import (
    Loss,
    Opponent,
    picture_rows,
)
from worldfoundry.training.tokenizer_config import TokenizerObjective
from worldfoundry.training.tokenizer_losses import TokenizerLosses

_TRUNK_CLIPS = 32
"""Clips that the first codes of a discrete tokenizer are fitted to."""


def reconstruct(
    network: WaveletTokenizer, objective: TokenizerObjective, x: Tensor, *, step: int
) -> tuple[Tensor, Consistency | None]:
    """Clips there and back: at once or, where consistency counts at ``step``, in windows, and how far these agree."""
    c = objective.consistency
    if not c.weight.at(step) or x.shape[2] == 1:
        return network(x), None
    windows = cut_windows(x, num_frames=c.num_frames, step=c.step)
    latents = network.encode_codes(windows)
    recon = network.decode(latents)
    agreement = consistency(recon, latents, num_clips=len(x), step=c.step)
    return join_windows(recon, num_clips=len(x), step=c.step), agreement


class TokenizerTask:
    """Autoencode random crops; a step is one of clips or, every ``image_every`` steps, one of images."""

    def __init__(self, config: TrainConfig, objective: TokenizerObjective, device: torch.device):
        self.config, self.objective, self.device = config, objective, device
        self.clips = open_clips(config, objective)
        self.network = WaveletTokenizer(objective.model)
        initialise(self.network, torch.Generator().manual_seed(config.seed))
        inputs: dict[str, str] = {}
        if objective.trunk_from:
            clips = self._clips(_TRUNK_CLIPS, torch.Generator().manual_seed(config.seed), step=0)
            trunk = load_tokenizer(objective.trunk_from)
            inputs["objective.trunk_from"] = tensors_digest(trunk.state_dict())
            start_from_continuous(self.network, trunk, clips)
        if not objective.train_encoder:
            self.network.encoder.requires_grad_(False)
            self.network.quant_conv.requires_grad_(False)
        self.network.to(device)
        self.losses = TokenizerLosses(objective, seed=config.seed, device=device)
        self.inputs = inputs | self.losses.inputs
        self._judged: tuple[Tensor, Tensor] | None = None  # of the step in hand, between its two updates
        self.opponent = None
        if self.losses.judge is not None:
            self.opponent = Opponent(
                network=self.losses.judge,
                optim=objective.adversarial.optim,
                first_step=objective.adversarial.first_step or 0,
                loss=self._judge,
            )

    def _clips(self, count: int, generator: torch.Generator, *, step: int, num_frames: int = 0) -> Tensor:
        """``count`` crops [b 3 t h w] of one shape, of the objective's length unless another is given."""
        return self.clips.draw(
            count, generator, step=step, num_frames=num_frames or self.objective.num_frames
        )

    def loss(self, generator: torch.Generator, *, step: int) -> Loss:
        """All losses of the step's stage."""
        every, count = self.objective.image_every, self.config.batch_size
        if every and (step + 1) % every == 0:
            x = self._clips(count * self.objective.images_per_clip, generator, step=step, num_frames=1)
        else:
            x = self._clips(count, generator, step=step)
        x = x.to(self.device)
        y, agreement = reconstruct(self.network, self.objective, x, step=step)
        y = y.float()
        total, parts = self.losses.total(x, y, step=step)
        if agreement is not None:
            total = total + self.objective.consistency.weight.at(step) * sum(agreement)
            parts = {**parts, "consistency": agreement.frames.detach()}
        self._judged = (x, y.detach())
        return total, parts

    def _judge(self) -> Loss:
        assert self._judged is not None, "the judge learns behind the tokenizer, from the same batch"
        truth, recon = self._judged
        self._judged = None
        return self.losses.judge_loss(truth, recon)

    @torch.no_grad()
    def picture(self, network: nn.Module) -> np.ndarray:
        """Originals above reconstructions."""
        x = self._clips(4, torch.Generator().manual_seed(1), step=0).to(self.device)
        y = network(x)
        return picture_rows([clip for pair in zip(x, y, strict=True) for clip in pair])

    def release(self, step: int) -> ReleaseConfig:
        """A tokenizer release."""
        return ReleaseConfig(
            name=self.config.recipe,
            family="tokenizer",
            tokenizer=self.objective.model,
            data_digests=self.clips.digests,
            steps=step,
        )
