"""The ``worldfoundry`` command: finds the module of a command, runs it, turns what happens into an exit code.

Exit codes: 0 done · 1 user-fixable, one line on stderr · 2 usage · 3 refused by a guardrail, or some sources of a curation
failed · 4 a curation was stopped by its circuit breaker · 130 interrupted · 143 terminated. Anything else is a bug and
shows its traceback. Nothing heavy is imported before the command is known.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from worldfoundry import __version__
from worldfoundry.core.errors import GuardrailRefusal, UnknownNameError, UsageError, WorldFoundryError


class Command(NamedTuple):
    """A command of the tree; its module has ``run(args: list[str]) -> int``, which returns the exit code."""

    module: str
    """Where it is."""
    help: str
    """One line."""
    example: str
    """A line that works as it stands, on files the user has."""


GROUPS: dict[str, dict[str, Command]] = {
    "Start here": {
        "demo": Command(
            "worldfoundry.cli.demo",
            "the whole story on the sample clips: curate, compress, predict, report",
            "worldfoundry demo",
        ),
        "doctor": Command(
            "worldfoundry.cli.doctor",
            "check this machine and name the fix for what is missing",
            "worldfoundry doctor",
        ),
    },
    "Data": {
        "curate": Command(
            "worldfoundry.cli.curate",
            "turn raw footage into scored, uniform clips with a report",
            "worldfoundry curate run samples/ --out curated/",
        ),
        "simulate": Command(
            "worldfoundry.cli.simulate",
            "render physical scenes with ground truth",
            "worldfoundry simulate dominoes --clips 4 --out simulated/",
        ),
        "data": Command(
            "worldfoundry.cli.data",
            "look into videos and data sets",
            "worldfoundry data inspect samples/",
        ),
    },
    "Models": {
        "tokenize": Command(
            "worldfoundry.cli.tokenize",
            "compress clips to latents and back",
            "worldfoundry tokenize roundtrip samples/driving.mp4 --cut --out back.mp4",
        ),
        "train": Command(
            "worldfoundry.cli.train",
            "train a tokenizer or a world model from a recipe",
            "worldfoundry train dit-v2w-nano --dry-run",
        ),
        "generate": Command(
            "worldfoundry.cli.generate",
            "predict what happens next in a video",
            "worldfoundry generate --image photo.png --fit crop --out future.mp4",
        ),
        "evaluate": Command(
            "worldfoundry.cli.evaluate",
            "measure a model against floors and ceiling",
            "worldfoundry evaluate rollout --scene free-fall --num-clips 8",
        ),
        "models": Command(
            "worldfoundry.cli.models",
            "list, show and convert models",
            "worldfoundry models list",
        ),
        "parity": Command(
            "worldfoundry.cli.parity",
            "compare this code with stored golden cases",
            "worldfoundry parity tests/data/golden",
        ),
    },
}
COMMANDS: dict[str, Command] = {name: command for group in GROUPS.values() for name, command in group.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (``sys.argv`` by default) and return its exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _dispatch(args)
        sys.stdout.flush()
    except SystemExit as request:  # argument parsers leave this way
        code = _code_of(request)
    except GuardrailRefusal as refusal:
        code = _complain("refused", refusal, 3)
    except (UsageError, UnknownNameError) as error:
        code = _complain("error", error, 2)
    except WorldFoundryError as error:
        code = _complain("error", error, 1)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        code = 130
    except BrokenPipeError:  # the reader of a pipe has left: nobody to tell
        _silence_stdout()
        code = 141
    return code


def help_text() -> str:
    """What ``worldfoundry --help`` prints."""
    lines = [
        "worldfoundry: from raw footage to a model that predicts what happens next",
        "",
        "usage: worldfoundry COMMAND [...]        worldfoundry COMMAND --help for its settings",
    ]
    for title, group in GROUPS.items():
        lines += ["", title]
        for name, command in group.items():
            lines += [f"  {name:<10} {command.help}", f"  {'':<10} $ {command.example}"]
    lines += ["", "Options", "  --help, -h   this text", "  --version    the version", ""]
    return "\n".join(lines)


def _dispatch(args: list[str]) -> int:
    if not args or args[0] in ("--help", "-h", "help"):
        sys.stdout.write(help_text())
        return 0
    if args[0] == "--version":
        sys.stdout.write(f"worldfoundry {__version__}\n")
        return 0
    name, *rest = args
    if name not in COMMANDS:
        kind = "option" if name.startswith("-") else "command"
        known = ("--help", "--version") if kind == "option" else COMMANDS
        return _complain("error", UnknownNameError(kind, name, known), 2)
    return importlib.import_module(COMMANDS[name].module).run(rest)


def _code_of(request: SystemExit) -> int:
    if request.code is None or isinstance(request.code, int):
        return request.code or 0
    sys.stderr.write(f"{request.code}\n")
    return 1


def _complain(word: str, error: Exception, code: int) -> int:
    sys.stderr.write(f"{word}: {' '.join(str(error).split())}\n")
    return code


def _silence_stdout() -> None:
    """Let the interpreter flush into nowhere when it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
