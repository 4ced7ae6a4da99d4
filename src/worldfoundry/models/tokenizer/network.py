"""The tokenizer: one network for every size, for video and images, continuous and discrete.

``coder`` has its two halves. Of a video, latent ``k`` depends on frames ``0..k * temporal_stride`` and on nothing later.

State-dict names are those of the published Cosmos checkpoints, which load as they are.

Source: arXiv 2501.03575, section 4.1.
"""

from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from worldfoundry.core.errors import CheckpointError, ConfigError, DataError
from worldfoundry.models.tokenizer.coder import Decoder, Encoder
from worldfoundry.models.tokenizer.config import TokenizerConfig
from worldfoundry.models.tokenizer.image_layers import image_layers
from worldfoundry.models.tokenizer.layers import video_layers
from worldfoundry.models.tokenizer.normalise import LatentStatistics
from worldfoundry.models.tokenizer.past import Past, is_start
from worldfoundry.models.tokenizer.quantize import FSQ
from worldfoundry.models.tokenizer.tile import Tile, run_tiled
from worldfoundry.protocols.models import TokenizerSpec

if TYPE_CHECKING:
    from worldfoundry.models.tokenizer.stream import TokenizerStream

Parts = Literal["whole", "encoder", "decoder"]
"""What a tokenizer holds: ``encoder.jit`` and ``decoder.jit`` are halves."""


class Posterior(NamedTuple):
    """What the encoder of a variational tokenizer says of a latent."""

    mean: Tensor
    """The latent that ``encode`` gives."""
    log_variance: Tensor
    """Clamped to [-30, 20]."""


class WaveletTokenizer(nn.Module):
    """Clips to latents or indices and back; a still image is a clip of one frame.

    An image tokenizer (``config.dimensions == "image"``) takes images ``[b 3 h w]``, or clips of which each frame is an image
    of its own; what it gives has the same axes. One that holds a half only (``parts``) refuses the other direction with a
    ``CheckpointError``. ``statistics`` are those of its latents where they are known; nothing here applies them.

    With a ``tile`` large pictures go through in overlapping tiles; see there.
    """

    def __init__(
        self,
        config: TokenizerConfig,
        *,
        parts: Parts = "whole",
        statistics: LatentStatistics | None = None,
    ):
        super().__init__()
        self.config, self.parts, self.statistics = config, parts, statistics
        self.spec = TokenizerSpec(
            temporal_stride=config.temporal_stride,
            spatial_stride=config.spatial_stride,
            latent_channels=config.latent_channels,
            codebook_size=config.codebook_size,
        )
        self.fsq = FSQ(config.fsq_levels) if config.fsq_levels else None
        layers = video_layers() if config.dimensions == "video" else image_layers(config.norm_groups)
        moments = 2 if config.is_variational else 1
        if parts != "decoder":
            self.encoder = Encoder(config, layers)
            self.quant_conv = layers.point(moments * config.z_channels, moments * config.latent_channels)
        if parts != "encoder":
            self.post_quant_conv = layers.point(config.latent_channels, config.z_channels)
            self.decoder = Decoder(config, layers)

    def encode(
        self, pixels: Float[Tensor, "b 3 *thw"], *, tile: Tile | None = None
    ) -> Float[Tensor, "b cz *thw_z"] | Int[Tensor, "b ..."]:
        """Latents of clips in [-1, 1], or int32 indices if discrete.

        A size that does not divide is a ``ConfigError``, never padded or cropped.
        """
        return self.encode_piece(pixels, None, tile=tile)

    def encode_piece(
        self, pixels: Float[Tensor, "b 3 *thw"], past: Past | None, *, tile: Tile | None = None
    ) -> Float[Tensor, "b cz *thw_z"] | Int[Tensor, "b ..."]:
        """``encode`` of frames that may continue a clip (``stream``); indices are of float32 codes, exact for every codebook."""
        z = self._latents(pixels, past, tile)
        return z if self.fsq is None else self.fsq.indices(self.fsq.quantize(z.float()))

    def encode_codes(
        self, pixels: Float[Tensor, "b 3 *thw"], past: Past | None = None, *, tile: Tile | None = None
    ) -> Float[Tensor, "b cz *thw_z"]:
        """What the decoder is to see: the latents, or the codes, through which gradients pass straight.

        With a ``past`` the frames continue a clip (``stream``).
        """
        z = self._latents(pixels, past, tile)
        return z if self.fsq is None else self.fsq.quantize(z)

    def _latents(self, pixels: Tensor, past: Past | None, tile: Tile | None) -> Tensor:
        """What the encoder says, before it is rounded to codes."""
        z = self._features(pixels, past, tile)
        return (z.chunk(2, dim=1)[0] if self.config.is_variational else z).contiguous()

    def posterior(self, pixels: Float[Tensor, "b 3 *thw"]) -> Posterior:
        """Mean and log-variance of the latents of a variational tokenizer."""
        if not self.config.is_variational:
            raise ConfigError(
                "tokenizer.is_variational must be true for a posterior, got false; use encode instead"
            )
        mean, log_variance = self._features(pixels).chunk(2, dim=1)
        return Posterior(mean, log_variance.clamp(-30, 20))

    def _features(self, pixels: Tensor, past: Past | None = None, tile: Tile | None = None) -> Tensor:
        """The encoder's output behind ``quant_conv``; of tiles it is joined here, before anything is rounded."""
        self._require("encoder")
        self._check(pixels, past)
        if self.config.dimensions == "image" and pixels.ndim == 5:
            images = rearrange(pixels, "b c t h w -> (b t) c h w")
            return rearrange(self._features(images, tile=tile), "(b t) c h w -> b c t h w", b=len(pixels))
        if tile is None:
            return self.quant_conv(self.encoder(pixels, past))
        stride = self.spec.spatial_stride
        return run_tiled(
            lambda part: self.quant_conv(self.encoder(part, past)),
            pixels,
            tile=tile,
            stride=stride,
            unit_in=stride,
            unit_out=1,
        )

    def decode(
        self,
        latents: Float[Tensor, "b cz *thw_z"] | Int[Tensor, "b ..."],
        past: Past | None = None,
        *,
        tile: Tile | None = None,
    ) -> Float[Tensor, "b 3 *thw"]:
        """Clips in about [-1, 1], not clamped, from latents (or codes) if floating-point, else from indices.

        ``1 + (tz - 1) * temporal_stride`` frames, or ``tz * temporal_stride`` that continue a ``past``.
        """
        self._require("decoder")
        if not latents.is_floating_point():
            latents = self._codes(latents)
        if self.config.dimensions == "image" and latents.ndim == 5:
            images = rearrange(latents, "b c t h w -> (b t) c h w")
            return rearrange(self.decode(images, tile=tile), "(b t) c h w -> b c t h w", b=len(latents))
        ndim = 4 if self.config.dimensions == "image" else 5
        if latents.ndim != ndim or latents.shape[1] != self.spec.latent_channels or not latents.numel():
            raise DataError(
                f"latents must be [b {self.spec.latent_channels} {'...' if ndim == 4 else 't ...'}] and not empty, got "
                f"{list(latents.shape)}; take those of encode"
            )
        if tile is None:
            return self.decoder(self.post_quant_conv(latents), past).contiguous()
        stride = self.spec.spatial_stride
        return run_tiled(
            lambda part: self.decoder(self.post_quant_conv(part), past),
            latents,
            tile=tile,
            stride=stride,
            unit_in=1,
            unit_out=stride,
        ).contiguous()

    def forward(self, pixels: Float[Tensor, "b 3 *thw"]) -> Float[Tensor, "b 3 *thw"]:
        """Reconstruction."""
        return self.decode(self.encode_codes(pixels))

    def stream(self, *, attended_latents: int = 0, tile: Tile | None = None) -> "TokenizerStream":
        """For a clip that comes in pieces; see there."""
        from worldfoundry.models.tokenizer.stream import TokenizerStream  # noqa: PLC0415  it imports this module

        return TokenizerStream(self, attended_latents=attended_latents, tile=tile)

    def _require(self, half: Literal["encoder", "decoder"]) -> None:
        if self.parts not in ("whole", half):
            raise CheckpointError(
                f"a tokenizer must hold its {half} to {half.removesuffix('r')}, got the {self.parts} alone; open the whole of "
                f"it: autoencoder.jit, or a folder with {half}.jit beside {self.parts}.jit"
            )

    def _codes(self, indices: Tensor) -> Tensor:
        if self.fsq is None:
            raise DataError(
                f"latents of a continuous tokenizer must be floating-point, got {indices.dtype}; take those of encode"
            )
        return self.fsq.codes(indices, self.dtype)

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the weights."""
        return next(self.parameters()).dtype

    def _check(self, pixels: Tensor, past: Past | None) -> None:
        if pixels.ndim == 4 and self.config.dimensions == "video":
            raise DataError(
                f"pixels of a video tokenizer must be [b 3 t h w], got {list(pixels.shape)}; an image is a clip of one frame"
            )
        if not pixels.is_floating_point() or pixels.ndim < 4 or pixels.shape[1] != 3:
            raise DataError(
                f"pixels must be floating-point [b 3 ...] in [-1, 1], got {pixels.dtype} {list(pixels.shape)}; bytes become that "
                "by x / 127.5 - 1"
            )
        height, width = pixels.shape[-2:]
        num_frames = pixels.shape[2] if pixels.ndim == 5 else 1
        if not is_start(past):
            if num_frames % self.spec.temporal_stride:
                raise DataError(
                    f"frames that continue a clip must be a multiple of {self.spec.temporal_stride}, got {num_frames}; "
                    "give whole latent frames"
                )
            num_frames += 1
        self.spec.latent_shape(num_frames=num_frames, height=height, width=width)
