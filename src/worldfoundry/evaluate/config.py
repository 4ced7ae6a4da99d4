"""What a suite is asked (configurations) and what it answers (the ``eval.json`` record). Torch-free.

Two results are comparable only when protocol, settings and ground truth are the same; ``compare`` refuses the rest.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worldfoundry.core.config import load_config
from worldfoundry.core.errors import ConfigError, UnknownNameError
from worldfoundry.protocols.held_out import EVALUATION_SEED

DEFAULT_TOKENIZER = "wavetok-c-t4s8z16-nano"
DEFAULT_WORLD = "dit-v2w-nano"
SCENES = ("free-fall", "tilted-plane", "dominoes")

MODEL, CEILING, COPY_LAST, FLOW_WARP = "model", "ceiling", "copy-last", "flow-warp"
ROWS = (MODEL, CEILING, COPY_LAST, FLOW_WARP)
FLOORS = (COPY_LAST, FLOW_WARP)
ALL = "all"
"""Group that pools every scene."""


def _require(condition: bool, *, name: str, rule: str, value: object, fix: str) -> None:
    if not condition:
        raise ConfigError(f"{name} {rule}, got {value!r}; {fix}")


def _check_data_fields(scenes: tuple[str, ...], num_clips: int, first_seed: int, batch_size: int) -> None:
    for scene in scenes:
        if scene not in SCENES:
            raise UnknownNameError("scene", scene, SCENES)
    _require(num_clips >= 1, name="num_clips", rule="must be at least 1", value=num_clips, fix="use 50")
    _require(batch_size >= 1, name="batch_size", rule="must be at least 1", value=batch_size, fix="use 10")
    _require(
        first_seed >= EVALUATION_SEED,
        name="first_seed",
        rule=f"must be at least {EVALUATION_SEED}, smaller seeds may have been trained on",
        value=first_seed,
        fix=f"use {EVALUATION_SEED}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconstructionConfig:
    """Tokenizer round trip of held-out clips: PSNR and SSIM."""

    model: str = DEFAULT_TOKENIZER
    """Tokenizer to score: a shipped name or a checkpoint folder."""
    clips: str = ""
    """Folder of real videos to score; empty means simulated held-out clips only."""
    scenes: tuple[str, ...] = SCENES
    """Simulated scenes; none when only real clips are wanted."""
    num_clips: int = 50
    """Clips of each scene."""
    num_frames: int = 33
    """Frames of each clip, 1 + a multiple of the temporal stride."""
    fps: float = 10.0
    """Rate that clips are resampled to (nearest frame)."""
    size_px: int = 64
    """Side of the square that clips are cropped (centre) and resized to."""
    first_seed: int = EVALUATION_SEED
    """First scene seed; the next clips count up from it."""
    batch_size: int = 10
    """Clips scored at a time."""

    def __post_init__(self):
        _check_data_fields(self.scenes, self.num_clips, self.first_seed, self.batch_size)
        _require(
            bool(self.scenes or self.clips),
            name="scenes",
            rule="or clips must be given",
            value=(),
            fix="name one",
        )
        _require(self.fps > 0, name="fps", rule="must be above 0", value=self.fps, fix="use 10")
        _require(
            self.size_px >= 11, name="size_px", rule="must be at least 11", value=self.size_px, fix="use 64"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutConfig:
    """World rollouts on held-out simulated clips, beside the ceiling (tokenizer round trip) and two floors."""

    model: str = DEFAULT_WORLD
    """World model to score: a shipped name or a checkpoint folder."""
    scenes: tuple[str, ...] = SCENES
    """Simulated scenes."""
    num_clips: int = 50
    """Clips of each scene."""
    context_frames: int = 5
    """Frames the model is given, 1 + a multiple of the temporal stride."""
    horizons_seconds: tuple[int, ...] = (1, 2, 3)
    """Horizon k scores all predicted frames up to k seconds."""
    first_seed: int = EVALUATION_SEED
    """First scene seed; the next clips count up from it."""
    model_seed: int = 0
    """Seed of the model's noise, mixed with the seed of each clip."""
    batch_size: int = 10
    """Clips rolled out at a time."""

    def __post_init__(self):
        _check_data_fields(self.scenes, self.num_clips, self.first_seed, self.batch_size)
        _require(bool(self.scenes), name="scenes", rule="must not be empty", value=(), fix=f"use {SCENES[0]}")
        _require(
            self.model_seed >= 0,
            name="model_seed",
            rule="must be at least 0",
            value=self.model_seed,
            fix="use 0",
        )
        _require(
            self.context_frames >= 2,
            name="context_frames",
            rule="must be at least 2, the flow floor needs two frames",
            value=self.context_frames,
            fix="use 5",
        )
        h = self.horizons_seconds
        _require(
            bool(h) and h[0] >= 1 and list(h) == sorted(set(h)),
            name="horizons_seconds",
            rule="must be whole seconds in increasing order",
            value=h,
            fix="use 1 2 3",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Mean over clips with its 95 % bootstrap interval."""

    mean: float
    """Mean over clips."""
    ci95: tuple[float, float] | None
    """Percentile bootstrap over clips; none for a single clip."""
    n: int
    """Clips."""


Curve = dict[str, Score]
"""Scores by horizon, second (``"1"`` is the first) or frame."""
Row = dict[str, Curve]
"""Curves by name: ``psnr_horizon``, ``psnr_second``, ``psnr_frame``, and the same for ``ssim``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalResult:
    """The whole answer of a suite; ``core.config`` stores it as ``eval.json`` and reads it back."""

    protocol: dict[str, Any]
    """Suite id, version and every setting that changes a number."""
    data: dict[str, Any]
    """Where the ground truth came from: seeds, size, rate and a sha256 of its pixels."""
    models: dict[str, dict[str, str]]
    """Role -> name and weights sha256."""
    groups: dict[str, dict[str, Row]]
    """Scene, source of real clips, or ``all`` -> row -> curves."""
    per_clip: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    """Group -> row -> ``metric@horizon`` -> one value a clip, for paired comparisons."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What is no mean over clips: speed, memory, checks, bits."""
    versions: dict[str, str] = field(default_factory=dict)
    """Python, platform and packages."""
    wall_seconds: float = 0.0
    """Time the suite took."""


def read_result(path: Path) -> EvalResult:
    """Load an ``eval.json``."""
    if not path.is_file():
        got = "a folder" if path.is_dir() else "no such file"
        raise ConfigError(
            f"{path} must be an eval.json that 'worldfoundry evaluate' wrote, got {got}; check the path"
        )
    return load_config(EvalResult, path)


def compare(a: EvalResult, b: EvalResult) -> list[dict[str, Any]]:
    """Model scores of ``a`` beside those of ``b`` and their difference ``b - a``; refuses different protocols or data."""
    for title, left, right in (("protocol", a.protocol, b.protocol), ("data", a.data, b.data)):
        for key in sorted(left.keys() | right.keys()):
            if left.get(key) != right.get(key):
                raise ConfigError(
                    f"results of different {title} cannot be compared: {title}.{key} is {left.get(key)!r} and "
                    f"{right.get(key)!r}; evaluate both models with the same suite and settings"
                )
    return [
        {
            "group": group,
            "metric": name,
            "at": at,
            "a": score.mean,
            "b": other.mean,
            "difference": other.mean - score.mean,
        }
        for group, rows in a.groups.items()
        for name, curve in rows[MODEL].items()
        if name.endswith(("_horizon", "_clip", "_set"))
        for at, score in curve.items()
        for other in (b.groups[group][MODEL][name][at],)
    ]
