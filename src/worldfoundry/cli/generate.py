"""``worldfoundry generate``: predict what happens next in a video or after an image."""

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from worldfoundry.cli.output import check_output_file
from worldfoundry.cli.parse import parse
from worldfoundry.core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateArgs:
    """Predict what happens next in a video or after an image.

    Example: worldfoundry generate --video samples/driving.mp4 --fit crop --resample --out future.mp4
    """

    out: Path
    """mp4 to write: the context, then the prediction."""
    overwrite: bool = False
    """Replace --out where it exists."""
    model: str = "dit-v2w-nano"
    """Shipped name, release folder or run folder."""
    video: Path | None = None
    """Video whose last frames are the context."""
    image: Path | None = None
    """Image that is the context."""
    prompt: str | None = None
    """Text; an error for models that take none."""
    context_frames: int | None = None
    """Frames of context to take from the end of --video; 5 unless given. An image is one."""
    num_frames: int = 32
    """Frames to predict; longer than one window goes on in latent space."""
    seed: int = 0
    """Seed of the noise; the same seed gives the same prediction."""
    fit: Literal["exact", "crop"] = "exact"
    """exact: the input must have the model's size; crop: cut its centre and resize."""
    resample: bool = False
    """Take the nearest frames at the model's rate; without it another rate is an error. A slower video always is."""
    json: bool = False
    """Print the result as JSON."""
    dry_run: bool = False
    """Check everything, print the frame arithmetic and stop."""

    def __post_init__(self):
        if (self.video is None) == (self.image is None):
            raise ConfigError("generate needs one of --video and --image, got both or neither; give one")
        if self.image is not None and self.context_frames is not None:
            raise ConfigError(
                f"--context-frames goes with --video, got {self.context_frames} and --image; an image is one frame, leave it out"
            )
        for name in ("context_frames", "num_frames"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ConfigError(f"--{name.replace('_', '-')} must be at least 1, got {value}; raise it")
        check_output_file(self.out, ".mp4", inputs=[self.video, self.image], overwrite=self.overwrite)


def run(args: list[str]) -> int:
    """Parse, predict, write, print."""
    options = parse(GenerateArgs, prog="worldfoundry generate", args=args)
    sys.stdout.write(importlib.import_module("worldfoundry.cli.generate_work").generate(options) + "\n")
    return 0
