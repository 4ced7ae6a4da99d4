"""Files and folders that appear whole or not at all.

The temporary name is a hidden sibling, so that the last step is a rename on one file system, and it keeps the suffix, so
that writers which look at it (PyAV, matplotlib) still see what they expect.
"""

import fcntl
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from worldfoundry.core.errors import ConfigError

_TEMPORARY = re.compile(r"\..+\.tmp-[0-9a-f]{8}(\..+)?")
"""Names that ``_sibling`` gives."""


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary sibling to write to; it becomes ``path`` on success and is removed on failure.

    Parent folders are made. An existing file is replaced in one step. The file may be read by whoever may read a new file
    here, also where its writer (safetensors) keeps it to itself.
    """
    target = Path(path)
    temporary = _sibling(target)
    try:
        mode = _mode_of_new_files(temporary)
        yield temporary
        temporary.chmod(mode)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary sibling folder to fill; it becomes ``path`` on success and is removed on failure.

    An existing folder is moved aside before the new one takes its name, then removed: a process killed between the two
    renames leaves the old content in a hidden sibling, never a mixture of both.
    """
    target = Path(path)
    temporary = _sibling(target)
    temporary.mkdir()
    try:
        yield temporary
        if target.exists():
            old = _sibling(target)
            target.rename(old)
            temporary.rename(target)
            shutil.rmtree(old)
        else:
            temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def resumable_folder(
    path: str | os.PathLike[str], plan: dict[str, Any], *, content: str = ""
) -> Iterator[Path]:
    """Yield a hidden sibling folder that outlives a crash; it, or its subfolder ``content``, becomes ``path`` on success.

    ``plan`` is what the content depends on, as JSON values: asked for again with the same plan, the folder comes back as it
    was left; with another plan, or while another process fills it, a ``ConfigError`` says so.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    try:
        with _locked(partial):
            _check_plan(partial / "plan.json", plan, target)
            _remove_temporary(partial)
            yield partial
            (partial / "plan.json").unlink()
            (partial / content).rename(target)
            if content:
                shutil.rmtree(partial)
    finally:
        if partial.is_dir() and {p.name for p in partial.iterdir()} <= {"plan.json"}:  # nothing to go on from
            shutil.rmtree(partial)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder; the system forgets the lock with the process."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise ConfigError(
            f"{folder} must be filled by one process at a time, got a second one; wait for the first, or name another folder"
        ) from error
    finally:
        os.close(descriptor)


def _check_plan(file: Path, plan: dict[str, Any], target: Path) -> None:
    """Write the plan, or compare it with the one that began this folder."""
    if not file.exists():
        with atomic_path(file) as temporary:
            temporary.write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")
        return
    began = json.loads(file.read_text(encoding="utf-8"))
    asked = json.loads(json.dumps(plan))
    other = [name for name in sorted({*began, *asked}) if began.get(name) != asked.get(name)]
    if other:
        sides = ", ".join(f"{name} {began.get(name)!r} before and {asked.get(name)!r} now" for name in other)
        raise ConfigError(
            f"{target} was begun with other settings, got {sides}; give the same to go on, or remove {file.parent}"
        )


def _remove_temporary(folder: Path) -> None:
    """What a killed process was writing when it died, which would stay beside the whole files for ever."""
    for left in [p for p in folder.rglob(".*") if _TEMPORARY.fullmatch(p.name)]:
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)


def _mode_of_new_files(path: Path) -> int:
    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)
    path.unlink()
    return mode


def _sibling(target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f".{target.stem}.tmp-{secrets.token_hex(4)}{target.suffix}")
