"""The work behind ``worldfoundry generate``; kept apart from the parser because it imports torch."""

import json
import sys
from typing import TYPE_CHECKING

import torch

from worldfoundry.core.errors import ConfigError
from worldfoundry.data.fit import centre_crop
from worldfoundry.data.video_io import read_image, read_last
from worldfoundry.data.video_write import write_video
from worldfoundry.inference.session import load_world, rollout
from worldfoundry.models.pretrained.config import read_release
from worldfoundry.protocols.models import Conditioning, WorldSpec, latent_frames, pixel_frames
from worldfoundry.protocols.video import Frames

if TYPE_CHECKING:
    from worldfoundry.cli.generate import GenerateArgs

_CONTEXT_FRAMES = 5


def generate(options: "GenerateArgs") -> str:
    """Write ``options.out`` and return what to print; a dry run stops when the context is accepted."""
    _check_prompt(options)
    world = load_world(options.model)
    context = _context(options, world.spec).to_clip()
    conditioning = Conditioning(text=options.prompt)
    length, new = context.num_frames, options.num_frames
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
    if options.dry_run:
        world.start(context, conditioning, generators=[torch.Generator()])  # has the checks
    else:
        clip = rollout(world, context, num_frames=new, conditioning=conditioning, seeds=[options.seed])
        write_video(options.out, clip.to_frames())
    if options.json:
        return json.dumps(plan)
    return ("would write " if options.dry_run else "") + str(options.out)


def _check_prompt(options: "GenerateArgs") -> None:
    """Before the weights are loaded: the configuration of a world says whether it takes text."""
    _, release = read_release(options.model)
    if options.prompt is not None and release.world is not None and not release.world.network.text_channels:
        raise ConfigError(
            f"--prompt needs a model that takes text, got {options.prompt!r} and --model {options.model}; leave it out"
        )


def _nearest_lengths(count: int, *, stride: int, most: int) -> str:
    lengths = range(1, most + 1, stride)
    least = min(abs(n - count) for n in lengths)
    return " or ".join(str(n) for n in lengths if abs(n - count) == least)


def _context(options: "GenerateArgs", spec: WorldSpec) -> Frames:
    """The last frames of the input, at the model's rate and size; only changed where the user said so."""
    if options.image is not None:
        still = read_image(options.image)
        frames = Frames.at_constant_rate(still.pixels, spec.fps)
    else:
        assert options.video is not None, "the parser requires one of the two"
        count, stride = options.context_frames or _CONTEXT_FRAMES, spec.tokenizer.temporal_stride
        most = pixel_frames(spec.max_context_latents, stride)
        if count > most or (count - 1) % stride:
            raise ConfigError(
                f"--context-frames must be 1 + a multiple of {stride} and at most {most}, got {count}; use "
                f"{_nearest_lengths(count, stride=stride, most=most)}"
            )
        frames = read_last(options.video, count, fps=spec.fps if options.resample else None)
        if abs(frames.fps - spec.fps) > 1e-3:
            fix = "add --resample to take the nearest frames" if frames.fps > spec.fps else "use a faster one"
            raise ConfigError(
                f"--video must run at the model's {spec.fps:g} fps, got {frames.fps:.4g}; {fix}"
            )
        frames = Frames.at_constant_rate(frames.pixels, spec.fps)
    size = frames.pixels.shape[1:3]
    if options.fit == "crop":
        return centre_crop(frames, spec.height, spec.width)
    if size != (spec.height, spec.width):
        raise ConfigError(
            f"the input must be {spec.width}x{spec.height} pixels, got {size[1]}x{size[0]}; add --fit crop to cut its "
            "centre and resize"
        )
    return frames
