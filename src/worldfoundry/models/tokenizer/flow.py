"""Optical flow for the flow loss: OpenCV's DIS of the truth, or RAFT with its published weights."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

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
_HOW_TO_SAVE = "save raft_large(weights='C_T_SKHT_V2').state_dict()"


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
    try:
        network.load_state_dict(_read(path))
    except RuntimeError as error:
        raise CheckpointError(
            f"{path} must be a state dict of torchvision's RAFT-large, got other weights: {_short(error)}; {_HOW_TO_SAVE}"
        ) from error
    network.eval().requires_grad_(False)

    def estimate(first: Tensor, second: Tensor) -> Tensor:
        return network.to(first.device)(first, second)[-1]

    return estimate


def _read(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
        raise CheckpointError(
            f"{path} must be a state dict of torchvision's RAFT-large (.pth), got {_short(error)}; {_HOW_TO_SAVE}"
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path} must be a state dict, got {type(state).__name__}; {_HOW_TO_SAVE}")
    return dict(state)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
