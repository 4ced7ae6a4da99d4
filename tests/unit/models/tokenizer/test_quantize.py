import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from worldfoundry.core.errors import DataError
from worldfoundry.models.tokenizer.config import TokenizerConfig
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.models.tokenizer.quantize import (
    FSQ,
    ResidualFSQ,
    codebook_usage,
    count_codes,
    num_bits,
    pack_indices,
    unpack_indices,
)

LEVELS = [(8, 8, 8, 5, 5, 5), (7, 5, 5, 5), (4, 3), (2,), (8, 6, 5)]


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_index_has_its_code_and_every_code_its_index(levels, dtype):
    fsq = FSQ(levels)
    everything = torch.arange(fsq.codebook_size, dtype=torch.int32)
    codes = fsq.codes(everything, dtype)
    assert torch.equal(fsq.indices(codes), everything)
    assert len(codes.unique(dim=0)) == fsq.codebook_size
    assert codes.abs().max() <= 1


@pytest.mark.parametrize("levels", LEVELS)
def test_every_code_is_reached_from_some_latent(levels):
    fsq = FSQ(levels)
    for channel, n in enumerate(levels):
        z = torch.zeros(1, len(levels), 2001)
        z[:, channel] = torch.linspace(-6, 6, 2001)
        assert len(fsq.quantize(z)[:, channel].unique()) == n


@given(st.sampled_from(LEVELS), st.integers(0, 2**31))
def test_quantising_is_rounding_and_its_gradient_is_that_of_the_bound(levels, seed):
    fsq = FSQ(levels)
    z = torch.randn(2, len(levels), 3, 4, generator=torch.Generator().manual_seed(seed)).requires_grad_()
    codes, half = fsq.quantize(z), torch.tensor([n // 2 for n in levels]).view(-1, 1, 1)
    assert torch.equal(codes, fsq.codes(fsq.indices(codes)))
    assert ((codes * half - fsq.bound(z)).abs() <= 0.5 + 1e-6).all()
    straight, smooth = (torch.autograd.grad(y.sum(), z)[0] for y in (codes, fsq.bound(z) / half))
    torch.testing.assert_close(straight, smooth)


@given(st.integers(1, 100_000), st.lists(st.integers(0, 2**31), max_size=40))
def test_packed_indices_come_back_at_the_fewest_bits(codebook_size, values):
    indices = torch.tensor([v % codebook_size for v in values], dtype=torch.int32)
    packed = pack_indices(indices, codebook_size)
    assert packed.numel() == math.ceil(len(values) * num_bits(codebook_size) / 8)
    assert torch.equal(unpack_indices(packed, codebook_size, (len(values),)), indices)
    assert codebook_size <= 2 ** num_bits(codebook_size) <= max(2, 2 * codebook_size - 1)


def test_a_packed_clip_keeps_its_shape_and_a_wrong_one_is_refused():
    indices = torch.arange(24, dtype=torch.int32).view(1, 2, 3, 4) * 2000
    packed = pack_indices(indices, 64000)
    assert packed.numel() == 48
    assert torch.equal(unpack_indices(packed, 64000, (1, 2, 3, 4)), indices)
    with pytest.raises(DataError, match="must be 60 bytes"):
        unpack_indices(packed, 64000, (1, 2, 3, 5))


def test_an_index_outside_the_codebook_is_refused():
    with pytest.raises(DataError, match=r"\[0, 12\)"):
        FSQ((4, 3)).codes(torch.tensor([[12]]))
    with pytest.raises(DataError, match=r"\[0, 12\)"):
        pack_indices(torch.tensor([-1]), 12)
    for outside in (4, -1):
        with pytest.raises(DataError, match=rf"\[0, 4\), got {outside} to {outside}"):
            count_codes(torch.tensor([outside]), 4)


def test_the_usage_of_nothing_is_refused():
    with pytest.raises(DataError, match="got 4 zeros"):
        codebook_usage(count_codes(torch.tensor([], dtype=torch.int32), 4))


def test_usage_is_one_code_or_all_of_them_and_batches_add_up():
    counts = count_codes(torch.arange(12), 12)
    assert codebook_usage(counts).perplexity == pytest.approx(12, rel=1e-4)
    assert codebook_usage(counts).used_share == 1
    single = codebook_usage(count_codes(torch.zeros(5, dtype=torch.int32), 12))
    assert single.perplexity == pytest.approx(1, rel=1e-4)
    assert single.used_share == pytest.approx(1 / 12)
    a, b = torch.tensor([0, 1, 1]), torch.tensor([2, 3])
    assert torch.equal(count_codes(a, 12) + count_codes(b, 12), count_codes(torch.cat([a, b]), 12))


def test_each_residual_stage_comes_closer_and_indices_say_all():
    z = torch.randn((2, 3, 4, 5), generator=torch.Generator().manual_seed(0)) * 0.8
    errors = []
    for stages in (1, 2, 3, 4):
        fsq = ResidualFSQ((5, 7, 4), num_stages=stages)
        codes, indices = fsq.quantize(z)
        assert indices.shape == (2, stages, 4, 5)
        torch.testing.assert_close(fsq.codes(indices), codes)
        errors.append(float((z - codes).square().mean()))
    assert errors == sorted(errors, reverse=True)
    one, plain = ResidualFSQ((5, 7, 4), num_stages=1).quantize(z), FSQ((5, 7, 4))
    assert torch.equal(one.codes, plain.quantize(z))
    assert torch.equal(one.indices[:, 0], plain.indices(one.codes))


@pytest.mark.parametrize("levels", [(1000, 3), (513, 2), (8, 8, 8, 5, 5, 5), (511,)])
def test_a_bfloat16_tokenizer_tells_every_code_apart(levels):
    """Codes themselves are rounded to the dtype of the decoder; what is stored must not be."""
    fsq, generator = FSQ(levels), torch.Generator().manual_seed(0)
    z = torch.randn((1, len(levels), 4, 32, 32), generator=generator).bfloat16() * 2
    exact = fsq.indices(fsq.quantize(z.float()))
    config = TokenizerConfig(
        fsq_levels=levels,
        latent_channels=len(levels),
        channels=8,
        num_res_blocks=1,
        z_channels=8,
        temporal_stride=4,
    )
    model = WaveletTokenizer(config).bfloat16()
    model._features = lambda *_args: z
    found = model.encode(torch.zeros(1, 3, 13, 256, 256, dtype=torch.bfloat16))
    assert torch.equal(found, exact)
    assert len(exact.unique()) > 256 or levels == (511,)


def test_codes_that_cannot_be_told_apart_are_refused():
    fsq = FSQ((1000, 3))
    codes = fsq.quantize(torch.zeros(1, 2, 1, 1, 1, dtype=torch.bfloat16))
    with pytest.raises(DataError, match="codes of 1000 levels must be float32"):
        fsq.indices(codes)


def test_residual_stages_are_exact_in_bfloat16():
    z = torch.randn((1, 2, 4, 5), generator=torch.Generator().manual_seed(0)).bfloat16()
    fsq = ResidualFSQ((1000, 7), num_stages=2)
    found = fsq.quantize(z)
    assert torch.equal(found.indices, fsq.quantize(z.float()).indices)
    assert found.codes.dtype == torch.bfloat16
