"""``worldfoundry data``: look at videos and clip sets, make clip sets for training."""

import importlib
import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.extras import SubcommandApp

from worldfoundry.core.errors import DataError

if TYPE_CHECKING:
    from worldfoundry.data.prepare import PrepareConfig

app = SubcommandApp()


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectArgs:
    """Say what videos or clip sets are.

    Example: worldfoundry data inspect footage/
    """

    paths: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Video files, folders of videos, or clip sets."""
    json: bool = False
    """Print a JSON list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareArgs:
    """Cut videos into equally long square clips, one clip set for training.

    Example: worldfoundry data prepare footage/ --out datasets/real --size 96 --fps 10 --num-frames 17 --crops 3
    """

    folder: Annotated[Path, tyro.conf.Positional]
    """Folder with videos."""
    out: Path
    """Clip set to make."""
    size: int = 64
    """Side of the clips, pixels."""
    fps: float = 10.0
    """Frame rate of the clips; slower videos are left out and named."""
    num_frames: int = 37
    """Frames of each clip."""
    crops: int = 1
    """1: the centre square; 3: also both ends of the longer side."""
    json: bool = field(default=False)
    """Print the result as JSON."""


@app.command(name="inspect")
def inspect(args: tyro.conf.OmitArgPrefixes[InspectArgs]) -> None:
    """Say what videos or clip sets are."""
    rows = [row for path in args.paths for row in _inspect(path)]
    if args.json:
        sys.stdout.write(json.dumps(rows) + "\n")
        return
    for row in rows:
        sys.stdout.write("  ".join(f"{key} {value}" for key, value in row.items()) + "\n")


def _inspect(path: Path) -> list[dict[str, object]]:
    video_io = importlib.import_module("worldfoundry.data.video_io")
    files = importlib.import_module("worldfoundry.data.files")
    if (path / "pixels.npy").exists():
        opened = importlib.import_module("worldfoundry.data.clip_set").open_clip_set(path)
        return [
            {
                "path": str(path),
                "clips": len(opened),
                "shape": list(opened.pixels.shape[1:]),
                "fps": opened.fps,
            }
        ]
    rows: list[dict[str, object]] = []
    for file in files.find_videos(path) if path.is_dir() else [path]:
        try:
            rows.append({"path": str(file), **asdict(video_io.probe(file))})
        except DataError as error:
            if not path.is_dir():
                raise
            rows.append({"path": str(file), "error": str(error)})
    return rows


@app.command(name="prepare")
def prepare_set(args: tyro.conf.OmitArgPrefixes[PrepareArgs]) -> None:
    """Make a clip set."""
    module = importlib.import_module("worldfoundry.data.prepare")
    config: PrepareConfig = module.PrepareConfig(
        size=args.size, fps=args.fps, num_frames=args.num_frames, crops=args.crops
    )
    made, left_out = module.prepare_videos(args.folder, args.out, config)
    for reason in left_out:
        sys.stderr.write(f"left out: {reason}\n")
    result = {"out": str(args.out), "clips": len(made), "left_out": left_out}
    sys.stdout.write((json.dumps(result) if args.json else f"{len(made)} clips in {args.out}") + "\n")


def run(args: list[str]) -> int:
    """Parse and run."""
    app.cli(prog="worldfoundry data", args=args)
    return 0
