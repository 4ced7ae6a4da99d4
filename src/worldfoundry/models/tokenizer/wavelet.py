"""Patches: the Haar wavelet of clips (causal, 3-D) and of images (2-D), and plain rearrangement.

Sums and differences by slicing, no convolution: the same numbers as grouped Haar filters at a fraction of the time. Forward
low bands are means (scale 1/8 a level of a clip, 1/4 of an image), so that a constant keeps its value.

Source: arXiv 2501.03575 section 4.1. Sub-bands are ordered time, height, width in clips, but width, height in images, the
first slowest; the outermost level is slowest of all.
"""

from typing import Literal

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

PatchMethod = Literal["haar", "rearrange"]

_TAP = float(
    np.float32(2**-0.5)
)  # taps and gain of the published filters: they cancel, up to the rounding that parity wants


_REARRANGED = {
    5: ("b c (t pt) (h ph) (w pw)", "b (c pt ph pw) t h w"),
    4: ("b c (h ph) (w pw)", "b (c ph pw) h w"),
}


def _sizes(x: Tensor, patch_size: int) -> dict[str, int]:
    return {f"p{axis}": patch_size for axis in ("thw" if x.ndim == 5 else "hw")}


def _axes(x: Tensor) -> tuple[int, ...]:
    return (2, 3, 4) if x.ndim == 5 else (3, 2)


def _split(x: Tensor, axis: int) -> list[Tensor]:
    even, odd = x.unflatten(axis, (-1, 2)).unbind(axis + 1)
    return [even + odd, even - odd]


def _merge(low: Tensor, high: Tensor, axis: int) -> Tensor:
    return torch.stack((low + high, low - high), dim=axis + 1).flatten(axis, axis + 1)


def _continue_odd(x: Tensor) -> Tensor:
    for axis in _axes(x):
        if x.shape[axis] % 2:
            x = torch.cat([x, x.narrow(axis, -2, 1)], dim=axis)
    return x


def patch(
    x: Float[Tensor, "b c *thw"],
    patch_size: int,
    *,
    method: PatchMethod = "haar",
    is_start: bool = True,
    reflect_odd: bool = False,
) -> Float[Tensor, "b cp *thw_p"]:
    """Clips ``[b c t h w]`` or images ``[b c h w]`` to ``patch_size`` to the power of their axes as many channels.

    A clip's first frame is repeated ``patch_size`` times in front, so that it is encoded alone and nothing looks ahead; not
    if the clip continues another (``is_start=False``). ``t - 1`` (``t`` of a continuation), ``h`` and ``w`` must be multiples
    of ``patch_size``, unless ``reflect_odd`` continues odd sizes by one sample, as the published filters do.
    """
    if x.ndim == 5 and is_start and patch_size > 1:
        x = torch.cat([x[:, :, :1].expand(-1, -1, patch_size - 1, -1, -1), x], dim=2)
    if method == "rearrange":
        pixels, patches = _REARRANGED[x.ndim]
        return rearrange(x, f"{pixels} -> {patches}", **_sizes(x, patch_size))
    while patch_size > 1:
        bands = [_continue_odd(x) if reflect_odd else x]
        for axis in _axes(x):
            bands = [part for band in bands for part in _split(band, axis)]
        x = torch.cat(bands, dim=1) / len(bands)
        patch_size //= 2
    return x


def unpatch(
    y: Float[Tensor, "b cp *thw_p"],
    patch_size: int,
    *,
    method: PatchMethod = "haar",
    is_start: bool = True,
) -> Float[Tensor, "b c *thw"]:
    """Inverse of ``patch``; drops the frames that ``patch`` put in front."""
    drop = patch_size - 1 if y.ndim == 5 and is_start else 0
    if method == "rearrange":
        pixels, patches = _REARRANGED[y.ndim]
        return rearrange(y, f"{patches} -> {pixels}", **_sizes(y, patch_size))[:, :, drop:]
    axes = _axes(y)
    gain = float(np.float32(2 ** (len(axes) / 2)))
    while patch_size > 1:
        bands = list((y * _TAP).chunk(2 ** len(axes), dim=1))
        for level, axis in enumerate(reversed(axes)):
            scale = 1.0 if level == 0 else _TAP
            bands = [_merge(bands[i] * scale, bands[i + 1] * scale, axis) for i in range(0, len(bands), 2)]
        y = bands[0] * gain
        patch_size //= 2
    return y[:, :, drop:]
