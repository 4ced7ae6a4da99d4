"""The demo end to end, on a made-up clip and with models that know nothing, so that it takes seconds."""

import json

import numpy as np
import pytest
import torch

from worldfoundry.cli import demo
from worldfoundry.core.errors import DataError
from worldfoundry.data.video_write import write_video
from worldfoundry.protocols.models import Carry, TokenizerSpec, WorldSpec
from worldfoundry.protocols.video import Clip, Frames

for _package in ("cv2", "scenedetect", "pyarrow", "mujoco"):
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
def test_the_demo_tells_the_whole_story(tmp_path, capsys):
    samples, out = tmp_path / "samples", tmp_path / "out"
    samples.mkdir()
    _moving_texture(samples / "pan & <tilt>.mp4", 5.0)
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
    assert "beats both floors at 0 of 3 horizons" in html
    assert "https://" not in html
    result = json.loads((out / "eval.json").read_text(encoding="utf-8"))
    rows = result["groups"]["all"]
    assert rows["model"]["psnr_horizon"] == rows["copy-last"]["psnr_horizon"]


def test_a_missing_samples_folder_is_one_clear_error(tmp_path):
    with pytest.raises(DataError, match="--samples"):
        demo.run(["--samples", str(tmp_path / "nowhere")])


def test_an_existing_output_is_never_overwritten(tmp_path):
    with pytest.raises(DataError, match="must not exist"):
        demo.run(["--samples", str(tmp_path), "--out", str(tmp_path)])


def test_clips_of_different_sources_come_first():
    from worldfoundry.cli.demo_work import choose

    def row(source, seconds, kept=True):
        return {"source": source, "start_seconds": 0.0, "end_seconds": seconds, "kept": kept}

    clips = [row("a", 5), row("a", 6), row("b", 2), row("c", 9), row("d", 9, kept=False)]
    assert [r["source"] for r in choose(clips, 3, seconds=3.7)] == ["a", "c", "a"]
    with pytest.raises(DataError, match=r"10\.0 s"):
        choose(clips, 3, seconds=10.0)
