"""Published models in a run: tried before long work, shown the spans that pass the cheap rules, asked for captions.

All of them run in the executor's workers, so that one that crashes, hangs or eats all memory ends a worker and no run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from worldfoundry.core.errors import DataError
from worldfoundry.curate import enrich
from worldfoundry.curate.annotate import annotate, captioner_of
from worldfoundry.curate.config import AnnotateConfig, CurateConfig
from worldfoundry.curate.enrich import Enrich, EnrichJob, merged, models_of
from worldfoundry.curate.plugins import ENRICHERS
from worldfoundry.curate.progress import Progress
from worldfoundry.curate.records import Row, Trouble
from worldfoundry.curate.store import Store
from worldfoundry.protocols.curation import Executor, Failure, Span

_BATCH = 16
_START_S = 600.0  # until a model is loaded
_AFAR = frozenset(("endpoint", "endpoint_type"))  # models of other machines: workers only wait for them
_MEASURED = ("none", "measured")
_PROBE_SIDE_PX = 64

Each = Callable[[Callable[[Any], Any], Sequence[Any], Sequence[float], Executor], Iterator[tuple[int, Any]]]
"""Results of a function over items with their deadlines, by an executor, watched by the circuit breaker."""


@dataclass(frozen=True, slots=True)
class Annotate:
    """Captions of a batch of kept rows."""

    store: Store
    """Where clips and answers lie."""
    config: AnnotateConfig
    """Settings."""

    def __call__(self, rows: Sequence[Row]) -> list[dict[str, str]]:
        """What is written about each row, in their order."""
        return annotate(rows, self.store, self.config, frames=partial(frames_of_clip, self.store))


@dataclass(frozen=True, slots=True)
class Probe:
    """Loads a model and shows it a few frames of a ramp."""

    config: AnnotateConfig
    """Of the captioner."""

    def __call__(self, model: tuple[str, str]) -> str:
        """Empty; what is wrong with the model raises."""
        name, weights = model
        if name in ENRICHERS.names():
            loaded = enrich.loaded(name, weights)
            loaded(_ramp(loaded.num_frames), np.arange(loaded.num_frames) / 8)
            return ""
        hurried = replace(self.config, retries=0, max_tokens=min(8, self.config.max_tokens))
        answer = captioner_of(hurried).ask(_ramp(1), "What is to be seen?")
        if answer.outcome == "error":
            raise DataError(f"annotate.{name} {weights!r} must answer, got {answer.detail}; start or mend it")
        return ""


@dataclass(frozen=True, kw_only=True)
class Models:
    """The models that a configuration asks for, in one run."""

    store: Store
    """Where answers lie."""
    config: CurateConfig
    """Settings."""
    executor: Executor
    """Who works."""
    progress: Progress
    """How it goes."""
    each: Each
    """How it is worked."""

    def probe(self) -> None:
        """Try each model once; raises if one cannot work, before anything long is begun."""
        wanted = models_of(self.config)
        if self.config.annotate.captioner not in _MEASURED:
            wanted.append((self.config.annotate.captioner, self.config.annotate.model))
        for model in wanted:
            runner = self._runner(model[0])
            ((_, result),) = self.each(Probe(self.config.annotate), [model], [_START_S], runner)
            if isinstance(result, Failure):
                raise DataError(
                    f"{model[0]} must run with {model[1]!r}, got {result.error}; check its weights or its server"
                )

    def enrich(
        self, rows: list[Row], spans: Mapping[str, Sequence[Span]], urls: Mapping[str, str]
    ) -> tuple[list[Row], dict[str, np.ndarray], dict[str, type]]:
        """Rows with what models say of spans, by content address; a source that one fails on becomes failed."""
        steps = [Enrich(self.store, name, weights) for name, weights in models_of(self.config)]
        jobs = [EnrichJob(url=urls[k], source_id=k, spans=tuple(v)) for k, v in spans.items()]
        limits = self.config.limits
        deadlines = [
            10 * limits.base_s + limits.encode_factor * sum(s.end_s - s.start_s for s in j.spans)
            for j in jobs
        ]
        failed: dict[str, Trouble] = {}
        for step in steps if jobs else ():
            self.progress.begin(f"enrich {step.model}", len(jobs))
            wrong: list[Failure] = []
            for k, result in self.each(step, jobs, deadlines, self._runner(step.model)):
                if isinstance(result, Failure):
                    wrong.append(result)
                    hidden = (jobs[k].url,)
                    failed[jobs[k].source_id] = Trouble.of_model(result, step.model, hide=hidden)
                self.progress.step(jobs[k].source_id)
            if len(wrong) == len(jobs):  # no fault of the sources
                raise DataError(
                    f"{step.model} must run, got {wrong[0].error!r} for each of {len(jobs)} sources; check its weights"
                )
        fresh, vectors, columns = merged(rows, steps)
        for row in fresh:
            trouble = failed.get(row["source_id"])
            if trouble is not None and row["clip_id"] and not row["decision"]:
                row.update(decision=trouble.state, reason=trouble.reason, detail=trouble.detail)
        return fresh, vectors, dict(columns)

    def annotate(self, rows: Sequence[Row]) -> list[Row]:
        """Rows with what is written about the kept ones."""
        config = self.config.annotate
        kept = [row for row in rows if row["decision"] == "kept"]
        if config.captioner == "none" or not kept:
            return list(rows)
        ask = Annotate(self.store, config) if config.captioner == "measured" else self._asked
        captions = ask(kept)
        by_id = {row["clip_id"]: words for row, words in zip(kept, captions, strict=True)}
        return [{**row, **by_id.get(row["clip_id"], {})} for row in rows]

    def _asked(self, kept: Sequence[Row]) -> list[dict[str, str]]:
        config = self.config.annotate
        runner = self._runner(config.captioner)
        share = replace(config, concurrency=max(1, config.concurrency // max(1, runner.num_workers)))
        batches = [kept[k : k + _BATCH] for k in range(0, len(kept), _BATCH)]
        deadlines = [_START_S + len(b) * config.timeout_s * (config.retries + 1) for b in batches]
        self.progress.begin("annotate", len(batches))
        written: dict[int, list[dict[str, str]]] = {}
        for k, result in self.each(Annotate(self.store, share), batches, deadlines, runner):
            written[k] = _no_captions(result, batches[k]) if isinstance(result, Failure) else result
            self.progress.step(batches[k][-1]["source"])
        return [words for k in range(len(batches)) for words in written[k]]

    def _runner(self, model: str) -> Executor:
        return self.executor if model in _AFAR else self.executor.for_models()


def _ramp(num_frames: int) -> np.ndarray:
    """uint8 [t, h, w, 3], from black to white."""
    row = np.linspace(0, 255, _PROBE_SIDE_PX).astype(np.uint8)[None, None, :, None]
    return np.broadcast_to(row, (num_frames, _PROBE_SIDE_PX, _PROBE_SIDE_PX, 3)).copy()


def _no_captions(failure: Failure, rows: Sequence[Row]) -> list[dict[str, str]]:
    words = {"caption": "", "caption_by": "", "caption_state": "error", "caption_detail": failure.error}
    return [dict(words) for _ in rows]


def frames_of_clip(
    store: Store, row: Row, num_frames: int, max_side_px: int
) -> tuple[np.ndarray, np.ndarray]:
    """Frames evenly over an encoded clip: uint8 [t, h, w, 3] and their times from its start."""
    whole = Span(start_s=0.0, end_s=row["end_s"] - row["start_s"])
    with store.local(row["path"]) as path:
        return enrich.frames_of(path, whole, 1 if row["is_still"] else num_frames, max_side_px)
