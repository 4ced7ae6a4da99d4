"""The world-model task: windows of tokenizer latents, encoded once and kept beside the clip set."""

import hashlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.lib.format import open_memmap
from torch import Tensor, nn

from worldfoundry.core.files import atomic_path
from worldfoundry.data.clip_set import ClipSet, common_controls, open_clip_sets, other_controls
from worldfoundry.models.diffusion.world import DiffusionWorldNetwork
from worldfoundry.models.diffusion.world_config import DiffusionWorldConfig
from worldfoundry.models.pretrained.config import ReleaseConfig
from worldfoundry.models.pretrained.release import encoder_digest, load_tokenizer
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.protocols.control import ControlSpec
from worldfoundry.protocols.models import pixel_frames
from worldfoundry.training.config import TrainConfig, WorldObjective
from worldfoundry.training.objectives import ClipSampler, Loss, Opponent, picture_rows, to_unit

_ENCODE_BATCH = 16


class WorldTask:
    """Denoise windows of latents, Video2World."""

    network: DiffusionWorldNetwork
    opponent: Opponent | None = None

    def __init__(self, config: TrainConfig, objective: WorldObjective, device: torch.device):
        self.config, self.objective, self.device = config, objective, device
        world = objective.model
        self.sets = open_clip_sets(
            config.data,
            num_frames=pixel_frames(world.window_latents, world.temporal_stride),
            fps=world.fps,
            size=(world.height, world.width),
        )
        self.inputs: dict[str, str] = {}  # the tokenizer has a place of its own in the release
        self.controls = controls_at(world, self.sets)
        self.sampler = ClipSampler(self.sets, config.data_shares)
        self.tokenizer = load_tokenizer(world.tokenizer).to(device)
        self.tokenizer_digest = encoder_digest(self.tokenizer.state_dict())
        self.latents = [
            encode_set(
                s,
                self.tokenizer,
                digest=self.tokenizer_digest,
                device=device,
                flips=(False, True) if config.flip else (False,),
            )
            for s in self.sets
        ]
        self.network = DiffusionWorldNetwork(world, generator=torch.Generator().manual_seed(config.seed)).to(
            device
        )
        mean, std = latent_statistics(self.latents)
        self.network.latent_mean.copy_(mean)
        self.network.latent_std.copy_(std)

    def _batch(self, count: int, generator: torch.Generator) -> Float[Tensor, "b c t h w"]:
        window, windows = self.objective.model.window_latents, []
        for s, index in self.sampler.draw(count, generator):
            draws = torch.rand(3, generator=generator).tolist()
            clips = self.latents[s][int(draws[0] * len(self.latents[s]))]
            spare = clips.shape[2] - window
            first = 0 if draws[1] < self.objective.start_at_first_frame else int(draws[2] * (spare + 1))
            windows.append(clips[index, :, first : first + window])
        return torch.from_numpy(np.stack(windows)).float().to(self.device)

    def loss(self, generator: torch.Generator, *, step: int) -> Loss:  # noqa: ARG002  the same loss at every step
        """EDM loss of a batch of windows."""
        return self.network.loss(self._batch(self.config.batch_size, generator), generator=generator)

    @torch.no_grad()
    def picture(self, network: nn.Module) -> np.ndarray:
        """Truth above a rollout from two context latents, three clips."""
        assert isinstance(network, DiffusionWorldNetwork)
        truth = self._batch(3, torch.Generator().manual_seed(1))
        noise = [torch.Generator().manual_seed(n) for n in range(len(truth))]
        new = network.continue_window(truth[:, :, :2], num_latents=truth.shape[2] - 2, generators=noise)
        predicted = torch.cat([truth[:, :, :2], new], dim=2)
        x, y = self.tokenizer.decode(truth), self.tokenizer.decode(predicted)
        return picture_rows([clip for pair in zip(x, y, strict=True) for clip in pair], num_frames=12)

    def release(self, step: int) -> ReleaseConfig:
        """A world-model release."""
        return ReleaseConfig(
            name=self.config.recipe,
            family="diffusion-world",
            world=self.objective.model,
            tokenizer_digest=self.tokenizer_digest,
            data_digests=tuple(s.digest for s in self.sets),
            controls=self.controls,
            steps=step,
        )


def controls_at(world: DiffusionWorldConfig, sets: Sequence[ClipSet]) -> ControlSpec | None:
    """What perturbs the clips, with as many actions a latent as the world's clock gives; sets that differ are told."""
    if differs := other_controls(sets):
        sys.stderr.write(f"warning: {differs}; this model takes no controls, and its release names none\n")
    controls = common_controls(sets)
    if controls is None or controls.actions is None:
        return controls
    clocked = controls.actions.at_clock(fps=world.fps, temporal_stride=world.temporal_stride)
    return replace(controls, actions=clocked)


def encode_sets(sets: Iterable[ClipSet], tokenizer: str) -> None:
    """Store the latents of sets by a tokenizer's name or path, plain and mirrored, where training looks for them."""
    network = load_tokenizer(tokenizer)
    digest = encoder_digest(network.state_dict())
    for clips in sets:
        encode_set(clips, network, digest=digest, device=torch.device("cpu"), flips=(False, True))


def encode_set(
    clips: ClipSet, tokenizer: WaveletTokenizer, *, digest: str, device: torch.device, flips: tuple[bool, ...]
) -> list[np.ndarray]:
    """Latents float16 [n, cz, tz, hz, wz] of a set, plain and mirrored; made once, named after the pixels and ``digest``.

    ``digest`` is that of the tokenizer's weights.
    """
    stride = tokenizer.spec.temporal_stride
    frames = 1 + (clips.num_frames - 1) // stride * stride
    found = []
    for flip in flips:
        key = f"{digest}|{clips.digest}|{frames}|{flip}"
        path = clips.folder / f"latents-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npy"
        if not path.exists():
            sys.stderr.write(
                f"encoding {clips.folder} with tokenizer {digest}{' (mirrored)' if flip else ''}\n"
            )
            _encode(clips.pixels[:, :frames], path, tokenizer, device=device, flip=flip)
        found.append(np.load(path, mmap_mode="r"))
    return found


@torch.no_grad()
def _encode(
    pixels: np.ndarray, path: Path, tokenizer: WaveletTokenizer, *, device: torch.device, flip: bool
) -> None:
    n, t, h, w, _ = pixels.shape
    shape = (n, *tokenizer.spec.latent_shape(num_frames=t, height=h, width=w))
    with atomic_path(path) as temporary:
        out = open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
        for first in range(0, n, _ENCODE_BATCH):
            x = to_unit(pixels[first : first + _ENCODE_BATCH]).to(device)
            z = tokenizer.encode(x.flip(-1) if flip else x)
            out[first : first + _ENCODE_BATCH] = z.cpu().numpy()
        out.flush()


def latent_statistics(latents: list[list[np.ndarray]]) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
    """Mean and standard deviation of every channel over at most 256 clips of each array."""
    parts = [
        torch.from_numpy(np.array(a[:: max(1, len(a) // 256)])).double() for arrays in latents for a in arrays
    ]
    flat = torch.cat([p.transpose(0, 1).flatten(1) for p in parts], dim=1)
    return flat.mean(1).float(), flat.std(1).float()
