"""Finite scalar quantisation: each channel of a latent is rounded to a few values, and the digits together are the index.

Nothing is learnt and nothing is stored: codebook, levels and bases follow from the configuration. Arithmetic is float32
whatever the network's dtype, and every code is exact in bfloat16.

Source: arXiv 2309.15505, with the range widened by 1.001 as in the published tokenizers.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from worldfoundry.core.errors import DataError

_WIDEN = 1.001  # so that tanh reaches the outermost values
_EPSILON = 1.19e-7  # keeps the logarithm of an unused code finite; the published metric's value


@dataclass(frozen=True, slots=True)
class FSQ:
    """Finite scalar quantisation with ``levels`` values for each channel, the first channel the fastest digit."""

    levels: tuple[int, ...]

    @property
    def codebook_size(self) -> int:
        """Number of codes."""
        return math.prod(self.levels)

    def _row(self, values: list[float], like: Tensor) -> Tensor:
        """One value a channel, shaped to broadcast over ``[b d *axes]``."""
        row = torch.tensor(values, dtype=torch.float32, device=like.device)
        return row.view(-1, *(1,) * (like.ndim - 2))

    def bound(self, z: Float[Tensor, "b d *axes"]) -> Float[Tensor, "b d *axes"]:
        """``z`` squashed so that rounding gives ``levels`` integers around zero; float32."""
        half = self._row([(n - 1) * _WIDEN / 2 for n in self.levels], z)
        offset = self._row([0.0 if n % 2 else 0.5 for n in self.levels], z)
        return torch.tanh(z.float() + torch.atanh(offset / half)) * half - offset

    def quantize(self, z: Float[Tensor, "b d *axes"]) -> Float[Tensor, "b d *axes"]:
        """Codes in [-1, 1] in the dtype of ``z``; the gradient passes through the rounding (straight-through)."""
        bounded = self.bound(z)
        rounded = bounded + (bounded.round() - bounded).detach()
        return (rounded / self._row([float(n // 2) for n in self.levels], z)).to(z.dtype)

    def indices(self, codes: Float[Tensor, "b d *axes"]) -> Int[Tensor, "b ..."]:
        """int32 index of each code, ``0 <= index < codebook_size``.

        Codes whose dtype cannot tell all values of a level apart are a ``DataError``.
        """
        _check_precision(codes.dtype, max(self.levels))
        half = self._row([float(n // 2) for n in self.levels], codes)
        digits = (codes.float() * half + half).round().to(torch.int32)
        index = torch.zeros_like(digits[:, 0])
        for channel in reversed(range(len(self.levels))):
            index = index * self.levels[channel] + digits[:, channel]
        return index

    def codes(
        self, indices: Int[Tensor, "b ..."], dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "b d *axes"]:
        """Inverse of ``indices``; one outside the codebook is a ``DataError``."""
        _check_range(indices, self.codebook_size)
        channels, rest = [], indices
        for n in self.levels:
            channels.append((rest % n - n // 2) / (n // 2))
            rest = rest // n
        return torch.stack(channels, dim=1).to(dtype)


class ResidualCodes(NamedTuple):
    """What every stage of a residual quantiser gives together."""

    codes: Tensor
    """Sum over the stages, ``[b d *axes]``."""
    indices: Tensor
    """int32 of each stage, ``[b stages *axes]``."""


@dataclass(frozen=True, slots=True)
class ResidualFSQ:
    """Finite scalar quantisation of what earlier stages left over; no published tokenizer has it.

    Source: the published code base, where each stage sees the residual without gradient through earlier codes.
    """

    levels: tuple[int, ...]
    num_stages: int

    def quantize(self, z: Float[Tensor, "b d *axes"]) -> ResidualCodes:
        """Codes and indices; the gradient is the sum of the stages' own."""
        rest = z.float()
        fsq, total, indices = FSQ(self.levels), torch.zeros_like(rest), []
        for _ in range(self.num_stages):
            codes = fsq.quantize(rest)
            rest, total = rest - codes.detach(), total + codes
            indices.append(fsq.indices(codes))
        return ResidualCodes(total.to(z.dtype), torch.stack(indices, dim=1))

    def codes(
        self, indices: Int[Tensor, "b stages ..."], dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "b d *axes"]:
        """Codes of the indices of all stages."""
        fsq = FSQ(self.levels)
        return torch.stack([fsq.codes(stage, dtype) for stage in indices.unbind(1)]).sum(dim=0)


def _check_precision(dtype: torch.dtype, levels: int) -> None:
    """A code is a multiple of ``1 / half``; rounded by up to half the distance to the next it may be read as another."""
    half = levels // 2
    if half * torch.finfo(dtype).eps / 2 >= 0.5:
        raise DataError(
            f"codes of {levels} levels must be float32 to tell indices from, got {dtype}; quantise in float32"
        )


def _check_range(indices: Tensor, codebook_size: int) -> None:
    if indices.is_meta or not indices.numel():
        return
    low, high = int(indices.min()), int(indices.max())
    if low < 0 or high >= codebook_size:
        raise DataError(
            f"indices must be in [0, {codebook_size}), got {low} to {high}; take those of this codebook's tokenizer"
        )


def num_bits(codebook_size: int) -> int:
    """Bits that hold every index of a codebook.

    >>> num_bits(64000)
    16
    """
    return max(1, (codebook_size - 1).bit_length())


def pack_indices(indices: Int[Tensor, "*axes"], codebook_size: int) -> UInt8[Tensor, " bytes"]:
    """Indices at ``num_bits`` each, the lowest bit first; the last byte is filled with zeros."""
    _check_range(indices, codebook_size)
    flat = indices.detach().cpu().numpy().reshape(-1).astype(np.int64)
    bits = (flat[:, None] >> np.arange(num_bits(codebook_size))) & 1
    return torch.from_numpy(np.packbits(bits.astype(np.uint8), bitorder="little"))


def unpack_indices(
    packed: UInt8[Tensor, " bytes"], codebook_size: int, shape: tuple[int, ...]
) -> Int[Tensor, "*axes"]:
    """Inverse of ``pack_indices``: int32 of ``shape``."""
    width, count = num_bits(codebook_size), math.prod(shape)
    if packed.numel() != -(-width * count // 8):
        raise DataError(
            f"packed indices of shape {list(shape)} must be {-(-width * count // 8)} bytes, got {packed.numel()}; "
            "give the shape they were packed with"
        )
    bits = np.unpackbits(packed.cpu().numpy(), bitorder="little", count=width * count).reshape(count, width)
    return torch.from_numpy((bits.astype(np.int64) << np.arange(width)).sum(axis=1).astype(np.int32)).view(
        shape
    )


class CodebookUsage(NamedTuple):
    """How much of a codebook is in use."""

    perplexity: float
    """Exponential of the entropy of the codes: the size of an equally used codebook, 1 to ``codebook_size``."""
    used_share: float
    """Share of the codes that occur at all, 0 to 1."""


def count_codes(indices: Int[Tensor, "*axes"], codebook_size: int) -> Int[Tensor, " k"]:
    """How often each code occurs; counts of several batches add up. An index outside the codebook is a ``DataError``."""
    _check_range(indices, codebook_size)
    return torch.bincount(indices.reshape(-1).long(), minlength=codebook_size)


def codebook_usage(counts: Int[Tensor, " k"]) -> CodebookUsage:
    """Statistics of the counts of one batch or many; counts of nothing are a ``DataError``.

    >>> codebook_usage(torch.tensor([5, 5, 0, 0])).used_share
    0.5
    """
    if not counts.any():
        raise DataError(
            f"counts must be of one index or more, got {counts.numel()} zeros; count the codes of a clip first"
        )
    p = counts.double() / counts.sum()
    perplexity = float(torch.exp(-(p * torch.log(p + _EPSILON)).sum()))
    return CodebookUsage(perplexity=perplexity, used_share=float((counts > 0).double().mean()))
