"""Golden cases of the diffusion world model: the EDM process, samplers, end to end."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worldfoundry.evaluate.parity import Check, Comparison, GoldenCase
from worldfoundry.evaluate.parity_dit import (
    KINDS,
    NETWORK_TOLERANCE,
    compare_network,
    config_from_golden,
    network_from_golden,
    tolerance_of,
)
from worldfoundry.models.diffusion.conditions import Conditions
from worldfoundry.models.diffusion.config import EDMConfig
from worldfoundry.models.diffusion.edm import (
    Network,
    TrainingNoise,
    Uncertainty,
    corrupt_given,
    denoise,
    edm_loss_at,
    given_indicator,
    guide,
    preconditioning,
)
from worldfoundry.models.diffusion.samplers import (
    GivenFrames,
    edm_euler_sigmas,
    res_sigmas,
    sample_edm_euler,
    sample_res,
)

SAMPLER_TOLERANCE = 5e-5
COEFFICIENT_TOLERANCE = 1e-12


def find_comparison(case: GoldenCase) -> Comparison | None:
    """The comparison that a diffusion case needs, if there is one."""
    return _COMPARISONS.get(str(case.meta.get("kind")))


def _compare_coefficients(case: GoldenCase) -> Iterator[Check]:
    ours = preconditioning(case.tensors["inputs/sigma"], case.meta["sigma_data"])._asdict()
    pairs = [(value, case.tensors[f"outputs/{name}"]) for name, value in ours.items()]
    yield Check(pairs=pairs, tolerance=COEFFICIENT_TOLERANCE)


def _bound(network: Network, case: GoldenCase, **more: Any) -> Network:
    t = case.tensors
    common = {"fps": t["inputs/fps"], "padding_mask": t["inputs/padding_mask"]}
    return partial(network, **common, **more)


def _compare_training(case: GoldenCase) -> Iterator[Check]:
    """The loss of both families; the expected predictions follow from the same parts that the loss is made of."""
    t, sigma_data = case.under("inputs/"), case.meta["sigma_data"]
    is_video = "augment_sigma" in t
    network = _bound(network_from_golden(case, "weights/net."), case, text=t["crossattn_emb"])
    uncertainty = Uncertainty()
    uncertainty.load_state_dict({f"logvar.{k}": v for k, v in case.under("weights/logvar.").items()})
    b, frames = t["x0"].shape[0], t["x0"].shape[2]
    given = given_indicator(torch.full((b,), case.meta["num_condition_t"]), frames) if is_video else None
    noise = TrainingNoise(
        sigma=t["sigma"],
        noise=t["epsilon"],
        augment_sigma=t.get("augment_sigma", t["sigma"]),
        augment_noise=t.get("augment_noise", t["epsilon"]),
    )
    ours = {"logvar": uncertainty(preconditioning(t["sigma"], sigma_data).c_noise)[:, None]}
    mean = EDMConfig(sigma_data=sigma_data)
    for name, config in (("loss_mean", mean), ("loss_sum", replace(mean, loss_reduction="sum"))):
        ours[name], _ = edm_loss_at(
            network, t["x0"], noise, config=config, given=given, uncertainty=uncertainty
        )
    xt = t["x0"] + t["epsilon"] * t["sigma"].view(-1, 1, 1, 1, 1)
    if given is None:
        ours["x0_pred"] = x0 = denoise(network, xt, t["sigma"], sigma_data=sigma_data)
        ours["weights_per_sigma"] = preconditioning(t["sigma"], sigma_data).loss_weight
    else:
        seen = corrupt_given(t["x0"], t["augment_noise"], t["augment_sigma"], t["sigma"], sigma_data)
        ours["xt_network"] = torch.where(given > 0, seen, xt)
        masked = partial(network, condition_mask=given.expand(-1, 1, *xt.shape[2:]))
        ours["net_x0_pred"] = denoise(masked, ours["xt_network"], t["sigma"], sigma_data=sigma_data)
        ours["x0_pred_replaced"] = x0 = torch.where(given > 0, t["x0"], ours["net_x0_pred"])
    ours["pred_mse"] = (t["x0"] - x0) ** 2
    reference = case.under("outputs/")
    relative = [
        (v / reference[k].abs().max(), reference[k] / reference[k].abs().max()) for k, v in ours.items()
    ]
    yield Check(pairs=relative, tolerance=NETWORK_TOLERANCE)


def _compare_inference(case: GoldenCase) -> Iterator[Check]:
    """One evaluation with given frames, the noise on them below and above the noise of the rest."""
    t = case.under("inputs/")
    latents, mask = t["gt_latent"], t["condition_mask"]
    network = _bound(
        network_from_golden(case, "weights/net."), case, text=t["crossattn_emb"], condition_mask=mask
    )
    pairs = []
    for part in ("a", "b"):
        sigma = t[f"{part}_sigma"][0]
        given = GivenFrames(
            latents=latents,
            indicator=mask[..., :1, :1],
            noise=_seeded_noise(latents.shape, case.meta["seed_inference"]),
            augment_sigma=float(t[f"{part}_augment_sigma"]),
        )
        seen = given.mix(latents + t["epsilon"] * sigma, sigma)
        x0 = denoise(network, seen, sigma, sigma_data=given.sigma_data)
        for name, ours in (
            ("xt_network", seen),
            ("net_x0_pred", x0),
            ("x0_pred_replaced", given.replace(x0, sigma, seen)),
        ):
            pairs.append((ours, case.tensors[f"outputs/{part}_{name}"]))
    yield Check(pairs=pairs, tolerance=SAMPLER_TOLERANCE)


def _seeded_noise(shape: torch.Size, seed: int) -> Tensor:
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(tuple(shape)).astype(np.float32))


def _analytic_network(
    x: Tensor, c_noise: Tensor, *, text: Tensor, condition_mask: Tensor | None = None
) -> Tensor:
    a = text.mean((1, 2)).view(-1, 1, 1, 1, 1)
    y = 0.8 * torch.tanh(0.9 * x + a + 0.3 * torch.sin(3 * c_noise.view(-1, 1, 1, 1, 1)))
    y = y + 0.2 * torch.roll(x, 1, dims=-1)
    if condition_mask is not None:
        y = y + 0.1 * condition_mask + 0.4 * condition_mask.mean((2, 3, 4), keepdim=True)
    return y


def _guided(case: GoldenCase, conditional: Network, unconditional: Network) -> Any:
    return partial(denoise, guide(conditional, unconditional, case.meta["guidance"]), sigma_data=0.5)


def _range(case: GoldenCase) -> dict[str, float]:
    return {k: float(case.meta[k]) for k in ("sigma_min", "sigma_max", "rho") if k in case.meta}


def _compare_res(case: GoldenCase) -> Iterator[Check]:
    meta, mu, seen = case.meta, case.tensors["inputs/mu"], []

    def denoiser(x: Tensor, sigma: Tensor) -> Tensor:
        seen.append(x)
        sigma = sigma.float()
        return 0.5 * torch.tanh(1.7 * x / torch.sqrt(sigma**2 + 0.25) + 0.3 * torch.log(sigma)) + mu

    sigmas = res_sigmas(meta["num_steps"], **_range(case))
    ours = sample_res(denoiser, case.tensors["inputs/x_sigma_max"], sigmas)
    pairs = [
        (ours, case.tensors["outputs/2ab"]),
        (torch.stack(seen), case.tensors["intermediates/2ab_calls_x"]),
    ]
    yield Check(part="2ab", pairs=pairs, tolerance=SAMPLER_TOLERANCE)
    for name in sorted(case.under("outputs/").keys() - {"2ab"}):
        yield Check(part=name, reason="no published model samples with it")


def _euler(
    case: GoldenCase, denoiser: Any, num_steps: int, dtype: torch.dtype, given: GivenFrames | None
) -> Tensor:
    sigmas = edm_euler_sigmas(num_steps, **_range(case))
    x = (case.tensors["inputs/noise"] * (case.meta.get("sigma_max", 80.0) ** 2 + 1) ** 0.5).to(dtype)
    return sample_edm_euler(denoiser, x, sigmas, given=given)


def _compare_euler_text(case: GoldenCase) -> Iterator[Check]:
    t = case.under("inputs/")
    for part, reference in case.under("outputs/").items():
        text = t["text"].to(reference.dtype)
        other = t["neg_text"].to(reference.dtype) if part.endswith("neg") else torch.zeros_like(text)
        networks = (partial(_analytic_network, text=text), partial(_analytic_network, text=other))
        ours = _euler(case, _guided(case, *networks), case.meta["num_steps"], reference.dtype, None)
        yield Check(
            part=part, pairs=[(ours, reference)], tolerance=tolerance_of(reference, SAMPLER_TOLERANCE)
        )


def _given_frames(case: GoldenCase, augment_sigma: float) -> GivenFrames:
    latents = case.tensors["inputs/condition_latent"]
    return GivenFrames(
        latents=latents,
        indicator=given_indicator(torch.tensor([case.meta["num_condition_t"]]), latents.shape[2]),
        noise=_seeded_noise(latents.shape, case.meta["seed"]),
        augment_sigma=augment_sigma,
    )


def _compare_euler_video(case: GoldenCase) -> Iterator[Check]:
    t = case.under("inputs/")
    for part, reference in case.under("outputs/").items():
        steps, augment, *flags = part.split("_")
        given = replace(_given_frames(case, float(augment[1:])), is_first_release="legacy" in flags)
        mask = given.indicator.expand(-1, 1, *given.latents.shape[2:])
        other_mask = torch.zeros_like(mask) if "igf" in flags else mask
        networks = (
            partial(_analytic_network, text=t["text"].to(reference.dtype), condition_mask=mask),
            partial(_analytic_network, text=t["neg_text"].to(reference.dtype), condition_mask=other_mask),
        )
        ours = _euler(case, _guided(case, *networks), int(steps[1:]), reference.dtype, given)
        yield Check(
            part=part, pairs=[(ours, reference)], tolerance=tolerance_of(reference, SAMPLER_TOLERANCE)
        )


def _compare_res_video(case: GoldenCase) -> Iterator[Check]:
    t, meta = case.under("inputs/"), case.meta
    for part, reference in case.under("outputs/").items():
        steps, augment = part.split("_")
        given = _given_frames(case, float(augment[1:]))
        mask = given.indicator.expand(-1, 1, *given.latents.shape[2:])
        denoiser = _guided(
            case,
            partial(_analytic_network, text=t["text"], condition_mask=mask),
            partial(_analytic_network, text=t["neg_text"], condition_mask=mask),
        )
        sigmas = res_sigmas(int(steps[1:]), **_range(case))
        x = given.noise.double() * meta["sigma_max"]
        ours = sample_res(denoiser, x, sigmas, given=given)
        yield Check(part=part, pairs=[(ours, reference)], tolerance=SAMPLER_TOLERANCE)


def _compare_end_to_end(case: GoldenCase) -> Iterator[Check]:
    t = case.under("inputs/")
    network, more, given = network_from_golden(case, "weights/net."), {}, None
    if "condition_latent" in t:
        given = _given_frames(case, case.meta["augment_sigma"])
        more["condition_mask"] = given.indicator.expand(-1, 1, *given.latents.shape[2:])
    networks = [_bound(network, case, text=t[name], **more) for name in ("text", "neg_text")]
    ours = _euler(case, _guided(case, *networks), case.meta["num_steps"], t["noise"].dtype, given)
    yield Check(pairs=[(ours, case.tensors["outputs/samples"])], tolerance=SAMPLER_TOLERANCE)


def _compare_end_to_end_views(case: GoldenCase) -> Iterator[Check]:
    """The given frames are the first of every view; without guidance the text is zeros, the rest stays."""
    t, config = case.under("inputs/"), config_from_golden(case.meta)
    given = _given_frames(case, case.meta["augment_sigma"])
    frames = given.latents.shape[2] // config.num_views
    one = given_indicator(torch.tensor([case.meta["num_condition_t"]]), frames)
    given = replace(given, indicator=one.repeat(1, 1, config.num_views, 1, 1))
    more = {
        "condition_mask": given.indicator.expand(-1, 1, *given.latents.shape[2:]),
        "conditions": Conditions(frame_repeat=t["frame_repeat_raw"] / 10),
    }
    network = network_from_golden(case, "weights/net.")
    networks = [_bound(network, case, text=text, **more) for text in (t["text"], torch.zeros_like(t["text"]))]
    ours = _euler(case, _guided(case, *networks), case.meta["num_steps"], t["noise"].dtype, given)
    yield Check(pairs=[(ours, case.tensors["outputs/samples"])], tolerance=SAMPLER_TOLERANCE)


_COMPARISONS: dict[str, Comparison] = {
    **dict.fromkeys(KINDS, compare_network),
    "edm_scaling": _compare_coefficients,
    "edm_denoise_loss": _compare_training,
    "edm_denoise_loss_v2w": _compare_training,
    "edm_denoise_v2w_inference": _compare_inference,
    "sampler_res": _compare_res,
    "sampler_edm_euler": _compare_euler_text,
    "sampler_edm_euler_v2w": _compare_euler_video,
    "sampler_res_v2w": _compare_res_video,
    "end_to_end_t2w": _compare_end_to_end,
    "end_to_end_v2w": _compare_end_to_end,
    "end_to_end_multiview_v2w": _compare_end_to_end_views,
}
