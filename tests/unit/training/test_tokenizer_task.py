"""The tokenizer's stages: which losses count when, batches of images and shapes, and a judge that resumes."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from worldfoundry.core.errors import CheckpointError, ConfigError
from worldfoundry.core.runs import read_jsonl
from worldfoundry.data.clip_set import write_clip_set
from worldfoundry.models.pretrained.release import load_tokenizer
from worldfoundry.recipes.table import RECIPES
from worldfoundry.training.optim_config import OptimConfig
from worldfoundry.training.tokenizer_config import (
    AdversarialLoss,
    ConsistencyLoss,
    FeatureLosses,
    FlowLoss,
    TokenizerObjective,
    WeightSchedule,
)
from worldfoundry.training.trainer import build_task, train

pytest.importorskip("cv2")


def later(weight, step):
    return WeightSchedule(values=(0.0, weight), boundaries=(step,))


@pytest.fixture
def clip_set(tmp_path):
    """Textures that move two pixels a frame to the right."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(4):
        texture = np.kron(rng.integers(30, 220, (10, 12, 3)), np.ones((4, 4, 1))).astype(np.uint8)
        rows.append((np.stack([np.roll(texture, 2 * k, axis=1) for k in range(17)]), {"seed": i}))
    return str(write_clip_set(tmp_path / "clips", rows, num_clips=4, fps=10.0).folder)


def test_a_variational_tokenizer_is_refused_for_there_is_no_loss_of_its_posterior():
    objective = RECIPES.get("wavetok-c-t4s8z16-nano-debug")().objective
    with pytest.raises(ConfigError, match=r"objective.model.is_variational must be false.*KL"):
        replace(objective, model=replace(objective.model, is_variational=True))


@pytest.fixture
def staged(clip_set):
    """Every loss, one stage a step; the judge learns from step 2 on and counts from step 3."""
    config = RECIPES.get("wavetok-c-t4s8z16-nano-debug")()
    objective = replace(
        config.objective,
        aspects=("1:1", "4:3"),
        num_frames=9,
        image_every=2,
        cover_share=0.5,
        reverse=True,
        features=FeatureLosses(perceptual=WeightSchedule(values=(0.1,)), gram=later(0.06, 2)),
        flow=FlowLoss(weight=later(0.1, 2)),
        consistency=ConsistencyLoss(weight=later(0.01, 4), num_frames=5, step=4),
        adversarial=AdversarialLoss(
            weight=later(0.05, 3), head_start_steps=1, channels=4, optim=OptimConfig(warmup_steps=2)
        ),
    )
    return replace(config, data=(clip_set,), objective=objective, steps=6, checkpoint_every=3, sample_every=6)


def logged(run):
    rows = read_jsonl(run / "metrics.jsonl")
    return [{k: v for k, v in row.items() if not k.startswith("time/")} for row in rows]


def flat(value, place=""):
    """Every leaf of a checkpoint by its place."""
    if isinstance(value, dict):
        return {k: v for key, inner in value.items() for k, v in flat(inner, f"{place}/{key}").items()}
    if isinstance(value, list):
        return flat(dict(enumerate(value)), place)
    return {place: value}


def test_each_stage_has_its_losses_and_no_other(staged, tmp_path):
    rows = logged(train(staged, runs_root=tmp_path / "runs"))
    names = ("perceptual", "gram", "flow", "adversarial", "consistency", "judge/fake")
    seen = [{name for name in names if name in row} for row in rows]
    clip_losses = {"flow", "consistency"}
    assert seen[0] == seen[1] == {"perceptual"}
    assert seen[2] == {"perceptual", "gram", "flow", "judge/fake"}
    assert seen[3] == seen[5] == {"perceptual", "gram", "adversarial", "judge/fake"}  # batches of images
    assert seen[4] == seen[3] | clip_losses


@pytest.mark.parametrize("stop_after", [3, 4])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit_with_its_judge(staged, stop_after, tmp_path):
    straight = train(staged, runs_root=tmp_path / "straight")
    train(staged, runs_root=tmp_path / "resumed", stop_after=stop_after)
    resumed = train(staged, runs_root=tmp_path / "resumed")
    assert logged(straight) == logged(resumed)
    a, b = (
        flat(torch.load(run / "checkpoints/step-00000006/train_state.pt", weights_only=True))
        for run in (straight, resumed)
    )
    assert a.keys() == b.keys()
    assert any(key.startswith("/opponent/optimizer/state") for key in a)
    for key, value in a.items():
        assert torch.equal(value, b[key]) if isinstance(value, torch.Tensor) else value == b[key], key


def test_the_judge_learns_and_the_tokenizers_step_leaves_it_alone(staged):
    task = build_task(staged, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    loss, _ = task.loss(generator, step=4)
    loss.backward()
    assert all(p.grad is None and p.requires_grad for p in task.opponent.network.parameters())
    grads = [p.grad.clone() for p in task.network.parameters()]
    total, _ = task.opponent.loss()
    total.backward()
    assert all(p.grad is not None for p in task.opponent.network.parameters())
    assert all(torch.equal(a, p.grad) for a, p in zip(grads, task.network.parameters(), strict=True))


def test_batches_are_of_clips_or_of_images_and_of_every_shape(staged):
    task = build_task(staged, torch.device("cpu"))
    shapes = set()
    for step in range(12):
        task.loss(torch.Generator().manual_seed(step), step=0 if step % 2 else 1)
        shapes.add(tuple(task._judged[0].shape))
    assert shapes == {(2, 3, 9, 32, 32), (2, 3, 9, 24, 32), (8, 3, 1, 32, 32), (8, 3, 1, 24, 32)}


def test_weights_of_zero_change_nothing(staged):
    """Stages that have not begun leave the loss, and every draw, as they were without them."""
    bare = replace(staged.objective, features=FeatureLosses(), flow=FlowLoss(), consistency=ConsistencyLoss())
    bare = replace(staged, objective=replace(bare, adversarial=AdversarialLoss()))
    staged = replace(
        staged,
        objective=replace(
            staged.objective, features=FeatureLosses(perceptual=later(0.1, 1), gram=later(1.0, 2))
        ),
    )
    a, b = (
        build_task(config, torch.device("cpu")).loss(torch.Generator().manual_seed(0), step=0)[0]
        for config in (bare, staged)
    )
    assert torch.equal(a, b)


@pytest.mark.slow
def test_training_lowers_every_loss_it_weighs(staged, tmp_path):
    objective = replace(
        staged.objective,
        features=FeatureLosses(perceptual=WeightSchedule(values=(0.5,)), gram=WeightSchedule(values=(0.1,))),
        flow=FlowLoss(weight=WeightSchedule(values=(0.5,))),
        adversarial=AdversarialLoss(),
        consistency=ConsistencyLoss(),
        image_every=0,
    )
    rows = logged(train(replace(staged, objective=objective, steps=24), runs_root=tmp_path / "runs"))
    for name in ("l1", "perceptual", "flow"):
        first, last = (np.mean([row[name] for row in part]) for part in (rows[:5], rows[-5:]))
        assert last < 0.9 * first, name


def test_a_discrete_tokenizer_trains_and_loads(clip_set, tmp_path):
    config = replace(RECIPES.get("wavetok-d-t4s8-nano-debug")(), data=(clip_set,), steps=16)
    run = train(config, runs_root=tmp_path / "runs")
    rows = logged(run)
    assert np.mean([r["loss"] for r in rows[-4:]]) < 0.95 * np.mean([r["loss"] for r in rows[:4]])
    indices = load_tokenizer(str(run)).encode(torch.zeros(1, 3, 5, 16, 16))
    assert indices.dtype == torch.int32
    assert indices.shape == (1, 2, 2, 2)


def test_a_discrete_tokenizer_has_one_starting_point():
    config = RECIPES.get("wavetok-d-t4s8-nano")()
    assert config.objective.trunk_from == "wavetok-c-t4s8z16-nano"
    with pytest.raises(ConfigError, match=r"init_from must be empty where objective\.trunk_from"):
        replace(config, init_from="x")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"features": {"perceptual": {"values": (1.0, 2.0)}}},
            "values must be one more than the 0 boundaries",
        ),
        ({"features": {"gram": {"values": (0.0, 1.0, 2.0), "boundaries": (5, 5)}}}, "increasing order"),
        ({"features": {"gram": {"values": (-1.0,)}}}, "0 or above"),
        ({"flow": {"weight": {"values": (1.0,)}}, "num_frames": 1}, "flow.weight needs batches of clips"),
        ({"flow": {"weight": {"values": (1.0,)}}, "image_every": 1}, "flow.weight needs batches of clips"),
        ({"flow": {"weight": {"values": (1.0,)}, "estimator": "raft.pth"}}, "RAFT needs crops of 256"),
        (
            {"consistency": {"weight": {"values": (1.0,)}, "num_frames": 7}},
            "num_frames 1 \\+ a multiple of 4",
        ),
        ({"adversarial": {"head_start_steps": 3}}, "head_start_steps must be 0 to 0"),
        ({"features": {"perceptual": {"values": (1.0,)}}, "crop": 8}, "16 pixels a side"),
        ({"aspects": ()}, "aspects must name a shape"),
    ],
)
def test_settings_of_a_stage_that_do_not_fit_are_refused(change, says):
    from worldfoundry.core.config import from_json, to_json

    plain = to_json(RECIPES.get("wavetok-c-t4s8z16-nano-debug")().objective)
    with pytest.raises(ConfigError, match=says):
        from_json(TokenizerObjective, {**plain, **change})


def test_a_stage_that_would_never_begin_is_refused(staged):
    with pytest.raises(ConfigError, match=r"flow\.weight\.boundaries must be below the 2 steps.*got \[2\]"):
        objective = replace(
            RECIPES.get("wavetok-c-t4s8z16-nano-debug")().objective, flow=staged.objective.flow
        )
        replace(RECIPES.get("wavetok-c-t4s8z16-nano-debug")(), objective=objective)


def test_an_extractor_that_is_not_there_stops_before_any_step(staged, tmp_path):
    features = replace(staged.objective.features, extractor=str(tmp_path / "vgg19.pth"))
    with pytest.raises(CheckpointError, match=r"vgg19\.pth.*no such file"):
        train(
            replace(staged, objective=replace(staged.objective, features=features)),
            runs_root=tmp_path / "runs",
        )
    assert not (tmp_path / "runs").exists()


def test_raft_is_asked_for_by_its_file(monkeypatch, tmp_path):
    import sys
    import types

    from worldfoundry.models.tokenizer.flow import load_raft

    class Raft(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = torch.nn.Parameter(torch.ones(()))

        def forward(self, a, b):
            return [torch.zeros_like(a[:, :2]), self.gain * (b - a)[:, :2]]

    torch.save({"gain": torch.tensor(3.0)}, tmp_path / "raft.pth")
    with pytest.raises(CheckpointError, match="no such file"):
        load_raft(tmp_path / "none.pth")
    module = types.ModuleType("torchvision.models.optical_flow")
    module.raft_large = lambda weights: Raft()
    monkeypatch.setitem(sys.modules, "torchvision.models.optical_flow", module)
    estimate = load_raft(tmp_path / "raft.pth")
    x = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(estimate(x, 2 * x), 3 * x[:, :2])
    for broken, says in (
        (torch.ones(3), "must be a state dict, got Tensor"),
        ({"other": torch.ones(3)}, "other weights"),
    ):
        torch.save(broken, tmp_path / "broken.pth")
        with pytest.raises(CheckpointError, match=says):
            load_raft(tmp_path / "broken.pth")
    (tmp_path / "broken.pth").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="must be a state dict of torchvision's RAFT-large"):
        load_raft(tmp_path / "broken.pth")


def test_a_run_does_not_go_on_with_another_extractor(staged, tmp_path, monkeypatch, capsys):
    from worldfoundry.training import tokenizer_losses

    train(staged, runs_root=tmp_path / "runs", stop_after=1)
    real = tokenizer_losses.load_extractor

    def changed(source):
        found = real(source)
        next(found.parameters()).data.mul_(1.5)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(tokenizer_losses, "load_extractor", changed)
        with pytest.raises(
            CheckpointError, match=r"was made with objective.features.extractor of weights \w+, got \w+"
        ):
            train(staged, runs_root=tmp_path / "runs", stop_after=1)
    run = train(staged, runs_root=tmp_path / "runs", stop_after=1)
    (path,) = run.glob("checkpoints/step-00000002/train_state.pt")
    state = torch.load(path, weights_only=True)
    del state["inputs"]  # as older versions wrote it
    torch.save(state, path)
    train(staged, runs_root=tmp_path / "runs", stop_after=1)
    assert "does not say with which objective.features.extractor" in capsys.readouterr().err


def test_the_files_that_measure_and_start_are_known_by_their_content(staged, tmp_path, monkeypatch):
    from worldfoundry.training import tokenizer_losses

    (tmp_path / "raft.pth").write_bytes(b"weights")
    monkeypatch.setattr(tokenizer_losses, "load_raft", lambda _path: None)
    flow = replace(staged.objective.flow, estimator=str(tmp_path / "raft.pth"))
    found = []
    for content in (b"weights", b"others", b"weights"):
        (tmp_path / "raft.pth").write_bytes(content)
        objective = replace(staged.objective, flow=flow, crop=256, aspects=("1:1",))
        made = tokenizer_losses.TokenizerLosses(objective, seed=0, device=torch.device("cpu"))
        found.append(made.inputs["objective.flow.estimator"])
    assert found[0] == found[2] != found[1]


def test_a_run_does_not_go_on_with_another_trunk(clip_set, tmp_path):
    config = RECIPES.get("wavetok-c-t4s8z16-nano-debug")()
    config = replace(config, data=(clip_set,), steps=1)
    start = train(config, runs_root=tmp_path / "first")
    small = replace(config.objective.model, fsq_levels=(5, 5), latent_channels=2)
    objective = replace(config.objective, model=small, trunk_from=str(tmp_path / "trunk"))
    discrete = replace(config, recipe="d", objective=objective, steps=2)
    shutil.copytree(start / "checkpoints" / "step-00000001", tmp_path / "trunk")
    run = train(discrete, runs_root=tmp_path / "runs", stop_after=1)
    weights = load_file(tmp_path / "trunk" / "model.safetensors")
    weights["encoder.conv_in.0.conv3d.weight"] += 1
    save_file(weights, tmp_path / "trunk" / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"objective.trunk_from of weights"):
        train(discrete, runs_root=tmp_path / "runs")
    assert list(run.glob("checkpoints/*")) == [run / "checkpoints" / "step-00000001"]


def test_flow_needs_crops_that_its_estimator_can_look_at():
    from worldfoundry.data import optical_flow
    from worldfoundry.training.tokenizer_config import DIS_LEAST_CROP

    def objective(crop, aspects=("1:1",), estimator="opencv-dis-medium"):
        flow = FlowLoss(weight=WeightSchedule(values=(0.1,)), estimator=estimator)
        return TokenizerObjective(
            model=RECIPES.get("wavetok-c-t4s8z16-nano-debug")().objective.model,
            crop=crop,
            aspects=aspects,
            flow=flow,
        )

    assert optical_flow.LEAST_SIDE == DIS_LEAST_CROP
    objective(24, ("1:1", "16:9"))  # 16 x 24
    with pytest.raises(ConfigError, match="needs crops of 16 pixels a side or more, got 8 from crop 8"):
        objective(8)
    with pytest.raises(ConfigError, match=r"got 8 from crop 16 and aspects \('16:9',\)"):
        objective(16, ("16:9",))
    objective(256, estimator="raft.pth")
    for crop, aspects, sides in (
        (248, ("1:1",), r"\[248\]"),
        (264, ("1:1",), r"\[264\]"),
        (352, ("4:3",), r"\[264, 352\]"),
    ):
        with pytest.raises(ConfigError, match=f"all multiples of 16, got sides of {sides}"):
            objective(crop, aspects, estimator="raft.pth")


def test_pictures_that_opencv_cannot_take_are_refused_and_the_least_is_taken():
    from worldfoundry.core.errors import DataError
    from worldfoundry.data.optical_flow import LEAST_SIDE, dis_flow

    rng = np.random.default_rng(0)
    for size in ((LEAST_SIDE, LEAST_SIDE), (LEAST_SIDE, 256), (256, LEAST_SIDE)):
        picture = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        assert dis_flow(picture, np.roll(picture, 1, axis=1)).shape == (*size, 2)
    with pytest.raises(DataError, match="16 pixels a side or more, got 12x64"):
        dis_flow(*np.zeros((2, 12, 64, 3), np.uint8))
