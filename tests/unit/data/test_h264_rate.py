"""The baseline keeps to its bits, uses them, and gives the same numbers again."""

import numpy as np
import pytest

from worldfoundry.core.errors import DataError
from worldfoundry.data.h264_rate import encode_at_bits


@pytest.fixture(scope="module")
def clip():
    """Grey texture that drifts, too much of it for few bits."""
    texture = np.random.default_rng(0).normal(128, 40, (48, 96))
    for axis in (0, 1):
        texture = (texture + np.roll(texture, 1, axis) + np.roll(texture, -1, axis)) / 2
    moving = np.stack([np.roll(texture - texture.mean(), 3 * k, axis=1)[:, :64] for k in range(9)]) / 2 + 128
    return np.repeat(moving.clip(0, 255)[..., None], 3, axis=-1).astype(np.uint8)


def error(a, b):
    return float(((a.astype(float) - b) ** 2).mean())


def test_more_bits_are_taken_up_and_lower_the_error(clip):
    found = [encode_at_bits(clip, fps=10.0, bits=bits) for bits in (4_000, 10_000, 25_000)]
    for video, bits in zip(found, (4_000, 10_000, 25_000), strict=True):
        assert video.pixels.shape == clip.shape
        assert 0.7 * bits < video.bits <= bits
    errors = [error(v.pixels, clip) for v in found]
    assert errors[0] > errors[1] > errors[2]
    assert found[0].crf > found[1].crf > found[2].crf


def test_the_same_clip_takes_the_same_bits(clip):
    a, b = (encode_at_bits(clip, fps=10.0, bits=20_000) for _ in range(2))
    assert a.bits == b.bits
    assert np.array_equal(a.pixels, b.pixels)


def test_too_few_bits_give_the_lowest_quality_and_too_many_the_highest(clip):
    least, most = (encode_at_bits(clip, fps=10.0, bits=bits) for bits in (1, 10**9))
    assert (least.crf, most.crf) == (51.0, 0.0)
    assert least.bits > 1
    assert error(most.pixels, clip) < 2


def test_the_frames_come_back_in_order(clip):
    decoded = encode_at_bits(clip, fps=10.0, bits=60_000).pixels
    for k in range(len(clip)):
        assert np.argmin([error(decoded[k], other) for other in clip]) == k


def test_odd_sizes_are_refused(clip):
    with pytest.raises(DataError, match=r"even sizes for H\.264, got 47x64"):
        encode_at_bits(clip[:, :47], fps=10.0, bits=1000)
