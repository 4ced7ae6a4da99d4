"""Features of frames and clips, between whose distributions a distance is measured.

Official ones are TorchScript files that are run as they are, so take them from whom you trust: ``inception-2015-12-05.pt``
(FID, frames) and ``i3d_torchscript.pt`` (FVD, clips), in the form in which the StyleGAN authors publish them. Without a file
there are two fixed random networks, which were never trained and are never called FID or FVD.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  the field's name
from jaxtyping import Float
from torch import Tensor, nn

from worldfoundry.core.errors import CheckpointError, DataError
from worldfoundry.models.tokenizer.perceptual import RANDOM_CONV, random_conv
from worldfoundry.protocols.video import to_uint8

RANDOM_CLIPS = "random-conv3d-3"
_CLIP_SEEDS = (0, 1, 2, 3, 4)
_CLIP_WIDTHS = (16, 32, 64)
_CLIP_FEATURES = 64
FRAME_STEP = 4
"""Frames from one that frame features are taken of to the next."""
Network = Callable[[Tensor], Tensor]
_I3D_SIZE, _I3D_LEAST_FRAMES = 224, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSet:
    """A way to see clips: a few networks whose distances are averaged."""

    name: str
    """What it is called in results."""
    kind: str
    """``frames`` or ``clips``."""
    sha256: str
    """Of the weights, or of the file: results with another are other results."""
    networks: tuple[Network, ...] = field(repr=False)
    """Each takes clips [b 3 t h w] in [-1, 1] and gives features [b n d], n of them for a clip."""
    is_official: bool = False
    """Whether a file was given; then distances are Fréchet distances too."""

    @torch.no_grad()
    def __call__(self, clips: Float[Tensor, "b 3 t h w"]) -> list[Float[Tensor, "b n d"]]:
        """Features of every network, float64."""
        return [network(clips).double().cpu() for network in self.networks]


def random_frames() -> FeatureSet:
    """Mean and largest value of each channel of ``random-conv-5``, every fourth frame."""
    extractor = random_conv()

    def features(clips: Tensor) -> Tensor:
        frames = clips[:, :, ::FRAME_STEP].transpose(1, 2)
        layers = extractor(frames.flatten(0, 1))
        pooled = [v for x in layers for v in (x.mean(dim=(2, 3)), x.amax(dim=(2, 3)))]
        return torch.cat(pooled, dim=1).unflatten(0, frames.shape[:2])

    return FeatureSet(name=RANDOM_CONV, kind="frames", sha256=extractor.sha256, networks=(features,))


class RandomClips(nn.Module):
    """Frames and their differences through three strided 3-D convolutions, pooled at each depth, projected to 64 numbers.

    Weights are orthogonal and drawn from the seed. It sees blur, order and direction of time; noise hardly.
    """

    def __init__(self, seed: int):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        widths = (6, *_CLIP_WIDTHS)
        self.convs = nn.ModuleList(
            nn.Conv3d(widths[i], widths[i + 1], 3, stride=2, padding=1, bias=False)
            for i in range(len(_CLIP_WIDTHS))
        )
        self.project = nn.Linear(2 * sum(_CLIP_WIDTHS), _CLIP_FEATURES, bias=False)
        for weight in self.parameters():
            flat = torch.randn(weight.flatten(1).shape, generator=generator)
            weight.data.copy_(torch.linalg.qr(flat.T).Q.T.reshape(weight.shape))
        self.requires_grad_(False)

    def forward(self, clips: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b 1 d"]:
        """One row of features a clip."""
        change = torch.zeros_like(clips)
        change[:, :, 1:] = clips[:, :, 1:] - clips[:, :, :-1]
        x, found = torch.cat([clips, change], dim=1), []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
            found += [x.mean(dim=(2, 3, 4)), x.amax(dim=(2, 3, 4))]
        return self.project(torch.cat(found, dim=1))[:, None]


def random_clips() -> FeatureSet:
    """``RandomClips`` of five seeds."""
    networks = tuple(RandomClips(seed) for seed in _CLIP_SEEDS)
    sha = hashlib.sha256()
    for network in networks:
        for name, value in sorted(network.state_dict().items()):
            sha.update(name.encode() + value.contiguous().numpy().tobytes())
    return FeatureSet(name=RANDOM_CLIPS, kind="clips", sha256=sha.hexdigest(), networks=networks)


def inception_file(path: Path) -> FeatureSet:
    """FID's Inception features of every fourth frame, from its TorchScript file."""
    network = _torchscript(path)

    def features(clips: Tensor) -> Tensor:
        frames = to_uint8(clips[:, :, ::FRAME_STEP]).transpose(1, 2)
        return network(frames.flatten(0, 1), return_features=True).unflatten(0, frames.shape[:2])

    return _official(path, "frames", features)


def i3d_file(path: Path) -> FeatureSet:
    """FVD's I3D features of clips at 224 x 224, from its TorchScript file."""
    network = _torchscript(path)

    def features(clips: Tensor) -> Tensor:
        if clips.shape[2] < _I3D_LEAST_FRAMES:
            raise DataError(
                f"clips for FVD must have {_I3D_LEAST_FRAMES} frames or more, got {clips.shape[2]}; raise --num-frames"
            )
        size = (clips.shape[2], _I3D_SIZE, _I3D_SIZE)
        large = F.interpolate(clips.clamp(-1, 1), size=size, mode="trilinear", align_corners=False)
        return network(large, rescale=False, resize=False, return_features=True)[:, None]

    return _official(path, "clips", features)


def _official(path: Path, kind: str, features: Any) -> FeatureSet:
    return FeatureSet(
        name=path.stem,
        kind=kind,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        networks=(features,),
        is_official=True,
    )


def _torchscript(path: Path) -> Any:
    if not path.is_file():
        raise CheckpointError(
            f"feature weights {str(path)!r} must be a TorchScript file, got no such file; check the path"
        )
    try:
        return torch.jit.load(path, map_location="cpu").eval()
    except RuntimeError as error:
        raise CheckpointError(
            f"{path} must be a TorchScript file, got {' '.join(str(error).split())[:200]}; fetch it again"
        ) from error
