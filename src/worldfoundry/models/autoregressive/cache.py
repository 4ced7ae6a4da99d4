"""What a transformer remembers of the tokens it has seen: keys and values, as long as they are and no longer.

Axes: ``b`` clips, ``k`` heads of keys and values, ``s`` tokens seen, ``n`` new tokens, ``d`` width of a head.
"""

import torch
from jaxtyping import Shaped
from torch import Tensor


class KeyValueCache:
    """Keys and values of every layer; room for ``capacity`` tokens, of which ``length`` are taken.

    Attention sees the tokens taken, never the room behind them. To take tokens back, set ``length`` to less.
    """

    def __init__(self, num_layers: int, capacity: int):
        self.capacity = capacity
        self.length = 0
        self._keys: list[Tensor | None] = [None] * num_layers
        self._values: list[Tensor | None] = [None] * num_layers

    def extend(
        self, layer: int, keys: Shaped[Tensor, "b k n d"], values: Shaped[Tensor, "b k n d"]
    ) -> tuple[Shaped[Tensor, "b k s d"], Shaped[Tensor, "b k s d"]]:
        """Write new tokens behind those taken; all of both. ``advance`` takes them once every layer has written."""
        end = self.length + keys.shape[2]
        if end > self.capacity:
            raise ValueError(
                f"a cache of {self.capacity} tokens must hold {end}; make it with a larger capacity"
            )
        return self._write(self._keys, layer, keys, end), self._write(self._values, layer, values, end)

    def _write(self, kept: list[Tensor | None], layer: int, new: Tensor, end: int) -> Tensor:
        room = kept[layer]
        if room is None:
            b, k, _, d = new.shape
            room = kept[layer] = new.new_empty(b, k, self.capacity, d)
        room[:, :, self.length : end] = new
        return room[:, :, :end]

    def advance(self, count: int) -> None:
        """Take the ``count`` tokens that every layer has written."""
        self.length += count

    def fork(self, count: int = 1) -> "KeyValueCache":
        """An independent copy, each clip ``count`` times over."""
        other = KeyValueCache(len(self._keys), self.capacity)
        other.length = self.length
        for mine, its in ((self._keys, other._keys), (self._values, other._values)):
            for layer, room in enumerate(mine):
                if room is None:
                    continue
                copy = torch.empty_like(room).repeat_interleave(count, dim=0)
                copy[:, :, : self.length] = room[:, :, : self.length].repeat_interleave(count, dim=0)
                its[layer] = copy
        return other
