"""The demo end to end, on one real clip and with models that know nothing, so that it takes seconds."""

import json
import shutil

import numpy as np
import pytest
import torch

from worldfoundry.cli import demo
from worldfoundry.core.errors import ConfigError, DataError, UnknownNameError
from worldfoundry.data.video_write import write_video
from worldfoundry.evaluate.config import Score
from worldfoundry.protocols.models import Carry, TokenizerSpec, WorldSpec
from worldfoundry.protocols.video import Clip, Frames

for _package in ("cv2", "pyarrow", "mujoco"):
    pytest.importorskip(_package)


class ExactTokenizer:
    """Keeps every pixel."""

    spec = TokenizerSpec(temporal_stride=4, spatial_stride=8, latent_channels=16)

    def encode(self, pixels):
        return pixels

    def decode(self, latents):
        return latents


class FreezingWorld:
    """Repeats the last frame, four at a time."""

    tokenizer = ExactTokenizer()
    spec = WorldSpec(
        fps=10.0, height=32, width=32, tokenizer=ExactTokenizer.spec, window_latents=3, max_context_latents=2
    )

    def start(self, context, conditioning, *, generators):
        last = context.pixels[:, :, -1:]
        states = torch.stack([g.get_state() for g in generators])
        return Carry(latents=last, history=last, rng_state=states, num_frames=context.num_frames)

    def step(self, carry):
        return Clip(pixels=carry.latents.expand(-1, -1, 4, -1, -1), fps=10.0), carry


def _moving_texture(path, seconds: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (12, 60, 3), dtype=np.uint8)
    world = np.kron(noise, np.ones((8, 8, 1), np.uint8))
    views = [world[:, 3 * k : 3 * k + 96] for k in range(int(seconds * 10))]
    write_video(path, Frames.at_constant_rate(np.stack(views), 10.0))


@pytest.fixture
def _fakes(monkeypatch):
    from worldfoundry.cli import demo_work

    identity = {"name": "fake", "sha256": "0" * 16}
    monkeypatch.setattr(demo_work, "load_world", lambda name: FreezingWorld())
    monkeypatch.setattr(demo_work, "world_identity", lambda name: {"world": identity, "tokenizer": identity})


@pytest.mark.slow
@pytest.mark.usefixtures("_fakes")
def test_the_demo_tells_the_whole_story(tmp_path, capsys, samples):
    real, (samples, out) = samples / "driving.mp4", (tmp_path / "samples", tmp_path / "out")
    samples.mkdir()
    shutil.copy(real, samples / "pan & <tilt>.mp4")
    _moving_texture(samples / "short.mp4", 1.0)
    (samples / "broken.mp4").write_bytes(b"no video")
    line = ["--samples", str(samples), "--out", str(out), "--num-clips", "2", "--workers", "1", "--json"]
    assert demo.run(line) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["clips_kept"], summary["clips_rejected"]) == (1, 2)
    html = (out / "report.html").read_text(encoding="utf-8")
    assert "pan &amp; &lt;tilt&gt;" in html
    assert html.count("<video") == 1 + 3 + 1  # round trip, scenes, real clip
    assert "damaged file" in html
    assert "beats both floors at 0 of 3 horizons in PSNR" in html
    assert "cut into 1 clean clip. 1 of them went through the tokenizer" in html
    assert "dB below the best guess that knows no physics, in PSNR over 3 s;" in html
    assert "in new draws of the three scenes it knows" in html
    assert "https://" not in html
    result = json.loads((out / "eval.json").read_text(encoding="utf-8"))
    rows = result["groups"]["all"]
    assert rows["model"]["psnr_horizon"] == rows["copy-last"]["psnr_horizon"]


def test_a_missing_samples_folder_is_one_clear_error(tmp_path):
    with pytest.raises(ConfigError, match="--samples must be a folder of videos"):
        demo.run(["--samples", str(tmp_path / "nowhere")])


def test_an_existing_output_is_never_overwritten(tmp_path):
    with pytest.raises(ConfigError, match="must not exist"):
        demo.run(["--samples", str(tmp_path), "--out", str(tmp_path)])


def test_clips_of_different_sources_come_first():
    from worldfoundry.cli.demo_work import choose

    def row(source, seconds, kept=True, fps=25.0):
        decision = "kept" if kept else "rejected"
        return {"source": source, "start_s": 0.0, "end_s": seconds, "decision": decision, "fps": fps}

    clips = [row("a", 5), row("a", 6), row("b", 2), row("c", 9), row("d", 9, kept=False), row("e", 9, fps=4)]
    assert [r["source"] for r in choose(clips, 3, seconds=3.7, fps=10.0)] == ["a", "c", "a"]
    assert [r["source"] for r in choose(clips, 9, seconds=3.7, fps=4.0)] == ["a", "c", "e", "a"]
    with pytest.raises(DataError, match=r"must last 10\.0 s and run at 10 fps"):
        choose(clips, 3, seconds=10.0, fps=10.0)


@pytest.mark.usefixtures("_fakes")
def test_what_cannot_work_leaves_no_folder(tmp_path, monkeypatch):
    from worldfoundry.cli import demo_work

    monkeypatch.chdir(tmp_path)
    (tmp_path / "samples").mkdir()
    with pytest.raises(DataError, match="must hold videos"):
        demo.run([])

    def unknown(name):
        raise UnknownNameError("model", name, [])

    _moving_texture(tmp_path / "samples/pan.mp4", 1.0)
    monkeypatch.setattr(demo_work, "load_world", unknown)
    with pytest.raises(UnknownNameError):
        demo.run([])
    assert [p.name for p in tmp_path.iterdir()] == ["samples"]


def test_the_story_says_where_ssim_says_otherwise():
    from worldfoundry.cli.demo_report import _ssim_caveat

    def rows(model, copied):
        score = {
            k: {"1": Score(mean=v, ci95=None, n=3)} for k, v in (("model", model), ("copy-last", copied))
        }
        return {k: {"ssim_horizon": v} for k, v in score.items()}

    assert _ssim_caveat(rows(0.8, 0.75)) == ""
    said = " (in SSIM over the first 1 s it is below copying the last frame, 0.750 against 0.800)"
    assert _ssim_caveat(rows(0.75, 0.8)) == said
