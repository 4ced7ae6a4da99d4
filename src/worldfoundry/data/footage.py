"""Folders of footage as the field lays them out: DAVIS, TokenBench, or plain videos.

- ``davis``: one folder of JPEG frames a sequence, below ``JPEGImages/<resolution>/`` or right below the folder; 24 fps.
- ``tokenbench``: one folder of videos a source (BDD100K, BridgeData V2, EgoExo-4D, Panda-70M), of which the first 10 s count.
- ``plain``: videos at any depth.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from worldfoundry.core.errors import DataError
from worldfoundry.data.files import IMAGE_SUFFIXES, VIDEO_SUFFIXES, find_videos
from worldfoundry.data.video_io import read_image, read_video
from worldfoundry.protocols.frames import Frames

Layout = Literal["davis", "tokenbench", "plain"]
DAVIS_FPS = 24.0
TOKENBENCH_SECONDS = 10.0
_TOKENBENCH_SOURCES = ("bdd", "bridge", "egoexo", "panda")


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """One video, however it is stored."""

    path: Path
    """The file, or the folder of its frames."""
    name: str
    """Its path below the folder that was searched."""
    group: str
    """What it is counted with: the source in TokenBench, else the layout's name or ``real``."""
    max_seconds: float = math.inf
    """How much of it counts."""

    def read(self, *, max_seconds: float = math.inf) -> Frames:
        """Its first frames; those of a folder all have one size and come at DAVIS's rate."""
        seconds = min(max_seconds, self.max_seconds)
        if not self.path.is_dir():
            return read_video(self.path, end_seconds=seconds)
        files = _images(self.path)[: max(1, math.ceil(min(seconds * DAVIS_FPS, 1e9)))]
        pixels = [read_image(file).pixels[0] for file in files]
        if len({p.shape for p in pixels}) > 1:
            raise DataError(
                f"{self.path} must hold frames of one size, got {sorted({p.shape[:2] for p in pixels})}; take frames of one video"
            )
        return Frames.at_constant_rate(np.stack(pixels), DAVIS_FPS)


def find_footage(folder: Path) -> tuple[Layout, list[Footage]]:
    """The layout of a folder and its videos, sorted by path."""
    if not folder.is_dir():
        got = "a file; name the folder it is in" if folder.exists() else "no such folder; check the path"
        raise DataError(f"{folder} must be a folder with videos, got {got}")
    sequences = list(_davis_sequences(folder))
    if sequences:
        return "davis", [Footage(path=p, name=p.name, group="davis") for p in sequences]
    videos = [(p, p.relative_to(folder)) for p in find_videos(folder)]
    if _is_tokenbench(folder):
        return "tokenbench", [
            Footage(path=p, name=n.as_posix(), group=n.parts[0].lower(), max_seconds=TOKENBENCH_SECONDS)
            for p, n in videos
            if len(n.parts) > 1
        ]
    return "plain", [Footage(path=p, name=n.as_posix(), group="real") for p, n in videos]


def _images(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.name[0] != ".")


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != ".")


def _davis_sequences(folder: Path) -> Iterator[Path]:
    top = folder / "JPEGImages"
    if top.is_dir():
        resolutions = _folders(top)
        if len(resolutions) != 1:
            raise DataError(
                f"{folder} must hold one resolution below JPEGImages, got {[r.name for r in resolutions]}; name one of them, "
                f"for example {top / (resolutions[0].name if resolutions else '480p')}"
            )
        folder = resolutions[0]
    elif any(
        Path(name).suffix.lower() in VIDEO_SUFFIXES for _, _, names in os.walk(folder) for name in names
    ):
        return
    yield from (p for p in _folders(folder) if _images(p))


def _is_tokenbench(folder: Path) -> bool:
    plain = ["".join(c for c in p.name.lower() if c.isalnum()) for p in _folders(folder)]
    return bool(plain) and all(name.startswith(_TOKENBENCH_SOURCES) for name in plain)
