"""The work behind ``worldfoundry tokenize``; kept apart from the parser because it imports torch."""

import itertools
import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from worldfoundry.core.errors import ConfigError, UsageError
from worldfoundry.data.video_write import VideoWriter, write_image
from worldfoundry.evaluate.metrics import frame_mse, psnr_from_mse
from worldfoundry.evaluate.tokenizer_checks import latent_bits
from worldfoundry.evaluate.tokenizer_config import LATENT_BITS
from worldfoundry.inference.latent_file import LatentReader, LatentWriter
from worldfoundry.inference.latent_origin import check_origin, origin_facts
from worldfoundry.inference.pieces import Coder, Piece, Plan, check_decodes, iter_pieces, plan_pieces
from worldfoundry.models.pretrained.release import load_tokenizer
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.models.tokenizer.normalise import LatentStatistics
from worldfoundry.models.tokenizer.quantize import codebook_usage, count_codes
from worldfoundry.models.tokenizer.tile import Tile
from worldfoundry.protocols.models import latent_frames, pixel_frames
from worldfoundry.protocols.video import to_uint8

if TYPE_CHECKING:
    from worldfoundry.cli.tokenize import DecodeArgs, EncodeArgs, RoundtripArgs

    Options = EncodeArgs | DecodeArgs | RoundtripArgs

_OPTIONS = {
    "tile.size_px": "--tile",
    "tile.overlap_px": "--tile-overlap",
    "attended_latents": "--attended-latents",
}
"""Settings of the tokenizer by the names of their options."""


@torch.no_grad()
def encode(options: "EncodeArgs") -> str:
    """Write latents with the numbers that decoding needs; returns what to print."""
    tokenizer = load_tokenizer(options.model, options=options.opening)
    plan = _plan(options, tokenizer)
    statistics = _statistics(options.model, tokenizer, plan) if options.normalise else None
    coder, codes = _coder(options, tokenizer), _Codes(tokenizer)
    with LatentWriter(options.out, codebook_size=codes.size) as writer:
        for piece in _shown(plan):
            latents = coder.encode(piece.pixels)
            codes.count(latents)
            if statistics is not None:
                latents = statistics.normalise(latents, start=writer.num_latents)
            if not writer.num_latents:
                writer.facts["start_seconds"] = repr(piece.start_seconds)
            writer.append(latents)
        writer.facts |= origin_facts(tokenizer, model=options.model, normalised_by=statistics)
        writer.facts["fps"] = repr(plan.fps)
    facts = {codes.name: list(writer.shape), "pixels": list(plan.pixels), **writer.facts, **codes.facts()}
    return _say(options, {**facts, "bytes": options.out.stat().st_size})


@torch.no_grad()
def decode(options: "DecodeArgs") -> str:
    """Write the video of latents; refuses latents of other weights."""
    with LatentReader(options.source) as reader:
        model = options.model or reader.facts.get("model", "")
        options = replace(options, model=model, overwrite=True)  # what may be overwritten was asked before
        tokenizer = load_tokenizer(options.model, options=options.opening)
        statistics = check_origin(reader, tokenizer, model=options.model)
        coder = _coder(options, tokenizer)
        each = max(1, options.chunk_frames // tokenizer.spec.temporal_stride)
        _say_rounded(options, each * tokenizer.spec.temporal_stride, tokenizer)
        num_latents, fps = reader.num_latents, float(reader.facts["fps"])
        bounds = [0, *range(1 + each, num_latents, each), num_latents]
        with film_to(options.out, fps) as film, _bar("decode", num_latents) as advance:
            for start, stop in itertools.pairwise(bounds):
                latents = reader.read(start, stop)
                if statistics is not None:
                    latents = statistics.denormalise(latents, start=start)
                film.write(coder.decode(latents))
                advance(stop - start)
    return _say(options, {"pixels": film.shape, "fps": fps})


@torch.no_grad()
def roundtrip(options: "RoundtripArgs") -> str:
    """Write the reconstruction; returns its PSNR and the compression."""
    tokenizer = load_tokenizer(options.model, options=options.opening)
    plan = _plan(options, tokenizer)
    coder, codes = _coder(options, tokenizer), _Codes(tokenizer)
    errors, shape, num_latents = list[Tensor](), list[int](), 0
    with film_to(options.out, plan.fps) as film:
        for piece in _shown(plan):
            latents = coder.encode(piece.pixels)
            codes.count(latents)
            back = coder.decode(latents)
            film.write(back)
            errors.append(frame_mse(piece.pixels, back))
            shape, num_latents = list(latents.shape), num_latents + latents.shape[-3]
    shape[-3] = num_latents
    num_values, num_positions = math.prod(shape), math.prod(plan.pixels) // 3
    bits = latent_bits(tokenizer.spec, num_values, bits_per_number=LATENT_BITS)
    result: dict[str, Any] = {
        "psnr_db": round(float(psnr_from_mse(torch.cat(errors, dim=1).mean(dim=1))), 2),
        "values_per_latent_value": round(3 * num_positions / num_values, 1),
        "bits_per_pixel": round(bits / num_positions, 4),
        codes.name: shape,
        "pixels": list(plan.pixels),
        **codes.facts(),
    }
    return _say(options, result)


class _Codes:
    """Usage of the codebook, counted piece by piece; nothing for a continuous tokenizer."""

    def __init__(self, tokenizer: WaveletTokenizer):
        self.size = tokenizer.spec.codebook_size
        self.name = "indices" if self.size else "latents"
        self._counts = torch.zeros(self.size, dtype=torch.int64)

    def count(self, indices: Tensor) -> None:
        if self.size:
            self._counts += count_codes(indices, self.size)

    def facts(self) -> dict[str, Any]:
        if not self.size:
            return {}
        usage = codebook_usage(self._counts)
        return {
            "codebook_size": self.size,
            "codes_used": int((self._counts > 0).sum()),
            "codebook_perplexity": round(usage.perplexity, 1),
        }


class _Film:
    """A video, or the image of a single frame."""

    def __init__(self, out: Path, video: VideoWriter | None):
        self.out, self._video = out, video
        self.shape = [1, 3, 0, 0, 0]
        """Of all that was written, ``[1 3 t h w]``."""

    def write(self, pixels: Tensor) -> None:
        self.shape = [1, 3, self.shape[2] + pixels.shape[2], *pixels.shape[-2:]]
        frames = to_uint8(pixels[0].float()).permute(1, 2, 3, 0).cpu().numpy()
        if self._video is not None:
            for frame in frames:
                self._video.write(frame)
        elif self.shape[2] > 1:
            raise ConfigError(
                f"--out must end in .mp4 for more than one frame, got {str(self.out)!r}; rename it"
            )
        else:
            write_image(self.out, frames[0])


@contextmanager
def film_to(out: Path, fps: float) -> Iterator[_Film]:
    """Frames to write one after the other; a video appears when it is complete."""
    if out.suffix.lower() == ".png":
        yield _Film(out, None)
        return
    with VideoWriter(out, fps=fps) as video:
        yield _Film(out, video)


def _plan(options: "EncodeArgs | RoundtripArgs", tokenizer: WaveletTokenizer) -> Plan:
    plan = plan_pieces(options.source, tokenizer.spec, cut=options.cut, frames_at_once=options.chunk_frames)
    _say_rounded(options, plan.later_frames, tokenizer)
    check_decodes(plan)
    return plan


def _say_rounded(options: "Options", used: int, tokenizer: WaveletTokenizer) -> None:
    if used != options.chunk_frames:
        stride = tokenizer.spec.temporal_stride
        sys.stderr.write(
            f"--chunk-frames {options.chunk_frames} is {used} here, a multiple of the temporal stride {stride}\n"
        )


def _coder(options: "Options", tokenizer: WaveletTokenizer) -> Coder:
    stride, tile = tokenizer.spec.spatial_stride, None
    if options.tile:
        fitting = max(stride, min(64, options.tile // 4) // stride * stride)
        overlap = fitting if options.tile_overlap is None else options.tile_overlap
        with _of_options():
            tile = Tile(size_px=options.tile, overlap_px=overlap)
            tile.in_latents(stride)
    with _of_options():
        return Coder(tokenizer, attended_latents=options.attended_latents, tile=tile)


@contextmanager
def _of_options() -> Iterator[None]:
    """What does not fit the tokenizer is an error of the command line, by the names that it has there."""
    try:
        yield
    except ConfigError as error:
        text = str(error)
        for name, option in _OPTIONS.items():
            text = text.replace(name, option)
        raise UsageError(text) from error


def _statistics(model: str, tokenizer: WaveletTokenizer, plan: Plan) -> LatentStatistics:
    if tokenizer.statistics is None or tokenizer.spec.codebook_size:
        raise ConfigError(
            f"--normalise needs latent statistics (mean_std.pt) beside the weights of a continuous tokenizer, got {model!r} "
            "without; leave it out"
        )
    most = tokenizer.statistics.mean.shape[1]
    if latent_frames(plan.num_frames, tokenizer.spec.temporal_stride) > most:
        longest = pixel_frames(most, tokenizer.spec.temporal_stride)
        raise ConfigError(
            f"--normalise takes clips of at most {longest} frames, for which there are statistics, got {plan.num_frames}; cut "
            "the video, or store latents as they are"
        )
    return tokenizer.statistics


def _shown(plan: Plan) -> Iterator[Piece]:
    with _bar(plan.path.name, plan.num_frames) as advance:
        for piece in iter_pieces(plan):
            yield piece
            advance(piece.pixels.shape[2])


@contextmanager
def _bar(name: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr."""
    with Progress(console=Console(file=sys.stderr), disable=not sys.stderr.isatty()) as bars:
        task = bars.add_task(name, total=total)
        yield lambda steps: bars.advance(task, steps)


def _say(options: "Options", facts: dict[str, Any]) -> str:
    if options.json:
        return json.dumps({"out": str(options.out), **facts})
    return f"{options.out}  " + "  ".join(f"{key} {value}" for key, value in facts.items())
