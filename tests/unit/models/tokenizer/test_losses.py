"""Gradients by finite differences in float64, and what each loss must and must not see."""

import pytest
import torch
from torch.autograd import gradcheck

from worldfoundry.core.errors import ConfigError
from worldfoundry.models.tokenizer import losses
from worldfoundry.models.tokenizer.discriminator import PatchDiscriminator
from worldfoundry.models.tokenizer.perceptual import random_conv


def draw(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


X, Y = draw(1, 3, 3, 16, 16), draw(1, 3, 3, 16, 16, seed=1)
IMAGES = X[0].transpose(0, 1)
FLOW = 2 * draw(1, 2, 2, 16, 16, seed=2)


def estimate(first, second):
    return (second - first)[:, :2] ** 3


def features(clip):
    return random_conv().double()(clip.transpose(1, 2).flatten(0, 1))


def judge(clip):
    return PatchDiscriminator(2, generator=torch.Generator().manual_seed(0)).double()(clip)


LOSSES = {
    "l1": lambda y: losses.absolute_error(X, y),
    "kl": lambda y: losses.kl_divergence(y, X + 0.1 * y),
    "perceptual": lambda y: losses.perceptual_distance(features(X), features(y), (0.2,) * 5),
    "gram-image": lambda y: losses.gram_distance(features(X), features(y), (0.2,) * 5),
    "gram-video": lambda y: losses.gram_distance(features(X), features(y), (0.2,) * 5, num_frames=3),
    "flow": lambda y: losses.flow_distance(X, y, estimate=estimate),
    "warped": lambda y: losses.warped_error(X, y, forward=FLOW, backward=-FLOW),
    "consistency": lambda y: torch.stack(
        losses.consistency(
            losses.cut_windows(y**2, num_frames=2, step=1)
            * torch.tensor([1.0, 2.0])[:, None, None, None, None],
            losses.cut_windows(y.sin(), num_frames=2, step=1),
            num_clips=1,
            step=1,
        )
    ),
    "generator": lambda y: losses.generator_hinge(judge(y)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_is_that_of_finite_differences(name):
    y = Y.clone().requires_grad_()
    assert gradcheck(lambda y: LOSSES[name](y).mean(), (y,), eps=1e-6, atol=1e-6, rtol=1e-3, fast_mode=True)
    assert y.grad is None
    (gradient,) = torch.autograd.grad(LOSSES[name](y).mean(), y)
    assert gradient.abs().sum() > 0


def test_the_judge_gets_the_gradient_of_finite_differences():
    real, fake = draw(4, 5), draw(4, 5, seed=1).requires_grad_()
    assert gradcheck(losses.discriminator_hinge, (2 * real, fake), eps=1e-6)
    assert losses.discriminator_hinge(torch.full((2,), 1.5), torch.full((2,), -1.5)) == 0
    assert losses.discriminator_hinge(torch.zeros(2), torch.zeros(2)) == 1


@pytest.mark.parametrize("name", [n for n in LOSSES if n not in ("kl", "consistency", "generator")])
def test_a_perfect_reconstruction_costs_nothing(name):
    assert LOSSES[name](X).abs().max() == 0


def test_a_frame_is_fetched_from_where_the_flow_leads():
    clip = draw(1, 3, 1, 6, 8)
    flow = torch.zeros(1, 2, 1, 6, 8, dtype=torch.float64)
    flow[:, 0], flow[:, 1] = 2.0, -1.0
    moved = losses.warp(clip, flow)
    torch.testing.assert_close(moved[..., 1:, :-2], clip[..., :-1, 2:])


def test_an_error_that_moves_with_the_scene_is_free_and_one_that_sticks_to_the_screen_is_not():
    texture = draw(1, 3, 1, 16, 24)[:, :, 0]
    moving = torch.stack([texture.roll(k, -1) for k in range(3)], dim=2)
    still = texture[:, :, None].expand(-1, -1, 3, -1, -1)
    flow = torch.zeros(1, 2, 2, 16, 24, dtype=torch.float64)
    flow[:, 0] = 1.0
    truth = torch.zeros_like(moving)

    def inner(error):
        return losses.warped_error(truth, error, forward=flow, backward=-flow)[..., 3:-3].mean()

    assert inner(moving) < 1e-12
    assert inner(still) > 0.3


def test_gram_sees_what_there_is_and_not_where():
    a = [draw(2, 4, 6, 6)]
    moved = [a[0].flip(-1).roll(2, -2)]
    assert losses.gram_distance(a, moved, [1.0]).max() < 1e-24
    assert losses.perceptual_distance(a, moved, [1.0]).min() > 0.1
    assert losses.gram_distance(a, [2 * a[0]], [1.0]).min() > 0.01


def test_windows_that_agree_join_to_the_clip_and_cost_nothing():
    clip, latents = draw(2, 3, 17, 4, 4), draw(2, 5, 5, 2, 2)
    windows = losses.cut_windows(clip, num_frames=9, step=4)
    torch.testing.assert_close(losses.join_windows(windows, num_clips=2, step=4), clip)
    codes = losses.cut_windows(latents, num_frames=3, step=1)
    assert losses.consistency(windows, codes, num_clips=2, step=4) == (0.0, 0.0)
    with pytest.raises(ConfigError, match="got 17; change the clip"):
        losses.cut_windows(clip, num_frames=9, step=5)


def test_the_judge_takes_images_and_is_drawn_from_its_generator_alone():
    torch.manual_seed(1)
    image = draw(2, 3, 1, 32, 32)
    assert judge(image).shape[:3] == (2, 1, 1)
    scores = judge(image)
    torch.manual_seed(2)
    assert torch.equal(scores, judge(image))
