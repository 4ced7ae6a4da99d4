import numpy as np
import pytest
import torch

from worldfoundry.core.errors import DataError
from worldfoundry.protocols.video import Camera, Frames, from_uint8, to_uint8


def test_every_displayed_value_comes_back_and_others_go_to_the_nearest():
    every = torch.arange(256).to(torch.uint8)
    for dtype in (torch.float32, torch.float64):
        assert torch.equal(to_uint8(from_uint8(every).to(dtype)), every)
        assert to_uint8(torch.tensor([-3.0, 3.0, -0.4 / 127.5, 0.6 / 127.5], dtype=dtype)).tolist() == [
            0,
            255,
            127,
            128,
        ]
    assert from_uint8(every)[[0, -1]].tolist() == [-1, 1]


def test_frames_and_clips_are_the_same_pixels_at_the_same_times():
    pixels = (
        torch.randint(256, (4, 2, 5, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8).numpy()
    )
    frames = Frames(pixels=pixels, fps=8.0, pts_seconds=2 + torch.arange(4).double().numpy() / 8)
    clip = frames.to_clip()
    assert clip.pixels.shape == (1, 3, 4, 2, 5)
    assert (clip.to_frames().pixels == pixels).all()
    assert clip.to_frames().pts_seconds.tolist() == pytest.approx(frames.pts_seconds.tolist())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("intrinsics", np.eye(4)),
        ("intrinsics", np.array([[9.0, 0, 0], [0, 9, 0], [4, 4, 1]])),
        ("world_from_camera", np.eye(4)),
        ("world_from_camera", np.full((2, 4, 4), np.nan)),
        ("model", "fisheye"),
    ],
)
def test_a_camera_that_is_none_is_refused_by_its_field(field, value):
    whole = {"intrinsics": np.eye(3), "world_from_camera": np.eye(4)[None]}
    Camera(**whole)
    with pytest.raises(DataError, match=field):
        Camera(**whole | {field: value})
