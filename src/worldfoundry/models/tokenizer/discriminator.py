"""The judge of adversarial fine-tuning: which patches of a clip are real.

How the published tokenizers were judged is not published. This is a patch discriminator over space and time: each score sees
some 30 pixels and 5 frames around it. Images are clips of one frame.

Source: arXiv 1611.07004 (patches), with convolutions over time between those over space as in the tokenizer itself.
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812  the field's name
from jaxtyping import Float
from torch import Tensor, nn

_SLOPE = 0.2


class PatchDiscriminator(nn.Module):
    """Clips in [-1, 1] to one score a patch."""

    def __init__(self, channels: int, *, generator: torch.Generator, num_levels: int = 3):
        super().__init__()
        widths = [channels * 2 ** min(i, 2) for i in range(num_levels)]
        self.conv_in = nn.Conv3d(3, channels, (1, 4, 4), stride=(1, 2, 2), padding=(0, 1, 1))
        self.levels = nn.ModuleList(_Level(c_in, c_out) for c_in, c_out in pairwise(widths))
        self.conv_out = nn.Conv3d(widths[-1], 1, (1, 3, 3), padding=(0, 1, 1))
        self._draw(generator)

    def forward(self, clip: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b 1 t i j"]:
        """Scores; above 0 is real."""
        x = F.leaky_relu(self.conv_in(clip), _SLOPE)
        for level in self.levels:
            x = level(x)
        return self.conv_out(x)

    @torch.no_grad()
    def _draw(self, generator: torch.Generator) -> None:
        """Every weight from ``generator`` alone: normal, variance kept; biases 0; norms 1 and 0."""
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                std = math.sqrt(2 / (1 + _SLOPE**2) / module.weight[0].numel())
                module.weight.copy_(torch.randn(module.weight.shape, generator=generator) * std)
                assert module.bias is not None, "every convolution here has a bias"
                module.bias.zero_()


class _Level(nn.Module):
    """Half the resolution, then a look at the frames before and after."""

    def __init__(self, c_in: int, c_out: int):
        super().__init__()
        self.space = nn.Conv3d(c_in, c_out, (1, 4, 4), stride=(1, 2, 2), padding=(0, 1, 1))
        self.time = nn.Conv3d(c_out, c_out, (3, 1, 1), padding=(1, 0, 0))
        self.norm = nn.GroupNorm(1, c_out)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the next level."""
        return F.leaky_relu(self.norm(self.time(self.space(x))), _SLOPE)
