"""What a model has to be measured against: two floors that know no physics, and the ceiling of its tokenizer.

Axes: ``b`` clips, ``c`` channels, ``t`` frames, ``h`` rows, ``w`` columns.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from worldfoundry.core.errors import ConfigError, require_package
from worldfoundry.data.optical_flow import dis_flow
from worldfoundry.protocols.models import Tokenizer
from worldfoundry.protocols.video import Clip, Frames


def copy_last_frame(context: Clip, num_frames: int) -> Clip:
    """Nothing moves: the last context frame ``num_frames`` times."""
    pixels = context.pixels[:, :, -1:].expand(-1, -1, num_frames, -1, -1).clone()
    return _after(context, pixels)


def flow_warp(context: Clip, num_frames: int) -> Clip:
    """All goes on at constant velocity: dense flow of the last two context frames, ``k`` times as far for frame ``k``.

    Each new pixel is fetched from where the flow at its place says it was (backward warp, borders repeated); the flow is
    OpenCV's DIS at its medium preset. Projecting the flow forward and inpainting what it uncovers scored lower on average.
    """
    if context.num_frames < 2:
        raise ConfigError(
            f"flow_warp needs at least 2 context frames, got {context.num_frames}; give more context"
        )
    last_two = Clip(pixels=context.pixels[:, :, -2:], fps=context.fps)
    futures = [
        _extrapolate(*last_two.to_frames(i).pixels, num_frames=num_frames) for i in range(len(context.pixels))
    ]
    clips = [Frames.at_constant_rate(future, context.fps).to_clip().pixels for future in futures]
    return _after(context, torch.cat(clips).to(context.pixels))


def ceiling(tokenizer: Tokenizer, truth: Clip) -> Clip:
    """The best the tokenizer allows: encode and decode of the true frames, all of them."""
    with torch.inference_mode():
        pixels = tokenizer.decode(tokenizer.encode(truth.pixels))
    return Clip(pixels=pixels.clone(), fps=truth.fps, start_seconds=truth.start_seconds)


def _after(context: Clip, pixels: Float[Tensor, "b c t h w"]) -> Clip:
    start = context.start_seconds + context.num_frames / context.fps
    return Clip(pixels=pixels, fps=context.fps, start_seconds=start)


def _extrapolate(before: np.ndarray, last: np.ndarray, *, num_frames: int) -> np.ndarray:
    """uint8 [h, w, 3] twice -> uint8 [num_frames, h, w, 3]."""
    cv2 = require_package("cv2", "curate")
    from_last = dis_flow(last, before)
    rows, columns = np.mgrid[0 : last.shape[0], 0 : last.shape[1]].astype(np.float32)
    futures = [
        cv2.remap(
            last,
            columns + from_last[..., 0] * k,
            rows + from_last[..., 1] * k,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        for k in range(1, num_frames + 1)
    ]
    return np.stack(futures)
