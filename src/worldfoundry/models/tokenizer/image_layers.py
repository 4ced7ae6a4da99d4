"""Layers of the image tokenizer: plain 2-D convolutions on ``[b c h w]`` under their published names.

Source: arXiv 2501.03575, section 4.1.
"""

from functools import partial

import torch.nn.functional as F  # noqa: N812  the field's name
from jaxtyping import Float
from torch import Tensor, nn

from worldfoundry.models.tokenizer.layers import Attention, Layers, conv_of_repeated
from worldfoundry.models.tokenizer.past import Past


class ImageConv(nn.Conv2d):
    """A 3x3 convolution; an image has no past."""

    def __init__(self, c_in: int, c_out: int):
        super().__init__(c_in, c_out, 3, padding=1)

    def forward(
        self,
        input: Float[Tensor, "b ci h w"],
        past: Past | None = None,  # noqa: ARG002  called as its video twin is
    ) -> Float[Tensor, "b co h w"]:
        """Convolve."""
        return super().forward(input)


class ImageDownsample(nn.Module):
    """Halves an image by a strided convolution, padded right and below; nothing at all without ``space``."""

    def __init__(self, channels: int, *, space: bool, time: bool):
        super().__init__()
        assert not time, "an image has no time to resample"
        self.conv = nn.Conv2d(channels, channels, 3, stride=2) if space else None

    def forward(self, x: Float[Tensor, "b c h w"], past: Past | None = None) -> Float[Tensor, "b c i j"]:  # noqa: ARG002
        """Pad and convolve."""
        return x if self.conv is None else self.conv(F.pad(x, (0, 1, 0, 1)))


class ImageUpsample(nn.Module):
    """Doubles an image by repetition and a convolution; nothing at all without ``space``."""

    def __init__(self, channels: int, *, space: bool, time: bool):
        super().__init__()
        assert not time, "an image has no time to resample"
        self.conv = ImageConv(channels, channels) if space else None

    def forward(self, x: Float[Tensor, "b c h w"], past: Past | None = None) -> Float[Tensor, "b c i j"]:  # noqa: ARG002
        """Repeat and convolve."""
        return x if self.conv is None else conv_of_repeated(x, self.conv.weight, self.conv.bias)


def image_layers(norm_groups: int) -> Layers:
    """Layers of an image tokenizer."""
    norm, point = partial(nn.GroupNorm, norm_groups, eps=1e-6), partial(nn.Conv2d, kernel_size=1)
    return Layers(
        conv=ImageConv,
        point=point,
        norm=norm,
        attention=partial(Attention, norm=norm, point=point, outer="b", over="h w"),
        down=ImageDownsample,
        up=ImageUpsample,
    )
