"""A discrete tokenizer that starts from a continuous one: encoder and decoder as they are, the layers at the latent fitted.

A fresh encoder spends most of a short training on what the continuous one knows already. The codes begin as the directions
in which its latents vary most, the widest digits first, and the way back is their linear regression.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from worldfoundry.core.errors import ConfigError
from worldfoundry.models.tokenizer.network import WaveletTokenizer

_SPREAD = 0.9
"""Deviation before tanh at which a normal distribution uses all digits about equally."""


@torch.no_grad()
def start_from_continuous(
    model: WaveletTokenizer, source: WaveletTokenizer, pixels: Float[Tensor, "b 3 t h w"]
) -> None:
    """Give ``model`` the weights of ``source``, and codes fitted to the latents of ``pixels``."""
    wanted = replace(model.config, fsq_levels=(), latent_channels=source.config.latent_channels)
    if model.fsq is None or source.config != wanted or wanted.dimensions != "video":
        raise ConfigError(
            f"trunk_from must name a continuous video tokenizer that differs in the latent alone from the discrete one to train, "
            f"got {source.config} for {model.config}; train from fresh weights"
        )
    z = _columns(source.encode_codes(pixels))
    mean, directions = z.mean(0), _directions(z, len(model.config.fsq_levels))
    state = source.state_dict()
    weight, bias = state["quant_conv.conv3d.weight"].flatten(1), state["quant_conv.conv3d.bias"]
    state["quant_conv.conv3d.weight"] = _point(directions @ weight.double())
    state["quant_conv.conv3d.bias"] = (directions @ (bias.double() - mean)).float()

    latents = ((z - mean) @ directions.T).T[None]
    codes = model.fsq.quantize(latents.float())[0].T.double()
    ones = torch.ones(len(codes), 1, dtype=torch.float64)
    back = torch.linalg.lstsq(torch.cat([codes, ones], dim=1), z).solution.T
    weight, bias = state["post_quant_conv.conv3d.weight"].flatten(1), state["post_quant_conv.conv3d.bias"]
    state["post_quant_conv.conv3d.weight"] = _point(weight.double() @ back[:, :-1])
    state["post_quant_conv.conv3d.bias"] = (weight.double() @ back[:, -1] + bias.double()).float()
    model.load_state_dict(state)


def _columns(latents: Float[Tensor, "b c tz hz wz"]) -> Float[Tensor, "n c"]:
    return latents.transpose(0, 1).flatten(1).T.double()


def _directions(z: Float[Tensor, "n c"], count: int) -> Float[Tensor, "d c"]:
    """The principal directions of ``z``, scaled to the deviation that tanh wants."""
    values, vectors = torch.linalg.eigh(torch.cov(z.T))
    top = values.flip(0)[:count].clamp_min(1e-12)
    return vectors.flip(1)[:, :count].T * (_SPREAD / top.sqrt())[:, None]


def _point(matrix: Float[Tensor, "co ci"]) -> Float[Tensor, "co ci 1 1 1"]:
    return matrix.float()[:, :, None, None, None]
