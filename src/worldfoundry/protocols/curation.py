"""The words of curation: what a detector sees, what it keeps, who runs it.

A *source* is one video or image. One decode of it feeds every *detector*; each keeps a *timeline*, numbers over time that
depend on no threshold. *Spans* of a source become clips or rejections later, from timelines and settings alone, so that a
changed setting costs seconds. An *executor* runs one function over many sources.

Times are presentation times in seconds; a span is half-open, ``start_s <= t < end_s``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

Timeline = dict[str, np.ndarray]
"""Arrays whose first axis is samples in order of time; ``seconds`` float64 [n] is always among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """What a source is, before its frames are decoded."""

    source: str
    """Its path or URL below the input, with forward slashes."""
    source_id: str
    """Content address of the file, 40 hex digits: the same bytes have the same id wherever they lie."""
    width: int
    """Columns of the upright picture."""
    height: int
    """Rows of the upright picture."""
    fps: float
    """Average frame rate; 1 for a still image."""
    duration_s: float
    """Length by the container; the decode knows better."""
    is_still: bool = False
    """Whether it is an image."""


@runtime_checkable
class View(Protocol):
    """One decoded frame as detectors see it; upright, in presentation order."""

    @property
    def seconds(self) -> float:
        """Presentation time."""
        ...

    @property
    def small(self) -> np.ndarray:
        """uint8 RGB [h, w, 3], at most 256 columns, never enlarged; the same array for all detectors, not to be changed."""
        ...

    @property
    def luma(self) -> np.ndarray:
        """uint8 [H, W] at full resolution, 0 to 255; converted on the first use, so look at few frames."""
        ...


@runtime_checkable
class Meter(Protocol):
    """What one detector keeps of one source while its frames pass by: memory for numbers, never for pictures."""

    def observe(self, view: View) -> None:
        """See the next frame."""
        ...

    def finish(self) -> Timeline:
        """What was seen; called once, after the last frame."""
        ...


@runtime_checkable
class Detector(Protocol):
    """Measures one property of a source: a plain picklable object without state."""

    @property
    def name(self) -> str:
        """Key of its timeline."""
        ...

    @property
    def version(self) -> int:
        """Raised whenever the numbers change: stored timelines of another version are made again."""
        ...

    def begin(self, source: SourceInfo) -> Meter:
        """A fresh meter for one source."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A half-open part of a source."""

    start_s: float
    """Time of the first frame."""
    end_s: float
    """End of the last frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What an executor returns in place of a result when the function raised, hung or its process died."""

    kind: str
    """error, timeout, crash, memory, or disk, which is no fault of the item."""
    error: str
    """One line: the kind of error and its message."""
    traceback: str = ""
    """The whole trace, where there is one."""
    attempts: int = 1
    """How often it was tried."""


@runtime_checkable
class Executor(Protocol):
    """Runs a function over items, each in a process that can be killed; one bad item never harms the others."""

    def __call__(
        self,
        function: Callable[[Any], Any],
        items: Sequence[Any],
        *,
        deadlines_s: Sequence[float],
        stopped: Callable[[], bool] = ...,
    ) -> Iterator[tuple[int, Any | Failure]]:
        """Pairs of an item's position and its result, as they are done; once ``stopped``, no further item is begun."""
        ...

    @property
    def num_workers(self) -> int:
        """Items under way at once, at most."""
        ...

    def for_models(self) -> "Executor":
        """The same executor with what models need: a GPU for each worker where there are any, one copy on one machine."""
        ...


@runtime_checkable
class Enricher(Protocol):
    """A published model that looks at a few frames of a span; loaded once a process."""

    @property
    def name(self) -> str:
        """Stands in the name of its results."""
        ...

    @property
    def version(self) -> str:
        """Digest of the weights."""
        ...

    @property
    def num_frames(self) -> int:
        """Frames it looks at, evenly over a span."""
        ...

    @property
    def max_side_px(self) -> int:
        """Longer side of these frames at most."""
        ...

    def __call__(self, frames: np.ndarray, seconds: np.ndarray) -> Mapping[str, Any]:
        """Scores and, under ``embedding``, a vector, of uint8 [t, h, w, 3] at their times."""
        ...


Scores = Mapping[str, Any]
"""Named numbers, words or tags of one span, as they stand in the index."""
