"""How a run goes, for people who watch it; none of it is stored beside the results."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Progress:
    """A run's counters; the same object each time it is shown."""

    stage: str = ""
    """What is being done."""
    done: int = 0
    """Sources done in this stage."""
    total: int = 0
    """Sources to be done in this stage."""
    video_s: float = 0.0
    """Seconds of video done in this stage."""
    total_video_s: float = 0.0
    """Seconds of video to be done in this stage."""
    kept: int = 0
    """Clips that passed every rule so far."""
    rejected: int = 0
    """Clips and sources rejected so far."""
    failed: int = 0
    """Sources that failed or were quarantined."""
    last: str = ""
    """The source done last."""
    stage_s: dict[str, float] = field(default_factory=dict)
    """Wall seconds of each stage so far."""
    began_s: float = 0.0
    """When the stage began, by the monotonic clock."""
    show: Callable[["Progress"], None] = lambda _: None
    """Called after each change."""

    def begin(self, stage: str, total: int, total_video_s: float = 0.0) -> None:
        """Start a stage."""
        self.close()
        self.stage, self.total, self.total_video_s = stage, total, total_video_s
        self.done, self.video_s, self.began_s = 0, 0.0, time.monotonic()
        self.show(self)

    def step(self, name: str, video_s: float = 0.0) -> None:
        """One source more is done."""
        self.done += 1
        self.video_s += video_s
        self.last = name
        self.show(self)

    def close(self) -> None:
        """End the stage that runs."""
        if self.stage:
            self.stage_s[self.stage] = self.stage_s.get(self.stage, 0.0) + time.monotonic() - self.began_s
            self.stage = ""

    @property
    def speed(self) -> float:
        """Seconds of video a second, in this stage."""
        spent = time.monotonic() - self.began_s
        return self.video_s / spent if spent > 0 else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds until this stage ends; None while nobody knows."""
        share = self.video_s / self.total_video_s if self.total_video_s else self.done / max(1, self.total)
        return (time.monotonic() - self.began_s) * (1 / share - 1) if share > 0 else None

    @property
    def slowest(self) -> str:
        """The stage that took most time so far."""
        spent = dict(self.stage_s)
        if self.stage:
            spent[self.stage] = spent.get(self.stage, 0.0) + time.monotonic() - self.began_s
        return max(spent, key=lambda name: spent[name]) if spent else ""
