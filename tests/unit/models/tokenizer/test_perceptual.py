"""The extractors: torchvision's layout read whole, and the random network the same everywhere."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from worldfoundry.core.errors import CheckpointError
from worldfoundry.models.tokenizer import perceptual
from worldfoundry.models.tokenizer.perceptual import load_extractor, random_conv, scale_images

WIDTHS = (4, 6, 8, 10, 10)
LAST_RELU = {"vgg16": (3, 8, 15, 22, 29), "vgg19": (3, 8, 17, 26, 35)}
"""Where torchvision's flat list has the last ReLU of each block."""


def flat_vgg(name, monkeypatch):
    """The network as torchvision lays it out, with narrow random layers."""
    monkeypatch.setattr(perceptual, "_VGG_WIDTHS", WIDTHS)
    layers, width = [], 3
    for channels, num in zip(WIDTHS, {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}[name], strict=True):
        for _ in range(num):
            layers += [nn.Conv2d(width, channels, 3, padding=1), nn.ReLU()]
            width = channels
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("name", LAST_RELU)
def test_vgg_gives_the_last_relu_of_each_block(name, suffix, tmp_path, monkeypatch):
    flat = flat_vgg(name, monkeypatch)
    state = {f"features.{k}": v for k, v in flat.state_dict().items()}
    state["classifier.0.weight"] = torch.zeros(3, 3)
    path = tmp_path / f"weights{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    extractor = load_extractor(str(path))
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected, y = [], scale_images(x)
    for i, layer in enumerate(flat):
        y = layer(y)
        if i in LAST_RELU[name]:
            expected.append(y)
    assert extractor.name == name
    for ours, theirs in zip(extractor(x), expected, strict=True):
        assert torch.equal(ours, theirs)
    assert not any(p.requires_grad for p in extractor.parameters())


def test_weights_of_another_network_are_refused_and_so_is_a_torn_file(tmp_path, monkeypatch):
    torch.save({"features.0.weight": torch.zeros(4, 3, 3, 3)}, tmp_path / "alex.pth")
    with pytest.raises(CheckpointError, match=r"13 or 16 convolutions below 'features\.'.*got 1"):
        load_extractor(str(tmp_path / "alex.pth"))
    flat = flat_vgg("vgg16", monkeypatch)
    state = {f"features.{k}": v for k, v in flat.state_dict().items()}
    state["features.28.weight"] = state["features.28.weight"][:, :5]
    torch.save(state, tmp_path / "narrow.pth")
    with pytest.raises(CheckpointError, match=r"features\.28\.weight must be \[10, 10, 3, 3\], got"):
        load_extractor(str(tmp_path / "narrow.pth"))
    (tmp_path / "torn.pth").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(CheckpointError, match="must be a state dict"):
        load_extractor(str(tmp_path / "torn.pth"))
    with pytest.raises(CheckpointError, match="'random-conv-5' or a file"):
        load_extractor("vgg19")


def test_the_random_network_is_the_same_everywhere_and_sees_no_brightness_alone():
    torch.manual_seed(3)
    first = random_conv()
    torch.manual_seed(4)
    assert first.sha256 == random_conv().sha256
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) - 0.5
    inner = [
        (a - b)[..., 16:-16, 16:-16].abs().max()
        for a, b in zip(first(x)[:1], first(x + 0.3)[:1], strict=True)
    ]
    assert max(inner) < 1e-4
    assert [tuple(f.shape[1:]) for f in first(x)] == [
        (16, 64, 64),
        (32, 32, 32),
        (64, 16, 16),
        (96, 8, 8),
        (128, 4, 4),
    ]


def test_more_blur_is_further_away():
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    from worldfoundry.models.tokenizer.losses import perceptual_distance

    extractor = random_conv()
    blurred = [nn.functional.avg_pool2d(x, k, stride=1, padding=k // 2) for k in (3, 5, 9)]
    far = [float(perceptual_distance(extractor(x), extractor(b), extractor.layer_weights)) for b in blurred]
    assert 0 < far[0] < far[1] < far[2]
