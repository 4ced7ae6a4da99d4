"""What the ``tokenizer`` suite is asked. Torch-free."""

from dataclasses import dataclass
from typing import Literal

from worldfoundry.core.errors import ConfigError
from worldfoundry.evaluate.config import DEFAULT_TOKENIZER

H264, REAL = "h264", "real"
"""Rows beside the model's: H.264 at equal bits, and true clips against other true clips."""

LATENT_BITS = 16
"""Bits that a number of a continuous latent counts in bits a pixel, unless another number is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerSuiteConfig:
    """Everything about a tokenizer on a folder of footage, beside H.264 at equal bits."""

    model: str = DEFAULT_TOKENIZER
    """Tokenizer: a shipped name or a checkpoint folder."""
    norm_groups: int = 0
    """Groups of the norms of a published image tokenizer, where its name does not say them; 0: as stored or known."""
    data: str = "samples"
    """Folder of videos: plain, in DAVIS's layout (folders of frames) or in TokenBench's (folders of sources)."""
    num_frames: int = 33
    """Frames of each clip, 1 + a multiple of the temporal stride."""
    clips_per_video: int = 4
    """Clips taken from a video, one after the other; scores are means over videos."""
    max_videos: int = 0
    """Videos at most, the first by path; 0: all."""
    fps: float = 10.0
    """Rate that videos are resampled to (nearest frame); 0: their own."""
    size_px: int = 64
    """Shorter side after resizing; 0: as it is."""
    shape: Literal["square", "source"] = "square"
    """Centre square, or the source's shape cut to multiples of the spatial stride."""
    latent_bits: int = LATENT_BITS
    """Bits that a number of a continuous latent is stored with."""
    inception: str = ""
    """FID's Inception as a TorchScript file; empty: the offline features of frames."""
    i3d: str = ""
    """FVD's I3D as a TorchScript file; empty: the offline features of clips."""
    baseline: Literal["h264", "none"] = "h264"
    """H.264 with as many bits as the latents of the same clip, or nothing."""
    speed_repeats: int = 3
    """Encodings and decodings timed, after one that is not."""

    def __post_init__(self):
        least = {
            "num_frames": 1,
            "clips_per_video": 1,
            "max_videos": 0,
            "fps": 0,
            "latent_bits": 1,
            "speed_repeats": 1,
        }
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ConfigError(f"{name} must be at least {low}, got {getattr(self, name)}; raise it")
        if self.size_px != 0 and self.size_px < 16:
            raise ConfigError(
                f"size_px must be 0 or at least 16, the least that the features see, got {self.size_px}; use 64"
            )
        if self.shape == "square" and self.size_px == 0:
            raise ConfigError(
                "size_px must be given for shape 'square', got 0; give a size or use --shape source"
            )
