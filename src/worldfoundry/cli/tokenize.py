"""``worldfoundry tokenize``: clips and images to latents or indices, and back."""

import importlib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from worldfoundry.cli.output import check_output_file
from worldfoundry.cli.parse import parse_command
from worldfoundry.core.errors import ConfigError
from worldfoundry.models.pretrained.source import OpenOptions

_Positional = tyro.conf.Positional
_MODEL = "wavetok-c-t4s8z16-nano"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """What every direction has."""

    overwrite: bool = False
    """Replace --out where it exists."""
    model: str = _MODEL
    """Shipped or published name, run folder, release folder, .jit or model.pt file, or owner/repository on the Hub."""
    opening: tyro.conf.OmitArgPrefixes[OpenOptions] = field(default_factory=OpenOptions)
    """What published weights do not say themselves."""
    chunk_frames: int = 16
    """Frames that go through the network at once, and one more at the start: memory is that of a chunk, whatever the length.
    Rounded down to a multiple of the temporal stride, which is said. A shorter clip goes in one pass; numbers are the same."""
    attended_latents: int = 0
    """Latent frames that temporal attention sees; 0: all of the clip, exactly as in one pass."""
    tile: int = 0
    """Rows and columns of the tiles that large pictures are cut into, with blended seams; 0: none."""
    tile_overlap: int | None = None
    """Rows and columns that neighbouring tiles share; by default a quarter of a tile, 64 at most."""
    json: bool = False
    """Print the result as JSON."""

    def __post_init__(self):
        for name, least in (("chunk_frames", 1), ("attended_latents", 0), ("tile", 0), ("tile_overlap", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(
                    f"--{name.replace('_', '-')} must be at least {least}, got {value}; leave it out"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeArgs(_Settings):
    """Video or image to latents, or to packed indices where the tokenizer is discrete.

    Example: worldfoundry tokenize encode samples/driving.mp4 --cut --out driving.safetensors

    Example: worldfoundry tokenize encode film.mp4 --model Cosmos-Tokenize1-DV8x16x16-720p --out film.safetensors

    Example: worldfoundry tokenize encode photo.png --model ci8x8/autoencoder.jit --norm-groups 32 --out photo.safetensors
    """

    source: Annotated[Path, _Positional]
    """Video or image."""
    out: Path
    """File to write, .safetensors."""
    cut: bool = False
    """Leave out the last frames and the outer rows and columns that do not fill a latent; without it they are an error."""
    normalise: bool = False
    """Store latents with mean 0 and deviation 1, by the statistics beside the weights (mean_std.pt); decode undoes it."""

    def __post_init__(self):
        _Settings.__post_init__(self)
        check_output_file(self.out, ".safetensors", inputs=[self.source], overwrite=self.overwrite)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeArgs(_Settings):
    """Latents or indices to video, or to an image.

    Example: worldfoundry tokenize decode driving.safetensors --out back.mp4

    Example: worldfoundry tokenize decode photo.safetensors --model ci8x8/decoder.jit --norm-groups 32 --out back.png
    """

    source: Annotated[Path, _Positional]
    """Latents that ``tokenize encode`` wrote."""
    out: Path
    """File to write, .mp4, or .png of a single frame."""

    model: str = ""
    """What to decode with; empty: the tokenizer that the file names. Other weights than those that encoded are refused."""

    def __post_init__(self):
        _Settings.__post_init__(self)
        check_output_file(self.out, _suffix(self.out), inputs=[self.source], overwrite=self.overwrite)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundtripArgs(_Settings):
    """Video or image to latents and back, with PSNR, compression and codebook usage.

    Example: worldfoundry tokenize roundtrip samples/driving.mp4 --cut --out back.mp4

    Example: worldfoundry tokenize roundtrip samples/driving.mp4 --cut --tile 256 --chunk-frames 32 --out back.mp4
    """

    source: Annotated[Path, _Positional]
    """Video or image."""
    out: Path
    """File to write, .mp4, or .png of a single frame."""
    cut: bool = False
    """Leave out the last frames and the outer rows and columns that do not fill a latent; without it they are an error."""

    def __post_init__(self):
        _Settings.__post_init__(self)
        check_output_file(self.out, _suffix(self.out), inputs=[self.source], overwrite=self.overwrite)


def _suffix(out: Path) -> str:
    return ".png" if out.suffix.lower() == ".png" else ".mp4"


_COMMANDS = {"encode": EncodeArgs, "decode": DecodeArgs, "roundtrip": RoundtripArgs}


def run(args: list[str]) -> int:
    """Parse, work, print what came out."""
    command, options = parse_command(
        _COMMANDS,
        prog="worldfoundry tokenize",
        description="Compress clips and images to latents or indices, and back.",
        args=args,
    )
    work = importlib.import_module("worldfoundry.cli.tokenize_work")
    sys.stdout.write(getattr(work, command)(options) + "\n")
    return 0
