"""Tiny random tokenizers in the files of each published layout, written without our own writers."""

import json
import math
import warnings
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.models.tokenizer.official import diffusers_from_official
from worldfoundry.models.tokenizer.released import get_released


def tiny(name, **changes):
    """A release at a width that runs in a moment; every weight is random and exact in bfloat16."""
    config = get_released(name)
    width = 32 if config.norm_groups == 32 else 8
    changes = {"channels": width, "num_res_blocks": 1, "z_channels": 16} | changes
    model = WaveletTokenizer(replace(config, **changes))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_((noise * 0.1 + (parameter.ndim == 1)).bfloat16())
    return model.eval().requires_grad_(False)


def constants(config, dtype=torch.bfloat16):
    """Buffers that an export stores, by the published formulas: of the encoder, the decoder and the quantiser."""
    three = "" if config.dimensions == "image" else "3d"
    pair = {"wavelets": torch.full((2,), 0.5**0.5).to(dtype), "_arange": torch.arange(2)}
    encoder = {f"encoder.patcher{three}.{k}": v for k, v in pair.items()}
    if three:
        encoder["encoder.patcher3d.patch_size_buffer"] = torch.tensor([config.patch_size]).int()
    decoder = {f"decoder.unpatcher{three}.{k}": v for k, v in pair.items()}
    levels, quantizer = config.fsq_levels, {}
    if levels:
        basis = [math.prod(levels[:i]) for i in range(len(levels))]
        digits = torch.arange(math.prod(levels))[:, None] // torch.tensor(basis) % torch.tensor(levels)
        half = torch.tensor(levels) // 2
        quantizer = {
            "quantizer._levels": torch.tensor(levels).int(),
            "quantizer._basis": torch.tensor(basis).int(),
            "quantizer.implicit_codebook": ((digits - half) / half).bfloat16(),
        }
    return encoder, decoder, quantizer


def published_state(model, file, dtype=torch.bfloat16):
    """Names and tensors of one of the three files: weights and constants."""
    encoder, decoder, quantizer = constants(model.config, dtype)
    state = {k: v.to(dtype) for k, v in model.state_dict().items()}
    halves = {
        "encoder": {k: v for k, v in state.items() if k.startswith(("encoder.", "quant_conv."))}
        | encoder
        | quantizer,
        "decoder": {k: v for k, v in state.items() if k.startswith(("decoder.", "post_quant_conv."))}
        | decoder
        | {f"inv_quant.{k}": v for k, v in quantizer.items()},
    }
    return halves.get(file) or state | encoder | decoder | quantizer


class _Holder(nn.Module):
    """A module of a trace: what it holds is what counts."""

    def forward(self, x):
        return x * 1


def export(model, folder, *, files=("autoencoder", "encoder", "decoder"), dtype=torch.bfloat16):
    """``*.jit`` as published: traces of modules with these parameters and with these constants as buffers."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        root = _Holder()
        for name, value in published_state(model, file, dtype).items():
            *path, leaf = name.split(".")
            owner = root
            for part in path:
                if part not in owner._modules:
                    owner.add_module(part, _Holder())
                owner = owner._modules[part]
            if leaf in ("weight", "bias"):
                owner.register_parameter(leaf, nn.Parameter(value, requires_grad=False))
            else:
                owner.register_buffer(leaf, value, persistent=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.jit.trace(root, torch.zeros(1)).save(str(folder / f"{file}.jit"))
    return folder


def checkpoint(model, folder):
    """``model.pt`` as training writes it: weights in bfloat16, their average in float32, losses, an optimiser."""
    folder.mkdir(parents=True, exist_ok=True)
    state = model.state_dict()
    content = {f"network.{k}": (v * 2).bfloat16() for k, v in state.items()}
    content |= {f"ema.network-{k.replace('.', '-')}": v.clone() for k, v in state.items()}
    content |= {"loss.perceptual.weight": torch.ones(3), "ema.loss-perceptual-weight": torch.ones(3)}
    optimizer = {"state": {}, "param_groups": [{"lr": 1e-4}]}
    torch.save(
        {"model": content, "optimizer": optimizer, "scheduler": {}, "grad_scaler": {}, "iteration": 7},
        folder / "model.pt",
    )
    return folder


def diffusers_folder(model, folder, **fields):
    """``config.json`` and weights as diffusers' ``AutoencoderKLCosmos`` stores them."""
    folder.mkdir(parents=True, exist_ok=True)
    config = model.config
    state = {k: v.bfloat16() for k, v in diffusers_from_official(model.state_dict()).items()}
    save_file(state, folder / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    document = {
        "_class_name": "AutoencoderKLCosmos",
        "_diffusers_version": "0.33.0",
        "latent_channels": config.latent_channels,
        "patch_size": config.patch_size,
        "spatial_compression_ratio": config.spatial_stride,
        "temporal_compression_ratio": config.temporal_stride,
    }
    (folder / "config.json").write_text(json.dumps(document | fields))
    return folder


def statistics_file(folder):
    """``mean_std.pt``: two flat tensors of 16 channels by 16 latent frames."""
    generator = torch.Generator().manual_seed(1)
    mean, std = torch.randn(256, generator=generator), torch.rand(256, generator=generator) + 0.5
    torch.save((mean, std), folder / "mean_std.pt")
    return mean, std


class Files:
    """The writers above, for tests."""

    tiny = staticmethod(tiny)
    export = staticmethod(export)
    published_state = staticmethod(published_state)
    checkpoint = staticmethod(checkpoint)
    diffusers = staticmethod(diffusers_folder)
    statistics = staticmethod(statistics_file)


@pytest.fixture
def files():
    return Files
