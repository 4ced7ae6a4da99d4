"""The work behind ``worldfoundry tokenize``; kept apart from the parser because it imports torch."""

import json
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.core.files import atomic_path
from worldfoundry.data.video_io import read_video
from worldfoundry.data.video_write import write_video
from worldfoundry.evaluate.metrics import clip_psnr
from worldfoundry.models.pretrained.release import load_tokenizer, weights_digest
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.protocols.models import TokenizerSpec
from worldfoundry.protocols.video import Clip

if TYPE_CHECKING:
    from worldfoundry.cli.tokenize import DecodeArgs, EncodeArgs, RoundtripArgs


def _read(options: "EncodeArgs | RoundtripArgs", spec: TokenizerSpec) -> Clip:
    clip = read_video(options.source).to_clip()
    t, h, w = clip.pixels.shape[2:]
    good = (
        1 + (t - 1) // spec.temporal_stride * spec.temporal_stride,
        *(n // spec.spatial_stride * spec.spatial_stride for n in (h, w)),
    )
    if good == (t, h, w):
        return clip
    if not options.cut:
        raise ConfigError(
            f"{options.source}: {t} frames of {w}x{h} do not fill whole latents (stride {spec.temporal_stride} in time after "
            f"the first frame, {spec.spatial_stride} in space); add --cut to use {good[0]} frames of {good[2]}x{good[1]}"
        )
    top, left = (h - good[1]) // 2, (w - good[2]) // 2
    pixels = clip.pixels[:, :, : good[0], top : top + good[1], left : left + good[2]]
    return Clip(pixels=pixels, fps=clip.fps, start_seconds=clip.start_seconds)


@torch.no_grad()
def _encode(options: "EncodeArgs | RoundtripArgs", tokenizer: WaveletTokenizer) -> tuple[Clip, Tensor]:
    clip = _read(options, tokenizer.spec)
    return clip, tokenizer.encode(clip.pixels)


def encode(options: "EncodeArgs") -> str:
    """Write latents with the numbers that decoding needs; returns what to print."""
    tokenizer = load_tokenizer(options.model)
    clip, latents = _encode(options, tokenizer)
    facts = {
        "model": options.model,
        "weights_sha256_16": weights_digest(options.model),
        "fps": repr(clip.fps),
        "start_seconds": repr(clip.start_seconds),
    }
    with atomic_path(options.out) as temporary:
        save_file({"latents": latents.contiguous()}, temporary, metadata=facts)
    return _say(options, {"latents": list(latents.shape), "pixels": list(clip.pixels.shape), **facts})


@torch.no_grad()
def decode(options: "DecodeArgs") -> str:
    """Write the video of latents; refuses latents of other weights."""
    try:
        with safe_open(options.source, framework="pt") as file:
            facts, latents = file.metadata() or {}, file.get_tensor("latents")
    except Exception as error:
        raise DataError(
            f"{options.source} must be latents that 'worldfoundry tokenize encode' wrote, got {error}; encode first"
        ) from error
    found, wanted = facts.get("weights_sha256_16"), weights_digest(options.model)
    if found != wanted:
        raise ConfigError(
            f"{options.source} was encoded with {facts.get('model')!r} (weights {found}), got --model {options.model!r} "
            f"(weights {wanted}); decode with the model that encoded"
        )
    pixels = load_tokenizer(options.model).decode(latents)
    clip = Clip(pixels=pixels, fps=float(facts["fps"]), start_seconds=float(facts["start_seconds"]))
    write_video(options.out, clip.to_frames())
    return _say(options, {"pixels": list(pixels.shape), "fps": clip.fps})


@torch.no_grad()
def roundtrip(options: "RoundtripArgs") -> str:
    """Write the reconstruction; returns its PSNR and the compression."""
    tokenizer = load_tokenizer(options.model)
    clip, latents = _encode(options, tokenizer)
    back = Clip(pixels=tokenizer.decode(latents), fps=clip.fps, start_seconds=clip.start_seconds)
    write_video(options.out, back.to_frames())
    psnr = float(clip_psnr(clip.pixels, back.pixels).mean())
    result: dict[str, Any] = {
        "psnr_db": round(psnr, 2),
        "values_per_latent_value": round(clip.pixels.numel() / latents.numel(), 1),
        "latents": list(latents.shape),
        "pixels": list(clip.pixels.shape),
    }
    return _say(options, result)


def _say(options: "EncodeArgs | DecodeArgs | RoundtripArgs", facts: dict[str, Any]) -> str:
    if options.json:
        return json.dumps({"out": str(options.out), **facts})
    return f"{options.out}  " + "  ".join(f"{key} {value}" for key, value in facts.items())
