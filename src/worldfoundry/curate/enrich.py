"""Enrich: published models look at a few frames of the spans that pass the cheap rules; what they say is stored."""

import functools
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from worldfoundry.curate.config import CurateConfig
from worldfoundry.curate.plugins import ENRICHERS
from worldfoundry.curate.records import TICK_S, clip_id_of, digest_of, source_path
from worldfoundry.curate.store import Store, local_copy
from worldfoundry.data.views import Views
from worldfoundry.protocols.curation import Enricher, Span

_SMALL_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrichJob:
    """Spans of one source."""

    url: str
    """Where the source is."""
    source_id: str
    """Its content address."""
    spans: tuple[Span, ...]
    """In order of time."""


def models_of(config: CurateConfig) -> list[tuple[str, str]]:
    """Name and weights of each model that a configuration asks for."""
    wanted = [
        (config.quality.model, config.quality.weights),
        ("clip_aesthetics" if config.aesthetics.model == "clip" else "none", config.aesthetics.weights),
        ("endpoint_type" if config.type.model == "endpoint" else "none", config.type.weights),
        (config.embed.model, config.embed.weights),
    ]
    return [(name, weights) for name, weights in wanted if name not in ("none", "own")]


@dataclass(frozen=True, slots=True)
class Enrich:
    """Runs one model over the spans of a source."""

    store: Store
    """Where answers lie."""
    model: str
    """Name in the table of plug-ins."""
    weights: str
    """Path of its weights."""

    def __call__(self, job: EnrichJob) -> int:
        """The number of spans that were looked at now."""
        missing = [span for span in job.spans if not self.store.exists(self.name_of(job.source_id, span))]
        if missing:
            model = loaded(self.model, self.weights)
            with local_copy(job.url) as path:
                for span in missing:
                    frames, seconds = frames_of(path, span, model.num_frames, model.max_side_px)
                    answer = {k: np.asarray(v) for k, v in model(frames, seconds).items()}
                    buffer = io.BytesIO()
                    np.savez(buffer, **{k: answer[k] for k in sorted(answer)})  # pyright: ignore[reportArgumentType]
                    self.store.write_bytes(self.name_of(job.source_id, span), buffer.getvalue())
        return len(missing)

    def name_of(self, source_id: str, span: Span) -> str:
        """Name of the answer about a span."""
        fingerprint = digest_of(self.model, Path(self.weights).name, _mark_of(Path(self.weights)))
        return source_path(
            "enrich", clip_id_of(source_id, span.start_s, span.end_s, None), f"-{fingerprint}.npz"
        )

    def answer(self, source_id: str, span: Span) -> dict[str, Any]:
        """What the model said of a span: plain values, and an array under ``embedding``; empty if it was not asked."""
        try:
            with np.load(io.BytesIO(self.store.read_bytes(self.name_of(source_id, span)))) as file:
                return {k: file[k] if file[k].ndim else file[k].item() for k in file.files}
        except FileNotFoundError:
            return {}


def _mark_of(weights: Path) -> str:
    """What tells weights from others of their name: small files by their bytes, large ones by size and time of change."""
    files = sorted(p for p in weights.rglob("*") if p.is_file()) if weights.is_dir() else [weights]
    return digest_of([(p.relative_to(weights).as_posix(), *_marks(p)) for p in files])


def _marks(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        return ()
    facts = path.stat()
    if facts.st_size > _SMALL_BYTES:
        return str(facts.st_size), str(facts.st_mtime_ns)
    return (hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest(),)


@functools.cache
def loaded(model: str, weights: str) -> Enricher:
    """Loaded once a process."""
    return ENRICHERS.get(model)(weights)


def frames_of(
    path: str | Path, span: Span, num_frames: int, max_side_px: int
) -> tuple[np.ndarray, np.ndarray]:
    """Frames of a local file evenly over a span, scaled down where they are larger: uint8 [t, h, w, 3] and their times."""
    length = span.end_s - span.start_s
    wanted = [span.start_s + (k + 0.5) / num_frames * length for k in range(num_frames)]
    pictures: list[np.ndarray] = []
    seconds: list[float] = []
    held, last = None, span.start_s
    for view in Views(path, span.start_s - TICK_S, span.end_s - TICK_S):
        if len(pictures) == len(wanted):
            break
        if view.seconds >= wanted[len(pictures)] - TICK_S or held is None:
            held = view.pixels(*fitted(*view.size, max_side_px))
        while len(pictures) < len(wanted) and view.seconds >= wanted[len(pictures)] - TICK_S:
            pictures.append(held)
            seconds.append(view.seconds)
        last = view.seconds
    if held is not None and len(pictures) < len(wanted):
        missing = len(wanted) - len(pictures)
        pictures += [pictures[-1] if pictures else held] * missing
        seconds += [seconds[-1] if seconds else last] * missing
    return np.stack(pictures), np.array(seconds)


def fitted(height: int, width: int, max_side_px: int) -> tuple[int, int]:
    """Rows and columns of a picture whose longer side is at most so many pixels.

    >>> fitted(1080, 1920, 480)
    (270, 480)
    """
    share = min(1.0, max_side_px / max(height, width))
    return max(1, round(height * share)), max(1, round(width * share))


def merged(
    rows: Sequence[dict[str, Any]], steps: Sequence[Enrich]
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray], Mapping[str, type]]:
    """Rows with the scores of models, embeddings by clip, and the columns that came."""
    vectors: dict[str, np.ndarray] = {}
    columns: dict[str, type] = {}
    fresh = [dict(row) for row in rows]
    for row in fresh:
        if row["clip_id"] and not row["decision"]:
            for step in steps:
                answer = step.answer(row["source_id"], Span(start_s=row["start_s"], end_s=row["end_s"]))
                vector = answer.pop("embedding", None)
                if vector is not None:
                    vectors[row["clip_id"]] = vector.astype(np.float32).ravel()
                row |= answer
                columns |= {k: type(v) for k, v in answer.items()}
    return fresh, vectors, dict(sorted(columns.items()))
