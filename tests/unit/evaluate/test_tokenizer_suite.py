"""The suite on tokenizers whose answers are known."""

import json
import math

import numpy as np
import pytest
import torch

from worldfoundry.cli import evaluate as command
from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.data.video_write import write_video
from worldfoundry.evaluate.config import MODEL, compare, read_result
from worldfoundry.evaluate.features import random_clips, random_frames
from worldfoundry.evaluate.tokenizer import METRICS, _metrics, evaluate_tokenizer
from worldfoundry.evaluate.tokenizer_checks import check_causality
from worldfoundry.evaluate.tokenizer_clips import TrueClip, open_clips
from worldfoundry.evaluate.tokenizer_config import H264, REAL, TokenizerSuiteConfig
from worldfoundry.evaluate.tokenizer_distances import TRUTH, distances
from worldfoundry.evaluate.tokenizer_report import tokenizer_page
from worldfoundry.protocols.frames import Frames
from worldfoundry.protocols.models import TokenizerSpec

pytest.importorskip("cv2")


class Offset:
    """Keeps every fourth frame's pixels and, in channels, the others; adds 26 grey levels to every other frame."""

    spec = TokenizerSpec(temporal_stride=4, spatial_stride=8, latent_channels=3)

    def encode(self, pixels):
        return pixels

    def decode(self, latents):
        other = latents.clone()
        other[:, :, 1::2] += 26 / 127.5
        return other


class Grey:
    """A discrete one of 16 codes: mean brightness of each square and group of frames."""

    spec = TokenizerSpec(temporal_stride=4, spatial_stride=8, latent_channels=1, codebook_size=16)
    leaks = False

    def encode(self, pixels):
        first, rest = pixels[:, :, :1], pixels[:, :, 1:]
        groups = torch.cat([first.repeat(1, 1, 4, 1, 1), rest], dim=2)
        if self.leaks:
            groups = groups + 0.5 * groups.flip(2)
        mean = torch.nn.functional.avg_pool3d(groups.mean(1, keepdim=True), (4, 8, 8))[:, 0]
        return ((mean + 1) * 7.5).round().clamp(0, 15).int()

    def decode(self, latents):
        values = (latents.float() / 7.5 - 1)[:, None].expand(-1, 3, -1, -1, -1)
        large = torch.nn.functional.interpolate(values, scale_factor=(4.0, 8.0, 8.0))
        return large[:, :, 3:]


def clips(num_videos=3, per_video=2, size=32):
    rng = np.random.default_rng(0)
    for video in range(num_videos):
        coarse = rng.integers(60, 180, (4, 12, 3))
        fine = np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8)
        for k in range(per_video):
            pixels = np.stack([np.roll(fine, 2 * (t + k), axis=1)[:size, :size] for t in range(9)])
            frames = Frames.at_constant_rate(pixels, 10.0)
            yield TrueClip(video=video, name=f"<v{video}>", group="ab"[video % 2], frames=frames)


def run(tokenizer, **settings):
    config = TokenizerSuiteConfig(num_frames=9, size_px=32, speed_repeats=1, **settings)
    models = {"tokenizer": {"name": "<fake>", "sha256": "0"}}
    features = [random_frames(), random_clips()]
    return evaluate_tokenizer(config, clips(), tokenizer=tokenizer, features=features, models=models)


@pytest.fixture(scope="module")
def grey():
    return run(Grey())


def test_both_conventions_of_psnr_are_the_known_ones():
    result, _ = run(Offset(), baseline="none")
    row = result.groups["all"][MODEL]
    pooled = 20 * math.log10(255 / 26) + 10 * math.log10(9 / 4)
    by_frame = (5 * 60 + 4 * 20 * math.log10(255 / 26)) / 9
    assert row["psnr_clip"]["all"].mean == pytest.approx(pooled, abs=1e-6)
    assert row["psnr-frames_clip"]["all"].mean == pytest.approx(by_frame, abs=1e-6)
    assert row["flicker_clip"]["all"].mean == pytest.approx(26, abs=1e-4)
    assert row["bpp_clip"]["all"].mean == 3 * 16
    assert set(result.groups) == {"a", "b", "all"}
    assert result.groups["a"][MODEL]["psnr_clip"]["all"].n == 2
    assert H264 not in result.groups["all"]


def test_scores_are_means_over_videos_of_means_over_clips(grey):
    result, _ = grey
    values = result.per_clip["a"][MODEL]["psnr_clip@all"] + result.per_clip["b"][MODEL]["psnr_clip@all"]
    assert len(values) == 6
    score = result.groups["all"][MODEL]["psnr_clip"]["all"]
    assert score.n == 3
    assert score.mean == pytest.approx(np.mean(values), abs=1e-4)
    assert score.ci95[0] <= score.mean <= score.ci95[1]


def test_bits_codes_and_the_baseline_are_counted(grey):
    result, _ = grey
    rows, facts = result.groups["all"], result.facts
    assert rows[MODEL]["bpp_clip"]["all"].mean == pytest.approx(3 * 16 * 4 / (9 * 32 * 32))
    assert facts["codebook"]["codes_counted"] == 6 * 3 * 16
    assert 1 < facts["codebook"]["perplexity"] <= 16
    assert set(rows[H264]) >= set(METRICS)
    assert facts["speed"]["encode"]["times_realtime"] > 0
    assert REAL not in rows  # three videos say nothing about true clips against true clips


def test_distances_say_that_a_blurred_clip_is_further_away_and_a_true_one_is_not(grey):
    exact, _ = run(Offset(), baseline="none")
    for name in ("kernel-distance/random-conv-5_set", "kernel-distance/random-conv3d-3_set"):
        far = grey[0].groups["all"][MODEL][name]["all"]
        assert far.mean > 0.02
        assert far.n == 6
        assert name in exact.groups["all"][MODEL]
    assert exact.protocol["extractors"]["random-conv-5"] == random_frames().sha256


def test_copies_of_one_clip_have_no_distance():
    features = [torch.ones(1, 1, 8)]
    found = [{TRUTH: [features], MODEL: [[torch.full((1, 1, 8), 2.0)]]} for _ in range(2)]
    assert distances(found, [random_frames()], [0, 1]) == {}


def test_a_tokenizer_that_looks_ahead_is_found_out():
    leaky = Grey()
    leaky.leaks = True
    pixels = next(clips()).frames.to_clip().pixels
    assert check_causality(Grey(), pixels) == {
        "positions": 2,
        "encoder_largest_change": 0.0,
        "decoder_largest_change": 0.0,
        "is_causal": True,
    }
    found = check_causality(leaky, pixels)
    assert not found["is_causal"]
    assert found["encoder_largest_change"] > 0


def test_nothing_is_said_of_causality_where_there_is_no_later_latent():
    found = check_causality(Grey(), next(clips()).frames.to_clip().pixels[:, :, :1])
    assert (found["positions"], found["is_causal"]) == (0, None)


def test_flicker_in_one_place_is_not_made_up_for_by_smear_in_another():
    level, top = torch.zeros(1, 3, 9, 16, 16), torch.zeros(1, 3, 9, 16, 16)
    level[:, :, 1::2, :8] = 0.5  # the truth changes above ...
    top[:, :, 1::2, 8:] = 0.5  # ... what comes back below, by as much
    assert level.diff(dim=2).abs().mean() == top.diff(dim=2).abs().mean()
    assert _metrics(level, top, 1)["flicker_clip"] == pytest.approx(64, abs=1)
    assert _metrics(level, level + 0.25, 1)["flicker_clip"] == pytest.approx(0, abs=0.6)
    assert _metrics(level, -level, 1)["flicker_clip"] == pytest.approx(64, abs=1)


def test_the_protocol_says_which_frames_the_features_are_of(grey):
    result, _ = grey
    assert result.protocol["version"] == 2
    assert result.protocol["frame_features"].startswith("of every 4th frame")
    clip = torch.rand(1, 3, 9, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    (features,) = random_frames()(clip)
    assert features.shape[1] == 3
    other = clip.clone()
    other[:, :, 1:4] = 0
    assert torch.equal(random_frames()(other)[0], features)


def test_the_shipped_tokenizer_is_causal_to_the_last_bit():
    from worldfoundry.models.pretrained.release import load_tokenizer

    pixels = next(clips()).frames.to_clip().pixels
    assert check_causality(load_tokenizer("wavetok-c-t4s8z16-nano"), pixels)["is_causal"]


def test_the_page_has_every_row_and_escapes_what_comes_from_outside(grey):
    page = tokenizer_page(*grey)
    assert "<fake>" not in page
    assert "&lt;fake&gt;" in page
    assert "&lt;v0&gt;" in page
    for text in (
        "PSNR, dB, pooled over a clip",
        "PSNR, dB, mean over frames",
        "H.264, equal bits",
        "codebook",
    ):
        assert text in page
    assert page.count('class="card reel"') == 3


def test_videos_are_cut_as_asked_and_those_that_cannot_be_used_are_named(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (25, 40, 72, 3), dtype=np.uint8)
    write_video(tmp_path / "good.mp4", Frames.at_constant_rate(pixels, 10.0))
    write_video(tmp_path / "short.mp4", Frames.at_constant_rate(pixels[:5], 10.0))
    said = []

    def shapes(**settings):
        config = TokenizerSuiteConfig(data=str(tmp_path), num_frames=9, **settings)
        _, count, found = open_clips(config, spatial_stride=16, left_out=said.append)
        assert count == 2
        return [c.frames.pixels.shape for c in found]

    assert shapes(size_px=32) == [(9, 32, 32, 3)] * 2
    assert shapes(size_px=0, shape="source", fps=0.0, clips_per_video=1) == [(9, 32, 64, 3)]
    assert shapes(size_px=20, shape="source") == [(9, 16, 32, 3)] * 2
    assert all("short.mp4 must last 9 frames" in text for text in said)
    config = TokenizerSuiteConfig(data=str(tmp_path), num_frames=41)
    with pytest.raises(DataError, match="has no clip to score"):
        evaluate_tokenizer(
            config,
            open_clips(config, spatial_stride=8, left_out=said.append)[2],
            tokenizer=Grey(),
            features=[],
            models={},
        )


def test_the_command_stores_a_result_that_compares_with_itself_and_a_page(tmp_path, capsys):
    pixels = np.concatenate([c.frames.pixels for c in clips(1, 2)])
    for name in ("a", "b"):
        write_video(tmp_path / f"footage/{name}.mp4", Frames.at_constant_rate(pixels, 10.0))
    out = tmp_path / "eval.json"
    settings = ["--num-frames", "9", "--size-px", "32", "--speed-repeats", "1", "--out", str(out), "--json"]
    assert command.run(["tokenizer", "--data", str(tmp_path / "footage"), *settings]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["protocol"]["id"] == "tokenizer"
    assert printed["facts"]["causality"]["is_causal"]
    result = read_result(out)
    assert all(row["difference"] == 0 for row in compare(result, result))
    assert {row["metric"] for row in compare(result, result)} >= {
        *METRICS,
        "kernel-distance/random-conv-5_set",
    }
    assert "<html" in out.with_suffix(".html").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="--out must not exist yet"):
        command.run(["tokenizer", *settings])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["--size-px", "8"], "size-px must be 0 or at least 16"),
        (["--size-px", "0"], "size-px must be given for shape 'square'"),
        (["--clips-per-video", "0"], "clips-per-video must be at least 1"),
        (["--num-frames", "32"], "num_frames must be 1 \\+ a multiple of the temporal stride 4"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, says):
    with pytest.raises(ConfigError, match=says):
        command.run(["tokenizer", *settings])
