"""TorchScript archives (``*.jit``) as state dicts: weights and buffers are read, the program is not.

``torch.jit.load`` would compile the archive's program, run its ``__setstate__`` methods, and place tensors where they were
traced; it is deprecated besides. A TorchScript archive is a zip of plain records, so this module reads those that hold numbers:
``data.pkl``, a pickle whose every global is checked against the few that describe tensors, and the bytes below ``data/``.
Classes of the program become bare holders of their attributes. Nothing in the file can name code that would be run.

Source: the archive's own records; layout of ``torch.jit.save`` in PyTorch 1.8 to 2.13.
"""

import collections
import pickle
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from worldfoundry.core.errors import CheckpointError
from worldfoundry.core.files import atomic_path

_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Names and tensors of every parameter and buffer, on the CPU, in the precision they are stored in."""
    try:
        with zipfile.ZipFile(path) as archive:
            root = next(n for n in archive.namelist() if n.endswith("/data.pkl")).removesuffix("data.pkl")
            module = _Reader(archive, root).load()
            return dict(_tensors(module, ""))
    except (zipfile.BadZipFile, pickle.UnpicklingError, StopIteration, OSError, EOFError) as error:
        raise CheckpointError(
            f"{path} must be a whole TorchScript archive, got {error or 'no data.pkl in it'}; fetch it again"
        ) from error
    except (RuntimeError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"{path} must describe its tensors as torch.jit.save does, got {type(error).__name__}: {error}; fetch it again"
        ) from error


class _Module:
    """An object of the program: what it holds, and nothing that it does."""

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Reader(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, root: str):
        super().__init__(archive.open(f"{root}data.pkl"))
        self._archive, self._root = archive, root
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "__torch__" or module.startswith("__torch__."):
            return _Module
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        known = {
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch.jit._pickle", "build_intlist"): list,
            ("torch.jit._pickle", "build_doublelist"): list,
            ("torch.jit._pickle", "build_boollist"): list,
            ("torch.jit._pickle", "build_tensorlist"): list,
        }
        if (module, name) not in known:
            raise CheckpointError(
                f"{self._archive.filename} must hold modules and tensors only, got {module}.{name}; it is refused, since reading "
                "it could run code: fetch the published file"
            )
        return known[module, name]

    def persistent_load(self, pid: Any) -> Tensor:
        _, dtype, key, _, count = pid
        if key not in self._storages:
            record = self._archive.getinfo(f"{self._root}data/{key}")
            if record.compress_size != record.file_size or record.file_size != count * dtype.itemsize:
                raise CheckpointError(
                    f"{self._archive.filename}: record {key!r} must be {count * dtype.itemsize} bytes as they are, got "
                    f"{record.compress_size} for {record.file_size}; fetch it again"
                )
            data = self._archive.read(record)
            self._storages[key] = (
                torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)
            )
        return self._storages[key]


def _rebuild(
    storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> Tensor:
    return torch.as_strided(storage, tuple(size), tuple(stride), offset)  # raises if it leaves the storage


def _tensors(value: object, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, _Module):
        value = value.state
        for key, inner in value.items() if isinstance(value, dict) else ():
            yield from _tensors(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, Tensor):
        yield name, value.contiguous()


class _WeightsOnly(nn.Module):
    """The root of an archive that is to be read, not run."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: ARG002  called as a tokenizer is
        """Refuse."""
        raise RuntimeError("this archive holds weights only: read its state_dict(), it has no trace to run")


def write_torchscript(path: Path, weights: Mapping[str, Tensor], buffers: Mapping[str, Tensor]) -> None:
    """An archive with these parameters and buffers, which ``torch.jit.load(...).state_dict()`` gives back bit by bit.

    It has no trace: called, it raises. A trace would have to be that of the published code.
    """
    root = _WeightsOnly()
    for name, value in weights.items():
        owner, leaf = _owner(root, name)
        owner.register_parameter(leaf, nn.Parameter(value.contiguous(), requires_grad=False))
    for name, value in buffers.items():
        owner, leaf = _owner(root, name)
        owner.register_buffer(leaf, value)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        # Not to the file itself: the archive would hold its temporary name.
        buffer = torch.jit.script(root).save_to_buffer()
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer)


def _owner(root: nn.Module, name: str) -> tuple[nn.Module, str]:
    *path, leaf = name.split(".")
    for part in path:
        found = dict(root.named_children()).get(part)
        if found is None:
            found = nn.Module()
            root.add_module(part, found)
        root = found
    return root, leaf
