"""A place that stands still: what is there, how it is lit, and where a camera may be."""

from dataclasses import dataclass

import numpy as np

from worldfoundry.simulate.places.pieces import Ground, Placed
from worldfoundry.simulate.recording import Light


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """Where cameras may be."""

    low: np.ndarray
    """float64 [3], m."""
    high: np.ndarray
    """float64 [3], m."""
    scale: float
    """Speeds and distances of flights are this many times those in a room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A room or a stretch of land."""

    kind: str
    """``living room``, ``village``."""
    ground: Ground
    """Geoms of the world itself."""
    things: tuple[Placed, ...]
    """Bodies without joints, in the order of the model."""
    light: Light
    """Sun, sky and lamp."""
    zone: Zone
    """Where cameras may be."""
    subjects: tuple[Placed, ...]
    """Things that are worth being looked at, the best first."""
