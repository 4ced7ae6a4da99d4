"""What next-token training minimises. Source: arXiv 2501.03575, section 5; z-loss as in arXiv 2204.02311."""

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  the name the field uses
from jaxtyping import Float, Int
from torch import Tensor

from worldfoundry.models.autoregressive.config import AutoregressiveConfig

IGNORED = -100
"""A label that does not count."""


class NextTokenLoss(NamedTuple):
    """Parts of the loss."""

    total: Float[Tensor, ""]
    """Sum of both parts."""
    cross_entropy: Float[Tensor, ""]
    """Mean over the labels that count, nats."""
    z: Float[Tensor, ""]
    """Weighted mean of squared log-partition functions, over all places."""


def next_tokens(
    tokens: Int[Tensor, "b n"], *, num_ignored: int = 0
) -> tuple[Int[Tensor, "b m"], Int[Tensor, "b m"]]:
    """Inputs and labels of teacher forcing; the first ``num_ignored`` labels do not count."""
    labels = tokens[:, 1:].clone()
    labels[:, :num_ignored] = IGNORED
    return tokens[:, :-1], labels


def num_given(config: AutoregressiveConfig, latent_frames: int = 1) -> int:
    """Labels within the given latent frames.

    The published rule leaves one fewer out where a begin token stands in front: the last token given is then learned too.
    """
    return config.tokens_per_frame * latent_frames - 1


def next_token_loss(
    logits: Float[Tensor, "b n v"], labels: Int[Tensor, "b n"], *, z_weight: float = 3e-4
) -> NextTokenLoss:
    """Cross entropy and z-loss in the precision of the logits; published: 3e-4, the released code 1e-4."""
    cross_entropy = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
    z = z_weight * torch.logsumexp(logits, dim=-1).square().mean()
    return NextTokenLoss(cross_entropy + z, cross_entropy, z)
