"""Distances between distributions: unbiased, zero for equals, larger for what is further away."""

import numpy as np
import pytest
import torch

from worldfoundry.core.errors import DataError
from worldfoundry.evaluate.distribution import frechet_distance, in_units_of, kernel_distance


def normal(*shape, seed=0, shift=0.0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def numbered(count):
    return torch.arange(count)[:, None]


def test_identical_sets_have_no_distance():
    x = normal(6, 3, 8)
    assert abs(kernel_distance(x, x, numbered(6)).value) < 1e-12
    assert abs(frechet_distance(x.flatten(0, 1), x.flatten(0, 1))) < 1e-9


def test_two_samples_of_one_distribution_have_none_on_average():
    values = [
        kernel_distance(normal(8, 2, 16, seed=2 * k), normal(8, 2, 16, seed=2 * k + 1), numbered(8)).value
        for k in range(200)
    ]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0


def test_it_is_the_definition_written_out():
    x, y = normal(4, 2, 3), normal(4, 2, 3, seed=1)
    total, count = 0.0, 0
    for i in range(4):
        for j in range(4):
            if i == j:
                continue
            for a in range(2):
                for b in range(2):
                    k = [
                        (float(p @ q) / 3 + 1) ** 3
                        for p, q in (
                            (x[i, a], x[j, b]),
                            (y[i, a], y[j, b]),
                            (x[i, a], y[j, b]),
                            (y[i, a], x[j, b]),
                        )
                    ]
                    total, count = total + k[0] + k[1] - k[2] - k[3], count + 1
    assert kernel_distance(x, y, numbered(4)).value == pytest.approx(total / count, rel=1e-12)


def test_clips_of_one_video_are_never_compared():
    x, y = normal(4, 2, 3), normal(4, 2, 3, seed=1)
    sources = torch.tensor([[0], [0], [1], [1]])
    before = kernel_distance(x, y, sources).value
    pairs = kernel_distance(x[[0, 2]], y[[0, 2]], numbered(2)).value
    others = [kernel_distance(x[[i, j]], y[[i, j]], numbered(2)).value for i, j in ((0, 3), (1, 2), (1, 3))]
    assert before == pytest.approx(np.mean([pairs, *others]))
    with pytest.raises(DataError, match="two videos or more"):
        kernel_distance(x, y, torch.zeros(4, 1, dtype=torch.long))


def test_the_interval_covers_and_narrows_with_the_number_of_videos():
    few, many = (
        kernel_distance(normal(n, 1, 8), normal(n, 1, 8, seed=1, shift=0.3), numbered(n)) for n in (10, 160)
    )
    widths = [e.ci95[1] - e.ci95[0] for e in (few, many)]
    assert widths[1] < 0.5 * widths[0]
    assert many.ci95[0] > 0
    assert kernel_distance(normal(2, 1, 8), normal(2, 1, 8, seed=1), numbered(2)).ci95 is None


def test_frechet_is_the_closed_form_of_a_shift_and_a_scale():
    x = normal(4000, 3)
    assert frechet_distance(x, x + 2.0) == pytest.approx(12.0, rel=1e-9)
    scaled = 3 * x
    expected = float((4 * x.mean(0).square()).sum() + 4 * torch.cov(x.T).trace())
    assert frechet_distance(x, scaled) == pytest.approx(expected, rel=1e-9)


def test_units_are_those_of_the_truth_and_the_same_for_every_feature():
    x = 5 + 3 * normal(50, 4, 6)
    truth, other = in_units_of(x, x + 3.0)
    assert float(truth.square().mean()) == pytest.approx(1.0)
    assert float((other - truth).std()) < 1e-12
    torch.testing.assert_close(in_units_of(7 * x, 7 * x + 21.0)[1], other)
