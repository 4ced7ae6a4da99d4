"""Command lines parsed by tyro; whatever is wrong with one is a ``UsageError``: one line that says the option, exit code 2."""

import contextlib
import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import tyro

from worldfoundry.core.errors import ConfigError, UnknownNameError, UsageError

T = TypeVar("T")


def parse(kind: Any, *, prog: str, args: Sequence[str], default: Any = None) -> Any:
    """The settings ``kind`` (a dataclass) that ``args`` say; tyro's own help and usage errors leave by SystemExit."""
    given = {} if default is None else {"default": default}
    return _parsed(lambda: tyro.cli(kind, prog=prog, args=args, **given), args)


def parse_command(
    commands: Mapping[str, type], *, prog: str, description: str, args: Sequence[str]
) -> tuple[str, Any]:
    """The chosen name of ``commands`` and its settings."""
    options = _parsed(
        lambda: tyro.extras.subcommand_cli_from_dict(
            dict(commands), prog=prog, description=description, args=args
        ),
        args,
    )
    return next(name for name, kind in commands.items() if type(options) is kind), options


@contextlib.contextmanager
def usage_errors(args: Sequence[str]) -> Iterator[None]:
    """Settings that break a rule in here, and names that are not known, are errors of the command line ``args``."""
    try:
        yield
    except (ConfigError, UnknownNameError) as error:
        raise UsageError(_naming_the_option(str(error), "", args)) from error


def _parsed(cli: Callable[[], T], args: Sequence[str]) -> T:
    said = io.StringIO()  # tyro wraps the errors of our own rules in a box that names its internals
    try:
        with usage_errors(args), contextlib.redirect_stderr(said):
            options = cli()
    except SystemExit as request:
        found = _broken_rule(request)
        if found is not None:
            rule, section = found
            raise UsageError(_naming_the_option(str(rule), section, args)) from rule
        sys.stderr.write(said.getvalue())
        raise
    sys.stderr.write(said.getvalue())
    return options


def _broken_rule(request: SystemExit) -> tuple[ConfigError, str] | None:
    """The rule of ours that made tyro give up, and the dotted section of the settings it is about."""
    section, error = "", request.__context__
    while error is not None and not isinstance(error, ConfigError):
        where = getattr(error, "arg", "")
        section = where if isinstance(where, str) else section
        error = error.__context__
    parts = [p for p in section.split(".") if p != "config" and p[:1].islower()]  # no internals, no class
    return None if error is None else (error, ".".join(parts))


def _naming_the_option(message: str, section: str, args: Sequence[str]) -> str:
    """``motion`` and "min must be ..." as "--motion.min must be ...", where ``args`` have that option."""
    name, _, rest = message.partition(" ")
    given = {arg.partition("=")[0].replace("_", "-") for arg in args}
    for candidate in (f"{section}.{name}", name, name.partition(".")[2]):
        option = f"--{candidate.replace('_', '-')}"
        if option in given:
            return f"{option} {rest}"
    is_told = not section or message.startswith((f"{section}.", "--"))
    return message if is_told else f"{section}: {message}"
