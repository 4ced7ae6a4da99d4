"""Optical flow for the flow loss: OpenCV's DIS of the truth, or RAFT with its published weights."""

import importlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from worldfoundry.core.errors import CheckpointError, MissingDependencyError
from worldfoundry.data.optical_flow import NAME, dis_flow
from worldfoundry.models.tokenizer.losses import FlowEstimator
from worldfoundry.protocols.video import to_uint8

DIS_FLOW = NAME
"""The estimator that needs no file."""


@torch.no_grad()
def dis_fields(
    clip: Float[Tensor, "b 3 t h w"],
) -> tuple[Float[Tensor, "b 2 u h w"], Float[Tensor, "b 2 u h w"]]:
    """From each frame to the next, and from each next one back, pixels; constants, without gradient."""
    frames = to_uint8(clip.float()).permute(0, 2, 3, 4, 1).contiguous().cpu().numpy()
    both = []
    for first, second in ((frames[:, :-1], frames[:, 1:]), (frames[:, 1:], frames[:, :-1])):
        fields = np.stack(
            [[dis_flow(*pair) for pair in zip(a, b, strict=True)] for a, b in zip(first, second, strict=True)]
        )
        both.append(torch.from_numpy(fields).permute(0, 4, 1, 2, 3).to(clip))
    return both[0], both[1]


def load_raft(path: Path) -> FlowEstimator:
    """RAFT-large of torchvision with the weights of a file; its last iterate.

    Source: arXiv 2003.12039; the published post-training takes this network.
    """
    if not path.is_file():
        raise CheckpointError(
            f"flow estimator {str(path)!r} must be {DIS_FLOW!r} or a file with torchvision's RAFT-large weights, got no such "
            "file; check the path"
        )
    try:
        optical_flow = importlib.import_module("torchvision.models.optical_flow")
    except ImportError as error:
        raise MissingDependencyError(
            f"{path} needs torchvision, which defines RAFT; run: pip install torchvision, or use {DIS_FLOW!r}"
        ) from error
    network = optical_flow.raft_large(weights=None)
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    network.eval().requires_grad_(False)

    def estimate(first: Tensor, second: Tensor) -> Tensor:
        return network.to(first.device)(first, second)[-1]

    return estimate
