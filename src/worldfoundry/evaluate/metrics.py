"""Pixel metrics and their intervals.

Both metrics see what a viewer sees: RGB clamped and rounded to uint8, then scaled to [0, 1].

- PSNR is ``10 log10(1 / MSE)``. *Pooled* PSNR takes the MSE over all frames and channels of one clip first (log of mean);
  the mean of per-frame PSNR (mean of logs) is never below it and rewards single perfect frames. Suites report the
  pooled form for one clip, then the mean over clips. Identical pictures count as ``PSNR_CAP_DB``.
- SSIM is per frame and channel, averaged; a clip is the mean over its frames.

Axes: ``b`` clips, ``c`` channels, ``t`` frames, ``h`` rows, ``w`` columns.
"""

import functools
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.evaluate.config import Score
from worldfoundry.protocols.video import to_uint8

PSNR_CAP_DB = 60.0
"""Value of identical pictures, and the largest reported: an RMS error of a quarter of one uint8 step."""
SSIMWindow = Literal["gaussian-11", "uniform-7"]
_SSIM_SIGMA, _SSIM_RADIUS = 1.5, 5
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2


def as_displayed(pixels: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
    """Pixels in [-1, 1] as a screen shows them: clamped, rounded to uint8, scaled to [0, 1], float64."""
    return to_uint8(pixels.double()).double() / 255


def _require_one_shape(reference: Tensor, candidate: Tensor) -> None:
    if reference.shape != candidate.shape:
        raise ConfigError(
            f"clips to compare must have one shape, got {list(reference.shape)} and {list(candidate.shape)}; "
            "cut or resize one of them first"
        )


def frame_mse(
    reference: Float[Tensor, "b c t h w"], candidate: Float[Tensor, "b c t h w"]
) -> Float[Tensor, "b t"]:
    """Mean squared error of each frame, displayed values in [0, 1]."""
    _require_one_shape(reference, candidate)
    return (as_displayed(reference) - as_displayed(candidate)).square().mean(dim=(1, 3, 4))


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
    reference: Float[Tensor, "b c t h w"],
    candidate: Float[Tensor, "b c t h w"],
    *,
    window: SSIMWindow = "gaussian-11",
) -> Float[Tensor, "b t"]:
    """SSIM of each frame: K 0.01 and 0.03, data range 1, borders left out.

    ``gaussian-11`` has sigma 1.5 (Wang et al. 2004; scikit-image with ``gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False``), ``uniform-7`` is scikit-image's default, which published tokenizers are scored with.
    """
    _require_one_shape(reference, candidate)
    b, _, t, h, w = reference.shape
    side = len(_window(window))
    if min(h, w) < side:
        raise DataError(f"SSIM needs frames of at least {side}x{side} px, got {h}x{w}; use larger frames")
    scores = torch.empty(b, t, dtype=torch.float64)
    for i in range(b):  # frame by frame: the many temporaries stay small, which is several times faster
        for k in range(t):
            x, y = (as_displayed(z[i : i + 1, :, k : k + 1]) for z in (reference, candidate))
            scores[i, k] = _ssim_of_frame(x[0, :, 0], y[0, :, 0], window)
    return scores


def _ssim_of_frame(
    x: Float[Tensor, "c h w"], y: Float[Tensor, "c h w"], window: SSIMWindow
) -> Float[Tensor, ""]:
    x, y = x - 0.5, y - 0.5  # around zero, so that float32 is exact enough for the variances
    planes = torch.stack([x, y, x * x, y * y, x * y]).float()
    h, w = planes.shape[-2:]
    mx, my, xx, yy, xy = (
        _band(h, window) @ planes @ _band(w, window).T
    )  # no fast convolution of this shape on CPUs
    mxx, myy, mxy = mx * mx, my * my, mx * my
    luminance = (2 * (mxy + 0.5 * (mx + my) + 0.25) + _SSIM_C1) / (mxx + myy + mx + my + 0.5 + _SSIM_C1)
    samples = 7 * 7
    unbiased = samples / (samples - 1) if window == "uniform-7" else 1.0
    structure = (2 * unbiased * (xy - mxy) + _SSIM_C2) / (unbiased * (xx - mxx + yy - myy) + _SSIM_C2)
    return (luminance * structure).double().mean()


def _window(name: SSIMWindow) -> Float[Tensor, " n"]:
    if name == "uniform-7":
        return torch.full((7,), 1 / 7, dtype=torch.float64)
    grid = torch.arange(-_SSIM_RADIUS, _SSIM_RADIUS + 1, dtype=torch.float64)
    window = torch.exp(-(grid**2) / (2 * _SSIM_SIGMA**2))
    return window / window.sum()


@functools.cache
def _band(length: int, name: SSIMWindow) -> Float[Tensor, "short long"]:
    window = _window(name)
    band = torch.zeros(length - len(window) + 1, length, dtype=torch.float64)
    for row in range(len(band)):
        band[row, row : row + len(window)] = window
    return band.float()


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
