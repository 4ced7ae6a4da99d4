"""``worldfoundry tokenize``: clips to latents and back."""

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from worldfoundry.cli.output import check_output_file
from worldfoundry.cli.parse import parse_command

_Positional = tyro.conf.Positional
_MODEL = "wavetok-c-t4s8z16-nano"


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeArgs:
    """Video to latents.

    Example: worldfoundry tokenize encode samples/driving.mp4 --cut --out driving.safetensors
    """

    source: Annotated[Path, _Positional]
    """Video or image."""
    out: Path
    """File to write, .safetensors."""
    overwrite: bool = False
    """Replace --out where it exists."""
    model: str = _MODEL
    """Shipped name, release folder or run folder."""
    cut: bool = False
    """Leave out the last frames and the outer rows and columns that do not fill a latent; without it they are an error."""
    json: bool = False
    """Print the result as JSON."""

    def __post_init__(self):
        check_output_file(self.out, ".safetensors", inputs=[self.source], overwrite=self.overwrite)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeArgs:
    """Latents to video.

    Example: worldfoundry tokenize decode driving.safetensors --out back.mp4
    """

    source: Annotated[Path, _Positional]
    """Latents that ``tokenize encode`` wrote."""
    out: Path
    """File to write, .mp4."""
    overwrite: bool = False
    """Replace --out where it exists."""
    model: str = _MODEL
    """Shipped name, release folder or run folder; that of the encoding."""
    json: bool = False
    """Print the result as JSON."""

    def __post_init__(self):
        check_output_file(self.out, ".mp4", inputs=[self.source], overwrite=self.overwrite)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundtripArgs:
    """Video to latents and back, with PSNR.

    Example: worldfoundry tokenize roundtrip samples/driving.mp4 --cut --out back.mp4
    """

    source: Annotated[Path, _Positional]
    """Video or image."""
    out: Path
    """File to write, .mp4."""
    overwrite: bool = False
    """Replace --out where it exists."""
    model: str = _MODEL
    """Shipped name, release folder or run folder."""
    cut: bool = False
    """Leave out the last frames and the outer rows and columns that do not fill a latent; without it they are an error."""
    json: bool = False
    """Print the result as JSON."""

    def __post_init__(self):
        check_output_file(self.out, ".mp4", inputs=[self.source], overwrite=self.overwrite)


_COMMANDS = {"encode": EncodeArgs, "decode": DecodeArgs, "roundtrip": RoundtripArgs}


def run(args: list[str]) -> int:
    """Parse, work, print what came out."""
    command, options = parse_command(
        _COMMANDS,
        prog="worldfoundry tokenize",
        description="Compress clips to latents and back.",
        args=args,
    )
    work = importlib.import_module("worldfoundry.cli.tokenize_work")
    sys.stdout.write(getattr(work, command)(options) + "\n")
    return 0
