"""Golden cases of the EDM process: losses, given frames and whole sampling runs of a network."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch

from worldfoundry.evaluate.parity import Check, GoldenCase
from worldfoundry.evaluate.parity_diffusion_networks import NETWORK_TOLERANCE, bind, network_from_golden
from worldfoundry.evaluate.parity_diffusion_samplers import (
    SAMPLER_TOLERANCE,
    check_euler,
    given_frames,
    guided,
    seeded_noise,
)
from worldfoundry.models.diffusion.config import EDMConfig
from worldfoundry.models.diffusion.edm import (
    TrainingNoise,
    Uncertainty,
    corrupt_given,
    denoise,
    edm_loss_at,
    given_indicator,
    preconditioning,
)
from worldfoundry.models.diffusion.inputs import ExtraInputs
from worldfoundry.models.diffusion.samplers import GivenFrames

FRAME_REPEAT_SCALE = 10.0
"""Published conditioners divide the number of repeated frames by this."""


def compare_training(case: GoldenCase) -> Iterator[Check]:
    """The loss of both families; the expected predictions follow from the same parts that the loss is made of."""
    t, sigma_data = case.under("inputs/"), case.meta["sigma_data"]
    is_video = "augment_sigma" in t
    network = bind(network_from_golden(case, "weights/net."), case, text=t["crossattn_emb"])
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


def compare_inference(case: GoldenCase) -> Iterator[Check]:
    """One evaluation with given frames, the noise on them below and above the noise of the rest."""
    t = case.under("inputs/")
    latents, mask = t["gt_latent"], t["condition_mask"]
    network = bind(
        network_from_golden(case, "weights/net."), case, text=t["crossattn_emb"], condition_mask=mask
    )
    pairs = []
    for part in ("a", "b"):
        sigma = t[f"{part}_sigma"][0]
        given = GivenFrames(
            latents=latents,
            indicator=mask[..., :1, :1],
            noise=seeded_noise(latents.shape, case.meta["seed_inference"]),
            augment_sigma=float(t[f"{part}_augment_sigma"]),
        )
        seen = given.mix(latents + t["epsilon"] * sigma, sigma)
        x0 = denoise(network, seen, sigma, sigma_data=given.sigma_data)
        for name, ours in (
            ("xt_network", seen),
            ("net_x0_pred", x0),
            ("x0_pred_replaced", given.replace(x0, sigma)),
        ):
            pairs.append((ours, case.tensors[f"outputs/{part}_{name}"]))
    yield Check(pairs=pairs, tolerance=SAMPLER_TOLERANCE)


def compare_end_to_end(case: GoldenCase) -> Iterator[Check]:
    """A whole sampling run of a small network; without a negative prompt, zero text takes its place."""
    t, more, given = case.under("inputs/"), {}, None
    network = network_from_golden(case, "weights/net.")
    if "condition_latent" in t:
        given = given_frames(
            case, case.meta["augment_sigma"], num_views=network.config.num_views, replacement="published"
        )
        more["condition_mask"] = given.indicator.expand(-1, 1, *given.latents.shape[2:])
    if "frame_repeat_raw" in t:
        more["extra"] = ExtraInputs(view_repeat=t["frame_repeat_raw"] / FRAME_REPEAT_SCALE)
    other = t.get("neg_text", torch.zeros_like(t["text"]))
    networks = [bind(network, case, text=text, **more) for text in (t["text"], other)]
    yield check_euler(case, guided(case, *networks), case.meta["num_steps"], given)
