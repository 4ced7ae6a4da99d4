"""Captions say what the states show."""

import numpy as np
import pytest

from worldfoundry.simulate.film import simulate
from worldfoundry.simulate.scenes import SCENES
from worldfoundry.simulate.words import colour_name

pytest.importorskip("mujoco")


@pytest.mark.parametrize("scene", SCENES)
def test_every_scene_is_told_in_one_sentence_that_counts_its_bodies(scene):
    clip = simulate(scene, seed=2, num_frames=21, height=16, width=16)
    assert clip.caption[0].isupper()
    assert clip.caption.count(".") == 1


def test_dominoes_are_counted_when_they_have_fallen_and_not_before():
    short, long = (simulate("dominoes", seed=3, num_frames=n, height=16, width=16) for n in (3, 37))
    fallen = int((long.body_positions[0, :, 2] - long.body_positions[:, :, 2].min(0) > 0.1).sum())
    assert fallen == len(long.body_names)
    assert "fall" not in short.caption
    assert long.caption.endswith("all fall one after another.")


def test_a_ball_that_has_not_bounced_yet_does_not_bounce_in_the_caption():
    captions = [simulate("free-fall", seed=3, num_frames=n, height=16, width=16).caption for n in (1, 5, 30)]
    assert "in the air" in captions[0]
    assert "bounce" not in captions[1]
    assert "bounce" in captions[2]


def test_a_gyroscope_turns_the_way_that_the_caption_says():
    for seed in range(4):
        clip = simulate("gyroscope", seed=seed, num_frames=20, height=16, width=16)
        x, y = clip.body_positions[:, 0, 0], clip.body_positions[:, 0, 1]
        positive = np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) > 0
        assert ("anticlockwise" in clip.caption) == positive


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ((1.0, 0.0, 0.0), "red"),
        ((0.0, 0.7, 0.1), "green"),
        ((0.1, 0.2, 0.9), "blue"),
        ((0.05, 0.05, 0.05), "black"),
    ],
)
def test_colours_have_their_common_names(colour, name):
    assert colour_name(colour) == name
