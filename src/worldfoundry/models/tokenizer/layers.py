"""Layers of the video tokenizer, and the set of layers that a tokenizer of either kind is built of.

Activations are ``[b c t h w]``, laid out in memory channels-last, so that the factorised convolutions, (1,3,3) in space and
(3,1,1) in time, run as 2-D convolutions on views, without copies. Norms, spatial convolutions and spatial attention see one
frame at a time; temporal convolutions replicate the first frame of their own input in front; temporal attention is masked.

Layers that look back take a ``Past``: with one they continue the clip of an earlier call instead of starting a new one, and
a clip in pieces gives what it gives at once.

Source: arXiv 2501.03575, section 4.1.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  the field's name
from einops import parse_shape, rearrange
from jaxtyping import Float
from torch import Tensor, nn

from worldfoundry.models.tokenizer.past import Past, is_start


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """What encoder and decoder are built of; ``conv``, ``attention``, ``down`` and ``up`` are called with ``(x, past)``."""

    conv: Callable[[int, int], nn.Module]
    """A convolution over a neighbourhood, from channels to channels."""
    point: Callable[[int, int], nn.Module]
    """A convolution over channels alone."""
    norm: Callable[[int], nn.Module]
    """A norm of so many channels."""
    attention: Callable[[int], nn.Module]
    """Residual attention of so many channels."""
    down: Callable[..., nn.Module]
    """``down(channels, space=, time=)`` halves; without keys if neither."""
    up: Callable[..., nn.Module]
    """``up(channels, space=, time=)`` doubles; without keys if neither."""


def _with_past(x: Tensor, num_frames: int, past: Past | None) -> Tensor:
    """``num_frames`` more in front: those before, or copies of the first."""
    front = [x[:, :, :1]] * num_frames if past is None or past.is_start else [past.take()]
    x = torch.cat([*front, x], dim=2)
    if past is not None:
        past.keep(x[:, :, -num_frames:])
    return x


def _frames(x: Tensor) -> Tensor:
    """``b c t h w -> (b t) c h w``: a view where memory is channels-last."""
    return x.transpose(1, 2).flatten(0, 1)


def _clips(x: Tensor, batch: int) -> Tensor:
    """Inverse of ``_frames``."""
    return x.unflatten(0, (batch, -1)).transpose(1, 2)


class CausalConv(nn.Module):
    """A convolution over space (1,k,k), or over time (k,1,1) and causal, or over both, or over channels (1,1,1)."""

    def __init__(
        self, c_in: int, c_out: int, kernel: tuple[int, int, int], *, stride: int = 1, padding: int = 0
    ):
        super().__init__()
        self.conv3d = nn.Conv3d(
            c_in, c_out, kernel
        )  # holds the weights under their published name; never called
        self.stride, self.padding = stride, padding

    def forward(
        self, x: Float[Tensor, "b ci t h w"], past: Past | None = None
    ) -> Float[Tensor, "b co u i j"]:
        """Convolve; a temporal kernel sees ``k - stride`` copies of the first frame in front, or the frames before."""
        weight, bias = self.conv3d.weight, self.conv3d.bias
        kt, kh, _ = self.conv3d.kernel_size
        if kh > 1 and kt == 1:
            y = F.conv2d(_frames(x), weight[:, :, 0], bias, self.stride, self.padding)
            return _clips(y, x.shape[0])
        h, w = x.shape[3:]
        if kt > self.stride:
            x = _with_past(x, kt - self.stride, past)
        if kh > 1:
            return F.conv3d(x, weight, bias, (self.stride, 1, 1), (0, self.padding, self.padding))
        y = F.conv2d(x.flatten(3), weight[..., 0], bias, (self.stride, 1))
        return y.unflatten(3, (h, w))


class FactorisedConv(nn.Sequential):
    """A convolution over space, then one over time, with nothing between them."""

    def __init__(self, c_in: int, c_out: int):
        super().__init__(CausalConv(c_in, c_out, (1, 3, 3), padding=1), CausalConv(c_out, c_out, (3, 1, 1)))

    def forward(
        self, input: Float[Tensor, "b ci t h w"], past: Past | None = None
    ) -> Float[Tensor, "b co t h w"]:
        """Convolve."""
        space, time = self
        return time(space(input), past)


class FrameNorm(nn.Module):
    """Group norm with one group over (c, h, w) of each frame on its own, which keeps causality."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.GroupNorm(1, channels, eps=1e-6)

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
        """Normalise every frame."""
        return _clips(self.norm(_frames(x)), x.shape[0])


class Attention(nn.Module):
    """One-head attention over the positions of each frame or image, or causally over the frames of each position."""

    def __init__(
        self,
        channels: int,
        *,
        norm: Callable[[int], nn.Module],
        point: Callable[[int, int], nn.Module],
        outer: str,
        over: str,
    ):
        super().__init__()
        self.norm = norm(channels)
        self.q, self.k, self.v, self.proj_out = (point(channels, channels) for _ in range(4))
        self.over_time = over == "t"
        self.axes = "b c h w" if outer == "b" else "b c t h w"
        self.tokens = f"({outer}) 1 ({over}) c"

    def forward(self, x: Float[Tensor, "b c *thw"], past: Past | None = None) -> Float[Tensor, "b c *thw"]:
        """Residual update."""
        y = self.norm(x)
        if self.over_time and past is not None:
            return x + self.proj_out(self._over_past(y, past))
        q, k, v = (rearrange(part(y), f"{self.axes} -> {self.tokens}") for part in (self.q, self.k, self.v))
        is_causal = self.over_time and q.shape[2] > 1
        y = F.scaled_dot_product_attention(q, k, v, is_causal=is_causal)
        return x + self.proj_out(rearrange(y, f"{self.tokens} -> {self.axes}", **parse_shape(x, self.axes)))

    def _over_past(self, y: Float[Tensor, "b c t h w"], past: Past) -> Float[Tensor, "b c t h w"]:
        """Values that each frame attends to, of those before it in the clip too.

        Kept are the inputs of keys and values, half of what these would take, in blocks that are never copied again once
        they are full. That changes no result: with ``k = K y + a``, ``q k`` is ``(q K) y`` but for a constant that softmax
        drops, and a mean of ``V y + b`` is ``V`` of the mean.
        """
        positions = f"{self.axes} -> (b h w) t c"
        q = rearrange(self.q(y), positions) @ self.k.get_parameter("conv3d.weight").flatten(1)
        blocks = _append(past.take_blocks(), rearrange(y, positions))
        scores = torch.cat([q @ block.mT for block in blocks], dim=2) / q.shape[2] ** 0.5
        weights = (scores + _hidden(scores, past.attended_latents)).softmax(dim=2)
        mean = torch.zeros_like(q)
        for weight, block in zip(weights.split([b.shape[1] for b in blocks], dim=2), blocks, strict=True):
            mean = (
                mean + weight @ block
            )  # one after the other: a stack would hold as many as there are blocks
        past.keep_blocks(_latest(blocks, past.attended_latents - 1))
        return self.v(rearrange(mean, f"(b h w) t c -> {self.axes}", **parse_shape(y, self.axes)))


_BLOCK_FRAMES = 16


def _append(blocks: tuple[Tensor, ...], frames: Float[Tensor, "n t c"]) -> tuple[Tensor, ...]:
    """More frames behind: in the last block while it is small, else in one of their own."""
    if blocks and blocks[-1].shape[1] + frames.shape[1] <= _BLOCK_FRAMES:
        return *blocks[:-1], torch.cat([blocks[-1], frames], dim=1)
    return *blocks, frames.contiguous()


def _latest(blocks: tuple[Tensor, ...], num_frames: int) -> tuple[Tensor, ...]:
    """The last so many frames in a block of their own; all of them as they are if negative."""
    if num_frames < 0:
        return blocks
    frames = torch.cat(blocks, dim=1)
    return (frames[:, max(0, frames.shape[1] - num_frames) :].clone(),)


def _hidden(scores: Float[Tensor, "n t s"], attended_latents: int) -> Float[Tensor, "t s"]:
    """Minus infinity where a frame must not look: at later ones, and at those before the last ``attended_latents``."""
    num_frames, num_keys = scores.shape[1:]
    own = torch.arange(num_keys - num_frames, num_keys, device=scores.device)[:, None]
    key = torch.arange(num_keys, device=scores.device)
    hidden = (key > own) | (key <= own - attended_latents if attended_latents else key < 0)
    return torch.zeros(hidden.shape, dtype=scores.dtype, device=scores.device).masked_fill(hidden, -torch.inf)


class SpaceTimeAttention(nn.Sequential):
    """Attention over the positions of each frame, then over the frames of each position."""

    def __init__(self, channels: int):
        parts = {"norm": FrameNorm, "point": _point}
        super().__init__(
            Attention(channels, outer="b t", over="h w", **parts),
            Attention(channels, outer="b h w", over="t", **parts),
        )

    def forward(
        self, input: Float[Tensor, "b c t h w"], past: Past | None = None
    ) -> Float[Tensor, "b c t h w"]:
        """Residual updates."""
        space, time = self
        return time(space(input), past)


class Downsample(nn.Module):
    """Halves space, time or both by strided convolution plus average pooling; nothing at all if neither."""

    def __init__(self, channels: int, *, space: bool, time: bool):
        super().__init__()
        self.conv1 = CausalConv(channels, channels, (1, 3, 3), stride=2) if space else None
        self.conv2 = CausalConv(channels, channels, (3, 1, 1), stride=2) if time else None
        self.conv3 = _point(channels, channels) if space or time else nn.Identity()

    def forward(self, x: Float[Tensor, "b c t h w"], past: Past | None = None) -> Float[Tensor, "b c u i j"]:
        """Space first, then time."""
        if self.conv1 is not None:
            # The mean of each 2 x 2 block is added: a quarter more of every channel on four taps of its own kernel.
            weight = _plane(self.conv1)
            weight = weight + F.pad((_identity(weight) / 4).expand(-1, -1, 2, 2), (0, 1, 0, 1))
            y = F.conv2d(F.pad(_frames(x), (0, 1, 0, 1)), weight, self.conv1.conv3d.bias, 2)
            x = _clips(y, x.shape[0])
        if self.conv2 is not None:
            u = torch.cat([x[:, :, :1], x], dim=2) if is_start(past) else x
            paired = u.shape[2] // 2 * 2
            x = self.conv2(u, past) + (u[:, :, 0:paired:2] + u[:, :, 1:paired:2]) / 2
        return self.conv3(x)


class Upsample(nn.Module):
    """Doubles time, space or both by repetition and a residual convolution; nothing at all if neither."""

    def __init__(self, channels: int, *, space: bool, time: bool):
        super().__init__()
        self.conv1 = CausalConv(channels, channels, (3, 1, 1)) if time else None
        self.conv2 = CausalConv(channels, channels, (1, 3, 3), padding=1) if space else None
        self.conv3 = _point(channels, channels) if space or time else nn.Identity()

    def forward(self, x: Float[Tensor, "b c t h w"], past: Past | None = None) -> Float[Tensor, "b c u i j"]:
        """Time first (the first frame of a clip stays single), then space."""
        if self.conv1 is not None:
            x = x.repeat_interleave(2, dim=2)[:, :, 1 if is_start(past) else 0 :]
            x = self.conv1(x, past) + x
        if self.conv2 is not None:
            x = _clips(
                conv_of_repeated(_frames(x), _plane(self.conv2), self.conv2.conv3d.bias, residual=1.0),
                x.shape[0],
            )
        return self.conv3(x)


def conv_of_repeated(
    x: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "co c 3 3"],
    bias: Tensor | None,
    *,
    residual: float = 0.0,
) -> Float[Tensor, "n co hh ww"]:
    """``conv(y) + residual * y``, where ``y`` has every pixel of ``x`` four times, without making ``y``.

    Of three taps along an axis two see the same pixel, so that each of the four pixels that stand for one has a kernel of
    2 x 2 taps of its own: 16 products in place of 36.
    """
    padded = F.pad(x, (1, 1, 1, 1))
    n, _, h, w = x.shape
    y = torch.empty((n, 2 * h, 2 * w, len(weight)), dtype=x.dtype, device=x.device).permute(0, 3, 1, 2)
    for i, rows in enumerate(_pairs(weight, 2)):
        for j, kernel in enumerate(_pairs(rows, 3)):
            if residual:
                kernel = kernel + F.pad(residual * _identity(weight), (1 - j, j, 1 - i, i))
            y[:, :, i::2, j::2] = F.conv2d(padded[:, :, i : i + h + 1, j : j + w + 1], kernel, bias)
    return y


def _pairs(weight: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """The two taps that remain of three along an axis, for the first and the second of two equal samples."""
    first, middle, last = weight.split(1, dim=axis)
    return torch.cat([first, middle + last], axis), torch.cat([first + middle, last], axis)


def _identity(weight: Tensor) -> Float[Tensor, "c c 1 1"]:
    return torch.eye(len(weight), dtype=weight.dtype, device=weight.device)[:, :, None, None]


def _plane(conv: "CausalConv") -> Float[Tensor, "co ci 3 3"]:
    return conv.conv3d.weight[:, :, 0]


def _point(c_in: int, c_out: int) -> CausalConv:
    return CausalConv(c_in, c_out, (1, 1, 1))


def video_layers() -> Layers:
    """Layers of a video tokenizer."""
    return Layers(
        conv=FactorisedConv,
        point=_point,
        norm=FrameNorm,
        attention=SpaceTimeAttention,
        down=Downsample,
        up=Upsample,
    )
