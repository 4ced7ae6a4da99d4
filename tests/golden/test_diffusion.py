from collections import defaultdict
from pathlib import Path

import pytest
import torch

from worldfoundry.evaluate.parity import find_cases, load_case, run_parity
from worldfoundry.evaluate.parity_diffusion_networks import network_from_golden, network_inputs

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "diffusion"


@torch.no_grad()
def test_every_intermediate_of_the_video2world_network_is_the_published_one():
    case = load_case(GOLDEN / "04_v2w.json", "04_v2w")
    network, got = network_from_golden(case), {}

    def keep(module: torch.nn.Module, name: str):
        module.register_forward_hook(lambda _, __, output: got.__setitem__(name, output))

    keep(network.x_embedder, "x_embedder_out_BTHWD")
    keep(network.extra_pos_embedder, "extra_pos_emb_BTHWD")
    keep(network.t_embedder[0], "t_sinusoid_BD")
    keep(network.t_embedder[1], "adaln_lora_B3D")
    keep(network.affline_norm, "affine_emb_BD")
    keep(network.final_layer, "final_layer_out")
    for i, block in enumerate(network.blocks.values()):
        keep(block, f"block{i}_out_THWBD")
    for i, branch in enumerate(network.blocks["block0"].blocks.values()):
        keep(branch, f"block0_sub{i}_out_THWBD")
    network(**network_inputs(case, network.config))

    references = case.under("intermediates/")
    assert got.keys() == references.keys() - {"rope_angles_L11D"}
    for name, reference in references.items():
        if name in got:  # batch 1, so that any place of the batch axis gives the same order
            torch.testing.assert_close(
                got[name].reshape(reference.shape), reference, atol=1e-5, rtol=0, msg=name
            )


def test_every_shipped_case_passes():
    verdicts = defaultdict(set)
    for row in run_parity(GOLDEN):
        verdicts[row.case.split("/")[0]].add(row.verdict)
        assert row.verdict != "fail", row
    assert len(verdicts) == len(find_cases(GOLDEN))
    assert all("pass" in found for found in verdicts.values()), "each case compares something"


@pytest.mark.parametrize("name", ["04_v2w", "20_edm_scaling"])
def test_parity_is_within_1e_5_where_training_depends_on_it(name):
    rows = {row.case: row for row in run_parity(GOLDEN)}
    assert rows[name].max_abs is not None
    assert rows[name].max_abs <= 1e-5
