"""Features of clean and degraded clips for the quality detector: generators, crops, and whole footage at other sizes."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from av.video.reformatter import Interpolation

from worldfoundry.curate.detect import quality
from worldfoundry.curate.labelled.looks_clips import (
    DecodedView,
    Footage,
    decode,
    list_footage,
    resized,
    timeline_of,
    windows,
)
from worldfoundry.curate.labelled.looks_tables import Item, cached, is_extra_camera, rng_for
from worldfoundry.protocols.curation import Timeline

_PATCH_H, _PATCH_W = 128, 176  # a tile of the detector and a margin for what codecs and filters drag in
_CROP_H, _CROP_W = 208, 320
_FRAMES = 7
_NUM_WINDOWS = {"train": 5, "val": 2, "test": 2}
_SCALERS = (Interpolation.AREA, Interpolation.BICUBIC, Interpolation.FAST_BILINEAR)


def quality_items(folder: Path, cache: Path, split: str) -> list[Item]:
    """Degraded and clean clips of one split, every source; train also has crops and extremes of light."""
    generator = importlib.import_module(f"worldfoundry.curate.labelled.degradations_{split}")
    parts = ("", "-crops", "-keys") if split == "train" else ("",)
    items: list[Item] = []
    for footage in list_footage(folder):
        for part in parts if footage.split == split else ():
            place = cache / "quality" / (split + part)
            items += cached(
                place, footage.path.stem, lambda f=footage, p=part: _degraded(f, split, p, generator)
            )
    return items


def _degraded(footage: Footage, split: str, part: str, generator) -> Iterator[Item]:
    for number, (frames, fps) in enumerate(windows(footage, count=_NUM_WINDOWS[split], num_frames=_FRAMES)):
        if is_extra_camera(footage, number):
            continue
        rng = rng_for(footage.path.name, number, split + part)
        frames = _shrunk(frames, rng) if split == "train" else frames
        seen = _crop(frames, rng) if part == "-crops" else _excerpt(frames)
        make = generator.keys if part == "-keys" else generator.variants
        for clip in make(seen, fps, frames.shape[1], rng):
            window = f"{footage.path.stem}#{number}{part}"
            yield Item(footage.name, window, clip.label, clip.level, clip.group, _measured(clip.views))


def _excerpt(frames: np.ndarray) -> np.ndarray:
    """Of a large picture the nine patches that the detector looks into, side by side; a small one whole.

    Defects live at the scale of pixels and encoding costs by their number, but a crop would not do: parts of a clean
    picture are soft, flat or dark, and only the picture as a whole is to be called clean.
    """
    h, w = frames.shape[1:3]
    if h * w <= 1.2 * 9 * _PATCH_H * _PATCH_W or h < 3 * _PATCH_H or w < 3 * _PATCH_W:
        return frames
    rows = _places(h, _PATCH_H)
    columns = _places(w, _PATCH_W)
    return np.ascontiguousarray(frames[:, rows][:, :, columns])


def _crop(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One place of it, on the codec's grid."""
    h, w = frames.shape[1:3]
    y = int(rng.integers(0, max(0, h - _CROP_H) // 16 + 1)) * 16
    x = int(rng.integers(0, max(0, w - _CROP_W) // 16 + 1)) * 16
    return np.ascontiguousarray(frames[:, y : y + _CROP_H, x : x + _CROP_W])


def _places(size: int, patch: int) -> np.ndarray:
    """Positions of three patches, on the codec's grid: at the start, in the middle, at the end."""
    starts = [0, (size - patch) // 2 // 16 * 16, (size - patch) // 16 * 16]
    return np.concatenate([np.arange(start, start + patch) for start in starts])


def _shrunk(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sometimes a smaller sharp copy, so that the scale of the picture is not what is learnt."""
    h, w = frames.shape[1:3]
    if min(h, w) < 300 or rng.random() < 0.5:
        return frames
    factor = rng.uniform(0.5, 0.95)
    size = (int(w * factor) // 2 * 2, int(h * factor) // 2 * 2)
    return np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames])


def _measured(views: list[DecodedView]) -> Timeline:
    """A key frame and a predicted one, each beside the next; with the variance of the Laplacian, a trivial measure."""
    chosen = sorted({0, len(views) - 2})
    parts = [timeline_of(quality.QualityDetector(interval_s=1e9), iter(views[i : i + 2])) for i in chosen]
    timeline = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    sharpness = [cv2.Laplacian(views[i].luma, cv2.CV_32F).var() for i in chosen]
    timeline["laplacian"] = np.array(sharpness, np.float32)
    return timeline


def real_quality_items(folder: Path, cache: Path, split: str) -> list[Item]:
    """The untouched sources, whole, in stretches of 5 s: what a user's pile is; none should be rejected."""

    def measure(footage: Footage) -> Iterator[Item]:
        timeline = timeline_of(quality.QualityDetector(), decode(footage.path))
        last = float(timeline["seconds"][-1])
        for start in np.arange(0, max(1.0, last), 5.0):
            rows = (timeline["seconds"] >= start) & (timeline["seconds"] < start + 5)
            part = {name: values[rows] for name, values in timeline.items()}
            if rows.sum() and (rows.sum() > 1 or start == 0):
                yield Item(footage.name, f"{footage.path.stem}@{start:.0f}", "clean", 0, "untouched", part)

    items: list[Item] = []
    for footage in list_footage(folder):
        if footage.split == split:
            items += cached(
                cache / "quality" / f"{split}-real", footage.path.stem, lambda f=footage: measure(f)
            )
    return items


def resized_items(folder: Path, cache: Path) -> list[Item]:
    """The training sources whole, as they are and at three smaller sizes with no codec after: all of it clean.

    Without them the detector would take the absence of a codec's grid for a defect, since no other clip lacks one.
    """

    def measure(footage: Footage) -> Iterator[Item]:
        rng, views = rng_for(footage.path.name, "resized"), list(decode(footage.path, max_frames=240))
        least = max(0.35, 150 / min(views[0].frame.width, views[0].frame.height))
        shrinks = [(float(rng.uniform(least, 0.97)), how) for how in _SCALERS if least < 0.95]
        for shrink, how in [(1.0, None), *shrinks]:
            seen = views if how is None else (resized(v, shrink, how) for v in views)
            timeline = timeline_of(quality.QualityDetector(interval_s=1.4), iter(seen))
            group = "untouched" if how is None else "resized"
            yield Item(footage.name, f"{footage.path.stem}@{shrink:.2f}", "clean", 0, group, timeline)

    items: list[Item] = []
    for footage in list_footage(folder):
        if footage.split == "train":
            items += cached(
                cache / "quality" / "train-resized", footage.path.stem, lambda f=footage: measure(f)
            )
    return items
