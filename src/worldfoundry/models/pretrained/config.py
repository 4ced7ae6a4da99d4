"""The configuration that lies beside released weights, and the list of what is shipped; no torch here."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worldfoundry.core.config import load_config
from worldfoundry.core.errors import CheckpointError, UnknownNameError
from worldfoundry.models.diffusion.world_config import DiffusionWorldConfig
from worldfoundry.models.tokenizer.config import TokenizerConfig
from worldfoundry.protocols.control import ControlSpec

SHIPPED = Path(__file__).parent.parent / "weights"
"""Folder of the weights inside the package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseConfig:
    """``config.json`` beside ``model.safetensors``."""

    name: str
    """``<family>-<what>-<size>``."""
    family: str
    """``tokenizer`` or ``diffusion-world``."""
    tokenizer: TokenizerConfig | None = None
    """Set for a tokenizer."""
    world: DiffusionWorldConfig | None = None
    """Set for a world model."""
    tokenizer_digest: str = ""
    """For a world model: ``encoder_digest`` of the tokenizer whose latents it was trained on."""
    data_digests: tuple[str, ...] = ()
    """Digests of the clip sets it was trained on."""
    controls: ControlSpec | None = None
    """What perturbed the clips that it was trained on; ``None`` where they say nothing, or not all the same."""
    steps: int = 0
    """Optimiser steps behind the weights."""

    @property
    def model(self) -> TokenizerConfig | DiffusionWorldConfig:
        """The configuration of the network."""
        found = self.tokenizer or self.world
        if found is None:
            raise CheckpointError(
                f"release {self.name!r} must hold 'tokenizer' or 'world', got neither; mend config.json"
            )
        return found


def shipped_names() -> list[str]:
    """Names of the weights inside the package."""
    return sorted(p.parent.name for p in SHIPPED.glob("*/config.json"))


def find_release(name: str) -> Path:
    """Folder of a shipped name, of a release folder, or of the newest checkpoint of a run folder."""
    if name in shipped_names():
        return SHIPPED / name
    path = Path(name)
    if (path / "model.safetensors").is_file():
        return path
    checkpoints = sorted(p.parent for p in path.glob("checkpoints/step-*/DONE"))
    if checkpoints:
        return checkpoints[-1]
    if path.exists():
        raise CheckpointError(
            f"{name!r} must hold model.safetensors or checkpoints/step-*/DONE, got a folder without; train it first"
        )
    raise UnknownNameError("model", name, shipped_names())


def read_release(name: str) -> tuple[Path, ReleaseConfig]:
    """Folder and configuration of a release."""
    folder = find_release(name)
    return folder, load_config(ReleaseConfig, folder / "config.json")


def describe(name: str) -> dict[str, Any]:
    """What ``models show`` prints."""
    folder, config = read_release(name)
    raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    size = (folder / "model.safetensors").stat().st_size
    return {**raw, "folder": str(folder), "bytes": size, "name": config.name}
