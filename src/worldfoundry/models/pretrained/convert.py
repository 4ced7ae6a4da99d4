"""Checkpoints from one layout to another, bit by bit, whatever family of models they are of.

A family knows its layouts: how to open any of them into ``Opened`` and how to write one. Families are a registry, so that
another one is a line here and a module of its own; nothing below knows which there are.
"""

from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch

from worldfoundry.core.config import load_config
from worldfoundry.core.errors import CheckpointError, ConfigError, DataError
from worldfoundry.core.files import atomic_folder
from worldfoundry.core.registry import Registry
from worldfoundry.models.pretrained.config import ReleaseConfig
from worldfoundry.models.pretrained.opened import Opened
from worldfoundry.models.pretrained.release import in_dtype
from worldfoundry.models.pretrained.source import OpenOptions, Source, find_source


@runtime_checkable
class Family(Protocol):
    """What a family of models knows of its files."""

    layouts: tuple[str, ...]
    """Layouts that it writes."""

    def recognises(self, source: Source) -> bool:
        """Whether files that are not ours, and so do not say it, are of this family."""
        ...

    def open(self, source: Source, options: OpenOptions) -> Opened:
        """Read, strictly: what is missing, unexpected or of another shape is a ``CheckpointError`` that names it."""
        ...

    def write(self, opened: Opened, layout: str, folder: Path) -> None:
        """Write into an existing folder; what the layout cannot hold is a ``ConfigError``."""
        ...


FAMILIES = Registry[type[Family]](
    "model_family",
    {
        "diffusion-world": "worldfoundry.models.pretrained.world_family:WorldFamily",
        "tokenizer": "worldfoundry.models.pretrained.tokenizer_family:TokenizerFamily",
    },
)
"""By the name that ``config.json`` has for it. Asked in this order whether they recognise files of others."""


def find_family(source: Source) -> Family:
    """The family that the files say, or that recognises them."""
    if source.layout == "native":
        assert source.config is not None, "native weights lie beside their configuration"
        return FAMILIES.get(load_config(ReleaseConfig, source.config).family)()
    for name in FAMILIES.names():
        family = FAMILIES.get(name)()
        if family.recognises(source):
            return family
    raise CheckpointError(
        f"{source.name!r} must be of a known family ({', '.join(FAMILIES.names())}), got files of none; give another"
    )


def open_model(name: str, options: OpenOptions | None = None) -> Opened:
    """What a name stands for, of whichever family."""
    source = find_source(name)
    return find_family(source).open(source, options or OpenOptions())


def convert(
    name: str,
    out: Path,
    *,
    to: str = "native",
    dtype: torch.dtype | None = None,
    options: OpenOptions | None = None,
) -> Opened:
    """Write what ``name`` stands for into the new folder ``out``, whole or not at all; returns what was read.

    Weights keep every bit unless ``dtype`` asks for another precision. Of a checkpoint the moving average is converted.
    """
    if out.exists():
        raise DataError(f"{out} must not exist yet; name another folder or remove it")
    source = find_source(name)
    family = find_family(source)
    if to not in family.layouts:
        raise ConfigError(
            f"to must be one of {', '.join(family.layouts)} for {name!r}, got {to!r}; use one of these"
        )
    opened = family.open(source, options or OpenOptions())
    if dtype is not None:
        opened = replace(opened, weights=in_dtype(opened.weights, dtype))
    with atomic_folder(out) as temporary:
        family.write(opened, to, temporary)
    return opened
