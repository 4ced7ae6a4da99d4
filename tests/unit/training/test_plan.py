"""What a dry run says, beside what autograd and a real run do."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from worldfoundry.core.errors import ConfigError
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.recipes.table import RECIPES
from worldfoundry.training.ema import update_ema
from worldfoundry.training.plan import plan
from worldfoundry.training.tokenizer_config import ConsistencyLoss, WeightSchedule
from worldfoundry.training.trainer import build_optimizer


@pytest.fixture
def config():
    """Activations of some 80 MB a clip, so that the libraries that a first step loads weigh little."""
    config = RECIPES.get("wavetok-c-t4s8z16-nano-debug")()
    return replace(config, objective=replace(config.objective, crop=192, num_frames=9))


def saved_bytes(config):
    """What autograd keeps for the backward pass of a batch."""
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    objective = config.objective
    x = torch.zeros(config.batch_size, 3, objective.num_frames, objective.crop, objective.crop)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = WaveletTokenizer(objective.model)(x).square().mean()
    loss.backward()
    return sum(kept.values())


def test_the_memory_covers_what_autograd_keeps_and_is_not_far_above(config):
    sizes = [
        "--objective.crop",
        str(config.objective.crop),
        "--objective.num-frames",
        "9",
        "--batch-size",
        "4",
    ]
    command = [sys.executable, "-m", "worldfoundry", "train", config.recipe, *sizes, "--dry-run", "--json"]
    planned = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    kept = saved_bytes(replace(config, batch_size=4))
    # 2.9 to 3.1 times on a CPU: gradients, buffers of convolutions and the kernels that a first step loads come on top.
    least = 2 if planned["device"] == "cpu" else 1
    assert least * kept <= planned["activation_bytes"] < 4 * kept


def test_the_state_is_that_of_a_real_step(config):
    model, average = (WaveletTokenizer(config.objective.model) for _ in range(2))
    optimizer = build_optimizer(model, config.optim)
    model(torch.zeros(1, 3, 5, 32, 32)).mean().backward()
    optimizer.step()
    update_ema(average, model, 0.5)
    held = [*model.parameters(), *(p.grad for p in model.parameters()), *average.parameters()]
    held += [v for moments in optimizer.state.values() for v in moments.values() if v.ndim]
    planned = plan(replace(config, objective=RECIPES.get(config.recipe)().objective))
    assert planned["state_bytes"] == sum(t.nbytes for t in held)
    assert planned["memory_bytes"] == planned["state_bytes"] + planned["activation_bytes"]


def test_the_state_counts_the_judge_and_the_trial_has_the_losses_of_the_last_stage(monkeypatch):
    from worldfoundry.training.tokenizer_losses import TokenizerLosses

    config, asked, total = RECIPES.get("wavetok-c-t4s8z16-nano-staged-debug")(), [], TokenizerLosses.total
    monkeypatch.setattr(
        TokenizerLosses,
        "total",
        lambda self, x, y, step: asked.append((self, step)) or total(self, x, y, step=step),
    )
    planned = plan(config)
    judge, step = asked[0][0].judge, asked[0][1]
    assert step == config.steps - 1
    learnt = sum(p.numel() for p in judge.parameters())
    assert planned["state_bytes"] == 20 * planned["parameters"] + 16 * learnt


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_trial_runs_in_the_precision_of_the_run(precision, monkeypatch):
    config = replace(RECIPES.get("wavetok-c-t4s8z16-nano-debug")(), precision=precision)
    seen, forward = [], WaveletTokenizer.forward
    monkeypatch.setattr(
        WaveletTokenizer,
        "forward",
        lambda self, x: seen.append(torch.is_autocast_enabled("cpu")) or forward(self, x),
    )
    assert plan(config)["precision"] == precision
    assert seen == [precision == "bfloat16"] * 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_plan_for_a_device_that_is_not_there_is_refused_as_its_run_would_be():
    with pytest.raises(ConfigError, match="there is no GPU"):
        plan(replace(RECIPES.get("dit-v2w-nano-debug")(), device="cuda"))


def test_a_plan_tells_and_tries_windows_judge_and_images(monkeypatch):
    from worldfoundry.training.tokenizer_losses import TokenizerLosses

    full = RECIPES.get("wavetok-c-t4s8z16-nano-staged-debug")()
    windows = ConsistencyLoss(weight=WeightSchedule(values=(0.01,)), num_frames=5, step=4)
    objective = replace(full.objective, num_frames=9, consistency=windows, image_every=4, images_per_clip=3)
    seen, judged = [], []
    encode, judge_loss = WaveletTokenizer.encode_codes, TokenizerLosses.judge_loss
    monkeypatch.setattr(
        WaveletTokenizer, "encode_codes", lambda self, x: seen.append(tuple(x.shape[:3])) or encode(self, x)
    )
    monkeypatch.setattr(
        TokenizerLosses, "judge_loss", lambda self, x, y: judged.append(len(x)) or judge_loss(self, x, y)
    )
    planned = plan(replace(full, objective=objective))
    assert seen == [(4, 3, 5)] * 2 + [(6, 3, 1)] * 2  # two windows of each clip; three images for each
    assert judged == [2, 2, 6, 6]
    assert planned["losses_from_step"] == {
        "features.perceptual": 0,
        "features.gram": 1,
        "flow.weight": 1,
        "consistency.weight": 0,
        "adversarial.weight": 1,
    }
    assert planned["judge_from_step"] == 0
    assert planned["consistency_windows"] == "5 frames, 4 apart"
    assert (planned["image_batch_every"], planned["images_per_image_batch"]) == (4, 6)
    plain = plan(RECIPES.get("wavetok-c-t4s8z16-nano-debug")())
    assert plain["losses_from_step"] == {}
    assert not {"judge_parameters", "consistency_windows", "image_batch_every"} & plain.keys()
