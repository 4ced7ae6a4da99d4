import pytest

from worldfoundry.core.errors import ConfigError
from worldfoundry.models.diffusion.chunks import given_latents, overlap_frames


def test_frames_and_latents_of_chunks_are_each_others_inverse():
    for latents in range(1, 17):
        assert given_latents(overlap_frames(latents, 121), 121) == latents
    assert given_latents(121 + 9, 121) == 18
    assert given_latents(5, 121) is None


def test_a_chunk_that_ends_inside_a_latent_frame_is_refused():
    with pytest.raises(ConfigError, match="chunk_frames must be 1 \\+ a multiple of 8, got 120"):
        given_latents(1, 120)
