"""The steps of a run in their order, each over the sources that still need it."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from worldfoundry.curate.addresses import content_address
from worldfoundry.curate.analyse import Analyse, AnalyseJob
from worldfoundry.curate.config import CurateConfig
from worldfoundry.curate.decide import judge, screen
from worldfoundry.curate.encode import TROUBLE, ClipJob, Encode, EncodeJob, encode_key, trouble_path
from worldfoundry.curate.enrich import models_of
from worldfoundry.curate.ingest import Inspect, Inspected, Source
from worldfoundry.curate.local import guarded
from worldfoundry.curate.models import Models
from worldfoundry.curate.progress import Progress
from worldfoundry.curate.records import (
    Analysis,
    Row,
    Trouble,
    analysis_fingerprint,
    detector_key,
    digest_of,
    load_analysis,
    read_trouble,
    source_path,
    write_trouble,
)
from worldfoundry.curate.scoring import candidates, score_columns, source_row
from worldfoundry.curate.similarities import Similarities, read_similarities, write_similarities
from worldfoundry.curate.store import Store
from worldfoundry.curate.watch import watched
from worldfoundry.protocols.curation import Detector, Executor, Failure, SourceInfo, Span

_BYTES_A_SECOND = 10e6  # at least, while a source is fetched and read


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A source with what is known of it."""

    source: Source
    """The file."""
    info: SourceInfo
    """What it is; sizes are 0 where nobody knows."""
    trouble: Trouble | None = None
    """Why it yields nothing."""
    duplicate_of: str = ""
    """Name of the source whose bytes it has."""


@dataclass(frozen=True, kw_only=True)
class Steps:
    """A run's steps; they share the store, the settings and the executor."""

    store: Store
    """Where everything lies."""
    config: CurateConfig
    """Settings."""
    detectors: tuple[Detector, ...]
    """What is measured."""
    executor: Executor
    """Who works."""
    progress: Progress
    """How it goes."""
    stopped: Callable[[], bool]
    """Whether to come to an end."""
    scored: dict[str, list[Row]] = field(default_factory=dict)
    """Candidates of each analysed source, by content address."""

    @property
    def fingerprint(self) -> str:
        """Of the analysis."""
        return analysis_fingerprint(self.detectors)

    def fingerprints(self) -> dict[str, str]:
        """What each stored result depends on."""
        return {"analysis": self.fingerprint, "encode": digest_of(encode_key(self.config.encode))}

    def detector_keys(self) -> list[str]:
        """Names and versions of the detectors."""
        return [detector_key(d) for d in self.detectors]

    def inspect(self, sources: Sequence[Source]) -> list[Found]:
        """The content address and header of every source; copies of an earlier one are marked."""
        self.progress.begin("inspect", len(sources))
        base = self.config.limits.base_s
        deadlines = [base + s.size / _BYTES_A_SECOND for s in sources]
        results: dict[int, Inspected] = {}
        for k, result in self._each(Inspect(self.store, self.fingerprint), sources, deadlines):
            if isinstance(result, Failure):
                results[k] = self._uninspected(sources[k], result)
            else:
                results[k] = result
            trouble = results[k].trouble
            self.progress.failed += trouble is not None and trouble.state != "rejected"
            self.progress.rejected += trouble is not None and trouble.state == "rejected"
            self.progress.step(sources[k].name)
        first: dict[str, str] = {}
        found: list[Found] = []
        for k, source in enumerate(sources):
            seen = results[k]
            info = seen.info or _unknown(source, seen.source_id)
            same = first.setdefault(seen.source_id, source.name)
            found.append(
                Found(
                    source=source,
                    info=replace(info, source=source.name),
                    trouble=seen.trouble,
                    duplicate_of=same if same != source.name else "",
                )
            )
        return found

    def _uninspected(self, source: Source, failure: Failure) -> Inspected:
        """Trouble of a source that could not be inspected; stored if its bytes at least can be read."""
        trouble = Trouble.of(failure, hide=(source.url,))
        source_id = ""
        try:
            # What hung a worker would hang this process too.
            if "://" not in source.url and failure.kind != "timeout":
                source_id = content_address(source.url)
        except OSError as error:
            trouble = Trouble(
                state="failed", reason="error", detail=f"{type(error).__name__}: {error.strerror}"
            )
        if not source_id:
            return Inspected(source_id=f"?{source.name}", trouble=trouble)
        write_trouble(self.store, self._trouble_name(source_id), trouble)
        return Inspected(source_id=source_id, trouble=trouble)

    def analyse(self, found: Sequence[Found]) -> list[Found]:
        """Decode what has no analysis yet; candidates of each source are scored as it is done."""
        step = Analyse(self.store, self.detectors)
        there = set(self.store.names("analysis"))
        good = [f for f in found if f.trouble is None and not f.duplicate_of]
        stale = [f for f in good if step.name_of(f.info.source_id) not in there]
        limits = self.config.limits
        jobs = [AnalyseJob(url=f.source.url, info=f.info) for f in stale]
        deadlines = [limits.base_s + limits.analyse_factor * f.info.duration_s for f in stale]
        self.progress.begin("analyse", len(good), math.fsum(f.info.duration_s for f in good))
        stale_ids = {f.info.source_id for f in stale}
        for f in good:
            if f.info.source_id not in stale_ids:
                if self._trouble_name(f.info.source_id) in there:  # of an earlier try
                    self.store.remove(self._trouble_name(f.info.source_id))
                self._score(f)
        if stale:  # before hours of work; a rerun that has answers to all needs no models
            self._models.probe()
        troubles: dict[str, Trouble] = {}
        for k, result in self._each(step, jobs, deadlines):
            f = stale[k]
            if isinstance(result, Failure):
                trouble = Trouble.of(result, hide=(f.source.url,))
                troubles[f.info.source_id] = trouble
                write_trouble(self.store, self._trouble_name(f.info.source_id), trouble)
                self.progress.failed += trouble.state != "rejected"
                self.progress.step(f.source.name, f.info.duration_s)
            else:
                self.store.remove(self._trouble_name(f.info.source_id))
                self._score(f)
        return [replace(f, trouble=f.trouble or troubles.get(f.info.source_id)) for f in found]

    def _score(self, found: Found) -> None:
        rows = guarded(lambda info: candidates(self._analysis(info), self.config, self.detectors), found.info)
        if isinstance(rows, Failure):
            if rows.error.startswith("DataError"):  # it cannot be read: the next run makes it anew
                self.store.remove(source_path("analysis", found.info.source_id, f"-{self.fingerprint}.npz"))
            trouble = replace(
                Trouble.of(rows), state="failed", reason="error", detail=f"decide: {rows.error}"
            )
            rows = [source_row(_unknown(found.source, found.info.source_id), trouble)]
        self.scored[found.info.source_id] = rows
        kept = sum(not row["decision"] for row in screen(rows, self.config))
        self.progress.kept += kept
        self.progress.rejected += len(rows) - kept
        self.progress.step(found.source.name, found.info.duration_s)

    def decide(
        self, found: Sequence[Found]
    ) -> tuple[list[Row], dict[str, type], dict[str, np.ndarray], list[Found]]:
        """Rows with decisions, further columns, embeddings."""
        self.progress.begin("decide", 1)
        rows = [row for f in found for row in self._rows_of(f)]
        by_id = {f.info.source_id: f for f in reversed(found)}
        rows, vectors, extra = self._enrich(rows, by_id)
        pairs = Similarities(read_similarities(self.store))
        decided = judge(
            rows,
            self.config,
            analyses=lambda i: self._analysis(by_id[i].info),
            vectors=vectors,
            similarities=pairs,
        )
        write_similarities(self.store, pairs.asked)
        self.progress.kept = sum(row["decision"] == "kept" for row in decided)
        self.progress.rejected = sum(row["decision"] == "rejected" for row in decided)
        return decided, {**score_columns(self.detectors), **extra}, vectors, list(found)

    def _rows_of(self, found: Found) -> list[Row]:
        if found.duplicate_of:
            detail = f"the same bytes as {found.duplicate_of}"
            trouble = Trouble(state="rejected", reason="duplicate_source", detail=detail)
            info = _unknown(found.source, found.info.source_id)
            return [source_row(info, trouble, duplicate_of=found.duplicate_of)]
        if found.trouble is not None:
            # What a rerun does not look up again must not stand in the row.
            return [source_row(_unknown(found.source, found.info.source_id), found.trouble)]
        return self.scored[found.info.source_id]

    def _enrich(
        self, rows: list[Row], by_id: dict[str, Found]
    ) -> tuple[list[Row], dict[str, np.ndarray], dict[str, type]]:
        spans: dict[str, list[Span]] = {}
        for row in screen(rows, self.config) if models_of(self.config) else ():
            if not row["decision"]:
                spans.setdefault(row["source_id"], []).append(
                    Span(start_s=row["start_s"], end_s=row["end_s"])
                )
        return self._models.enrich(rows, spans, {k: f.source.url for k, f in by_id.items()})

    def annotate(self, rows: Sequence[Row]) -> list[Row]:
        """Rows with what is written about the kept ones."""
        self.progress.begin("annotate", 1)
        return self._models.annotate(rows)

    @property
    def _models(self) -> Models:
        return Models(
            store=self.store,
            config=self.config,
            executor=self.executor,
            progress=self.progress,
            each=self._each,
        )

    def encode(self, rows: list[Row], found: Sequence[Found]) -> list[Row]:
        """Write the clips of kept rows; those of a source that fails become failed."""
        step = Encode(self.store, self.config.encode)
        by_id = {f.info.source_id: f for f in reversed(found)}
        kept: dict[str, list[Row]] = {}
        for row in rows:
            if row["decision"] == "kept":
                kept.setdefault(row["source_id"], []).append(row)
        for source_id in list(kept):
            trouble = read_trouble(self.store, self._encode_trouble_name(source_id))
            if trouble is not None and trouble.state == "quarantined":
                _spoil(kept.pop(source_id), trouble)
        jobs = [_encode_job(by_id[k], each) for k, each in kept.items()]
        todo = [job for job in jobs if not step.is_done(job)]
        limits = self.config.limits
        seconds = [math.fsum(c.end_s - c.start_s for c in job.clips) for job in todo]
        self.progress.begin("encode", len(todo), math.fsum(seconds))
        deadlines = [limits.base_s + limits.encode_factor * s for s in seconds]
        for k, result in self._each(step, todo, deadlines):
            job = todo[k]
            if isinstance(result, Failure):
                trouble = Trouble.of(result, hide=(job.url,))
                if trouble.state == "quarantined":
                    write_trouble(self.store, self._encode_trouble_name(job.info.source_id), trouble)
                _spoil(kept.pop(job.info.source_id), trouble)
                self.progress.failed += 1
            self.progress.step(job.info.source, seconds[k])
        for source_id, each in kept.items():
            clips = step.clips(source_id)
            for row in each:
                row.update({k: clips[row["clip_id"]][k] for k in ("width", "height", "num_frames", "path")})
        return rows

    def forget_troubles(self) -> None:
        """Remove what is stored about failed and quarantined sources, so that they are tried again."""
        encoded = [name for name in self.store.names("records") if name.endswith(TROUBLE)]
        for name in [*self.store.names("analysis"), *encoded]:
            trouble = read_trouble(self.store, name) if name.endswith(".json") else None
            if trouble is not None and trouble.state != "rejected":
                self.store.remove(name)

    def _trouble_name(self, source_id: str) -> str:
        return source_path("analysis", source_id, f"-{self.fingerprint}.json")

    def _encode_trouble_name(self, source_id: str) -> str:
        return trouble_path(source_id, self.fingerprints()["encode"])

    def _analysis(self, info: SourceInfo) -> Analysis:
        name = source_path("analysis", info.source_id, f"-{self.fingerprint}.npz")
        return load_analysis(self.store, name, info.source)[0]

    def _each(
        self,
        function: Callable[[Any], Any],
        items: Sequence[Any],
        deadlines: Sequence[float],
        executor: Executor | None = None,
    ) -> Iterator[tuple[int, Any | Failure]]:
        """Results of the executor, watched by the circuit breaker."""
        results = (executor or self.executor)(function, items, deadlines_s=deadlines, stopped=self.stopped)
        return watched(results, len(items), self.config.limits)


def _unknown(source: Source, source_id: str) -> SourceInfo:
    return SourceInfo(source=source.name, source_id=source_id, width=0, height=0, fps=0.0, duration_s=0.0)


def _encode_job(found: Found, rows: Sequence[Row]) -> EncodeJob:
    words = ("clip_id", "start_s", "end_s", "num_frames", "fps", "is_variable")
    clips = tuple(ClipJob(**{k: row[k] for k in words}) for row in rows)
    return EncodeJob(url=found.source.url, info=found.info, clips=clips)


def _spoil(rows: Sequence[Row], trouble: Trouble) -> None:
    """Kept clips that could not be written become failed or quarantined."""
    state = "quarantined" if trouble.state == "quarantined" else "failed"
    for row in rows:
        row.update(decision=state, reason=trouble.reason, detail=f"encode: {trouble.detail}", repeat=None)
