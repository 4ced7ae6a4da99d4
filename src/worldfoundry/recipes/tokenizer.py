"""Recipes of tokenizers."""

from dataclasses import replace

from worldfoundry.models.tokenizer.config import wavetok_c_t4s8z16_nano, wavetok_d_t4s8_nano
from worldfoundry.training.config import OptimConfig, TokenizerObjective, TrainConfig


def wavetok_nano() -> TrainConfig:
    """The shipped tokenizer, on simulated and real clips; figures in docs/models/wavetok-c-t4s8z16-nano.md."""
    return TrainConfig(
        recipe="wavetok-c-t4s8z16-nano",
        objective=TokenizerObjective(model=wavetok_c_t4s8z16_nano()),
        data=("datasets/sim-tok", "datasets/real-10", "datasets/real-5"),
        data_shares=(0.45, 0.35, 0.2),
        steps=2400,
        batch_size=8,
        optim=OptimConfig(learning_rate=2.5e-4, eps=1e-8, warmup_steps=50, decay_fraction=1.0),
        checkpoint_every=100,
        sample_every=100,
    )


def wavetok_nano_debug() -> TrainConfig:
    """Two steps of a far smaller tokenizer, seconds: for tests and for trying a data set."""
    small = replace(wavetok_c_t4s8z16_nano(), channels=16, z_channels=8, latent_channels=8)
    return replace(
        wavetok_nano(),
        recipe="wavetok-c-t4s8z16-nano-debug",
        objective=TokenizerObjective(model=small, crop=32, num_frames=5),
        data=("datasets/debug",),
        data_shares=(),
        steps=2,
        batch_size=2,
        log_every=1,
    )


def wavetok_discrete_nano() -> TrainConfig:
    """The shipped discrete tokenizer, from the continuous one; figures in docs/models/wavetok-d-t4s8-nano.md."""
    return replace(
        wavetok_nano(),
        recipe="wavetok-d-t4s8-nano",
        objective=TokenizerObjective(model=wavetok_d_t4s8_nano(), trunk_from="wavetok-c-t4s8z16-nano"),
        steps=720,
    )


def wavetok_discrete_nano_debug() -> TrainConfig:
    """Two steps of a far smaller discrete tokenizer from fresh weights, seconds."""
    small = replace(wavetok_d_t4s8_nano(), channels=16, z_channels=8)
    return replace(
        wavetok_nano_debug(),
        recipe="wavetok-d-t4s8-nano-debug",
        objective=TokenizerObjective(model=small, crop=32, num_frames=5),
    )
