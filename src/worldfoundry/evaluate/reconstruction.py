"""The ``reconstruction`` suite: how much a tokenizer keeps of held-out clips.

Protocol 1. Each clip is encoded and decoded whole; PSNR is pooled over its frames, SSIM their mean; a score is the mean over
clips with a 95 % bootstrap interval. Clips keep no more than a centre square of the stated size at the stated rate.
"""

import hashlib
import time
from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Float

from worldfoundry.core.errors import DataError
from worldfoundry.evaluate.config import ALL, MODEL, EvalResult, ReconstructionConfig
from worldfoundry.evaluate.floors import ceiling
from worldfoundry.evaluate.metrics import bootstrap_ci, clip_psnr, frame_ssim
from worldfoundry.evaluate.rollout import Progress, no_progress, versions
from worldfoundry.protocols.models import Tokenizer
from worldfoundry.protocols.video import Clip

PROTOCOL = "reconstruction"
PROTOCOL_VERSION = 1


def score_reconstruction(
    truth: Clip, decoded: Clip
) -> tuple[Float[np.ndarray, " b"], Float[np.ndarray, " b"]]:
    """PSNR (dB) and SSIM of each clip of the batch."""
    psnr = clip_psnr(truth.pixels, decoded.pixels)
    return psnr.cpu().numpy(), frame_ssim(truth.pixels, decoded.pixels).mean(dim=1).cpu().numpy()


def evaluate_reconstruction(
    config: ReconstructionConfig,
    truths: Mapping[str, Iterable[Clip]],
    *,
    tokenizer: Tokenizer,
    models: dict[str, dict[str, str]],
    progress: Progress = no_progress,
) -> EvalResult:
    """Score batches of true clips, by group (a scene, or ``real``)."""
    began = time.perf_counter()
    scores: dict[str, dict[str, np.ndarray]] = {}
    pixels_sha256 = hashlib.sha256()
    for group, batches in truths.items():
        pairs = []
        for batch in batches:
            for i in range(len(batch.pixels)):
                pixels_sha256.update(batch.to_frames(i).pixels.tobytes())
            pairs.append(score_reconstruction(batch, ceiling(tokenizer, batch)))
            progress(group, sum(len(p) for p, _ in pairs), config.num_clips)
        if not pairs:
            raise DataError(f"group {group!r} has no clips to score; give at least one clip long enough")
        scored = sum(len(p) for p, _ in pairs)
        progress(group, scored, scored)  # of real clips, how many there are is known only now
        psnr, ssim = (np.concatenate(x) for x in zip(*pairs, strict=True))
        scores[group] = {"psnr_clip": psnr, "ssim_clip": ssim}
    if len(scores) > 1:
        names = ("psnr_clip", "ssim_clip")
        scores[ALL] = {name: np.concatenate([s[name] for s in scores.values()]) for name in names}
    return EvalResult(
        protocol={
            "id": PROTOCOL,
            "version": PROTOCOL_VERSION,
            "psnr": "RGB, uint8-rounded, pooled over a clip's frames, mean over clips, capped at 60 dB",
            "ssim": "gaussian 11x11 sigma 1.5, RGB, mean over frames and clips",
            "interval": "95 % percentile bootstrap over clips, 2000 resamples",
        },
        data={
            "scenes": list(config.scenes),
            "seeds": [config.first_seed, config.first_seed + config.num_clips],
            "num_clips": {group: len(s["psnr_clip"]) for group, s in scores.items()},
            "fps": config.fps,
            "frames_height_width": [config.num_frames, config.size_px, config.size_px],
            "pixels_sha256": pixels_sha256.hexdigest(),
        },
        models=models,
        groups={
            group: {MODEL: {name: {ALL: bootstrap_ci(values)} for name, values in s.items()}}
            for group, s in scores.items()
        },
        per_clip={
            group: {
                MODEL: {f"{name}@{ALL}": [round(float(v), 5) for v in values] for name, values in s.items()}
            }
            for group, s in scores.items()
            if group != ALL
        },
        versions=versions(),
        wall_seconds=round(time.perf_counter() - began, 3),
    )
