"""A discrete tokenizer that starts from a continuous one."""

from dataclasses import replace

import pytest
import torch

from worldfoundry.core.errors import ConfigError
from worldfoundry.models.pretrained.release import load_tokenizer
from worldfoundry.models.tokenizer.config import wavetok_c_t4s8z16_nano, wavetok_d_t4s8_nano
from worldfoundry.models.tokenizer.discretise import start_from_continuous
from worldfoundry.models.tokenizer.initialise import initialise
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.models.tokenizer.quantize import codebook_usage, count_codes

CONTINUOUS = replace(wavetok_c_t4s8z16_nano(), channels=16, z_channels=16, latent_channels=16)
DISCRETE = replace(wavetok_d_t4s8_nano(), channels=16)


def fresh(config):
    model = WaveletTokenizer(config)
    initialise(model, torch.Generator().manual_seed(0))
    return model.eval()


def clips(seed):
    """Smooth colours that drift."""
    coarse = torch.rand(8, 3, 2, 4, 4, generator=torch.Generator().manual_seed(seed)) * 1.6 - 0.8
    return torch.nn.functional.interpolate(coarse, size=(5, 32, 32), mode="trilinear")


def test_it_starts_far_closer_than_fresh_weights_and_uses_its_codes():
    source, model = load_tokenizer("wavetok-c-t4s8z16-nano"), fresh(wavetok_d_t4s8_nano())
    x = clips(1)
    with torch.no_grad():
        before = (model(x) - x).square().mean()
        start_from_continuous(model, source, clips(0))
        after, best = (model(x) - x).square().mean(), (source(x) - x).square().mean()
        usage = codebook_usage(count_codes(model.encode(x), 64000))
    assert best < after < 0.4 * before
    assert usage.perplexity > 60
    for name, value in source.encoder.state_dict().items():
        assert torch.equal(model.encoder.state_dict()[name], value)


@pytest.mark.parametrize("source", [DISCRETE, replace(CONTINUOUS, channels=24)])
def test_another_network_is_refused(source):
    with pytest.raises(ConfigError, match="trunk_from must name a continuous video tokenizer"):
        start_from_continuous(fresh(DISCRETE), fresh(source), clips(0))
