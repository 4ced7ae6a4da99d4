import numpy as np
import pytest
import torch

from worldfoundry.core.errors import ConfigError
from worldfoundry.evaluate.floors import copy_last_frame, flow_warp
from worldfoundry.evaluate.metrics import clip_psnr
from worldfoundry.protocols.video import Clip, Frames

pytest.importorskip("cv2")


def _texture(h: int, w: int) -> np.ndarray:
    import cv2

    noise = np.random.default_rng(0).normal(size=(h, w, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return np.clip(128 + smooth / smooth.std() * 40, 0, 255).astype(np.uint8)


def _panning(num_frames: int, dx: int, dy: int, size: int = 64) -> Clip:
    world = _texture(size + 200, size + 200)
    views = [
        world[100 + k * dy : 100 + k * dy + size, 100 + k * dx : 100 + k * dx + size]
        for k in range(num_frames)
    ]
    return Frames.at_constant_rate(np.stack(views), 10.0).to_clip()


def _cut(clip: Clip, start: int, stop: int) -> Clip:
    return Clip(pixels=clip.pixels[:, :, start:stop], fps=clip.fps, start_seconds=start / clip.fps)


def test_copy_last_repeats_the_last_frame_and_continues_the_clock():
    clip = _panning(5, 1, 0)
    future = copy_last_frame(clip, 3)
    assert future.pixels.shape == (1, 3, 3, 64, 64)
    assert torch.equal(future.pixels[:, :, 2], clip.pixels[:, :, 4])
    assert future.start_seconds == pytest.approx(0.5)


@pytest.mark.parametrize(("dx", "dy"), [(1, 0), (0, 2), (-2, 1)])
def test_flow_warp_carries_a_translating_pattern_on_almost_exactly(dx: int, dy: int):
    clip = _panning(11, dx, dy)
    future, truth = flow_warp(_cut(clip, 0, 5), 6), _cut(clip, 5, 11)
    inner = (..., slice(20, 44), slice(20, 44))  # what enters at the border is unknown to any floor
    warped = clip_psnr(truth.pixels[inner], future.pixels[inner]).item()
    copied = clip_psnr(truth.pixels[inner], copy_last_frame(_cut(clip, 0, 5), 6).pixels[inner]).item()
    assert warped > 30
    assert warped > copied + 10


def test_flow_warp_leaves_a_still_scene_as_it_is():
    clip = _panning(2, 0, 0)
    future = flow_warp(clip, 4)
    assert clip_psnr(future.pixels[:, :, 3:], clip.pixels[:, :, 1:]).item() > 45


def test_each_clip_of_a_batch_is_warped_by_its_own_flow():
    left, down = _panning(5, 2, 0), _panning(5, 0, 1)
    both = Clip(pixels=torch.cat([left.pixels, down.pixels]), fps=10.0)
    torch.testing.assert_close(flow_warp(both, 2).pixels[1:], flow_warp(down, 2).pixels)


def test_flow_warp_needs_two_frames():
    with pytest.raises(ConfigError, match="at least 2"):
        flow_warp(_panning(1, 0, 0), 3)
