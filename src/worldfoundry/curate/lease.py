"""One writer at a time: a set belongs to the run, the selection or the clearing up that holds its lease.

A folder of this machine is locked by the system, which forgets the lock with the process. An object store has no locks: there
a small object says who writes and since when, is renewed while the writer lives, and counts for nothing once it is old or its
process on this machine is gone. Two writers that begin within the same half second are told apart by reading it again; a
store that shows old objects for longer than that cannot be protected so.
"""

import fcntl
import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.curate.store import Store

_NAME = ".lease.json"  # hidden: no part of the set
_SETTLE_S, _RENEW_S, _OLD_S = 0.5, 30.0, 180.0


@dataclass(frozen=True)
class Lease:
    """The right to write to a set, until it is lost or given back."""

    store: Store
    """The set."""
    owner: dict[str, Any] = field(default_factory=dict)
    """What the object store says of this writer; empty for folders."""

    def confirm(self) -> None:
        """Raise if another writer has taken the set over, as may happen to a machine that slept."""
        if self.owner:
            found = _read(self.store)
            if found is None or found["id"] != self.owner["id"]:
                raise _in_use(self.store)


@contextmanager
def writing_to(store: Store) -> Iterator[Lease]:
    """Hold a set for writing; raises if another writer or reader holds it."""
    with _folder_lock(store, fcntl.LOCK_EX) if store.is_local else _object_lease(store) as lease:
        yield lease


@contextmanager
def reading_from(store: Store) -> Iterator[None]:
    """Keep writers away from a folder while it is read; raises if one is at work. Readers share."""
    if store.is_local:
        if not Path(store.root).is_dir():  # the reader says what is missing
            yield
            return
        with _folder_lock(store, fcntl.LOCK_SH):
            yield
        return
    if _is_live(_read(store)):
        raise _in_use(store)
    yield


@contextmanager
def _folder_lock(store: Store, how: int) -> Iterator[Lease]:
    try:
        Path(store.root).mkdir(parents=True, exist_ok=True)
        folder = os.open(Path(store.root), os.O_RDONLY)
    except OSError as error:
        raise DataError(
            f"out {store.root!r} must be a folder that can be made, got {error}; check the path and its rights"
        ) from error
    try:
        try:
            fcntl.flock(folder, how | fcntl.LOCK_NB)
        except OSError as error:
            raise _in_use(store) from error
        yield Lease(store)
    finally:
        os.close(folder)


@contextmanager
def _object_lease(store: Store) -> Iterator[Lease]:
    if _is_live(_read(store)):
        raise _in_use(store)
    owner = {"id": uuid.uuid4().hex, "host": platform.node(), "pid": os.getpid()}
    lease = Lease(store, owner)
    _renew(lease)
    time.sleep(_SETTLE_S)
    lease.confirm()
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(_RENEW_S):
            try:
                lease.confirm()
                _renew(lease)
            except (
                OSError,
                ConfigError,
            ):  # the writer finds out by itself, at the latest before it publishes
                continue

    renewer = threading.Thread(target=keep, daemon=True)
    renewer.start()
    try:
        yield lease
    finally:
        ended.set()
        renewer.join()
        found = _read(store)
        if found is not None and found["id"] == owner["id"]:
            store.remove(_NAME)


def _renew(lease: Lease) -> None:
    lease.store.write_bytes(_NAME, json.dumps({**lease.owner, "seconds": time.time()}).encode())


def _read(store: Store) -> dict[str, Any] | None:
    try:
        return json.loads(store.read_bytes(_NAME))
    except FileNotFoundError:
        return None
    except ValueError:  # half of one: whoever wrote it is gone
        return None


def _is_live(found: dict[str, Any] | None) -> bool:
    if found is None or time.time() - found["seconds"] > _OLD_S:
        return False
    return found["host"] != platform.node() or _is_running(found["pid"])


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, so it runs
        return True
    return True


def _in_use(store: Store) -> ConfigError:
    return ConfigError(
        f"out {store.root!r} must not be in use, got another command that works on it; wait for it or stop it"
    )
