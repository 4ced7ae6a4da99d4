from itertools import pairwise

import pytest
import torch

from worldfoundry.core.errors import DataError
from worldfoundry.models.diffusion.windows import (
    blend_windows,
    num_chunk_frames,
    num_chunk_latents,
    window_frames,
)


@pytest.mark.parametrize("num_frames", range(1, 40))
@pytest.mark.parametrize(("window", "overlap"), [(8, 2), (5, 0), (3, 2)])
def test_windows_cover_every_frame_and_share_the_overlap(num_frames, window, overlap):
    frames = window_frames(num_frames, window=window, overlap=overlap)
    assert frames.flatten().unique().tolist() == list(range(num_frames))
    assert frames.shape[1] == window
    assert (frames.diff(dim=1).abs() <= 1).all(), "reflection never jumps"
    if overlap:
        for before, after in pairwise(frames):
            assert torch.equal(before[-overlap:], after[:overlap])


def test_cut_and_blended_is_the_clip_again():
    clip = torch.randn(1, 2, 20, 2, 2, generator=torch.Generator().manual_seed(0))
    windows = [clip[:, :, index] for index in window_frames(20)]
    torch.testing.assert_close(blend_windows(windows, 2), clip)
    torch.testing.assert_close(blend_windows([clip[:, :, :5], clip[:, :, 5:]], 0), clip)
    faded = blend_windows([torch.zeros(1, 1, 4, 1, 1), torch.ones(1, 1, 4, 1, 1)], 3).flatten()
    assert faded.tolist() == [0, 0, 0.5, 1, 1]


@pytest.mark.parametrize("chunk", [121, 57, 9])
def test_frames_and_latents_of_chunks_are_inverse(chunk):
    for latents in range(1, 40):
        frames = num_chunk_frames(latents, chunk_frames=chunk)
        assert num_chunk_latents(frames, chunk_frames=chunk) == latents


def test_what_cannot_be_cut_is_refused():
    with pytest.raises(DataError, match="got 17"):
        num_chunk_latents(17, chunk_frames=9)
    with pytest.raises(DataError, match="overlap < window"):
        window_frames(4, window=2, overlap=2)
    with pytest.raises(DataError, match="overlap must be"):
        blend_windows([torch.zeros(1, 1, 2, 1, 1)] * 2, 3)
