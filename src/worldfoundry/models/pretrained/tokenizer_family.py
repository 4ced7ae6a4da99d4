"""Tokenizers as a family of checkpoints: ours, the official one and that of diffusers, written.

========== ==========================================================================================================
native     ``model.safetensors``, ``config.json``; ``latent_statistics.safetensors`` where they are known
official   ``autoencoder.jit``, ``encoder.jit``, ``decoder.jit`` with the constants of an export and no trace;
           ``mean_std.pt``. What reads weights reads them; what runs the trace of a published file cannot
diffusers  ``diffusion_pytorch_model.safetensors``, ``config.json`` of ``AutoencoderKLCosmos``
========== ==========================================================================================================
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from worldfoundry.core.errors import ConfigError
from worldfoundry.models.pretrained.opened import Opened
from worldfoundry.models.pretrained.release import write_native
from worldfoundry.models.pretrained.source import DIFFUSERS_WEIGHTS, STATISTICS, OpenOptions, Source
from worldfoundry.models.pretrained.tokenizer_files import open_source, parts_of
from worldfoundry.models.pretrained.torchscript import write_torchscript
from worldfoundry.models.tokenizer.config import TokenizerConfig
from worldfoundry.models.tokenizer.official import ExportFile, diffusers_from_official, export_buffers

_FILES: dict[ExportFile, tuple[str, ...]] = {
    "autoencoder": ("",),
    "encoder": ("encoder.", "quant_conv."),
    "decoder": ("post_quant_conv.", "decoder."),
}


class TokenizerFamily:
    """Every tokenizer of ``TokenizerConfig``."""

    layouts = ("native", "official", "diffusers")

    def recognises(self, source: Source) -> bool:
        """Published files are taken to be a tokenizer's; opening them tells."""
        return source.layout in self.layouts

    def open(self, source: Source, options: OpenOptions) -> Opened:
        """Any layout."""
        return open_source(source, options)

    def write(self, opened: Opened, layout: str, folder: Path) -> None:
        """One of ``layouts``."""
        {"native": _write_native, "official": _write_official, "diffusers": _write_diffusers}[layout](
            opened, folder
        )


def _write_native(opened: Opened, folder: Path) -> None:
    write_native(folder, opened.weights, opened.release)
    if opened.statistics is not None:
        pair = {"mean": opened.statistics.mean, "std": opened.statistics.std}
        save_file({name: value.contiguous() for name, value in pair.items()}, folder / STATISTICS)


def _write_official(opened: Opened, folder: Path) -> None:
    config, dtype = _config(opened), next(iter(opened.weights.values())).dtype
    if config.patch_method != "haar":
        raise ConfigError(
            f"a tokenizer must begin with the Haar wavelet to be written as 'official', which can say no other, got "
            f"{config.patch_method!r}; convert it to 'native'"
        )
    for file, prefixes in _FILES.items():
        if parts_of(opened.weights) not in ("whole", file):
            continue
        weights = {k: v for k, v in opened.weights.items() if k.startswith(prefixes)}
        write_torchscript(folder / f"{file}.jit", weights, export_buffers(config, file, dtype=dtype))
    if opened.statistics is not None:
        pair = opened.statistics.mean.flatten(), opened.statistics.std.flatten()
        torch.save(tuple(value.clone() for value in pair), folder / "mean_std.pt")


def _write_diffusers(opened: Opened, folder: Path) -> None:
    config = _config(opened)
    _check_diffusers(config, parts_of(opened.weights) == "whole")
    widths, up = (
        [config.channels * m for m in multipliers]
        for multipliers in (config.channel_multipliers, config.decoder_channel_multipliers)
    )
    mean, std = torch.zeros(config.latent_channels), torch.ones(config.latent_channels)
    if opened.statistics is not None:
        mean, std = opened.statistics.mean, opened.statistics.std
    document = {
        "_class_name": "AutoencoderKLCosmos",
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": config.latent_channels,
        "encoder_block_out_channels": [config.channels, *widths],
        "decode_block_out_channels": [*up, up[-1]],
        "attention_resolutions": [32],
        "resolution": 1024,
        "num_layers": config.num_res_blocks,
        "patch_size": config.patch_size,
        "patch_type": "haar",
        "scaling_factor": 1.0,
        "spatial_compression_ratio": config.spatial_stride,
        "temporal_compression_ratio": config.temporal_stride,
        # Written out also where they do nothing: left out, diffusers would take those of Cosmos-1.0-Tokenizer-CV8x8x8.
        "latents_mean": _floats(mean),
        "latents_std": _floats(std),
    }
    state = {k: v.contiguous() for k, v in diffusers_from_official(opened.weights).items()}
    save_file(state, folder / DIFFUSERS_WEIGHTS, metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _floats(values: Tensor) -> list[float]:
    return values.flatten().double().tolist()


def _check_diffusers(config: TokenizerConfig, is_whole: bool) -> None:
    rules = {
        "whole": is_whole,
        "a video tokenizer": config.dimensions == "video",
        "continuous": not config.fsq_levels and not config.is_variational,
        "of as many z_channels as latent_channels": config.z_channels == config.latent_channels,
        "with the Haar wavelet and attention in the middle only": config.patch_method == "haar"
        and not config.attention_levels,
    }
    if broken := [rule for rule, holds in rules.items() if not holds]:
        raise ConfigError(
            f"a tokenizer must be {' and '.join(broken)} for diffusers' AutoencoderKLCosmos, which has no other, got "
            f"{'one' if is_whole else 'a half'} that is not; convert it to 'native' or 'official'"
        )


def _config(opened: Opened) -> TokenizerConfig:
    assert opened.release.tokenizer is not None, "what was opened as a tokenizer has its configuration"
    return opened.release.tokenizer
