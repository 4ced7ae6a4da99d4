"""Which videos there are, and what each one is."""

import hashlib
from pathlib import Path

from worldfoundry.data.files import find_videos
from worldfoundry.data.video_io import probe
from worldfoundry.protocols.curation import Record

__all__ = ["describe", "find_videos", "sha256_of"]


def sha256_of(path: Path) -> str:
    """Digest of a file's content, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe(path: Path, source: str, source_sha256: str) -> Record:
    """The record of a whole video, which the stages then cut."""
    info = probe(path)
    return Record(
        source=source,
        source_sha256=source_sha256,
        end_seconds=info.duration_seconds,
        fps=info.fps_measured,
        num_frames=info.num_frames,
        width=info.width,
        height=info.height,
    )
