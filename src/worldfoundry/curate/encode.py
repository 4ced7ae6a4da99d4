"""Encode: kept spans of a source become files, and one record says that they are there.

A clip is H.264 in mp4 with the rate, times and size of its source, except that pictures above ``max_height`` are scaled
down and that an odd last row or column is repeated once, since H.264 in yuv420p needs even sizes. An image is one JPEG.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worldfoundry.core.config import to_json
from worldfoundry.core.errors import DataError
from worldfoundry.curate.config import EncodeConfig
from worldfoundry.curate.memory import keep_freed_memory
from worldfoundry.curate.records import TICK_S, read_json, source_path, write_json
from worldfoundry.curate.store import Store, local_copy
from worldfoundry.data.video_write import VideoWriter, write_image
from worldfoundry.data.views import Views
from worldfoundry.protocols.curation import SourceInfo

VERSION = 1
"""Raised whenever the bytes of clips change."""


TROUBLE = "-trouble.json"
"""How the name of a record ends that says why clips could not be made."""


def trouble_path(source_id: str, fingerprint: str) -> str:
    """Name of what is stored about a source whose clips cannot be made, by the fingerprint of the encoding."""
    return source_path("records", source_id, f"-{fingerprint}{TROUBLE}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipJob:
    """A span to be encoded."""

    clip_id: str
    """Its name."""
    start_s: float
    """Time of its first frame."""
    end_s: float
    """End of its last frame."""
    num_frames: int
    """Frames in it, by the analysis."""
    fps: float
    """Average rate."""
    is_variable: bool = False
    """Whether its frames are not equally spaced, so that each keeps its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeJob:
    """All kept spans of one source."""

    url: str
    """Where the source is."""
    info: SourceInfo
    """What it is."""
    clips: tuple[ClipJob, ...]
    """In order of time."""


def encode_key(config: EncodeConfig) -> dict[str, Any]:
    """What the bytes of a clip depend on beside its source and span."""
    return {"version": VERSION, **to_json(config)}


def clip_path(clip_id: str, *, is_still: bool) -> str:
    """Name of a clip's file."""
    return source_path("clips", clip_id, ".jpg" if is_still else ".mp4")


@dataclass(frozen=True, slots=True)
class Encode:
    """Writes the clips of a source that are not there yet, then its record."""

    store: Store
    """Where clips and records lie."""
    config: EncodeConfig
    """Settings."""

    def __call__(self, job: EncodeJob) -> int:
        """The number of clips that were made now."""
        name = source_path("records", job.info.source_id, ".json")
        there = self._there(name)
        missing = [clip for clip in job.clips if clip.clip_id not in there]
        if missing:
            keep_freed_memory()
            with local_copy(job.url) as path:
                for clip in missing:
                    there[clip.clip_id] = self._encode(path, clip, job.info)
        write_json(self.store, name, {"schema": 1, "clips": {c.clip_id: there[c.clip_id] for c in job.clips}})
        return len(missing)

    def clips(self, source_id: str) -> dict[str, Any]:
        """What the record of a source says of each clip."""
        return (read_json(self.store, source_path("records", source_id, ".json")) or {"clips": {}})["clips"]

    def is_done(self, job: EncodeJob) -> bool:
        """Whether all clips of a source are on disk as its record says, and no others are in the record."""
        there = self._there(source_path("records", job.info.source_id, ".json"), whole=True)
        return list(there) == [clip.clip_id for clip in job.clips]

    def _there(self, name: str, *, whole: bool = False) -> dict[str, Any]:
        record = read_json(self.store, name) or {"clips": {}}
        good = {k: v for k, v in record["clips"].items() if self.store.size(v["path"]) == v["bytes"]}
        return good if not whole or len(good) == len(record["clips"]) else {}

    def _encode(self, source: Path, clip: ClipJob, info: SourceInfo) -> dict[str, Any]:
        name = clip_path(clip.clip_id, is_still=info.is_still)
        height, width = clip_size(info.height, info.width, self.config)
        with self.store.writing(name) as path:
            views = Views(source, clip.start_s - TICK_S, clip.end_s - TICK_S)
            if info.is_still:
                count = [write_image(path, view.pixels(height, width)) for view in views].count(None)
            else:
                count = self._write(path, views, clip, (height, width))
                height, width = height + height % 2, width + width % 2
            size = path.stat().st_size
        if count != clip.num_frames:
            self.store.remove(name)
            raise DataError(
                f"{source} must be what it was when it was analysed, got {count} of {clip.num_frames} frames from "
                f"{clip.start_s:.3f} s on; run again while nothing writes to it"
            )
        return {"path": name, "bytes": size, "width": width, "height": height, "num_frames": count}

    def _write(self, path: Path, views: Views, clip: ClipJob, size: tuple[int, int]) -> int:
        writer = VideoWriter(
            path, fps=clip.fps, crf=self.config.crf, pad_to_even=True, is_variable_rate=clip.is_variable
        )
        with writer:
            for view in views:
                writer.write(view.pixels(*size), view.seconds)
        return writer.num_frames


def clip_size(height: int, width: int, config: EncodeConfig) -> tuple[int, int]:
    """Rows and columns of a clip, before an odd one is padded."""
    cap = config.max_height
    if cap == "source" or height <= cap:
        return height, width
    return cap, max(2, 2 * round(width * cap / height / 2))
