"""``worldfoundry models``: what weights are at hand."""

import importlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from worldfoundry.cli.output import check_output_folder
from worldfoundry.cli.parse import parse_command
from worldfoundry.models.pretrained.config import describe, shipped_names
from worldfoundry.models.pretrained.source import OpenOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class ListArgs:
    """Names of the shipped models.

    Example: worldfoundry models list
    """

    json: bool = False
    """Print JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowArgs:
    """Everything that is known of one model; of files of others, the configuration that their weights say.

    Example: worldfoundry models show dit-v2w-nano

    Example: worldfoundry models show downloads/Cosmos-Tokenize1-DV8x16x16-720p/encoder.jit
    """

    name: Annotated[str, tyro.conf.Positional]
    """Shipped or published name, file, folder, run folder, or owner/repository on the Hub."""
    opening: tyro.conf.OmitArgPrefixes[OpenOptions] = field(default_factory=OpenOptions)
    """What published weights do not say themselves."""
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
    """Show one model: what its configuration says, or what its weights do."""
    if args.name in shipped_names():
        found = describe(args.name)
    else:
        work = importlib.import_module("worldfoundry.cli.models_work")
        found = work.show(args.name, args.opening)
    sys.stdout.write(json.dumps(found, indent=None if args.json else 2) + "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertArgs:
    """Write a model again in another layout, bit by bit, or in another precision: a checkpoint becomes a release.

    Example: worldfoundry models convert runs/dit-v2w-nano/20261122-180000-fern --out dit-v2w-nano --dtype bfloat16

    Example: worldfoundry models convert nvidia/Cosmos-Tokenize1-CV8x8x8-720p --to native --out cv8x8x8

    Example: worldfoundry models convert wavetok-c-t4s8z16-nano --to official --out nano-official
    """

    name: Annotated[str, tyro.conf.Positional]
    """Shipped or published name, file, folder, run folder (its newest checkpoint), or owner/repository on the Hub."""
    out: Path
    """Folder to write; it must not exist yet."""
    to: Literal["native", "official", "diffusers"] = "native"
    """Layout to write. Official files hold weights and no trace; diffusers has continuous video tokenizers only."""
    dtype: Literal["as-stored", "bfloat16", "float32"] = "as-stored"
    """Precision of the weights written."""
    opening: tyro.conf.OmitArgPrefixes[OpenOptions] = field(default_factory=OpenOptions)
    """What published weights do not say themselves."""
    json: bool = False
    """Print what was loaded as JSON."""

    def __post_init__(self):
        check_output_folder(self.out)


def convert_model(args: ConvertArgs) -> None:
    """Write a model in another layout and print what was loaded."""
    work = importlib.import_module("worldfoundry.cli.models_work")
    sys.stdout.write(work.convert_model(args) + "\n")


_COMMANDS = {"list": ListArgs, "show": ShowArgs, "convert": ConvertArgs}
_WORK = {"list": list_models, "show": show_model, "convert": convert_model}


def run(args: list[str]) -> int:
    """Parse and print."""
    command, options = parse_command(
        _COMMANDS, prog="worldfoundry models", description="List, show and convert models.", args=args
    )
    _WORK[command](options)
    return 0
