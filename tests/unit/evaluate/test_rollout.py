import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from worldfoundry.core.config import save_config
from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.evaluate.config import (
    CEILING,
    COPY_LAST,
    FLOW_WARP,
    MODEL,
    RolloutConfig,
    compare,
    read_result,
)
from worldfoundry.evaluate.metrics import PSNR_CAP_DB
from worldfoundry.evaluate.rollout import (
    RolloutTable,
    batched,
    evaluate_rollout,
    frames_to_predict,
    noise_seed,
    summarise,
)
from worldfoundry.protocols.models import TokenizerSpec
from worldfoundry.protocols.video import Clip, Frames

pytest.importorskip("cv2")
CONFIG = RolloutConfig(num_clips=3, batch_size=2)


class ExactTokenizer:
    """Keeps every pixel."""

    spec = TokenizerSpec(temporal_stride=4, spatial_stride=8, latent_channels=3)

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        return latents


def _moving_squares(num_clips: int, num_frames: int = 37) -> list[Clip]:
    clips = []
    for n in range(num_clips):
        x = np.full((num_frames, 32, 32, 3), 40, np.uint8)
        for k in range(num_frames):
            place = 2 + round(0.006 * k * k * (n + 1)) % 20
            x[k, place : place + 8, 8 + n : 16 + n] = (200, 120, 60)
        clips.append(Frames.at_constant_rate(x, 10.0).to_clip())
    return clips


def _freeze(context: Clip, num_frames: int, seeds: Sequence[int]) -> Clip:
    last = context.pixels[:, :, -1:].expand(-1, -1, num_frames, -1, -1)
    return Clip(pixels=torch.cat([context.pixels, last], dim=2), fps=context.fps)


def _evaluate(predict=_freeze, config=CONFIG, batch_size=2):
    truths = {s: batched(_moving_squares(config.num_clips), batch_size) for s in config.scenes}
    models = {"world": {"name": "freeze", "sha256": "0"}}
    return evaluate_rollout(config, truths, predict=predict, tokenizer=ExactTokenizer(), models=models)


def test_a_world_that_freezes_scores_exactly_as_copy_last():
    rows = _evaluate().groups["all"]
    assert rows[MODEL] == rows[COPY_LAST]
    assert rows[f"model-minus-{COPY_LAST}"]["psnr_horizon"]["3"].mean == 0


def test_an_exact_tokenizer_gives_a_perfect_ceiling():
    for curve in ("psnr_horizon", "psnr_second"):
        assert {s.mean for s in _evaluate().groups["dominoes"][CEILING][curve].values()} == {PSNR_CAP_DB}


def test_a_world_that_knows_the_future_beats_every_floor_at_every_horizon():
    truth = Clip(pixels=torch.cat([c.pixels for c in _moving_squares(3)]), fps=10.0)
    result = _evaluate(lambda context, n, seeds: truth, batch_size=3)
    for floor in (COPY_LAST, FLOW_WARP):
        assert all(s.mean > 0 for s in result.groups["all"][f"model-minus-{floor}"]["psnr_horizon"].values())


def test_all_pools_the_scenes_and_every_row_has_every_span():
    result = _evaluate()
    assert result.groups["all"][MODEL]["psnr_horizon"]["1"].n == 9
    for row in (MODEL, CEILING, COPY_LAST, FLOW_WARP):
        curves = result.groups["free-fall"][row]
        assert list(curves["psnr_horizon"]) == list(curves["ssim_second"]) == ["1", "2", "3"]
        assert len(curves["psnr_frame"]) == 30


def _noise(context: Clip, num_frames: int, seeds: Sequence[int]) -> Clip:
    shape = (*context.pixels.shape[1:2], num_frames, *context.pixels.shape[3:])
    noise = [torch.randn(shape, generator=torch.Generator().manual_seed(s)) for s in seeds]
    return Clip(pixels=torch.cat([context.pixels, torch.stack(noise)], dim=2), fps=context.fps)


def test_scores_do_not_depend_on_the_batch_size():
    a, b = _evaluate(_noise, batch_size=1), _evaluate(_noise, batch_size=3)
    assert a.data == b.data
    assert a.protocol == b.protocol
    assert a.groups == b.groups


def test_every_clip_and_every_model_seed_has_noise_of_its_own():
    assert len({noise_seed(m, c) for m in range(20) for c in range(1_000_000, 1_000_020)}) == 400


def test_a_horizon_pools_the_frames_up_to_it_and_a_second_only_its_own():
    mse = np.r_[np.full(10, 0.01), np.full(10, 0.03), np.full(12, 0.9)][None]
    table = RolloutTable(
        mse=dict.fromkeys((MODEL, COPY_LAST, FLOW_WARP), mse),
        ssim=dict.fromkeys((MODEL, COPY_LAST, FLOW_WARP), mse),
    )
    curves = summarise(table, fps=10.0, horizons=(1, 2))[MODEL]
    assert curves["psnr_horizon"]["1"].mean == pytest.approx(20)
    assert curves["psnr_horizon"]["2"].mean == pytest.approx(-10 * np.log10(0.02))
    assert curves["psnr_second"]["2"].mean == pytest.approx(-10 * np.log10(0.03))


def test_the_prediction_covers_the_horizon_and_fits_the_tokenizer():
    for fps in (5.0, 8.0, 10.0, 12.5, 24.0):
        for context in (1, 5, 9):
            n = frames_to_predict(seconds=3, fps=fps, context_frames=context, temporal_stride=4)
            assert n >= 3 * fps - 1e-6
            assert (n + context - 1) % 4 == 0
            assert n < 3 * fps + 4


def test_too_short_clips_are_refused():
    config = dataclasses.replace(CONFIG, scenes=("free-fall",))
    with pytest.raises(DataError, match="leaves none to predict"):
        evaluate_rollout(
            config,
            {"free-fall": _moving_squares(1, 5)},
            predict=_freeze,
            tokenizer=ExactTokenizer(),
            models={},
        )


def test_a_result_is_the_same_after_writing_and_reading(tmp_path):
    result = _evaluate()
    save_config(result, tmp_path / "eval.json")
    assert read_result(tmp_path / "eval.json") == result


def test_compare_gives_the_difference_of_the_models():
    a, b = _evaluate(), _evaluate(lambda c, n, s: Clip(pixels=_freeze(c, n, s).pixels * 0.9, fps=c.fps))
    rows = compare(a, b)
    assert {r["at"] for r in rows} == {"1", "2", "3"}
    assert all(r["difference"] == r["b"] - r["a"] for r in rows)
    assert all(r["difference"] == 0 for r in compare(a, a))


@pytest.mark.parametrize(
    "change",
    [
        {"num_clips": 2},
        {"model_seed": 3},
        {"context_frames": 9},
        {"scenes": ("free-fall",)},
        {"horizons_seconds": (1, 2)},
    ],
)
def test_compare_refuses_another_protocol_or_other_data(change):
    with pytest.raises(ConfigError, match="cannot be compared"):
        compare(_evaluate(), _evaluate(config=dataclasses.replace(CONFIG, **change)))


def test_training_seeds_are_refused():
    with pytest.raises(ConfigError, match="first_seed"):
        RolloutConfig(first_seed=5)
