"""Strict conversion between frozen dataclasses and JSON.

What is understood in a field: ``bool int float str None``, ``Path``, ``Literal``, ``tuple``, ``list``, ``dict`` with text
keys, nested dataclasses, and unions of these. An integer is taken for a float; nothing else is converted, nothing unknown
is dropped. A union of several dataclasses is told apart by a ``Literal`` field (``kind: Literal["adamw"] = "adamw"``).

The top of each document carries ``"schema": N``: 1, or the class variable ``SCHEMA`` of its class. Documents of an older
schema are brought forward by ``MIGRATIONS``, a class variable that maps a schema to the function from its JSON to that of
the next schema::

    SCHEMA: ClassVar[int] = 2
    MIGRATIONS: ClassVar[dict[int, Migration]] = {1: rename_width}
"""

import dataclasses
import difflib
import functools
import hashlib
import json
import math
import os
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from worldfoundry.core.errors import ConfigError
from worldfoundry.core.files import atomic_path

T = TypeVar("T")
Migration = Callable[[dict[str, Any]], dict[str, Any]]


def to_json(obj: Any) -> dict[str, Any]:
    """A configuration as JSON values, with its schema number first."""
    return {"schema": getattr(obj, "SCHEMA", 1), **_plain(obj, "")}


def from_json(cls: type[T], data: Any, where: str = "config.json") -> T:
    """A ``cls`` from the JSON that ``to_json`` gives; ``where`` names the document in errors."""
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where}: the document must be an object, got {_name(data)}; write {{...}}")
    fields = _at_current_schema(cls, dict(data), where)
    return _Reader(where).dataclass(cls, fields, "")


def digest(obj: Any) -> str:
    """Sixteen hex digits that name a configuration, or the JSON of one: equal exactly if the settings are.

    >>> digest({"schema": 1, "width": 8}) == digest({"width": 8, "schema": 1})
    True
    """
    document = to_json(obj) if dataclasses.is_dataclass(obj) else obj
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def save_config(obj: Any, path: str | os.PathLike[str]) -> None:
    """Write a configuration to ``path`` as indented JSON, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(to_json(obj), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def load_config(cls: type[T], path: str | os.PathLike[str]) -> T:
    """Read what ``save_config`` wrote."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path}: expected a JSON configuration, got {error}; check the path and the file"
        ) from error
    return from_json(cls, data, where=str(path))


def _plain(value: Any, field: str) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [f.name for f in dataclasses.fields(value) if f.init]
        return {n: _plain(getattr(value, n), _join(field, n)) for n in names}
    if isinstance(value, (list, tuple)):
        return [_plain(v, f"{field}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, Mapping):
        return {str(k): _plain(v, _join(field, str(k))) for k, v in value.items()}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(
            f"{field} must be finite to be stored as JSON, got {value}; use a large number or None"
        )
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ConfigError(
        f"{field} holds a {_name(value)}, which JSON cannot store; use numbers, text, tuples, dataclasses"
    )


def _at_current_schema(cls: type, data: dict[str, Any], where: str) -> dict[str, Any]:
    current: int = getattr(cls, "SCHEMA", 1)
    migrations: Mapping[int, Migration] = getattr(cls, "MIGRATIONS", {})
    if "schema" not in data:
        raise ConfigError(f'{where}: the field "schema" is missing; add "schema": {current}')
    schema = data.pop("schema")
    if type(schema) is not int or not 1 <= schema <= current:
        raise ConfigError(
            f'{where}: "schema" must be 1 to {current}, got {schema!r}; a higher one needs a newer worldfoundry'
        )
    for number in range(schema, current):
        if number not in migrations:
            raise ConfigError(
                f"{where}: schema {number} is no longer read; write the file again with schema {current}"
            )
        data = migrations[number](data)
    return data


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _is_class(kind: Any) -> bool:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


def _join(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name


def _name(value: Any) -> str:
    return type(value).__name__


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"


class _Reader:
    """Builds values of declared types from JSON; each error names the document and the dotted field."""

    def __init__(self, where: str):
        self.where = where

    def error(self, field: str, problem: str) -> ConfigError:
        return ConfigError(f"{self.where}: {field or 'the document'} {problem}")

    def dataclass(self, cls: type[T], data: Any, field: str) -> T:
        if not isinstance(data, Mapping):
            raise self.error(field, f"must be an object ({cls.__name__}), got {data!r}; write {{...}}")
        fields = {f.name: f for f in dataclasses.fields(cast(Any, cls)) if f.init}
        for name in data:
            if name not in fields:
                raise self.error(
                    _join(field, name), f"is not a setting of {cls.__name__}; {_nearest(name, list(fields))}"
                )
        for name, f in fields.items():
            if (
                name not in data
                and f.default is dataclasses.MISSING
                and f.default_factory is dataclasses.MISSING
            ):
                raise self.error(_join(field, name), f"is required by {cls.__name__} and is missing; add it")
        hints = _hints(cls)
        values = {n: self.value(hints[n], v, _join(field, n)) for n, v in data.items()}
        try:
            return cls(**values)
        except ConfigError as error:
            raise ConfigError(f"{self.where}: {field + ': ' if field else ''}{error}") from error

    def value(self, kind: Any, data: Any, field: str) -> Any:
        origin, args = get_origin(kind), get_args(kind)
        if kind is Any:
            return data
        if origin in (Union, types.UnionType):
            return self.union(args, data, field)
        if origin is Literal:
            if not any(type(a) is type(data) and a == data for a in args):
                raise self.error(field, f"must be one of {', '.join(map(repr, args))}, got {data!r}")
            return data
        if origin in (tuple, list) or kind in (tuple, list):
            return self.sequence(origin or kind, args, data, field)
        if origin is dict or kind is dict:
            if not isinstance(data, Mapping):
                raise self.error(field, f"must be an object, got {data!r}")
            inner = args[1] if args else Any
            return {k: self.value(inner, v, _join(field, k)) for k, v in data.items()}
        if _is_class(kind):
            return self.dataclass(kind, data, field)
        return self.scalar(kind, data, field)

    def scalar(self, kind: Any, data: Any, field: str) -> Any:
        if kind is type(None):
            kind = None
        elif kind is float and type(data) is int:
            return float(data)
        elif kind is Path and isinstance(data, str):
            return Path(data)
        elif type(data) is kind:
            return data
        if kind is None and data is None:
            return None
        raise self.error(field, f"must be {getattr(kind, '__name__', 'null')}, got {data!r}")

    def sequence(self, origin: type, args: tuple[Any, ...], data: Any, field: str) -> Any:
        if not isinstance(data, (list, tuple)):
            raise self.error(field, f"must be a list, got {data!r}")
        if origin is list or (len(args) == 2 and args[1] is Ellipsis):
            inner = (args[0] if args else Any,) * len(data)
        else:
            inner = args or (Any,) * len(data)
        if len(inner) != len(data):
            raise self.error(field, f"must have {len(inner)} values, got {len(data)}")
        return origin(
            self.value(k, v, f"{field}[{i}]") for i, (k, v) in enumerate(zip(inner, data, strict=True))
        )

    def union(self, kinds: tuple[Any, ...], data: Any, field: str) -> Any:
        if data is None and type(None) in kinds:
            return None
        rest = [k for k in kinds if k is not type(None)]
        if (
            isinstance(data, Mapping)
            and len(tagged := [k for k in rest if _is_class(k) and _tags_match(k, data)]) == 1
        ):
            return self.dataclass(tagged[0], data, field)
        exact = [k for k in rest if k is type(data)]
        problems: list[ConfigError] = []
        for kind in exact or rest:
            try:
                return self.value(kind, data, field)
            except ConfigError as error:
                problems.append(error)
        if len(problems) == 1:
            raise problems[0]
        names = ", ".join(getattr(k, "__name__", str(k)) for k in rest)
        raise self.error(field, f"must be one of {names}, got {data!r}")


def _tags_match(cls: type, data: Mapping[str, Any]) -> bool:
    tags = {n: get_args(h) for n, h in _hints(cls).items() if get_origin(h) is Literal}
    return all(data[n] in choices for n, choices in tags.items() if n in data)
