import pytest
import torch

from worldfoundry.core.errors import ConfigError
from worldfoundry.models.autoregressive.sampling import SamplingConfig, draw, find_candidates, sample

PLAIN = SamplingConfig(top_p=None)


def logits(b: int = 3, v: int = 50, seed: int = 0) -> torch.Tensor:
    return 3 * torch.randn(b, v, generator=torch.Generator().manual_seed(seed))


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_the_nucleus_is_the_smallest_set_that_reaches_p():
    x = logits()
    p = x.softmax(-1)
    dense = find_candidates(x, SamplingConfig(top_p=0.7)).dense(50)
    for row, kept in zip(p, dense > 0, strict=True):
        inside = row[kept]
        assert inside.sum() > 0.7 >= inside.sum() - inside.min()
        assert row[~kept].max() < inside.min()
    assert torch.allclose(dense.sum(-1), torch.ones(3))


@pytest.mark.parametrize("p", [0.05, 0.5, 0.9, 0.999, 1.0])
def test_sorting_a_part_gives_the_nucleus_that_sorting_all_gives(p):
    x = torch.cat((logits(2, 6000), torch.zeros(1, 6000), logits(1, 6000).round()))
    dense = find_candidates(x, SamplingConfig(top_p=p)).dense(6000)
    ordered, tokens = x.softmax(-1).sort(descending=True, dim=-1)
    kept = ordered.masked_fill(ordered.cumsum(-1) - ordered > p, 0)
    whole = torch.zeros_like(x).scatter_(-1, tokens, kept / kept.sum(-1, keepdim=True))
    assert torch.allclose(dense, whole, atol=1e-7)


def test_p_of_one_and_every_k_are_plain_sampling():
    x = logits()
    plain = find_candidates(x, PLAIN).dense(50)
    assert torch.allclose(find_candidates(x, SamplingConfig(top_p=1.0)).dense(50), plain)
    assert torch.allclose(find_candidates(x, SamplingConfig(top_p=None, top_k=99)).dense(50), plain)


def test_as_likely_as_the_last_of_k_is_kept():
    x = torch.tensor([[3.0, 2.0, 2.0, 1.0]])
    kept = find_candidates(x, SamplingConfig(top_p=None, top_k=2)).dense(4) > 0
    assert kept.tolist() == [[True, True, True, False]]


def test_draws_have_the_distribution_that_was_asked_for():
    x = logits(1, 6).expand(4000, -1)
    candidates = find_candidates(x, SamplingConfig(top_p=0.95, temperature=1.5))
    clocks = torch.empty(4000, 6).exponential_(generator=torch.Generator().manual_seed(0))
    counts = torch.bincount(draw(candidates, clocks), minlength=6)
    expected = candidates.dense(6)[0] * 4000
    assert counts[expected == 0].sum() == 0
    chi = ((counts - expected).square() / expected)[expected > 0].sum()
    assert chi < 20  # five degrees of freedom: exceeded once in a thousand seeds


def test_temperature_zero_is_the_likeliest_whatever_else_is_set():
    x = logits()
    for config in (SamplingConfig(temperature=0.0), SamplingConfig(temperature=0.0, top_p=None, top_k=3)):
        assert torch.equal(sample(x, config, generators(1, 2, 3)), x.argmax(-1))


def test_a_clip_does_not_depend_on_those_beside_it():
    x = logits()
    together = sample(x, SamplingConfig(), generators(5, 6, 7))
    alone = [sample(x[k : k + 1], SamplingConfig(), generators(5 + k)) for k in range(3)]
    assert torch.equal(together, torch.cat(alone))


def test_settings_that_contradict_are_refused():
    with pytest.raises(ConfigError, match=r"top_p or top_k, got 0\.8 and 5"):
        SamplingConfig(top_k=5)
    with pytest.raises(ConfigError, match="temperature must be 0 or more"):
        SamplingConfig(temperature=-1.0)
    with pytest.raises(ConfigError, match="top_p must be above 0"):
        SamplingConfig(top_p=0.0)
