"""The published tokenizer, reproduced: tiny random-weight cases made by the reference implementation."""

import pytest
import torch

from worldfoundry.evaluate.parity import find_cases, load_case, run_parity
from worldfoundry.evaluate.parity_tokenizer import tokenizer_from_golden
from worldfoundry.models.tokenizer.infer import infer_config
from worldfoundry.models.tokenizer.pipeline import reconstruct

UNSUPPORTED = {"blocks/causal_conv_3x3x3", "fsq/residual", "pipeline_uint8/clip", "losses/reduce-sum"}
"""A convolution, a quantiser and a sum that no release has, and the part of a case that is compared below."""


@pytest.fixture(scope="module")
def rows(repository):
    return {row.case: row for row in run_parity(repository / "tests/data/golden/tokenizer")}


def test_every_stored_case_is_within_the_reference_tolerance(rows):
    assert {row.case: row.note for row in rows.values() if row.verdict == "fail"} == {}
    assert {row.case for row in rows.values() if row.verdict == "unsupported"} == UNSUPPORTED


@pytest.mark.parametrize("suffix", ["", ".1", ".2"])
def test_the_8x8x8_tokenizer_is_the_published_one(repository, suffix):
    case = load_case(repository / "tests/data/golden/tokenizer/cv_p4_t8s8.json", "cv_p4_t8s8")
    model, tensors = tokenizer_from_golden(case), case.tensors
    with torch.no_grad():
        latents, pixels = model.encode(tensors["input" + suffix]), model.decode(tensors["latent" + suffix])
    torch.testing.assert_close(latents, tensors["latent" + suffix], atol=5e-5, rtol=0)
    torch.testing.assert_close(pixels, tensors["recon" + suffix], atol=5e-5, rtol=0)


def test_the_configuration_of_a_case_follows_from_its_weights(repository):
    for path in find_cases(repository / "tests/data/golden/tokenizer"):
        case = load_case(path, path.stem)
        if "family" in case.meta:
            found = infer_config(case.under("weights/"), norm_groups=case.meta["image_num_groups"])
            assert found == tokenizer_from_golden(case).config


def test_a_clip_of_any_size_is_reconstructed_to_a_grey_level(repository):
    folder = repository / "tests/data/golden/tokenizer"
    case, model_case = (load_case(folder / f"{n}.json", n) for n in ("pipeline_uint8", "cv_p4_t8s8"))
    window = case.meta["info"]["clip"]["temporal_window"]
    ours = reconstruct(tokenizer_from_golden(model_case), case.tensors["clip.input"], window_frames=window)
    assert (ours.int() - case.tensors["clip.output"].int()).abs().max() <= 1
