"""The recipe that goes on with the published tokenizer on footage of one's own, in small and planned in full."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from worldfoundry.cli.main import main
from worldfoundry.core.runs import read_jsonl
from worldfoundry.data.video_write import write_video
from worldfoundry.models.pretrained.config import ReleaseConfig
from worldfoundry.models.pretrained.convert import convert
from worldfoundry.models.pretrained.release import load_tokenizer, save_release
from worldfoundry.models.tokenizer.initialise import initialise
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.models.tokenizer.released import get_released
from worldfoundry.protocols.frames import Frames
from worldfoundry.recipes.table import RECIPES
from worldfoundry.training import plan as planning
from worldfoundry.training.trainer import build_task

pytest.importorskip("cv2")
NAME = "cosmos-cv8x8x8-finetune"


@pytest.fixture
def footage(tmp_path):
    """Two short films of textures that move."""
    rng = np.random.default_rng(0)
    for i in range(2):
        texture = np.kron(rng.integers(30, 220, (10, 12, 3)), np.ones((4, 4, 1))).astype(np.uint8)
        frames = np.stack([np.roll(texture, 2 * k, axis=1) for k in range(24)])
        (tmp_path / "footage").mkdir(exist_ok=True)
        write_video(tmp_path / "footage" / f"{i}.mp4", Frames.at_constant_rate(frames, 10.0))
    return str(tmp_path / "footage")


@pytest.fixture
def published(tmp_path):
    """Weights of the small twin in the files of a release."""
    config = RECIPES.get(f"{NAME}-debug")().objective.model
    model = WaveletTokenizer(config)
    initialise(model, torch.Generator().manual_seed(1))
    (tmp_path / "native").mkdir()
    save_release(tmp_path / "native", model, ReleaseConfig(name="tiny", family="tokenizer", tokenizer=config))
    convert(str(tmp_path / "native"), tmp_path / "official", to="official")
    return str(tmp_path / "official")


def test_the_recipe_has_the_published_network_and_every_loss_that_was_published_as_on():
    config = RECIPES.get(NAME)()
    assert config.objective.model == get_released(config.init_from)
    starts = {name: s.first_step for name, s in config.objective.schedules().items()}
    assert starts.pop("consistency.weight") is None
    assert None not in starts.values()
    assert config.objective.l1_weight > 0
    raft = replace(config.objective.flow, estimator="raft.pth")
    replace(config.objective, flow=raft)  # its crops are right for RAFT too


def test_three_steps_go_on_from_official_files_on_footage_with_every_loss(
    footage, published, tmp_path, capsys
):
    line = ["train", f"{NAME}-debug", "--data", footage, "--init-from", published, "--steps", "3"]
    runs = ["--runs", str(tmp_path / "runs"), "--json"]
    assert main([*line, *runs]) == 0
    run = json.loads(capsys.readouterr().out)["run"]
    rows = read_jsonl(f"{run}/metrics.jsonl")
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert {"l1", "perceptual", "gram", "flow", "adversarial", "judge/real"} <= rows[-1].keys()
    assert "adversarial" not in rows[0]
    assert "flow" not in rows[1]  # a batch of images
    assert all(np.isfinite(v) for row in rows for v in row.values())
    start, trained = (load_tokenizer(name).state_dict() for name in (published, run))
    moved = {k for k in start if not torch.equal(start[k], trained[k])}
    assert len(moved) > len(start) / 2
    largest = max(float((start[k] - trained[k]).abs().max()) for k in start)
    assert largest < 1e-3  # it went on: fresh weights are further away
    config = RECIPES.get(f"{NAME}-debug")()
    fresh = build_task(replace(config, data=(footage,)), torch.device("cpu")).network.state_dict()
    assert max(float((fresh[k] - start[k]).abs().max()) for k in start) > 1e-2


def test_the_full_recipe_is_planned_without_its_weights_at_hand(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    measured = []
    monkeypatch.setattr(planning, "_measured", lambda *args: measured.append(args) or (1.0, 10**9))
    assert main(["train", NAME, "--dry-run", "--device", "cpu", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["parameters"] == 105_653_696
    assert planned["missing_data"] == ["footage"]
    assert planned["starts_from"] == "Cosmos-Tokenize1-CV8x8x8-720p, fetched from the Hub"
    assert planned["judge_from_step"] == 3500
    assert planned["images_per_image_batch"] == 8
    assert len(measured) == 2


def test_the_twin_is_planned_in_full(capsys):
    assert main(["train", f"{NAME}-debug", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "judge from step        0" in said
    assert "image batch every      2" in said
