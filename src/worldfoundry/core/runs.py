"""Run folders: where a run lives, what made it, what it logged.

``<root>/<recipe>/<yyyymmdd-hhmmss>-<word>/{config.json, manifest.json, metrics.jsonl, ...}``, times in UTC.
"""

import json
import math
import os
import platform
import random
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from worldfoundry.core.config import digest
from worldfoundry.core.errors import DataError
from worldfoundry.core.files import atomic_path

_WORDS = (
    "acorn amber aspen badger basalt beacon birch bison cedar cobalt comet copper coral crane delta dune ember falcon fern "
    "finch flint fjord garnet glacier granite harbor hazel heron hickory indigo iris jade juniper kestrel lagoon larch "
    "lichen linden lotus lynx maple marble meadow mesa moss nectar nimbus oak obsidian onyx opal orchid osprey otter pebble "
    "pine plover poplar prairie quartz quill raven reed ridge river robin rowan saffron sage sequoia sierra slate sparrow "
    "spruce summit swift tarn thistle timber topaz tundra umber vale violet walnut willow wren yarrow zephyr zinnia"
).split()
_PACKAGES = (
    "worldfoundry",
    "torch",
    "numpy",
    "einops",
    "safetensors",
    "av",
    "scenedetect-headless",
    "pyarrow",
    "mujoco",
)


def new_run_folder(root: str | os.PathLike[str], recipe: str) -> Path:
    """Make and return ``<root>/<recipe>/<time>-<word>``, a folder that did not exist before."""
    parent = Path(root) / recipe
    parent.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    for word in random.SystemRandom().sample(_WORDS, len(_WORDS)):
        folder = parent / f"{stamp}-{word}"
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise DataError(f"{parent}: no free run name is left for {stamp}; wait a second and start again")


def find_resumable(
    root: str | os.PathLike[str],
    recipe: str,
    config_digest: str,
    *,
    digest_of: Callable[[Any], str | None] = digest,
) -> Path | None:
    """The newest run of ``recipe`` whose ``config.json`` has this digest, or None.

    ``digest_of`` takes the stored JSON: one that reads it as a configuration first finds runs that were stored before the
    configuration gained a field.
    """
    for folder in sorted((Path(root) / recipe).glob("*-*/"), reverse=True):
        try:
            stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue  # killed before it had a configuration: nothing to resume
        except ValueError as error:
            raise DataError(
                f"{folder / 'config.json'} must be JSON, got {error}; remove the folder"
            ) from error
        if digest_of(stored) == config_digest:
            return folder
    return None


def write_manifest(folder: str | os.PathLike[str], *, seed: int, **extra: Any) -> dict[str, Any]:
    """Write ``manifest.json``, what is needed to make the run again, and return it.

    ``extra`` holds JSON values that the caller knows (device, parent run, data digest). A resumed run keeps the
    manifests of its earlier sessions under ``"earlier"``.
    """
    path = Path(folder) / "manifest.json"
    manifest: dict[str, Any] = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": shlex.join(sys.argv),
        "seed": seed,
        **_source_state(),
        "python": platform.python_version(),
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
        "platform": platform.platform(),
        "machine": platform.machine(),
        "num_cpus": _num_cpus(),
        **extra,
    }
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        manifest["earlier"] = [*before.pop("earlier", []), before]
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


def append_jsonl(path: str | os.PathLike[str], record: Mapping[str, Any]) -> None:
    """Add one line to a JSONL file; a line torn by a killed process is cut off first.

    JSON knows no NaN and no infinity: they are written as null.
    """
    plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
    line = json.dumps(plain, allow_nan=False).encode() + b"\n"
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("ab+") as file:
        size = file.tell()
        if size and not _ends_with_newline(file, size):
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
        file.write(line)


def read_jsonl(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Every whole line of a JSONL file; a torn last line is left out, any other broken line is an error."""
    *lines, _torn = Path(path).read_text(encoding="utf-8").split("\n")
    records: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(json.loads(line))
        except ValueError as error:
            raise DataError(
                f"{path}: line {number} must be JSON, got {line[:60]!r}; remove the line"
            ) from error
    return records


def _ends_with_newline(file: Any, size: int) -> bool:
    file.seek(size - 1)
    return file.read(1) == b"\n"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _num_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _source_state() -> dict[str, Any]:
    """Commit of the checkout this code runs from and whether it was changed; both None for an installed package."""
    here = Path(__file__).resolve().parents[1]
    if _git(here, "ls-files", "--error-unmatch", "__init__.py") is None:  # a git repository, but not ours
        return {"commit": None, "dirty": None}
    changes = _git(here, "status", "--porcelain", "--untracked-files=no")
    return {"commit": _git(here, "rev-parse", "HEAD"), "dirty": changes != ""}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
