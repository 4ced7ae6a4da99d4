import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from worldfoundry.models.tokenizer.wavelet import patch, unpatch


@given(st.sampled_from([1, 2, 4]), st.integers(0, 3), st.integers(1, 3), st.integers(0, 2**31))
def test_unpatch_undoes_patch(patch_size, chunks, cells, seed):
    x = torch.randn(
        1,
        3,
        1 + chunks * patch_size,
        cells * patch_size,
        patch_size,
        generator=torch.Generator().manual_seed(seed),
    )
    torch.testing.assert_close(unpatch(patch(x, patch_size), patch_size), x, atol=2e-6, rtol=0)


def test_a_constant_clip_lives_in_the_low_band_alone():
    y = patch(torch.full((1, 3, 5, 8, 8), 0.5), 4)
    torch.testing.assert_close(y[:, :3], torch.full_like(y[:, :3], 0.5))
    assert y[:, 3:].abs().max() == 0


@pytest.mark.parametrize("patch_size", [2, 4])
def test_a_later_frame_never_changes_an_earlier_coefficient(patch_size):
    x = torch.randn(1, 3, 1 + 2 * patch_size, 8, 8, generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[:, :, 1 + patch_size :] += 1
    before, after = patch(x, patch_size), patch(changed, patch_size)
    assert torch.equal(before[:, :, :2], after[:, :, :2])
    assert not torch.equal(before[:, :, 2:], after[:, :, 2:])
