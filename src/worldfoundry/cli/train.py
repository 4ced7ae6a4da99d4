"""``worldfoundry train``: one trainer, many recipes."""

import importlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, cast

import tyro

from worldfoundry.core.config import to_json
from worldfoundry.recipes.table import RECIPES
from worldfoundry.training.config import TrainConfig

_USAGE = """usage: worldfoundry train RECIPE [--field VALUE ...] [--runs DIR] [--dry-run] [--json]

Train a recipe; the same command again goes on where it stopped. 'worldfoundry train RECIPE --help' lists every field.

Example: worldfoundry train dit-v2w-nano --dry-run

recipes:
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainArgs:
    """Train a recipe; the same command again goes on where it stopped.

    Example: worldfoundry train dit-v2w-nano --steps 8000 --data datasets/sim-world
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
    config = RECIPES.get(args[0])()
    options = tyro.cli(
        tyro.conf.AvoidSubcommands[TrainArgs],
        prog=f"worldfoundry train {args[0]}",
        default=TrainArgs(config=config),
        args=args[1:],
    )
    if options.threads:
        importlib.import_module("torch").set_num_threads(options.threads)
    if options.dry_run:
        plan = importlib.import_module("worldfoundry.training.plan").plan(options.config)
        if options.json:
            sys.stdout.write(json.dumps({**plan, "config": to_json(options.config)}) + "\n")
        else:
            sys.stdout.write("".join(f"{key.replace('_', ' '):<22} {value}\n" for key, value in plan.items()))
        return 0
    folder = importlib.import_module("worldfoundry.training.trainer").train(
        options.config, runs_root=options.runs
    )
    sys.stdout.write((json.dumps({"run": str(folder)}) if options.json else str(folder)) + "\n")
    return 0
