"""Patterns are the same on every machine and fade where a pixel is larger than they are."""

from typing import Any, get_args

import numpy as np
import pytest

from worldfoundry.simulate.noise import noise_of
from worldfoundry.simulate.render.patterns import PATTERNS
from worldfoundry.simulate.render.shading import albedo_of
from worldfoundry.simulate.scenes.looks import Pattern, Surface

POINTS = np.random.default_rng(0).uniform(-1, 1, (2000, 3))


def surface(pattern: Any, seed: int = 3) -> Surface:
    return Surface(colour=(0.8, 0.5, 0.3), accent=(0.3, 0.4, 0.6), pattern=pattern, scale_m=0.3, seed=seed)


def test_every_pattern_has_a_painter():
    assert set(get_args(Pattern)) == {*PATTERNS, "plain", "clouds", "checker", "stripe"}


def test_noise_is_exact_even_and_depends_on_cell_and_seed():
    cells = np.arange(-500.0, 500.0)
    noise = noise_of(cells, cells[::-1], seed=7)
    assert 0 <= noise.min() < 0.02
    assert 0.98 < noise.max() < 1
    assert abs(noise.mean() - 0.5) < 0.04
    assert len(np.unique(noise)) > 990
    assert (noise != noise_of(cells, cells[::-1], seed=8)).mean() > 0.99
    np.testing.assert_allclose(
        noise_of(np.array([0.0, 1.0]), seed=0), noise_of(np.array([0.0, 1.0, 2.0]), seed=0)[:2]
    )


@pytest.mark.parametrize("pattern", sorted(set(PATTERNS) - {"glow"}))
def test_colours_are_finite_bounded_and_vary_with_the_place(pattern):
    colours = albedo_of(surface(pattern), POINTS, np.full(len(POINTS), 1e-3))
    assert colours.shape == (2000, 3)
    assert colours.min() >= 0
    assert colours.max() < 2
    assert colours.std(0).max() > 0.03
    assert np.array_equal(colours, albedo_of(surface(pattern), POINTS, np.full(len(POINTS), 1e-3)))


@pytest.mark.parametrize("pattern", sorted(set(PATTERNS) - {"window", "picture", "meadow", "glow"}))
def test_detail_fades_where_a_pixel_is_larger(pattern):
    near, far = (albedo_of(surface(pattern), POINTS, np.full(len(POINTS), blur)) for blur in (1e-3, 3.0))
    assert far.std(0).max() < 0.35 * near.std(0).max()
    np.testing.assert_allclose(far.mean(0), near.mean(0), atol=0.12)
