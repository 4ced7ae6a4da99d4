"""``worldfoundry evaluate tokenizer``: its settings."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from worldfoundry.cli.output import check_output_file
from worldfoundry.evaluate.config import DEFAULT_TOKENIZER
from worldfoundry.evaluate.tokenizer_config import LATENT_BITS, TokenizerSuiteConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerArgs:
    """What a tokenizer keeps of footage, at which bits, speed and memory, beside H.264 at equal bits; with an HTML page.

    Example: worldfoundry evaluate tokenizer --data samples --clips-per-video 2
    """

    model: str = DEFAULT_TOKENIZER
    """Shipped or published name, run folder, release folder, .jit or model.pt file, or owner/repository on the Hub."""
    norm_groups: int = 0
    """Groups of the norms of a published image tokenizer, where its name does not say them; 0: as stored or known."""
    data: str = "samples"
    """Folder of videos: plain, or in the layout of DAVIS (folders of frames) or TokenBench (folders of sources)."""
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
    """FID's Inception as a TorchScript file, for rFID; empty: the offline features of frames."""
    i3d: str = ""
    """FVD's I3D as a TorchScript file, for rFVD; empty: the offline features of clips."""
    baseline: Literal["h264", "none"] = "h264"
    """H.264 with as many bits as the latents of the same clip, or nothing."""
    speed_repeats: int = 3
    """Encodings and decodings timed."""
    out: Path | None = None
    """Result file to write, .json, with the page beside it; by default runs/evaluate-tokenizer/<time>-<word>/eval.json."""
    overwrite: bool = False
    """Replace --out and its page where they exist."""
    json: bool = False
    """Print the result as JSON."""
    dry_run: bool = False
    """Print the resolved settings and stop."""

    def __post_init__(self):
        self.config()
        if self.out is not None:
            check_output_file(self.out, ".json", overwrite=self.overwrite)
            check_output_file(self.out.with_suffix(".html"), ".html", overwrite=self.overwrite)

    def config(self) -> TokenizerSuiteConfig:
        """The suite's configuration."""
        own = ("out", "overwrite", "json", "dry_run")
        return TokenizerSuiteConfig(**{k: v for k, v in asdict(self).items() if k not in own})
