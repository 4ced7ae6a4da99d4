"""Settings of a curation run."""

from dataclasses import dataclass
from typing import Literal

from worldfoundry.core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class CurateConfig:
    """How footage becomes clips. Every setting is part of the ids of the clips."""

    detector: Literal["adaptive", "content"] = "adaptive"
    """How cuts are found: adaptive compares a frame's change with that of its neighbours and stands fast camera motion;
    content uses a fixed threshold."""
    adaptive_threshold: float = 3.0
    """adaptive: how many times its neighbours' change a frame must reach to be a cut."""
    content_threshold: float = 27.0
    """content: mean change of hue, saturation and brightness (0 to 255) from which a frame is a cut."""
    min_clip_seconds: float = 2.0
    """Shots shorter than this are rejected as too_short."""
    max_clip_seconds: float = 60.0
    """Shots longer than this are cut into equal parts."""
    min_motion: float = 0.004
    """Mean optical flow, in picture widths a second, under which a clip is rejected as static."""
    analysis_width: int = 256
    """Columns of the small frames that cuts and motion are measured on; narrower videos are not enlarged."""
    max_height: int | Literal["source"] = "source"
    """Rows of the clips at most; larger ones are scaled down, smaller ones stay. source: never scaled."""
    crf: int = 18
    """Quality of the H.264 clips, 0 (lossless) to 51."""

    def __post_init__(self):
        for name in ("adaptive_threshold", "content_threshold", "min_clip_seconds"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, got {getattr(self, name)}; raise it")
        if not self.min_motion >= 0:
            raise ConfigError(f"min_motion must be at least 0, got {self.min_motion}; 0 keeps every clip")
        if self.max_clip_seconds < 2 * self.min_clip_seconds:
            raise ConfigError(
                f"max_clip_seconds must be at least twice min_clip_seconds ({self.min_clip_seconds}), so that equal parts "
                f"are never too short, got {self.max_clip_seconds}; raise it or lower min_clip_seconds"
            )
        if not 64 <= self.analysis_width <= 1024:
            raise ConfigError(f"analysis_width must be 64 to 1024, got {self.analysis_width}; 256 is enough")
        if self.max_height != "source" and (self.max_height < 16 or self.max_height % 2):
            raise ConfigError(
                f"max_height must be 'source' or an even number from 16 on, got {self.max_height}; H.264 needs even sizes"
            )
        if not 0 <= self.crf <= 51:
            raise ConfigError(f"crf must be 0 to 51, got {self.crf}; 18 looks like the source")
