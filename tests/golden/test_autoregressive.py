"""The published autoregressive networks, reproduced: tiny random-weight cases made by the reference implementation."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from worldfoundry.evaluate.parity import run_parity


@pytest.fixture(scope="module")
def rows(repository):
    return {row.case: row for row in run_parity(repository / "tests/data/golden/autoregressive")}


def test_every_stored_case_is_within_the_reference_tolerance(rows):
    assert {row.case: row.note for row in rows.values() if row.verdict != "pass"} == {}
    assert {
        "v2w_fp32/logits_full_context_masked",
        "base_bf16/logits_decode",
        "train_v2w_fp32/gradients",
    } <= rows.keys()


def test_a_bfloat16_network_is_the_published_one_bit_for_bit(rows):
    assert rows["base_bf16/logits_full"].max_abs == 0


@pytest.mark.parametrize(
    "name", ["layers.1.attention.k_norm.weight", "layers.2.cross_attention.wv.weight", "norm.weight"]
)
def test_a_network_that_differs_in_one_weight_fails(repository, tmp_path, name):
    source = repository / "tests/data/golden/autoregressive/v2w_fp32"
    shutil.copy(source.with_suffix(".json"), tmp_path)
    tensors = load_file(source.with_suffix(".safetensors"))
    tensors[f"weights/{name}"] += 1e-3 * torch.randn(tensors[f"weights/{name}"].shape)
    save_file(tensors, tmp_path / "v2w_fp32.safetensors")
    verdicts = {row.case: row.verdict for row in run_parity(tmp_path)}
    assert verdicts["v2w_fp32/logits_full"] == "fail"
    assert verdicts["v2w_fp32/rope_cos"] == "pass"
