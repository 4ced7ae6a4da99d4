"""Weights to and from a release folder: ``model.safetensors`` and ``config.json``, always strict."""

import hashlib
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from worldfoundry.core.config import save_config
from worldfoundry.core.errors import CheckpointError, DataError
from worldfoundry.core.files import atomic_folder
from worldfoundry.models.pretrained.config import ReleaseConfig, read_release
from worldfoundry.models.tokenizer.network import WaveletTokenizer


def save_release(
    folder: Path, model: nn.Module, config: ReleaseConfig, *, dtype: torch.dtype = torch.float32
) -> None:
    """Write a release into an existing folder; floating-point weights are stored as ``dtype``."""
    state = {
        key: (value.to(dtype) if value.is_floating_point() else value).detach().cpu().contiguous()
        for key, value in model.state_dict().items()
    }
    save_file(state, folder / "model.safetensors")
    save_config(config, folder / "config.json")


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a safetensors file into ``model``, strictly, as float32."""
    state = {k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()}
    expected = model.state_dict()
    missing, extra = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    shapes = [k for k in expected.keys() & state.keys() if expected[k].shape != state[k].shape]
    if missing or extra or shapes:
        raise CheckpointError(
            f"{path} does not fit its configuration: missing {missing[:3]}, unexpected {extra[:3]}, other shape "
            f"{shapes[:3]}; take weights and config.json of one release"
        )
    model.load_state_dict(state)


def weights_digest(name: str) -> str:
    """First sixteen hex digits of the SHA-256 of a release's weights file."""
    folder, _ = read_release(name)
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:16]


def load_tokenizer(name: str) -> WaveletTokenizer:
    """A tokenizer by shipped name or folder, ready for inference."""
    folder, release = read_release(name)
    if release.tokenizer is None:
        raise CheckpointError(
            f"{name!r} must be a tokenizer, got a {release.family}; see 'worldfoundry models list'"
        )
    model = WaveletTokenizer(release.tokenizer)
    load_weights(model, folder / "model.safetensors")
    return model.eval().requires_grad_(False)


def convert_release(name: str, out: Path, *, dtype: torch.dtype) -> None:
    """Write a release or a checkpoint again with its weights as ``dtype``; the moving average is what is released."""
    if out.exists():
        raise DataError(f"{out} must not exist yet; name another folder or remove it")
    folder, release = read_release(name)
    with atomic_folder(out) as temporary:
        state = load_file(folder / "model.safetensors")
        stored = {k: v.to(dtype).contiguous() if v.is_floating_point() else v for k, v in state.items()}
        save_file(stored, temporary / "model.safetensors")
        save_config(release, temporary / "config.json")
