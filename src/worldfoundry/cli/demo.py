"""``worldfoundry demo``: the whole story on the sample clips, told by one HTML report."""

import importlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from worldfoundry.cli.output import check_output_folder
from worldfoundry.cli.parse import parse
from worldfoundry.core.errors import ConfigError
from worldfoundry.evaluate.config import DEFAULT_WORLD


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoArgs:
    """Curate the sample clips, send them through the tokenizer, let the world model go on from their first frames, report.

    Example: worldfoundry demo --samples samples --out runs/demo/mine
    """

    samples: Path = Path("samples")
    """Folder of videos."""
    out: Path | None = None
    """Folder to make; by default runs/demo/<time>-<word>."""
    model: str = DEFAULT_WORLD
    """World model: a shipped name or a checkpoint folder; it brings its tokenizer."""
    num_clips: int = 8
    """Held-out simulated clips of each scene behind the plots."""
    num_real_clips: int = 4
    """Real clips shown."""
    workers: int = 2
    """Processes of the curation."""
    json: bool = False
    """Print the result as JSON."""

    def __post_init__(self):
        for name in ("num_clips", "num_real_clips", "workers"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"--{name.replace('_', '-')} must be at least 1, got {getattr(self, name)}; raise it"
                )
        if not self.samples.is_dir():
            raise ConfigError(
                f"--samples must be a folder of videos, got {str(self.samples)!r}; run from the repository, or name yours"
            )
        if self.out is not None:
            check_output_folder(self.out)


def run(args: list[str]) -> int:
    """Parse, run, print where the report is."""
    options = parse(DemoArgs, prog="worldfoundry demo", args=args)
    summary = importlib.import_module("worldfoundry.cli.demo_work").make(options)
    sys.stdout.write((json.dumps(summary) if options.json else summary["report"]) + "\n")
    return 0
