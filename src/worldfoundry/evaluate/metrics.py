"""Pixel metrics and their intervals.

Both metrics see what a viewer sees: RGB clamped and rounded to uint8, then scaled to [0, 1].

- PSNR is ``10 log10(1 / MSE)``. *Pooled* PSNR takes the MSE over all frames and channels of one clip first (log of mean);
  the mean of per-frame PSNR (mean of logs) is never below it and rewards single perfect frames. Suites report the
  pooled form for one clip, then the mean over clips. Identical pictures count as ``PSNR_CAP_DB``.
- SSIM is per frame and channel, averaged; a clip is the mean over its frames.

Axes: ``b`` clips, ``c`` channels, ``t`` frames, ``h`` rows, ``w`` columns.
"""

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.evaluate.config import Score

PSNR_CAP_DB = 60.0
"""Value of identical pictures, and the largest reported: an RMS error of a quarter of one uint8 step."""
_SSIM_SIGMA, _SSIM_RADIUS = 1.5, 5
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2


def as_displayed(pixels: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
    """Pixels in [-1, 1] as a screen shows them: clamped, rounded to uint8, scaled to [0, 1], float64."""
    return torch.floor((pixels.double().clamp(-1, 1) + 1) * 127.5 + 0.5) / 255


def _displayed_pair(
    reference: Float[Tensor, "b c t h w"], candidate: Float[Tensor, "b c t h w"]
) -> tuple[Float[Tensor, "b c t h w"], Float[Tensor, "b c t h w"]]:
    if reference.shape != candidate.shape:
        raise ConfigError(
            f"clips to compare must have one shape, got {list(reference.shape)} and {list(candidate.shape)}; "
            "cut or resize one of them first"
        )
    return as_displayed(reference), as_displayed(candidate)


def frame_mse(
    reference: Float[Tensor, "b c t h w"], candidate: Float[Tensor, "b c t h w"]
) -> Float[Tensor, "b t"]:
    """Mean squared error of each frame, displayed values in [0, 1]."""
    x, y = _displayed_pair(reference, candidate)
    return (x - y).square().mean(dim=(1, 3, 4))


def psnr_from_mse(mse: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """``10 log10(1 / mse)`` in dB, at most ``PSNR_CAP_DB``.

    >>> psnr_from_mse(torch.tensor([0.01, 0.0])).tolist()
    [20.0, 60.0]
    """
    return -10 * torch.log10(mse.clamp_min(10 ** (-PSNR_CAP_DB / 10)))


def frame_psnr(
    reference: Float[Tensor, "b c t h w"], candidate: Float[Tensor, "b c t h w"]
) -> Float[Tensor, "b t"]:
    """PSNR of each frame, dB."""
    return psnr_from_mse(frame_mse(reference, candidate))


def clip_psnr(
    reference: Float[Tensor, "b c t h w"], candidate: Float[Tensor, "b c t h w"]
) -> Float[Tensor, " b"]:
    """Pooled PSNR of each clip (MSE over all its frames first), dB."""
    return psnr_from_mse(frame_mse(reference, candidate).mean(dim=1))


def frame_ssim(
    reference: Float[Tensor, "b c t h w"], candidate: Float[Tensor, "b c t h w"]
) -> Float[Tensor, "b t"]:
    """SSIM of each frame: gaussian window 11x11, sigma 1.5, K 0.01 and 0.03, data range 1, borders left out.

    Source: Wang et al. 2004; equals scikit-image with ``gaussian_weights=True, sigma=1.5, use_sample_covariance=False``.
    """
    x, y = _displayed_pair(reference, candidate)
    b, _, t, h, w = x.shape
    side = 2 * _SSIM_RADIUS + 1
    if min(h, w) < side:
        raise DataError(f"SSIM needs frames of at least {side}x{side} px, got {h}x{w}; use larger frames")
    return torch.stack([_ssim_of_frames(x[:, :, k], y[:, :, k]) for k in range(t)], dim=1).reshape(b, t)


def _ssim_of_frames(x: Float[Tensor, "b c h w"], y: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
    b = len(x)
    grid = torch.arange(-_SSIM_RADIUS, _SSIM_RADIUS + 1, dtype=x.dtype)
    window = torch.exp(-(grid**2) / (2 * _SSIM_SIGMA**2))
    window = window / window.sum()
    planes = rearrange(torch.stack([x, y, x * x, y * y, x * y]), "m b c h w -> (m b c) 1 h w")
    planes = functional.conv2d(
        functional.conv2d(planes, window[None, None, None]), window[None, None, :, None]
    )
    mx, my, xx, yy, xy = rearrange(planes, "(m b c) 1 h w -> m b c h w", m=5, b=b)
    luminance = (2 * mx * my + _SSIM_C1) / (mx * mx + my * my + _SSIM_C1)
    structure = (2 * (xy - mx * my) + _SSIM_C2) / (xx - mx * mx + yy - my * my + _SSIM_C2)
    return (luminance * structure).mean(dim=(1, 2, 3))


def bootstrap_ci(values: np.ndarray, *, num_resamples: int = 2000, seed: int = 0) -> Score:
    """Mean of one value a clip with its 95 % percentile bootstrap interval; deterministic.

    >>> bootstrap_ci(np.array([2.0, 2.0, 2.0])).ci95
    (2.0, 2.0)
    """
    values = np.asarray(values, dtype=np.float64).ravel()
    n = len(values)
    if n == 0:
        raise DataError("no clips to average; give at least one clip")
    if n == 1:
        return Score(mean=float(values[0]), ci95=None, n=1)
    picks = np.random.default_rng(seed).integers(0, n, size=(num_resamples, n))
    low, high = np.percentile(values[picks].mean(axis=1), [2.5, 97.5])
    return Score(mean=float(values.mean()), ci95=(float(low), float(high)), n=n)
