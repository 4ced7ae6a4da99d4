"""The one error tree.

::

    WorldFoundryError
    ├── ConfigError            (ValueError)    wrong setting: field, rule, value, fix
    │   └── UsageError                         the same on the command line: exit code 2
    ├── UnknownNameError       (LookupError)   no such name; carries the nearest ones
    ├── MissingDependencyError (ImportError)   the extra to install
    ├── DataError              (ValueError)    file, what was expected, what to do
    ├── CheckpointError        (RuntimeError)  weights, configuration and code disagree
    └── GuardrailRefusal       (RuntimeError)  a judge said no

Each message says on one line *what* thing broke *which rule*, the value it had, and how to fix it. The command line
catches ``WorldFoundryError`` only and prints that line; anything else is a bug and shows its traceback.
"""

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class WorldFoundryError(Exception):
    """Base of every error that a user can cause and mend."""


class ConfigError(WorldFoundryError, ValueError):
    """A setting breaks a rule; the message names the field, the rule, the value and the fix."""


class UsageError(ConfigError):
    """A command line is wrong; the message names the option, the rule, the value and the fix."""


class UnknownNameError(WorldFoundryError, LookupError):
    """A name is not known; the message offers the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]):
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = (
            f"did you mean {' or '.join(map(repr, near))}?"
            if near
            else f"known: {', '.join(names) or 'none'}"
        )
        super().__init__(f"unknown {kind} {name!r}; {hint}")


class MissingDependencyError(WorldFoundryError, ImportError):
    """A feature needs a package that an extra brings."""


class DataError(WorldFoundryError, ValueError):
    """A file cannot be used; the message names it, what was expected and what to do."""


class CheckpointError(WorldFoundryError, RuntimeError):
    """Weights, configuration and code disagree."""


class GuardrailRefusal(WorldFoundryError, RuntimeError):
    """A guardrail refused the input or the output."""


def require_package(module: str, extra: str) -> ModuleType:
    """Import ``module`` or say which extra of worldfoundry brings it.

    >>> require_package("json", "curate").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"{module!r} is needed here and is not installed; run: pip install 'worldfoundry[{extra}]'"
        ) from error
