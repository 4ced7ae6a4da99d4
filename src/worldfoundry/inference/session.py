"""Load models by name and roll worlds forward."""

from collections.abc import Sequence

import torch

from worldfoundry.core.errors import CheckpointError, ConfigError
from worldfoundry.models.diffusion.world import DiffusionWorld, DiffusionWorldNetwork
from worldfoundry.models.pretrained.config import find_release, read_release
from worldfoundry.models.pretrained.release import encoder_digest, load_tokenizer, load_weights
from worldfoundry.protocols.models import Conditioning, WorldModel
from worldfoundry.protocols.video import Clip

__all__ = ["load_tokenizer", "load_world", "rollout"]


def load_world(name: str) -> DiffusionWorld:
    """A world model by shipped name or folder, with the tokenizer that it names and whose latents it was trained on."""
    folder, release = read_release(name)
    if release.world is None:
        raise CheckpointError(
            f"{name!r} must be a world model, got a {release.family}; see 'worldfoundry models list'"
        )
    tokenizer = load_tokenizer(release.world.tokenizer)
    if (found := encoder_digest(tokenizer.state_dict())) != release.tokenizer_digest:
        raise CheckpointError(
            f"{folder} was trained on latents of the encoder with digest {release.tokenizer_digest or 'unknown'}, got "
            f"{found} from {find_release(release.world.tokenizer)}; put that tokenizer back or train the world again"
        )
    network = DiffusionWorldNetwork(release.world)
    load_weights(network, folder / "model.safetensors")
    return DiffusionWorld(network.eval().requires_grad_(False), tokenizer)


def rollout(
    world: WorldModel,
    context: Clip,
    *,
    num_frames: int,
    conditioning: Conditioning | None = None,
    seeds: Sequence[int] = (0,),
) -> Clip:
    """The context and exactly ``num_frames`` predicted frames after it, over as many windows as that takes.

    ``seeds`` has the seed of each clip's noise: a clip has the same future alone and in a batch.
    """
    if num_frames < 1:
        raise ConfigError(f"num_frames must be at least 1, got {num_frames}; ask for a frame or more")
    if len(seeds) != len(context.pixels):
        raise ConfigError(
            f"seeds must be one for each of the {len(context.pixels)} clips, got {len(seeds)}; give as many"
        )
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    carry = world.start(context, conditioning or Conditioning(), generators=generators)
    parts, total = [context.pixels], 0
    while total < num_frames:
        clip, carry = world.step(carry)
        parts.append(clip.pixels)
        total += clip.num_frames
    pixels = torch.cat(parts, dim=2)[:, :, : context.num_frames + num_frames]
    return Clip(pixels=pixels, fps=context.fps, start_seconds=context.start_seconds)
