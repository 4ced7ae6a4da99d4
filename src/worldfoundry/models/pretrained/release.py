"""Weights to and from a release folder: ``model.safetensors`` and ``config.json``, always strict."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from worldfoundry.core.config import save_config
from worldfoundry.core.errors import CheckpointError
from worldfoundry.models.pretrained.config import ReleaseConfig, find_release
from worldfoundry.models.pretrained.opened import Opened
from worldfoundry.models.pretrained.source import OpenOptions
from worldfoundry.models.pretrained.tokenizer_files import open_tokenizer, parts_of
from worldfoundry.models.tokenizer.network import WaveletTokenizer


def save_release(
    folder: Path, model: nn.Module, config: ReleaseConfig, *, dtype: torch.dtype = torch.float32
) -> None:
    """Write a release into an existing folder; floating-point weights are stored as ``dtype``."""
    write_native(folder, in_dtype(model.state_dict(), dtype), config)


def in_dtype(weights: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """The same weights, those that are floating-point as ``dtype``."""
    return {k: v.to(dtype) if v.is_floating_point() else v for k, v in weights.items()}


def write_native(folder: Path, weights: Mapping[str, Tensor], config: ReleaseConfig) -> None:
    """``model.safetensors`` and ``config.json`` into an existing folder, weights bit by bit as they are."""
    state = {key: value.detach().cpu().contiguous() for key, value in weights.items()}
    save_file(state, folder / "model.safetensors")
    save_config(config, folder / "config.json")


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a safetensors file into ``model``, strictly, as float32."""
    state = in_dtype(read_weights(path), torch.float32)
    check_fit(model.state_dict(), state, path)
    model.load_state_dict(state)


def check_fit(expected: Mapping[str, Tensor], state: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights that are missing, unexpected or of another shape."""
    missing, extra = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    shapes = [k for k in expected.keys() & state.keys() if expected[k].shape != state[k].shape]
    if missing or extra or shapes:
        raise CheckpointError(
            f"{path} does not fit its configuration: missing {missing[:3]}, unexpected {extra[:3]}, other shape "
            f"{shapes[:3]}; take weights and config.json of one release"
        )


def read_weights(path: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors file as it is stored."""
    return dict(_stored(path))


def _weights(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of a file in name order, floating-point ones as float32; one is read at a time."""
    for name, value in _stored(path):
        yield name, value.float() if value.is_floating_point() else value


def _stored(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of a file in name order; one is read at a time."""
    try:
        with safe_open(path, framework="pt") as file:
            for name in sorted(file.keys()):
                yield name, file.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} must be a whole safetensors file, got {error}; fetch or convert the release again, or remove the checkpoint"
        ) from error


def tensors_digest(state: Mapping[str, Tensor]) -> str:
    """Sixteen hex digits (SHA-256) that name weights: names, dtypes, shapes and bytes of the tensors, in name order."""
    return _digest((name, state[name]) for name in sorted(state))


def encoder_digest(state: Mapping[str, Tensor]) -> str:
    """``tensors_digest`` of the half of a tokenizer that makes its latents: another decoder leaves them what they are."""
    return tensors_digest({k: v for k, v in state.items() if k.startswith(("encoder.", "quant_conv."))})


def _digest(tensors: Iterable[tuple[str, Tensor]]) -> str:
    sha = hashlib.sha256()
    for name, value in tensors:
        sha.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
        sha.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()[:16]


def weights_digest(name: str) -> str:
    """``tensors_digest`` of a release as ``load_weights`` loads it.

    Float32 weights and their bfloat16 conversion are different models with different digests; a file that stores the same
    values in another precision has the same digest. Memory holds one tensor at a time.
    """
    return _digest(_weights(find_release(name) / "model.safetensors"))


def load_tokenizer(
    name: str, *, options: OpenOptions | None = None, dtype: torch.dtype = torch.float32
) -> WaveletTokenizer:
    """A tokenizer ready for inference, wherever it comes from and in whichever layout.

    ``name`` is a shipped name, a run folder, a release folder of ours, a published file (``.jit``, ``model.pt``) or folder, a
    diffusers folder, the name of a release, or ``owner/repository[@revision]`` on the Hub. ``options`` say what published
    weights do not.
    """
    return build_tokenizer(open_tokenizer(name, options), dtype=dtype)


def build_tokenizer(opened: Opened, *, dtype: torch.dtype = torch.float32) -> WaveletTokenizer:
    """The network of an opened tokenizer, or of the half that its files hold, ready for inference."""
    assert opened.release.tokenizer is not None, "what was opened as a tokenizer has its configuration"
    with torch.device("meta"):
        model = WaveletTokenizer(
            opened.release.tokenizer, parts=parts_of(opened.weights), statistics=opened.statistics
        )
    model.load_state_dict({key: value.to(dtype) for key, value in opened.weights.items()}, assign=True)
    return model.eval().requires_grad_(False)
