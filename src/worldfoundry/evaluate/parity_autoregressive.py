"""Golden cases of the autoregressive transformer: network, decoding with a cache, position tables, training loss."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from worldfoundry.evaluate.parity import Check, Comparison, GoldenCase, UnsupportedCaseError
from worldfoundry.models.autoregressive.config import TOKEN_MULTIPLE, AutoregressiveConfig, YarnConfig
from worldfoundry.models.autoregressive.loss import IGNORED, next_token_loss, next_tokens
from worldfoundry.models.autoregressive.positions import (
    absolute_positions,
    grid_frequencies,
    rotary_frequencies,
    rotary_tables,
    turn,
    turn_pairs,
)
from worldfoundry.models.autoregressive.transformer import AutoregressiveTransformer, TextContext

LOGITS_TOLERANCE = 1e-5
"""Of float32 logits of size 4."""
BF16_TOLERANCE = 0.1
"""Of bfloat16 logits of size 4; the order of sums in a kernel moves them."""
TABLE_TOLERANCE = 1e-6
_TASKS = {"video_to_video": False, "text_to_video": True}
_IGNORED_FIELDS = frozenset(
    "batch name seed n_prompt n_decode full_vs_decode_maxdiff logits_absmax max_seq_len".split()
)
_MODEL_FIELDS = frozenset(
    "dim n_layers n_heads n_kv_heads head_dim ffn_hidden_size vocab_size norm_eps rope_theta latent_shape pad_to_multiple_of "
    "precision use_qk_normalization apply_abs_pos_emb insert_cross_attn insert_cross_attn_every_k_layers context_dim context_len "
    "training_type apply_yarn yarn_scale yarn_beta_fast yarn_beta_slow original_latent_shape embedding_rows bov_token".split()
)
_TRAINING_FIELDS = frozenset("z_loss_coeff ignore_first_num_tokens ignore_index loss ce z trainable".split())


def find_comparison(case: GoldenCase) -> Comparison | None:
    """The comparison that an autoregressive case needs, if there is one."""
    if "outputs/logits_full" in case.tensors:
        return _compare_network
    if "outputs/ce" in case.tensors:
        return _compare_training
    tables = {
        "rope3d_tables": _compare_grid,
        "rope1d_tables": _compare_line,
        "abs_pos_emb_tables": _compare_absolute,
    }
    return tables.get(str(case.meta.get("name")))


def config_from_golden(fields: dict[str, Any]) -> AutoregressiveConfig:
    """Our configuration from the reference's field names; refuses what the network does not have."""
    unknown = sorted(fields.keys() - _IGNORED_FIELDS - _MODEL_FIELDS - _TRAINING_FIELDS)
    if unknown:
        raise UnsupportedCaseError(f"unknown fields {', '.join(unknown)}")
    if fields.get("pad_to_multiple_of", TOKEN_MULTIPLE) != TOKEN_MULTIPLE:
        raise UnsupportedCaseError(f"pad_to_multiple_of={fields['pad_to_multiple_of']} is not supported")
    if fields["training_type"] not in _TASKS:
        raise UnsupportedCaseError(f"training_type={fields['training_type']!r} is not supported")
    yarn = None
    if fields.get("apply_yarn"):
        yarn = YarnConfig(
            scale=float(fields["yarn_scale"]),
            beta_fast=float(fields["yarn_beta_fast"]),
            beta_slow=float(fields["yarn_beta_slow"]),
            original_latent_shape=_shape(fields["original_latent_shape"]),
        )
    config = AutoregressiveConfig(
        dim=fields["dim"],
        num_layers=fields["n_layers"],
        num_heads=fields["n_heads"],
        num_kv_heads=fields["n_kv_heads"],
        head_dim=fields.get("head_dim") or fields["dim"] // fields["n_heads"],
        hidden_dim=fields["ffn_hidden_size"],
        vocab_size=fields["vocab_size"],
        latent_shape=_shape(fields["latent_shape"]),
        has_begin_token=_TASKS[fields["training_type"]],
        has_absolute_positions=fields["apply_abs_pos_emb"],
        text_dim=fields["context_dim"] if fields["insert_cross_attn"] else 0,
        text_every=fields.get("insert_cross_attn_every_k_layers", 1),
        has_qk_norm=fields.get("use_qk_normalization", True),
        norm_eps=float(fields["norm_eps"]),
        rope_theta=float(fields["rope_theta"]),
        yarn=yarn,
    )
    _check_rows(config, fields)
    return config


def _check_rows(config: AutoregressiveConfig, fields: dict[str, Any]) -> None:
    stated = {"embedding_rows": config.embedding_rows, "bov_token": config.begin_token}
    for name, ours in stated.items():
        if fields.get(name, ours) != ours:
            raise UnsupportedCaseError(
                f"{name}={fields[name]} is not supported, {ours} follows from the rest"
            )


def _shape(values: list[int]) -> tuple[int, int, int]:
    frames, rows, columns = values
    return frames, rows, columns


def network_from_golden(case: GoldenCase) -> AutoregressiveTransformer:
    """The network of a case with its weights, loaded strictly."""
    weights = case.under("weights/")
    network = AutoregressiveTransformer(config_from_golden(case.meta))
    network.to(weights["output.weight"].dtype).load_state_dict(weights)
    return network.eval()


def _compare_network(case: GoldenCase) -> Iterator[Check]:
    network, tokens = network_from_golden(case), case.tensors["inputs/tokens"]
    text = _text(network, case)
    tolerance = LOGITS_TOLERANCE if network.dtype == torch.float32 else BF16_TOLERANCE
    yield from (
        Check(part=name, pairs=[(table[: len(reference)], reference)], tolerance=TABLE_TOLERANCE)
        for name, table, reference in _tables(network, case)
    )
    ours = {"logits_full": network(tokens, text=text), **_hidden(network, tokens, text)}
    if "inputs/context_valid_mask" in case.tensors:
        seen = network.read_text(case.tensors["inputs/context"], case.tensors["inputs/context_valid_mask"])
        ours["logits_full_context_masked"] = network(tokens, text=seen)
    ours |= _decoded(network, tokens, text, case.meta)
    for name, value in ours.items():
        yield Check(part=name, pairs=[(value, case.tensors[f"outputs/{name}"])], tolerance=tolerance)
    if "outputs/greedy_tokens" in case.tensors:
        lost = _greedy_loss(network, tokens, text, case)
        yield Check(part="greedy_tokens", pairs=[(lost, torch.zeros_like(lost))], tolerance=2 * tolerance)


def _text(network: AutoregressiveTransformer, case: GoldenCase) -> TextContext | None:
    return network.read_text(case.tensors["inputs/context"]) if network.config.text_dim else None


def _tables(network: AutoregressiveTransformer, case: GoldenCase) -> Iterator[tuple[str, Tensor, Tensor]]:
    cos, sin = rotary_tables(network.config, network.dtype)
    ours = {"rope_cos": cos, "rope_sin": sin}
    if network.config.has_absolute_positions:
        ours["abs_pos_emb"] = absolute_positions(network.config)
    return ((k, v, case.tensors[f"outputs/{k}"]) for k, v in ours.items() if f"outputs/{k}" in case.tensors)


def _hidden(
    network: AutoregressiveTransformer, tokens: Tensor, text: TextContext | None
) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}

    def keep(k: int) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda _module, _inputs, out: found.__setitem__(f"hidden_layer{k}", out)

    handles = [layer.register_forward_hook(keep(k)) for k, layer in enumerate(network.layers)]
    network.hidden(tokens, text=text)
    for handle in handles:
        handle.remove()
    return found


def _decoded(
    network: AutoregressiveTransformer, tokens: Tensor, text: TextContext | None, meta: dict[str, Any]
) -> dict[str, Tensor]:
    """The prompt at once, then given tokens one by one."""
    prompt, steps = meta["n_prompt"], meta["n_decode"]
    cache = network.new_cache()
    prefill = network(tokens[:, :prompt], text=text, cache=cache)
    decode = [network(tokens[:, k : k + 1], text=text, cache=cache) for k in range(prompt, prompt + steps)]
    return {"logits_prefill": prefill, "logits_decode": torch.cat(decode, dim=1)}


def _greedy_loss(
    network: AutoregressiveTransformer, tokens: Tensor, text: TextContext | None, case: GoldenCase
) -> Tensor:
    """By how much the tokens that the reference chose are less likely here than the likeliest; 0 where the choice is the same."""
    chosen, prompt = case.tensors["outputs/greedy_tokens"], case.meta["n_prompt"]
    cache, lost = network.new_cache(), []
    logits = network(tokens[:, :prompt], text=text, cache=cache)
    for k in range(chosen.shape[1]):
        best = logits[:, -1].float()
        lost.append(best.amax(-1) - best.gather(-1, chosen[:, k : k + 1])[:, 0])
        if k + 1 < chosen.shape[1]:
            logits = network(chosen[:, k : k + 1], text=text, cache=cache)
    return torch.stack(lost, dim=1)


def _compare_training(case: GoldenCase) -> Iterator[Check]:
    meta = case.meta
    network = network_from_golden(case).train()
    inputs, labels = next_tokens(case.tensors["inputs/tokens"], num_ignored=meta["ignore_first_num_tokens"])
    labels = torch.where(labels == meta["ignore_index"], IGNORED, labels)
    with torch.enable_grad():
        logits = network(inputs, text=_text(network, case))
        loss = next_token_loss(logits, labels, z_weight=meta["z_loss_coeff"])
        loss.total.backward()
    ours = {"logits": logits, "ce": loss.cross_entropy, "z_loss": loss.z, "loss": loss.total}
    pairs = [(value.detach(), case.tensors[f"outputs/{name}"]) for name, value in ours.items()]
    yield Check(part="forward", pairs=pairs, tolerance=LOGITS_TOLERANCE)
    shown = torch.where(labels == IGNORED, meta["ignore_index"], labels)
    yield Check(part="labels", pairs=[(shown, case.tensors["outputs/labels"])], tolerance=0.0)
    named = dict(network.named_parameters())
    gradients = [(named[k].grad, v) for k, v in case.under("grads/").items()]
    pairs = [(g / v.abs().max(), v / v.abs().max()) for g, v in gradients if g is not None]
    assert len(pairs) == len(gradients), "every parameter learns"
    yield Check(part="gradients", pairs=pairs, tolerance=LOGITS_TOLERANCE)
    yield Check(part="trainable", pairs=[_same_names(named, meta["trainable"])], tolerance=0.0)


def _same_names(ours: dict[str, Any], theirs: list[str]) -> tuple[Tensor, Tensor]:
    return torch.tensor([len(ours.keys() ^ set(theirs))]), torch.tensor([0])


def _compare_grid(case: GoldenCase) -> Iterator[Check]:
    for name, fields in case.meta["cases"].items():
        config = _table_config(fields, head_dim=fields["dim"])
        _check_length(config, fields)
        rows, q = (case.tensors[f"inputs/{name}/{key}"] for key in ("rows", "q"))
        cos, sin = (table[rows] for table in rotary_tables(config))
        low = tuple(table[rows] for table in rotary_tables(config, torch.bfloat16))
        over_time, over_space = grid_frequencies(config)
        heads = q.transpose(1, 2)
        ours = {
            "cos": cos,
            "sin": sin,
            "temporal_inv_freq": over_time,
            "spatial_inv_freq": over_space,
            "q_rot": turn(heads, cos, sin).transpose(1, 2),
            "q_rot_bf16": turn(heads.bfloat16(), low[0], low[1]).transpose(1, 2),
        }
        yield from _checks(case, name, ours, tolerance=4 * TABLE_TOLERANCE)


def _table_config(fields: dict[str, Any], *, head_dim: int = 128, dim: int = 4096) -> AutoregressiveConfig:
    if fields["pad"] != TOKEN_MULTIPLE:
        raise UnsupportedCaseError(f"pad={fields['pad']} is not supported")
    yarn = None
    if fields.get("yarn"):
        yarn = YarnConfig(
            scale=float(fields["yarn_scale"]),
            beta_fast=float(fields["beta_fast"]),
            beta_slow=float(fields["beta_slow"]),
            original_latent_shape=_shape(fields["orig"]),
        )
    return AutoregressiveConfig(
        dim=dim,
        head_dim=head_dim,
        latent_shape=_shape(fields["latent"]),
        has_begin_token=_TASKS[fields["t"]],
        rope_theta=float(fields.get("rope_theta", 500_000)),
        yarn=yarn,
    )


def _check_length(config: AutoregressiveConfig, fields: dict[str, Any]) -> None:
    if config.num_positions != fields["table_len"]:
        raise UnsupportedCaseError(
            f"table_len={fields['table_len']} is not supported, {config.num_positions} follows"
        )


def _compare_line(case: GoldenCase) -> Iterator[Check]:
    """Text models' rotations: neighbours in pairs with YaRN's factor, or halves without it."""
    for name, fields in case.meta["cases"].items():
        model, version = name.split("/")
        yarn = (
            YarnConfig(scale=fields["scale"], beta_fast=fields["bf"], beta_slow=fields["bs"])
            if fields["yarn"]
            else None
        )
        frequencies = rotary_frequencies(fields["dim"], fields["theta"], yarn, fields.get("orig", 1))
        angles = torch.outer(case.tensors[f"inputs/{model}/pos"].float(), frequencies)
        factor = 0.1 * math.log(yarn.scale) + 1 if yarn and fields["mscale_applied"] else 1.0
        cos, sin = angles.cos() * factor, angles.sin() * factor
        ours = {}
        for key in ("q", "k"):
            heads = case.tensors[f"inputs/{model}/{key}"].transpose(1, 2)
            turned = (
                turn_pairs(heads, cos, sin)
                if version == "v1"
                else turn(heads, cos.repeat(1, 2), sin.repeat(1, 2))
            )
            ours[f"{key}_rot"] = turned.transpose(1, 2)
        yield Check(
            part=f"{name}/inv_freq",
            pairs=[(frequencies, case.tensors[f"outputs/{model}/inv_freq"])],
            tolerance=TABLE_TOLERANCE,
        )
        yield from _checks(case, name, ours, tolerance=1e-5)


def _compare_absolute(case: GoldenCase) -> Iterator[Check]:
    for name, fields in case.meta["cases"].items():
        config = _table_config(fields, dim=fields["dim"])
        _check_length(config, fields)
        rows = case.tensors[f"inputs/{name}/rows"]
        ours = {
            "emb_bf16": absolute_positions(config)[rows],
            "emb_f64": absolute_positions(config, torch.float64)[rows],
        }
        yield from _checks(case, name, ours, tolerance=TABLE_TOLERANCE)


def _checks(case: GoldenCase, name: str, ours: dict[str, Tensor], *, tolerance: float) -> Iterator[Check]:
    pairs = [
        (v, case.tensors[f"outputs/{name}/{k}"])
        for k, v in ours.items()
        if f"outputs/{name}/{k}" in case.tensors
    ]
    assert len(pairs) == len([k for k in case.tensors if k.startswith(f"outputs/{name}/")]), (
        "all that is stored is compared"
    )
    yield Check(part=name, pairs=pairs, tolerance=tolerance)
