"""The autoregressive transformer: one network for training, for the first pass over a prompt, and for token after token.

Axes: ``b`` clips, ``n`` new tokens, ``s`` tokens seen so far and new, ``m`` tokens of text, ``c`` width, ``v`` codes. Names of
parameters are the published ones.

Source: arXiv 2501.03575, section 5, and the published checkpoints where they differ.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  the name the field uses
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from worldfoundry.core.errors import DataError
from worldfoundry.models.autoregressive.cache import KeyValueCache
from worldfoundry.models.autoregressive.config import AutoregressiveConfig
from worldfoundry.models.autoregressive.positions import absolute_positions, rotary_tables, turn

Rotary = tuple[Tensor, Tensor]


class RMSNorm(nn.Module):
    """Root-mean-square norm that rounds before its scale, as the published models do. Source: arXiv 1910.07467."""

    def __init__(self, dim: int, eps: float):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """Unit root mean square along the last axis, times the scale."""
        wide = x.float()
        return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)).to(x.dtype) * self.weight


@dataclass(frozen=True, slots=True)
class TextContext:
    """Keys and values of a text for every layer that attends to it: made once, used at every token."""

    keys: tuple[Tensor | None, ...]
    """Of each layer [b k m d]; None where it does not attend."""
    values: tuple[Tensor | None, ...]
    """As ``keys``."""
    mask: Bool[Tensor, "b m"] | None = None
    """Which tokens are seen; None: all. The published models see all, the zero rows behind a prompt too."""

    def repeat(self, count: int) -> "TextContext":
        """Each text ``count`` times over, for a cache that was forked."""
        more = [
            tuple(None if x is None else x.repeat_interleave(count, dim=0) for x in side)
            for side in (self.keys, self.values)
        ]
        mask = None if self.mask is None else self.mask.repeat_interleave(count, dim=0)
        return TextContext(more[0], more[1], mask)


class Attention(nn.Module):
    """Attention of grouped queries, to the tokens themselves or to a text."""

    def __init__(self, config: AutoregressiveConfig, source_dim: int):
        super().__init__()
        self.num_kv_heads, self.head_dim = config.num_kv_heads, config.head_dim
        wide, narrow = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
        self.wq = nn.Linear(config.dim, wide, bias=False)
        self.wk = nn.Linear(source_dim, narrow, bias=False)
        self.wv = nn.Linear(source_dim, narrow, bias=False)
        self.wo = nn.Linear(wide, config.dim, bias=False)
        norms = (
            [RMSNorm(config.head_dim, config.norm_eps) for _ in range(2)]
            if config.has_qk_norm
            else [nn.Identity()] * 2
        )
        self.q_norm, self.k_norm = norms

    def queries(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b h n d"]:
        """Normalised, not turned."""
        return self.q_norm(rearrange(self.wq(x), "b n (h d) -> b n h d", d=self.head_dim)).transpose(1, 2)

    def keys_values(
        self, x: Float[Tensor, "b m e"]
    ) -> tuple[Float[Tensor, "b k m d"], Float[Tensor, "b k m d"]]:
        """Keys, normalised and not turned, and values."""
        k = self.k_norm(rearrange(self.wk(x), "b m (k d) -> b m k d", d=self.head_dim)).transpose(1, 2)
        return k, rearrange(self.wv(x), "b m (k d) -> b k m d", d=self.head_dim)

    def attend(
        self,
        q: Float[Tensor, "b h n d"],
        k: Float[Tensor, "b k s d"],
        v: Float[Tensor, "b k s d"],
        mask: Bool[Tensor, "#b #n s"] | None,
    ) -> Float[Tensor, "b n c"]:
        """Weighted values. Queries that share a head of keys stand in one block of rows, so that no key is repeated."""
        b, h, n, d = q.shape
        groups = h // self.num_kv_heads
        rows = q.reshape(b, self.num_kv_heads, groups * n, d)
        if mask is not None and n > 1:
            mask = mask.expand(mask.shape[0], n, -1).repeat(1, groups, 1)
        seen = F.scaled_dot_product_attention(rows, k, v, attn_mask=None if mask is None else mask[:, None])
        return self.wo(seen.reshape(b, h, n, d).transpose(1, 2).reshape(b, n, h * d))


class FeedForward(nn.Module):
    """Gated MLP. Source: arXiv 2002.05202."""

    def __init__(self, dim: int, hidden_dim: int):
        super().__init__()
        self.w1 = nn.Linear(dim, hidden_dim, bias=False)
        self.w2 = nn.Linear(hidden_dim, dim, bias=False)
        self.w3 = nn.Linear(dim, hidden_dim, bias=False)

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        """``w2(silu(w1 x) * w3 x)``."""
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class Block(nn.Module):
    """Self-attention, cross-attention where there is text, MLP."""

    def __init__(self, config: AutoregressiveConfig, layer: int):
        super().__init__()
        self.layer = layer
        self.attention_norm = RMSNorm(config.dim, config.norm_eps)
        self.attention = Attention(config, config.dim)
        if config.attends_to_text(layer):
            self.cross_attention_norm = RMSNorm(config.dim, config.norm_eps)
            self.cross_attention = Attention(config, config.text_dim)
        self.ffn_norm = RMSNorm(config.dim, config.norm_eps)
        self.feed_forward = FeedForward(config.dim, config.hidden_dim)

    @property
    def attends_to_text(self) -> bool:
        """Whether it has cross-attention."""
        return hasattr(self, "cross_attention")

    def forward(
        self,
        x: Float[Tensor, "b n c"],
        rotary: Rotary,
        mask: Bool[Tensor, "#b #n s"] | None,
        cache: KeyValueCache | None,
        text: TextContext | None,
    ) -> Float[Tensor, "b n c"]:
        """The next hidden state; new keys and values go into ``cache``."""
        h = self.attention_norm(x)
        q = turn(self.attention.queries(h), *rotary)
        k, v = self.attention.keys_values(h)
        k = turn(k, *rotary)
        if cache is not None:
            k, v = cache.extend(self.layer, k, v)
        x = x + self.attention.attend(q, k, v, mask)
        if self.attends_to_text:
            assert text is not None, "the transformer asks for text where a layer needs it"
            k, v = text.keys[self.layer], text.values[self.layer]
            assert k is not None, "made for every layer that attends"
            assert v is not None, "as the keys"
            q = self.cross_attention.queries(self.cross_attention_norm(x))
            seen = None if text.mask is None else text.mask[:, None]
            x = x + self.cross_attention.attend(q, k, v, seen)
        return x + self.feed_forward(self.ffn_norm(x))


class AutoregressiveTransformer(nn.Module):
    """Logits of the next token at every place of a clip."""

    def __init__(self, config: AutoregressiveConfig):
        super().__init__()
        self.config = config
        self.tok_embeddings = nn.Embedding(config.embedding_rows, config.dim)
        self.layers = nn.ModuleList(Block(config, layer) for layer in range(config.num_layers))
        self.norm = RMSNorm(config.dim, config.norm_eps)
        self.output = nn.Linear(config.dim, config.vocab_size, bias=False)

    def new_cache(self, capacity: int | None = None) -> KeyValueCache:
        """An empty cache, for a whole clip unless told otherwise."""
        return KeyValueCache(len(self.layers), capacity or self.config.num_tokens)

    def read_text(
        self, embedding: Float[Tensor, "b m e"], mask: Bool[Tensor, "b m"] | None = None
    ) -> TextContext:
        """Keys and values of a text for all layers; ``mask`` hides tokens, which the published models never do."""
        if not self.config.text_dim or embedding.shape[-1] != self.config.text_dim:
            raise DataError(
                f"text must be [b m {self.config.text_dim}] for this model"
                f"{'' if self.config.text_dim else ', which takes none'}, got {list(embedding.shape)}; encode it with the "
                "model's text encoder"
            )
        embedding = embedding.to(self.dtype)
        blocks = (layer for layer in self.layers if isinstance(layer, Block))
        pairs = [
            block.cross_attention.keys_values(embedding) if block.attends_to_text else (None, None)
            for block in blocks
        ]
        return TextContext(tuple(k for k, _ in pairs), tuple(v for _, v in pairs), mask)

    def hidden(
        self,
        tokens: Int[Tensor, "b n"],
        *,
        text: TextContext | None = None,
        cache: KeyValueCache | None = None,
        places: Int[Tensor, " n"] | None = None,
        mask: Bool[Tensor, "n s"] | None = None,
    ) -> Float[Tensor, "b n c"]:
        """What the last norm is given; tokens go into ``cache``.

        Tokens stand behind those in the cache and see all before them, unless ``places`` (in the position tables) and ``mask``
        (over the tokens of the cache and the new ones) say otherwise.
        """
        start, count = cache.length if cache else 0, tokens.shape[1]
        self._check(tokens, text, start)
        if places is None:
            places = torch.arange(start, start + count, device=tokens.device)
        rotary = tuple(table[places] for table in rotary_tables(self.config, self.dtype, tokens.device))
        shift = (
            absolute_positions(self.config, device=tokens.device)[places]
            if self.config.has_absolute_positions
            else None
        )
        if mask is None and count > 1:
            mask = torch.ones(count, start + count, dtype=torch.bool, device=tokens.device).tril(start)
        seen = None if mask is None else mask[None]
        x = self.tok_embeddings(tokens)
        for layer in self.layers:
            x = layer(x if shift is None else x + shift, (rotary[0], rotary[1]), seen, cache, text)
        if cache is not None:
            cache.advance(count)
        return x

    def logits(self, hidden: Float[Tensor, "b n c"]) -> Float[Tensor, "b n v"]:
        """Of every place in ``hidden``; give only those that are needed."""
        return self.output(self.norm(hidden))

    def forward(
        self,
        tokens: Int[Tensor, "b n"],
        *,
        text: TextContext | None = None,
        cache: KeyValueCache | None = None,
    ) -> Float[Tensor, "b n v"]:
        """Logits of what follows each token."""
        return self.logits(self.hidden(tokens, text=text, cache=cache))

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the weights."""
        return self.output.weight.dtype

    def _check(self, tokens: Tensor, text: TextContext | None, start: int) -> None:
        end, limit = start + tokens.shape[1], self.config.num_positions
        if end > limit:
            raise DataError(
                f"a clip of {self.config.latent_shape} latents has {limit} places, got {end} tokens; slide the window or set "
                "latent_shape"
            )
        if bool(self.config.text_dim) != (text is not None):
            need = "a text, as read_text gives it" if self.config.text_dim else "no text"
            raise DataError(
                f"this model takes {need}, got {'none' if text is None else 'one'}; change the call"
            )
