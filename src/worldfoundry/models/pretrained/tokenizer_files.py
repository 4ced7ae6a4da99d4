"""Tokenizer checkpoints of every layout opened: weights, configuration and what is known of them.

Strict: what does not fit is a ``CheckpointError`` that names it. Only constants of exports and convolutions that never run
are left out, and reported. Pickles are read with ``weights_only=True``, TorchScript without its program.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from worldfoundry.core.config import load_config
from worldfoundry.core.errors import CheckpointError
from worldfoundry.models.pretrained.checksum import check_file
from worldfoundry.models.pretrained.config import ReleaseConfig
from worldfoundry.models.pretrained.opened import Opened
from worldfoundry.models.pretrained.source import OpenOptions, Source, find_source
from worldfoundry.models.pretrained.torchscript import read_torchscript
from worldfoundry.models.tokenizer.config import TokenizerConfig
from worldfoundry.models.tokenizer.infer import has_every_resampler, infer_config, stored_levels
from worldfoundry.models.tokenizer.network import Parts, WaveletTokenizer
from worldfoundry.models.tokenizer.normalise import LatentStatistics
from worldfoundry.models.tokenizer.official import (
    merge_halves,
    official_from_checkpoint,
    official_from_diffusers,
    sort_official,
)
from worldfoundry.models.tokenizer.released import RELEASED


def open_tokenizer(name: str, options: OpenOptions | None = None) -> Opened:
    """The tokenizer that ``name`` stands for; see ``find_source`` for what that may be."""
    return open_source(find_source(name), options or OpenOptions())


def open_source(source: Source, options: OpenOptions) -> Opened:
    """Read the files of a tokenizer."""
    own = _own_release(source)
    checks = [check_file(path, source.release) for path in _hashed(source)]
    known = source.release or next((check.release for check in checks if check.release), "")
    state, ignored = _read(source, options)
    parts = parts_of(state)
    release = _published(replace(source, release=known), options, state) if own is None else own
    if own is not None:
        _check_options(source, options, own)
    assert release.tokenizer is not None, "the release of a tokenizer has its configuration"
    with torch.device("meta"):
        expected = WaveletTokenizer(release.tokenizer, parts=parts).state_dict()
    found = sort_official(expected, state)
    return Opened(
        source=source,
        release=release,
        weights=found.weights,
        statistics=_statistics(source, release.tokenizer),
        buffers=tuple(sorted(found.buffers)),
        dead=tuple(sorted(found.dead)),
        ignored=ignored,
        notes=tuple(check.say() for check in checks),
    )


def parts_of(state: Mapping[str, Tensor]) -> Parts:
    """Whether weights are a whole tokenizer or a half."""
    has_encoder, has_decoder = (any(k.startswith(half) for k in state) for half in ("encoder.", "decoder."))
    if not has_encoder and not has_decoder:
        raise CheckpointError(
            f"weights must be of a tokenizer, with names below 'encoder.' or 'decoder.', got {sorted(state)[:3]}; give "
            "another file"
        )
    return "whole" if has_encoder and has_decoder else "encoder" if has_encoder else "decoder"


def _hashed(source: Source) -> list[Path]:
    files = [*source.weights, *([source.statistics] if source.statistics else [])]
    return [path for path in files if path.suffix == ".jit" or path.name == "mean_std.pt"]


def _read(source: Source, options: OpenOptions) -> tuple[dict[str, Tensor], dict[str, int]]:
    """Weights under official names, buffers among them, and how much of what else was left out."""
    states = [_read_file(path) for path in source.weights]
    if len(states) == 2:
        return merge_halves(*states), {}
    (state,) = states
    if source.layout == "diffusers" or any(key.startswith("encoder.down_blocks.") for key in state):
        return official_from_diffusers(state), {}
    if not any(key.startswith(("network.", "ema.network-")) for key in state):
        return state, {}
    found = official_from_checkpoint(state, weights=options.average)
    num_losses = sum(key.startswith(("loss.", "ema.loss-")) for key in state)
    other = {"ema": "weights being trained", "network": "moving average"}[options.average]
    return found, {"losses": num_losses, other: len(state) - num_losses - len(found)}


def _read_file(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".jit":
        return read_torchscript(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} must be a whole safetensors file, got {error}; fetch it again"
        ) from error
    content = _read_pickle(path)
    state = content.get("model", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(
            f"{path} must be a training checkpoint with its weights under 'model', got {_kind(content)}; give model.pt or a "
            ".jit file"
        )
    return {str(key): value for key, value in state.items()}


def _read_pickle(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, OSError, EOFError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(
            f"{path} must be a whole file of tensors that 'torch.load(weights_only=True)' reads, got {reason}; fetch it again"
        ) from error


def _kind(content: object) -> str:
    return f"{sorted(map(str, content))[:3]}" if isinstance(content, Mapping) else type(content).__name__


def _statistics(source: Source, config: TokenizerConfig) -> LatentStatistics | None:
    if source.layout == "diffusers":
        assert source.config is not None, "weights of diffusers lie beside their configuration"
        fields = json.loads(source.config.read_text(encoding="utf-8"))
        pair = [torch.tensor(fields.get(f"latents_{name}") or []) for name in ("mean", "std")]
        if not pair[0].numel() or (bool((pair[0] == 0).all()) and bool((pair[1] == 1).all())):
            return None  # mean 0 and deviation 1 normalise nothing: what a file without statistics has to say there
    elif source.statistics is None:
        return None
    elif source.statistics.suffix == ".safetensors":
        return _native_statistics(source.statistics, config.latent_channels)
    else:
        content = _read_pickle(source.statistics)
        if not isinstance(content, (tuple, list)) or not all(isinstance(x, Tensor) for x in content):
            raise CheckpointError(
                f"{source.statistics} must hold (mean, std), got {_kind(content)}; fetch it again"
            )
        pair = list(content)
    if len(pair) != 2:
        raise CheckpointError(
            f"{source.statistics or source.config} must hold mean and std, got {len(pair)} tensors; fetch it again"
        )
    return LatentStatistics.from_flat(pair[0], pair[1], latent_channels=config.latent_channels)


def _native_statistics(path: Path, latent_channels: int) -> LatentStatistics:
    tensors = _read_file(path)
    if sorted(tensors) != ["mean", "std"]:
        raise CheckpointError(
            f"{path} must hold mean and std, got {sorted(tensors)}; convert the release again"
        )
    found = LatentStatistics(mean=tensors["mean"], std=tensors["std"])
    if len(found.mean) != latent_channels:
        raise CheckpointError(
            f"{path} must be of {latent_channels} channels, those of its tokenizer, got {len(found.mean)}; take both files of "
            "one release"
        )
    return found


def _own_release(source: Source) -> ReleaseConfig | None:
    """What our ``config.json`` says, None of files of others; another model than a tokenizer is a ``CheckpointError``."""
    if source.layout != "native":
        return None
    assert source.config is not None, "native weights lie beside their configuration"
    release = load_config(ReleaseConfig, source.config)
    if release.tokenizer is None:
        raise CheckpointError(
            f"{source.name!r} must be a tokenizer, got a {release.family}; see 'worldfoundry models list'"
        )
    return release


def _check_options(source: Source, options: OpenOptions, release: ReleaseConfig) -> None:
    own = release.tokenizer
    assert own is not None, "it was looked for before"
    found = {"norm_groups": own.norm_groups, "fsq_levels": own.fsq_levels}
    found["strides"] = (own.temporal_stride, own.spatial_stride)
    for option, value in found.items():
        _agree(getattr(options, option), value, f"{source.config} says", option=option)


def _published(source: Source, options: OpenOptions, state: Mapping[str, Tensor]) -> ReleaseConfig:
    known = RELEASED.get(source.release)
    strides = options.strides or _ambiguous_strides(source, state, known)
    config = infer_config(state, norm_groups=1, strides=strides, fsq_levels=_levels(source, options, state))
    config = replace(config, norm_groups=_norm_groups(source, options, config))
    if known is not None:
        _check_kind(source, config, known)
    if source.layout == "diffusers":
        _check_diffusers(source, config)
    return ReleaseConfig(
        name=source.release or source.weights[0].parent.name, family="tokenizer", tokenizer=config
    )


def _levels(source: Source, options: OpenOptions, state: Mapping[str, Tensor]) -> tuple[int, ...] | None:
    """Levels of the quantiser by what the file says of it; ``None`` where it cannot say, as ``model.pt`` cannot."""
    stored = stored_levels(state)
    if options.fsq_levels is not None:
        _agree(
            options.fsq_levels,
            stored or options.fsq_levels,
            f"{source.weights[0]} holds",
            option="fsq_levels",
        )
        return options.fsq_levels
    is_export = all(path.suffix == ".jit" for path in source.weights) and parts_of(state) != "encoder"
    return stored or (() if source.layout == "diffusers" or is_export else None)


def _ambiguous_strides(
    source: Source, state: Mapping[str, Tensor], known: TokenizerConfig | None
) -> tuple[int, int] | None:
    """Strides of whole or half by its name or the configuration beside it, where the weights cannot tell them."""
    if not has_every_resampler(state):
        return None
    if source.layout == "diffusers":
        assert source.config is not None, "weights of diffusers lie beside their configuration"
        fields = json.loads(source.config.read_text(encoding="utf-8"))
        time, space = (fields.get(f"{axis}_compression_ratio") for axis in ("temporal", "spatial"))
        return (time, space) if time and space else None
    return None if known is None else (known.temporal_stride, known.spatial_stride)


def _norm_groups(source: Source, options: OpenOptions, config: TokenizerConfig) -> int:
    if config.dimensions == "video":
        _agree(options.norm_groups, 1, "the norms of a video tokenizer have")
        return 1
    if source.release:
        groups = RELEASED[source.release].norm_groups
        _agree(options.norm_groups, groups, f"{source.release} is published with")
        return groups
    if options.norm_groups is None:
        raise CheckpointError(
            f"{source.name!r} is an image tokenizer, whose weights do not tell the groups of its norms; give norm_groups: 1 for "
            "Cosmos-Tokenize1-DI16x16-360p, 32 for every other release (on the command line --norm-groups), or keep the files in "
            "a folder of the published name"
        )
    return options.norm_groups


def _agree(asked: object, found: object, who: str, *, option: str = "norm_groups") -> None:
    if asked is not None and asked != found:
        raise CheckpointError(f"{option} must be {found}, since {who} {found}, got {asked}; leave it out")


def _check_kind(source: Source, config: TokenizerConfig, known: TokenizerConfig) -> None:
    """Refuse weights under the name of a release of another kind; widths may be others, as those of a smaller sibling are."""
    fields = (
        "dimensions",
        "patch_size",
        "temporal_stride",
        "spatial_stride",
        "latent_channels",
        "fsq_levels",
    )
    differing = [
        f"{field} {getattr(known, field)}, got {getattr(config, field)}"
        for field in fields
        if getattr(config, field) != getattr(known, field)
    ]
    if differing:
        raise CheckpointError(
            f"{source.name!r} must be {source.release} by its name, which has {'; '.join(differing)}; rename the folder, or "
            "fetch the files again"
        )


def _check_diffusers(source: Source, config: TokenizerConfig) -> None:
    assert source.config is not None, "weights of diffusers lie beside their configuration"
    fields = json.loads(source.config.read_text(encoding="utf-8"))
    expected = {
        "patch_size": config.patch_size,
        "temporal_compression_ratio": config.temporal_stride,
        "spatial_compression_ratio": config.spatial_stride,
        "latent_channels": config.latent_channels,
    }
    wrong = {k: fields[k] for k, v in expected.items() if fields.get(k, v) != v}
    kind = fields.get("_class_name", "AutoencoderKLCosmos")
    if wrong or kind != "AutoencoderKLCosmos":
        raise CheckpointError(
            f"{source.config} must describe the AutoencoderKLCosmos beside it, with { {k: expected[k] for k in wrong} }, got "
            f"{kind} with {wrong}; take both files of one release"
        )
