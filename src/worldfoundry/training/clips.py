"""Where the tokenizer's batches come from: clip sets in memory maps, or footage that is decoded on the way."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from worldfoundry.core.errors import DataError
from worldfoundry.data.clip_set import ClipSet, check_seeds, is_clip_set, open_clip_sets
from worldfoundry.data.files import find_videos
from worldfoundry.data.fit import resize
from worldfoundry.data.loading.buckets import Bucket
from worldfoundry.data.loading.loader import Batch, ClipLoader, LoaderConfig
from worldfoundry.data.loading.plan import PlanConfig
from worldfoundry.data.loading.source import ClipSetSource, ClipSource, FileSource
from worldfoundry.data.stored import open_dataset
from worldfoundry.data.stored.clip import DatasetSource
from worldfoundry.data.stored.folder import is_described
from worldfoundry.data.stored.tars import find_tars
from worldfoundry.training.config import TrainConfig
from worldfoundry.training.objectives import ClipSampler, draw_integer, to_unit
from worldfoundry.training.tokenizer_config import TokenizerObjective


@runtime_checkable
class Clips(Protocol):
    """Crops for the tokenizer."""

    @property
    def digests(self) -> tuple[str, ...]:
        """Names of the content."""
        ...

    def draw(self, count: int, generator: torch.Generator, *, step: int, num_frames: int) -> Tensor:
        """``count`` crops [b 3 t h w] in [-1, 1] of one shape for ``step``; every chance comes from ``generator``."""
        ...


def check_data(folders: Sequence[str]) -> None:
    """Name every folder that is not there, at once."""
    if missing := [folder for folder in folders if not Path(folder).exists()]:
        raise DataError(
            f"data must name folders that are there, got {', '.join(map(repr, missing))}, which are not; check the paths, or "
            "make them: 'worldfoundry train RECIPE --dry-run' prints a command for each"
        )


def open_clips(config: TrainConfig, objective: TokenizerObjective) -> Clips:
    """Clip sets where all data are clip sets, else footage."""
    if all(is_clip_set(Path(folder)) or not Path(folder).exists() for folder in config.data):
        return SetClips(config, objective)
    return FootageClips(config, objective)


class SetClips:
    """Random crops of clip sets, with replacement."""

    def __init__(self, config: TrainConfig, objective: TokenizerObjective):
        self._config, self._objective = config, objective
        sizes = [objective.crop_size(aspect) for aspect in objective.aspects]
        self._sets: list[ClipSet] = open_clip_sets(
            config.data, num_frames=objective.num_frames, least_size=max(max(size) for size in sizes)
        )
        self._sampler = ClipSampler(self._sets, config.data_shares)
        self.digests = tuple(s.digest for s in self._sets)

    def draw(self, count: int, generator: torch.Generator, *, step: int, num_frames: int) -> Tensor:  # noqa: ARG002
        """Crops, of a shape drawn for the batch."""
        aspects = self._objective.aspects
        which = draw_integer(len(aspects), generator) if len(aspects) > 1 else 0
        size = self._objective.crop_size(aspects[which])
        clips = [
            self._crop(s, i, num_frames, size, generator) for s, i in self._sampler.draw(count, generator)
        ]
        return to_unit(np.stack(clips))

    def _crop(
        self, which: int, index: int, length: int, size: tuple[int, int], generator: torch.Generator
    ) -> np.ndarray:
        """uint8 [t, h, w, 3]; every chance is asked for only where there is one, so that older runs go on as they were."""
        pixels = self._sets[which].pixels[index]
        is_small = self._objective.cover_share and _chance(self._objective.cover_share, generator)
        if is_small:
            first = draw_integer(len(pixels) - length + 1, generator)
            pixels = _cover(np.array(pixels[first : first + length]), size)
        t, y, x = (
            draw_integer(n - m + 1, generator) for n, m in zip(pixels.shape[:3], (length, *size), strict=True)
        )
        clip = pixels[t : t + length, y : y + size[0], x : x + size[1]]
        return _turned(clip, generator, flip=self._config.flip, reverse=self._objective.reverse)


class FootageClips:
    """Windows of videos and images, each clip in the bucket of its aspect, no window twice in a pass."""

    def __init__(self, config: TrainConfig, objective: TokenizerObjective):
        self._config, self._objective = config, objective
        sources = [_open(Path(folder), config) for folder in config.data]
        for source in sources:
            for text in getattr(source, "damaged", ()):
                sys.stderr.write(f"skipped: {text}\n")
        sizes = dict.fromkeys(objective.crop_size(aspect) for aspect in objective.aspects)
        plan = PlanConfig(
            buckets=tuple(Bucket(height=h, width=w, num_frames=objective.num_frames) for h, w in sizes),
            batch_size=config.batch_size,
            shares=config.data_shares,
            seed=config.seed,
        )
        self._loader = ClipLoader(
            sources, LoaderConfig(plan=plan, workers=config.workers, on_damage=config.on_damage)
        )
        if self._loader.plan.left_out:
            sys.stderr.write(
                f"left out: {self._loader.plan.left_out} clips that are too small or too short\n"
            )
        self.digests = (self._loader.digest,)
        self._coming: Iterator[Batch] | None = None
        self._first: Batch | None = None  # of the sample pictures

    def draw(self, count: int, generator: torch.Generator, *, step: int, num_frames: int) -> Tensor:
        """The windows of batch number ``step``; stretches of them, several a window, where fewer frames are asked for."""
        batch = self._batch(step)
        for text in batch.damaged:
            sys.stderr.write(f"skipped: {text}\n")
        clips = [self._stretch(batch, k % len(batch.pixels), num_frames, generator) for k in range(count)]
        return to_unit(np.stack(clips))

    def _batch(self, step: int) -> Batch:
        if step == 0 and self._first is not None:
            return self._first
        if self._coming is None or self._loader.step != step:
            self._loader.step = step
            self._coming = iter(self._loader)
        batch = next(self._coming)
        self._first = batch if step == 0 else self._first
        return batch

    def _stretch(self, batch: Batch, index: int, length: int, generator: torch.Generator) -> np.ndarray:
        pixels = batch.pixels[index].numpy()
        first = draw_integer(len(pixels) - length + 1, generator)
        clip = pixels[first : first + length]
        return _turned(clip, generator, flip=self._config.flip, reverse=self._objective.reverse)


def _open(folder: Path, config: TrainConfig) -> ClipSource:
    """Whatever lies there, to decode from; damage and clips that are kept for evaluation are refused."""
    if is_clip_set(folder):
        return ClipSetSource(open_clip_sets([folder], num_frames=1)[0])
    is_footage = not (folder / "meta" / "info.json").exists() and folder.is_dir() and not find_tars(folder)
    if is_footage and not is_described(folder):
        return FileSource(find_videos(folder), name=str(folder), on_damage=config.on_damage)
    dataset = open_dataset(folder)
    check_seeds(str(folder), (clip.facts for clip in dataset.clips))
    if dataset.problems and config.on_damage == "stop":
        raise DataError(f"{dataset.problems[0]}; or leave it out with --on-damage skip")
    if not dataset.clips:
        raise DataError(
            f"{folder} must hold a clip that can be used, got {len(dataset.problems)} that cannot: "
            f"{dataset.problems[0] if dataset.problems else 'none at all'}"
        )
    if not is_footage:
        return DatasetSource(dataset)
    # Every view is a clip, decoded by the window. What stands beside a video was held against it when the folder was opened.
    stored = [dataset.video(k, view) for k, clip in enumerate(dataset.clips) for view in clip.views]
    good = {video.content for video in stored if video is not None}
    source = FileSource(
        [f for f in find_videos(folder) if f in good], name=str(folder), on_damage=config.on_damage
    )
    source.damaged[:0] = dataset.problems
    return source


def _turned(clip: np.ndarray, generator: torch.Generator, *, flip: bool, reverse: bool) -> np.ndarray:
    """Mirrored and played backwards, each by chance and where it is asked for."""
    if flip and draw_integer(2, generator):
        clip = clip[:, :, ::-1]
    return clip[::-1] if reverse and draw_integer(2, generator) else clip


def _chance(share: float, generator: torch.Generator) -> bool:
    return float(torch.rand((), generator=generator)) < share


def _cover(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Frames made as small as they can be with ``size`` still inside."""
    h, w = pixels.shape[1:3]
    scale = max(size[0] / h, size[1] / w)
    return resize(pixels, max(size[0], round(h * scale)), max(size[1], round(w * scale)))
