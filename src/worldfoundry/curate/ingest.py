"""Which videos there are, and what each one is."""

import hashlib
import os
from pathlib import Path

from worldfoundry.core.errors import DataError
from worldfoundry.data.video_io import probe
from worldfoundry.protocols.curation import Record

VIDEO_SUFFIXES = frozenset((".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts"))


def find_videos(folder: Path) -> list[Path]:
    """Video files at any depth below ``folder`` by their suffix, sorted by path; hidden files and folders are left out."""
    if not folder.is_dir():
        raise DataError(f"{folder} must be a folder with videos, got none there; check the path")
    found: list[Path] = []
    for root, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith(".")]
        found += [Path(root, n) for n in names if Path(n).suffix.lower() in VIDEO_SUFFIXES and n[0] != "."]
    if not found:
        known = ", ".join(sorted(VIDEO_SUFFIXES))
        raise DataError(f"{folder} must hold videos ({known}), got none; check the path")
    return sorted(found, key=lambda p: p.relative_to(folder).as_posix())


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
