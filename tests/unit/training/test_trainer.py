"""The trainer, on both objectives at toy size."""

import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from worldfoundry.core.config import to_json
from worldfoundry.core.errors import CheckpointError, ConfigError
from worldfoundry.core.runs import read_jsonl
from worldfoundry.data.clip_set import write_clip_set
from worldfoundry.inference.session import load_world
from worldfoundry.models.pretrained.config import find_release, read_release
from worldfoundry.models.pretrained.convert import convert
from worldfoundry.models.pretrained.release import encoder_digest, load_tokenizer
from worldfoundry.protocols.control import ActionChannel, ActionSpec, ControlSpec, bridge_actions
from worldfoundry.recipes.table import RECIPES
from worldfoundry.training import trainer
from worldfoundry.training.trainer import build_task, train


@pytest.fixture
def clip_set(tmp_path):
    rng = np.random.default_rng(0)
    pixels = [(np.full((17, 32, 32, 3), rng.integers(30, 220), np.uint8), {"seed": i}) for i in range(4)]
    return str(write_clip_set(tmp_path / "clips", pixels, num_clips=4, fps=10.0).folder)


@pytest.fixture
def tokenizer_config(clip_set):
    config = RECIPES.get("wavetok-c-t4s8z16-nano-debug")()
    return replace(config, data=(clip_set,), steps=4, checkpoint_every=2, sample_every=4)


@pytest.fixture
def world_config(tokenizer_config, tmp_path, clip_set):
    run = train(replace(tokenizer_config, steps=1), runs_root=tmp_path / "tokenizer-runs")
    config = RECIPES.get("dit-v2w-nano-debug")()
    network = replace(config.objective.model.network, latent_channels=8)
    world = replace(config.objective.model, network=network, tokenizer=str(run), height=32, width=32)
    objective = replace(config.objective, model=world)
    return replace(config, objective=objective, data=(clip_set,), steps=4, checkpoint_every=2, sample_every=4)


def state(run, step=4):
    folder = run / "checkpoints" / f"step-{step:08d}"
    return load_file(folder / "model.safetensors"), torch.load(folder / "train_state.pt", weights_only=True)


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("kind", ["tokenizer_config", "world_config"])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(kind, request, tmp_path):
    config = request.getfixturevalue(kind)
    straight = train(config, runs_root=tmp_path / "straight")
    train(config, runs_root=tmp_path / "resumed", stop_after=2)
    resumed = train(config, runs_root=tmp_path / "resumed")
    (weights_a, full_a), (weights_b, full_b) = state(straight), state(resumed)
    assert same(weights_a, weights_b)
    assert same(full_a["network"], full_b["network"])
    for key, moments in full_a["optimizer"]["state"].items():
        assert same(moments, full_b["optimizer"]["state"][key])
    assert len(json.loads((resumed / "manifest.json").read_text())["earlier"]) == 1
    assert (resumed / "samples/step-00000004/grid.png").stat().st_size > 100


def train_until_killed(config, runs_root, monkeypatch, *, after):
    """Take ``after`` steps and die in the next one, without a last checkpoint."""
    take_step = trainer._State.take_step

    def die(state):
        if state.step == after:
            raise KeyboardInterrupt
        return take_step(state)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(trainer._State, "take_step", die)
        train(config, runs_root=runs_root)


def logged(run):
    return [
        {k: v for k, v in row.items() if not k.startswith("time/")}
        for row in read_jsonl(run / "metrics.jsonl")
    ]


@pytest.mark.parametrize("after", [1, 3])
@pytest.mark.parametrize("kind", ["tokenizer_config", "world_config"])
def test_a_run_killed_between_checkpoints_ends_as_if_never_stopped(
    kind, after, request, tmp_path, monkeypatch
):
    config = request.getfixturevalue(kind)
    straight = train(config, runs_root=tmp_path / "straight")
    train_until_killed(config, tmp_path / "killed", monkeypatch, after=after)
    resumed = train(config, runs_root=tmp_path / "killed")
    assert [row["step"] for row in logged(straight)] == [1, 2, 3, 4]
    assert logged(resumed) == logged(straight)
    assert same(state(straight)[0], state(resumed)[0])


def test_tensorboard_shows_every_step_of_a_killed_run_once(tokenizer_config, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train_until_killed(tokenizer_config, tmp_path / "runs", monkeypatch, after=3)
    run = train(tokenizer_config, runs_root=tmp_path / "runs")
    board = EventAccumulator(str(run / "tensorboard")).Reload()
    assert [event.step for event in board.Scalars("loss")] == [1, 2, 3, 4]


def test_a_session_that_ends_early_logs_no_other_steps(tokenizer_config, tmp_path):
    config = replace(tokenizer_config, log_every=2)
    train(config, runs_root=tmp_path / "runs", stop_after=3)
    assert [row["step"] for row in logged(train(config, runs_root=tmp_path / "runs"))] == [2, 4]


def test_a_run_does_not_go_on_with_other_clips(tokenizer_config, tmp_path):
    run = train(tokenizer_config, runs_root=tmp_path / "runs", stop_after=2)
    (folder,) = map(Path, tokenizer_config.data)
    before = json.loads((folder / "manifest.json").read_text())["digest"]
    shutil.rmtree(folder)
    after = write_clip_set(folder, [(np.zeros((17, 32, 32, 3), np.uint8), {})], fps=10.0).digest
    with pytest.raises(
        CheckpointError, match=f"data_digests .*{before}.*{after}.* from {folder}.*move {run} away"
    ):
        train(tokenizer_config, runs_root=tmp_path / "runs")


def _say_controls(folder, controls):
    file = Path(folder) / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"controls": to_json(controls)}))


def test_a_world_keeps_to_the_controls_of_its_clips_at_its_own_clock(world_config, tmp_path):
    (folder,) = world_config.data
    actions = bridge_actions(rate_hz=10.0, per_latent=1)
    _say_controls(folder, ControlSpec(actions=actions))
    run = train(world_config, runs_root=tmp_path / "runs", stop_after=2)
    stored = read_release(str(run))[1].controls
    assert stored == ControlSpec(actions=replace(actions, per_latent=4))
    metres = replace(actions, channels=(replace(actions.channels[0], unit="mm"), *actions.channels[1:]))
    _say_controls(folder, ControlSpec(actions=metres))
    with pytest.raises(ConfigError, match=rf"channels\[0\]\.unit: the run 'm', {folder} 'mm'"):
        train(world_config, runs_root=tmp_path / "runs")
    _say_controls(folder, ControlSpec(actions=actions))
    train(world_config, runs_root=tmp_path / "runs")


def test_a_world_of_sets_whose_controls_differ_says_so_and_names_none(world_config, tmp_path, capsys):
    (folder,) = world_config.data
    shutil.copytree(folder, tmp_path / "other")
    for name, unit in ((folder, "m"), (tmp_path / "other", "mm")):
        channel = ActionChannel(name="x", unit=unit, frame="world", mode="delta")
        _say_controls(name, ControlSpec(actions=ActionSpec(channels=(channel,), rate_hz=10.0, per_latent=4)))
    both = replace(world_config, data=(folder, str(tmp_path / "other")), steps=1)
    run = train(both, runs_root=tmp_path / "runs")
    assert read_release(str(run))[1].controls is None
    assert f"unit: {folder} 'm', {tmp_path / 'other'} 'mm'" in capsys.readouterr().err


def test_a_run_stored_before_its_configuration_gained_fields_goes_on(tokenizer_config, tmp_path, capsys):
    """As 0.1.0 stored it: without images and codes, and without the machine."""
    run = train(tokenizer_config, runs_root=tmp_path / "runs", stop_after=2)
    path, new = run / "config.json", ("dimensions", "norm_groups", "fsq_levels", "attention_levels")
    stored = json.loads(path.read_text())
    for name in (*new, "is_variational", "patch_method"):
        del stored["objective"]["model"][name]
    kept = ("kind", "model", "crop", "num_frames", "l1_weight", "mse_weight")
    stored["objective"] = {name: stored["objective"][name] for name in kept}
    path.write_text(json.dumps(stored))
    checkpoint = run / "checkpoints/step-00000002/train_state.pt"
    full = torch.load(checkpoint, weights_only=True)
    del full["machine"]
    torch.save({**full, "config": stored}, checkpoint)
    assert train(tokenizer_config, runs_root=tmp_path / "runs") == run
    assert [row["step"] for row in logged(run)] == [1, 2, 3, 4]
    assert "made on an unknown machine" in capsys.readouterr().err


def test_a_run_whose_configuration_can_no_longer_be_read_is_passed_over(tokenizer_config, tmp_path):
    runs = [train(replace(tokenizer_config, seed=n), runs_root=tmp_path, stop_after=1) for n in (0, 1)]
    stored = json.loads((runs[1] / "config.json").read_text())
    (runs[1] / "config.json").write_text(json.dumps(stored | {"dropped": 1}))
    assert train(tokenizer_config, runs_root=tmp_path, stop_after=1) == runs[0]


@pytest.mark.parametrize("changed", ["threads", "device"])
def test_a_run_that_goes_on_on_another_machine_says_so_on_one_line(
    changed, tokenizer_config, tmp_path, capsys, monkeypatch
):
    def goes_on():
        capsys.readouterr()
        train(tokenizer_config, runs_root=tmp_path / "runs", stop_after=1)
        return [line for line in capsys.readouterr().err.splitlines() if "warning" in line]

    goes_on()
    assert goes_on() == []
    machine = trainer._State._machine
    monkeypatch.setattr(trainer._State, "_machine", lambda state: machine(state) | {changed: 63})
    (line,) = goes_on()
    assert f"'{changed}': {torch.get_num_threads() if changed == 'threads' else repr('cpu')}" in line
    assert f"'{changed}': 63" in line


def other_weights(name):
    path = find_release(name) / "model.safetensors"
    save_file({k: v + 1e-3 for k, v in load_file(path).items()}, path)


def test_a_world_keeps_to_the_tokenizer_that_it_was_trained_on(world_config, tmp_path):
    name = world_config.objective.model.tokenizer
    run = train(world_config, runs_root=tmp_path / "runs", stop_after=2)
    convert(str(run), tmp_path / "half", dtype=torch.bfloat16)
    before = encoder_digest(load_tokenizer(name).state_dict())
    for world in (run, tmp_path / "half"):
        assert read_release(str(world))[1].tokenizer_digest == before
        load_world(str(world))
    other_weights(name)
    after = encoder_digest(load_tokenizer(name).state_dict())
    says = f"{tmp_path / 'half'} .*{before}.*got {after} from {find_release(name)};"
    with pytest.raises(CheckpointError, match=says):
        load_world(str(tmp_path / "half"))
    with pytest.raises(CheckpointError, match=f"tokenizer_digest {before}, got {after} from {name};"):
        train(world_config, runs_root=tmp_path / "runs")


def test_a_world_that_does_not_say_which_tokenizer_it_needs_is_refused(world_config, tmp_path):
    run = train(world_config, runs_root=tmp_path / "runs", stop_after=1)
    path = find_release(str(run)) / "config.json"
    release = json.loads(path.read_text())
    del release["tokenizer_digest"]
    path.write_text(json.dumps(release))
    with pytest.raises(CheckpointError, match="digest unknown, got"):
        load_world(str(run))


def test_training_a_tokenizer_lowers_its_loss(tokenizer_config, tmp_path):
    run = train(replace(tokenizer_config, steps=30, log_every=1), runs_root=tmp_path / "runs")
    losses = [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_inference_loads_what_training_wrote(tokenizer_config, tmp_path):
    run = train(replace(tokenizer_config, steps=1), runs_root=tmp_path / "runs")
    folder, release = read_release(str(run))
    assert (folder / "DONE").exists()
    assert release.steps == 1
    assert load_tokenizer(str(run)).spec.latent_channels == 8


def test_a_checkpoint_without_done_does_not_exist(tokenizer_config, tmp_path):
    run = train(tokenizer_config, runs_root=tmp_path / "runs")
    (run / "checkpoints/step-00000004/DONE").unlink()
    assert read_release(str(run))[0].name == "step-00000002"


def test_a_world_can_only_start_from_weights_that_fit(world_config, tokenizer_config, tmp_path):
    with pytest.raises(ConfigError, match=r"must be a world model, got .*, a tokenizer"):
        train(
            replace(world_config, init_from=world_config.objective.model.tokenizer),
            runs_root=tmp_path / "runs",
        )


def test_a_tokenizer_starts_from_any_layout_of_its_own_configuration_only(tokenizer_config, tmp_path):
    first = train(tokenizer_config, runs_root=tmp_path / "first")
    convert(str(first), tmp_path / "official", to="official")
    moved = replace(tokenizer_config, optim=replace(tokenizer_config.optim, learning_rate=1e-12), seed=5)
    for name in (str(first), str(tmp_path / "official")):
        again = train(replace(moved, init_from=name), runs_root=tmp_path / f"from-{Path(name).name}")
        a, b = (load_tokenizer(str(run)).state_dict() for run in (first, again))
        assert all(torch.allclose(a[key], b[key], atol=1e-6) for key in a)
    model = replace(tokenizer_config.objective.model, patch_method="rearrange")
    other = replace(moved, objective=replace(tokenizer_config.objective, model=model), init_from=str(first))
    with pytest.raises(
        ConfigError, match="with patch_method 'haar' there and 'rearrange' here; change objective"
    ):
        train(other, runs_root=tmp_path / "other")


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"data_shares": (-1.0,), "data": ("x",)}, r"data_shares must be above 0 and finite, got \(-1\.0,\)"),
        ({"recipe": "../../evil"}, r"recipe must be a plain name, .*, got '\.\./\.\./evil'"),
    ],
)
def test_shares_and_names_that_would_do_harm_are_refused(tokenizer_config, setting, says):
    with pytest.raises(ConfigError, match=says):
        replace(tokenizer_config, **setting)


def test_a_loss_that_is_not_finite_stops_the_run_and_says_what_to_do(tokenizer_config, tmp_path):
    optim = replace(tokenizer_config.optim, learning_rate=1e20, warmup_steps=0)
    with pytest.raises(ConfigError, match=r"lower optim\.learning_rate"):
        train(replace(tokenizer_config, optim=optim, steps=4), runs_root=tmp_path / "runs")


def test_world_windows_start_at_the_first_frame_as_often_as_asked(world_config):
    task = build_task(replace(world_config, batch_size=400), torch.device("cpu"))
    marks = torch.arange(5.0).view(1, 1, 5, 1, 1).expand(4, 8, 5, 4, 4).numpy()
    task.latents = [[marks, marks]]
    first = task._batch(400, torch.Generator().manual_seed(0))[:, 0, 0, 0, 0]
    assert 0.75 < (first == 0).float().mean() < 0.95  # 0.7 by choice, half of the rest by chance
    assert set(first.tolist()) == {0.0, 1.0}


def test_a_decoder_learns_alone_and_worlds_stay_valid(tokenizer_config, tmp_path):
    objective = replace(tokenizer_config.objective, train_encoder=False)
    run = train(replace(tokenizer_config, objective=objective, steps=2), runs_root=tmp_path / "runs")
    before = build_task(tokenizer_config, torch.device("cpu")).network.state_dict()
    after = load_tokenizer(str(run)).state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.partition(".")[0] for name in changed} == {"decoder", "post_quant_conv"}
    assert encoder_digest(after) == encoder_digest(before)


def test_ctrl_c_finishes_the_step_saves_and_goes_on_as_if_never_stopped(
    tokenizer_config, tmp_path, monkeypatch, capsys
):
    config = replace(tokenizer_config, checkpoint_every=100)
    straight = train(config, runs_root=tmp_path / "straight")
    take_step = trainer._State.take_step

    def interrupted(found):
        if found.step == 2:
            signal.raise_signal(signal.SIGINT)  # in the middle of a step
        return take_step(found)

    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(trainer._State, "take_step", interrupted)
        train(config, runs_root=tmp_path / "runs")
    said = capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before
    (run,) = (tmp_path / "runs" / config.recipe).iterdir()
    saved = run / "checkpoints" / "step-00000003"
    assert f"stopped at step 3 of 4, saved in {saved}; the same command goes on from there" in said
    assert (saved / "DONE").exists()
    assert train(config, runs_root=tmp_path / "runs") == run
    assert same(state(run)[0], state(straight)[0])


def test_a_second_ctrl_c_stops_at_once(tokenizer_config, tmp_path, monkeypatch):
    def impatient(_found):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the second one must not be waited for")

    monkeypatch.setattr(trainer._State, "take_step", impatient)
    with pytest.raises(KeyboardInterrupt):
        train(tokenizer_config, runs_root=tmp_path / "runs")
    assert not list((tmp_path / "runs").glob("*/*/checkpoints/*"))


def test_ctrl_c_on_the_command_line_is_130(tokenizer_config, tmp_path, monkeypatch, capsys):
    from worldfoundry.cli.main import main

    take_step = trainer._State.take_step
    monkeypatch.setattr(
        trainer._State, "take_step", lambda s: signal.raise_signal(signal.SIGINT) or take_step(s)
    )
    line = ["train", tokenizer_config.recipe, "--data", *tokenizer_config.data, "--steps", "4"]
    assert main([*line, "--runs", str(tmp_path / "runs")]) == 130
    assert "stopped at step 1 of 4" in capsys.readouterr().err


def test_a_new_run_beside_one_of_other_settings_says_what_differs(tokenizer_config, tmp_path, capsys):
    first = train(tokenizer_config, runs_root=tmp_path / "runs", stop_after=1)
    assert "new run" not in capsys.readouterr().err
    other = replace(tokenizer_config, steps=3, optim=replace(tokenizer_config.optim, learning_rate=1e-3))
    second = train(other, runs_root=tmp_path / "runs", stop_after=1)
    said = capsys.readouterr().err
    assert f"a new run, {second}: {first} has other settings" in said
    assert "optim.learning_rate 0.00025 there and 0.001 here, steps 4 there and 3 here" in said
    assert train(tokenizer_config, runs_root=tmp_path / "runs", stop_after=1) == first
    assert "new run" not in capsys.readouterr().err
