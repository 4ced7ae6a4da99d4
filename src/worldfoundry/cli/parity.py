"""``worldfoundry parity``: run every golden case below a folder and print the differences."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from worldfoundry.cli.parse import parse

if TYPE_CHECKING:
    from worldfoundry.evaluate.parity import ParityRow


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityArguments:
    """Run every golden case below DIR; exit 1 if one fails.

    Example: worldfoundry parity tests/data/golden
    """

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """Folder with <case>.json + <case>.safetensors pairs, at any depth."""
    json: bool = False
    """Print a JSON list instead of a table."""


def run(args: list[str]) -> int:
    """Run the command; 0 if nothing failed, else 1."""
    arguments = parse(ParityArguments, prog="worldfoundry parity", args=args)
    from worldfoundry.evaluate.parity import run_parity  # noqa: PLC0415  imports torch

    failed, rows = False, []
    for row in run_parity(arguments.folder):
        failed |= row.verdict == "fail"
        if arguments.json:
            rows.append({k: v for k, v in asdict(row).items() if k != "note" or v})
        else:
            sys.stdout.write(_line(row))
    if arguments.json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
    return int(failed)


def _line(row: "ParityRow") -> str:
    numbers = ("-" if n is None else f"{n:.2e}" for n in (row.max_abs, row.tolerance))
    return (
        " ".join([f"{row.case:<52}", *(f"{n:>9}" for n in numbers), f"{row.verdict:<12}{row.note}"]).rstrip()
        + "\n"
    )
