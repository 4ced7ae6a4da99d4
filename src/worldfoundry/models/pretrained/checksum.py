"""MD5 of the published tokenizer files: which file this is, and whether it arrived whole."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from worldfoundry.core.errors import CheckpointError

_FILES = ("autoencoder.jit", "decoder.jit", "encoder.jit")
_TABLE = {
    "CV8x8x8-720p": "7f658580d5cf617ee1a1da85b1f51f0d ff21a63ed817ffdbe4b6841111ec79a8 f5834d03645c379bc0f8ad14b9bc0299",
    "DV8x16x16-720p": "606b8585b637f06057725cbb67036ae6 f0c8a9d992614a43e7ce24ebfc901e26 95186b0410346a3f0cf250b76daec452",
    "CV4x8x8-360p": "0690ff725700128424d082b44a1eda08 7573744ec14cb1b2abdf9c80318b7224 fe3a7193defcb2db0b849b6df480b5e6",
    "DV4x8x8-360p": "ff8802dc4497be60dc24a8f692833eed f9a7d4bd24e4d2ee210cfd5f21550ce8 7af30a0223b2984d9d27dd3054fcd7af",
    "CI8x8-360p": "b2ff9280b12a97202641bb2a41d7b271 57fb213cd88c0a991e9d400875164571 138fe257df41d7a43c17396c23086565",
    "CI16x16-360p": "98f8fdf2ada5537705d6d1bc22c63cf1 dd31a73a8c7062bab25492401d83b473 7be1dadea5a1c283996ca1ce5b1a95a9",
    "DI8x8-360p": "1d638e6034fcd43619bc1cdb343ebe56 b9b5eccaa7ab9ffbccae3b05b3903311 2bfa3c189aacdf9dc8faf17bcc30dd82",
    "DI16x16-360p": "88195130b86c3434d3d4b0e0376def6b bf27a567388902acbd8abcc3a5afd8dd 12bae3a56c79a7ca0beb774843ee8c58",
}

PUBLISHED_MD5: dict[tuple[str, str], str] = {
    (f"Cosmos-Tokenize1-{release}", file): digest
    for release, digests in _TABLE.items()
    for file, digest in zip(_FILES, digests.split(), strict=True)
} | {("Cosmos-Tokenize1-CV8x8x8-720p", "mean_std.pt"): "f07680ad7eefae57d698778e2a0c7c96"}
"""By name of the release and of the file. Source: the download script of the release; of others none is published."""

_BY_MD5 = {digest: key for key, digest in PUBLISHED_MD5.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedFile:
    """A file and what its bytes say of it."""

    path: Path
    """Where it lies."""
    md5: str
    """Thirty-two hex digits."""
    release: str = ""
    """Name of the release that has exactly these bytes; empty if none with a published MD5 has."""

    def say(self) -> str:
        """For the table of what was loaded."""
        known = f"as published in {self.release}" if self.release else "not a file whose MD5 is published"
        return f"{self.path.name}: MD5 {self.md5}, {known}"


def check_file(path: Path, release: str = "") -> CheckedFile:
    """Compute the MD5 of a file; one that is not what ``release`` publishes under its name is a ``CheckpointError``."""
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    expected = PUBLISHED_MD5.get((release, path.name))
    if expected and md5 != expected:
        raise CheckpointError(
            f"{path} must have the MD5 {expected} that is published for {release}, got {md5}; fetch it again, or keep weights of "
            "your own in a folder of another name"
        )
    return CheckedFile(path=path, md5=md5, release=_BY_MD5.get(md5, ("", ""))[0])
