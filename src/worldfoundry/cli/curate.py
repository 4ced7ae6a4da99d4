"""``worldfoundry curate``: raw footage to clips, and the report about them."""

import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from worldfoundry.core.config import to_json
from worldfoundry.core.errors import ConfigError, require_package
from worldfoundry.curate.config import CurateConfig

if TYPE_CHECKING:
    from worldfoundry.curate.pipeline import CurateResult, Progress

_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class RunArgs:
    """Cut footage into shots, score their motion, write what is kept as uniform clips with an index and a report.

    The same command again continues an interrupted run. Example: worldfoundry curate run footage/ --out curated/
    """

    directory: Annotated[Path, tyro.conf.Positional]
    """Folder with videos, at any depth."""
    out: Path
    """Folder for clips/, index.parquet and report.html; new, or an earlier run with the same settings."""
    workers: int = 1
    """Processes; one a core is right."""
    json: bool = False
    """Print the result as JSON."""
    dry_run: bool = False
    """List the videos and the settings and stop."""
    config: tyro.conf.OmitArgPrefixes[CurateConfig] = field(default_factory=CurateConfig)
    """Settings."""

    def __post_init__(self):
        if self.workers < 1:
            raise ConfigError(f"--workers must be at least 1, got {self.workers}; use the number of cores")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportArgs:
    """Write report.html of a curated set again.

    Example: worldfoundry curate report curated/
    """

    out: Annotated[Path, tyro.conf.Positional]
    """A curated set."""
    json: bool = False
    """Print the result as JSON."""


def run(args: list[str]) -> int:
    """Parse, curate, print what came out."""
    options = tyro.extras.subcommand_cli_from_dict(
        {"run": RunArgs, "report": ReportArgs},
        prog="worldfoundry curate",
        description="Turn raw footage into scored, uniform clips with a report.",
        args=args,
    )
    for package in ("cv2", "pyarrow", "scenedetect"):
        require_package(package, "curate")
    if isinstance(options, ReportArgs):
        path = importlib.import_module("worldfoundry.curate.report").write_report(options.out)
        _print({"report": str(path)}, f"report {path}", as_json=options.json)
    elif options.dry_run:
        _plan(options)
    else:
        _curate(options)
    return 0


def _curate(options: RunArgs) -> None:
    pipeline: Any = importlib.import_module("worldfoundry.curate.pipeline")
    result = _with_progress(
        lambda progress: pipeline.run(
            options.directory, options.out, options.config, num_workers=options.workers, progress=progress
        )
    )
    facts = {
        "videos": result.num_videos,
        "kept": result.kept,
        "rejected": result.rejected,
        "index": str(result.index_path),
        "report": str(result.report_path),
    }
    reasons = ", ".join(f"{n} {reason}" for reason, n in result.rejected.items())
    lines = [
        f"{result.kept} clips kept of {result.num_videos} videos"
        + (f"; rejected: {reasons}" if reasons else ""),
        f"index  {result.index_path}",
        f"report {result.report_path}",
    ]
    if result.kept == 0:
        lines.insert(0, "no clip was kept: see the reasons in the report")
    _print(facts, "\n".join(lines), as_json=options.json)


def _with_progress(work: Callable[["Progress"], "CurateResult"]) -> "CurateResult":
    columns = (
        TextColumn("curating"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Bar(*columns, console=Console(file=sys.stderr), transient=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=None)

        def progress(done: int, total: int, name: str) -> None:
            bar.update(task, completed=done, total=total, description=name)

        return work(progress)


def _plan(options: RunArgs) -> None:
    videos = importlib.import_module("worldfoundry.curate.ingest").find_videos(options.directory)
    names = [v.relative_to(options.directory).as_posix() for v in videos]
    settings = to_json(options.config)
    facts = {"videos": names, "out": str(options.out), "config": settings}
    shown = [f"  {name}" for name in names[:_SHOWN]]
    if len(names) > _SHOWN:
        shown.append(f"  and {len(names) - _SHOWN} more")
    lines = [f"would curate {len(names)} videos into {options.out}", *shown, "settings"]
    lines += [f"  {name} = {value}" for name, value in settings.items() if name != "schema"]
    _print(facts, "\n".join(lines), as_json=options.json)


def _print(facts: dict[str, Any], text: str, *, as_json: bool) -> None:
    sys.stdout.write((json.dumps(facts) if as_json else text) + "\n")
