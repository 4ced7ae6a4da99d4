"""The ``rollout`` suite: PSNR and SSIM of a world's predictions by horizon and by second, beside ceiling and floors.

Protocol 2. Each clip: ``context_frames`` true frames in, then the prediction, from noise of the clip's own. Horizon ``k`` is
all predicted frames up to ``k`` seconds, second ``k`` the frames of that second alone. PSNR is pooled (MSE over those frames
of one clip, then dB), SSIM the mean over those frames; a score is the mean over clips with a 95 % bootstrap interval. The
ceiling is the tokenizer's round trip of the whole true clip; the floors see the same context as the model.
"""

import hashlib
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import count, islice

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from worldfoundry.core.errors import DataError
from worldfoundry.evaluate.config import (
    ALL,
    CEILING,
    COPY_LAST,
    FLOW_WARP,
    MODEL,
    EvalResult,
    RolloutConfig,
    Row,
)
from worldfoundry.evaluate.floors import ceiling, copy_last_frame, flow_warp
from worldfoundry.evaluate.metrics import bootstrap_ci, frame_mse, frame_ssim, psnr_from_mse
from worldfoundry.protocols.models import Tokenizer, pixel_frames
from worldfoundry.protocols.video import Clip
from worldfoundry.simulate.film import simulate

PROTOCOL = "rollout"
PROTOCOL_VERSION = 2

Predict = Callable[[Clip, int, Sequence[int]], Clip]
"""``(context, num_frames, a seed for each clip) -> context and exactly num_frames predicted frames``."""
Progress = Callable[[str, int, int], None]
"""``(what, done, total)``."""


def no_progress(what: str, done: int, total: int) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutTable:
    """Error of every frame: what all scores of a group are computed from."""

    mse: dict[str, Float[np.ndarray, "n t"]]
    """Row -> mean squared error of each predicted frame, displayed pixels in [0, 1]."""
    ssim: dict[str, Float[np.ndarray, "n t"]]
    """Row -> SSIM of each predicted frame."""

    @staticmethod
    def joined(tables: "Iterable[RolloutTable]") -> "RolloutTable":
        """The clips of several tables one after another."""
        parts = list(tables)
        mse = {row: np.concatenate([p.mse[row] for p in parts]) for row in parts[0].mse}
        return RolloutTable(mse=mse, ssim={row: np.concatenate([p.ssim[row] for p in parts]) for row in mse})


def frames_to_predict(*, seconds: int, fps: float, context_frames: int, temporal_stride: int) -> int:
    """Predicted frames that cover ``seconds`` and make, with the context, a clip length the tokenizer takes.

    >>> frames_to_predict(seconds=3, fps=10.0, context_frames=5, temporal_stride=4)
    32
    """
    needed = context_frames + _frames_until(seconds, fps)
    latents = 1 + -(-(needed - 1) // temporal_stride)
    return pixel_frames(latents, temporal_stride) - context_frames


def _frames_until(seconds: int, fps: float) -> int:
    """Predicted frames in the first ``seconds``; frame 1 comes ``1 / fps`` after the last context frame."""
    return int(seconds * fps + 1e-6)


def roll_out(
    truth: Clip, *, predict: Predict, tokenizer: Tokenizer, context_frames: int, seeds: Sequence[int]
) -> dict[str, Clip]:
    """Rows ``model, ceiling, copy-last, flow-warp``: the frames after the context, for one batch of true clips."""
    context = part(truth, 0, context_frames)
    num_frames = truth.num_frames - context_frames
    if num_frames < 1:
        raise DataError(
            f"a clip of {truth.num_frames} frames leaves none to predict after {context_frames} context frames; "
            "use longer clips"
        )
    return {
        MODEL: part(predict(context, num_frames, seeds), context_frames, None),
        CEILING: part(ceiling(tokenizer, truth), context_frames, None),
        COPY_LAST: copy_last_frame(context, num_frames),
        FLOW_WARP: flow_warp(context, num_frames),
    }


def noise_seed(model_seed: int, clip_seed: int) -> int:
    """Seed of the model's noise on one clip, whatever batch it is rolled out in."""
    return int(np.random.SeedSequence((model_seed, clip_seed)).generate_state(1, np.uint64)[0])


def part(clip: Clip, start: int, stop: int | None) -> Clip:
    """Frames ``start`` to ``stop`` of a clip, with their time."""
    pixels = clip.pixels[:, :, start:stop]
    return Clip(pixels=pixels, fps=clip.fps, start_seconds=clip.start_seconds + start / clip.fps)


def score_rows(truth: Clip, rows: dict[str, Clip]) -> RolloutTable:
    """Per-frame errors of ``rows`` against the last frames of ``truth``."""
    num_frames = next(iter(rows.values())).num_frames
    reference = truth.pixels[:, :, truth.num_frames - num_frames :]
    return RolloutTable(
        mse={name: _array(frame_mse(reference, clip.pixels)) for name, clip in rows.items()},
        ssim={name: _array(frame_ssim(reference, clip.pixels)) for name, clip in rows.items()},
    )


def _array(x: Tensor) -> np.ndarray:
    return x.cpu().numpy()


def per_clip_scores(
    table: RolloutTable, row: str, *, fps: float, horizons: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """``metric_span@k`` -> one value a clip; spans are ``horizon`` (up to k s), ``second`` (second k) and ``frame``."""
    num_frames = table.mse[row].shape[1]
    spans = {f"horizon@{k}": slice(0, _frames_until(k, fps)) for k in horizons}
    spans |= {
        f"second@{k}": slice(_frames_until(k - 1, fps), _frames_until(k, fps))
        for k in range(1, horizons[-1] + 1)
    }
    scored = min(num_frames, _frames_until(horizons[-1], fps))
    spans |= {f"frame@{k}": slice(k - 1, k) for k in range(1, scored + 1)}
    out = {}
    for name, span in spans.items():
        if (span.stop or 0) > num_frames or span.stop == span.start:
            continue
        out[f"psnr_{name}"] = _array(psnr_from_mse(torch.from_numpy(table.mse[row][:, span].mean(axis=1))))
        out[f"ssim_{name}"] = table.ssim[row][:, span].mean(axis=1)
    return out


def summarise(table: RolloutTable, *, fps: float, horizons: tuple[int, ...]) -> dict[str, Row]:
    """Row -> curves with intervals. The row ``model-minus-<floor>`` holds the paired differences."""
    clips = {row: per_clip_scores(table, row, fps=fps, horizons=horizons) for row in table.mse}
    for floor in (COPY_LAST, FLOW_WARP):
        clips[f"model-minus-{floor}"] = {
            k: clips[MODEL][k] - v for k, v in clips[floor].items() if "_horizon@" in k
        }
    rows: dict[str, Row] = {}
    for row, scores in clips.items():
        for name, values in scores.items():
            curve, at = name.split("@")
            rows.setdefault(row, {}).setdefault(curve, {})[at] = bootstrap_ci(values)
    return rows


def evaluate_rollout(
    config: RolloutConfig,
    truths: Mapping[str, Iterable[Clip]],
    *,
    predict: Predict,
    tokenizer: Tokenizer,
    models: dict[str, dict[str, str]],
    progress: Progress = no_progress,
) -> EvalResult:
    """Score batches of true clips, by group. ``truths`` may be lazy; each batch is dropped after its scores are taken."""
    began = time.perf_counter()
    tables: dict[str, RolloutTable] = {}
    pixels_sha256 = hashlib.sha256()
    fps, frame_shape = 0.0, []
    for group, batches in truths.items():
        parts: list[RolloutTable] = []
        clip_seeds = count(config.first_seed)
        for batch in batches:
            pixels_sha256.update(batch.to_frames(0).pixels.tobytes())
            for i in range(1, len(batch.pixels)):
                pixels_sha256.update(batch.to_frames(i).pixels.tobytes())
            rows = roll_out(
                batch,
                predict=predict,
                tokenizer=tokenizer,
                context_frames=config.context_frames,
                seeds=[noise_seed(config.model_seed, s) for s in islice(clip_seeds, len(batch.pixels))],
            )
            parts.append(score_rows(batch, rows))
            fps, frame_shape = batch.fps, list(batch.pixels.shape[2:])
            progress(group, sum(len(p.mse[MODEL]) for p in parts), config.num_clips)
        if not parts:
            raise DataError(f"group {group!r} has no clips to score; give at least one clip")
        tables[group] = RolloutTable.joined(parts)
    if len(tables) > 1:
        tables[ALL] = RolloutTable.joined(tables.values())
    return EvalResult(
        protocol={"id": PROTOCOL, "version": PROTOCOL_VERSION, **_protocol_settings(config)},
        data={
            "scenes": list(config.scenes),
            "seeds": [config.first_seed, config.first_seed + config.num_clips],
            "num_clips": {group: len(table.mse[MODEL]) for group, table in tables.items()},
            "fps": fps,
            "frames_height_width": frame_shape,
            "pixels_sha256": pixels_sha256.hexdigest(),
        },
        models=models,
        groups={g: summarise(t, fps=fps, horizons=config.horizons_seconds) for g, t in tables.items()},
        per_clip={
            g: {
                row: {
                    name: [round(float(v), 5) for v in values]
                    for name, values in per_clip_scores(
                        t, row, fps=fps, horizons=config.horizons_seconds
                    ).items()
                    if "_horizon@" in name
                }
                for row in t.mse
            }
            for g, t in tables.items()
            if g != ALL
        },
        versions=versions(),
        wall_seconds=round(time.perf_counter() - began, 3),
    )


def _protocol_settings(config: RolloutConfig) -> dict[str, object]:
    settings = asdict(config)
    return {
        "context_frames": settings["context_frames"],
        "horizons_seconds": list(settings["horizons_seconds"]),
        "psnr": "RGB, uint8-rounded, pooled over a clip's frames, mean over clips, capped at 60 dB",
        "ssim": "gaussian 11x11 sigma 1.5, RGB, mean over frames and clips",
        "interval": "95 % percentile bootstrap over clips, 2000 resamples",
        "model_seed": settings["model_seed"],
        "noise": "of each clip, seeded by model_seed and the clip's seed",
    }


def versions() -> dict[str, str]:
    """Python, platform and the packages that move numbers."""
    packages = {name: version(name) for name in ("worldfoundry", "torch", "numpy", "av")}
    return {"python": platform.python_version(), "platform": platform.platform(), **packages}


def simulated_clips(
    scene: str, *, first_seed: int, num_clips: int, num_frames: int, fps: float, height: int, width: int
) -> Iterator[Clip]:
    """Ground truth of one scene, seed after seed, made as it is asked for."""
    for seed in range(first_seed, first_seed + num_clips):
        clip = simulate(scene, seed=seed, num_frames=num_frames, fps=fps, height=height, width=width)
        yield clip.frames.to_clip()


def batched(clips: Iterable[Clip], size: int) -> Iterator[Clip]:
    """Clips of one shape and rate, ``size`` to a batch."""
    waiting: list[Clip] = []
    for clip in clips:
        waiting.append(clip)
        if len(waiting) == size:
            yield _stacked(waiting)
            waiting = []
    if waiting:
        yield _stacked(waiting)


def _stacked(clips: list[Clip]) -> Clip:
    return Clip(
        pixels=torch.cat([c.pixels for c in clips]), fps=clips[0].fps, start_seconds=clips[0].start_seconds
    )
