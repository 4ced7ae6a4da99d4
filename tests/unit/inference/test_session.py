"""World models behind start and step, on a small random network and a tokenizer that only strides."""

from dataclasses import replace

import pytest
import torch
from einops import repeat

from worldfoundry.core.errors import CheckpointError, ConfigError, UnknownNameError
from worldfoundry.inference.session import load_tokenizer, load_world, rollout
from worldfoundry.models.diffusion.world import DiffusionWorld, DiffusionWorldNetwork
from worldfoundry.protocols.models import Conditioning, TokenizerSpec, WorldModel
from worldfoundry.protocols.video import Clip
from worldfoundry.recipes.worlds import dit_v2w_nano_debug

SPEC = TokenizerSpec(temporal_stride=4, spatial_stride=8, latent_channels=3)


class StridingTokenizer:
    """Latents are the last pixel of each cell; causal and exact on clips that are constant in each cell."""

    spec = SPEC

    def encode(self, pixels):
        return pixels[:, :, ::4, ::8, ::8].contiguous()

    def decode(self, latents):
        frames = torch.cat([latents[:, :, :1], latents[:, :, 1:].repeat_interleave(4, dim=2)], dim=2)
        return repeat(frames, "b c t h w -> b c t (h p) (w q)", p=8, q=8).contiguous()


@pytest.fixture(scope="module")
def world():
    config = dit_v2w_nano_debug().objective.model
    config = replace(config, network=replace(config.network, latent_channels=3), height=32, width=32)
    network = DiffusionWorldNetwork(config, generator=torch.Generator().manual_seed(0))
    return DiffusionWorld(network.eval().requires_grad_(False), StridingTokenizer())


def context(frames=5, fps=10.0, batch=1, seed=0):
    cells = torch.rand(batch, 3, 1 + (frames - 1) // 4, 4, 4, generator=torch.Generator().manual_seed(seed))
    return Clip(pixels=StridingTokenizer().decode(cells * 2 - 1)[:, :, :frames], fps=fps)


def start(world, clip, seed=0):
    return world.start(clip, Conditioning(), generators=[torch.Generator().manual_seed(seed)])


def test_it_is_a_world_model(world):
    assert isinstance(world, WorldModel)


def test_a_step_leaves_the_carry_as_it_was_so_that_it_can_be_forked(world):
    carry = start(world, context())
    saved = carry.latents.clone(), carry.rng_state.clone()
    first, _ = world.step(carry)
    second, _ = world.step(carry)
    assert torch.equal(first.pixels, second.pixels)
    assert torch.equal(carry.latents, saved[0])
    assert torch.equal(carry.rng_state, saved[1])


def test_a_saved_carry_goes_on_as_the_live_one(world, tmp_path):
    _, carry = world.step(start(world, context()))
    fields = {k: getattr(carry, k) for k in ("latents", "history", "rng_state", "num_frames")}
    torch.save(fields, tmp_path / "carry.pt")
    loaded = type(carry)(**torch.load(tmp_path / "carry.pt", weights_only=True))
    assert torch.equal(world.step(carry)[0].pixels, world.step(loaded)[0].pixels)


def test_a_longer_rollout_begins_with_the_shorter_one_and_has_exactly_the_frames_asked_for(world):
    clip = context()
    short, long = (rollout(world, clip, num_frames=n, seeds=[3]) for n in (6, 27))
    assert (short.num_frames, long.num_frames) == (5 + 6, 5 + 27)
    assert torch.equal(long.pixels[:, :, :11], short.pixels)
    assert torch.equal(long.pixels[:, :, :5], clip.pixels)


def test_windows_follow_one_another_in_latent_space(world):
    first, carry = world.step(start(world, context()))
    pixels = torch.cat([context().pixels, first.pixels], dim=2)
    kept = world.tokenizer.encode(pixels)[:, :, -world.spec.max_context_latents :]
    torch.testing.assert_close(carry.latents, kept)
    second, after = world.step(carry)
    assert after.num_frames == 5 + first.num_frames + second.num_frames
    assert second.start_seconds == pytest.approx((5 + first.num_frames) / 10)


def test_the_seed_decides_the_future_and_nothing_else_does(world):
    a, b, c = (rollout(world, context(), num_frames=8, seeds=[s]).pixels for s in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_a_clip_has_the_same_future_alone_and_in_a_batch(world):
    clips, seeds = [context(seed=n) for n in range(3)], [5, 1, 5]
    alone = [rollout(world, c, num_frames=27, seeds=[s]).pixels for c, s in zip(clips, seeds, strict=True)]
    batch = Clip(pixels=torch.cat([c.pixels for c in clips]), fps=10.0)
    torch.testing.assert_close(rollout(world, batch, num_frames=27, seeds=seeds).pixels, torch.cat(alone))
    with pytest.raises(ConfigError, match=r"^seeds must be one for each of the 3 clips, got 1"):
        rollout(world, batch, num_frames=27, seeds=[5])
    with pytest.raises(ConfigError, match=r"^generators must be one for each of the 3 clips, got 1"):
        start(world, batch)


def test_a_carry_needs_a_generator_state_for_each_clip(world):
    batch = Clip(pixels=torch.cat([context(seed=n).pixels for n in range(3)]), fps=10.0)
    generators = [torch.Generator().manual_seed(n) for n in range(3)]
    carry = world.start(batch, Conditioning(), generators=generators)
    with pytest.raises(ConfigError, match=r"^generators must be one for each of the 3 clips, got 1"):
        world.network.continue_window(carry.latents, num_latents=1, generators=generators[:1])
    object.__setattr__(carry, "rng_state", carry.rng_state[:1])  # only tests check the shapes of a new carry
    with pytest.raises(ConfigError, match=r"^carry\.rng_state must be one for each of the 3 clips, got 1"):
        world.step(carry)


@pytest.mark.parametrize(
    ("clip", "says"),
    [
        (context(fps=24.0), "10.0 fps, got 24.000"),
        (context(frames=9), "at most 5 frames, got 9"),
        (Clip(pixels=torch.zeros(1, 3, 5, 64, 32), fps=10.0), "32x32 pixels"),
    ],
)
def test_a_context_that_does_not_fit_is_refused_with_the_fix(world, clip, says):
    with pytest.raises(ConfigError, match=says):
        start(world, clip)


def test_conditioning_that_the_model_does_not_take_is_refused(world):
    with pytest.raises(ConfigError, match="takes no text"):
        rollout(world, context(), num_frames=4, conditioning=Conditioning(text="a ball falls"))


def test_normalising_undoes_denormalising(world):
    z = torch.randn(2, 3, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    world.network.latent_mean.copy_(torch.tensor([0.3, -1.0, 2.0]))
    world.network.latent_std.copy_(torch.tensor([0.5, 1.0, 3.0]))
    torch.testing.assert_close(world.network.denormalise(world.network.normalise(z)), z)
    world.network.latent_mean.zero_()
    world.network.latent_std.fill_(1)


def test_loading_by_name_says_what_is_wrong(tmp_path):
    with pytest.raises(UnknownNameError, match="wavetok"):
        load_tokenizer("wavetok-c-t4s8z16-nan")
    with pytest.raises(CheckpointError, match="must be a world model"):
        load_world("wavetok-c-t4s8z16-nano")
    with pytest.raises(CheckpointError, match="train it first"):
        load_world(str(tmp_path))
