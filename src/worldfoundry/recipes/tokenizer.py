"""Recipes of tokenizers."""

from dataclasses import replace

from worldfoundry.models.tokenizer.config import official_cv8x8x8, wavetok_c_t4s8z16_nano, wavetok_d_t4s8_nano
from worldfoundry.training.config import OptimConfig, TokenizerObjective, TrainConfig
from worldfoundry.training.tokenizer_config import (
    AdversarialLoss,
    FeatureLosses,
    FlowLoss,
    WeightSchedule,
)


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


def wavetok_nano_decoder() -> TrainConfig:
    """The second half of the shipped tokenizer's training: its decoder alone, on more worlds; latents stay what they are."""
    return replace(
        wavetok_nano(),
        recipe="wavetok-c-t4s8z16-nano-decoder",
        init_from="wavetok-c-t4s8z16-nano",
        objective=TokenizerObjective(model=wavetok_c_t4s8z16_nano(), train_encoder=False),
        data=("datasets/sim-tok", "datasets/sim-more", "datasets/real-10", "datasets/real-5"),
        data_shares=(0.35, 0.2, 0.28, 0.17),
        steps=3000,
    )


def wavetok_nano_decoder_debug() -> TrainConfig:
    """Two steps of the decoder of a far smaller tokenizer from fresh weights, seconds."""
    debug = wavetok_nano_debug()
    assert isinstance(debug.objective, TokenizerObjective), "that is what the recipe trains"
    objective = replace(debug.objective, train_encoder=False)
    return replace(debug, recipe="wavetok-c-t4s8z16-nano-decoder-debug", objective=objective)


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


def wavetok_staged_nano() -> TrainConfig:
    """The same network in the paper's stages: L1 and features, then flow and Gram, then against a judge; offline extractors."""
    stages = {"flow_and_gram": 1000, "judge": 1800}
    objective = TokenizerObjective(
        model=wavetok_c_t4s8z16_nano(),
        aspects=("1:1", "4:3", "3:4", "16:9", "9:16"),
        cover_share=0.5,
        reverse=True,
        image_every=4,
        mse_weight=0.0,
        features=FeatureLosses(
            perceptual=WeightSchedule(values=(0.1,)),
            gram=WeightSchedule(values=(0.0, 0.062), boundaries=(stages["flow_and_gram"],)),
        ),
        flow=FlowLoss(weight=WeightSchedule(values=(0.0, 0.1), boundaries=(stages["flow_and_gram"],))),
        adversarial=AdversarialLoss(
            weight=WeightSchedule(values=(0.0, 0.01), boundaries=(stages["judge"],)),
            head_start_steps=100,
            channels=32,
            optim=OptimConfig(
                learning_rate=4e-4, beta1=0.5, beta2=0.999, eps=1e-8, warmup_steps=50, decay_fraction=0.0
            ),
        ),
    )
    return replace(wavetok_nano(), recipe="wavetok-c-t4s8z16-nano-staged", objective=objective)


def wavetok_staged_nano_debug() -> TrainConfig:
    """Two steps of a far smaller tokenizer, with every loss of the stages in the second."""
    full, debug = wavetok_staged_nano().objective, wavetok_nano_debug()
    assert isinstance(full, TokenizerObjective), "that is what the recipe above trains"
    assert isinstance(debug.objective, TokenizerObjective), "and this one"
    objective = replace(
        full,
        model=debug.objective.model,
        crop=32,
        num_frames=5,
        features=replace(full.features, gram=replace(full.features.gram, boundaries=(1,))),
        flow=replace(full.flow, weight=replace(full.flow.weight, boundaries=(1,))),
        adversarial=replace(
            full.adversarial,
            weight=replace(full.adversarial.weight, boundaries=(1,)),
            head_start_steps=1,
            channels=4,
        ),
    )
    return replace(debug, recipe="wavetok-c-t4s8z16-nano-staged-debug", objective=objective)


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


def cosmos_cv8x8x8_finetune() -> TrainConfig:
    """The published CV8x8x8 on footage of one's own, with the published late weights of its losses, and a judge at the end.

    Consistency is off, as in every released experiment. Optimiser and length are ours: no fine-tuning is published with figures.
    """
    objective = TokenizerObjective(
        model=official_cv8x8x8(),
        crop=256,
        num_frames=17,
        cover_share=0.9,
        reverse=True,
        image_every=4,
        mse_weight=0.0,
        features=FeatureLosses(
            perceptual=WeightSchedule(values=(0.073,)), gram=WeightSchedule(values=(0.062,))
        ),
        flow=FlowLoss(weight=WeightSchedule(values=(0.1,))),
        adversarial=AdversarialLoss(
            weight=WeightSchedule(values=(0.0, 0.01), boundaries=(4000,)),
            head_start_steps=500,
            optim=OptimConfig(
                learning_rate=4e-4, beta1=0.5, beta2=0.999, eps=1e-8, warmup_steps=100, decay_fraction=0.0
            ),
        ),
    )
    return TrainConfig(
        recipe="cosmos-cv8x8x8-finetune",
        objective=objective,
        data=("footage",),
        init_from="Cosmos-Tokenize1-CV8x8x8-720p",
        steps=5000,
        batch_size=2,
        precision="bfloat16",
        optim=OptimConfig(learning_rate=2e-5, eps=1e-8, warmup_steps=100, decay_fraction=1.0),
    )


def cosmos_cv8x8x8_finetune_debug() -> TrainConfig:
    """Two steps of a far smaller network with the same strides and every loss, from fresh weights."""
    full = cosmos_cv8x8x8_finetune()
    assert isinstance(full.objective, TokenizerObjective), "that is what the recipe above trains"
    small = replace(
        official_cv8x8x8(),
        channels=8,
        channel_multipliers=(1, 2, 2),
        decoder_channel_multipliers=(1, 2, 2),
        num_res_blocks=1,
        z_channels=8,
        latent_channels=8,
    )
    adversarial = full.objective.adversarial
    objective = replace(
        full.objective,
        model=small,
        crop=32,
        num_frames=9,
        image_every=2,
        adversarial=replace(
            adversarial, weight=replace(adversarial.weight, boundaries=(1,)), head_start_steps=1, channels=4
        ),
    )
    return replace(
        full,
        recipe="cosmos-cv8x8x8-finetune-debug",
        objective=objective,
        data=("datasets/debug",),
        init_from="",
        steps=2,
        precision="float32",
        log_every=1,
    )
