"""What the offline features see, and that official ones are called as their files want it."""

import pytest
import torch

from worldfoundry.core.errors import CheckpointError, DataError
from worldfoundry.evaluate.distribution import in_units_of, kernel_distance
from worldfoundry.evaluate.features import i3d_file, inception_file, random_clips, random_frames


def moving(count=12, seed=0):
    """Soft blobs that speed up to the right."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 6, 12, generator=generator) * 2 - 1
    still = torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bicubic").clamp(-1, 1)
    return torch.stack([still.roll(k * k // 2, -1)[..., :32] for k in range(9)], dim=2)


def distance(features, truth, other):
    sources = torch.arange(len(truth))[:, None]
    pairs = zip(features(truth), features(other), strict=True)
    values = [kernel_distance(*in_units_of(a, b), sources).value for a, b in pairs]
    return sum(values) / len(values)


def blurred(x, k):
    flat = x.transpose(1, 2).flatten(0, 1)
    y = torch.nn.functional.avg_pool2d(flat, k, stride=1, padding=k // 2, count_include_pad=False)
    return y.unflatten(0, (len(x), x.shape[2])).transpose(1, 2)


@pytest.mark.parametrize("make", [random_frames, random_clips])
def test_more_blur_is_further_away_and_the_weights_are_the_same_everywhere(make):
    torch.manual_seed(1)
    features, x = make(), moving()
    far = [distance(features, x, blurred(x, k)) for k in (3, 7, 11)]
    assert 0 < far[0] < far[1] < far[2]
    assert abs(distance(features, x, x)) < 1e-12
    torch.manual_seed(2)
    assert make().sha256 == features.sha256


def test_only_the_features_of_clips_see_the_arrow_of_time():
    x = moving()
    reversed_ = x.flip(2)
    assert abs(distance(random_frames(), x, reversed_)) < 1e-9
    assert distance(random_clips(), x, reversed_) > 0.01


class Inception(torch.nn.Module):
    def forward(self, x: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        assert x.dtype == torch.uint8
        return x.float().mean(dim=[2, 3])


class I3D(torch.nn.Module):
    def forward(
        self, x: torch.Tensor, rescale: bool = True, resize: bool = True, return_features: bool = False
    ) -> torch.Tensor:
        assert not rescale
        assert not resize
        return torch.cat([x.mean(dim=[2, 3, 4]), torch.tensor([[float(x.shape[-1])]]).expand(len(x), 1)], 1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_official_files_get_what_they_want(tmp_path):
    for name, module in (("inception", Inception()), ("i3d", I3D())):
        torch.jit.script(module).save(tmp_path / f"{name}.pt")
    x = moving(2)
    frames, clips = inception_file(tmp_path / "inception.pt"), i3d_file(tmp_path / "i3d.pt")
    assert frames.is_official
    assert frames.name == "inception"
    (found,) = frames(x)
    assert found.shape == (2, 3, 3)
    assert 0 <= found.min() <= found.max() <= 255
    with pytest.raises(DataError, match="10 frames or more, got 9"):
        clips(x)
    (found,) = clips(torch.cat([x, x], dim=2))
    assert found.shape == (2, 1, 4)
    assert (found[..., -1] == 224).all()
    with pytest.raises(CheckpointError, match="no such file"):
        i3d_file(tmp_path / "none.pt")
    (tmp_path / "torn.pt").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="must be a TorchScript file"):
        inception_file(tmp_path / "torn.pt")
