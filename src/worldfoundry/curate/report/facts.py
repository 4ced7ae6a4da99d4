"""What the report is told about a curated set, and the sums it draws from it.

Every row of the index is counted exactly once: under what was lost and why, or under what was kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from worldfoundry.curate.decide import Rule
from worldfoundry.curate.report.text import Number, words

Row = Mapping[str, Any]
"""One row of the index: a clip, or a source that yields none (then ``clip_id`` is empty)."""
Picture = tuple[float, bytes]
"""A moment of a source and its JPEG."""

LABELS = {
    "too_short": "Too short",
    "blank": "Empty picture",
    "static": "Static picture",
    "shaking": "Shaking camera",
    "low_quality": "Low technical quality",
    "ugly": "Low aesthetics",
    "overlay_text": "Overlaid text",
    "unwanted_type": "Unwanted type",
    "duplicate": "Copies of another clip",
    "duplicate_source": "Copies of another file",
    "mix": "Left out for the mix",
    "failed": "Failed",
    "quarantined": "Quarantined",
}
"""Reasons in words; any other reason is shown as it is spelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFacts:
    """All that the page shows. Only ``rows`` is needed; what is not given is not shown."""

    rows: Sequence[Row]
    """The index, in its order."""
    rules: Sequence[Rule] = ()
    """Rules with a number, in the order in which they are asked; the first that fails is the reason."""
    blocked: Callable[[Row], bool] = lambda _: False
    """Whether a rule without a number rejects a clip, whatever its scores."""
    pictures: Callable[[Row], Sequence[Picture]] = lambda _: ()
    """Some moments of a clip in order; none where nothing was stored."""
    reproduce: Callable[[Row], str] = lambda _: ""
    """Command that repeats what failed."""
    origin: str = ""
    """Where the footage came from."""
    notice: str = ""
    """What must be known before anything else is read."""
    durations: Mapping[str, Number] = field(default_factory=dict)
    """Seconds of each source."""
    target: Mapping[str, Number] = field(default_factory=dict)
    """Wanted share of each type."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Dotted names and values."""
    versions: Mapping[str, Any] = field(default_factory=dict)
    """Packages and detectors."""
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    """Of each stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the funnel."""

    kind: Literal["stock", "loss", "kept"]
    """What there is, what is lost, what is left at the end."""
    label: str
    """In words."""
    reason: str = ""
    """As the index spells it; empty for a stock."""
    clips: int = 0
    """How many clips; for the lines about files, how many files."""
    seconds: Number = 0.0
    """Their length."""
    unit: Literal["clip", "file"] = "clip"
    """What is counted."""


def is_clip(row: Row) -> bool:
    """Whether a row is a clip rather than a source without any."""
    return bool(row.get("clip_id"))


def is_kept(row: Row) -> bool:
    """Whether a row is a kept clip."""
    return row.get("decision") == "kept"


def is_failure(row: Row) -> bool:
    """Whether there was no decision: something broke."""
    return row.get("decision") in ("failed", "quarantined")


def length(row: Row) -> float:
    """Seconds of a clip, 0 for a source without any."""
    start, end = row.get("start_s"), row.get("end_s")
    return float(end - start) if is_clip(row) and start is not None and end is not None else 0.0


def total(rows: Sequence[Row]) -> float:
    """Seconds of all clips."""
    return sum(map(length, rows), start=0.0)


_LEAST_S = 0.05  # less is the rounding of headers


def reason_of(row: Row) -> str:
    """Why a row was not kept, never empty."""
    return str(row.get("reason") or row.get("decision") or "unknown")


def label_of(reason: str, facts: SetFacts) -> str:
    """A reason in words."""
    named = {rule.reason: rule.title for rule in facts.rules}
    return LABELS.get(reason) or named.get(reason) or words(reason).capitalize()


def funnel(facts: SetFacts) -> list[Step]:
    """From sources to kept clips: what there was, what each reason took, what is left.

    The clips of all losses and of the last line add up to the rows of the index, and so do the seconds.
    """
    rows = facts.rows
    clips = [row for row in rows if is_clip(row)]
    files = sorted({str(row.get("source", "")) for row in rows})
    known = sum(facts.durations.get(name, 0.0) for name in files)
    steps = [Step(kind="stock", label="Source footage", clips=len(files), seconds=known, unit="file")]
    for reason, group in _by_reason([row for row in rows if not is_clip(row)], facts):
        seconds = sum(facts.durations.get(str(row.get("source", "")), 0.0) for row in group)
        label = label_of(reason, facts)
        steps.append(
            Step(kind="loss", label=label, reason=reason, clips=len(group), seconds=seconds, unit="file")
        )
    between = known - sum(step.seconds for step in steps[1:]) - total(clips)
    if between > _LEAST_S:
        label = "Between clips: transitions, blank pictures, damage"
        steps.append(Step(kind="loss", label=label, seconds=between, unit="file"))
    steps.append(Step(kind="stock", label="Clips found", clips=len(clips), seconds=total(clips)))
    for reason, group in _by_reason([row for row in clips if not is_kept(row)], facts):
        label = label_of(reason, facts)
        steps.append(Step(kind="loss", label=label, reason=reason, clips=len(group), seconds=total(group)))
    kept = [row for row in clips if is_kept(row)]
    steps.append(Step(kind="kept", label="Kept", clips=len(kept), seconds=total(kept)))
    return steps


def _by_reason(rows: list[Row], facts: SetFacts) -> Iterator[tuple[str, list[Row]]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(reason_of(row), []).append(row)
    asked = [rule.reason for rule in facts.rules]

    def rank(reason: str) -> tuple[int, int, str]:
        """Rules without a number, then the others as they are asked, then copies, the mix and what broke."""
        if any(is_failure(row) for row in groups[reason]):
            return 4, 0, reason
        if any(row.get("duplicate_of") for row in groups[reason]):
            return 2, 0, reason
        if reason == "mix":
            return 3, 0, reason
        return (1, asked.index(reason), reason) if reason in asked else (0, 0, reason)

    for reason in sorted(groups, key=rank):
        yield reason, groups[reason]
