"""Settings of a curation run, one class a step; starts without torch and OpenCV.

Names are short because they are read with their step: ``--motion.min 0.01``, ``curate report OUT --set quality.min=0.4``.
What a setting makes stale is told by the stage that reads it: thresholds (``shots`` to ``dedup``) only decide and cost
seconds, ``encode`` makes clips again, nothing here decodes a source again except the choice of another shot detector.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from worldfoundry.core.config import to_json
from worldfoundry.core.errors import ConfigError


def _check(holds: bool, rule: str, value: object, fix: str) -> None:
    if not holds:
        raise ConfigError(f"{rule}, got {value!r}; {fix}")


def _check_share(name: str, value: float) -> None:
    _check(0 <= value <= 1, f"{name} must be 0 to 1", value, "it is a share or a probability")


VIDEO_TYPES = ("natural", "rendered", "screen", "still", "pattern")
"""What the built-in detector of types tells apart: filmed; animation, game or simulation; screen recording; frozen picture or
slideshow; test or abstract pattern."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotsConfig:
    """Where a source is cut into spans."""

    detector: Literal["own", "transnetv2", "none"] = "own"
    """own: the small network in the package. transnetv2: the published one, whose weights you give. none: footage that is
    known to have no cuts, such as that of robots."""
    weights: str = ""
    """transnetv2: path of its official weights."""
    threshold: float = 0.5
    """Probability from which a frame belongs to a transition; transitions are in no clip."""
    min_s: float = 2.0
    """Spans shorter than this are rejected as too_short, in seconds."""
    max_s: float = 60.0
    """Spans longer than this are divided into equal parts, in seconds."""
    max_blank: float = 0.5
    """Share of empty frames (black, white, one colour) above which a clip is rejected as blank; 1 keeps all."""
    max_gap_s: float = 1.0
    """A span ends where no frame comes for longer than this, in seconds."""

    def __post_init__(self):
        _check(0 < self.threshold < 1, "threshold must be above 0 and below 1", self.threshold, "use 0.5")
        _check(self.min_s > 0, "min_s must be above 0", self.min_s, "raise it")
        _check_share("max_blank", self.max_blank)
        _check(self.max_gap_s > 0, "max_gap_s must be above 0", self.max_gap_s, "raise it")
        rule = f"max_s must be at least twice min_s ({self.min_s:g}), so that equal parts are never too short"
        _check(self.max_s >= 2 * self.min_s, rule, self.max_s, "raise it or lower min_s")
        rule = "weights must be given with detector transnetv2 and only then"
        _check(bool(self.weights) == (self.detector == "transnetv2"), rule, self.weights, "see --help")


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionConfig:
    """Which clips stand still or shake."""

    min: float = 0.002
    """Mean optical flow, in picture diagonals a second, under which a clip is rejected as static. An arm that works in a
    corner of the picture gives 0.002 to 0.005."""
    max_shake: float = 0.5
    """Strength of camera shake, 0 to 1, above which a clip is rejected as shaking; 1 keeps all."""

    def __post_init__(self):
        _check(self.min >= 0, "min must be at least 0", self.min, "0 keeps every clip")
        _check_share("max_shake", self.max_shake)


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityConfig:
    """Which clips look technically bad."""

    min: float = 0.2
    """Technical quality, 0 to 1, under which a clip is rejected as low_quality."""
    model: Literal["own", "dover"] = "own"
    """own: the detector in the package. dover: also score by DOVER, whose weights you give (column ``dover``)."""
    weights: str = ""
    """dover: path of its weights."""
    min_dover: float = 0.0
    """dover: score under which a clip is rejected as low_quality."""

    def __post_init__(self):
        _check_share("min", self.min)
        _check_share("min_dover", self.min_dover)
        rule = "weights must be given with model dover and only then"
        _check(bool(self.weights) == (self.model == "dover"), rule, self.weights, "see --help")


@dataclass(frozen=True, slots=True, kw_only=True)
class AestheticsConfig:
    """Which clips are ugly; needs published weights, so it is off unless they are given."""

    model: Literal["none", "clip"] = "none"
    """none: not scored. clip: CLIP with the LAION head."""
    weights: str = ""
    """clip: folder with the weights of CLIP and of the head."""
    min: float = 3.5
    """Score (about 1 to 10, the lowest over the frames looked at) under which a clip is rejected as ugly."""

    def __post_init__(self):
        rule = "weights must be given with model clip and only then"
        _check(bool(self.weights) == (self.model == "clip"), rule, self.weights, "see --help")


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayConfig:
    """Which clips carry text of post-production: subtitles, logos, tickers."""

    max: float = 0.98
    """Probability of overlaid text above which a clip is rejected as overlay_text; 1 keeps all."""

    def __post_init__(self):
        _check_share("max", self.max)


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeConfig:
    """Which kinds of video there are to be, and in which shares."""

    model: Literal["own", "endpoint"] = "own"
    """own: the detector in the package. endpoint: a vision-language model chooses among labels of yours."""
    weights: str = ""
    """endpoint: JSON file with its url, model and labels."""
    drop: tuple[str, ...] = ()
    """Types rejected as unwanted_type."""
    target: dict[str, float] = field(default_factory=dict)
    """Type -> wanted share of the clips; empty: as it comes. Types not named share what is left as they come."""
    max_repeat: int = 1
    """How often a clip of a rare type may be repeated to reach the target; 1 only leaves out clips of frequent types."""
    seed: int = 0
    """Which clips are left out or repeated."""

    def __post_init__(self):
        rule = "weights must be given with model endpoint and only then"
        _check(bool(self.weights) == (self.model == "endpoint"), rule, self.weights, "see --help")
        for name, share in self.target.items():
            _check_share(f"target of {name!r}", share)
        total = sum(self.target.values())
        _check(total <= 1 + 1e-9, "the shares of target must add up to at most 1", total, "lower them")
        both = sorted(set(self.drop) & {n for n, s in self.target.items() if s > 0})
        _check(not both, "a type must not be both in drop and in target", both, "take it out of one")
        _check(self.max_repeat >= 1, "max_repeat must be at least 1", self.max_repeat, "1 repeats nothing")

    def check_names(self) -> None:
        """Raise if a type is named that the built-in detector, where it is the one that is asked, never gives."""
        unknown = sorted({*self.drop, *self.target} - set(VIDEO_TYPES)) if self.model == "own" else []
        rule = (
            f"type.drop and type.target must name types of the built-in detector ({', '.join(VIDEO_TYPES)})"
        )
        _check(not unknown, rule, unknown, "mend them, or give a model with labels of yours")


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedConfig:
    """Embeddings for semantic search and duplicates by meaning; a published model, so off unless weights are given."""

    model: str = "none"
    """none, or the name of an embedder such as clip, internvideo2 or cosmos-embed1."""
    weights: str = ""
    """Path of its weights."""

    def __post_init__(self):
        rule = "weights must be given with a model and only then"
        _check(bool(self.weights) == (self.model != "none"), rule, self.weights, "see --help")


@dataclass(frozen=True, slots=True, kw_only=True)
class DedupConfig:
    """Which clips are copies of better ones."""

    perceptual: bool = True
    """Whether copies are sought by the descriptor of the package."""
    min_similarity: float = 0.7
    """Similarity of two descriptors from which the lesser clip is rejected as duplicate."""
    semantic: bool = True
    """Whether copies are sought by meaning too; only where ``embed.model`` gives embeddings."""
    min_semantic: float = 0.97
    """Cosine of two embeddings from which the lesser clip is rejected as duplicate."""
    exact_up_to: int = 20_000
    """Clips up to which every pair is compared; above it, only pairs of near clusters are."""

    def __post_init__(self):
        for name in ("min_similarity", "min_semantic"):
            _check(
                0 < getattr(self, name) <= 1,
                f"{name} must be above 0 and at most 1",
                getattr(self, name),
                "lower it",
            )
        _check(self.exact_up_to >= 0, "exact_up_to must be at least 0", self.exact_up_to, "raise it")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotateConfig:
    """What is written about kept clips."""

    captioner: Literal["none", "measured", "endpoint", "transformers"] = "measured"
    """measured: only what the detectors measured, in words. endpoint: a vision-language model behind an OpenAI-compatible
    URL. transformers: one on this machine."""
    url: str = ""
    """endpoint: base URL, such as http://localhost:8000/v1."""
    model: str = ""
    """endpoint: name of the model there. transformers: folder of the model."""
    api_key_variable: str = "OPENAI_API_KEY"
    """endpoint: environment variable that holds the key; it is never stored."""
    prompt: str = (
        "Describe what happens in this video in two to four sentences. Do not guess what cannot be seen."
    )
    """What is asked."""
    num_frames: int = 8
    """Frames shown, evenly over the clip."""
    max_side_px: int = 512
    """Longer side of these frames at most."""
    max_tokens: int = 256
    """Length of an answer at most."""
    concurrency: int = 8
    """endpoint: requests under way at once."""
    timeout_s: float = 60.0
    """endpoint: seconds until a request is given up."""
    retries: int = 4
    """endpoint: further tries of a request that failed for a passing reason."""

    def __post_init__(self):
        needs_url = self.captioner == "endpoint"
        _check(
            bool(self.url) == needs_url,
            "url must be given with captioner endpoint and only then",
            self.url,
            "see --help",
        )
        needs_model = self.captioner in ("endpoint", "transformers")
        rule = "model must be given with captioner endpoint or transformers and only then"
        _check(bool(self.model) == needs_model, rule, self.model, "see --help")
        for name in ("num_frames", "max_tokens", "concurrency"):
            _check(getattr(self, name) >= 1, f"{name} must be at least 1", getattr(self, name), "raise it")
        _check(self.max_side_px >= 32, "max_side_px must be at least 32", self.max_side_px, "raise it")
        _check(self.timeout_s > 0, "timeout_s must be above 0", self.timeout_s, "raise it")
        _check(self.retries >= 0, "retries must be at least 0", self.retries, "0 tries once")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeConfig:
    """What a clip file is: H.264 mp4 of the source's rate and times; an image stays one frame, as JPEG."""

    crf: int = 18
    """Quality of H.264, 0 (lossless) to 51."""
    max_height: int | Literal["source"] = "source"
    """Rows at most; larger pictures are scaled down, smaller ones stay. source: never scaled."""

    def __post_init__(self):
        _check(0 <= self.crf <= 51, "crf must be 0 to 51", self.crf, "18 looks like the source")
        if self.max_height != "source":
            rule = "max_height must be 'source' or an even number from 16 on"
            _check(
                self.max_height >= 16 and self.max_height % 2 == 0,
                rule,
                self.max_height,
                "H.264 needs even sizes",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardConfig:
    """Tar files for training, by resolution, aspect and length."""

    enabled: bool = False
    """Whether shards are written; ``curate export`` writes them later too."""
    max_mb: int = 256
    """Size of one shard at most, in millions of bytes, unless one clip is larger."""
    resolutions: tuple[int, ...] = (480, 720, 1080)
    """Shorter sides, in pixels, from which clips go to a folder of their own; smaller ones share one."""
    lengths_s: tuple[float, ...] = (5.0, 10.0, 30.0)
    """Lengths in seconds at which folders begin; shorter clips share one, images have another."""
    seed: int = 0
    """Order of the clips."""

    def __post_init__(self):
        _check(self.max_mb >= 1, "max_mb must be at least 1", self.max_mb, "raise it")
        for name in ("resolutions", "lengths_s"):
            rule = f"{name} must be at least one number above 0, each once"
            numbers = getattr(self, name)
            _check(len(set(numbers)) == len(numbers) > 0 and min(numbers) > 0, rule, numbers, "see --help")


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """How much trouble one source may make, and how much trouble stops the run; no part of any result."""

    base_s: float = 30.0
    """Seconds that a worker has for any source."""
    analyse_factor: float = 4.0
    """Further seconds for each second of the source while it is analysed."""
    encode_factor: float = 20.0
    """Further seconds for each second of the clips while they are encoded."""
    attempts: int = 2
    """How often a source is tried whose worker hangs or dies, before it is quarantined."""
    memory_gb: float = 16.0
    """Address space of a worker at most, in GB; 0 sets no limit."""
    breaker_share: float = 0.2
    """Share of the sources done from which failures of one kind stop the run."""
    breaker_after: int = 50
    """Sources that must be done before that."""

    def __post_init__(self):
        for name in ("base_s", "analyse_factor", "encode_factor"):
            _check(getattr(self, name) > 0, f"{name} must be above 0", getattr(self, name), "raise it")
        _check(self.attempts >= 1, "attempts must be at least 1", self.attempts, "raise it")
        _check(self.memory_gb >= 0, "memory_gb must be at least 0", self.memory_gb, "0 sets no limit")
        _check_share("breaker_share", self.breaker_share)
        _check(self.breaker_after >= 1, "breaker_after must be at least 1", self.breaker_after, "raise it")


@dataclass(frozen=True, slots=True, kw_only=True)
class CurateConfig:
    """How footage becomes clips."""

    max_damage: float = 0.01
    """Share of a source's frames that may be missing or damaged before the whole source is rejected."""
    shots: ShotsConfig = field(default_factory=ShotsConfig)
    """Where a source is cut."""
    motion: MotionConfig = field(default_factory=MotionConfig)
    """Static and shaking clips."""
    quality: QualityConfig = field(default_factory=QualityConfig)
    """Blur, noise, compression, exposure."""
    aesthetics: AestheticsConfig = field(default_factory=AestheticsConfig)
    """Beauty."""
    overlay: OverlayConfig = field(default_factory=OverlayConfig)
    """Post-production text."""
    type: TypeConfig = field(default_factory=TypeConfig)
    """Kinds of video and their mix."""
    embed: EmbedConfig = field(default_factory=EmbedConfig)
    """Embeddings."""
    dedup: DedupConfig = field(default_factory=DedupConfig)
    """Copies."""
    annotate: AnnotateConfig = field(default_factory=AnnotateConfig)
    """Captions."""
    encode: EncodeConfig = field(default_factory=EncodeConfig)
    """Clip files."""
    shard: ShardConfig = field(default_factory=ShardConfig)
    """Tar files."""
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    """Deadlines and the circuit breaker."""

    def __post_init__(self):
        _check_share("max_damage", self.max_damage)


def settings_of(config: CurateConfig) -> dict[str, Any]:
    """Dotted name -> value of every setting, as JSON has it; the shares of ``type.target`` are one value.

    >>> settings_of(CurateConfig())["shots.min_s"]
    2.0
    """
    return dict(_named(to_json(config)))


def _named(document: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, dict) and key != "target":
            yield from _named(value, f"{before}{key}.")
        elif key != "schema":
            yield f"{before}{key}", value
