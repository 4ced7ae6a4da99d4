import weakref

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from worldfoundry.core.errors import CheckpointError
from worldfoundry.models.pretrained.config import SHIPPED, ReleaseConfig, read_release
from worldfoundry.models.pretrained.release import (
    encoder_digest,
    in_dtype,
    load_tokenizer,
    load_weights,
    save_release,
    tensors_digest,
    weights_digest,
)

NAME = "wavetok-c-t4s8z16-nano"


@pytest.fixture
def release(tmp_path):
    model = nn.Linear(3, 2)
    nn.init.constant_(model.weight, 1 / 3)
    nn.init.zeros_(model.bias)
    (tmp_path / "release").mkdir()
    save_release(tmp_path / "release", model, ReleaseConfig(name="toy", family="tokenizer"))
    return tmp_path / "release"


@pytest.mark.parametrize("length", [0, 4, 100, -1])
def test_a_truncated_weights_file_is_named_with_the_fix(release, length):
    path = release / "model.safetensors"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError, match=r"model\.safetensors must be a whole safetensors file.*again"):
        load_weights(nn.Linear(3, 2), path)


def test_garbage_and_missing_weights_are_named_with_the_fix(release):
    (release / "model.safetensors").write_bytes(b"garbage " * 100)
    for call in (
        lambda: load_weights(nn.Linear(3, 2), release / "model.safetensors"),
        lambda: load_weights(nn.Linear(3, 2), release / "gone.safetensors"),
        lambda: weights_digest(str(release)),
    ):
        with pytest.raises(CheckpointError, match="whole safetensors file"):
            call()


def test_the_digest_names_the_values_and_not_the_file(release, tmp_path):
    weights = load_file(release / "model.safetensors")
    for name, dtype in (("half", torch.bfloat16), ("again", torch.float32)):
        weights = in_dtype(weights, dtype)
        (tmp_path / name).mkdir()
        save_file(weights, tmp_path / name / "model.safetensors")
    exact, half, again = (weights_digest(str(p)) for p in (release, tmp_path / "half", tmp_path / "again"))
    assert half == again != exact  # a third is another number in bfloat16


def test_the_digest_of_a_file_holds_one_tensor_at_a_time(tmp_path, monkeypatch):
    save_file({str(n): torch.full((100,), n).bfloat16() for n in range(8)}, tmp_path / "model.safetensors")
    alive, most, float_of = weakref.WeakSet(), 0, torch.Tensor.float

    def counted(tensor):
        nonlocal most
        alive.add(found := float_of(tensor))
        most = max(most, len(alive))
        return found

    monkeypatch.setattr(torch.Tensor, "float", counted)
    weights_digest(str(tmp_path))
    assert 1 <= most <= 2  # the one before is let go when the next has come


def test_the_digest_changes_with_every_part_of_a_tensor():
    state = {"a": torch.zeros(2, 3), "b": torch.ones(1)}
    changed = [
        {"a": state["a"], "c": state["b"]},
        {"a": state["a"].view(3, 2), "b": state["b"]},
        {"a": state["a"].view(torch.int32), "b": state["b"]},
        {"a": state["a"], "b": state["b"] * 2},
        {"a": state["a"]},
    ]
    assert len({tensors_digest(s) for s in [state, *changed]}) == 6
    assert tensors_digest(dict(reversed(state.items()))) == tensors_digest(state)


def test_the_digest_of_a_loaded_tokenizer_is_that_of_its_release():
    assert tensors_digest(load_tokenizer(NAME).state_dict()) == weights_digest(NAME)


def test_every_shipped_world_names_the_shipped_tokenizer_that_it_was_trained_on():
    worlds = [
        config for p in SHIPPED.glob("*/config.json") if (config := read_release(p.parent.name)[1]).world
    ]
    assert worlds
    for config in worlds:
        assert config.tokenizer_digest == encoder_digest(load_tokenizer(config.world.tokenizer).state_dict())
