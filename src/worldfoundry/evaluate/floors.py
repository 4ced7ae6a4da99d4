"""What a model has to be measured against: two floors that know no physics, and the ceiling of its tokenizer.

Axes: ``b`` clips, ``c`` channels, ``t`` frames, ``h`` rows, ``w`` columns.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from worldfoundry.core.errors import ConfigError, require_package
from worldfoundry.protocols.models import Tokenizer
from worldfoundry.protocols.video import Clip, Frames


def copy_last_frame(context: Clip, num_frames: int) -> Clip:
    """Nothing moves: the last context frame ``num_frames`` times."""
    pixels = context.pixels[:, :, -1:].expand(-1, -1, num_frames, -1, -1).clone()
    return _after(context, pixels)


def flow_warp(context: Clip, num_frames: int) -> Clip:
    """All goes on at constant velocity: dense flow of the last two context frames, carried ``k`` steps ahead.

    Pixels move along their flow (the faster one wins where two meet); what they uncover is inpainted from around it. The
    flow is OpenCV's DIS at its medium preset.
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
    before_gray, last_gray = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (before, last))
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    velocity = -flow.calc(last_gray, before_gray, None)
    return np.stack([_move(cv2, last, velocity * k) for k in range(1, num_frames + 1)])


def _move(cv2, image: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Move each pixel of ``image`` by ``motion`` [h, w, 2] (x, y): project the motion to where it leads, sample back."""
    h, w = motion.shape[:2]
    rows, columns = np.mgrid[0:h, 0:w].astype(np.float32)
    to_row = np.rint(rows + motion[..., 1]).astype(np.int64).ravel()
    to_column = np.rint(columns + motion[..., 0]).astype(np.int64).ravel()
    slow_first = np.argsort(np.square(motion).sum(axis=-1).ravel(), kind="stable")
    inside = (to_row >= 0) & (to_row < h) & (to_column >= 0) & (to_column < w)
    order = slow_first[inside[slow_first]]
    arriving = np.zeros_like(motion)
    uncovered = np.full((h, w), 255, np.uint8)
    arriving[to_row[order], to_column[order]] = motion.reshape(-1, 2)[order]
    uncovered[to_row[order], to_column[order]] = 0
    moved = cv2.remap(
        image,
        columns - arriving[..., 0],
        rows - arriving[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if not uncovered.any():
        return moved
    return image.copy() if uncovered.all() else cv2.inpaint(moved, uncovered, 3, cv2.INPAINT_TELEA)
