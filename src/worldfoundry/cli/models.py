"""``worldfoundry models``: what weights are at hand."""

import importlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from worldfoundry.cli.output import check_output_folder
from worldfoundry.cli.parse import parse_command
from worldfoundry.models.pretrained.config import describe, shipped_names


@dataclass(frozen=True, slots=True, kw_only=True)
class ListArgs:
    """Names of the shipped models.

    Example: worldfoundry models list
    """

    json: bool = False
    """Print JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowArgs:
    """Everything that is known of one model.

    Example: worldfoundry models show dit-v2w-nano
    """

    name: Annotated[str, tyro.conf.Positional]
    """Shipped name, release folder or run folder."""
    json: bool = False
    """Print JSON."""


def list_models(args: ListArgs) -> None:
    """List the shipped models."""
    rows = [describe(name) for name in shipped_names()]
    if args.json:
        sys.stdout.write(
            json.dumps([{k: r[k] for k in ("name", "family", "bytes", "steps")} for r in rows]) + "\n"
        )
        return
    for r in rows:
        sys.stdout.write(
            f"{r['name']:<28} {r['family']:<16} {r['bytes'] / 1e6:6.1f} MB  {r['steps']} steps\n"
        )


def show_model(args: ShowArgs) -> None:
    """Show one model."""
    sys.stdout.write(json.dumps(describe(args.name), indent=None if args.json else 2) + "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertArgs:
    """Write a model again with its weights in another precision: a checkpoint becomes a release.

    Example: worldfoundry models convert runs/dit-v2w-nano/20261122-180000-fern --out dit-v2w-nano --dtype bfloat16
    """

    name: Annotated[str, tyro.conf.Positional]
    """Shipped name, release folder or run folder (its newest checkpoint)."""
    out: Path
    """Folder to write; it must not exist yet."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Precision of the stored weights."""

    def __post_init__(self):
        check_output_folder(self.out)


def convert_model(args: ConvertArgs) -> None:
    """Write a model again with its weights in another precision."""
    dtype = getattr(importlib.import_module("torch"), args.dtype)
    release = importlib.import_module("worldfoundry.models.pretrained.release")
    release.convert_release(args.name, args.out, dtype=dtype)
    sys.stdout.write(f"{args.out}\n")


_COMMANDS = {"list": ListArgs, "show": ShowArgs, "convert": ConvertArgs}
_WORK = {"list": list_models, "show": show_model, "convert": convert_model}


def run(args: list[str]) -> int:
    """Parse and print."""
    command, options = parse_command(
        _COMMANDS, prog="worldfoundry models", description="List and show the models at hand.", args=args
    )
    _WORK[command](options)
    return 0
