"""The golden case of the decoder from tokens to latents: network, guided run, windows and their joins."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from worldfoundry.evaluate.parity import Check, GoldenCase, UnsupportedCaseError
from worldfoundry.evaluate.parity_diffusion_networks import NETWORK_TOLERANCE, network_from_golden
from worldfoundry.evaluate.parity_diffusion_samplers import check_euler, guided, sigma_range
from worldfoundry.evaluate.parity_diffusion_tables import TABLE_TOLERANCE
from worldfoundry.models.common.rope import REFERENCE_FPS, rope_angles
from worldfoundry.models.diffusion.inputs import ExtraInputs
from worldfoundry.models.diffusion.samplers import edm_euler_sigmas
from worldfoundry.models.diffusion.transformer import DiffusionTransformer
from worldfoundry.models.diffusion.windows import blend_windows, window_frames

_RUN_FIELDS = {
    "name",
    "token_shape",
    "guidance",
    "num_steps",
    "sigma_max",
    "sigma_min",
    "sigma_data",
    "seed",
    "note",
}
"""Fields of the case that are not settings of the network."""


def compare_decoder(case: GoldenCase) -> Iterator[Check]:
    """Every output of the case; one whose name is not known is reported as such."""
    case = _with_network_config(case)
    t, network = case.under("inputs/"), network_from_golden(case, "weights/net.")
    conditional, unconditional = _both(network, t)
    reference = case.under("outputs/")
    pairs = [
        (conditional(t["x"], t["timestep"]), reference.pop("net_cond")),
        (unconditional(t["x"], t["timestep"]), reference.pop("net_uncond")),
        (_embedded(conditional, network, t), reference.pop("embedded").flatten(1, 3)),
    ]
    yield Check(part="network", pairs=pairs, tolerance=NETWORK_TOLERANCE)
    denoiser = guided(case, conditional, unconditional)
    run = check_euler(case, denoiser, case.meta["num_steps"], None, noise="init_noise_unit")
    reference.pop("samples")
    yield replace(run, part="samples")
    pairs = [_table(name, case, network, value) for name, value in reference.items()]
    yield Check(part="tables", pairs=pairs, tolerance=TABLE_TOLERANCE)


def _with_network_config(case: GoldenCase) -> GoldenCase:
    config = {k: v for k, v in case.meta.items() if k not in _RUN_FIELDS}
    config |= {
        "is_diffusion_decoder": True,
        "diffusion_decoder_condition_on_token": True,
        "diffusion_decoder_token_condition_voc_size": config.pop("token_vocab"),
        "diffusion_decoder_token_condition_dim": config.pop("token_dim"),
    }
    if list(case.tensors["inputs/tokens"].shape[2:]) != case.meta["token_shape"]:
        raise UnsupportedCaseError(f"token_shape={case.meta['token_shape']} is not that of the tokens")
    run = {k: v for k, v in case.meta.items() if k in _RUN_FIELDS}
    return replace(case, meta={**run, "kind": "diffusion_decoder", "config": config})


def _both(network: DiffusionTransformer, t: dict[str, Tensor]) -> tuple[Any, Any]:
    """Unguided means zero text, and every token the first of the vocabulary."""
    nothing = ExtraInputs(tokens=torch.zeros_like(t["tokens"]))
    return (
        partial(network, text=t["context"], fps=REFERENCE_FPS, extra=ExtraInputs(tokens=t["tokens"])),
        partial(network, text=torch.zeros_like(t["context"]), fps=REFERENCE_FPS, extra=nothing),
    )


def _embedded(conditional: Any, network: DiffusionTransformer, t: dict[str, Tensor]) -> Tensor:
    seen: list[Tensor] = []

    def keep(_: nn.Module, __: Any, tokens: Tensor) -> None:
        seen.append(tokens)

    handle = network.x_embedder.register_forward_hook(keep)
    conditional(t["x"], t["timestep"])
    handle.remove()
    return seen[0]


def _table(
    name: str, case: GoldenCase, network: DiffusionTransformer, reference: Tensor
) -> tuple[Tensor, Tensor]:
    what, _, detail = name.partition("_")
    if what in ("sigmas", "timesteps"):
        num_steps = int(detail.removesuffix("steps")) if detail else case.meta["num_steps"]
        sigmas = edm_euler_sigmas(num_steps, **sigma_range(case))
        return (sigmas if what == "sigmas" else sigmas[:-1].log() / 4), reference
    if what == "split":
        return window_frames(int(detail.removeprefix("t")), window=reference.shape[1]), reference
    if what == "blend":
        windows = [value for _, value in sorted(case.under("inputs/blend_in").items())]
        return blend_windows(windows, int(detail.removeprefix("D"))), reference
    if what == "rope":
        (t, h, w), p = case.tensors["inputs/x"].shape[2:], network.config.patch_spatial
        grid = (t // network.config.patch_temporal, h // p, w // p)
        angles = rope_angles(grid, network.config.head_dim, network.config.rope_ratios, REFERENCE_FPS)
        return torch.cat((angles, angles), dim=-1)[:, None, None], reference
    raise UnsupportedCaseError(f"unknown output {name}")
