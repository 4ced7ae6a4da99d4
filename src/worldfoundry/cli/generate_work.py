"""The work behind ``worldfoundry generate``; kept apart from the parser because it imports torch."""

import json
import sys
from typing import TYPE_CHECKING

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.data.fit import centre_crop
from worldfoundry.data.video_io import read_image, read_video, resample_rate, write_video
from worldfoundry.inference.session import load_world, rollout
from worldfoundry.protocols.models import Conditioning, WorldSpec, latent_frames
from worldfoundry.protocols.video import Frames

if TYPE_CHECKING:
    from worldfoundry.cli.generate import GenerateArgs


def generate(options: "GenerateArgs") -> str:
    """Write ``options.out`` and return what to print."""
    world = load_world(options.model)
    context = _context(options, world.spec)
    conditioning = Conditioning(text=options.prompt)
    length, new = len(context.pixels), options.num_frames
    plan = {
        "model": options.model,
        "context_frames": length,
        "context_latents": latent_frames(length, world.spec.tokenizer.temporal_stride),
        "predicted_frames": new,
        "fps": world.spec.fps,
        "seed": options.seed,
        "out": str(options.out),
    }
    sys.stderr.write(
        f"{length} context + {new} predicted frames at {world.spec.fps:g} fps, {world.spec.width}x{world.spec.height}, "
        f"from {plan['context_latents']} context latents\n"
    )
    if not options.dry_run:
        clip = rollout(world, context.to_clip(), num_frames=new, conditioning=conditioning, seed=options.seed)
        write_video(options.out, clip.to_frames())
    return json.dumps(plan) if options.json else str(options.out)


def _context(options: "GenerateArgs", spec: WorldSpec) -> Frames:
    """The last frames of the input, at the model's rate and size; only changed where the user said so."""
    if options.image is not None:
        still = read_image(options.image)
        frames = Frames.at_constant_rate(still.pixels, spec.fps)
    else:
        assert options.video is not None, "the parser requires one of the two"
        frames = read_video(options.video)
        if abs(frames.fps - spec.fps) > 1e-3 and not options.resample:
            raise ConfigError(
                f"--video must run at the model's {spec.fps:g} fps, got {frames.fps:.4g}; add --resample to take the "
                "nearest frames"
            )
        if options.resample:
            frames = resample_rate(frames, spec.fps)
        if len(frames.pixels) < options.context_frames:
            raise DataError(
                f"{options.video} must have {options.context_frames} frames at {spec.fps:g} fps, got "
                f"{len(frames.pixels)}; lower --context-frames"
            )
        frames = Frames.at_constant_rate(frames.pixels[-options.context_frames :], spec.fps)
    size = frames.pixels.shape[1:3]
    if options.fit == "crop":
        return centre_crop(frames, spec.height, spec.width)
    if size != (spec.height, spec.width):
        raise ConfigError(
            f"the input must be {spec.width}x{spec.height} pixels, got {size[1]}x{size[0]}; add --fit crop to cut its "
            "centre and resize"
        )
    return frames
