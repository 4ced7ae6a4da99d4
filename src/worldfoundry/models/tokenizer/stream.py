"""A clip encoded or decoded piece by piece, as exactly as at once.

Every layer is causal, so it suffices to keep the last two input frames of every temporal convolution, the last one of every
temporal down-sampler, and what the temporal attentions look back at. Memory is that of one piece and of what is kept; of
that, the attentions' part alone grows with the clip, unless ``attended_latents`` bounds it.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.models.tokenizer.past import Past, State
from worldfoundry.models.tokenizer.tile import Tile


class TokenizerStream:
    """Both directions of one clip each; start another stream for another clip.

    ``attended_latents`` is how many latent frames temporal attention sees, the present one included. With 0 it sees all:
    exact for every length, and the one thing that grows with it, by ``width * hz * wz`` numbers a latent frame and direction
    (2 MiB for 8 frames of 256 x 256 pixels of the full-size CV8x8x8 in float32). With n memory is constant: exact for clips
    of at most n latent frames, and beyond them every frame is what it is with the n - 1 latents before it; how the clip is
    cut into pieces makes no difference.

    Unlike the carry of a world, the state lies in the object: one that is made for a clip and dropped with it, and whose two
    directions go on separately. It is explicit all the same: ``encoder_past`` and ``decoder_past`` are all of it, tensors
    that nothing changes, to be copied, saved and put back.
    """

    def __init__(self, tokenizer: WaveletTokenizer, *, attended_latents: int = 0, tile: Tile | None = None):
        if tokenizer.config.dimensions != "video":
            raise ConfigError(
                f"a stream must be of a video tokenizer, got one of {tokenizer.config.dimensions}s; encode images one by one"
            )
        if attended_latents < 0:
            raise ConfigError(
                f"attended_latents must be at least 0, got {attended_latents}; 0 is all of the clip"
            )
        self.tokenizer, self.attended_latents, self.tile = tokenizer, attended_latents, tile
        self.encoder_past: tuple[State, ...] = ()
        self.decoder_past: tuple[State, ...] = ()

    def encode(
        self, pixels: Float[Tensor, "b 3 t h w"]
    ) -> Float[Tensor, "b cz tz hz wz"] | Int[Tensor, "b tz hz wz"]:
        """Latents or indices of the next frames: first 1 + a multiple of the temporal stride, then multiples of it."""
        past = self._continue("pixels", pixels, self.encoder_past)
        latents = self.tokenizer.encode_piece(pixels, past, tile=self.tile)
        self.encoder_past = (_shape(pixels), *past.kept)
        return latents

    def decode(
        self, latents: Float[Tensor, "b cz tz hz wz"] | Int[Tensor, "b tz hz wz"]
    ) -> Float[Tensor, "b 3 t h w"]:
        """Frames of the next latents or indices, any number of them: the first of all gives one frame."""
        past = self._continue("latents", latents, self.decoder_past)
        pixels = self.tokenizer.decode(latents, past, tile=self.tile)
        self.decoder_past = (_shape(latents), *past.kept)
        return pixels

    def _continue(self, name: str, piece: Tensor, kept: tuple[State, ...]) -> Past:
        """The past of a piece; an empty one, and one that differs from those before it, are refused."""
        if not piece.shape[-3]:
            raise DataError(f"{name} of a stream must be a frame or more, got 0; wait for the next piece")
        if kept:
            expected, found = kept[0], _shape(piece)
            assert isinstance(expected, Tensor), "the first thing kept is the shape"
            differing = [
                f"{axis} {old}, got {new}"
                for axis, old, new in zip(
                    ("batch", "height", "width"), expected.tolist(), found.tolist(), strict=True
                )
                if old != new
            ]
            if differing:
                raise DataError(
                    f"{name} that continue a clip must have {' and '.join(differing)}; start another stream for another clip"
                )
        return Past(kept[1:], attended_latents=self.attended_latents)


def _shape(piece: Tensor) -> Int[Tensor, " 3"]:
    """Batch, height and width."""
    return torch.tensor([len(piece), *piece.shape[-2:]])
