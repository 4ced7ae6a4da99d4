"""What ``--out`` may be; asked while the command line is parsed, before any work."""

import os
from collections.abc import Iterable
from pathlib import Path

from worldfoundry.core.errors import ConfigError


def check_output_file(
    out: Path, suffix: str, *, inputs: Iterable[Path | None] = (), overwrite: bool = False
) -> None:
    """A file to write: of ``suffix``, none of the ``inputs``, and not there yet unless ``overwrite``."""
    if out.suffix.lower() != suffix:
        raise ConfigError(f"--out must end in {suffix}, got {str(out)!r}; rename it")
    if any(_is_same(out, source) for source in inputs if source is not None):
        raise ConfigError(
            f"--out must not be the input, which would be lost, got {str(out)!r} for both; name another file"
        )
    if out.is_dir():
        raise ConfigError(f"--out must be a file, got the folder {str(out)!r}; name a file in it")
    if out.exists() and not overwrite:
        raise ConfigError(
            f"--out must not exist yet, got {str(out)!r}; name another file or replace it with --overwrite"
        )
    _check_parent(out)


def check_output_folder(out: Path) -> None:
    """A folder to make: there must be nothing of its name."""
    if out.exists():
        raise ConfigError(f"--out must not exist yet, got {str(out)!r}; name another folder or remove it")
    _check_parent(out)


def _check_parent(out: Path) -> None:
    parent = next(p for p in out.absolute().parents if p.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        got = "one that cannot be written to" if parent.is_dir() else "a file"
        raise ConfigError(
            f"--out must be in a folder of yours, got {str(out)!r}, and {parent} is {got}; name another place"
        )


def _is_same(out: Path, source: Path) -> bool:
    if out.exists() and source.exists():
        return out.samefile(source)
    return out.resolve() == source.resolve()
