"""Golden cases of what the diffusion model computes without a network: coefficients, schedules, positions."""

from collections.abc import Iterator

import torch

from worldfoundry.evaluate.parity import Check, GoldenCase
from worldfoundry.models.common.embeddings import LearnedPositions, sinusoid
from worldfoundry.models.common.rope import REFERENCE_FPS, axis_angles, axis_dims, rope_angles
from worldfoundry.models.diffusion.edm import preconditioning
from worldfoundry.models.diffusion.samplers import edm_euler_sigmas, karras_sigmas, res_sigmas

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
    yield Check(part="sincos", reason="multiview networks only")


def compare_sinusoid(case: GoldenCase) -> Iterator[Check]:
    """The embedding of noise levels."""
    values, dim = case.tensors["inputs/timesteps"], case.meta["channels"]
    pairs = [
        (sinusoid(values.to(reference.dtype), dim), reference)
        for reference in case.under("outputs/").values()
    ]
    yield Check(pairs=pairs, tolerance=TABLE_TOLERANCE)
