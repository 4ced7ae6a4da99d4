"""Sizes and options of autoregressive transformers, the published ones included; importing it does not import torch.

Source: arXiv 2501.03575, section 5, and the published checkpoints, which differ from it.
"""

import math
from dataclasses import dataclass, replace

from worldfoundry.core.errors import ConfigError

TOKEN_MULTIPLE = 64
"""Rows of tables and of an embedding with extra tokens are a multiple of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class YarnConfig:
    """Longer contexts than those first trained on. Source: arXiv 2309.00071; here without its factor on attention."""

    scale: float = 2.0
    """By how much slow rotations are slowed down."""
    beta_fast: float = 4.0
    """Rotations that turn more often than this over the original length stay as they are."""
    beta_slow: float = 1.0
    """Rotations that turn less often are slowed down in full."""
    original_latent_shape: tuple[int, int, int] = (3, 40, 64)
    """Latent frames, rows, columns first trained on; the rows count for columns too."""

    def __post_init__(self):
        if self.scale < 1 or not 0 < self.beta_slow < self.beta_fast or min(self.original_latent_shape) < 1:
            raise ConfigError(
                f"yarn must have scale 1 or more, 0 < beta_slow < beta_fast and a shape of 1 or more, got {self.scale}, "
                f"{self.beta_slow}, {self.beta_fast} and {self.original_latent_shape}; change them"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoregressiveConfig:
    """One transformer over the tokens of a clip, time first, then rows, then columns."""

    dim: int = 4096
    """Width."""
    num_layers: int = 16
    """Blocks."""
    num_heads: int = 32
    """Heads of queries."""
    num_kv_heads: int = 8
    """Heads of keys and values, each for ``num_heads / num_kv_heads`` heads of queries (arXiv 2305.13245)."""
    head_dim: int = 128
    """Width of a head; in the larger models not ``dim / num_heads``."""
    hidden_dim: int = 14336
    """Width inside the gated MLP."""
    vocab_size: int = 64000
    """Codes of the tokenizer, and columns of the logits."""
    latent_shape: tuple[int, int, int] = (5, 40, 64)
    """Latent frames, rows and columns of a clip."""
    has_begin_token: bool = False
    """Whether token ``vocab_size`` stands in front; it can be given and never predicted."""
    has_absolute_positions: bool = False
    """Whether sines and cosines of the place are added before every layer."""
    text_dim: int = 0
    """Width of the text embedding that is attended to; 0: no text."""
    text_every: int = 1
    """Layers 0, this, twice this, … attend to the text."""
    has_qk_norm: bool = True
    """Whether queries and keys are RMS-normalised in each head."""
    norm_eps: float = 1e-5
    """Of every RMS norm."""
    rope_theta: float = 500_000.0
    """Base of the rotary frequencies."""
    yarn: YarnConfig | None = None
    """How rotary frequencies are stretched, if they are."""

    def __post_init__(self):
        for name in (
            "dim",
            "num_layers",
            "num_heads",
            "num_kv_heads",
            "head_dim",
            "hidden_dim",
            "vocab_size",
            "text_every",
        ):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"autoregressive.{name} must be 1 or more, got {getattr(self, name)}; change it"
                )
        if self.num_heads % self.num_kv_heads or self.head_dim % 2 or self.head_dim < 6:
            raise ConfigError(
                f"autoregressive.num_heads must be a multiple of num_kv_heads and head_dim be even and 6 or more, got "
                f"{self.num_heads}, {self.num_kv_heads} and {self.head_dim}; change them"
            )
        if self.text_dim < 0 or min(self.latent_shape) < 1:
            raise ConfigError(
                f"autoregressive.text_dim must be 0 or more and latent_shape 1 or more, got {self.text_dim} and "
                f"{self.latent_shape}; change them"
            )
        if self.has_absolute_positions and (self.dim % 2 or self.dim < 6):
            raise ConfigError(
                f"autoregressive.dim must be even and 6 or more for absolute positions, got {self.dim}; change it"
            )

    @property
    def begin_token(self) -> int | None:
        """What stands in front of a clip."""
        return self.vocab_size if self.has_begin_token else None

    @property
    def tokens_per_frame(self) -> int:
        """Of a latent frame."""
        return self.latent_shape[1] * self.latent_shape[2]

    @property
    def num_tokens(self) -> int:
        """Of a whole clip, the begin token included."""
        return math.prod(self.latent_shape) + self.has_begin_token

    @property
    def num_positions(self) -> int:
        """Rows of the position tables: ``num_tokens``, filled up.

        >>> AutoregressiveConfig(has_begin_token=True).num_positions
        12864
        """
        return _filled(self.num_tokens)

    @property
    def embedding_rows(self) -> int:
        """Rows of the token embedding.

        >>> AutoregressiveConfig(has_begin_token=True).embedding_rows
        64064
        """
        return _filled(self.vocab_size + 1) if self.has_begin_token else self.vocab_size

    def attends_to_text(self, layer: int) -> bool:
        """Whether a layer has cross-attention."""
        return self.text_dim > 0 and layer % self.text_every == 0


def _filled(count: int) -> int:
    return -(-count // TOKEN_MULTIPLE) * TOKEN_MULTIPLE


def published() -> dict[str, AutoregressiveConfig]:
    """The four published models by name."""
    small = AutoregressiveConfig()
    large = replace(small, dim=5120, num_layers=40, yarn=YarnConfig())
    text = {"has_begin_token": True, "has_absolute_positions": True, "text_dim": 1024}
    return {
        "Cosmos-Predict1-4B": small,
        "Cosmos-Predict1-12B": large,
        "Cosmos-Predict1-5B-Video2World": replace(small, **text),
        "Cosmos-Predict1-13B-Video2World": replace(large, **text),
    }
