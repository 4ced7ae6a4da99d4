"""Files of a repository on the Hugging Face Hub: the one place that uses ``huggingface_hub`` (extra ``hub``)."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from worldfoundry.core.errors import CheckpointError, require_package

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+(@[\w./-]+)?")


def is_hub_name(name: str) -> bool:
    """Whether ``name`` looks like ``owner/repository`` or ``owner/repository@revision``.

    >>> is_hub_name("nvidia/Cosmos-Tokenize1-CV8x8x8-720p"), is_hub_name("runs/a/b"), is_hub_name("./a/b")
    (True, False, False)
    """
    return bool(_NAME.fullmatch(name))


def fetch(name: str, preferences: Sequence[Sequence[str]], is_enough: Callable[[Path], bool]) -> Path:
    """Folder with the files of ``owner/repository[@revision]``, downloaded or from the cache.

    ``preferences`` are lists of file names; they are fetched one list after the other until the folder ``is_enough``, so
    that the same weights are not downloaded in three layouts. Offline, what the cache holds is used.
    """
    hub, errors = (require_package(name, "hub") for name in ("huggingface_hub", "huggingface_hub.errors"))
    repository, _, revision = name.partition("@")
    for patterns in preferences:
        try:
            folder = Path(
                hub.snapshot_download(repository, revision=revision or None, allow_patterns=list(patterns))
            )
        except errors.GatedRepoError as error:
            raise CheckpointError(
                f"{name!r} is on the Hub for those who accepted its licence; accept it on the page of the repository and log in "
                "with 'hf auth login'"
            ) from error
        except errors.LocalEntryNotFoundError as error:
            raise CheckpointError(
                f"{name!r} must be in the cache or the Hub within reach, got neither (offline); run the same command once with a "
                "network, or fetch the files elsewhere and give their folder"
            ) from error
        except (errors.HfHubHTTPError, errors.HFValidationError) as error:
            reason = " ".join(str(error).split())
            raise CheckpointError(
                f"{name!r} must be a repository on the Hub, got {reason}; check the name, or log in with 'hf auth login'"
            ) from error
        if is_enough(folder):
            return folder
    wanted = " or ".join(" + ".join(p) for p in preferences)
    raise CheckpointError(f"{name!r} must hold {wanted}, got none of these; name another repository")
