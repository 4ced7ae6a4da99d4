"""The published tokenizer, reproduced: tiny random-weight cases made by the reference implementation."""

import json

import pytest
import torch
from safetensors.torch import load_file

from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.models.tokenizer.official import config_from_golden, load_official


@pytest.mark.parametrize("suffix", ["", ".1", ".2"])
def test_the_8x8x8_tokenizer_is_the_published_one(repository, suffix):
    folder = repository / "tests/data/golden/tokenizer"
    meta = json.loads((folder / "cv_p4_t8s8.json").read_text())
    tensors = load_file(folder / "cv_p4_t8s8.safetensors")
    weights = {
        k[8:]: v.float() for k, v in tensors.items() if k.startswith("weights/") and v.is_floating_point()
    }
    model = WaveletTokenizer(config_from_golden(meta["config"], weights))
    load_official(model, weights)
    with torch.no_grad():
        latents, pixels = model.encode(tensors["input" + suffix]), model.decode(tensors["latent" + suffix])
    torch.testing.assert_close(latents, tensors["latent" + suffix], atol=5e-5, rtol=0)
    torch.testing.assert_close(pixels, tensors["recon" + suffix], atol=5e-5, rtol=0)
