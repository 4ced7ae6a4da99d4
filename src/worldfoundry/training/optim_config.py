"""Settings of an optimiser; importing them does not import torch."""

from dataclasses import dataclass

from worldfoundry.core.errors import ConfigError


def require_positive(where: str, **values: int | float) -> None:
    """Refuse the first of the values that is not above 0."""
    for name, value in values.items():
        if not value > 0:
            raise ConfigError(f"{where}.{name} must be above 0, got {value}; give a positive number")


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimConfig:
    """AdamW with linear warm-up, a plateau, and a linear decay to zero."""

    learning_rate: float = 1e-3
    """Peak learning rate."""
    beta1: float = 0.9
    """First-moment decay."""
    beta2: float = 0.99
    """Second-moment decay."""
    eps: float = 1e-10
    """Added to the root of the second moment."""
    weight_decay: float = 0.01
    """Decoupled weight decay, on matrices and kernels only."""
    warmup_steps: int = 100
    """Steps of linear warm-up."""
    decay_fraction: float = 0.3
    """Last part of training over which the rate falls linearly to zero."""
    grad_clip: float = 1.0
    """Largest global gradient norm."""

    def __post_init__(self):
        require_positive("optim", learning_rate=self.learning_rate, grad_clip=self.grad_clip, eps=self.eps)
        if not 0 <= self.decay_fraction <= 1 or self.warmup_steps < 0:
            raise ConfigError(
                f"optim.decay_fraction must be in [0, 1] and warmup_steps >= 0, got {self.decay_fraction} and "
                f"{self.warmup_steps}; change them"
            )

    def learning_rate_at(self, step: int, steps: int) -> float:
        """Learning rate of step ``step`` (from 0) of ``steps``.

        >>> OptimConfig(learning_rate=1.0, warmup_steps=2, decay_fraction=0.5).learning_rate_at(0, 8)
        0.5
        """
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        decay = max(1.0, self.decay_fraction * steps)
        return self.learning_rate * warm * min(1.0, (steps - step) / decay)
