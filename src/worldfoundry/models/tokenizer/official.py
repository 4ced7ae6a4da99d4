"""Published tokenizer files: the layouts of their state dicts, as pure functions, and strict loading.

========================================  ==========================================================================
``encoder.jit``, ``decoder.jit``          halves of the official layout, with constants of the export: ``merge_halves``
``autoencoder.jit``                       the whole, with constants
``model.pt``                              a training checkpoint: ``official_from_checkpoint``
diffusers' ``AutoencoderKLCosmos``        continuous video only: ``official_from_diffusers`` and back
========================================  ==========================================================================

The names of our own state dicts are the official ones.
"""

import math
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from worldfoundry.core.errors import CheckpointError
from worldfoundry.models.tokenizer.config import TokenizerConfig
from worldfoundry.models.tokenizer.quantize import FSQ

StateDict = Mapping[str, Tensor]

_BUFFER = re.compile(
    r"(encoder\.patcher|decoder\.unpatcher)(3d)?\.(wavelets|_arange|patch_size_buffer)"
    r"|(inv_quant\.)?quantizer\.(_levels|_basis|implicit_codebook)"
)
"""Constants that TorchScript exports store beside the weights; they follow from the configuration."""


def drop_buffers(state_dict: StateDict) -> dict[str, Tensor]:
    """The weights alone, without the constants of an export."""
    return {key: value for key, value in state_dict.items() if not _BUFFER.fullmatch(key)}


ExportFile = Literal["autoencoder", "encoder", "decoder"]
"""The three ``.jit`` files of a release."""


def export_buffers(config: TokenizerConfig, file: ExportFile, *, dtype: torch.dtype) -> dict[str, Tensor]:
    """The constants that an export of a tokenizer in ``dtype`` stores in one of its three files."""
    suffix = "" if config.dimensions == "image" else "3d"
    shared = {"wavelets": torch.full((2,), 0.5**0.5).to(dtype), "_arange": torch.arange(2)}
    found = {}
    if file != "decoder":
        found |= {f"encoder.patcher{suffix}.{name}": value.clone() for name, value in shared.items()}
        if suffix:
            size = torch.tensor([config.patch_size], dtype=torch.int32)
            found["encoder.patcher3d.patch_size_buffer"] = size
    if file != "encoder":
        found |= {f"decoder.unpatcher{suffix}.{name}": value.clone() for name, value in shared.items()}
    if config.fsq_levels:
        fsq, where = FSQ(config.fsq_levels), "inv_quant.quantizer" if file == "decoder" else "quantizer"
        basis = [math.prod(fsq.levels[:i]) for i in range(len(fsq.levels))]
        found[f"{where}._levels"] = torch.tensor(fsq.levels, dtype=torch.int32)
        found[f"{where}._basis"] = torch.tensor(basis, dtype=torch.int32)
        found[f"{where}.implicit_codebook"] = fsq.codes(torch.arange(fsq.codebook_size), torch.bfloat16)
    return found


def merge_halves(encoder: StateDict, decoder: StateDict) -> dict[str, Tensor]:
    """One state dict from those of ``encoder.jit`` and ``decoder.jit``; buffers stay for ``infer_config``."""
    if both := sorted(encoder.keys() & decoder.keys()):
        raise CheckpointError(
            f"encoder and decoder must share no weights, got {both[:3]} ({len(both)} in all) in both; give the two halves of "
            "one tokenizer"
        )
    return {**encoder, **decoder}


def official_from_checkpoint(
    model: StateDict, *, weights: Literal["ema", "network"] = "ema"
) -> dict[str, Tensor]:
    """The official layout from ``torch.load("model.pt")["model"]``: its moving average, which is what is released, or not.

    Losses are left out, and so are the marks of a compiled run (``_orig_mod``). Any other name is a ``CheckpointError``.
    """
    found: dict[str, dict[str, Tensor]] = {"ema": {}, "network": {}}
    for key, value in model.items():
        if key.startswith("ema.network-"):
            name = key.removeprefix("ema.network-").replace("-", ".")
            found["ema"][name.removeprefix("_orig_mod.")] = value
        elif key.startswith("network."):
            found["network"][key.removeprefix("network.").removeprefix("_orig_mod.")] = value
        elif not key.startswith(("loss.", "ema.loss-")):
            raise CheckpointError(
                f"checkpoint must hold 'network.' and 'ema.network-' weights, got {key!r}; give the 'model' entry of model.pt"
            )
    if not found[weights]:
        raise CheckpointError(f"checkpoint must hold {weights!r} weights, got none; ask for the other kind")
    return found[weights]


_TO_DIFFUSERS = (
    (r"\.block\.", ".resnets."),
    (r"\bdownsample\b", "downsamplers.0"),
    (r"\bupsample\b", "upsamplers.0"),
    (r"\bmid\.block_1\b", "mid_block.resnets.0"),
    (r"\bmid\.block_2\b", "mid_block.resnets.1"),
    (r"\bmid\.attn_1\.0\b", "mid_block.attentions.0"),
    (r"\bmid\.attn_1\.1\b", "mid_block.temp_attentions.0"),
    (r"\.([qkv])\.conv3d\b", r".to_\1"),
    (r"\.proj_out\.conv3d\b", ".to_out.0"),
    (r"\.0\.conv3d\b", ".conv_s"),
    (r"\.1\.conv3d\b", ".conv_t"),
    (r"\.conv([123])\.conv3d\b", r".conv\1"),
    (r"\bnin_shortcut\.conv3d\b", "conv_shortcut"),
    (r"\b(post_quant_conv|quant_conv)\.conv3d\b", r"\1"),
)
_FROM_DIFFUSERS = (
    (r"\.conv_s\b", ".0.conv3d"),
    (r"\.conv_t\b", ".1.conv3d"),
    (r"(samplers\.0\.conv[123])\b", r"\1.conv3d"),
    (r"\bconv_shortcut\b", "nin_shortcut.conv3d"),
    (r"\b(post_quant_conv|quant_conv)\b", r"\1.conv3d"),
    (r"\.to_([qkv])\b", r".\1.conv3d"),
    (r"\.to_out\.0\b", ".proj_out.conv3d"),
    (r"\bmid_block\.resnets\.0\b", "mid.block_1"),
    (r"\bmid_block\.resnets\.1\b", "mid.block_2"),
    (r"\bmid_block\.attentions\.0\b", "mid.attn_1.0"),
    (r"\bmid_block\.temp_attentions\.0\b", "mid.attn_1.1"),
    (r"\.resnets\.", ".block."),
    (r"\bdownsamplers\.0\b", "downsample"),
    (r"\bupsamplers\.0\b", "upsample"),
)


def diffusers_from_official(state_dict: StateDict) -> dict[str, Tensor]:
    """The layout of diffusers' ``AutoencoderKLCosmos``; decoder levels count the other way there."""
    weights = drop_buffers(state_dict)
    last = count_levels(weights, "decoder.up.") - 1

    def rename(key: str) -> str:
        key = re.sub(r"\bdown\.(\d+)\b", r"down_blocks.\1", key)
        key = re.sub(r"\bup\.(\d+)\b", lambda m: f"up_blocks.{last - int(m[1])}", key)
        return _substitute(_TO_DIFFUSERS, key)

    return {rename(key): value for key, value in weights.items()}


def official_from_diffusers(state_dict: StateDict) -> dict[str, Tensor]:
    """Inverse of ``diffusers_from_official``."""
    last = count_levels(state_dict, "decoder.up_blocks.") - 1

    def rename(key: str) -> str:
        key = re.sub(r"\bdown_blocks\.(\d+)\b", r"down.\1", _substitute(_FROM_DIFFUSERS, key))
        return re.sub(r"\bup_blocks\.(\d+)\b", lambda m: f"up.{last - int(m[1])}", key)

    return {rename(key): value for key, value in state_dict.items()}


def _substitute(rules: tuple[tuple[str, str], ...], key: str) -> str:
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


def count_levels(state_dict: StateDict, prefix: str) -> int:
    """Number of levels below ``prefix``; a state dict without any is a ``CheckpointError``."""
    if count := _num_levels(state_dict, prefix):
        return count
    raise CheckpointError(
        f"state dict must hold weights below {prefix!r}, got none; give encoder and decoder of a tokenizer"
    )


def _num_levels(state_dict: StateDict, prefix: str) -> int:
    names = (key.removeprefix(prefix).split(".")[0] for key in state_dict if key.startswith(prefix))
    return 1 + max((int(name) for name in names if name.isdigit()), default=-1)


def to_official(state_dict: StateDict) -> dict[str, Tensor]:
    """Any of the published layouts in the official one, told apart by its names; of a checkpoint the moving average."""
    if any(key.startswith(("network.", "ema.network-")) for key in state_dict):
        return official_from_checkpoint(state_dict)
    if any(key.startswith("encoder.down_blocks.") for key in state_dict):
        return official_from_diffusers(state_dict)
    return dict(state_dict)


def config_from_golden(fields: Mapping[str, Any], state_dict: StateDict) -> TokenizerConfig:
    """Our configuration from the official field names; decoder levels are read off the weights."""
    multipliers = tuple(fields["channels_mult"])
    is_image = "temporal_compression" not in fields
    levels = tuple(fields.get("levels", ())) if fields["name"].startswith("D") else ()
    return TokenizerConfig(
        channels=fields["channels"],
        channel_multipliers=multipliers,
        decoder_channel_multipliers=multipliers[: count_levels(state_dict, "decoder.up.")],
        num_res_blocks=fields["num_res_blocks"],
        patch_size=fields["patch_size"],
        temporal_stride=1 if is_image else fields["temporal_compression"],
        spatial_stride=fields["spatial_compression"],
        z_channels=fields["z_channels"],
        latent_channels=len(levels) or fields["latent_channels"],
        dimensions="image" if is_image else "video",
        norm_groups=fields.get("num_groups", 32) if is_image else 1,
        fsq_levels=levels,
        attention_levels=tuple(
            i for i in range(len(multipliers)) if any(f".down.{i}.attn." in key for key in state_dict)
        ),
        is_variational=fields.get("formulation") == "VAE",
        patch_method=fields["patch_method"],
    )


class Sorted(NamedTuple):
    """A state dict in the official layout, taken apart."""

    weights: dict[str, Tensor]
    """What the tokenizer is made of, nothing missing and nothing more."""
    buffers: dict[str, Tensor]
    """Constants of the export."""
    dead: dict[str, Tensor]
    """Weights of branches that never run."""


def sort_official(expected: StateDict, state_dict: StateDict) -> Sorted:
    """Take apart what is to fit ``expected``; weights missing, unexpected or of another shape are a ``CheckpointError``."""
    buffers = {key: value for key, value in state_dict.items() if _BUFFER.fullmatch(key)}
    weights = {key: value for key, value in state_dict.items() if key not in buffers}
    layers = _dead_convolutions(weights)
    dead = {k: v for k, v in weights.items() if k not in expected and _layer(k) in layers}
    weights = {k: v for k, v in weights.items() if k not in dead}
    missing, extra = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected.keys())
    shapes = sorted(k for k in expected.keys() & weights.keys() if expected[k].shape != weights[k].shape)
    if missing or extra or shapes:
        raise CheckpointError(
            f"state dict does not fit the tokenizer: missing {missing[:3]}, unexpected {extra[:3]}, other shape {shapes[:3]} "
            f"({len(missing)}, {len(extra)} and {len(shapes)} in all); use the configuration it was made with"
        )
    return Sorted({key: weights[key] for key in expected}, buffers, dead)


def load_official(model: nn.Module, state_dict: StateDict) -> None:
    """Load a state dict in the official layout, strictly, but for constants of exports and dead convolutions."""
    model.load_state_dict(sort_official(model.state_dict(), state_dict).weights)


def _dead_convolutions(weights: StateDict) -> set[str]:
    """The resampler convolutions of an old export; of any other file none.

    Old exports may store all three convolutions of every resampler, those of branches that never run too. In other files
    each of them runs, and one that the model lacks says that the file is of another model.
    """
    down, up = (_num_levels(weights, prefix) for prefix in ("encoder.down.", "decoder.up."))
    resamplers = [f"encoder.down.{i}.downsample" for i in range(down - 1)]
    resamplers += [f"decoder.up.{i}.upsample" for i in range(1, up)]
    every = {f"{resampler}.conv{n}" for resampler in resamplers for n in (1, 2, 3)}
    return every if every and every <= {_layer(key) for key in weights} else set()


def _layer(key: str) -> str:
    """The name of a video convolution without those of its weights."""
    return key.rpartition(".conv3d.")[0]
