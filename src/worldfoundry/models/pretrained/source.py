"""Where the weights of a name lie and in which layout; nothing is read but names and ``config.json``. No torch here."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from worldfoundry.core.errors import CheckpointError, UnknownNameError
from worldfoundry.models.pretrained.config import find_release, shipped_names
from worldfoundry.models.pretrained.hub import fetch, is_hub_name
from worldfoundry.models.tokenizer.released import RELEASED

Layout = Literal["native", "official", "diffusers"]

DIFFUSERS_WEIGHTS = "diffusion_pytorch_model.safetensors"
STATISTICS = "latent_statistics.safetensors"
"""Latent statistics beside native weights."""
_PREFERENCES = (
    ("model.safetensors", "config.json", STATISTICS, "autoencoder.jit", "mean_std.pt"),
    (DIFFUSERS_WEIGHTS, f"vae/{DIFFUSERS_WEIGHTS}", "vae/config.json", "config.json"),
    ("encoder.jit", "decoder.jit", "mean_std.pt"),
    ("model.pt", "mean_std.pt"),
)
_WANTED = (
    "model.safetensors + config.json, checkpoints/step-*/DONE, autoencoder.jit, encoder.jit or decoder.jit, model.pt, or "
    f"{DIFFUSERS_WEIGHTS} + config.json (also below vae/)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Files that a name stands for."""

    name: str
    """As it was given."""
    layout: Layout
    """``native``: ours; ``official``: as published, TorchScript or training checkpoint; ``diffusers``."""
    weights: tuple[Path, ...]
    """One file, or the two halves."""
    config: Path | None = None
    """``config.json`` of the native and the diffusers layout."""
    statistics: Path | None = None
    """``mean_std.pt`` or ``latent_statistics.safetensors``."""
    release: str = ""
    """Name of the published tokenizer by the name of the repository or folder; empty if it is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOptions:
    """What published weights do not say themselves."""

    norm_groups: int | None = None
    """Groups of the norms of an image tokenizer, 32 or 1; None: by the published name or our configuration."""
    strides: tuple[int, int] | None = None
    """(time, space) of an old export with convolutions that never run; None: by the published name or the weights."""
    fsq_levels: tuple[int, ...] | None = None
    """Levels of the quantiser; None: as stored, or those of every release where a latent has six channels."""
    average: Literal["ema", "network"] = "ema"
    """Which weights of a training checkpoint: the moving average, which is what is released, or those being trained."""


def find_source(name: str) -> Source:
    """The files of a shipped name, a file, a folder, a run folder, a published name, or ``owner/repository`` on the Hub."""
    if name in shipped_names():
        return _in_folder(name, find_release(name))
    path = Path(name)
    if path.is_file():
        return _of_file(name, path)
    if path.is_dir():
        return _in_folder(name, path)
    repository = f"nvidia/{name}" if name in RELEASED else name
    if not is_hub_name(repository):
        raise UnknownNameError("model", name, [*shipped_names(), *RELEASED])
    return _in_folder(name, fetch(repository, _PREFERENCES, lambda folder: _layout(folder) is not None))


def is_remote(name: str) -> bool:
    """Whether a name stands for a repository on the Hub, which may have to be fetched first."""
    is_here = name in shipped_names() or Path(name).exists()
    return not is_here and (name in RELEASED or is_hub_name(name))


def _of_file(name: str, path: Path) -> Source:
    beside = path.parent / "config.json"
    config = beside if beside.is_file() else None
    release, layout = published_name(path.parent), _layout_of_config(config)
    if path.suffix == ".safetensors" and layout in ("native", "diffusers"):
        return _source(name, layout, (path,), release)
    if path.suffix not in (".jit", ".pt", ".pth", ".ckpt", ".safetensors"):
        raise CheckpointError(
            f"{name!r} must be weights (.jit, .pt or .safetensors), got a {path.suffix or 'nameless'} file; name another"
        )
    return _source(name, "official", (path,), release)


def _in_folder(name: str, folder: Path) -> Source:
    found = _layout(folder)
    if found is None and list(folder.glob("checkpoints/step-*/DONE")):
        folder = find_release(str(folder))
        found = _layout(folder)
    if found is None:
        raise CheckpointError(f"{name!r} must hold {_WANTED}, got a folder without; train or fetch it first")
    return _source(name, *found, published_name(folder))


def _source(name: str, layout: Layout, weights: tuple[Path, ...], release: str) -> Source:
    folder = weights[0].parent
    config = folder / "config.json"
    statistics = folder / ("mean_std.pt" if layout == "official" else STATISTICS)
    return Source(
        name=name,
        layout=layout,
        weights=weights,
        config=config if layout != "official" else None,
        statistics=statistics if statistics.is_file() else None,
        release=release,
    )


def _layout(folder: Path) -> tuple[Layout, tuple[Path, ...]] | None:
    """The layout of a folder and its weights; whole files come before halves, averages alone before whole checkpoints."""
    if (path := folder / "model.safetensors").is_file() and (folder / "config.json").is_file():
        return "native", (path,)
    if (path := folder / "autoencoder.jit").is_file():
        return "official", (path,)
    halves = tuple(p for p in (folder / "encoder.jit", folder / "decoder.jit") if p.is_file())
    if len(halves) == 2:
        return "official", halves
    for place in (folder, folder / "vae"):
        if (path := place / DIFFUSERS_WEIGHTS).is_file() and (place / "config.json").is_file():
            return "diffusers", (path,)
    if (path := folder / "model.pt").is_file():
        return "official", (path,)
    return ("official", halves) if halves else None


def _layout_of_config(path: Path | None) -> Layout | None:
    if path is None:
        return None
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} must be JSON, got {error}; fetch it again") from error
    return "native" if "schema" in fields else "diffusers" if "_class_name" in fields else None


def published_name(folder: Path) -> str:
    """Name of the release that a folder of files says, or that of the repository in the Hub's cache; empty if it is none.

    Folders further out say nothing: what somebody keeps below a release's folder need not be of that release.

    >>> published_name(Path("models--nvidia--Cosmos-Tokenize1-DI16x16-360p/snapshots/1234"))
    'Cosmos-Tokenize1-DI16x16-360p'
    >>> published_name(Path("Cosmos-Tokenize1-DI16x16-360p/mine"))
    ''
    """
    folder = folder.absolute()
    if folder.name == "vae":  # of a folder in diffusers' layout
        folder = folder.parent
    if folder.parent.name == "snapshots":
        folder = folder.parent.parent
    name = folder.name.rpartition("--")[2]
    for candidate in (name, name.replace("Cosmos-Tokenizer-", "Cosmos-0.1-Tokenizer-")):
        if candidate in RELEASED:
            return candidate
    return ""
