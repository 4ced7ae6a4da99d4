"""Feature extractors of the perceptual and Gram losses: VGG-16 or VGG-19 from a file, or a fixed random network.

No weights come with the package. ``random-conv-5`` is what there is without a file: five convolutions whose weights are drawn
from a stated seed, the same everywhere. Differences of its features weigh edges and texture at five scales; it was never
trained and knows no objects, and it is never called VGG.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812  the field's name
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from worldfoundry.core.errors import CheckpointError

RANDOM_CONV = "random-conv-5"
"""Name of the extractor that needs no file."""
RANDOM_CONV_SEED = 20250107
_RANDOM_WIDTHS = (16, 32, 64, 96, 128)
_RANDOM_GAINS = (
    4.0,
    1.25,
    1.5,
    1.4,
    1.381,
)  # features of real clips then have a root mean square of 1 in every layer
_VGG_BLOCKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
_VGG_WIDTHS = (64, 128, 256, 512, 512)
VGG_LAYER_WEIGHTS = (1 / 2.6, 1 / 4.8, 1 / 3.7, 1 / 5.6, 10 / 1.5)
"""Of the five layers; the published losses have these."""
_MEAN, _STD = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


def scale_images(images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    """Images in [-1, 1] with the mean and deviation of natural ones taken out, channel by channel."""
    mean, std = (torch.tensor(v, device=images.device, dtype=images.dtype) for v in (_MEAN, _STD))
    return (images - mean[:, None, None]) / std[:, None, None]


class Extractor(nn.Module):
    """Images to the features of five layers, each at half the resolution of the one before; nothing in it is trained."""

    name: str
    """What it is called in results and logs."""
    layer_weights: tuple[float, ...]
    """Weight of each layer in a loss."""

    def __init__(self, name: str, blocks: list[nn.Sequential], layer_weights: tuple[float, ...]):
        super().__init__()
        self.name, self.layer_weights = name, layer_weights
        self.blocks = nn.ModuleList(blocks)
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        """Features of images in [-1, 1], of 16 pixels a side or more, finest first."""
        x, found = scale_images(images), []
        for i, block in enumerate(self.blocks):
            x = block(x if i == 0 else self.halve(x))
            found.append(x)
        return found

    def halve(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c i j"]:
        """Between layers: the largest of four, as VGG has it, or the mean, through which every pixel gets a gradient."""
        return F.avg_pool2d(x, 2) if self.name == RANDOM_CONV else F.max_pool2d(x, 2)

    @property
    def sha256(self) -> str:
        """Of the weights, in name order: results with another extractor are other results."""
        sha = hashlib.sha256(self.name.encode())
        for name, value in sorted(self.state_dict().items()):
            sha.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        return sha.hexdigest()


def load_extractor(source: str) -> Extractor:
    """``random-conv-5``, or VGG-16 or VGG-19 from a file with torchvision's weights (``.pth`` or ``.safetensors``)."""
    return random_conv() if source == RANDOM_CONV else vgg_from_file(Path(source))


def random_conv() -> Extractor:
    """``random-conv-5``: 3x3 convolutions of 16 to 128 channels with leaky ReLU (slope 0.2), means pooled.

    Features of real clips have a root mean square of about 1 in every layer (measured on held-out clips of 64 pixels). The
    kernels of the first layer have their mean taken out, as no difference of brightness alone is to count five times.
    """
    generator = torch.Generator().manual_seed(RANDOM_CONV_SEED)
    blocks, width = [], 3
    for i, channels in enumerate(_RANDOM_WIDTHS):
        conv = nn.Conv2d(width, channels, 3, padding=1, bias=False)
        weight = torch.randn(conv.weight.shape, generator=generator)
        if i == 0:
            weight -= weight.mean(dim=(2, 3), keepdim=True)
        gain = _RANDOM_GAINS[i] * (2 / (1 + 0.2**2)) ** 0.5
        conv.weight.data.copy_(weight * gain / (9 * width) ** 0.5)
        blocks.append(nn.Sequential(conv, nn.LeakyReLU(0.2)))
        width = channels
    return Extractor(RANDOM_CONV, blocks, (0.2,) * len(blocks))


def vgg_from_file(path: Path) -> Extractor:
    """VGG up to the last ReLU of each of its five blocks, from torchvision's weights; which of the two, the file says.

    The classifier of a whole file is left out. Source: relu1_2 to relu5_3 of VGG-16 with these weights is what the published
    losses have; the paper says VGG-19, where the last layers of the blocks are relu1_2 to relu5_4.
    """
    state = {k.removeprefix("features."): v for k, v in _read(path).items() if k.startswith("features.")}
    num_convs = sum(k.endswith(".weight") for k in state)
    name = {sum(blocks): name for name, blocks in _VGG_BLOCKS.items()}.get(num_convs)
    if name is None:
        raise CheckpointError(
            f"{path} must hold torchvision's VGG-16 or VGG-19 (13 or 16 convolutions below 'features.'), got {num_convs}; "
            "save vgg19(weights='IMAGENET1K_V1').state_dict()"
        )
    blocks, width, index = [], 3, 0
    for channels, num in zip(_VGG_WIDTHS, _VGG_BLOCKS[name], strict=True):
        layers = []
        for _ in range(num):
            conv = nn.Conv2d(width, channels, 3, padding=1)
            _fill(conv, state, index, path)
            layers += [conv, nn.ReLU()]
            width, index = channels, index + 2
        blocks.append(nn.Sequential(*layers))
        index += 1  # the pooling layer, which has no weights
    return Extractor(name, blocks, VGG_LAYER_WEIGHTS)


def _fill(conv: nn.Conv2d, state: Mapping[str, Tensor], index: int, path: Path) -> None:
    own = {k: state.get(f"{index}.{k}") for k in ("weight", "bias")}
    for key, value in own.items():
        wanted = conv.state_dict()[key].shape
        if value is None or value.shape != wanted:
            got = "nothing" if value is None else list(value.shape)
            raise CheckpointError(
                f"{path}: features.{index}.{key} must be {list(wanted)}, got {got}; take a whole file of torchvision's"
            )
    conv.load_state_dict({k: v for k, v in own.items() if v is not None})


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise CheckpointError(
            f"extractor {str(path)!r} must be {RANDOM_CONV!r} or a file with torchvision's VGG weights, got no such file; "
            "check the path"
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, SafetensorError, EOFError) as error:
        raise CheckpointError(
            f"{path} must be a state dict (.pth or .safetensors), got {' '.join(str(error).split())[:200]}; save it again"
        ) from error
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{path} must be a state dict, got {type(state).__name__}; save state_dict()")
    return dict(state)
