"""Published models load from where their weights are given and answer in the form that enrichment stores."""

import sys
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from worldfoundry.core.errors import CheckpointError, ConfigError, MissingDependencyError
from worldfoundry.curate.plugins import clip, dover, embedders

FRAMES = np.random.default_rng(0).integers(0, 255, (5, 48, 80, 3)).astype(np.uint8)
TIMES = np.arange(5) / 2


def head_of(width: int, *, bias: float = 0.0) -> dict[str, np.ndarray]:
    sizes = [width, 8, 6, 5, 4, 1]
    rng = np.random.default_rng(1)
    state = {}
    for layer, (before, after) in zip(clip._HEAD_LAYERS, pairwise(sizes), strict=True):
        state[f"{layer}.weight"] = rng.normal(size=(after, before)).astype(np.float32)
        state[f"{layer}.bias"] = np.full(after, bias, np.float32)
    return state


class FakeClip:
    """Embeds a frame as its mean colour, as transformers' CLIPModel would return it."""

    config = SimpleNamespace(vision_config=SimpleNamespace(image_size=32))

    def get_image_features(self, pixel_values):
        assert pixel_values.shape[1:] == (3, 32, 32)
        return SimpleNamespace(pooler_output=pixel_values.mean((2, 3)))


def test_clip_averages_unit_embeddings_of_frames():
    model = clip.Clip(weights="none", model=FakeClip())
    each = model.embed(FRAMES)
    np.testing.assert_allclose(np.linalg.norm(each, axis=1), 1, atol=1e-5)
    found = model(FRAMES, TIMES)["embedding"]
    np.testing.assert_allclose(found, clip.unit(each.mean(0)), atol=1e-6)


def test_aesthetics_are_those_of_the_worst_frame(tmp_path):
    from safetensors.numpy import save_file

    save_file(head_of(3, bias=0.5), tmp_path / "head.safetensors")
    model = clip.Aesthetics(
        clip=clip.Clip(weights="none", model=FakeClip()), layers=clip.read_head(tmp_path / "head.safetensors")
    )
    whole = model(FRAMES, TIMES)["aesthetics"]
    each = [model(FRAMES[k : k + 1], TIMES[:1])["aesthetics"] for k in range(5)]
    assert whole == pytest.approx(min(each), abs=1e-5)
    assert max(each) > min(each)


def test_the_published_form_of_the_head_is_read_too_and_another_is_refused(tmp_path):
    import torch

    state = head_of(3)
    torch.save({k: torch.from_numpy(v) for k, v in state.items()}, tmp_path / "head.pth")
    for (weight, _), layer in zip(clip.read_head(tmp_path / "head.pth"), clip._HEAD_LAYERS, strict=True):
        np.testing.assert_array_equal(weight, state[f"{layer}.weight"])
    state.pop("layers.7.bias")
    torch.save({k: torch.from_numpy(v) for k, v in state.items()}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="published"):
        clip.read_head(tmp_path / "other.pth")
    with pytest.raises(ConfigError, match="one head"):
        clip.load_aesthetics(str(tmp_path))


def test_a_clip_of_transformers_loads_and_embeds(tmp_path):
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config={**small, "vocab_size": 50, "max_position_embeddings": 8},
        vision_config={**small, "image_size": 32, "patch_size": 16},
        projection_dim=12,
    )
    transformers.CLIPModel(config).save_pretrained(tmp_path)
    model = clip.load(str(tmp_path))
    found = model(FRAMES, TIMES)["embedding"]
    assert found.shape == (12,)
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-5)
    assert len(model.version) == 16
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="weights"):
        clip.load(str(tmp_path / "nowhere"))


def test_cosmos_embed1_is_asked_as_its_card_says():
    import torch

    class Model:
        def get_video_embeddings(self, videos):
            assert videos.shape == (1, 8, 3, 48, 80)
            return SimpleNamespace(visual_proj=torch.tensor([[3.0, 4.0]]))

        def get_text_embeddings(self, text):
            return SimpleNamespace(text_proj=torch.tensor([[0.0, len(text[0]) * 1.0]]))

    model = embedders.cosmos_embed1(Model(), lambda **given: given, "folder")
    assert model.num_frames == 8
    frames = np.repeat(FRAMES[:1], 8, 0)
    np.testing.assert_allclose(model(frames, np.arange(8.0))["embedding"], [0.6, 0.8], atol=1e-6)
    np.testing.assert_allclose(model.embed_text("a cat"), [0, 1])


def test_internvideo2_sees_four_normalised_frames():
    import torch

    seen = []

    class Model:
        def get_vid_feat(self, frames):
            seen.append(frames)
            return torch.ones(1, 4)

        def get_txt_feat(self, text):
            return torch.ones(1, 4)

    model = embedders.internvideo2(Model(), "folder")
    grey = np.full((4, 48, 80, 3), 255, np.uint8)
    np.testing.assert_allclose(model(grey, np.arange(4.0))["embedding"], [0.5] * 4)
    assert seen[0].shape == (1, 4, 3, 224, 224)
    assert float(seen[0][0, 0, 0].mean()) == pytest.approx((1 - 0.485) / 0.229, abs=1e-4)


def test_hub_names_whose_code_would_run_are_refused():
    pytest.importorskip("transformers")
    with pytest.raises(ConfigError, match="folder"):
        embedders.load_internvideo2("somebody/model")


def test_dover_sees_the_whole_picture_and_patches_of_it_at_its_own_size():
    frames = np.zeros((4, 256, 480, 3), np.uint8)  # repeated to 128: few here, to be quick
    frames[:, :, 240:] = 255
    seen = {}

    def run(aesthetic, technical):
        seen.update(aesthetic=aesthetic, technical=technical)
        return [np.array([-0.08285]), np.array([0.1107])]

    score = dover.Dover(weights="none", run=run)(frames, np.arange(4.0))
    assert score == {"dover": pytest.approx(0.5)}
    assert seen["aesthetic"].shape == (1, 3, 32, 224, 224)
    assert seen["technical"].shape == (4, 3, 32, 224, 224)
    columns = seen["technical"][0, 0, 0].mean(0)
    assert (columns[:96] < 0).all()  # the three cells left of the middle
    assert (columns[128:] > 0).all()
    assert dover.fused(0.0, 0.3) > dover.fused(0.0, 0.1)


def test_what_is_not_installed_or_not_there_is_told(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for load in (clip.load, embedders.load_cosmos_embed1, embedders.load_internvideo2):
        with pytest.raises(MissingDependencyError, match="pip install"):
            load(str(tmp_path))
    with pytest.raises(ConfigError, match="ONNX"):
        dover.load(str(tmp_path / "none.onnx"))
    (tmp_path / "dover.onnx").write_bytes(b"")
    with pytest.raises(MissingDependencyError, match="pip install"):
        dover.load(str(tmp_path / "dover.onnx"))
