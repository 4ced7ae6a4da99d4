"""What a file of latents says of the tokenizer that made it, and whether another may decode it."""

import sys

from worldfoundry.core.config import digest
from worldfoundry.core.errors import ConfigError
from worldfoundry.inference.latent_file import LatentReader
from worldfoundry.models.pretrained.release import tensors_digest
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.models.tokenizer.normalise import LatentStatistics

_WEIGHTS, _SETTINGS, _STATISTICS = "weights_sha256_16", "settings_sha256_16", "statistics_sha256_16"
_NOT_IN_WEIGHTS = ("norm_groups", "fsq_levels", "patch_method", "temporal_stride", "spatial_stride")
"""Settings that give other numbers with the same weights."""


def origin_facts(
    tokenizer: WaveletTokenizer, *, model: str, normalised_by: LatentStatistics | None
) -> dict[str, str]:
    """What to store beside latents: who made them, with which weights, settings and statistics."""
    facts = {
        "model": model,
        "parts": tokenizer.parts,
        _WEIGHTS: tensors_digest(tokenizer.state_dict()),
        _SETTINGS: _settings_digest(tokenizer),
        "normalised": str(normalised_by is not None).lower(),
    }
    return facts if normalised_by is None else {**facts, _STATISTICS: normalised_by.digest}


def check_origin(reader: LatentReader, tokenizer: WaveletTokenizer, *, model: str) -> LatentStatistics | None:
    """Refuse latents of another tokenizer; the statistics that undo what was done to them, if anything was."""
    facts = reader.facts
    origin = f"{reader.path} was encoded with {facts.get('model')!r}"
    if facts.get("parts", "whole") != tokenizer.parts:
        sys.stderr.write(
            f"{origin} ({facts.get('parts', 'whole')}), --model {model!r} holds the {tokenizer.parts}: whether they "
            "belong together cannot be checked\n"
        )
    else:
        _compare(facts, _WEIGHTS, tensors_digest(tokenizer.state_dict()), origin, model)
        if _SETTINGS in facts:  # older files do not have it
            _compare(facts, _SETTINGS, _settings_digest(tokenizer), origin, model)
    _check_width(reader, tokenizer, origin, model)
    if facts.get("normalised") != "true":
        return None
    if tokenizer.statistics is None:
        raise ConfigError(
            f"{origin} and normalised, got --model {model!r} without latent statistics; put mean_std.pt beside its weights"
        )
    if _STATISTICS in facts:
        _compare(facts, _STATISTICS, tokenizer.statistics.digest, origin, model)
    else:
        sys.stderr.write(
            f"{origin} and does not say with which latent statistics: whether they are those of --model {model!r} cannot be "
            "checked\n"
        )
    return tokenizer.statistics


def _settings_digest(tokenizer: WaveletTokenizer) -> str:
    return digest({name: getattr(tokenizer.config, name) for name in _NOT_IN_WEIGHTS})


def _compare(facts: dict[str, str], key: str, found: str, origin: str, model: str) -> None:
    if facts.get(key) != found:
        what = key.partition("_")[0]
        raise ConfigError(
            f"{origin} ({what} {facts.get(key)}), got --model {model!r} ({what} {found}); decode with the model that encoded"
        )


def _check_width(reader: LatentReader, tokenizer: WaveletTokenizer, origin: str, model: str) -> None:
    spec = tokenizer.spec
    width = 0 if reader.codebook_size else reader.shape[1]
    if reader.codebook_size != spec.codebook_size or (width and width != spec.latent_channels):
        expected = f"{spec.codebook_size} codes" if spec.codebook_size else f"{spec.latent_channels} channels"
        got = f"{reader.codebook_size} codes" if reader.codebook_size else f"{width} channels"
        raise ConfigError(
            f"{origin} and has {got}, --model {model!r} has {expected}; decode with the model that encoded"
        )
