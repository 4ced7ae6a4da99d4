"""Which videos there are."""

import os
from pathlib import Path

from worldfoundry.core.errors import DataError

VIDEO_SUFFIXES = frozenset((".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts"))

IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png"))


def find_videos(folder: Path) -> list[Path]:
    """Video files at any depth below ``folder`` by their suffix, sorted by path; hidden files and folders are left out."""
    if not folder.is_dir():
        got = "a file; name the folder it is in" if folder.exists() else "no such folder; check the path"
        raise DataError(f"{folder} must be a folder with videos, got {got}")
    found: list[Path] = []
    for root, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith(".")]
        found += [Path(root, n) for n in names if Path(n).suffix.lower() in VIDEO_SUFFIXES and n[0] != "."]
    if not found:
        known = ", ".join(sorted(VIDEO_SUFFIXES))
        raise DataError(f"{folder} must hold videos ({known}), got none; check the path")
    return sorted(found, key=lambda p: p.relative_to(folder).as_posix())
