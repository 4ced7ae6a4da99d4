"""What a tokenizer is trained for, and in which stages; importing it does not import torch.

A stage is a step at which a weight changes. Source of the schedules: arXiv 2501.03575, section 4.2, and the published
post-training, whose weights are step functions too.
"""

from dataclasses import dataclass, field
from typing import Literal

from worldfoundry.core.errors import ConfigError
from worldfoundry.models.tokenizer.config import TokenizerConfig
from worldfoundry.training.optim_config import OptimConfig, require_positive

Aspect = Literal["1:1", "4:3", "3:4", "16:9", "9:16"]
"""Width to height."""
DIS_LEAST_CROP = 16
"""DIS refuses pictures of less than 12 pixels, and OpenCV 5.0 crashes on some of 12."""
RAFT_LEAST_CROP, RAFT_MULTIPLE = 256, 16
"""RAFT looks at clips of half the size, of 128 pixels a side or more and multiples of 8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightSchedule:
    """A weight that changes at given steps."""

    values: tuple[float, ...] = (0.0,)
    """Weight before the first boundary, between two of them, and after the last."""
    boundaries: tuple[int, ...] = ()
    """Steps, increasing, at which the next value begins."""

    def __post_init__(self):
        if len(self.values) != len(self.boundaries) + 1:
            raise ConfigError(
                f"values must be one more than the {len(self.boundaries)} boundaries, got {len(self.values)}; give a weight for "
                "before, between and after them"
            )
        if list(self.boundaries) != sorted(set(self.boundaries)) or any(n < 1 for n in self.boundaries):
            raise ConfigError(
                f"boundaries must be steps from 1 on in increasing order, got {self.boundaries}; sort them"
            )
        if min(self.values) < 0:
            raise ConfigError(f"values must be 0 or above, got {self.values}; a loss cannot be asked to grow")

    def at(self, step: int) -> float:
        """Weight at ``step``, counted from 0.

        >>> WeightSchedule(values=(0.0, 0.062), boundaries=(500_000,)).at(500_000)
        0.062
        """
        return self.values[sum(step >= n for n in self.boundaries)]

    @property
    def first_step(self) -> int | None:
        """First step with a weight above 0; None if there is none."""
        starts = (0, *self.boundaries)
        return next((n for n, w in zip(starts, self.values, strict=True) if w > 0), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureLosses:
    """Losses on features of single frames: perceptual distance and Gram matrices."""

    extractor: str = "random-conv-5"
    """The offline extractor of that name, or a file with torchvision's VGG-16 or VGG-19 weights."""
    perceptual: WeightSchedule = field(default_factory=WeightSchedule)
    """Of the distance of features; published: 0.1, and 0.073 after 500,000 steps."""
    gram: WeightSchedule = field(default_factory=WeightSchedule)
    """Of the distance of Gram matrices, for sharpness; published: 0, and 0.062 after 500,000 steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLoss:
    """Temporal smoothness along the motion."""

    estimator: str = "opencv-dis-medium"
    """OpenCV's DIS flow of the truth, along which the error must not change; or a file with torchvision's RAFT-large weights,
    with which the flow of the reconstruction must be that of the truth, as published."""
    weight: WeightSchedule = field(default_factory=WeightSchedule)
    """Published: 0, and 0.01 after 250,000 steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyLoss:
    """Overlapping windows, encoded each on its own, must agree; the other losses see their mean."""

    weight: WeightSchedule = field(default_factory=WeightSchedule)
    """Published: 0, and 0.01 after 250,000 steps, off in every released experiment."""
    num_frames: int = 9
    """Frames of a window."""
    step: int = 4
    """Frames from the start of a window to that of the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdversarialLoss:
    """Fine-tuning against a judge of patches, hinge losses; the paper does not say more than that there is one."""

    weight: WeightSchedule = field(default_factory=WeightSchedule)
    """Of the judge's verdict in what the tokenizer minimises."""
    head_start_steps: int = 0
    """Steps for which the judge learns before its verdict counts."""
    channels: int = 64
    """Width of the judge."""
    optim: OptimConfig = field(
        default_factory=lambda: OptimConfig(
            learning_rate=4e-4, beta1=0.5, beta2=0.999, eps=1e-8, warmup_steps=5000, decay_fraction=0.0
        )
    )
    """Optimiser of the judge; the published one."""

    def __post_init__(self):
        require_positive("adversarial", channels=self.channels)
        begins = self.weight.first_step or 0
        if not 0 <= self.head_start_steps <= begins:
            raise ConfigError(
                f"adversarial.head_start_steps must be 0 to {begins}, the step at which the weight begins, got "
                f"{self.head_start_steps}; let the weight begin later"
            )

    @property
    def first_step(self) -> int | None:
        """Step from which the judge learns; None if it never counts."""
        begins = self.weight.first_step
        return None if begins is None else begins - self.head_start_steps


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerObjective:
    """Reconstruct clips and images, in stages (arXiv 2501.03575, section 4.2)."""

    kind: Literal["tokenizer"] = "tokenizer"
    """Tells the objectives apart."""
    model: TokenizerConfig
    """The tokenizer to train."""
    crop: int = 64
    """Longer side of the random crop, pixels."""
    aspects: tuple[Aspect, ...] = ("1:1",)
    """Shapes of crops; each batch has one of them, drawn anew."""
    cover_share: float = 0.0
    """Share of clips that are made so small that the crop just fits in, before it is cut; published: 0.9."""
    reverse: bool = False
    """Play half of the clips backwards."""
    num_frames: int = 9
    """Frames of each training clip."""
    image_every: int = 0
    """Every so many steps the batch is one of images; 0: never."""
    images_per_clip: int = 4
    """Images that stand for one clip in such a batch."""
    l1_weight: float = 1.0
    """Weight of the mean absolute error."""
    mse_weight: float = 2.0
    """Weight of the mean squared error; published: 0."""
    features: FeatureLosses = field(default_factory=FeatureLosses)
    """Perceptual and Gram losses."""
    flow: FlowLoss = field(default_factory=FlowLoss)
    """Optical-flow loss."""
    consistency: ConsistencyLoss = field(default_factory=ConsistencyLoss)
    """Agreement of overlapping windows."""
    adversarial: AdversarialLoss = field(default_factory=AdversarialLoss)
    """Adversarial fine-tuning."""
    train_encoder: bool = True
    """Whether the encoder learns too; if not, latents stay what they are and worlds trained on them stay valid."""
    trunk_from: str = ""
    """For a discrete tokenizer, release of the continuous one to start from; empty: fresh weights."""

    def __post_init__(self):
        require_positive(
            "objective", crop=self.crop, num_frames=self.num_frames, images_per_clip=self.images_per_clip
        )
        if self.model.is_variational:
            raise ConfigError(
                "objective.model.is_variational must be false, got true: no loss here holds the posterior to a normal "
                "distribution (KL divergence), so its variances would stay untrained; train a deterministic tokenizer"
            )
        if (self.num_frames - 1) % self.model.temporal_stride or self.crop % self.model.spatial_stride:
            raise ConfigError(
                f"objective.num_frames must be 1 + a multiple of {self.model.temporal_stride} and crop a multiple of "
                f"{self.model.spatial_stride}, got {self.num_frames} and {self.crop}; change them"
            )
        if not self.aspects or not 0 <= self.cover_share <= 1 or self.image_every < 0:
            raise ConfigError(
                f"objective.aspects must name a shape, cover_share be in [0, 1] and image_every 0 or above, got {self.aspects}, "
                f"{self.cover_share} and {self.image_every}; change them"
            )
        if not self.train_encoder and self.consistency.weight.first_step is not None:
            raise ConfigError(
                "objective.train_encoder must be true for the consistency loss, which teaches latents to agree, got false; set "
                "consistency.weight to 0"
            )
        self._check_space()
        self._check_time()

    def schedules(self) -> dict[str, WeightSchedule]:
        """Every weight that changes in stages, by its place in the objective."""
        return {
            "features.perceptual": self.features.perceptual,
            "features.gram": self.features.gram,
            "flow.weight": self.flow.weight,
            "consistency.weight": self.consistency.weight,
            "adversarial.weight": self.adversarial.weight,
        }

    def crop_size(self, aspect: Aspect) -> tuple[int, int]:
        """Rows and columns of a crop; the shorter side is the nearest multiple of the spatial stride.

        >>> TokenizerObjective(model=TokenizerConfig(), num_frames=9, crop=256).crop_size("16:9")
        (144, 256)
        """
        width, height = map(int, aspect.split(":"))
        stride, longer = self.model.spatial_stride, max(width, height)
        rows, columns = (
            max(stride, int(self.crop * side / longer / stride + 0.5) * stride) for side in (height, width)
        )
        return rows, columns

    def _check_space(self) -> None:
        """Refuse crops that features, judge or flow estimator cannot look at."""
        least = min(side for aspect in self.aspects for side in self.crop_size(aspect))
        for name in ("features.perceptual", "features.gram", "adversarial.weight"):
            if self.schedules()[name].first_step is not None and least < 16:
                raise ConfigError(
                    f"objective.{name} needs crops of 16 pixels a side or more, got {least} from crop {self.crop} and aspects "
                    f"{self.aspects}; raise crop"
                )
        if self.flow.weight.first_step is not None:
            self._check_flow(sorted({side for aspect in self.aspects for side in self.crop_size(aspect)}))

    def _check_flow(self, sides: list[int]) -> None:
        dis = FlowLoss().estimator
        if self.flow.estimator == dis and sides[0] < DIS_LEAST_CROP:
            raise ConfigError(
                f"objective.flow.estimator {dis!r} needs crops of {DIS_LEAST_CROP} pixels a side or more, got {sides[0]} from "
                f"crop {self.crop} and aspects {self.aspects}; raise crop"
            )
        is_odd = any(side % RAFT_MULTIPLE for side in sides)
        if self.flow.estimator != dis and (sides[0] < RAFT_LEAST_CROP or is_odd):
            raise ConfigError(
                f"objective.flow.estimator RAFT needs crops of {RAFT_LEAST_CROP} pixels a side or more, all multiples of "
                f"{RAFT_MULTIPLE}, got sides of {sides} from crop {self.crop} and aspects {self.aspects}; change crop or "
                f"aspects, or use {dis!r}"
            )

    def _check_time(self) -> None:
        """Refuse losses over time where there is none, and windows that do not fit."""
        for name in ("flow.weight", "consistency.weight"):
            if self.schedules()[name].first_step is not None and (
                self.num_frames < 2 or self.image_every == 1
            ):
                raise ConfigError(
                    f"objective.{name} needs batches of clips, got num_frames {self.num_frames} and image_every "
                    f"{self.image_every}; train on clips or set the weight to 0"
                )
        c, stride = self.consistency, self.model.temporal_stride
        if c.weight.first_step is None:
            return
        if (
            not 1 <= c.step < c.num_frames < self.num_frames
            or (c.num_frames - 1) % stride
            or (self.num_frames - c.num_frames) % c.step
        ):
            raise ConfigError(
                f"objective.consistency must have 1 <= step < num_frames < {self.num_frames}, num_frames 1 + a multiple of "
                f"{stride}, and windows that fill the {self.num_frames} frames, got {c.num_frames} every {c.step}; change them"
            )
