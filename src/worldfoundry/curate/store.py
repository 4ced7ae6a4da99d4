"""Where results live: a folder of this machine, or an object store through fsspec.

A file appears whole or not at all: on a file system by a synced temporary sibling and a rename, in an object store because
one upload is one object. Names are relative, with forward slashes.
"""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worldfoundry.core.errors import ConfigError, DataError, require_package
from worldfoundry.core.files import atomic_path

_PROBE = ".preflight.tmp-0"  # hidden: a run that is killed here leaves an empty set
DISK_ERRORS = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS))
"""Errors that say that nothing more can be written; no fault of what was to be written."""


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of results; picklable, so that workers write to it too."""

    root: str
    """Absolute path, or URL such as s3://bucket/prefix."""

    @property
    def is_local(self) -> bool:
        """Whether files are on this machine's file systems."""
        return "://" not in self.root

    def url(self, name: str = "") -> str:
        """Path or URL of a file, for people."""
        return f"{self.root}/{name}" if name else self.root

    def read_bytes(self, name: str) -> bytes:
        """Content of a file; FileNotFoundError if there is none."""
        if self.is_local:
            return Path(self.root, name).read_bytes()
        return file_system(self.root).cat_file(self.url(name))

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write a file, whole or not at all."""
        with self.writing(name) as path:
            path.write_bytes(data)

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        if self.is_local:
            return Path(self.root, name).is_file()
        return bool(file_system(self.root).exists(self.url(name)))

    def size(self, name: str) -> int | None:
        """Bytes of a file, None if there is none."""
        try:
            if self.is_local:
                return Path(self.root, name).stat().st_size
            return int(file_system(self.root).info(self.url(name))["size"])
        except FileNotFoundError:
            return None

    def names(self, prefix: str = "") -> list[str]:
        """Names of all files below a folder, sorted; temporary and hidden ones are left out."""
        base = self.url(prefix.rstrip("/"))
        if self.is_local:
            found = [Path(folder, n).as_posix() for folder, _, names in os.walk(base) for n in names]
            start = len(Path(self.root).as_posix()) + 1
        else:
            system = file_system(self.root)
            found = system.find(base)
            start = len(system._strip_protocol(self.root)) + 1
        names = (path[start:] for path in found)
        return sorted(n for n in names if not any(part.startswith(".") for part in n.split("/")))

    def remove(self, name: str) -> None:
        """Remove a file, if there is one."""
        if self.is_local:
            Path(self.root, name).unlink(missing_ok=True)
        elif self.exists(name):
            file_system(self.root).rm_file(self.url(name))

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """The file on this machine: itself, or a temporary copy."""
        with local_copy(self.url(name)) as path:
            yield path

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A path to write to; what is there at the end becomes the file, unless an error was raised."""
        if self.is_local:
            with atomic_path(Path(self.root, name)) as temporary:
                yield temporary
                with temporary.open("rb") as file:
                    os.fsync(file.fileno())
            return
        with tempfile.TemporaryDirectory(prefix="worldfoundry-") as folder:
            path = Path(folder, Path(name).name)
            yield path
            file_system(self.root).put_file(str(path), self.url(name))

    def clean(self) -> None:
        """Remove the half-written files of a killed run; nobody else may be writing."""
        if self.is_local:
            for folder, _, names in os.walk(self.root):
                for name in names:
                    if name.startswith(".") and ".tmp-" in name:
                        Path(folder, name).unlink(missing_ok=True)


def open_store(where: "str | os.PathLike[str] | Store") -> Store:
    """The store at a path or URL; nothing is made yet."""
    if isinstance(where, Store):
        return where
    text = os.fspath(where)
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    if "://" in text:
        return Store(text.rstrip("/"))
    if Path(text).exists() and not Path(text).is_dir():
        raise ConfigError(f"out {text!r} must be a folder, got a file; give another name")
    return Store(str(Path(text).absolute()))


@contextmanager
def local_copy(url: str) -> Iterator[Path]:
    """A file of this machine: the file itself, or a temporary copy of what the URL names."""
    if "://" not in url:
        yield Path(url)
        return
    with tempfile.TemporaryDirectory(prefix="worldfoundry-") as folder:
        path = Path(folder, url.rsplit("/", 1)[-1])
        try:
            file_system(url).get_file(url, str(path))
        except FileNotFoundError as error:
            # No fault of the content: tried again by the next run.
            raise FileNotFoundError(f"{url} must exist, got no such object; check the URL") from error
        yield path


def file_system(url: str) -> Any:
    """The fsspec file system of a URL; credentials and endpoints come from the environment, as its documents say."""
    return require_package("fsspec", "cloud").core.url_to_fs(url)[0]


def check_writable(store: Store) -> None:
    """Write and remove a small file, or say what is wrong with the folder."""
    try:
        store.write_bytes(_PROBE, b"worldfoundry")
        store.remove(_PROBE)
    except OSError as error:
        raise DataError(
            f"out {store.root!r} must be a folder that can be written to, got {error}; check the path and its rights"
        ) from error


def is_disk_error(error: BaseException | None) -> bool:
    """Whether an error, or what led to it, says that nothing more can be written.

    >>> is_disk_error(OSError(errno.ENOSPC, "full"))
    True
    """
    while error is not None:
        if getattr(error, "errno", None) in DISK_ERRORS:
            return True
        error = error.__cause__ or error.__context__
    return False
