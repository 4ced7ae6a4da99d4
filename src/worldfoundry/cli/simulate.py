"""``worldfoundry simulate``: ground-truth clips from MuJoCo scenes."""

import importlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from worldfoundry.core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateArgs:
    """Simulate clips with known physics: frames, camera, segmentation, body states.

    Example: worldfoundry simulate free-fall --clips 3 --out falling
    """

    scene: Annotated[str, tyro.conf.Positional]
    """Scene, or several separated by commas: free-fall, tilted-plane, dominoes."""
    out: Path
    """Folder to make."""
    clips: int = 1
    """Clips of each scene."""
    seed: int = 0
    """Seed of the first clip; the others count up. Seeds from 1,000,000 on are kept for evaluation."""
    num_frames: int = 37
    """Frames of each clip."""
    fps: float = 10.0
    """Frames per second."""
    size: int = 64
    """Side of the square picture, pixels."""
    renderer: str = "raycast"
    """raycast (the same bytes everywhere), gl, or auto."""
    format: str = "videos"
    """videos: one mp4 and one npz of ground truth a clip; clip-set: one array of pixels for training."""
    workers: int = 1
    """Processes."""
    json: bool = False
    """Print the result as JSON."""
    dry_run: bool = False
    """Say what would be made and stop."""

    def __post_init__(self):
        if self.clips < 1 or self.workers < 1:
            raise ConfigError(
                f"--clips and --workers must be at least 1, got {self.clips} and {self.workers}; raise them"
            )
        if self.format not in ("videos", "clip-set"):
            raise ConfigError(f"--format must be 'videos' or 'clip-set', got {self.format!r}; choose one")


def run(args: list[str]) -> int:
    """Parse, simulate, print where it went."""
    options = tyro.cli(SimulateArgs, prog="worldfoundry simulate", args=args)
    plan = {
        "scenes": options.scene.split(","),
        "clips": options.clips * len(options.scene.split(",")),
        "num_frames": options.num_frames,
        "fps": options.fps,
        "size": options.size,
        "out": str(options.out),
    }
    if not options.dry_run:
        importlib.import_module("worldfoundry.cli.simulate_work").write(options)
    text = json.dumps(plan) if options.json else f"{plan['clips']} clips of {options.scene} in {options.out}"
    sys.stdout.write(("would make " if options.dry_run and not options.json else "") + text + "\n")
    return 0
