"""Recipes of world models."""

from dataclasses import replace

from worldfoundry.models.diffusion.config import DiTConfig, EDMConfig
from worldfoundry.models.diffusion.world_config import DiffusionWorldConfig
from worldfoundry.training.config import OptimConfig, TrainConfig, WorldObjective


def _world_nano() -> DiffusionWorldConfig:
    return DiffusionWorldConfig(
        network=DiTConfig(
            model_channels=256,
            num_blocks=6,
            num_heads=8,
            adaln_lora_dim=64,
            text_channels=0,
            max_latent_frames=16,
            max_latent_height=8,
            max_latent_width=8,
            has_condition_mask=True,
            has_padding_mask=False,
        ),
        edm=EDMConfig(
            sigma_min=10.0, sigma_max=20.0, p_mean=1.4, p_std=1.5, augment_p_mean=-4.5, augment_p_std=1.0
        ),
        tokenizer="wavetok-c-t4s8z16-nano",
        temporal_stride=4,
        spatial_stride=8,
        fps=10.0,
        height=64,
        width=64,
        window_latents=10,
        max_context_latents=3,
        num_steps=1,
        context_sigma=0.01,
    )


def dit_v2w_nano() -> TrainConfig:
    """The shipped world model, on simulated clips; figures in docs/models/dit-v2w-nano.md."""
    return TrainConfig(
        recipe="dit-v2w-nano",
        objective=WorldObjective(model=_world_nano()),
        data=("datasets/sim-world",),
        flip=False,
        steps=2800,
        batch_size=16,
        optim=OptimConfig(learning_rate=1e-3, eps=1e-8, decay_fraction=0.7),
        checkpoint_every=200,
        sample_every=200,
    )


def dit_v2w_nano_debug() -> TrainConfig:
    """Two steps of a far smaller world model, seconds: for tests and for trying a data set."""
    full = _world_nano()
    small = replace(full.network, model_channels=48, num_blocks=1, num_heads=2, adaln_lora_dim=8)
    world = replace(full, network=small, window_latents=4, max_context_latents=2, num_steps=2)
    return replace(
        dit_v2w_nano(),
        recipe="dit-v2w-nano-debug",
        objective=WorldObjective(model=world),
        data=("datasets/debug",),
        steps=2,
        batch_size=2,
        log_every=1,
    )
