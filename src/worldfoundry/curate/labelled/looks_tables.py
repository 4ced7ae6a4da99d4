"""Features of labelled clips, measured once and cached: generators x sources -> arrays to fit and to evaluate on."""

import importlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from worldfoundry.core.files import atomic_path
from worldfoundry.curate.detect import kind, overlay
from worldfoundry.curate.labelled.looks_clips import (
    Footage,
    decode,
    list_footage,
    timeline_of,
    windows,
)
from worldfoundry.protocols.curation import Timeline


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One labelled clip as a detector saw it."""

    source: str
    """Unit of splitting."""
    window: str
    """Which stretch of it: clips of one window differ in the label only."""
    label: str
    """What is in it."""
    level: float
    """0 to 3."""
    group: str
    """Which generator made it."""
    timeline: Timeline
    """What the detector keeps of it."""


def rng_for(*words: object) -> np.random.Generator:
    """A generator that depends on these words only."""
    return np.random.default_rng(zlib.crc32("/".join(map(str, words)).encode()))


def cached(cache: Path, key: str, make) -> list[Item]:
    """``make()`` once, from ``cache/<key>.npz`` ever after."""
    path = cache / f"{key}.npz"
    if not path.exists():
        items = list(make())
        arrays = {f"{i}/{k}": v for i, item in enumerate(items) for k, v in item.timeline.items()}
        facts = [[m.source, m.window, m.label, m.level, m.group] for m in items]
        cache.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary, open(temporary, "wb") as f:
            np.savez_compressed(f, facts=np.array(json.dumps(facts)), **arrays)
    with np.load(path) as data:
        facts = json.loads(str(data["facts"]))
        timelines: list[Timeline] = [{} for _ in facts]
        for name in data.files:
            if name != "facts":
                number, _, field = name.partition("/")
                timelines[int(number)][field] = data[name]
    return [
        Item(source, window, label, level, group, timeline)
        for (source, window, label, level, group), timeline in zip(facts, timelines, strict=True)
    ]


def is_extra_camera(footage: Footage, number: int) -> bool:
    """Of the many look-alike robot and gesture clips one window each is enough."""
    return number > 0 and any(word in footage.name for word in ("droid", "bridge", "asl"))


def overlay_items(folder: Path, cache: Path, split: str) -> list[Item]:
    """Clips with and without overlaid text of one split; the timeline also holds ``mask``, the text's share of each cell."""
    generator = importlib.import_module(f"worldfoundry.curate.labelled.overlays_{split}")

    def measure(footage: Footage) -> Iterator[Item]:
        stretches = windows(
            footage,
            count=4 if split == "train" else 2,
            num_frames=9 if split == "train" else 13,
            stride_s=0.25,
        )
        for number, (frames, fps) in enumerate(stretches):
            rng = rng_for(footage.path.name, number, split, "overlay")
            if len(frames) < 8 or is_extra_camera(footage, number):
                continue
            for clip in generator.clips(_fit(frames), fps, rng):
                timeline = timeline_of(overlay.OverlayDetector(), iter(clip.views))
                timeline["mask"] = _cells_of(clip.mask, timeline["cells"].shape[2:], clip.views[0].luma)
                if split == "train":
                    taken = (v for v in clip.views if v.seconds in timeline["seconds"])
                    timeline["pictures"] = np.stack([overlay.shrink(v.luma) for v in taken])
                yield Item(
                    footage.name,
                    f"{footage.path.stem}#{number}",
                    clip.label,
                    clip.level,
                    clip.group,
                    timeline,
                )

    items: list[Item] = []
    for footage in list_footage(folder):
        if footage.split == split and not footage.may_have_text:
            items += cached(cache / "overlay" / split, footage.path.stem, lambda f=footage: measure(f))
    return items


def _fit(frames: np.ndarray) -> np.ndarray:
    """At most about 640 x 360, for the codec's sake."""
    h, w = frames.shape[1:3]
    shrink = min(1.0, (640 * 360 / (h * w)) ** 0.5)
    size = (int(w * shrink) // 2 * 2, int(h * shrink) // 2 * 2)
    return (
        np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames])
        if shrink < 1
        else frames
    )


def _cells_of(mask: np.ndarray | None, grid: tuple[int, ...], luma: np.ndarray) -> np.ndarray:
    """Share of each of the detector's cells that lies in the mask."""
    if mask is None:
        return np.zeros(grid, np.float32)
    full = np.zeros(luma.shape, np.float32)
    cut = mask[: luma.shape[0], : luma.shape[1]]
    full[: cut.shape[0], : cut.shape[1]] = cut
    shrunk = overlay.shrink((full * 255).astype(np.uint8)).astype(np.float32) / 255
    return shrunk.reshape(grid[0], overlay.CELL, grid[1], overlay.CELL).mean(axis=(1, 3))


def real_overlay_items(folder: Path, cache: Path, split: str) -> list[Item]:
    """The untouched sources without any overlaid text, in stretches of 5 s: every alarm is a false one."""

    def measure(footage: Footage) -> Iterator[Item]:
        timeline = timeline_of(overlay.OverlayDetector(), decode(footage.path))
        for start in np.arange(0, max(1.0, float(timeline["seconds"][-1])), 5.0):
            rows = (timeline["seconds"] >= start) & (timeline["seconds"] < start + 5)
            if rows.sum() > 2:
                part = {name: values[rows] for name, values in timeline.items()}
                yield Item(footage.name, f"{footage.path.stem}@{start:.0f}", "clean", 0, "untouched", part)

    items: list[Item] = []
    for footage in list_footage(folder):
        if footage.split == split and not footage.may_have_text:
            items += cached(
                cache / "overlay" / f"{split}-real", footage.path.stem, lambda f=footage: measure(f)
            )
    return items


_SYNTHETIC_KINDS = {"train": 24, "val": 10, "test": 12}
_KIND_MATERIAL = {"Cisco": "screen", "smpte": "pattern", "bt709": "pattern", "doc_medias": "pattern"}


def kind_items(folder: Path, cache: Path, split: str) -> list[Item]:
    """Clips of the five types: drawn from nothing, and the footage of the split; test also has the untouched sources."""
    generator = importlib.import_module(f"worldfoundry.curate.labelled.kinds_{split}")

    def drawn(number: int) -> Iterator[Item]:
        for clip in generator.synthetic(rng_for(split, number, "kind")):
            timeline = timeline_of(kind.KindDetector(), iter(clip.views))
            yield Item(f"drawn-{clip.group}", f"drawn{number}", clip.label, 1, clip.group, timeline)

    def filmed(footage: Footage) -> Iterator[Item]:
        stretches = windows(footage, count=2, num_frames=generator.FRAMES, stride_s=1 / generator.FPS)
        for number, (frames, _) in enumerate(stretches):
            rng = rng_for(footage.path.name, number, split, "kind")
            for clip in generator.from_footage(_fit(frames), footage.is_rendered, rng):
                timeline = timeline_of(kind.KindDetector(), iter(clip.views))
                yield Item(footage.name, f"{footage.path.stem}#{number}", clip.label, 1, clip.group, timeline)

    items: list[Item] = []
    for number in range(_SYNTHETIC_KINDS[split]):
        items += cached(cache / "kind" / split, f"drawn{number}", lambda n=number: drawn(n))
    for footage in list_footage(folder):
        if footage.split == split:
            items += cached(cache / "kind" / split, footage.path.stem, lambda f=footage: filmed(f))
    return items


def real_kind_items(folder: Path, cache: Path, split: str) -> list[Item]:
    """The untouched sources of a split, whole, by their known type; the text and pattern material counts as test."""

    def measure(footage: Footage) -> Iterator[Item]:
        known = next((v for k, v in _KIND_MATERIAL.items() if k in footage.path.name), None)
        label = known or ("rendered" if footage.is_rendered else "natural")
        timeline = timeline_of(kind.KindDetector(), decode(footage.path))
        yield Item(footage.name, footage.path.stem, label, 1, "untouched", timeline)

    items: list[Item] = []
    for footage in list_footage(folder):
        if footage.split == split or (split == "test" and footage.split == "material"):
            items += cached(cache / "kind" / f"{split}-real", footage.path.stem, lambda f=footage: measure(f))
    return items
