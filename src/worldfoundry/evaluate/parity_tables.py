"""Golden cases of the diffusion world model's tables: schedules, positions, noise levels, and numbers of training."""

from collections.abc import Iterator

import numpy as np
import torch

from worldfoundry.evaluate.parity import Check, Comparison, GoldenCase
from worldfoundry.models.common.embeddings import LearnedPositions, grid_sines, sinusoid
from worldfoundry.models.common.rope import REFERENCE_FPS, axis_angles, axis_dims, rope_angles
from worldfoundry.models.diffusion.chunks import given_latents, overlap_frames
from worldfoundry.models.diffusion.samplers import edm_euler_sigmas, karras_sigmas, res_sigmas
from worldfoundry.training.ema import ema_beta, ema_exponent

TABLE_TOLERANCE = 1e-6
_SINCOS_RATIOS = (3.0, 2.0, 1.5)
"""Over time, rows and columns of the stretched table that is stored, found by trying; its file does not say them."""


def find_comparison(case: GoldenCase) -> Comparison | None:
    """The comparison that a table needs, if it is one."""
    return _COMPARISONS.get(str(case.meta.get("kind")))


def _compare_schedules(case: GoldenCase) -> Iterator[Check]:
    pairs = []
    for name, reference in case.under("outputs/").items():
        family, num, *what = name.split("_")
        if family == "res":
            ours = res_sigmas(int(num))
        elif family == "predict1":
            ours = edm_euler_sigmas(int(num))
        else:
            ours = karras_sigmas(int(num), sigma_min=0.002, sigma_max=80.0).float()
            ours = torch.cat((ours, ours[-1:]))
        pairs.append((ours[:-1].log() / 4 if what == ["timesteps"] else ours, reference))
    yield Check(pairs=pairs, tolerance=TABLE_TOLERANCE)


def _compare_rope(case: GoldenCase) -> Iterator[Check]:
    head_dim, pairs = case.meta["head_dim"], []
    for name, reference in case.under("outputs/").items():
        precision, axis, *settings = name.split("_")
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
        if axis == "3d":
            t, h, w = case.meta["shape_3d"]
            angles = rope_angles((t, h, w), head_dim, (2.0, 1.0, 1.0), 24.0, dtype)
            pairs.append((torch.cat((angles, angles), dim=-1)[:, None, None], reference))
            continue
        positions = torch.arange(len(reference)).to(dtype)
        if axis == "t":
            positions = (
                positions / torch.tensor(float(settings[1].removeprefix("fps")), dtype=dtype) * REFERENCE_FPS
            )
        dim = axis_dims(head_dim)["thw".index(axis)]
        pairs.append((axis_angles(positions.float(), dim, float(settings[0][1:]), dtype), reference))
    yield Check(pairs=pairs, tolerance=TABLE_TOLERANCE)


def _compare_positions(case: GoldenCase) -> Iterator[Check]:
    t, h, w = case.meta["lens"]
    positions = LearnedPositions(case.meta["model_channels"], (t, h, w))
    positions.load_state_dict(case.under("weights/"))
    _, t, h, w = case.meta["shape_BTHW"]
    pairs = [
        (positions.to(reference.dtype)(t, h, w)[None], reference)
        for reference in (case.tensors["outputs/learnable_fp32"], case.tensors["outputs/learnable_bf16"])
    ]
    yield Check(part="learnable", pairs=pairs, tolerance=TABLE_TOLERANCE)
    dim, low = case.meta["model_channels"], torch.bfloat16
    ours = {
        "sincos_V3_T2": grid_sines((2, h, w), dim),
        "sincos_V3_T2_bf16": grid_sines((2, h, w), dim, dtype=low),
        "sincos_V3_T2_ratios": grid_sines((2, h, w), dim, ratios=_SINCOS_RATIOS),
    }
    shown = [
        (table.view(2, h, w, dim).repeat(3, 1, 1, 1)[None], case.tensors[f"outputs/{k}"])
        for k, table in ours.items()
    ]
    yield Check(part="sincos", pairs=shown, tolerance=TABLE_TOLERANCE)


def _compare_sinusoid(case: GoldenCase) -> Iterator[Check]:
    values, dim = case.tensors["inputs/timesteps"], case.meta["channels"]
    pairs = [
        (sinusoid(values.to(reference.dtype), dim), reference)
        for reference in case.under("outputs/").values()
    ]
    yield Check(pairs=pairs, tolerance=TABLE_TOLERANCE)


def _compare_numbers(case: GoldenCase) -> Iterator[Check]:
    """Frames of chunks, moving averages, the published noise of a seed."""
    for chunk, table in case.meta["num_latent_frames_for_input_frames"].items():
        pairs = [(given_latents(int(n), int(chunk)), expected) for n, expected in table.items()]
        yield _numbers(
            f"latents_of_{chunk}", [(-1 if a is None else a, -1 if b is None else b) for a, b in pairs]
        )
    for chunk, table in case.meta["num_pixel_frames_for_latent_overlap"].items():
        yield _numbers(
            f"overlap_of_{chunk}", [(overlap_frames(int(m), int(chunk)), n) for m, n in table.items()]
        )
    for width, stored in case.meta["power_ema"].items():
        exponent = ema_exponent(float(width))
        betas = [(ema_beta(int(step), exponent), beta) for step, beta in stored["betas"].items()]
        yield _numbers(f"power_ema_{width}", [(exponent, stored["exponent"]), *betas])
    for name, reference in case.under("outputs/arch_invariant_rand_seed").items():
        drawn = np.random.RandomState(int(name)).standard_normal(tuple(reference.shape))
        yield Check(
            part=f"noise_of_seed_{name}", pairs=[(torch.from_numpy(drawn).float(), reference)], tolerance=0.0
        )
    yield Check(part="lr_multiplier", reason="warm-up begins at 1 / steps here, not at a millionth")
    yield Check(part="num_latent_frames_legacy_first_release", reason="a bug of the first release")


def _numbers(part: str, pairs: list[tuple[float, float]]) -> Check:
    ours, theirs = (torch.tensor(side, dtype=torch.float64) for side in zip(*pairs, strict=True))
    return Check(part=part, pairs=[(ours, theirs)], tolerance=TABLE_TOLERANCE)


_COMPARISONS: dict[str, Comparison] = {
    "noise_schedules": _compare_schedules,
    "rope_tables": _compare_rope,
    "abs_pos_emb": _compare_positions,
    "timestep_sinusoid": _compare_sinusoid,
    "misc": _compare_numbers,
}
