"""The pipeline: inspect, analyse, decide, enrich, encode, annotate, publish; each step finds what is already done.

What a step gives is a file named by content and settings, so the same command again, after a kill, on other workers or
with other settings, does what is missing and nothing else, and ends with the same bytes.
"""

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from worldfoundry.core.config import to_json
from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.curate.analyse import detectors_of
from worldfoundry.curate.config import CurateConfig
from worldfoundry.curate.ingest import find_sources
from worldfoundry.curate.lease import Lease, writing_to
from worldfoundry.curate.local import LocalExecutor, never
from worldfoundry.curate.preflight import preflight
from worldfoundry.curate.progress import Progress
from worldfoundry.curate.publish import publish
from worldfoundry.curate.records import SCHEMA, read_json, write_json
from worldfoundry.curate.steps import Steps
from worldfoundry.curate.store import Store, check_writable, is_disk_error, open_store
from worldfoundry.protocols.curation import Detector, Executor

EXIT_ALL_DECIDED, EXIT_SOME_FAILED = 0, 3
_BROKEN = ("failed", "quarantined")
_EXAMPLES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CurateResult:
    """What a run came to."""

    num_sources: int
    """Sources found."""
    kept: int
    """Clips kept."""
    rejected: dict[str, int]
    """Reason -> clips and sources rejected for it."""
    failed: dict[str, int]
    """Kind -> sources or clips that failed or were quarantined."""
    examples: tuple[str, ...]
    """The first of these and of damaged sources, each with what is wrong."""
    index: str
    """Path or URL of the index."""
    report: str
    """Path or URL of the report."""
    stage_s: dict[str, float]
    """Wall seconds of each stage; not stored."""

    @property
    def exit_code(self) -> int:
        """0 if everything was decided, 3 if something failed."""
        return EXIT_SOME_FAILED if self.failed else EXIT_ALL_DECIDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of a run."""

    inputs: tuple[str, ...]
    """Files, folders, patterns, lists, URLs."""
    out: str | os.PathLike[str]
    """Folder or URL of the set."""
    config: CurateConfig = dataclasses.field(default_factory=CurateConfig)
    """Settings."""
    only: tuple[str, ...] = ()
    """Names of sources to look at; empty: all."""
    retry: bool = False
    """Whether quarantined sources are tried again."""
    detectors: tuple[Detector, ...] = ()
    """Detectors in place of the configuration's."""


def run(
    request: Request,
    *,
    executor: Executor | None = None,
    progress: Callable[[Progress], None] | None = None,
    stopped: Callable[[], bool] = never,
) -> CurateResult:
    """Curate sources into ``out``.

    Raises BreakerTrippedError, DrainedError, or DataError where nothing more can be written; what was committed stays, and
    the same request continues.
    """
    if not request.detectors:
        request.config.type.check_names()
    store = open_store(request.out)
    limits = request.config.limits
    executor = executor or LocalExecutor(attempts=limits.attempts, memory_gb=limits.memory_gb)
    watched = Progress(show=progress or (lambda _: None))
    try:
        sources = _chosen(request, store)
        with _claimed(store, request) as (manifest, lease):
            detectors = request.detectors or detectors_of(request.config)
            steps = Steps(
                store=store,
                config=request.config,
                detectors=detectors,
                executor=executor,
                progress=watched,
                stopped=stopped,
            )
            preflight(store, sources, detectors, request.config)
            if request.retry:
                steps.forget_troubles()
            rows, columns, vectors, found = steps.decide(steps.analyse(steps.inspect(sources)))
            rows = steps.encode(rows, found)
            rows = steps.annotate(rows)
            watched.begin("publish", 1)
            lease.confirm()
            manifest = manifest | {"fingerprints": steps.fingerprints(), "detectors": steps.detector_keys()}
            publish(store, rows, request.config, manifest, columns=columns, vectors=vectors)
            watched.close()
    except OSError as error:
        if not is_disk_error(error):
            raise
        raise _no_room(store, error) from error
    return _result(store, rows, len(sources), watched)


def _chosen(request: Request, store: Store) -> list[Any]:
    sources = find_sources(request.inputs, out=store)
    if not request.only:
        return sources
    names = {s.name for s in sources}
    for name in request.only:
        if name not in names:
            raise ConfigError(
                f"only {name!r} must be the name of a source, as in the index; got no such source"
            )
    return [s for s in sources if s.name in request.only]


def _no_room(store: Store, error: OSError) -> DataError:
    return DataError(
        f"out {store.root!r} must have room to write, got {error.strerror or error}; free some and run the same command "
        "again: nothing that was finished is lost"
    )


def _result(
    store: Store, rows: Sequence[dict[str, Any]], num_sources: int, progress: Progress
) -> CurateResult:
    def count(*decisions: str) -> dict[str, int]:
        return dict(sorted(Counter(r["reason"] for r in rows if r["decision"] in decisions).items()))

    captions = sum(row.get("caption_state") == "error" for row in rows)
    return CurateResult(
        num_sources=num_sources,
        kept=sum(row["decision"] == "kept" for row in rows),
        rejected=count("rejected"),
        failed=count(*_BROKEN) | ({"caption": captions} if captions else {}),
        examples=tuple(
            f"{r['source']}: {r['detail']}"
            for r in rows
            if r["decision"] in _BROKEN or r.get("reason") == "damaged"
        )[:_EXAMPLES],
        index=store.url("index.parquet"),
        report=store.url("report.html"),
        stage_s={name: round(s, 3) for name, s in progress.stage_s.items()},
    )


@contextmanager
def _claimed(store: Store, request: Request) -> Iterator[tuple[dict[str, Any], Lease]]:
    """Make ``out`` this run's: it is empty or a set of the same inputs, and nobody else writes to it."""
    with writing_to(store) as lease:
        stored = read_json(store, "manifest.json")
        ours = {"inputs": list(request.inputs), "only": list(request.only)}
        if stored is not None and {k: stored.get(k) for k in ours} != ours:
            raise ConfigError(
                f"out {store.root!r} holds a set of other inputs ({_named(stored)}), got {_named(ours)}; name them too, or give "
                "another folder"
            )
        if stored is None and store.names():
            raise ConfigError(
                f"out {store.root!r} must be empty or a curated set, got other files; give another folder"
            )
        check_writable(store)
        manifest = {"schema": SCHEMA, "state": "unfinished", **ours, "config": to_json(request.config)}
        store.clean()
        write_json(store, "manifest.json", manifest)
        yield manifest, lease


def _named(manifest: dict[str, Any]) -> str:
    only = manifest.get("only") or ()
    return " ".join(map(str, [*manifest.get("inputs", ()), *(["--only", *only] if only else [])]))
