"""Golden cases of the diffusion networks and latent loops of diffusers."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from worldfoundry.core.errors import CheckpointError
from worldfoundry.evaluate.parity import Check, Comparison, GoldenCase, UnsupportedCaseError, load_case
from worldfoundry.models.diffusion.edm import given_indicator, preconditioning
from worldfoundry.models.diffusion.official import (
    config_from_diffusers,
    config_to_diffusers,
    from_diffusers,
    to_diffusers,
)
from worldfoundry.models.diffusion.samplers import GivenFrames, karras_sigmas, sample_edm_euler
from worldfoundry.models.diffusion.transformer import DiffusionTransformer

NETWORK_TOLERANCE = 2e-5
LOOP_TOLERANCE = 2e-4
_SCHEDULER = {"sigma_min", "sigma_max", "sigma_data", "rho", "final_sigmas_type"}


def find_comparison(case: GoldenCase) -> Comparison | None:
    """The comparison that a case of diffusers needs, if it is one."""
    return {
        "diffusers_transformer": _compare_network,
        "key_mapping": _compare_names,
        "diffusers_pipeline_t2w": _compare_text_loop,
        "diffusers_pipeline_v2w": _compare_video_loop,
    }.get(str(case.meta.get("kind")))


def _network(case: GoldenCase) -> DiffusionTransformer:
    try:
        config = config_from_diffusers(case.meta["config"])
    except CheckpointError as error:
        raise UnsupportedCaseError(str(error)) from error
    network = DiffusionTransformer(config)
    network.load_state_dict(from_diffusers(case.under("weights/"), config))
    return network.eval()


def _compare_network(case: GoldenCase) -> Iterator[Check]:
    t, fps = case.under("inputs/"), case.meta["fps"]
    x = t["hidden_states"]
    ours = _network(case)(
        x,
        t["timestep"].reshape(-1).expand(len(x)),
        text=t["encoder_hidden_states"],
        fps=None if fps is None else float(fps),
        condition_mask=t.get("condition_mask"),
        padding_mask=t["padding_mask"].expand(len(x), -1, -1, -1),
    )
    yield Check(pairs=[(ours, case.tensors["outputs/sample"])], tolerance=NETWORK_TOLERANCE)


def _compare_names(case: GoldenCase) -> Iterator[Check]:
    """Every name there and back, and what the network gives under its names of diffusers."""
    path = case.path.parent / f"{case.meta['weights_from']}.json"
    if not path.is_file():
        raise UnsupportedCaseError(f"{path.name}, which has its weights, is not there")
    other = load_case(path, case.meta["weights_from"])
    weights, config = other.under("weights/"), config_from_diffusers(case.meta["diffusers_config"])
    theirs = to_diffusers(weights)
    stated = case.meta["mapping_official_to_diffusers"]
    wrong = sum(
        1 for name, new in stated.items() if new and (new not in theirs or theirs[new] is not weights[name])
    )
    back = from_diffusers(theirs, config)
    wrong += len(back.keys() ^ weights.keys()) + sum(not torch.equal(back[k], weights[k]) for k in weights)
    fields = case.meta["diffusers_config"]
    written = {k: v for k, v in config_to_diffusers(config).items() if not k.startswith("_")}
    wrong += len([k for k in fields if written.get(k) != fields[k]])
    yield Check(part="names", pairs=[(torch.tensor([wrong]), torch.tensor([0]))], tolerance=0.0)
    network, t = DiffusionTransformer(config), other.under("inputs/")
    network.load_state_dict(back)
    ours = network.eval()(
        t["x"],
        t["timesteps"].reshape(-1).expand(len(t["x"])),
        text=t["crossattn_emb"],
        fps=t["fps"],
        condition_mask=t["condition_video_input_mask"],
        padding_mask=t["padding_mask"],
    )
    yield Check(part="sample", pairs=[(ours, case.tensors["outputs/sample"])], tolerance=NETWORK_TOLERANCE)


def _sigmas(case: GoldenCase) -> Tensor:
    """The last level twice: the last step moves nothing."""
    fields = case.meta.get("scheduler", {})
    if set(fields) - _SCHEDULER or fields.get("final_sigmas_type", "sigma_min") != "sigma_min":
        raise UnsupportedCaseError(f"scheduler {fields} is not supported")
    levels = karras_sigmas(
        case.meta["num_inference_steps"],
        sigma_min=float(fields.get("sigma_min", 0.002)),
        sigma_max=float(fields.get("sigma_max", 80.0)),
        rho=float(fields.get("rho", 7.0)),
    ).float()
    return torch.cat((levels, levels[-1:]))


def _compare_text_loop(case: GoldenCase) -> Iterator[Check]:
    t, sigmas, network = case.under("inputs/"), _sigmas(case), _network(case)
    predictions = [partial(_predict, network, case, text=t[name]) for name in ("text", "neg_text")]

    def denoiser(x: Tensor, sigma: Tensor) -> Tensor:
        with_text, without = (predict(x, x, sigma) for predict in predictions)
        return with_text + case.meta["guidance_scale"] * (with_text - without)

    ours = sample_edm_euler(denoiser, t["noise"] * sigmas[0], sigmas)
    yield Check(part="latents", pairs=[(ours, case.tensors["outputs/latents"])], tolerance=LOOP_TOLERANCE)
    if "intermediates/sigmas" in case.tensors:
        yield Check(part="sigmas", pairs=[(sigmas, case.tensors["intermediates/sigmas"])], tolerance=1e-4)


def _predict(
    network: DiffusionTransformer,
    case: GoldenCase,
    x: Tensor,
    seen: Tensor,
    sigma: Tensor,
    *,
    text: Tensor,
    condition_mask: Tensor | None = None,
) -> Tensor:
    """The prediction from what the network saw, with the share of the state that it did not see."""
    c = preconditioning(sigma, 0.5)
    raw = network(
        seen * c.c_in,
        c.c_noise.expand(len(x)),
        text=text,
        fps=float(case.meta["fps"]),
        condition_mask=condition_mask,
    )
    return c.c_skip * x + c.c_out * raw


def _compare_video_loop(case: GoldenCase) -> Iterator[Check]:
    """Given frames get new noise for each of the two predictions of a step, and the step starts from the unmixed state."""
    t, meta, network = case.under("inputs/"), case.meta, _network(case)
    mean, std = (t[f"latents_{name}"][None, :, :, None, None] for name in ("mean", "std"))
    latents = (t["vae_latents"] - mean) * 0.5 / std
    indicator = given_indicator(torch.tensor([meta["num_condition_latents"]]), latents.shape[2])
    mask, draws = indicator.expand(len(latents), 1, *latents.shape[2:]), iter(t["augment_noise"])

    def branch(x: Tensor, sigma: Tensor, text: Tensor) -> Tensor:
        given = GivenFrames(
            latents=latents, indicator=indicator, noise=next(draws), augment_sigma=meta["augment_sigma"]
        )
        x0 = _predict(network, case, x, given.mix(x, sigma), sigma, text=text, condition_mask=mask)
        return torch.where(indicator > 0, latents, x0)

    def denoiser(x: Tensor, sigma: Tensor) -> Tensor:
        with_text, without = branch(x, sigma, t["text"]), branch(x, sigma, t["neg_text"])
        return with_text + meta["guidance_scale"] * (with_text - without)

    sigmas = _sigmas(case)
    ours = sample_edm_euler(denoiser, t["noise"] * sigmas[0], sigmas)
    yield Check(pairs=[(ours, case.tensors["outputs/latents"])], tolerance=LOOP_TOLERANCE)
