"""``worldfoundry data``: look at videos and clip sets, make clip sets for training."""

import importlib
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import tyro

from worldfoundry.cli.data_report import robot_report
from worldfoundry.cli.output import check_output_folder
from worldfoundry.cli.parse import parse_command, usage_errors
from worldfoundry.cli.text import counted
from worldfoundry.core.errors import ConfigError, DataError, require_package

if TYPE_CHECKING:
    from worldfoundry.data.prepare import PrepareConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectArgs:
    """Say what videos, clip sets or LeRobot data sets are, and what is wrong with them.

    Example: worldfoundry data inspect samples/
    """

    paths: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Video files, folders of videos, clip sets, or LeRobot data sets."""
    json: bool = False
    """Print a JSON list."""

    def __post_init__(self):
        if not self.paths:
            raise ConfigError("data inspect needs a path, got none; name videos, folders or clip sets")


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
    json: bool = False
    """Print the result as JSON."""

    def __post_init__(self):
        check_output_folder(self.out)


def inspect(args: InspectArgs) -> int:
    """Say what videos or clip sets are; 1 if one of them cannot be used, which does not stop the others."""
    rows = [row for path in args.paths for row in _inspect(path)]
    if args.json:
        sys.stdout.write(json.dumps(rows) + "\n")
    for row in rows:
        for problem in cast("list[str]", row.get("problems", [])):
            sys.stderr.write(f"error: {problem}\n")
        if "error" in row:
            sys.stderr.write(f"error: {row['error']}\n")
        elif "features" in row and not args.json:
            sys.stdout.write(robot_report(row))
        elif not args.json:
            sys.stdout.write("  ".join(f"{key} {value}" for key, value in row.items()) + "\n")
    return int(any("error" in row or row.get("problems") for row in rows))


def _inspect(path: Path) -> list[dict[str, object]]:
    """A row for the clip set, or one for each video; what cannot be used has a row with its error."""
    try:
        return _rows(path)
    except DataError as error:
        return [{"path": str(path), "error": str(error)}]


def _rows(path: Path) -> list[dict[str, object]]:
    video_io = importlib.import_module("worldfoundry.data.video_io")
    files = importlib.import_module("worldfoundry.data.files")
    if (path / "meta" / "info.json").is_file():
        require_package("pyarrow", "curate")
        return [importlib.import_module("worldfoundry.data.lerobot_inspect").inspect_lerobot(path)]
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
            rows.append({"path": str(file), "error": str(error)})
    return rows


def prepare(args: PrepareArgs, line: list[str]) -> int:
    """Make a clip set; ``line`` is the command line, for errors."""
    module = importlib.import_module("worldfoundry.data.prepare")
    with usage_errors(line):
        config: PrepareConfig = module.PrepareConfig(
            size=args.size, fps=args.fps, num_frames=args.num_frames, crops=args.crops
        )
    made, left_out = module.prepare_videos(args.folder, args.out, config)
    for reason in left_out:
        sys.stderr.write(f"left out: {reason}\n")
    result = {"out": str(args.out), "clips": len(made), "left_out": left_out}
    sys.stdout.write(
        (json.dumps(result) if args.json else f"{counted(len(made), 'clip')} in {args.out}") + "\n"
    )
    return 0


def run(args: list[str]) -> int:
    """Parse and run."""
    command, options = parse_command(
        {"inspect": InspectArgs, "prepare": PrepareArgs},
        prog="worldfoundry data",
        description="Look at videos and clip sets, make clip sets for training.",
        args=args,
    )
    return inspect(options) if command == "inspect" else prepare(options, args)
