"""What the commands of ``worldfoundry curate`` do; kept apart from the parser because it imports OpenCV and pyarrow.

Each gives its facts, the same as text, and the exit code.
"""

import contextlib
import importlib
import json
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from worldfoundry.cli.parse import usage_errors
from worldfoundry.core.config import from_json, to_json
from worldfoundry.core.errors import ConfigError, DataError, UnknownNameError
from worldfoundry.curate.collect import collect
from worldfoundry.curate.config import CurateConfig, settings_of
from worldfoundry.curate.encode import TROUBLE
from worldfoundry.curate.index import load_set, schema_of_index, write_index
from worldfoundry.curate.ingest import find_sources
from worldfoundry.curate.lease import reading_from, writing_to
from worldfoundry.curate.local import LocalExecutor
from worldfoundry.curate.pipeline import CurateResult, Request
from worldfoundry.curate.pipeline import run as curate
from worldfoundry.curate.progress import Progress
from worldfoundry.curate.ray import RayExecutor
from worldfoundry.curate.records import read_json, read_trouble
from worldfoundry.curate.store import Store, open_store
from worldfoundry.curate.watch import BreakerTrippedError, DrainedError
from worldfoundry.protocols.curation import Executor

if TYPE_CHECKING:
    from worldfoundry.cli import curate as args

Outcome = tuple[Any, str, int]
"""Facts, text, exit code."""
_SHOWN = 12
_TOLD_S = 0.05
_BREAKER = 4
_TERMINATED, _INTERRUPTED = 143, 130


def run(options: "args.RunArgs") -> Outcome:
    """Curate."""
    if options.dry_run:
        return _plan(options)
    request = Request(inputs=options.inputs, out=options.out, config=options.config, only=options.only)
    limits = options.config.limits
    if options.executor == "ray":
        executor: Executor = RayExecutor(
            address=options.ray_address,
            num_workers=options.workers,
            attempts=limits.attempts,
            memory_gb=limits.memory_gb,
        )
    else:
        executor = LocalExecutor(
            num_workers=options.workers, attempts=limits.attempts, memory_gb=limits.memory_gb
        )
    return _curate(request, executor)


def retry(options: "args.RetryArgs") -> Outcome:
    """Run a set again, quarantined sources too."""
    store = open_store(options.out)
    manifest = read_json(store, "manifest.json")
    if manifest is None:
        raise DataError(
            f"{store.root} must be a curated set, got no manifest.json; use 'worldfoundry curate run'"
        )
    config = from_json(CurateConfig, manifest["config"], where=store.url("manifest.json"))
    request = Request(
        inputs=tuple(manifest["inputs"]),
        out=options.out,
        config=config,
        only=tuple(manifest["only"]),
        retry=True,
    )
    limits = config.limits
    return _curate(
        request,
        LocalExecutor(num_workers=options.workers, attempts=limits.attempts, memory_gb=limits.memory_gb),
    )


def _curate(request: Request, executor: Executor) -> Outcome:
    with _shown() as show, _drain() as asked:
        try:
            result = curate(request, executor=executor, progress=show, stopped=lambda: bool(asked))
        except BreakerTrippedError as error:
            sys.stderr.write(f"stopped: {error}\n")
            return {"stopped": str(error)}, "nothing was published", _BREAKER
        except DrainedError as error:
            sys.stderr.write(f"{error}\n")
            code = _TERMINATED if asked and asked[0] == signal.SIGTERM else _INTERRUPTED
            return {"stopped": str(error)}, "nothing was published", code
    return _told(result)


def _told(result: CurateResult) -> Outcome:
    facts = {
        "sources": result.num_sources,
        "kept": result.kept,
        "rejected": result.rejected,
        "failed": result.failed,
        "index": result.index,
        "report": result.report,
        "seconds": result.stage_s,
    }
    words = [f"{n} {reason}" for reason, n in result.rejected.items()]
    lines = [f"{result.kept} clips kept of {result.num_sources} sources"]
    if words:
        lines[0] += f"; rejected: {', '.join(words)}"
    if result.failed:
        lines.append("failed: " + ", ".join(f"{n} {kind}" for kind, n in result.failed.items()))
        lines.append("see the report for the command that repeats each, and 'worldfoundry curate retry'")
    lines += [f"  {example}" for example in result.examples]
    spent = sorted(result.stage_s.items(), key=lambda item: -item[1])
    lines.append(
        "took   " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in spent if seconds >= _TOLD_S)
    )
    lines += [f"index  {result.index}", f"report {result.report}"]
    if result.kept == 0:
        lines.insert(0, "no clip was kept: see the reasons in the report")
    return facts, "\n".join(lines), result.exit_code


def _plan(options: "args.RunArgs") -> Outcome:
    names = [s.name for s in find_sources(options.inputs, out=open_store(options.out))]
    settings = to_json(options.config)
    facts = {"sources": names, "out": options.out, "config": settings}
    shown = [f"  {name}" for name in names[:_SHOWN]]
    if len(names) > _SHOWN:
        shown.append(f"  and {len(names) - _SHOWN} more")
    lines = [f"would curate {len(names)} sources into {options.out}", *shown, "settings"]
    lines += [f"  {name} = {value}" for name, value in settings_of(options.config).items()]
    return facts, "\n".join(lines), 0


def report(options: "args.ReportArgs") -> Outcome:
    """Write the report, or count what other settings would keep."""
    store = open_store(options.out)
    pages: Any = importlib.import_module("worldfoundry.curate.report")
    if not options.set:
        if options.page:
            raise ConfigError(
                "--page needs --set, got none; without it the report of the set itself is written"
            )
        path = store.url(pages.write_report(store))
        return {"report": path}, f"report {path}", 0
    curated = load_set(store)
    config = _with_set(curated.config, options.set)
    now, then = _counts(curated.rows), _counts(curated.decided(config))
    facts: dict[str, Any] = {"settings": list(options.set), "now": now, "then": then}
    lines = [f"{'':<28}{'now':>8}{'then':>8}"]
    lines += [f"{key:<28}{now.get(key, 0):>8}{then.get(key, 0):>8}" for key in sorted({*now, *then})]
    if options.page:
        facts["report"] = store.url(pages.write_report(store, config, name="what-if.html"))
        lines.append(f"report {facts['report']}")
    return facts, "\n".join(lines), 0


def select(options: "args.SelectArgs") -> Outcome:
    """Write the index of a stricter subset."""
    with writing_to(open_store(options.out)) as lease:
        return _select(options, lease.store)


def _select(options: "args.SelectArgs", store: Store) -> Outcome:
    curated = load_set(store)
    kept = {row["clip_id"] for row in curated.rows if row["decision"] == "kept"}
    decided = curated.decided(_with_set(curated.config, options.set))
    by_id = {row["clip_id"]: row for row in curated.rows}
    chosen = [
        {**by_id[r["clip_id"]], "repeat": r["repeat"]}
        for r in decided
        if r["decision"] == "kept" and r["clip_id"] in kept
    ]
    name = f"sets/{options.name}.parquet"
    write_index(store, name, chosen, schema_of_index(store))
    facts = {"clips": len(chosen), "of": len(kept), "index": store.url(name)}
    return facts, f"{len(chosen)} of {len(kept)} kept clips\nindex  {store.url(name)}", 0


def status(options: "args.StatusArgs") -> Outcome:
    """How far a run is."""
    store = open_store(options.out)
    manifest = read_json(store, "manifest.json")
    if manifest is None:
        raise DataError(
            f"{store.root} must be a curated set, got no manifest.json; use 'worldfoundry curate run'"
        )
    analyses = store.names("analysis")
    troubles = [read_trouble(store, name) for name in analyses if name.endswith(".json")]
    facts: dict[str, Any] = {
        "state": manifest["state"],
        "inputs": manifest["inputs"],
        "analysed": sum(name.endswith(".npz") for name in analyses),
        "troubles": dict(Counter(f"{t.state}: {t.reason}" for t in troubles if t is not None)),
        "sources_encoded": sum(not name.endswith(TROUBLE) for name in store.names("records")),
        "clips": len(store.names("clips")),
        "counts": manifest.get("counts", {}),
    }
    return facts, "\n".join(f"{key:<16} {_in_words(value)}" for key, value in facts.items()), 0


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items()) or "none"
    return ", ".join(value) if isinstance(value, list) else str(value)


def gc(options: "args.GcArgs") -> Outcome:
    """Remove what nothing refers to."""
    with writing_to(open_store(options.out)) as lease:
        names = collect(load_set(lease.store), remove=not options.dry_run)
    verb = "would remove" if options.dry_run else "removed"
    return {"files": names}, "\n".join([f"{verb} {len(names)} files", *names[:_SHOWN]]), 0


def search(options: "args.SearchArgs") -> Outcome:
    """Find clips."""
    searching: Any = importlib.import_module("worldfoundry.curate.search")
    store = open_store(options.out)
    hits = searching.search(store, options.query, top=options.top)
    lines = [
        f"{hit.get('score', 0):7.3f}  {hit['path']}  {hit['source']} at {hit['start_s']:.2f} s"
        for hit in hits
    ]
    if options.page:
        store.write_bytes("search.html", searching.search_page(store, options.query, hits).encode())
        lines.append(f"page {store.url('search.html')}")
    return hits, "\n".join(lines) or "no clip matches", 0


def export(options: "args.ExportArgs") -> Outcome:
    """Write the kept clips for another tool."""
    exporting: Any = importlib.import_module("worldfoundry.curate.export")
    store, to = open_store(options.out), open_store(options.to)
    with reading_from(store), writing_to(to):
        facts = exporting.export(store, options.format, to)
    return facts, "\n".join(f"{key:<10} {value}" for key, value in facts.items()), 0


def _with_set(config: CurateConfig, settings: tuple[str, ...]) -> CurateConfig:
    """Like ``with_settings``; what is wrong with them is an error of the command line."""
    with usage_errors(["--set", *settings]):
        return with_settings(config, settings)


def with_settings(config: CurateConfig, settings: tuple[str, ...]) -> CurateConfig:
    """A configuration with some settings replaced, given as ``name=value`` with dotted names."""
    document = to_json(config)
    for each in settings:
        name, equals, text = each.partition("=")
        if not equals:
            raise ConfigError(f"--set must be name=value, got {each!r}; write motion.min=0.01")
        *path, last = name.split(".")
        place = document
        for part in path:
            place = place.get(part) if isinstance(place, dict) else None
        if not isinstance(place, dict) or (last not in place and path[-1:] != ["target"]):
            raise UnknownNameError("setting of --set", name, settings_of(config))
        try:
            place[last] = json.loads(text)
        except ValueError:
            place[last] = text
    return from_json(CurateConfig, document, where="--set")


def _counts(rows: list[dict[str, Any]]) -> dict[str, int]:
    return dict(
        Counter(r["decision"] if r["decision"] == "kept" else f"{r['decision']}: {r['reason']}" for r in rows)
    )


@contextlib.contextmanager
def _shown() -> Iterator[Any]:
    columns = (
        TextColumn("{task.fields[stage]:<10}"),
        BarColumn(20),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
    )
    with Bar(*columns, console=Console(file=sys.stderr), transient=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=None, stage="")

        def show(progress: Progress) -> None:
            bar.update(
                task,
                completed=progress.done,
                total=progress.total,
                description=_line(progress),
                stage=progress.stage,
            )

        yield show


def _line(progress: Progress) -> str:
    eta = progress.eta_s
    words = [
        f"{progress.kept} kept",
        f"{progress.rejected} rejected",
        f"{progress.failed} failed",
        f"{progress.speed:.1f} video-s/s",
        f"ETA {eta:.0f} s" if eta is not None else "",
        f"slowest: {progress.slowest}",
        progress.last,
    ]
    return " · ".join(word for word in words if word)


@contextlib.contextmanager
def _drain() -> Iterator[list[int]]:
    """The first SIGTERM or Ctrl-C lets sources under way finish, the second ends at once."""
    asked: list[int] = []

    def ask(number: int, _frame: Any) -> None:
        asked.append(number)
        if len(asked) > 1:
            raise KeyboardInterrupt
        sys.stderr.write("\nfinishing the sources under way; once more to stop at once\n")

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
