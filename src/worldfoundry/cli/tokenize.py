"""``worldfoundry tokenize``: clips to latents and back."""

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.extras import SubcommandApp

app = SubcommandApp()

Input = Annotated[Path, tyro.conf.Positional]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizeArgs:
    """What the three commands share."""

    source: Input
    """Video or image (encode, roundtrip), or latents in safetensors (decode)."""
    out: Path
    """File to write: .safetensors (encode), .mp4 (decode, roundtrip)."""
    model: str = "wavetok-c-t4s8z16-nano"
    """Shipped name, release folder or run folder."""
    cut: bool = False
    """Leave out the last frames and the outer rows and columns that do not fill a latent; without it they are an error."""
    json: bool = False
    """Print the result as JSON."""


def _work(command: str, args: TokenizeArgs) -> None:
    sys.stdout.write(getattr(importlib.import_module("worldfoundry.cli.tokenize_work"), command)(args) + "\n")


@app.command(name="encode")
def encode(args: tyro.conf.OmitArgPrefixes[TokenizeArgs]) -> None:
    """Video to latents. Example: worldfoundry tokenize encode clip.mp4 --cut --out clip.safetensors."""
    _work("encode", args)


@app.command(name="decode")
def decode(args: tyro.conf.OmitArgPrefixes[TokenizeArgs]) -> None:
    """Latents to video. Example: worldfoundry tokenize decode clip.safetensors --out clip.mp4."""
    _work("decode", args)


@app.command(name="roundtrip")
def roundtrip(args: tyro.conf.OmitArgPrefixes[TokenizeArgs]) -> None:
    """Video to latents and back, with PSNR. Example: worldfoundry tokenize roundtrip clip.mp4 --cut --out back.mp4."""
    _work("roundtrip", args)


def run(args: list[str]) -> int:
    """Parse and run."""
    app.cli(prog="worldfoundry tokenize", args=args)
    return 0
