"""``worldfoundry data``: look at data sets, turn one form into another, make clip sets for training."""

import importlib
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import tyro

from worldfoundry.cli.data_report import robot_report
from worldfoundry.cli.output import check_output_file, check_output_folder
from worldfoundry.cli.parse import parse_command, usage_errors
from worldfoundry.cli.text import counted
from worldfoundry.core.errors import ConfigError, DataError, require_package

if TYPE_CHECKING:
    from worldfoundry.data.prepare import PrepareConfig
    from worldfoundry.data.stored.clip import StoredDataset


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectArgs:
    """Say what videos, clip sets or LeRobot data sets are, and what is wrong with them.

    Example: worldfoundry data inspect samples/
    """

    paths: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Video files, folders of videos, clip sets, WebDataset shards, or LeRobot data sets."""
    decode: bool = False
    """Also decode every video of a folder to its end, which finds damage inside of them; it takes its time."""
    sheet: Path | None = None
    """Also write a picture (.png) of the first clips of one data set."""
    json: bool = False
    """Print a JSON list."""

    def __post_init__(self):
        if self.sheet is not None:
            if len(self.paths) != 1:
                raise ConfigError(f"--sheet shows one data set, got {len(self.paths)} paths; name one")
            check_output_file(self.sheet, ".png", overwrite=True)
        if not self.paths:
            raise ConfigError("data inspect needs a path, got none; name videos, folders or clip sets")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertArgs:
    """Write a data set in another form; what that form cannot hold is an error, or left out by name.

    Example: worldfoundry data convert robot/ --to lerobot --out robot-v3 --drop facts
    """

    path: Annotated[Path, tyro.conf.Positional]
    """Clip set, folder of videos, simulated folder, WebDataset shards, curated set, or LeRobot data set."""
    to: Literal["webdataset", "folder", "clip-set", "lerobot"]
    """Form to write."""
    out: Path
    """Folder to make."""
    drop: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Array, view, or one of facts, controls, caption to leave out; may be given several times."""
    crf: int = 12
    """Quality of videos that have to be encoded, 0 (best) to 51; whole videos are copied as they are."""
    on_damage: Literal["stop", "skip"] = "stop"
    """Whether clips that cannot be used end the command, or are named and left out."""
    json: bool = False
    """Print the result as JSON."""

    def __post_init__(self):
        if not 0 <= self.crf <= 51:
            raise ConfigError(f"--crf must be 0 to 51, got {self.crf}; 12 is hardly seen")
        check_output_folder(self.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareArgs:
    """Cut clips of any form into equally long square ones: a clip set for training, or one a part of a split.

    Example: worldfoundry data prepare footage/ --out datasets/real --size 96 --fps 10 --num-frames 17 --crops 3
    """

    folder: Annotated[Path, tyro.conf.Positional]
    """Folder with videos, or any other data set."""
    out: Path
    """Clip set to make; with --split the folder of several."""
    size: int = 64
    """Side of the clips, pixels."""
    fps: float | None = None
    """Frame rate to resample to; slower videos are left out and named. Without it the rate is kept,
    and must be the same everywhere."""
    num_frames: int = 37
    """Frames of each clip."""
    crops: int = 1
    """1: the centre square; 3: also both ends of the longer side."""
    split: str = ""
    """Parts and shares, such as train=0.9,validation=0.1; clips of one video or episode stay together."""
    drop: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Numbers per frame to leave out, such as actions; may be given several times."""
    latents: str = ""
    """Tokenizer whose latents are stored beside the pixels, plain and mirrored, as world training
    would make them at its start."""
    json: bool = False
    """Print the result as JSON."""

    def __post_init__(self):
        check_output_folder(self.out)


def inspect(args: InspectArgs) -> int:
    """Say what videos or clip sets are; 1 if one of them cannot be used, which does not stop the others."""
    rows = [row for path in args.paths for row in _inspect(path, decode=args.decode)]
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
    if args.sheet is not None:
        stored = importlib.import_module("worldfoundry.data.stored.inspect")
        stored.write_sheet(_opened(args.paths[0]), args.sheet)
    return int(any("error" in row or row.get("problems") for row in rows))


def _inspect(path: Path, *, decode: bool) -> list[dict[str, object]]:
    """A row for the clip set, or one for each video; what cannot be used has a row with its error."""
    try:
        return _rows(path, decode=decode)
    except DataError as error:
        return [{"path": str(path), "error": str(error)}]


def _rows(path: Path, *, decode: bool) -> list[dict[str, object]]:
    video_io = importlib.import_module("worldfoundry.data.video_io")
    files = importlib.import_module("worldfoundry.data.files")
    if (path / "meta" / "info.json").is_file():
        require_package("pyarrow", "curate")
        return [importlib.import_module("worldfoundry.data.lerobot_inspect").inspect_lerobot(path)]
    if path.suffix == ".tar" or (path.is_dir() and not _is_plain(path)):
        stored = importlib.import_module("worldfoundry.data.stored.inspect")
        return [stored.inspect_dataset(_opened(path))]
    rows: list[dict[str, object]] = []
    for file in files.find_videos(path) if path.is_dir() else [path]:
        try:
            row = {"path": str(file), **asdict(video_io.probe(file))}
            video_io.check_whole(file, decode=decode)
            rows.append(row)
        except DataError as error:
            rows.append({"path": str(file), "error": str(error)})
    return rows


def _is_plain(path: Path) -> bool:
    """A folder of videos and nothing that describes them."""
    is_clip_set = importlib.import_module("worldfoundry.data.clip_set").is_clip_set
    if is_clip_set(path) or any(path.rglob("*.tar")):
        return False
    return not importlib.import_module("worldfoundry.data.stored.folder").is_described(path)


def _opened(path: Path) -> "StoredDataset":
    return importlib.import_module("worldfoundry.data.stored").open_dataset(path)


def convert(args: ConvertArgs) -> int:
    """Write a data set in another form."""
    module = importlib.import_module("worldfoundry.data.stored.convert")
    dataset = _opened(args.path)
    for problem in dataset.problems:
        sys.stderr.write(f"{'error' if args.on_damage == 'stop' else 'left out'}: {problem}\n")
    if dataset.problems and args.on_damage == "stop":
        raise DataError(
            f"{args.path} must hold clips that can be used, got {counted(len(dataset.problems), 'problem')}; mend them, or leave "
            "them out with --on-damage skip"
        )
    done = module.convert(dataset, args.out, args.to, drop=args.drop, crf=args.crf)
    result = {"out": str(args.out), **asdict(done)}
    said = f"{counted(done.clips, 'clip')} in {args.out}: {counted(done.copied, 'video')} copied, {done.encoded} encoded anew"
    sys.stdout.write((json.dumps(result) if args.json else said) + "\n")
    return 0


def prepare(args: PrepareArgs, line: list[str]) -> int:
    """Make clip sets; ``line`` is the command line, for errors."""
    module = importlib.import_module("worldfoundry.data.prepare")
    with usage_errors(line):
        config: PrepareConfig = module.PrepareConfig(
            size=args.size,
            fps=args.fps,
            num_frames=args.num_frames,
            crops=args.crops,
            split=_shares(args.split),
            drop=args.drop,
        )
    if args.folder.is_file() and args.folder.suffix != ".tar":
        raise DataError(f"{args.folder} must be a folder with videos, got a file; name the folder it is in")
    parts, left_out = module.prepare(_opened(args.folder), args.out, config)
    for reason in left_out:
        sys.stderr.write(f"left out: {reason}\n")
    if args.latents:
        importlib.import_module("worldfoundry.training.world_task").encode_sets(parts.values(), args.latents)
    counts = {name: len(made) for name, made in parts.items()}
    result = {"out": str(args.out), "clips": sum(counts.values()), "left_out": left_out}
    said = ", ".join(f"{counted(n, 'clip')} in {args.out / name}" for name, n in counts.items())
    result |= {"parts": counts} if args.split else {}
    sys.stdout.write((json.dumps(result) if args.json else said) + "\n")
    return 0


def _shares(text: str) -> tuple[tuple[str, float], ...]:
    """``train=0.9,test=0.1``."""
    try:
        pairs = [part.split("=") for part in text.split(",") if part]
        return tuple((name.strip(), float(share)) for name, share in pairs)
    except ValueError as error:
        raise ConfigError(
            f"--split must be names and shares, got {text!r}; write train=0.9,test=0.1"
        ) from error


def run(args: list[str]) -> int:
    """Parse and run."""
    command, options = parse_command(
        {"inspect": InspectArgs, "prepare": PrepareArgs, "convert": ConvertArgs},
        prog="worldfoundry data",
        description="Look at data sets, turn one form into another, make clip sets for training.",
        args=args,
    )
    if command == "convert":
        return convert(options)
    return inspect(options) if command == "inspect" else prepare(options, args)
