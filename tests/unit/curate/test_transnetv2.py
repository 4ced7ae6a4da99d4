"""TransNet V2: the published layout of parameters, strict loading, windows of 100 every 50, shots between transitions."""

import numpy as np
import pytest
import torch

from worldfoundry.core.errors import CheckpointError
from worldfoundry.curate.labelled.shots_learn import Sight
from worldfoundry.curate.plugins import transnetv2
from worldfoundry.protocols.curation import Detector, SourceInfo

SOURCE = SourceInfo(source="a.mp4", source_id="0" * 40, width=64, height=36, fps=25.0, duration_s=4.0)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "transnetv2-pytorch-weights.pth"
    generator = torch.Generator().manual_seed(0)
    network = transnetv2.TransNetV2()
    state = {
        k: v if "num_batches" in k else torch.rand(v.shape, generator=generator) * 0.05
        for k, v in network.state_dict().items()
    }
    torch.save(state, path)
    return path


def expected_shapes():
    """Names and shapes of the published file, written out from its structure."""
    found, channels = {}, 3
    for stage, filters in enumerate((16, 32, 64)):
        for cell in range(2):
            at = f"SDDCNN.{stage}.DDCNN.{cell}."
            for dilation in (1, 2, 4, 8):
                found[f"{at}Conv3D_{dilation}.layers.0.weight"] = (2 * filters, channels, 1, 3, 3)
                found[f"{at}Conv3D_{dilation}.layers.1.weight"] = (filters, 2 * filters, 3, 1, 1)
            channels = 4 * filters
            found |= {f"{at}bn.{n}": (channels,) for n in ("weight", "bias", "running_mean", "running_var")}
            found[f"{at}bn.num_batches_tracked"] = ()
    for name, shape in {
        "frame_sim_layer.projection": (128, 448),
        "frame_sim_layer.fc": (128, 101),
        "color_hist_layer.fc": (128, 101),
        "fc1": (1024, 4864),
        "cls_layer1": (1, 1024),
        "cls_layer2": (1, 1024),
    }.items():
        found |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return found


def test_parameters_have_the_published_names_and_shapes():
    state = transnetv2.TransNetV2().state_dict()
    assert {k: tuple(v.shape) for k, v in state.items()} == expected_shapes()
    assert sum(p.numel() for p in transnetv2.TransNetV2().parameters()) == 7_616_258


def test_loading_is_strict(weights, tmp_path):
    state = torch.load(weights, weights_only=True)
    state.pop("fc1.bias")
    torch.save(state, tmp_path / "less.pth")
    (tmp_path / "text.pth").write_text("no weights")
    for name in ("less.pth", "text.pth", "absent.pth"):
        with pytest.raises(CheckpointError, match="must hold the parameters of TransNet V2"):
            transnetv2.load(tmp_path / name)


def test_similarities_look_fifty_frames_to_either_side():
    vectors = torch.eye(3).repeat(20, 1)[None]
    near = transnetv2._near(vectors)
    assert near.shape == (1, 60, 101)
    assert torch.equal(near[0, :, 50], torch.ones(60))
    assert near[0, 0, :50].abs().sum() == 0
    assert near[0, 10, 53] == 1
    assert near[0, 10, 51] == 0


class Ramp(torch.nn.Module):
    """Stands in for the network: says how bright the middle pixel is, and where in the window it was."""

    def forward(self, frames):
        values = frames[:, :, 13, 24, 0].float()
        return torch.stack([(values - 100) / 10, torch.arange(100.0)[None] / 10], 2)


@pytest.mark.parametrize("count", [1, 49, 50, 51, 120, 150])
def test_windows_give_each_frame_once_from_the_middle(count):
    meter = transnetv2.TransNetMeter(Ramp())
    for k in range(count):
        meter.observe(Sight(k / 25, np.full((36, 64, 3), k, np.uint8)))
    timeline = meter.finish()
    expected = 1 / (1 + np.exp(-(np.arange(count) - 100) / 10))
    np.testing.assert_allclose(timeline["p_cut"][1:], expected[:-1], atol=2e-3)
    position = 1 / (1 + np.exp(-(25 + np.arange(count) % 50) / 10))
    np.testing.assert_allclose(timeline["p_gradual"], position, atol=2e-3)


def test_spans_leave_long_transitions_out():
    seconds = np.arange(100) / 25
    p_cut, p_gradual = np.zeros(100), np.zeros(100)
    p_cut[20] = p_cut[55] = 0.9
    p_gradual[19:21] = p_gradual[50:60] = 0.9
    timeline = {"seconds": seconds, "p_cut": p_cut, "p_gradual": p_gradual}
    spans = [(round(s.start_s * 25), round(s.end_s * 25)) for s in transnetv2.spans(timeline, 4.0)]
    assert spans == [(0, 20), (20, 50), (60, 100)]


def test_a_detector_by_name_with_weights_of_a_file(weights):
    detector = transnetv2.TransNetDetector(weights=str(weights))
    assert isinstance(detector, Detector)
    meter = detector.begin(SOURCE)
    for k in range(30):
        meter.observe(Sight(k / 25, np.full((36, 64, 3), 4 * k, np.uint8)))
    timeline = meter.finish()
    assert {len(v) for v in timeline.values()} == {30}
    assert len(detector.digest()) == 16
