"""``worldfoundry curate``: raw footage to a training set, and everything about a set that is there.

Exit codes of ``run`` and ``retry``, beside those of every command: 0 everything was decided · 3 some sources failed, the
rest is done · 4 the circuit breaker stopped the run · 143 stopped by SIGTERM after the sources under way were finished.
"""

import importlib
import json
import sys
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import tyro

from worldfoundry.cli.parse import parse_command
from worldfoundry.core.errors import ConfigError, require_package
from worldfoundry.curate.config import CurateConfig

_Positional = tyro.conf.Positional


@dataclass(frozen=True, slots=True, kw_only=True)
class RunArgs:
    """Cut footage into clips, judge them, write what is kept with an index and a report.

    The same command again continues an interrupted run; with other settings it redoes only what they concern.
    Example: worldfoundry curate run footage/ --out curated/ --motion.min 0.01
    """

    inputs: Annotated[tuple[str, ...], _Positional]
    """Files, folders, patterns such as 'in/*.mp4', lists (.txt, one a line) or URLs such as s3://bucket/prefix."""
    out: str
    """Folder or URL of the set; new, or an earlier run of the same inputs."""
    executor: Literal["local", "ray"] = "local"
    """local: processes of this machine. ray: Ray Data, on a Ray of this machine or a cluster."""
    ray_address: str = ""
    """ray: address of a cluster, such as auto or ray://head:10001; empty: a Ray of this machine."""
    workers: int = 1
    """Worker processes; one a core is right. ray: at most."""
    only: tuple[str, ...] = ()
    """Names of sources, as in the index; all others are left out."""
    json: bool = False
    """Print the result as JSON."""
    dry_run: bool = False
    """List the sources and the settings and stop."""
    config: Annotated[CurateConfig, tyro.conf.arg(name="")] = field(default_factory=CurateConfig)
    """Settings."""

    def __post_init__(self):
        if self.workers < 0:
            raise ConfigError(f"--workers must be at least 0, got {self.workers}; use the number of cores")
        if self.ray_address and self.executor != "ray":
            raise ConfigError(f"--ray-address needs --executor ray, got {self.executor!r}; add it")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportArgs:
    """Write report.html again, or tell what other thresholds would keep, from stored scores, in seconds.

    Example: worldfoundry curate report curated/ --set motion.min=0.01 quality.min=0.5
    """

    out: Annotated[str, _Positional]
    """A curated set."""
    set: tuple[str, ...] = ()
    """Settings to try, as name=value; the set stays as it is."""
    page: bool = False
    """With --set: also write what-if.html, the report as it would be."""
    json: bool = False
    """Print the result as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectArgs:
    """Choose a stricter subset of the kept clips, such as a fine-tuning set, from stored scores; no pixel is touched.

    Example: worldfoundry curate select curated/ --name finetune --set quality.min=0.8 motion.min=0.02
    """

    out: Annotated[str, _Positional]
    """A curated set."""
    set: tuple[str, ...]
    """Stricter settings, as name=value."""
    name: str = "finetune"
    """The subset is written to sets/NAME.parquet, an index like that of the set."""
    json: bool = False
    """Print the result as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusArgs:
    """Tell how far a run is, or what a finished set holds.

    Example: worldfoundry curate status curated/
    """

    out: Annotated[str, _Positional]
    """A set, finished or not."""
    json: bool = False
    """Print the result as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryArgs:
    """Run a set again with its own settings and try quarantined sources once more.

    Example: worldfoundry curate retry curated/ --workers 2
    """

    out: Annotated[str, _Positional]
    """A set, finished or not."""
    workers: int = 1
    """Worker processes."""
    json: bool = False
    """Print the result as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GcArgs:
    """Remove files that the set no longer refers to, such as clips that a stricter setting dropped.

    Example: worldfoundry curate gc curated/ --dry-run
    """

    out: Annotated[str, _Positional]
    """A finished set."""
    dry_run: bool = False
    """Only tell."""
    json: bool = False
    """Print the result as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchArgs:
    """Find clips by words about them or by an example video.

    Example: worldfoundry curate search curated/ pan-left
    """

    out: Annotated[str, _Positional]
    """A curated set."""
    query: Annotated[str, _Positional]
    """Words, or the path of a video."""
    top: int = 20
    """Clips shown."""
    page: bool = False
    """Also write search.html, the clips found with pictures, to look through."""
    json: bool = False
    """Print the result as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportArgs:
    """Write the kept clips in a form that other tools read.

    Example: worldfoundry curate export curated/ --format webdataset --to shards/
    """

    out: Annotated[str, _Positional]
    """A curated set."""
    format: Literal["predict2", "webdataset", "cosmos-curate", "parquet"]
    """predict2: the fine-tuning folder of cosmos-predict. webdataset: tar shards. cosmos-curate: its output tree. parquet:
    two tables, of what is kept and of the rest."""
    to: str
    """Folder or URL to write to."""
    json: bool = False
    """Print the result as JSON."""


_COMMANDS = {
    "run": RunArgs,
    "report": ReportArgs,
    "select": SelectArgs,
    "search": SearchArgs,
    "export": ExportArgs,
    "status": StatusArgs,
    "retry": RetryArgs,
    "gc": GcArgs,
}


def run(args: list[str]) -> int:
    """Parse, do, print what came out."""
    action, options = parse_command(
        _COMMANDS,
        prog="worldfoundry curate",
        description="Turn raw footage into a training set, and look into one.",
        args=args,
    )
    for package in ("cv2", "pyarrow"):
        require_package(package, "curate")
    work: Any = importlib.import_module("worldfoundry.cli.curate_work")
    facts, text, code = getattr(work, action)(options)
    sys.stdout.write((json.dumps(facts, default=str) if options.json else text) + "\n")
    return code
