"""Which sources there are, and what each one is.

An input is a file, a folder (searched at any depth), a pattern with ``*``, ``?`` or ``[``, a list (``.txt``: a path or URL
a line, relative to the list's folder), or a URL of any of these such as ``s3://bucket/prefix``.
"""

import glob
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.curate.addresses import known_address
from worldfoundry.curate.records import Trouble, read_json, read_trouble, source_path, write_json
from worldfoundry.curate.store import Store, file_system, local_copy
from worldfoundry.data.files import VIDEO_SUFFIXES
from worldfoundry.data.video_io import probe
from worldfoundry.protocols.curation import SourceInfo

IMAGE_SUFFIXES = frozenset(".jpg .jpeg .png .webp .bmp .tif .tiff".split())
_MAGIC = frozenset("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file that was found."""

    url: str
    """Absolute path or URL."""
    name: str
    """Path below the inputs, with forward slashes."""
    stamp: str = ""
    """What the object store says of the content, such as an ETag; empty for files of this machine."""
    size: int = 0
    """Bytes."""


def find_sources(inputs: Sequence[str | os.PathLike[str]], *, out: Store | None = None) -> list[Source]:
    """Every video and image of the inputs once, sorted by name; what lies in ``out`` is left out."""
    if not inputs:
        raise ConfigError(
            "inputs must name a file, folder, pattern, list or URL, got none; give at least one"
        )
    found: dict[str, tuple[str, int]] = {}
    roots: list[str] = []
    for each in inputs:
        root, files = _expand(os.fspath(each))
        roots.append(root)
        found.update(files)
    if out is not None:
        for root in roots:
            _check_apart(root, out)
    base = _common(roots)
    sources = [
        Source(url=url, name=_below(url, base), stamp=stamp, size=size)
        for url, (stamp, size) in found.items()
    ]
    if not sources:
        known = ", ".join(sorted(VIDEO_SUFFIXES | IMAGE_SUFFIXES))
        raise DataError(
            f"inputs {' '.join(map(str, inputs))!r} must hold videos or images ({known}), got none; check the path"
        )
    return sorted(sources, key=lambda s: s.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What a first look at a source gave: what it is, or why nobody knows."""

    source_id: str
    """Its content address."""
    info: SourceInfo | None = None
    """What it is."""
    trouble: Trouble | None = None
    """Why it cannot be used."""


@dataclass(frozen=True, slots=True)
class Inspect:
    """Reads a source once: its content address and its header."""

    store: Store
    """Where the content addresses of remote sources are remembered."""
    fingerprint: str
    """Of the analysis, whose stored troubles are not met again."""

    def __call__(self, source: Source) -> Inspected:
        """What the source is; a crash of the codec is the worker's."""
        name = f"sources/{hashlib.blake2b(source.url.encode('utf-8', 'surrogateescape'), digest_size=16).hexdigest()}.json"
        remembered = _remembered(self.store, name, source) if source.stamp else None
        if remembered is not None:
            known = self._known_trouble(remembered.source_id)
            return Inspected(
                source_id=remembered.source_id, info=None if known else remembered, trouble=known
            )
        with local_copy(source.url) as path:
            found = self._look(path, source)
        if source.stamp and found.info is not None:
            facts = {f: getattr(found.info, f) for f in SourceInfo.__dataclass_fields__ if f != "source"}
            write_json(self.store, name, {"url": source.url, "stamp": source.stamp, "info": facts})
        return found

    def _look(self, path: Path, source: Source) -> Inspected:
        source_id = known_address(path)
        trouble = self._known_trouble(source_id)
        if trouble is not None:
            return Inspected(source_id=source_id, trouble=trouble)
        try:
            return Inspected(source_id=source_id, info=inspect(path, source.name, source_id))
        except DataError as error:
            detail = str(error).replace(f"{path} ", "").replace(str(path), "the file")
            return Inspected(
                source_id=source_id, trouble=Trouble(state="rejected", reason="damaged", detail=detail)
            )

    def _known_trouble(self, source_id: str) -> Trouble | None:
        trouble = read_trouble(self.store, source_path("analysis", source_id, f"-{self.fingerprint}.json"))
        return None if trouble is None or trouble.state == "failed" else trouble


def _remembered(store: Store, name: str, source: Source) -> SourceInfo | None:
    document = read_json(store, name)
    if document is None or document["stamp"] != source.stamp:
        return None
    return SourceInfo(source=source.name, **document["info"])


def inspect(path: Path, name: str, source_id: str) -> SourceInfo:
    """The header of a local file."""
    info = probe(path)
    return SourceInfo(
        source=name,
        source_id=source_id,
        width=info.width,
        height=info.height,
        fps=info.fps_measured,
        duration_s=info.duration_seconds,
        is_still=info.is_still,
    )


def _expand(text: str) -> tuple[str, dict[str, tuple[str, int]]]:
    """The folder that names are relative to, and URL -> (stamp, bytes) of each file."""
    text = text.removeprefix("file://")
    if "://" in text:
        return _expand_remote(text)
    if os.path.isdir(text):
        base = str(Path(text).absolute())
        return base, _stated(_walk(base))
    if os.path.isfile(text) and not text.endswith(".txt"):
        return str(Path(text).absolute().parent), _stated([str(Path(text).absolute())])
    if os.path.isfile(text):
        return _expand_list(Path(text).absolute())
    if _MAGIC & set(text):
        paths = (str(Path(p).absolute()) for p in glob.glob(text, recursive=True))
        return _fixed_part(str(Path(text).absolute())), _stated(p for p in paths if _is_wanted(p))
    raise DataError(f"input {text!r} must exist, got no such file or folder; check the path")


def _expand_list(path: Path) -> tuple[str, dict[str, tuple[str, int]]]:
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    files: dict[str, tuple[str, int]] = {}
    roots: list[str] = []
    for line in lines:
        if line and not line.startswith("#"):
            root, found = _expand(line if "://" in line else str(path.parent / line))
            roots.append(root)
            files.update(found)
    return (_common(roots) if roots else str(path.parent)), files


def _expand_remote(url: str) -> tuple[str, dict[str, tuple[str, int]]]:
    system = file_system(url)
    protocol = url.split("://", 1)[0]
    bare = system._strip_protocol(url)
    if _MAGIC & set(bare):
        base, found = _fixed_part(bare), system.glob(bare, detail=True)
    elif system.isfile(url):
        base, found = bare.rsplit("/", 1)[0], {bare: system.info(url)}
    else:
        base, found = bare, system.find(bare, detail=True)
    files = {
        f"{protocol}://{path.lstrip('/')}": (_stamp(facts), int(facts.get("size") or 0))
        for path, facts in found.items()
        if facts.get("type") == "file" and _is_wanted(path)
    }
    return f"{protocol}://{base.lstrip('/')}", files


def _stamp(facts: dict) -> str:
    for key in ("ETag", "etag", "md5Hash", "content_md5", "generation", "LastModified", "mtime"):
        if facts.get(key):
            return f"{facts.get('size')}:{str(facts[key]).strip(chr(34))}"
    return str(facts.get("size"))


def _walk(base: str) -> Iterable[str]:
    for root, folders, names in os.walk(base):
        folders[:] = [f for f in folders if not f.startswith(".")]
        paths = (os.path.join(root, n) for n in names if _is_wanted(n))
        yield from (p for p in paths if os.path.isfile(p))  # a pipe would be waited for until its deadline


def _stated(paths: Iterable[str]) -> dict[str, tuple[str, int]]:
    return {path: ("", os.stat(path).st_size if os.path.exists(path) else 0) for path in paths}


def _is_wanted(path: str) -> bool:
    name = PurePosixPath(path.replace(os.sep, "/"))
    return name.suffix.lower() in VIDEO_SUFFIXES | IMAGE_SUFFIXES and not name.name.startswith(".")


def _fixed_part(pattern: str) -> str:
    parts = pattern.split("/")
    first = next(k for k, part in enumerate(parts) if _MAGIC & set(part))
    return "/".join(parts[: min(first, len(parts) - 1)])


def _common(roots: Sequence[str]) -> str:
    """The deepest folder above all roots; empty where they are on different systems."""
    shared = []
    for names in zip(*(root.split("/") for root in roots), strict=False):
        if len(set(names)) > 1:
            break
        shared.append(names[0])
    return "/".join(shared)


def _below(url: str, base: str) -> str:
    name = url[len(base) :].lstrip("/") if base and url.startswith(base + "/") else url
    # A name of a file system may be no text at all; in the index it must be.
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _check_apart(root: str, out: Store) -> None:
    if out.root == root or out.root.startswith(root + "/"):
        raise ConfigError(f"out {out.root!r} must lie outside the input {root!r}; give another folder")
