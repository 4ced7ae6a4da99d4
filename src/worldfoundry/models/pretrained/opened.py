"""What was read from a checkpoint before it becomes a network or another file: the same for every family of models."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from worldfoundry.models.pretrained.config import ReleaseConfig
from worldfoundry.models.pretrained.source import Source
from worldfoundry.models.tokenizer.normalise import LatentStatistics


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Weights in the precision they are stored in, under our names, with the configuration that they fit."""

    source: Source
    """Where they came from."""
    release: ReleaseConfig
    """The configuration, stored or inferred."""
    weights: dict[str, Tensor]
    """Exactly those of the model, or of the half of it that the file holds."""
    statistics: LatentStatistics | None = None
    """Of the latents, where they lie beside the weights."""
    buffers: tuple[str, ...] = ()
    """Names of constants of an export, left out."""
    dead: tuple[str, ...] = ()
    """Names of weights of branches that never run, left out."""
    ignored: dict[str, int] = field(default_factory=dict)
    """What else the file holds and how many of it, such as losses and the weights that were not asked for."""
    notes: tuple[str, ...] = ()
    """What is known of the files themselves."""

    @property
    def num_parameters(self) -> int:
        """Numbers in the weights."""
        return sum(value.numel() for value in self.weights.values())

    def facts(self) -> dict[str, Any]:
        """What was loaded and what was left out, for programs."""
        return {
            "from": [str(path) for path in self.source.weights],
            "layout": self.source.layout,
            "tensors": len(self.weights),
            "parameters": self.num_parameters,
            "dtypes": self._dtypes(),
            "has_latent_statistics": self.statistics is not None,
            "dead": list(self.dead),
            "buffers": list(self.buffers),
            "ignored": self.ignored,
            "files": list(self.notes),
        }

    def _dtypes(self) -> dict[str, int]:
        return dict(Counter(str(value.dtype).removeprefix("torch.") for value in self.weights.values()))

    def table(self) -> list[tuple[str, str]]:
        """What was loaded and what was left out, for people."""
        rows = [
            ("from", " + ".join(str(path) for path in self.source.weights)),
            ("layout", self.source.layout),
            ("model", self.release.name),
            ("tensors", f"{len(self.weights):,}"),
            ("parameters", f"{self.num_parameters:,}"),
            ("dtype", ", ".join(f"{name} ({count})" for name, count in self._dtypes().items())),
            ("latent statistics", self._say_statistics()),
            ("dead branches left out", _say(self.dead)),
            ("buffers left out", _say(self.buffers)),
            *((f"{what} left out", f"{count:,}") for what, count in self.ignored.items()),
        ]
        return rows + [("file", note) for note in self.notes]

    def _say_statistics(self) -> str:
        if self.statistics is None or self.source.statistics is None:
            return "none" if self.statistics is None else "in config.json"
        return f"{self.source.statistics.name}, {' x '.join(map(str, self.statistics.mean.shape))}"


def _say(names: tuple[str, ...]) -> str:
    return f"{len(names)}: {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}" if names else "none"
