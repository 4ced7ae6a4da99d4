"""Files and folders that appear whole or not at all.

The temporary name is a hidden sibling, so that the last step is a rename on one file system, and it keeps the suffix, so
that writers which look at it (PyAV, matplotlib) still see what they expect.
"""

import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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


def _mode_of_new_files(path: Path) -> int:
    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)
    path.unlink()
    return mode


def _sibling(target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f".{target.stem}.tmp-{secrets.token_hex(4)}{target.suffix}")
