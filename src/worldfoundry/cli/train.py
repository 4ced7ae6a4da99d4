"""``worldfoundry train``: one trainer, many recipes."""

import importlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, cast

import tyro

from worldfoundry.cli.parse import parse, usage_errors
from worldfoundry.core.config import to_json
from worldfoundry.models.pretrained.source import is_remote
from worldfoundry.recipes.table import RECIPES
from worldfoundry.training.config import TrainConfig

_USAGE = """usage: worldfoundry train RECIPE [--field VALUE ...] [--runs DIR] [--dry-run] [--json]

Train a recipe; the same command again goes on where it stopped. 'worldfoundry train RECIPE --help' lists every field.

Example: worldfoundry train dit-v2w-nano --dry-run

recipes:
"""

_SCENES = "free-fall,tilted-plane,dominoes"
_MORE = "u-slope,stable-stack,unstable-stack,seesaw,gyroscope,room,outdoor"
DATA_COMMANDS = {
    "datasets/sim-tok": f"worldfoundry simulate {_SCENES} --clips 300 --num-frames 49 --format clip-set --out datasets/sim-tok",
    "datasets/sim-world": f"worldfoundry simulate {_SCENES} --clips 1200 --seed 10000 --num-frames 49 --format clip-set "
    "--out datasets/sim-world",
    "datasets/sim-more": f"worldfoundry simulate {_MORE} --clips 60 --num-frames 33 --format clip-set --out datasets/sim-more",
    "datasets/real-10": "worldfoundry data prepare footage/ --size 96 --fps 10 --num-frames 17 --crops 3 --out datasets/real-10",
    "datasets/real-5": "worldfoundry data prepare robots/ --size 96 --fps 5 --num-frames 17 --crops 3 --out datasets/real-5",
    "datasets/debug": "worldfoundry simulate free-fall --clips 4 --num-frames 13 --format clip-set --out datasets/debug",
}
"""What makes the data of the recipes."""
_ANY_DATA = (
    "name a folder with --data (of a tokenizer: of videos), or make a clip set with 'worldfoundry simulate --format clip-set' or "
    "'worldfoundry data prepare'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainArgs:
    """Train a recipe; the same command again goes on where it stopped.

    Example: worldfoundry train dit-v2w-nano --data datasets/sim-world
    """

    config: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default=cast(TrainConfig, None))
    """The recipe, field by field."""
    runs: Path = Path("runs")
    """Where runs live."""
    threads: int = 0
    """CPU threads; 0 leaves the choice to torch."""
    dry_run: bool = False
    """Print the plan (parameters, memory, tokens, time) and stop."""
    json: bool = False
    """Print results as JSON."""


def run(args: list[str]) -> int:
    """Look the recipe up, apply overrides, plan or train."""
    if not args or args[0] in ("-h", "--help"):
        sys.stdout.write(_USAGE + "".join(f"  {name}\n" for name in RECIPES.names()))
        return 0 if args else 2
    with usage_errors(args):
        config = RECIPES.get(args[0])()
    options = parse(
        tyro.conf.AvoidSubcommands[TrainArgs],
        prog=f"worldfoundry train {args[0]}",
        default=TrainArgs(config=config),
        args=args[1:],
    )
    if options.threads:
        importlib.import_module("torch").set_num_threads(options.threads)
    trainer = importlib.import_module("worldfoundry.training.trainer")
    with usage_errors(args):  # what the options name has to fit
        trainer.resolve_device(options.config.device)
        if not (options.dry_run and is_remote(options.config.init_from)):
            trainer.read_start(options.config)
    if options.dry_run:
        plan = importlib.import_module("worldfoundry.training.plan").plan(options.config)
        if options.json:
            sys.stdout.write(json.dumps({**plan, "config": to_json(options.config)}) + "\n")
        else:
            sys.stdout.write("".join(map(_plan_line, plan.items())))
        return 0
    folder = trainer.train(options.config, runs_root=options.runs)
    sys.stdout.write((json.dumps({"run": str(folder)}) if options.json else str(folder)) + "\n")
    return 0


def _plan_line(entry: tuple[str, Any]) -> str:
    """A line of the plan; bytes as GB, missing data with the command that makes it."""
    key, value = entry
    if key.endswith("_bytes"):
        return f"{key.removesuffix('_bytes').replace('_', ' '):<22} {value / 1e9:.2f} GB\n"
    if key == "missing_data":
        lines = [f"{folder}: {DATA_COMMANDS.get(folder, _ANY_DATA)}" for folder in value] or ["none"]
        return "".join(f"{'missing data' if k == 0 else '':<22} {line}\n" for k, line in enumerate(lines))
    if isinstance(value, dict):
        value = ", ".join(f"{name} {item}" for name, item in value.items()) or "none"
    return f"{key.replace('_', ' '):<22} {value}\n"
