"""Large pictures in overlapping tiles, so that memory is that of one tile; seams are blended linearly.

Tiles are an approximation: norms and spatial attention see one tile instead of the whole picture. A picture that fits into
one tile is not cut and gives what it gives without tiling.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from worldfoundry.core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """How a picture is cut."""

    size_px: int = 512
    """Rows and columns of a tile at most, a multiple of the tokenizer's spatial stride."""
    overlap_px: int = 64
    """Rows and columns that neighbours share, a multiple of the stride and at most a quarter of ``size_px``."""

    def in_latents(self, stride: int) -> tuple[int, int]:
        """``(size, overlap)`` in rows of latents of a tokenizer with this spatial stride."""
        for name in ("size_px", "overlap_px"):
            value = getattr(self, name)
            if value < stride or value % stride:
                raise ConfigError(
                    f"tile.{name} must be a multiple of the tokenizer's spatial stride {stride}, got {value}; use "
                    f"{max(1, value // stride) * stride}"
                )
        if 4 * self.overlap_px > self.size_px:
            raise ConfigError(
                f"tile.overlap_px must be at most a quarter of tile.size_px {self.size_px}, so that no more than two tiles "
                f"meet in a row, got {self.overlap_px}; use {self.size_px // 4 // stride * stride or stride}"
            )
        return self.size_px // stride, self.overlap_px // stride


def spans(length: int, size: int, overlap: int) -> list[slice]:
    """Spans of at most ``size`` that cover ``length``, as few and as equal as can be, neighbours sharing ``overlap``.

    >>> spans(10, 6, 1)
    [slice(0, 6, None), slice(5, 10, None)]
    """
    if length <= size:
        return [slice(0, length)]
    count = -(-(length - overlap) // (size - overlap))
    each, longer = divmod(length + (count - 1) * overlap, count)
    found, start = [], 0
    for i in range(count):
        stop = start + each + (i < longer)
        found.append(slice(start, stop))
        start = stop - overlap
    return found


def run_tiled(
    function: Callable[[Tensor], Tensor],
    x: Float[Tensor, "b c *thw"],
    *,
    tile: Tile,
    stride: int,
    unit_in: int,
    unit_out: int,
) -> Float[Tensor, "b co *uij"]:
    """``function`` of every tile of ``x``, joined.

    ``unit_in`` and ``unit_out`` are rows of ``x`` and of the result for each row of latents: ``stride`` and 1 to encode, 1 and
    ``stride`` to decode.
    """
    size, overlap = tile.in_latents(stride)
    rows, columns = (spans(length // unit_in, size, overlap) for length in x.shape[-2:])
    strips = []
    for row in rows:
        strip = x[..., _scaled(row, unit_in), :]
        parts = [function(strip[..., _scaled(column, unit_in)]) for column in columns]
        strips.append(_join(parts, overlap * unit_out, axis=-1))
    return _join(strips, overlap * unit_out, axis=-2)


def _scaled(span: slice, unit: int) -> slice:
    return slice(span.start * unit, span.stop * unit)


def _join(parts: list[Tensor], overlap: int, *, axis: int) -> Tensor:
    """Neighbours one after the other; where they share, from the one to the other in equal steps."""
    ramp = (torch.arange(overlap, device=parts[0].device) + 0.5) / overlap
    ramp = ramp.view(-1, *(1,) * (-1 - axis)).to(parts[0].dtype)
    joined = [parts[0]]
    for after in parts[1:]:
        before = joined.pop()
        own = before.shape[axis] - overlap
        seam = torch.lerp(before.narrow(axis, own, overlap), after.narrow(axis, 0, overlap), ramp)
        joined += [
            before.narrow(axis, 0, own),
            seam,
            after.narrow(axis, overlap, after.shape[axis] - overlap),
        ]
    return torch.cat(joined, dim=axis) if len(joined) > 1 else joined[0]
