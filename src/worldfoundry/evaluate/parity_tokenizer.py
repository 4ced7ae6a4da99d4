"""Golden cases of the tokenizer: continuous video networks and the 3-D Haar wavelet."""

from collections.abc import Iterator

from torch import Tensor

from worldfoundry.evaluate.parity import Check, Comparison, GoldenCase, UnsupportedCaseError

LATENT_TOLERANCE = 1e-4
RECONSTRUCTION_TOLERANCE = 1e-4
WAVELET_TOLERANCE = 2e-6


def find_comparison(case: GoldenCase) -> Comparison | None:
    """The comparison that a tokenizer case needs, if there is one."""
    if case.meta.get("case") == "wavelet":
        return compare_wavelet
    return compare_video_tokenizer if case.meta.get("family") == "CV" else None


def compare_wavelet(case: GoldenCase) -> Iterator[Check]:
    """Patch and unpatch; only the 3-D Haar transform of even sizes in float32 exists here."""
    from worldfoundry.models.tokenizer.wavelet import patch, unpatch  # noqa: PLC0415  only for this case

    pairs: list[tuple[Tensor, Tensor]] = []
    others: set[str] = set()
    for name in sorted({k.rsplit(".", 1)[0] for k in case.tensors}):
        t = case.under(name + ".")
        words = name.split(".")
        if words[0] == "3d" and words[2] == "haar":
            size = int(words[1].removeprefix("p"))
            pairs += [(patch(t["input"], size), t["patched"]), (unpatch(t["coeffs"], size), t["unpatched"])]
        else:
            others.add(words[0] if words[0] in ("quirk", "bf16") else f"{words[0]}-{words[2]}")
    yield Check(part="3d-haar", pairs=pairs, tolerance=WAVELET_TOLERANCE)
    for part in sorted(others):
        yield Check(part=part, reason="only the 3-D Haar transform of even sizes in float32 exists here")


def compare_video_tokenizer(case: GoldenCase) -> Iterator[Check]:
    """Encode every input and decode every latent of a continuous video tokenizer."""
    from worldfoundry.models.tokenizer.network import WaveletTokenizer  # noqa: PLC0415  only for this case
    from worldfoundry.models.tokenizer.official import config_from_golden, load_official  # noqa: PLC0415

    weights = {k: v.float() if v.is_floating_point() else v for k, v in case.under("weights/").items()}
    if str(case.meta.get("case", "")).startswith("diffusers"):
        raise UnsupportedCaseError("the diffusers key layout is not read yet")
    if any(".attn." in k for k in weights if k.startswith(("encoder.down.", "decoder.up."))):
        raise UnsupportedCaseError("attention inside levels; no published model has it")
    model = WaveletTokenizer(config_from_golden(case.meta["config"], weights)).eval()
    load_official(model, weights)
    t = case.tensors
    latents = [
        (model.encode(v), t[f"latent{k.removeprefix('input')}"])
        for k, v in t.items()
        if k.startswith("input")
    ]
    clips = [
        (model.decode(v), t[f"recon{k.removeprefix('latent')}"])
        for k, v in t.items()
        if k.startswith("latent")
    ]
    suggested = case.meta.get("suggested_tolerance", {})
    yield Check(
        part="latent",
        pairs=latents,
        tolerance=min(LATENT_TOLERANCE, suggested.get("latent", LATENT_TOLERANCE)),
    )
    yield Check(
        part="recon",
        pairs=clips,
        tolerance=min(RECONSTRUCTION_TOLERANCE, suggested.get("recon", RECONSTRUCTION_TOLERANCE)),
    )
