"""``worldfoundry simulate``: ground-truth clips from MuJoCo scenes."""

import importlib
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from worldfoundry.cli.output import check_output_folder
from worldfoundry.cli.parse import parse
from worldfoundry.cli.text import counted
from worldfoundry.core.errors import ConfigError
from worldfoundry.simulate.recording import LEAST_SIZE_PX
from worldfoundry.simulate.worlds import find_world


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateArgs:
    """Simulate clips with known physics: frames, camera, segmentation, body states.

    Example: worldfoundry simulate free-fall --clips 3 --out falling
    """

    scene: Annotated[str, tyro.conf.Positional]
    """Scene, or several separated by commas: free-fall, tilted-plane, u-slope, stable-stack,
    unstable-stack, dominoes, seesaw, gyroscope, room, outdoor, arm, drive. After a slash, the
    variant of one that has some, such as room/orbit, arm/push, drive/turn-left."""
    out: Path
    """Folder to make."""
    clips: int = 1
    """Clips of each scene."""
    seed: int = 0
    """Seed of the first clip; the others count up. Seeds from 1,000,000 on are kept for evaluation."""
    num_frames: Annotated[int, tyro.conf.arg(aliases=["--frames"])] = 37
    """Frames of each clip."""
    fps: float = 10.0
    """Frames per second."""
    size: int = 64
    """Side of the square picture, pixels."""
    renderer: Literal["raycast", "gl", "auto"] = "raycast"
    """raycast: the same bytes everywhere; gl: OpenGL; auto: gl where it works, else raycast."""
    format: Literal["videos", "shards", "clip-set"] = "videos"
    """videos: one mp4 and one npz of ground truth a clip; shards: WebDataset tar files of videos,
    captions, actions, poses; clip-set: one array of pixels for training, and arrays of actions
    and poses."""
    workers: int = 1
    """Processes."""
    json: bool = False
    """Print the result as JSON."""
    dry_run: bool = False
    """Say what would be made and stop."""

    def __post_init__(self):
        for scene in self.scenes:
            find_world(scene)
        least = {"clips": 1, "seed": 0, "num_frames": 1, "size": LEAST_SIZE_PX, "workers": 1}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ConfigError(
                    f"--{name.replace('_', '-')} must be at least {value}, got {getattr(self, name)}; raise it"
                )
        if not 0 < self.fps < math.inf:
            raise ConfigError(f"--fps must be above 0 and finite, got {self.fps}; the samples use 10")
        if self.format != "clip-set" and self.size % 2:
            raise ConfigError(
                f"--size must be even for videos, got {self.size}; use {self.size + 1}, or --format clip-set"
            )
        check_output_folder(self.out)

    @property
    def plan(self) -> dict[str, Any]:
        """What the clips depend on."""
        names = ("scene", "clips", "seed", "num_frames", "fps", "size", "format")
        return {name: getattr(self, name) for name in names}

    @property
    def scenes(self) -> list[str]:
        """Names of the scenes."""
        return self.scene.split(",")


def run(args: list[str]) -> int:
    """Parse, simulate, print where it went."""
    options = parse(SimulateArgs, prog="worldfoundry simulate", args=args)
    plan = {
        "scenes": options.scenes,
        "clips": options.clips * len(options.scenes),
        "num_frames": options.num_frames,
        "fps": options.fps,
        "size": options.size,
        "out": str(options.out),
    }
    work = importlib.import_module("worldfoundry.cli.simulate_work")
    if options.dry_run:
        work.check(options)
    else:
        work.write(options)
    made = f"{counted(options.clips * len(options.scenes), 'clip')} of {options.scene} in {options.out}"
    text = json.dumps(plan) if options.json else made
    sys.stdout.write(("would make " if options.dry_run and not options.json else "") + text + "\n")
    return 0
