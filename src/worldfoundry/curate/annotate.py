"""Captions of kept clips: by what was measured, by a vision-language endpoint, or by a model on this machine.

Every caption says who wrote it and how it went: ``success``, ``truncated``, ``refused`` or ``error``. Answers of models are
kept below ``captions/``, named by the frames, the question and the model: equal frames are never asked about twice, and a
clip whose frames are known is not decoded again. Errors are not kept, so the next run asks again.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from worldfoundry.core.errors import ConfigError
from worldfoundry.curate.config import AnnotateConfig
from worldfoundry.curate.measured import describe_row
from worldfoundry.curate.plugins.endpoint import Answer, Endpoint
from worldfoundry.curate.records import Row, digest_of, read_json, source_path, write_json
from worldfoundry.curate.store import Store

FramesOf = Callable[[Row, int, int], tuple[np.ndarray, np.ndarray]]
"""Frames of a clip and their times, from its row, a number of frames and the longest side in pixels."""
MEASURED = "measured"
"""Who wrote a caption that no model wrote."""


@runtime_checkable
class Captioner(Protocol):
    """A model that is asked about frames."""

    @property
    def model(self) -> str:
        """Its name, which stands beside each caption."""
        ...

    def ask(self, frames: np.ndarray, prompt: str) -> Answer:
        """Answer about uint8 [t, h, w, 3]; what goes wrong with one clip is an outcome, not an exception."""
        ...


def annotate(
    rows: Sequence[Row], store: Store, config: AnnotateConfig, *, frames: FramesOf
) -> list[dict[str, str]]:
    """What is written about each row, in their order: ``caption``, ``caption_by``, ``_state`` and ``_detail``."""
    if config.captioner == "none":
        return [_written(Answer(outcome="success"), "none") for _ in rows]
    if config.captioner == "measured":
        return [_written(Answer(outcome="success", text=describe_row(row)), MEASURED) for row in rows]
    cache = _Cache(store, config)
    captioner = _Lazy(config)

    def one(row: Row) -> dict[str, str]:
        answer = cache.find(row) or cache.ask(row, captioner, frames)
        return _written(answer, config.model)

    # Threads only wait for the endpoint; a model of this machine is asked for one clip after the other.
    with ThreadPoolExecutor(config.concurrency if config.captioner == "endpoint" else 1) as pool:
        return list(pool.map(one, rows))


def _written(answer: Answer, by: str) -> dict[str, str]:
    has_text = answer.outcome in ("success", "truncated")
    return {
        "caption": answer.text if has_text else "",
        "caption_by": by,
        "caption_state": answer.outcome,
        "caption_detail": answer.detail,
    }


def captioner_of(config: AnnotateConfig) -> Captioner:
    """The model that a configuration names."""
    if config.captioner == "endpoint":
        return Endpoint(
            url=config.url,
            model=config.model,
            api_key_variable=config.api_key_variable,
            max_tokens=config.max_tokens,
            timeout_s=config.timeout_s,
            retries=config.retries,
        )
    if config.captioner == "transformers":
        # Imported here: it needs torch, which nothing else in curation does.
        from worldfoundry.curate.plugins.language import load_language  # noqa: PLC0415

        return load_language(config.model, max_tokens=config.max_tokens)
    raise ConfigError(
        f"captioner must be endpoint or transformers to be asked, got {config.captioner!r}; see --help"
    )


class _Lazy:
    """Loads the model at the first question: a run whose captions are all known needs none."""

    def __init__(self, config: AnnotateConfig):
        self._config = config
        self._loaded: Captioner | None = None

    def ask(self, frames: np.ndarray, prompt: str) -> Answer:
        if self._loaded is None:
            self._loaded = captioner_of(self._config)
        return self._loaded.ask(frames, prompt)


@dataclass(frozen=True, slots=True)
class _Cache:
    """Answers by frames and question, and for each clip the frames that it showed."""

    store: Store
    config: AnnotateConfig

    def _question(self) -> list[Any]:
        c = self.config
        return [c.captioner, c.model, c.prompt, c.max_tokens]

    def _clip_name(self, row: Mapping[str, Any]) -> str:
        # A clip id names content, so the same clip shows the same frames.
        key = digest_of(
            "clip", row["clip_id"], self.config.num_frames, self.config.max_side_px, self._question()
        )
        return source_path("captions", key, ".json")

    def _frames_name(self, frames: np.ndarray) -> str:
        shown = hashlib.blake2b(np.ascontiguousarray(frames).tobytes(), digest_size=16).hexdigest()
        return source_path("captions", digest_of("frames", shown, frames.shape, self._question()), ".json")

    def find(self, row: Row) -> Answer | None:
        """The stored answer about a clip, None if there is none."""
        pointer = read_json(self.store, self._clip_name(row))
        return None if pointer is None else self._read(pointer["answer"])

    def _read(self, name: str) -> Answer | None:
        document = read_json(self.store, name)
        return None if document is None else Answer(**document)

    def ask(self, row: Row, captioner: _Lazy, frames_of: FramesOf) -> Answer:
        """Ask about a clip, unless its frames are known from another, and store the answer."""
        frames, _ = frames_of(row, self.config.num_frames, self.config.max_side_px)
        name = self._frames_name(frames)
        answer = self._read(name) or captioner.ask(frames, self.config.prompt)
        if answer.outcome != "error":
            kept = {
                k: getattr(answer, k)
                for k in ("outcome", "text", "detail", "num_prompt_tokens", "num_output_tokens")
            }
            write_json(self.store, name, json.loads(json.dumps(kept)))
            write_json(self.store, self._clip_name(row), {"answer": name})
        return answer
