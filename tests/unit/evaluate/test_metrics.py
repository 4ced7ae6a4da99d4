import numpy as np
import pytest
import torch

from worldfoundry.core.errors import DataError
from worldfoundry.evaluate.metrics import (
    PSNR_CAP_DB,
    bootstrap_ci,
    clip_psnr,
    frame_psnr,
    frame_ssim,
)

FROZEN_SSIM = 0.815458425
"""Of scikit-image 0.26.0, for the pair of ``_frozen_pair``."""


def _clips(seed: int, b: int = 2, t: int = 3, h: int = 24, w: int = 32) -> torch.Tensor:
    noise = torch.rand(b, 3, t, h, w, generator=torch.Generator().manual_seed(seed))
    return noise * 2 - 1


def _noisy(x: torch.Tensor, amount: float) -> torch.Tensor:
    return x + amount * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))


def test_identical_clips_score_the_cap_and_one():
    x = _clips(0)
    assert torch.equal(clip_psnr(x, x), torch.full((2,), PSNR_CAP_DB, dtype=torch.float64))
    torch.testing.assert_close(frame_ssim(x, x), torch.ones(2, 3, dtype=torch.float64))


def test_differences_no_screen_can_show_do_not_count():
    x = torch.full((1, 3, 1, 16, 16), 0.25)
    assert clip_psnr(x, x + 1e-4).item() == PSNR_CAP_DB
    assert clip_psnr(torch.ones(1, 3, 1, 16, 16), torch.full((1, 3, 1, 16, 16), 1.7)).item() == PSNR_CAP_DB


def test_one_grey_level_everywhere_is_48_db():
    x = torch.zeros(1, 3, 2, 16, 16)
    assert clip_psnr(x, x + 2 / 255).item() == pytest.approx(20 * np.log10(255), abs=1e-6)


def test_pooled_psnr_never_exceeds_the_mean_of_frame_psnr():
    x = _clips(0, t=5)
    y = x.clone()
    y[:, :, 3:] = _clips(2, t=2)
    assert (clip_psnr(x, y) < frame_psnr(x, y).mean(dim=1)).all()


def test_both_metrics_fall_as_noise_grows():
    x = _clips(3) * 0.5
    levels = [0.01, 0.05, 0.1, 0.3, 1.0]
    for metric in (clip_psnr, lambda a, b: frame_ssim(a, b).mean(dim=1)):
        scores = torch.stack([metric(x, _noisy(x, level)) for level in levels])
        assert (scores[1:] < scores[:-1]).all()


def test_ssim_is_symmetric_and_of_each_frame_alone():
    x, y = _clips(4), _noisy(_clips(4), 0.2)
    torch.testing.assert_close(frame_ssim(x, y), frame_ssim(y, x))
    torch.testing.assert_close(frame_ssim(x, y)[:, 1:2], frame_ssim(x[:, :, 1:2], y[:, :, 1:2]))


def _frozen_pair() -> tuple[torch.Tensor, torch.Tensor]:
    """A pattern that any machine reproduces: sines and a ramp, one channel each shifted."""
    rows, columns = torch.meshgrid(torch.arange(24.0), torch.arange(32.0), indexing="ij")
    planes = [torch.sin(rows * 0.3 + k) * torch.cos(columns * 0.2 * (k + 1)) for k in range(3)]
    x = torch.stack(planes)[None, :, None] * 0.8
    y = x * 0.7 + 0.2 + 0.15 * torch.sin(rows * columns * 0.05)
    return x, y


def test_ssim_equals_the_frozen_value_of_scikit_image():
    assert frame_ssim(*_frozen_pair()).item() == pytest.approx(FROZEN_SSIM, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_ssim_equals_scikit_image(seed: int):
    skimage = pytest.importorskip("skimage.metrics")
    x = _clips(seed) * 0.6
    y = _noisy(x, 0.1 * (seed + 1))
    ours = frame_ssim(x, y)
    for b in range(2):
        for t in range(3):
            a, c = (((z[b, :, t].clamp(-1, 1) + 1) * 127.5 + 0.5).floor().numpy() / 255 for z in (x, y))
            theirs = skimage.structural_similarity(
                a,
                c,
                channel_axis=0,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=1.0,
            )
            assert ours[b, t].item() == pytest.approx(theirs, abs=1e-5)


def test_frames_smaller_than_the_window_are_refused():
    with pytest.raises(DataError, match="11x11"):
        frame_ssim(_clips(0)[..., :8], _clips(0)[..., :8])


def test_the_interval_holds_the_mean_shrinks_with_n_and_repeats():
    values = np.random.default_rng(0).normal(30, 2, size=400)
    few, many = bootstrap_ci(values[:20]), bootstrap_ci(values)
    assert few.ci95 is not None
    assert many.ci95 is not None
    assert many.ci95[0] < many.mean < many.ci95[1]
    assert many.ci95[1] - many.ci95[0] == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.15)
    assert few.ci95[1] - few.ci95[0] > many.ci95[1] - many.ci95[0]
    assert bootstrap_ci(values) == many


def test_one_clip_has_no_interval_and_none_is_an_error():
    assert bootstrap_ci(np.array([3.0])).ci95 is None
    with pytest.raises(DataError, match="no clips"):
        bootstrap_ci(np.array([]))
