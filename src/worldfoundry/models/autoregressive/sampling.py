"""The next token from logits: greedy, among the k likeliest, or in the nucleus.

Axes: ``b`` clips, ``v`` codes, ``k`` candidates. All arithmetic is in the precision of the logits; give float32.

Source: arXiv 1904.09751 (nucleus); the draw is a race of exponential clocks, ``argmax(p / q)``, as the published models draw.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from worldfoundry.core.errors import ConfigError

_PARTIAL = 2048
"""Candidates that are sorted before all are: a nucleus is rarely larger, and sorting 64,000 codes takes seven times as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingConfig:
    """How tokens are drawn."""

    temperature: float = 1.0
    """Divides the logits; 0 takes the likeliest token, whatever else is set."""
    top_p: float | None = 0.8
    """Draw among the likeliest tokens that reach this probability together, the one that crosses it included."""
    top_k: int | None = None
    """Draw among so many likeliest tokens, and those as likely as the last of them."""

    def __post_init__(self):
        if self.temperature < 0:
            raise ConfigError(f"sampling.temperature must be 0 or more, got {self.temperature}; raise it")
        if self.top_p is not None and self.top_k is not None:
            raise ConfigError(
                f"sampling takes top_p or top_k, got {self.top_p} and {self.top_k}; set the other to None"
            )
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ConfigError(f"sampling.top_p must be above 0 and at most 1, got {self.top_p}; change it")
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"sampling.top_k must be 1 or more, got {self.top_k}; change it")


class Candidates(NamedTuple):
    """Tokens that may be drawn."""

    probabilities: Float[Tensor, "b k"]
    """They sum to 1; 0 for what was left out."""
    tokens: Int[Tensor, "b k"]
    """Likeliest first for a nucleus, else in the order of the vocabulary."""

    def dense(self, vocab_size: int) -> Float[Tensor, "b v"]:
        """Probability of every token."""
        full = self.probabilities.new_zeros(len(self.tokens), vocab_size)
        return full.scatter_(-1, self.tokens, self.probabilities)


def find_candidates(logits: Float[Tensor, "b v"], config: SamplingConfig) -> Candidates:
    """What ``config`` leaves to draw from; one token where the temperature is 0."""
    if config.temperature == 0:
        best = logits.argmax(-1, keepdim=True)
        return Candidates(torch.ones_like(best, dtype=logits.dtype), best)
    if config.top_p is not None:
        return _nucleus(logits / config.temperature, config.top_p)
    logits = logits / max(config.temperature, 1e-5)
    if config.top_k is not None:
        least = logits.topk(min(config.top_k, logits.shape[-1])).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    everything = torch.arange(logits.shape[-1], device=logits.device).expand(len(logits), -1)
    return Candidates(logits.softmax(-1), everything)


def _nucleus(logits: Float[Tensor, "b v"], top_p: float) -> Candidates:
    probabilities = logits.softmax(-1)
    ordered, tokens = _largest(probabilities, _PARTIAL)
    before = ordered.cumsum(-1) - ordered
    if ordered.shape[-1] < logits.shape[-1] and not _is_whole(ordered, before, top_p):
        ordered, tokens = _largest(probabilities, logits.shape[-1])
        before = ordered.cumsum(-1) - ordered
    kept = ordered.masked_fill(before > top_p, 0)
    return Candidates(kept / kept.sum(-1, keepdim=True), tokens)


def _largest(
    probabilities: Float[Tensor, "b v"], count: int
) -> tuple[Float[Tensor, "b k"], Int[Tensor, "b k"]]:
    """Descending; equal ones in any order, for all of them in that of ``torch.sort``, as published."""
    if count >= probabilities.shape[-1]:
        found = probabilities.sort(dim=-1, descending=True)
        return found.values, found.indices
    found = probabilities.topk(count)
    return found.values, found.indices


def _is_whole(ordered: Float[Tensor, "b k"], before: Float[Tensor, "b k"], top_p: float) -> bool:
    """Whether no token beyond those sorted belongs to the nucleus, or is as likely as the last of it."""
    count = (before <= top_p).sum(-1, keepdim=True)
    last = ordered.gather(-1, count - 1)
    return bool((last > ordered[:, -1:]).all())


def draw(candidates: Candidates, clocks: Float[Tensor, "b k"]) -> Int[Tensor, " b"]:
    """The token whose clock rings first; ``clocks`` are independent draws of Exp(1), one for each candidate."""
    first = (candidates.probabilities / clocks).argmax(-1, keepdim=True)
    return candidates.tokens.gather(-1, first)[:, 0]


def sample(
    logits: Float[Tensor, "b v"], config: SamplingConfig, generators: Sequence[torch.Generator]
) -> Int[Tensor, " b"]:
    """Draw the next token of each clip, each from a generator of its own: a clip does not depend on those beside it.

    A generator moves by as many draws as the vocabulary has, however many candidates there are.
    """
    candidates = find_candidates(logits, config)
    if candidates.tokens.shape[-1] == 1:
        return candidates.tokens[:, 0]
    size, count = logits.shape[-1], candidates.tokens.shape[-1]
    clocks = torch.stack(
        [
            torch.empty(size, dtype=logits.dtype, device=g.device).exponential_(generator=g)[:count]
            for g in generators
        ]
    )
    return draw(candidates, clocks.to(logits.device))
