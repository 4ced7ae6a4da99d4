"""Rows of numbers that grow with a video: packed, and on disk once they are many, so that memory does not grow with it."""

import mmap
import tempfile
from collections.abc import Sequence
from typing import IO, Any

import numpy as np

_BLOCK_BYTES = 1 << 18
_PIECE = 1 << 13  # rows that are split at a time


class Rows:
    """Rows of one type and shape, to be read when all are there."""

    def __init__(self, dtype: Any, shape: tuple[int, ...] = ()):
        self._dtype, self._shape = np.dtype(dtype), shape
        self.row_bytes = self._dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        """Bytes of a row."""
        self._block = bytearray()
        self._file: IO[bytes] | None = None
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __del__(self):
        if self._file is not None:
            self._file.close()

    def append(self, row: Any) -> None:
        """Add one row."""
        packed = np.asarray(row, self._dtype)
        assert packed.shape == self._shape, f"rows have shape {self._shape}, got {packed.shape}"
        self._extend(packed.tobytes(), 1)

    def extend(self, rows: Any) -> None:
        """Add rows, stacked along the first axis."""
        packed = np.asarray(rows, self._dtype)
        assert packed.shape[1:] == self._shape, f"rows have shape {self._shape}, got {packed.shape[1:]}"
        self._extend(packed.tobytes(), len(packed))

    def _extend(self, data: bytes, count: int) -> None:
        self._block += data
        self._count += count
        if len(self._block) >= _BLOCK_BYTES:
            # The operating system forgets the file with its last reader, also when the process is killed.
            self._file = self._file or tempfile.TemporaryFile(prefix="worldfoundry-")  # noqa: SIM115
            self._file.write(self._block)
            self._block.clear()

    def array(self) -> np.ndarray:
        """All rows [n, ...]; those on disk are mapped, not read. Rows can be added no more."""
        shape = (self._count, *self._shape)
        if self._file is None:
            return np.frombuffer(bytes(self._block), self._dtype).reshape(shape)
        with self._file as file:  # the map outlives it
            file.write(self._block)
            file.flush()
            return np.memmap(file, self._dtype, "r", shape=shape)


def forget(array: np.ndarray) -> None:
    """Give back the memory of what was read of an array on disk; it is read again when it is looked at again."""
    base: Any = array
    while isinstance(base, np.ndarray):  # a view of a map may be a plain array
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def split_columns(table: np.ndarray, dtypes: Sequence[Any]) -> list[np.ndarray]:
    """The columns of a table [n, c], each of its own type; long ones are on disk as the table is."""
    columns = [Rows(dtype) for dtype in dtypes]
    for first in range(0, len(table), _PIECE):
        for column, values in zip(columns, table[first : first + _PIECE].T, strict=True):
            column.extend(values)
        forget(table)
    return [column.array() for column in columns]
