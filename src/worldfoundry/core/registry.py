"""Names to things, without importing the things.

A registry is a literal table of strings. Listing it imports nothing, ``get`` imports one module. Other distributions add
names by entry points in the group ``worldfoundry.<kind>``.
"""

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from worldfoundry.core.errors import ConfigError, UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """The known things of one kind.

    >>> codecs = Registry("codec", {"json": "json:loads"})
    >>> codecs.names()
    ['json']
    >>> codecs.get("json")("[1]")
    [1]
    """

    def __init__(self, kind: str, table: Mapping[str, str]):
        self.kind = kind
        self._own = dict(table)
        self._all: dict[str, str] | None = None

    def names(self) -> list[str]:
        """Every known name: ours in the order of the table, then those of other distributions."""
        return list(self._targets())

    def get(self, name: str) -> T:
        """The thing called ``name``; imports its module. An unknown name is an error that offers the nearest."""
        targets = self._targets()
        if name not in targets:
            raise UnknownNameError(self.kind, name, targets)
        module, _, attribute = targets[name].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def _targets(self) -> dict[str, str]:
        if self._all is None:
            merged = dict(self._own)
            for point in sorted(entry_points(group=f"worldfoundry.{self.kind}")):
                if merged.setdefault(point.name, point.value) != point.value:
                    raise ConfigError(
                        f"{self.kind} {point.name!r} must have one home, got {merged[point.name]!r} and "
                        f"{point.value!r}; uninstall the package that brings one of them"
                    )
            self._all = merged
        return self._all
