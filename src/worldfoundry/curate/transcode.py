"""Clips: each kept span becomes one uniform H.264 mp4.

Rate, times and size are those of the source, except that pictures above ``max_height`` are scaled down and that an odd last
row or column is repeated once, since H.264 in yuv420p needs even sizes. The index has the size of the clip as it is.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from worldfoundry.curate.config import CurateConfig
from worldfoundry.data.video_io import is_constant_rate, iter_frames
from worldfoundry.data.video_write import VideoWriter
from worldfoundry.protocols.curation import Record, Rejection


@dataclass
class Times:
    """Presentation times of all frames."""

    seconds: list[float] = field(default_factory=list)
    """One a frame."""

    def observe(self, pixels: np.ndarray, seconds: float) -> None:  # noqa: ARG002  only the time counts here
        """Note the time."""
        self.seconds.append(seconds)


@dataclass(frozen=True, slots=True)
class Transcode:
    """Writes ``clips/<id>.mp4``."""

    config: CurateConfig
    """The run's settings."""
    video: Path
    """The source video."""
    out: Path
    """The output folder."""
    name: str = "transcode"
    """Name in reports."""

    def begin(self, source: Record) -> Times:  # noqa: ARG002  every stage is told the source
        """Start to note times."""
        return Times()

    def judge(self, record: Record, measure: Times) -> Iterator[Record | Rejection]:
        """Write the clip; a clip of the same id that is there already is replaced by the same bytes."""
        # The index rounds times to the microsecond.
        start, end = record.start_seconds - 1e-6, record.end_seconds - 1e-6
        times = np.array([t for t in measure.seconds if start <= t < end])
        size = self._size(record)
        path = self.out / "clips" / f"{record.clip_id}.mp4"
        writer = VideoWriter(
            path,
            fps=record.fps,
            crf=self.config.crf,
            pad_to_even=True,
            is_variable_rate=not is_constant_rate(times, record.fps),
        )
        frames = iter_frames(self.video, start_seconds=start, end_seconds=end, height=size[0], width=size[1])
        with writer:
            for pixels, seconds in frames:
                writer.write(pixels, seconds)
        assert writer.num_frames == record.num_frames, (
            "the second pass over a video must give the same frames"
        )
        height, width = (n + n % 2 for n in size)
        yield dataclasses.replace(
            record, height=height, width=width, path=path.relative_to(self.out).as_posix()
        )

    def _size(self, record: Record) -> tuple[int, int]:
        """Rows and columns of the clip, before an odd one is padded."""
        cap = self.config.max_height
        if cap == "source" or record.height <= cap:
            return record.height, record.width
        return cap, max(2, 2 * round(record.width * cap / record.height / 2))
