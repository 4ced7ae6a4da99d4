"""Golden cases of autoregressive sampling and of the layouts of its weights."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from worldfoundry.evaluate.parity import Check, Comparison, GoldenCase, UnsupportedCaseError
from worldfoundry.models.autoregressive import official
from worldfoundry.models.autoregressive.sampling import SamplingConfig, draw, find_candidates

PROBABILITY_TOLERANCE = 1e-6
BF16_PROBABILITY_TOLERANCE = 1e-3


def find_comparison(case: GoldenCase) -> Comparison | None:
    """The comparison that such a case needs, if there is one."""
    return {"sampling": _compare_sampling, "checkpoint_conversion": _compare_layouts}.get(
        str(case.meta.get("name"))
    )


def _compare_sampling(case: GoldenCase) -> Iterator[Check]:
    for name, fields in case.meta["cases"].items():
        logits, clocks = (case.tensors[f"inputs/{name}/{key}"] for key in ("logits", "exp_draw"))
        stored = case.under(f"outputs/{name}/")
        candidates = find_candidates(logits[:, -1], _config(fields))
        dense = candidates.dense(logits.shape[-1])
        ours = {
            "probs": dense,
            "probs_unsorted": dense,
            "sorted_probs_renorm": dense.sort(dim=-1, descending=True).values,
        }
        pairs = [(ours[key].float(), value.float()) for key, value in stored.items() if key != "next_token"]
        is_low = logits.dtype == torch.bfloat16
        tolerance = BF16_PROBABILITY_TOLERANCE if is_low else PROBABILITY_TOLERANCE
        if pairs:
            yield Check(part=f"{name}/probabilities", pairs=pairs, tolerance=tolerance)
        if "kept" in fields:
            counts = (dense > 0).sum(-1), torch.tensor(fields["kept"])
            yield Check(part=f"{name}/kept", pairs=[counts], tolerance=0.0)
        tokens = draw(candidates, clocks[:, : candidates.tokens.shape[-1]])
        yield Check(part=f"{name}/token", pairs=[(tokens[:, None], stored["next_token"])], tolerance=0.0)


def _config(fields: dict[str, Any]) -> SamplingConfig:
    known = {"temperature", "top_p", "top_k", "mode", "dtype", "B", "V", "kept"}
    if unknown := sorted(fields.keys() - known):
        raise UnsupportedCaseError(f"unknown fields {', '.join(unknown)}")
    return SamplingConfig(
        temperature=float(fields["temperature"]), top_p=fields.get("top_p"), top_k=fields.get("top_k")
    )


def _compare_layouts(case: GoldenCase) -> Iterator[Check]:
    """Both ways: to the stored layout and back to the weights."""
    weights, pairs = official.plain(case.under("weights/")), case.under("weights_v1/")
    engine = case.under("outputs/te/")
    names = torch.tensor([len(set(case.meta["te_keys"]) ^ engine.keys())]), torch.tensor([0])
    yield _same("te", official.to_transformer_engine(weights), engine, names)
    yield _same("te/back", official.from_transformer_engine(engine), weights)
    ranks = sorted({k.split("/")[1] for k in case.tensors if k.startswith("outputs/tp")})
    shards = [official.plain(case.under(f"outputs/{rank}/")) for rank in ranks]
    for rank, ours, theirs in zip(ranks, official.split_shards(weights, len(shards)), shards, strict=True):
        yield _same(rank, ours, theirs)
    yield _same("tp/back", official.merge_shards(shards), weights)
    head_dim = case.meta["v1_dim"] // case.meta["n_heads"]
    llama = case.under("outputs/hf_from_v1/")
    yield _same("hf_from_v1", official.to_llama(pairs, head_dim=head_dim, rotation="pairs"), llama)
    yield _same("hf_from_v1/back", official.from_llama(llama, head_dim=head_dim, rotation="pairs"), pairs)
    stored = case.under("outputs/hf_from_v2/")
    ours = official.to_llama(pairs, head_dim=head_dim)
    yield _same("hf_from_v2", {k: ours[k] for k in stored}, stored)


def _same(
    part: str, ours: dict[str, Tensor], theirs: dict[str, Tensor], *more: tuple[Tensor, Tensor]
) -> Check:
    odd = torch.tensor([len(ours.keys() ^ theirs.keys())]), torch.tensor([0])
    common = [(ours[k], theirs[k]) for k in sorted(ours.keys() & theirs.keys())]
    return Check(part=part, pairs=[odd, *more, *common], tolerance=0.0)
