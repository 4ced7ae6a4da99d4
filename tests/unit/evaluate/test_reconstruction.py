import numpy as np
import pytest
import torch

from worldfoundry.core.errors import DataError
from worldfoundry.evaluate.config import MODEL, ReconstructionConfig
from worldfoundry.evaluate.reconstruction import evaluate_reconstruction
from worldfoundry.protocols.models import TokenizerSpec
from worldfoundry.protocols.video import Frames

pytest.importorskip("cv2")


class OffsetTokenizer:
    """Adds a tenth to every pixel."""

    spec = TokenizerSpec(temporal_stride=4, spatial_stride=8, latent_channels=3)

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        return latents + 0.2


def _frames(t: int, h: int, w: int) -> Frames:
    return Frames.at_constant_rate(
        np.random.default_rng(0).integers(60, 180, (t, h, w, 3), dtype=np.uint8), 10.0
    )


def test_a_known_error_gives_the_known_psnr():
    clip = _frames(5, 16, 16).to_clip()
    config = ReconstructionConfig(num_clips=2, num_frames=5, size_px=16)
    result = evaluate_reconstruction(config, {"real": [clip, clip]}, tokenizer=OffsetTokenizer(), models={})
    score = result.groups["real"][MODEL]["psnr_clip"]["all"]
    assert score.n == 2
    assert score.mean == pytest.approx(20 * np.log10(255 / 25.5), abs=0.2)


def test_the_progress_of_a_group_ends_at_its_number_of_clips():
    clip, said = _frames(5, 16, 16).to_clip(), []
    config = ReconstructionConfig(num_clips=50, num_frames=5, size_px=16)
    evaluate_reconstruction(
        config,
        {"real": [clip, clip]},
        tokenizer=OffsetTokenizer(),
        models={},
        progress=lambda *now: said.append(now),
    )
    assert said[-1] == ("real", 2, 2)


def test_an_empty_group_is_refused():
    config = ReconstructionConfig(num_clips=1)
    with pytest.raises(DataError, match="no clips"):
        evaluate_reconstruction(config, {"real": []}, tokenizer=OffsetTokenizer(), models={})
