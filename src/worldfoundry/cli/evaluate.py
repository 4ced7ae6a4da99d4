"""``worldfoundry evaluate``: score a model beside its ceiling and its floors; compare two results."""

import dataclasses
import importlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from worldfoundry.cli.evaluate_tokenizer import TokenizerArgs
from worldfoundry.cli.output import check_output_file
from worldfoundry.cli.parse import parse
from worldfoundry.core.errors import UnknownNameError
from worldfoundry.evaluate.config import (
    DEFAULT_TOKENIZER,
    DEFAULT_WORLD,
    SCENES,
    ReconstructionConfig,
    RolloutConfig,
    compare,
    read_result,
)

HELP = """worldfoundry evaluate: score a model beside its ceiling (tokenizer round trip) and two floors (copy, warp)

usage: worldfoundry evaluate SUITE [--model NAME] [...]        worldfoundry evaluate SUITE --help for its settings

  rollout          PSNR and SSIM of a world's predictions over 1, 2 and 3 seconds, on held-out simulated clips
                   $ worldfoundry evaluate rollout --model dit-v2w-nano --num-clips 50
  reconstruction   PSNR and SSIM of a tokenizer's round trip, on simulated or real clips
                   $ worldfoundry evaluate reconstruction --clips samples/
  tokenizer        all of a tokenizer on a folder of footage: quality, bits, speed, memory, checks, H.264 at equal bits, a page
                   $ worldfoundry evaluate tokenizer --data samples
  compare A B      difference of two results of one protocol
                   $ worldfoundry evaluate compare a/eval.json b/eval.json
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutArgs:
    """PSNR and SSIM of a world's predictions by horizon, beside ceiling and floors.

    Example: worldfoundry evaluate rollout --scene free-fall dominoes --num-clips 8
    """

    model: str = DEFAULT_WORLD
    """World model: a shipped name or a checkpoint folder."""
    scene: tuple[str, ...] = SCENES
    """Simulated scenes."""
    num_clips: int = 50
    """Held-out clips of each scene."""
    batch_size: int = 10
    """Clips rolled out at a time."""
    model_seed: int = 0
    """Seed of the model's noise."""
    out: Path | None = None
    """Result file to write, .json; by default runs/evaluate-rollout/<time>-<word>/eval.json."""
    overwrite: bool = False
    """Replace --out where it exists."""
    json: bool = False
    """Print the result as JSON."""
    dry_run: bool = False
    """Print the resolved settings and stop."""

    def __post_init__(self):
        self.config()
        _check_out(self)

    def config(self) -> RolloutConfig:
        """The suite's configuration."""
        return RolloutConfig(
            model=self.model,
            scenes=self.scene,
            num_clips=self.num_clips,
            batch_size=self.batch_size,
            model_seed=self.model_seed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconstructionArgs:
    """PSNR and SSIM of a tokenizer's round trip.

    Example: worldfoundry evaluate reconstruction --clips samples/ --size-px 128
    """

    model: str = DEFAULT_TOKENIZER
    """Tokenizer: a shipped name or a checkpoint folder."""
    scene: tuple[str, ...] = SCENES
    """Simulated scenes; none (``--scene`` with nothing after it) to score real clips only."""
    clips: str = ""
    """Folder of real videos; each gives its first frames."""
    num_clips: int = 50
    """Held-out clips of each scene."""
    num_frames: int = 33
    """Frames of each clip."""
    fps: float = 10.0
    """Rate that clips are resampled to."""
    size_px: int = 64
    """Side of the centre square that clips are resized to."""
    batch_size: int = 10
    """Clips scored at a time."""
    out: Path | None = None
    """Result file to write, .json; by default runs/evaluate-reconstruction/<time>-<word>/eval.json."""
    overwrite: bool = False
    """Replace --out where it exists."""
    json: bool = False
    """Print the result as JSON."""
    dry_run: bool = False
    """Print the resolved settings and stop."""

    def __post_init__(self):
        self.config()
        _check_out(self)

    def config(self) -> ReconstructionConfig:
        """The suite's configuration."""
        return ReconstructionConfig(
            model=self.model,
            clips=self.clips,
            scenes=self.scene,
            num_clips=self.num_clips,
            num_frames=self.num_frames,
            fps=self.fps,
            size_px=self.size_px,
            batch_size=self.batch_size,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareArgs:
    """Difference of two results, b minus a; results of different protocols or data are refused.

    Example: worldfoundry evaluate compare a/eval.json b/eval.json
    """

    a: Annotated[Path, tyro.conf.Positional]
    """First eval.json."""
    b: Annotated[Path, tyro.conf.Positional]
    """Second eval.json."""
    json: bool = False
    """Print as JSON."""


def _check_out(options: RolloutArgs | ReconstructionArgs) -> None:
    if options.out is not None:
        check_output_file(options.out, ".json", overwrite=options.overwrite)


_SUITES = {"rollout": RolloutArgs, "reconstruction": ReconstructionArgs, "tokenizer": TokenizerArgs}


def run(args: list[str]) -> int:
    """Parse, evaluate, print the scores."""
    if not args or args[0] in ("--help", "-h"):
        sys.stdout.write(HELP)
        return 0
    suite, *rest = args
    if suite == "compare":
        return _compare(parse(CompareArgs, prog="worldfoundry evaluate compare", args=rest))
    if suite not in _SUITES:
        sys.stderr.write(f"error: {UnknownNameError('suite', suite, [*_SUITES, 'compare'])}\n")
        return 2
    options = parse(_SUITES[suite], prog=f"worldfoundry evaluate {suite}", args=rest)
    config = options.config()
    if options.dry_run:
        out = str(options.out or f"runs/evaluate-{suite}/<time>-<word>/eval.json")
        plan = {"suite": suite, "out": out, **dataclasses.asdict(config)}
        text = json.dumps(plan) if options.json else "\n".join(f"{k:<18} {v}" for k, v in plan.items())
        sys.stdout.write(text + "\n")
        return 0
    importlib.import_module("worldfoundry.cli.evaluate_work").evaluate(
        config, options.out, as_json=options.json
    )
    return 0


def _compare(options: CompareArgs) -> int:
    rows = compare(read_result(options.a), read_result(options.b))
    if options.json:
        sys.stdout.write(json.dumps(rows) + "\n")
        return 0
    sys.stdout.write(f"{'group':<16}{'metric':<16}{'at':>4}{'a':>10}{'b':>10}{'b - a':>10}\n")
    for r in rows:
        sys.stdout.write(
            f"{r['group']:<16}{r['metric']:<16}{r['at']:>4}{r['a']:>10.3f}{r['b']:>10.3f}{r['difference']:>+10.3f}\n"
        )
    return 0
