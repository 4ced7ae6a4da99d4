"""Files of latents: written and read piece by piece, so that memory does not grow with the length of the clip.

A safetensors file. Of a continuous tokenizer it holds ``latents``, float32 ``[1 cz tz hz wz]``; of a discrete one ``packed``,
uint8: int32 indices ``[1 tz hz wz]`` at as few bits each as their codebook needs, lowest bit first. The metadata say the
rest: ``shape`` and ``codebook_size`` of indices, and the facts that the writer was given.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from worldfoundry.core.errors import DataError
from worldfoundry.core.files import atomic_path
from worldfoundry.models.tokenizer.quantize import num_bits, pack_indices, unpack_indices

_FRAMES_AT_ONCE = 64
_INDICES_AT_ONCE = 2**16  # a multiple of 8 fills whole bytes, whatever the bits of an index


class LatentWriter:
    """Latents or indices of one clip, appended piece by piece; use it as a context manager.

    Pieces lie in a file beside ``path`` until the last, since the order of the file is by channel and theirs by time. The
    file appears under its name when it is complete.
    """

    def __init__(self, path: Path, *, codebook_size: int = 0):
        self.path, self.codebook_size = path, codebook_size
        self.facts: dict[str, str] = {}
        """What the metadata are to say; may be set until the end."""
        self.num_latents = 0
        """Latent frames written so far."""
        self._frame: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """``[1 cz tz hz wz]``, or ``[1 tz hz wz]`` of indices, as far as it is written."""
        *channels, height, width = self._frame
        return 1, *channels, self.num_latents, height, width

    def __enter__(self) -> "LatentWriter":
        self._atomic = atomic_path(self.path)
        self._target = self._atomic.__enter__()
        self._pieces_path = self._target.with_name(f"{self._target.name}.pieces")
        self._pieces: BinaryIO = self._pieces_path.open("wb")
        return self

    def append(self, piece: Tensor) -> None:
        """Latents ``[1 cz n hz wz]`` or indices ``[1 n hz wz]`` of the next latent frames."""
        ordered = piece[0] if self.codebook_size else piece[0].transpose(0, 1)
        self._frame = tuple(ordered.shape[1:])
        self.num_latents += len(ordered)
        kind = torch.int32 if self.codebook_size else torch.float32
        self._pieces.write(ordered.to(kind).contiguous().cpu().numpy().tobytes())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pieces.close()
        try:
            if kind is None:
                self._finish()
        except BaseException as late:
            self._atomic.__exit__(type(late), late, late.__traceback__)
            raise
        else:
            self._atomic.__exit__(kind, error, trace)
        finally:
            self._pieces_path.unlink(missing_ok=True)

    def _finish(self) -> None:
        if not self.num_latents:
            raise DataError(
                f"{self.path} must hold a latent frame or more, got none; give a clip with frames"
            )
        shape, facts = self.shape, dict(self.facts)
        if self.codebook_size:
            facts |= {"shape": json.dumps(shape), "codebook_size": str(self.codebook_size)}
            stored = (-(-math.prod(shape) * num_bits(self.codebook_size) // 8),)
        else:
            stored = shape
        with self._target.open("wb") as out:
            name, kind = ("packed", "U8") if self.codebook_size else ("latents", "F32")
            size = math.prod(stored) * (1 if self.codebook_size else 4)
            entry = {"dtype": kind, "shape": list(stored), "data_offsets": [0, size]}
            header = json.dumps({"__metadata__": facts, name: entry}).encode()
            header += b" " * (-len(header) % 8)
            out.write(len(header).to_bytes(8, "little") + header)
            for block in self._packed() if self.codebook_size else self._channels():
                out.write(block)

    def _packed(self) -> Iterator[bytes]:
        with self._pieces_path.open("rb") as pieces:
            while data := pieces.read(4 * _INDICES_AT_ONCE):
                indices = torch.from_numpy(np.frombuffer(data, dtype=np.int32).copy())
                yield pack_indices(indices, self.codebook_size).numpy().tobytes()

    def _channels(self) -> Iterator[bytes]:
        shape = (self.num_latents, *self._frame)
        pieces = np.memmap(self._pieces_path, dtype=np.float32, mode="r", shape=shape)
        for channel in range(shape[1]):
            for start in range(0, shape[0], _FRAMES_AT_ONCE):
                yield np.ascontiguousarray(pieces[start : start + _FRAMES_AT_ONCE, channel]).tobytes()


class LatentReader:
    """What ``LatentWriter`` wrote, read piece by piece; use it as a context manager."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> "LatentReader":
        try:
            self._file = safe_open(self.path, framework="pt").__enter__()
            self.facts: dict[str, str] = self._file.metadata() or {}
            self.codebook_size = int(self.facts.get("codebook_size", 0))
            self._slice = self._file.get_slice("packed" if self.codebook_size else "latents")
            stored = self._slice.get_shape()
            self.shape: tuple[int, ...] = tuple(
                json.loads(self.facts["shape"]) if self.codebook_size else stored
            )
            if len(self.shape) != (4 if self.codebook_size else 5) or self.shape[0] != 1:
                raise ValueError(f"the shape {self.shape}")
        except Exception as error:
            raise DataError(
                f"{self.path} must be latents that 'worldfoundry tokenize encode' wrote, got {error}; encode first"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.__exit__(kind, error, trace)

    @property
    def num_latents(self) -> int:
        """Latent frames of the clip."""
        return self.shape[-3]

    def read(self, start: int, stop: int) -> Tensor:
        """Latents ``[1 cz n hz wz]``, or int32 indices ``[1 n hz wz]``, of latent frames ``start`` to ``stop``."""
        stop = min(stop, self.num_latents)
        if not self.codebook_size:
            return self._slice[:, :, start:stop]
        frame, bits = math.prod(self.shape[-2:]), num_bits(self.codebook_size)
        first, last = start * frame, stop * frame
        begin = first // 8 * 8  # where indices and bytes begin together
        end = min(-(-last // 8) * 8, math.prod(self.shape))
        packed = self._slice[begin * bits // 8 : -(-end * bits // 8)]
        indices = unpack_indices(packed, self.codebook_size, (end - begin,))
        return indices[first - begin : last - begin].view(1, stop - start, *self.shape[-2:])
