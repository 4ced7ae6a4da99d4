"""The words of curation: what flows between the stages, what a stage is, who runs it.

A *record* is a span of one source video. A *stage* turns one record into records (cut, scored, written) and *rejections*,
each of which keeps the reason: nothing is dropped silently. All stages look at one source through a single pass over its
small frames, in which each has a *measure*; then they judge the spans. An *executor* runs one function over many videos.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import numpy as np


class Reason(StrEnum):
    """Why something was not kept."""

    TOO_SHORT = "too_short"
    STATIC = "static"
    DAMAGED = "damaged"
    DUPLICATE_SOURCE = "duplicate_source"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A span of a source video on its way to becoming a clip."""

    source: str
    """Path of the source video below the source folder, with forward slashes."""
    source_sha256: str
    """Digest of the whole source file, 64 hex digits; empty if it could not be read."""
    start_seconds: float = 0.0
    """Presentation time of the first frame."""
    end_seconds: float = 0.0
    """End of the last frame: the span is half-open."""
    fps: float = 0.0
    """Average frame rate."""
    num_frames: int = 0
    """Frames in the span."""
    width: int = 0
    """Columns of the upright picture."""
    height: int = 0
    """Rows of the upright picture."""
    clip_id: str = ""
    """Content hash of source, span and settings."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """What the stages measured, by name."""
    path: str = ""
    """The clip below the output folder, once written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A record that was not kept."""

    record: Record
    """What it was, with the scores it had by then."""
    reason: Reason
    """Code to count by."""
    detail: str
    """One line for people: the value and the rule it broke, or the error."""
    traceback: str = ""
    """Where it happened, for failures that nobody foresaw."""


@runtime_checkable
class Measure(Protocol):
    """What one stage keeps of one video while its frames pass by; bounded by the number of frames, not of pixels."""

    def observe(self, pixels: np.ndarray, seconds: float) -> None:
        """See the next small frame, uint8 [h, w, 3], and its presentation time."""
        ...


@runtime_checkable
class Stage(Protocol):
    """One step of curation: a plain picklable object without state."""

    @property
    def name(self) -> str:
        """Name in reports."""
        ...

    def begin(self, source: Record) -> Measure | None:
        """A fresh measure for one video; None if the stage needs none."""
        ...

    def judge(self, record: Record, measure: Any) -> Iterable[Record | Rejection]:
        """What becomes of one record, given what its measure saw of the whole video."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What an executor returns in place of a result when the function raised or its process died."""

    error: str
    """One line: the kind of error and its message."""
    traceback: str
    """The whole trace."""


@runtime_checkable
class Executor(Protocol):
    """Runs a function over items, anywhere, in any order; one bad item never harms the others."""

    def __call__(
        self, function: Callable[[Any], Any], items: Sequence[Any]
    ) -> Iterator[tuple[int, Any | Failure]]:
        """Pairs of an item's position and its result, as they are done."""
        ...
