"""Content addresses of files of this machine, and a memory of them, so that a rerun need not read every byte again.

The memory is a folder of the user, ``$XDG_CACHE_HOME/worldfoundry/addresses``, and no part of a set: it depends on paths and
times. It is believed where size, time of change and inode are as they were; a file that changed so lately that its clock
may not have ticked in between is not remembered. Losing it costs time alone.
"""

import hashlib
import json
import os
import time
from pathlib import Path

from worldfoundry.core.files import atomic_path

_CHUNK = 1 << 20
_TICK_S = 2.0
_SMALL_BYTES = 4 << 20  # read faster than remembered


def content_address(path: str | os.PathLike[str]) -> str:
    """Digest of a file's whole content, 40 hex digits: neither its name nor its place counts."""
    state = hashlib.blake2b(digest_size=20)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()


def known_address(path: str | os.PathLike[str]) -> str:
    """The content address of a file, from memory if it has not changed since."""
    before = os.stat(path)
    if before.st_size < _SMALL_BYTES:
        return content_address(path)
    name, stamp = _place(path), _stamp(before)
    try:
        stored = json.loads(name.read_bytes())
        if stored["stamp"] == stamp:
            return stored["address"]
    except (OSError, ValueError, KeyError, TypeError):  # none, or half of one
        pass
    address = content_address(path)
    if _stamp(os.stat(path)) == stamp and time.time() - before.st_mtime > _TICK_S:
        _remember(name, {"stamp": stamp, "address": address})
    return address


def _remember(name: Path, facts: dict[str, str]) -> None:
    try:
        with atomic_path(name) as temporary:
            temporary.write_text(json.dumps(facts))
    except OSError:  # no home, or no room: it is read again
        pass


def _place(path: str | os.PathLike[str]) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    digest = hashlib.blake2b(os.fsencode(os.path.abspath(path)), digest_size=16).hexdigest()
    return Path(base, "worldfoundry", "addresses", digest[:2], f"{digest}.json")


def _stamp(facts: os.stat_result) -> str:
    return f"{facts.st_size}:{facts.st_mtime_ns}:{facts.st_ino}"
