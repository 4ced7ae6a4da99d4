"""Latents are decoded by what made them: weights, settings and statistics are compared."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tests.unit.cli.test_tokenize import CV, film, make, run

from worldfoundry.cli.main import main
from worldfoundry.core.errors import CheckpointError
from worldfoundry.models.pretrained.release import load_tokenizer
from worldfoundry.models.tokenizer.normalise import LatentStatistics


def statistics(folder, mean=0.5, std=2.0, channels=16, spoilt=()):
    tensors = {"mean": torch.full((channels, 4), mean), "std": torch.full((channels, 4), std)}
    for name, value in dict(spoilt).items():
        tensors[name][3, 1] = value
    save_file(tensors, folder / "latent_statistics.safetensors")


def decode(source, model, out):
    return main(["tokenize", "decode", str(source), "--model", model, "--out", str(out)])


def test_normalised_latents_are_decoded_by_the_statistics_that_made_them(tmp_path, capsys):
    model, clip = make(tmp_path / "m", CV), film(tmp_path / "a.mp4", num_frames=5)
    latents = tmp_path / "z.safetensors"
    statistics(tmp_path / "m")
    run(capsys, "encode", clip, "--model", model, "--normalise", "--out", latents)
    statistics(tmp_path / "m", std=2.5)
    assert decode(latents, model, tmp_path / "b.mp4") == 1
    assert "statistics" in (said := capsys.readouterr().err)
    assert "decode with the model that encoded" in said
    statistics(tmp_path / "m")
    assert decode(latents, model, tmp_path / "b.mp4") == 0


def test_settings_that_weights_do_not_hold_are_compared(tmp_path, capsys):
    model, clip = make(tmp_path / "m", CV), film(tmp_path / "a.mp4", num_frames=5)
    latents = tmp_path / "z.safetensors"
    run(capsys, "encode", clip, "--model", model, "--out", latents)
    config = tmp_path / "m" / "config.json"
    config.write_text(config.read_text().replace('"haar"', '"rearrange"'))
    assert decode(latents, model, tmp_path / "b.mp4") == 1
    assert "(settings " in capsys.readouterr().err


def test_files_without_a_record_of_their_statistics_are_decoded_and_that_is_said(tmp_path, capsys):
    model, clip = make(tmp_path / "m", CV), film(tmp_path / "a.mp4", num_frames=5)
    latents = tmp_path / "z.safetensors"
    statistics(tmp_path / "m")
    run(capsys, "encode", clip, "--model", model, "--normalise", "--out", latents)
    with safe_open(latents, "pt") as file:
        facts, tensors = file.metadata(), {"latents": file.get_tensor("latents")}
    older = {k: v for k, v in facts.items() if k not in ("statistics_sha256_16", "settings_sha256_16")}
    save_file(tensors, latents, metadata=older)
    assert decode(latents, model, tmp_path / "b.mp4") == 0
    assert "does not say with which latent statistics" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"spoilt": {"std": 0.0}}, "std above 0, got mean 0.5 to 0.5 and std 0 to 2"),
        ({"spoilt": {"std": -1.0}}, "std above 0"),
        ({"spoilt": {"mean": float("nan")}}, "must be finite"),
        ({"spoilt": {"std": float("inf")}}, "must be finite"),
        ({"channels": 8}, "must be of 16 channels"),
    ],
)
def test_statistics_that_would_spoil_latents_are_refused_when_they_are_read(tmp_path, changed, says):
    model = make(tmp_path / "m", CV)
    statistics(tmp_path / "m", **changed)
    with pytest.raises(CheckpointError, match=says):
        load_tokenizer(model)


def test_published_statistics_are_checked_alike():
    flat = torch.ones(16)
    flat[5] = 0
    with pytest.raises(CheckpointError, match="std above 0"):
        LatentStatistics.from_flat(torch.zeros(16), flat, latent_channels=4)
    with pytest.raises(CheckpointError, match="must be two lists of a multiple of 4"):
        LatentStatistics.from_flat(torch.zeros(0), torch.zeros(0), latent_channels=4)


def test_the_digest_of_statistics_is_that_of_their_numbers():
    a = LatentStatistics(mean=torch.tensor([[0.5]]), std=torch.tensor([[2.0]]))
    same = LatentStatistics(mean=a.mean.bfloat16(), std=a.std.bfloat16())
    assert a.digest == same.digest
    assert a.digest != LatentStatistics(mean=a.mean, std=a.std + 1e-6).digest
