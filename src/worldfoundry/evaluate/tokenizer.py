"""The ``tokenizer`` suite: what a tokenizer keeps of footage, at which bits, speed and memory, beside H.264 at equal bits.

Protocol 2. Each clip is encoded and decoded whole. A value is of one clip; clips of one video are averaged first, and a
score is the mean over videos with a 95 % bootstrap interval. Metrics see RGB clamped and rounded to uint8
(``evaluate/metrics.py``); distances see the same clips through the extractors that the protocol names, with their hash.
"""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from worldfoundry.core.errors import DataError
from worldfoundry.data.h264_rate import H264_SETTINGS, encode_at_bits
from worldfoundry.evaluate.config import ALL, MODEL, EvalResult, Row
from worldfoundry.evaluate.features import FRAME_STEP, FeatureSet
from worldfoundry.evaluate.metrics import as_displayed, bootstrap_ci, clip_psnr, frame_psnr, frame_ssim
from worldfoundry.evaluate.rollout import Progress, no_progress, versions
from worldfoundry.evaluate.tokenizer_checks import check_causality, latent_bits, measure_speed
from worldfoundry.evaluate.tokenizer_clips import TrueClip
from worldfoundry.evaluate.tokenizer_config import H264, TokenizerSuiteConfig
from worldfoundry.evaluate.tokenizer_distances import TRUTH, ClipFeatures, distances
from worldfoundry.models.tokenizer.quantize import codebook_usage, count_codes
from worldfoundry.protocols.frames import Frames
from worldfoundry.protocols.models import Tokenizer
from worldfoundry.protocols.video import Clip

PROTOCOL = "tokenizer"
PROTOCOL_VERSION = 2
METRICS = {
    "psnr_clip": "PSNR, dB, mean squared error pooled over the clip's frames first (log of mean), capped at 60",
    "psnr-frames_clip": "PSNR, dB, of each frame, then their mean (mean of logs), capped at 60",
    "ssim_clip": "SSIM, gaussian window 11, sigma 1.5, RGB, mean over frames",
    "ssim-uniform_clip": "SSIM, uniform window 7, sample covariance (scikit-image's default), RGB, mean over frames",
    "flicker_clip": "mean absolute change of the error from frame to frame, grey levels of 255; 0 is best",
    "bpp_clip": "bits a pixel and frame of what is stored",
}
_EXAMPLES = 6


@dataclass(slots=True, kw_only=True)
class Example:
    """A clip to look at."""

    name: str
    """Where it is from."""
    films: dict[str, Frames]
    """``truth`` and a film for each row."""
    psnr: dict[str, float]
    """Pooled PSNR of each row, dB."""


class _Source(NamedTuple):
    """What is kept of a clip that was scored."""

    video: int
    name: str
    group: str
    shape: str


@dataclass(slots=True)
class _Gathered:
    """Everything that is kept of the clips."""

    values: list[dict[str, dict[str, float]]] = field(default_factory=list)
    """Row -> metric -> value, one of each clip."""
    features: list[ClipFeatures] = field(default_factory=list)
    clips: list[_Source] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    codes: Any = 0
    h264: list[tuple[float, float]] = field(default_factory=list)
    """crf, and share of the bits allowed that were taken."""
    pixels_sha256: Any = field(default_factory=hashlib.sha256)


def evaluate_tokenizer(
    config: TokenizerSuiteConfig,
    clips: Iterable[TrueClip],
    *,
    tokenizer: Tokenizer,
    features: list[FeatureSet],
    models: dict[str, dict[str, str]],
    num_videos: int = 0,
    progress: Progress = no_progress,
) -> tuple[EvalResult, list[Example]]:
    """Score clips one by one; the result, and a few clips to look at."""
    began, found, checks = time.perf_counter(), _Gathered(), {}
    for clip in clips:
        if not found.clips:
            checks = _checks(config, tokenizer, clip.frames.to_clip())
        _score_clip(config, clip, tokenizer, features, found)
        progress("videos", clip.video + 1, max(num_videos, clip.video + 1))
    if not found.clips:
        raise DataError(f"{config.data} has no clip to score; lower --num-frames, or see what was left out")
    result = EvalResult(
        protocol=_protocol(config, features),
        data=_data(config, found),
        models=models,
        groups=_groups(found, features),
        per_clip=_per_clip(found),
        facts={**checks, **_facts(found, tokenizer)},
        versions=versions(),
        wall_seconds=round(time.perf_counter() - began, 3),
    )
    return result, found.examples


def _checks(config: TokenizerSuiteConfig, tokenizer: Tokenizer, clip: Clip) -> dict[str, Any]:
    speed = measure_speed(tokenizer, clip.pixels, fps=clip.fps, repeats=config.speed_repeats)
    return {"causality": check_causality(tokenizer, clip.pixels), "speed": speed}


def _score_clip(
    config: TokenizerSuiteConfig,
    clip: TrueClip,
    tokenizer: Tokenizer,
    features: list[FeatureSet],
    found: _Gathered,
) -> None:
    truth = clip.frames.to_clip()
    found.pixels_sha256.update(clip.frames.pixels.tobytes())
    with torch.inference_mode():
        latents = tokenizer.encode(truth.pixels)
        recon = tokenizer.decode(latents).clone()
    if tokenizer.spec.codebook_size:
        found.codes = found.codes + count_codes(latents, tokenizer.spec.codebook_size)
    bits = {MODEL: latent_bits(tokenizer.spec, latents.numel(), bits_per_number=config.latent_bits)}
    rows = {MODEL: recon}
    if config.baseline == "h264":
        video = encode_at_bits(clip.frames.pixels, fps=clip.frames.fps, bits=bits[MODEL])
        rows[H264] = Frames.at_constant_rate(video.pixels, clip.frames.fps).to_clip().pixels
        bits[H264] = video.bits
        found.h264.append((video.crf, video.bits / bits[MODEL]))
    values = {row: _metrics(truth.pixels, pixels, bits[row]) for row, pixels in rows.items()}
    seen = {TRUTH: truth.pixels, **rows}
    found.features.append({row: [extract(x) for extract in features] for row, x in seen.items()})
    found.values.append(values)
    if len(found.examples) < _EXAMPLES and clip.video not in {c.video for c in found.clips}:
        films = {row: Clip(pixels=x, fps=truth.fps).to_frames() for row, x in seen.items()}
        psnr = {row: v["psnr_clip"] for row, v in values.items()}
        found.examples.append(Example(name=clip.name, films=films, psnr=psnr))
    shape = str(list(clip.frames.pixels.shape))
    found.clips.append(_Source(clip.video, clip.name, clip.group, shape))


def _metrics(truth: Tensor, recon: Tensor, bits: int) -> dict[str, float]:
    """One value for each of ``METRICS``."""
    error = 255 * (as_displayed(recon) - as_displayed(truth))
    flicker = float(error.diff(dim=2).abs().mean()) if truth.shape[2] > 1 else 0.0
    values = (
        float(clip_psnr(truth, recon)),
        float(frame_psnr(truth, recon).mean()),
        float(frame_ssim(truth, recon).mean()),
        float(frame_ssim(truth, recon, window="uniform-7").mean()),
        flicker,
        bits / truth[0, 0].numel(),
    )
    return dict(zip(METRICS, values, strict=True))


def _groups(found: _Gathered, features: list[FeatureSet]) -> dict[str, dict[str, Row]]:
    """Scores of each group and, if there are several, of all together; distances of all together only."""
    names = sorted({c.group for c in found.clips})
    rows = {name: _means(found, {name}) for name in names}
    whole = names[0] if len(names) == 1 else ALL
    rows[whole] = _means(found, set(names))
    videos = [clip.video for clip in found.clips]
    for row, curves in distances(found.features, features, videos).items():
        rows[whole].setdefault(row, {}).update(curves)
    return rows


def _means(found: _Gathered, groups: set[str]) -> dict[str, Row]:
    """Means over videos of the means over their clips."""
    chosen = [i for i, clip in enumerate(found.clips) if clip.group in groups]
    videos = sorted({found.clips[i].video for i in chosen})
    table: dict[str, Row] = {}
    for row in found.values[0]:
        table[row] = {}
        for metric in METRICS:
            means = [
                np.mean([found.values[i][row][metric] for i in chosen if found.clips[i].video == v])
                for v in videos
            ]
            table[row][metric] = {ALL: bootstrap_ci(np.array(means))}
    return table


def _facts(found: _Gathered, tokenizer: Tokenizer) -> dict[str, Any]:
    facts: dict[str, Any] = {"is_discrete": bool(tokenizer.spec.codebook_size)}
    if tokenizer.spec.codebook_size:
        usage = codebook_usage(found.codes)
        facts["codebook"] = {
            "size": tokenizer.spec.codebook_size,
            "perplexity": usage.perplexity,
            "used_share": usage.used_share,
            "codes_counted": int(found.codes.sum()),
        }
    if found.h264:
        crf, share = np.array(found.h264).T
        facts["h264"] = {
            "median_crf": float(np.median(crf)),
            "bits_of_allowed_mean": float(share.mean()),
            "bits_of_allowed_range": [float(share.min()), float(share.max())],
        }
    return facts


def _per_clip(found: _Gathered) -> dict[str, dict[str, dict[str, list[float]]]]:
    return {
        group: {
            row: {
                f"{metric}@{ALL}": [
                    round(v[row][metric], 5)
                    for v, clip in zip(found.values, found.clips, strict=True)
                    if clip.group == group
                ]
                for metric in METRICS
            }
            for row in found.values[0]
        }
        for group in sorted({clip.group for clip in found.clips})
    }


def _protocol(config: TokenizerSuiteConfig, features: list[FeatureSet]) -> dict[str, Any]:
    plain = asdict(config)
    settings = {
        k: v
        for k, v in plain.items()
        if k not in ("model", "data", "inception", "i3d", "max_videos", "speed_repeats")
    }
    return {
        "id": PROTOCOL,
        "version": PROTOCOL_VERSION,
        **settings,
        "metrics": METRICS,
        "interval": "95 % percentile bootstrap over videos, 2000 resamples, seed 0; of distances the jackknife over videos",
        "kernel": "(x . y / d + 1)^3, unbiased, clips of one video never paired",
        "frame_features": f"of every {FRAME_STEP}th frame of a clip, from its first on; rFID counts these alone",
        "extractors": {f.name: f.sha256 for f in features},
        "h264": H264_SETTINGS if config.baseline == "h264" else "none",
    }


def _data(config: TokenizerSuiteConfig, found: _Gathered) -> dict[str, Any]:
    return {
        "folder": config.data.rstrip("/").split("/")[-1],
        "videos": len({clip.video for clip in found.clips}),
        "clips": [clip.name for clip in found.clips],
        "shapes": sorted({clip.shape for clip in found.clips}),
        "pixels_sha256": found.pixels_sha256.hexdigest(),
    }
