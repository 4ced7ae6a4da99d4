"""A clip encoded or decoded piece by piece, as exactly as at once.

Every layer is causal, so it suffices to keep the last two input frames of every temporal convolution, the last one of every
temporal down-sampler, and keys and values of the temporal attentions. Memory is that of one piece and of what is kept, which
grows with the clip unless ``attended_latents`` bounds the attentions.
"""

from jaxtyping import Float, Int
from torch import Tensor

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.models.tokenizer.layers import Past
from worldfoundry.models.tokenizer.network import WaveletTokenizer


class TokenizerStream:
    """Both directions of one clip each; start another stream for another clip.

    ``attended_latents`` bounds what temporal attention keeps of the past, in latent frames. With 0 it keeps all: exact for
    every length, and the one thing that grows with it, by ``2 * width * hz * wz`` numbers a latent frame. With n memory is
    constant, and pieces are exact as long as the clip has at most n latent frames; then the eldest are forgotten.

    Unlike the carry of a world, the state lies in the object: one that is made for a clip and dropped with it, and whose two
    directions go on separately. It is explicit all the same: ``encoder_past`` and ``decoder_past`` are all of it, tuples of
    tensors that nothing changes, to be copied, saved and put back.
    """

    def __init__(self, tokenizer: WaveletTokenizer, *, attended_latents: int = 0):
        if tokenizer.config.dimensions != "video" or attended_latents < 0:
            raise ConfigError(
                f"a stream must be of a video tokenizer and attended_latents at least 0, got {tokenizer.config.dimensions} and "
                f"{attended_latents}; encode images one by one"
            )
        self.tokenizer, self.attended_latents = tokenizer, attended_latents
        self.encoder_past: tuple[Tensor, ...] = ()
        self.decoder_past: tuple[Tensor, ...] = ()

    def encode(
        self, pixels: Float[Tensor, "b 3 t h w"]
    ) -> Float[Tensor, "b cz tz hz wz"] | Int[Tensor, "b tz hz wz"]:
        """Latents or indices of the next frames: first 1 + a multiple of the temporal stride, then multiples of it."""
        self._check("pixels", pixels, self.encoder_past, patch_size=self.tokenizer.config.patch_size)
        past = Past(self.encoder_past, attended_latents=self.attended_latents)
        codes = self.tokenizer.encode_codes(pixels, past)
        self.encoder_past = past.kept
        return codes if self.tokenizer.fsq is None else self.tokenizer.fsq.indices(codes)

    def decode(
        self, latents: Float[Tensor, "b cz tz hz wz"] | Int[Tensor, "b tz hz wz"]
    ) -> Float[Tensor, "b 3 t h w"]:
        """Frames of the next latents or indices, any number of them: the first of all gives one frame."""
        self._check("latents", latents, self.decoder_past)
        past = Past(self.decoder_past, attended_latents=self.attended_latents)
        pixels = self.tokenizer.decode(latents, past)
        self.decoder_past = past.kept
        return pixels

    def _check(self, name: str, piece: Tensor, past: tuple[Tensor, ...], *, patch_size: int = 1) -> None:
        """Refuse an empty piece, and one that differs from those before it, whose axes are those of the first layer's past."""
        if not piece.shape[-3]:
            raise DataError(f"{name} of a stream must be a frame or more, got 0; wait for the next piece")
        if not past:
            return
        first, found = past[0].shape, (len(piece), *piece.shape[-2:])
        expected = (first[0], first[3] * patch_size, first[4] * patch_size)
        differing = [
            f"{axis} {old}, got {new}"
            for axis, old, new in zip(("batch", "height", "width"), expected, found, strict=True)
            if old != new
        ]
        if differing:
            raise DataError(
                f"{name} that continue a clip must have {' and '.join(differing)}; start another stream for another clip"
            )
