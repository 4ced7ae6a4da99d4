"""Fresh weights for the tokenizer: a linear wavelet codec plus noise.

From independent random weights the latents start as a random mixture of all bands, and hundreds of steps go into unmixing it.
Here the network starts as a codec that keeps the coarsest wavelet bands, and training improves on it. That takes norms of one
group: image tokenizers with 32 lose the mean of each group, and start no better than from noise.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from worldfoundry.models.tokenizer.coder import ResBlock
from worldfoundry.models.tokenizer.image_layers import ImageDownsample, ImageUpsample
from worldfoundry.models.tokenizer.layers import Attention, CausalConv, Downsample, FactorisedConv, Upsample
from worldfoundry.models.tokenizer.network import WaveletTokenizer

_NOISE = 0.05
_UNDO_NORMS = 0.62  # what the two frame norms make of a typical picture, measured on simulated and real clips
_BAND_GAIN = 4.0  # the mean of a patch varies far more than any other band; this evens them out


@torch.no_grad()
def initialise(model: WaveletTokenizer, generator: torch.Generator) -> None:
    """Draw every weight anew from ``generator`` alone.

    ============================ ==================================================================
    convolutions                 normal, 0.05 of variance-preserving; biases 0; plus, where named below:
    equal widths, (3,1,1)        the identity on the present pixel and frame
    resamplers of images         the mean of the pixels halved, the identity where doubled
    widening shortcuts           ``[I, -I]``, since silu(x) - silu(-x) = x carries signals unbent
    narrowing shortcuts          ``[I, -I] / 2``
    ends of encoder, decoder     copies between bands, coarsest first, and latents
    idle channels                a constant, which keeps the frame norm from rescaling each frame
    second convolutions of
    residual branches            a tenth of the noise
    norms                        weight 1, bias 0
    ============================ ==================================================================
    """
    _draw_noise(model, generator)
    for module in model.modules():
        if isinstance(module, ResBlock):
            _conv(module.conv2).weight.mul_(0.1)
            if not isinstance(module.nin_shortcut, nn.Identity):
                shortcut = _conv(module.nin_shortcut)
                _add_tap(shortcut, _signed(*shortcut.weight.shape[:2]))
        elif isinstance(module, FactorisedConv):
            _add_tap(_conv(module[1]), torch.eye(_conv(module[1]).out_channels))
        elif isinstance(module, Attention):
            _conv(module.proj_out).weight.mul_(0.1)
        elif isinstance(module, Downsample | Upsample) and isinstance(module.conv3, CausalConv):
            _add_tap(_conv(module.conv3), torch.eye(_conv(module.conv3).out_channels))
        elif isinstance(module, ImageDownsample) and module.conv is not None:
            module.conv.weight[:, :, :2, :2] += torch.eye(module.conv.out_channels)[:, :, None, None] / 4
        elif isinstance(module, ImageUpsample) and module.conv is not None:
            _add_tap(module.conv, torch.eye(module.conv.out_channels))
    for conv in (_conv(model.quant_conv), _conv(model.post_quant_conv)):
        _add_tap(conv, torch.eye(*conv.weight.shape[:2]))
    _copy_bands(model)


def _draw_noise(model: WaveletTokenizer, generator: torch.Generator) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            module.weight.normal_(0, _NOISE / math.sqrt(module.weight[0].numel()), generator=generator)
            _bias(module).zero_()
        elif isinstance(module, nn.GroupNorm):
            module.weight.fill_(1)
            module.bias.zero_()


def _copy_bands(model: WaveletTokenizer) -> None:
    """Band ``order[j]`` goes to channel ``j`` of the encoder, to latent ``j``, to channel ``j`` of the decoder and back."""
    order = _coarse_first(model.config.patch_size, 4 if model.config.dimensions == "image" else 8)
    gain = torch.full((len(order),), _BAND_GAIN)
    gain[:3] = 1.0
    z = model.config.z_channels

    first = _conv(model.encoder.conv_in)
    copied = min(first.out_channels // 2, len(order))
    matrix = torch.zeros(first.out_channels, len(order))
    matrix[range(copied), order[:copied]] = gain[:copied]
    _add_tap(first, matrix)
    _bias(first)[copied:] = 1.0

    last = _conv(model.encoder.conv_out)
    _add_tap(last, _difference(last.out_channels, last.in_channels // 2, z))

    first = _conv(model.decoder.conv_in)
    half = _conv(model.decoder.conv_out).in_channels // 2
    block = torch.cat([torch.eye(half, z), torch.zeros(half, 1)], dim=1)
    block[z:, -1] = 1.0
    while len(block) < first.out_channels:
        block = torch.cat([block, -block])
    _add_tap(first, block[:, :z])
    _bias(first).copy_(block[:, -1])

    last = _conv(model.decoder.conv_out)
    last.weight.mul_(0.1)  # an inverse wavelet adds 64 bands for each pixel, and their noise with them
    matrix = torch.zeros(len(order), 2 * half)
    matrix[order] = _difference(len(order), half, z) / gain[:, None] * _UNDO_NORMS
    _add_tap(last, matrix)


def _difference(c_out: int, half: int, count: int) -> Float[Tensor, "co ci"]:
    """Output ``j < count`` is channel ``j`` minus channel ``half + j``."""
    eye = torch.eye(c_out, half)
    eye[count:] = 0
    return torch.cat([eye, -eye], dim=1)


def _conv(module: object) -> nn.Conv2d | nn.Conv3d:
    """The weights of a convolution over channels, of an image's 3x3, or of the part over space of a factorised pair."""
    if isinstance(module, FactorisedConv):
        module = module[0]
    if isinstance(module, CausalConv):
        module = module.conv3d
    assert isinstance(module, nn.Conv2d | nn.Conv3d), "layers have convolutions of these kinds only"
    return module


def _bias(conv: nn.Conv2d | nn.Conv3d) -> Tensor:
    assert conv.bias is not None, "every convolution of this network has a bias"
    return conv.bias


def _add_tap(conv: nn.Conv2d | nn.Conv3d, matrix: Float[Tensor, "co ci"]) -> None:
    """Add a channel matrix that acts on the present pixel and frame alone."""
    weight = conv.weight if conv.weight.ndim == 4 else conv.weight[:, :, -1]
    weight[:, :, weight.shape[2] // 2, weight.shape[3] // 2] += matrix


def _signed(c_out: int, c_in: int) -> Float[Tensor, "co ci"]:
    """``[I, -I]`` for doubling, its half transpose for halving, else the identity as far as it goes."""
    if c_out == 2 * c_in:
        return torch.cat([torch.eye(c_in), -torch.eye(c_in)])
    if c_in == 2 * c_out:
        return torch.cat([torch.eye(c_out), -torch.eye(c_out)], dim=1) / 2
    return torch.eye(c_out, c_in)


def _coarse_first(patch_size: int, num_bands: int) -> list[int]:
    """Wavelet channels from the coarsest band to the finest: by number of high-pass letters at fine levels first."""
    levels = int(math.log2(patch_size))

    def fineness(channel: int) -> tuple[int, ...]:
        bands = [
            (channel // 3) // num_bands**level % num_bands for level in range(levels)
        ]  # finest level first
        return (*(int(band > 0) for band in bands), *(band.bit_count() for band in bands), *bands)

    return sorted(range(3 * num_bands**levels), key=fineness)
