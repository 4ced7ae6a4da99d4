from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from worldfoundry.core.errors import CheckpointError, ConfigError, DataError
from worldfoundry.models.tokenizer.config import wavetok_c_t4s8z16_nano
from worldfoundry.models.tokenizer.initialise import initialise
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.models.tokenizer.normalise import LatentStatistics
from worldfoundry.models.tokenizer.pipeline import pad, pixels_from_uint8, reconstruct, uint8_from_pixels


def frames(*shape, seed=0):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@given(st.integers(1, 12), st.integers(1, 40), st.integers(1, 40))
def test_what_is_padded_is_cropped_back_to_itself(num_frames, height, width):
    given_frames = frames(1, num_frames, height, width, 3)
    padded, crop = pad(given_frames)
    assert torch.equal(padded[crop], given_frames)
    assert (padded.shape[1] - 1) % 8 == padded.shape[2] % 16 == padded.shape[3] % 16 == 0
    assert padded[0, -1, 0, 0].sum() == 0 or height % 16 == 0 or height % 16 == 15


def test_every_grey_level_comes_back():
    levels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(-1, -1, -1, 3)
    assert torch.equal(uint8_from_pixels(pixels_from_uint8(levels)), levels)


def test_windows_know_nothing_of_each_other():
    model = WaveletTokenizer(replace(wavetok_c_t4s8z16_nano(), channels=8))
    initialise(model, torch.Generator().manual_seed(0))
    clip = frames(1, 7, 20, 16, 3)
    whole = reconstruct(model, clip, window_frames=4)
    assert whole.shape == clip.shape
    assert torch.equal(whole[:, 4:], reconstruct(model, clip[:, 4:], window_frames=4))
    with pytest.raises(ConfigError, match="window_frames"):
        reconstruct(model, clip, window_frames=0)


def test_normalised_latents_come_back_and_longer_clips_are_refused():
    generator = torch.Generator().manual_seed(0)
    mean, std = torch.randn(64, generator=generator), torch.rand(64, generator=generator) + 0.5
    statistics = LatentStatistics.from_flat(mean, std, latent_channels=16)
    z = torch.randn(2, 16, 3, 2, 2, generator=generator)
    normal = statistics.normalise(z)
    torch.testing.assert_close(statistics.denormalise(normal), z)
    torch.testing.assert_close(normal[0, 5, 2, 0, 0], (z[0, 5, 2, 0, 0] - mean[22]) / std[22])
    with pytest.raises(DataError, match="at most 4 frames"):
        statistics.normalise(torch.zeros(1, 16, 5, 2, 2))
    with pytest.raises(CheckpointError, match="multiple of 16"):
        LatentStatistics.from_flat(mean[:60], std[:60], latent_channels=16)
