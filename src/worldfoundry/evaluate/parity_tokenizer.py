"""Golden cases of the tokenizer: whole networks of every kind, and their parts alone."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from worldfoundry.evaluate.parity import Check, Comparison, GoldenCase, load_case
from worldfoundry.evaluate.parity_losses import compare_losses
from worldfoundry.models.tokenizer.coder import ResBlock
from worldfoundry.models.tokenizer.image_layers import image_layers
from worldfoundry.models.tokenizer.layers import CausalConv, video_layers
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.models.tokenizer.normalise import LatentStatistics
from worldfoundry.models.tokenizer.official import config_from_golden, load_official, official_from_diffusers
from worldfoundry.models.tokenizer.pipeline import pad, pixels_from_uint8, reconstruct, uint8_from_pixels
from worldfoundry.models.tokenizer.quantize import FSQ, ResidualFSQ
from worldfoundry.models.tokenizer.wavelet import patch, unpatch

NETWORK_TOLERANCE = 1e-4
"""Of latents and pixels; a case may ask for less."""
WAVELET_TOLERANCE = 2e-6
BLOCK_TOLERANCE = 2e-6
"""Times the largest reference value if that is above 1."""
GRADIENT_TOLERANCE = 1e-5
STATISTICS_TOLERANCE = 1e-6
GREY_LEVELS = 1.0
"""Of a reconstructed clip in uint8: where rounding meets a boundary."""
BF16_STEP = 2**-7
"""Distance of two neighbours in bfloat16, relative to the power of two below them."""


def find_comparison(case: GoldenCase) -> Comparison | None:
    """The comparison that a tokenizer case needs, if there is one."""
    if case.meta.get("family") in ("CV", "DV", "CI", "DI"):
        return compare_tokenizer
    return _PARTS.get(str(case.meta.get("case")))


def tokenizer_from_golden(case: GoldenCase) -> WaveletTokenizer:
    """The tokenizer of a case with its weights, loaded strictly."""
    weights = {k: v.float() if v.is_floating_point() else v for k, v in case.under("weights/").items()}
    fields = case.meta["config"]
    if case.meta.get("layout") == "diffusers":
        weights, fields = official_from_diffusers(weights), case.meta["official_config"]
    groups = case.meta.get("image_num_groups")
    model = WaveletTokenizer(
        config_from_golden({**fields, "num_groups": groups} if groups else fields, weights)
    )
    load_official(model, weights)
    return model.eval()


def compare_tokenizer(case: GoldenCase) -> Iterator[Check]:
    """Encode every input and decode every latent, at once and, if a video, in the smallest pieces."""
    model, t = tokenizer_from_golden(case), case.tensors
    suffixes = [name.removeprefix("input") for name in t if name.startswith("input")]
    suggested = case.meta.get("suggested_tolerance", {})

    def check(part: str, kind: str, encode: Callable[[str], Tensor]) -> Check:
        pairs = [(encode(suffix), t[kind + suffix]) for suffix in suffixes]
        return Check(
            part=part, pairs=pairs, tolerance=min(NETWORK_TOLERANCE, suggested.get(kind, NETWORK_TOLERANCE))
        )

    yield check("latent", "latent", lambda s: model.encode_codes(t["input" + s]))
    yield check("recon", "recon", lambda s: model.decode(t["latent" + s]))
    if model.fsq is not None:
        indices = [(model.encode(t["input" + s]), t["indices" + s]) for s in suffixes]
        yield Check(part="indices", pairs=indices, tolerance=0.0)
        yield check("recon-of-indices", "recon", lambda s: model.decode(t["indices" + s]))
    if model.config.is_variational:
        mean, log_variance = model.posterior(t["input"])
        pairs = [(mean, t["debug.mean"]), (log_variance, t["debug.logvar"])]
        yield Check(part="posterior", pairs=pairs, tolerance=suggested["latent"])
    if model.config.dimensions == "video":
        yield check("latent-streamed", "latent", lambda s: _encode_in_pieces(model, t["input" + s]))
        yield check("recon-streamed", "recon", lambda s: _decode_in_pieces(model, t["latent" + s]))


def _encode_in_pieces(model: WaveletTokenizer, pixels: Tensor) -> Tensor:
    stream, stride = model.stream(), model.spec.temporal_stride
    pieces = [pixels[:, :, :1], *pixels[:, :, 1:].split(stride, dim=2)]
    latents = torch.cat(
        [stream.encode(piece) for piece in pieces if piece.shape[2]], dim=int(model.fsq is None) + 1
    )
    return latents if model.fsq is None else model.fsq.codes(latents)


def _decode_in_pieces(model: WaveletTokenizer, latents: Tensor) -> Tensor:
    stream = model.stream()
    return torch.cat([stream.decode(piece) for piece in latents.split(1, dim=2)], dim=2)


def _compare_wavelet(case: GoldenCase) -> Iterator[Check]:
    """Patches of both kinds, of clips and of images, of odd sizes and in bfloat16."""
    pairs: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for name in sorted({k.rsplit(".", 1)[0] for k in case.tensors}):
        t, words = case.under(name + "."), name.split(".")
        size = int(next(w for w in words if w[0] == "p")[1:])
        if words[0] in ("quirk", "bf16"):
            found = pairs.setdefault(words[0], [])
            patched = patch(t["input"], size, reflect_odd=words[0] == "quirk")
            found.append((patched, t["patched"]))
            if "unpatched_of_patched" in t:
                found.append((unpatch(t["patched"], size), t["unpatched_of_patched"]))
            continue
        method = "rearrange" if words[2] == "rearrange" else "haar"
        pairs.setdefault(f"{words[0]}-{words[2]}", []).extend(
            [
                (patch(t["input"], size, method=method), t["patched"]),
                (unpatch(t["coeffs"], size, method=method), t["unpatched"]),
            ]
        )
    for part, found in pairs.items():
        if part == "bf16":
            found = [(_in_steps(ours, theirs), _in_steps(theirs, theirs)) for ours, theirs in found]
        yield Check(part=part, pairs=found, tolerance=2.0 if part == "bf16" else WAVELET_TOLERANCE)


def _in_steps(x: Tensor, reference: Tensor) -> Tensor:
    """In units of the distance of bfloat16 numbers at the reference's largest value."""
    return x.double() / (2 ** reference.double().abs().max().log2().floor() * BF16_STEP)


def _compare_fsq(case: GoldenCase) -> Iterator[Check]:
    exact: list[tuple[Tensor, Tensor]] = []
    gradients: list[tuple[Tensor, Tensor]] = []
    for name in sorted({k.split(".")[0] for k in case.tensors if k.startswith("l")}):
        t = case.under(name + ".")
        fsq = FSQ(tuple(t["levels"].tolist()))
        for part in ("s0.", "s1.", "bf16.", "seq."):
            z, codes, indices = (t[part + k] for k in ("z", "codes", "indices"))
            if part == "seq.":
                z, codes = z.movedim(-1, 1), codes.movedim(-1, 1)
            exact += [
                (fsq.quantize(z), codes),
                (fsq.indices(codes), indices),
                (fsq.codes(indices, codes.dtype), codes),
            ]
            if part + "grad_z" in t:
                gradients += [
                    (fsq.bound(z), t[part + "bounded"]),
                    (_gradient(fsq, z, t[part + "grad_codes"]), t[part + "grad_z"]),
                ]
        exact.append((fsq.codes(t["dec.indices"]), t["dec.codes"]))
        if name == "l0":
            exact.append((4 * fsq.codes(torch.arange(fsq.codebook_size)), case.tensors["codebook_x4_int8"]))
    yield Check(part="codes-and-indices", pairs=exact, tolerance=0.0)
    yield Check(part="gradient", pairs=gradients, tolerance=GRADIENT_TOLERANCE)
    t = case.under("residual.")
    levels = case.meta.get("residual_levels", [5] * t["z"].shape[1])
    fsq = ResidualFSQ(tuple(levels), num_stages=t["indices"].shape[1])
    codes, indices = fsq.quantize(t["z"])
    pairs = [(codes, t["codes"]), (indices, t["indices"]), (fsq.codes(t["indices"]), t["codes"])]
    yield Check(part="residual", pairs=pairs, tolerance=0.0)


@torch.enable_grad()
def _gradient(fsq: FSQ, z: Tensor, weight: Tensor) -> Tensor:
    z = z.clone().requires_grad_()
    return torch.autograd.grad((fsq.quantize(z) * weight).sum(), z)[0]


def _compare_blocks(case: GoldenCase) -> Iterator[Check]:
    for name, options in case.meta["blocks"].items():
        x, reference = case.tensors[f"{name}/input"], case.tensors[f"{name}/output"]
        block = _block(name, options, x.shape[1], reference.shape[1])
        block.load_state_dict(case.under(f"{name}/weights/"))
        tolerance = BLOCK_TOLERANCE * max(1.0, float(reference.abs().max()))
        yield Check(part=name, pairs=[(block(x), reference)], tolerance=tolerance)


def _block(name: str, options: Mapping[str, Any], c_in: int, c_out: int) -> nn.Module:
    if name.startswith("causal_conv"):
        kt, kh, kw = (int(size) for size in name.split("_")[2].split("x"))
        stride, padding = options.get("time_stride", 1), options.get("pad_hw", 0)
        return CausalConv(c_in, c_out, (kt, kh, kw), stride=stride, padding=padding)
    layers = image_layers(32) if name.startswith("image") else video_layers()
    if "resblock" in name:
        return ResBlock(layers, c_in, c_out)
    if name.startswith("norm"):
        return layers.norm(c_in)
    if "attn" in name:
        attention = layers.attention(c_in)
        return (
            attention if name == "image_attn" else attention.get_submodule(str(int(name == "attn_temporal")))
        )
    make = layers.down if "down" in name else layers.up
    axes = "S" if name.startswith("image") else name.split("_")[2]
    return make(c_in, space="S" in axes, time="T" in axes)


def _compare_latent_norm(case: GoldenCase) -> Iterator[Check]:
    t = case.tensors
    mean, std = t["mean_std_file.mean"], t["mean_std_file.std"]
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        statistics = LatentStatistics.from_flat(mean, std, latent_channels=16).rounded(dtype)
        pairs = []
        for name in sorted({k.rsplit(".", 1)[0] for k in t if k.startswith(precision)}):
            raw, normalised, decoder_input = (
                t[f"{name}.{k}"] for k in ("raw_latent", "normalised", "decoder_input")
            )
            pairs.append((statistics.normalise(raw.to(dtype).float()), normalised))
            pairs.append((statistics.denormalise(normalised).to(dtype), decoder_input))
        yield Check(part=precision, pairs=pairs, tolerance=STATISTICS_TOLERANCE)


def _compare_pipeline(case: GoldenCase) -> Iterator[Check]:
    pairs: list[tuple[Tensor, Tensor]] = []
    for name in sorted({k.split(".")[0] for k in case.tensors if k.endswith(".crop")}):
        t = case.under(name + ".")
        padded = pad(t["input"])
        crop = torch.tensor([[s.start for s in padded.crop[1:]], [s.stop for s in padded.crop[1:]]])
        pixels = pixels_from_uint8(padded.frames)
        if name.startswith("video"):
            pixels = pixels[..., ::8, ::8]
        pairs += [(padded.frames, t["padded"]), (crop.flatten(), t["crop"]), (pixels, t["tensor"])]
    t = case.under("to_uint8.")
    pairs += [(uint8_from_pixels(t[k + "input"]), t[k + "output"]) for k in ("", "bf16_")]
    yield Check(part="frames", pairs=pairs, tolerance=0.0)
    yield _compare_clip(case)


def _compare_clip(case: GoldenCase) -> Check:
    """A whole clip through the published pipeline; its network is that of another case."""
    info = case.meta["info"]["clip"]
    path = case.path.with_name(f"{info['model_case']}.json")
    if not path.is_file():
        return Check(part="clip", reason=f"needs {path.name} beside it, which has the weights")
    tokenizer = tokenizer_from_golden(load_case(path, info["model_case"]))
    frames = case.tensors["clip.input"]
    ours = reconstruct(tokenizer, frames, window_frames=info["temporal_window"])
    return Check(part="clip", pairs=[(ours, case.tensors["clip.output"])], tolerance=GREY_LEVELS)


_PARTS: dict[str, Comparison] = {
    "wavelet": _compare_wavelet,
    "fsq": _compare_fsq,
    "blocks": _compare_blocks,
    "latent_norm": _compare_latent_norm,
    "pipeline_uint8": _compare_pipeline,
    "losses": compare_losses,
}
