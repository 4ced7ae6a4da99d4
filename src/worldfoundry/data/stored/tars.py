"""Members of tar files: which samples they make up, and whether the tar is whole."""

import tarfile
from pathlib import Path
from typing import NamedTuple


class Member(NamedTuple):
    """A file inside a tar."""

    tar: Path
    """The tar."""
    offset: int
    """Bytes before its content."""
    size: int
    """Bytes of its content."""

    def read(self) -> bytes:
        """The content."""
        with self.tar.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


def find_tars(path: Path) -> list[Path]:
    """The tar file itself, or those below a folder, sorted."""
    return [path] if path.is_file() else sorted(p for p in path.rglob("*.tar") if not p.name.startswith("."))


def read_samples(tar: Path) -> tuple[dict[str, dict[str, Member]], list[str]]:
    """Members by key and suffix, and what is wrong with the tar; one that is cut short gives the samples that are whole."""
    found, twice, problems = dict[str, dict[str, Member]](), dict[str, str](), list[str]()
    try:
        _read(tar, found, twice)
    except (tarfile.TarError, EOFError) as error:
        if found:
            twice.pop(found.popitem()[0], None)  # some of its members may be in what is lost
        problems.append(
            f"{tar} must be a whole tar file, got {error} after {len(found)} whole samples; copy or write it again"
        )
    for key, name in twice.items():
        del found[key]
        problems.append(
            f"{tar}: {key} must be one sample, got the member {name} twice; give each sample its own key"
        )
    return found, problems


def _read(tar: Path, found: dict[str, dict[str, Member]], twice: dict[str, str]) -> None:
    """Fill ``found``, and ``twice`` with a member of each key that has one twice."""
    size = tar.stat().st_size
    with tarfile.open(tar) as opened:
        for member in opened:
            if not member.isfile():
                continue
            if member.offset_data + member.size > size:
                raise tarfile.ReadError(f"member {member.name} cut short")
            folder, _, base = member.name.rpartition("/")
            key, _, suffix = base.partition(".")
            key, name = f"{folder}/{key}" if folder else key, f".{suffix.lower()}"
            members = found.setdefault(key, {})
            if name in members:
                twice.setdefault(key, member.name)
            members[name] = Member(tar, member.offset_data, member.size)
        end = Member(tar, opened.offset, tarfile.BLOCKSIZE).read()
    if not found:
        raise tarfile.ReadError("no member")
    if len(end) < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("no end of archive")
    if any(end):  # tarfile takes it for the end, and all that follows would be lost without a word
        raise tarfile.ReadError(f"a broken header at byte {opened.offset}")
