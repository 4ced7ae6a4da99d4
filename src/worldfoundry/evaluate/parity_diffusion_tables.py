"""Golden cases of what the diffusion model computes without a network: coefficients, schedules, positions."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from worldfoundry.core.errors import DataError
from worldfoundry.evaluate.parity import Check, GoldenCase, UnsupportedCaseError
from worldfoundry.evaluate.parity_diffusion_samplers import seeded_noise
from worldfoundry.models.common.embeddings import LearnedPositions, grid_sines, sinusoid
from worldfoundry.models.common.rope import REFERENCE_FPS, axis_angles, axis_dims, rope_angles
from worldfoundry.models.diffusion.edm import preconditioning
from worldfoundry.models.diffusion.samplers import edm_euler_sigmas, karras_sigmas, res_sigmas
from worldfoundry.models.diffusion.windows import num_chunk_frames, num_chunk_latents
from worldfoundry.training.ema import ema_beta, ema_exponent

COEFFICIENT_TOLERANCE = 1e-12
TABLE_TOLERANCE = 1e-6


def compare_coefficients(case: GoldenCase) -> Iterator[Check]:
    """Preconditioning and loss weight."""
    ours = preconditioning(case.tensors["inputs/sigma"], case.meta["sigma_data"])._asdict()
    pairs = [(value, case.tensors[f"outputs/{name}"]) for name, value in ours.items()]
    yield Check(pairs=pairs, tolerance=COEFFICIENT_TOLERANCE)


def compare_schedules(case: GoldenCase) -> Iterator[Check]:
    """Noise levels, and the ``c_noise`` at them."""
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


def compare_rope(case: GoldenCase) -> Iterator[Check]:
    """Rotary angles of each axis and of a grid."""
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


def compare_positions(case: GoldenCase) -> Iterator[Check]:
    """Position vectors that are added before every block."""
    t, h, w = case.meta["lens"]
    positions = LearnedPositions(case.meta["model_channels"], (t, h, w))
    positions.load_state_dict(case.under("weights/"))
    _, t, h, w = case.meta["shape_BTHW"]
    pairs = [
        (positions.to(reference.dtype)(t, h, w)[None], reference)
        for reference in (case.tensors["outputs/learnable_fp32"], case.tensors["outputs/learnable_bf16"])
    ]
    yield Check(part="learnable", pairs=pairs, tolerance=TABLE_TOLERANCE)
    yield Check(part="sincos", pairs=list(_sincos_pairs(case)), tolerance=TABLE_TOLERANCE)


def _sincos_pairs(case: GoldenCase) -> Iterator[tuple[Tensor, Tensor]]:
    dim, (_, _, h, w) = case.meta["model_channels"], case.meta["shape_BTHW"]
    for name, reference in case.under("outputs/sincos_").items():
        views, frames, *flags = name.split("_")
        if set(flags) - {"ratios", "bf16"}:
            raise UnsupportedCaseError(f"sincos_{name} is not supported")
        num_views, grid = int(views[1:]), (int(frames[1:]), h, w)
        ratios = _ratios_of(reference, dim) if "ratios" in flags else (1.0, 1.0, 1.0)
        ours = grid_sines(grid, dim, ratios=ratios, dtype=reference.dtype).repeat(num_views, 1)
        yield ours.view(reference.shape), reference


def _ratios_of(table: Tensor, dim: int) -> tuple[float, float, float]:
    """The ratios that a case does not state, from the angle of the first frequency at position 1 of each axis."""
    start, ratios = 0, []
    for axis, width in enumerate(axis_dims(dim)):
        sin, cos = table[0].movedim(axis, 0)[1, 0, 0, [start, start + width // 2]].tolist()
        ratios.append(round(1 / math.atan2(sin, cos), 4))
        start += width
    t, h, w = ratios
    return t, h, w


def compare_sinusoid(case: GoldenCase) -> Iterator[Check]:
    """The embedding of noise levels."""
    values, dim = case.tensors["inputs/timesteps"], case.meta["channels"]
    pairs = [
        (sinusoid(values.to(reference.dtype), dim), reference)
        for reference in case.under("outputs/").values()
    ]
    yield Check(pairs=pairs, tolerance=TABLE_TOLERANCE)


def compare_misc(case: GoldenCase) -> Iterator[Check]:
    """Seeded noise, moving averages and the counts of latents."""
    noise = case.under("outputs/arch_invariant_rand_seed").items()
    pairs = [(seeded_noise(reference.shape, int(seed)), reference) for seed, reference in noise]
    yield Check(part="arch_invariant_rand", pairs=pairs, tolerance=TABLE_TOLERANCE)
    stated = case.meta["power_ema"].items()
    averages = [pair for width, values in stated for pair in _ema_pairs(float(width), values)]
    yield Check(part="power_ema", pairs=averages, tolerance=TABLE_TOLERANCE)
    for part, count in (
        ("num_latent_frames_for_input_frames", num_chunk_latents),
        ("num_pixel_frames_for_latent_overlap", num_chunk_frames),
    ):
        yield Check(part=part, pairs=[_counts(case.meta[part], count)], tolerance=0.0)
    yield Check(part="lr_multiplier", reason="our warm-up starts at 1 / warmup_steps")
    yield Check(part="num_latent_frames_legacy_first_release", reason="a bug of the first release")


def _ema_pairs(width: float, stated: dict[str, Any]) -> Iterator[tuple[Tensor, Tensor]]:
    exponent = ema_exponent(width)
    yield (
        torch.tensor([exponent], dtype=torch.float64),
        torch.tensor([stated["exponent"]], dtype=torch.float64),
    )
    ours = [ema_beta(int(step), exponent) for step in stated["betas"]]
    yield torch.tensor(ours), torch.tensor(list(stated["betas"].values()))


def _counts(stated: dict[str, dict[str, int | None]], count: Callable[..., int]) -> tuple[Tensor, Tensor]:
    """Ours and theirs; what is refused counts as -1."""
    ours, theirs = [], []
    for chunk, table in stated.items():
        for number, expected in table.items():
            try:
                ours.append(count(int(number), chunk_frames=int(chunk)))
            except DataError:
                ours.append(-1)
            theirs.append(-1 if expected is None else expected)
    return torch.tensor(ours), torch.tensor(theirs)
