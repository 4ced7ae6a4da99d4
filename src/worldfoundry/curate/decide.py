"""Decide: what becomes of every span, as a pure function of stored numbers and settings; no pixel is touched.

In order: the length of spans, rules on scores (the first that fails is the reason), unwanted types, copies of better
clips, the mix of types. The order of the sources changes nothing.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from worldfoundry.core.errors import ConfigError
from worldfoundry.curate.config import CurateConfig
from worldfoundry.curate.dedup import find_duplicates
from worldfoundry.curate.detect import descriptor
from worldfoundry.curate.mix import choose_mix
from worldfoundry.curate.records import Analysis, Row
from worldfoundry.curate.scoring import candidates, reject
from worldfoundry.curate.similarities import Similarities
from worldfoundry.protocols.curation import Detector

Analyses = Callable[[str], Analysis]
"""The analysis of a source by its content address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Compares one score with one number."""

    reason: str
    """What the index says of a clip that it rejects."""
    setting: str
    """Dotted name of the number."""
    score: str
    """Column of the index."""
    keeps: Literal["at least", "at most"]
    """On which side of the number clips stay; the number itself is on that side."""
    number: float
    """The threshold."""
    title: str
    """What the score means."""
    scale: Literal["linear", "log"] = "linear"
    """How scores are best shown."""
    missing_passes: bool = True
    """A clip whose score was not measured stays."""

    def passes(self, row: Row) -> bool:
        """Whether a clip stays."""
        value = row.get(self.score)
        if value is None or math.isnan(value):
            return self.missing_passes
        return value >= self.number if self.keeps == "at least" else value <= self.number

    def broken_by(self, row: Row) -> str:
        """The score and the rule that it breaks, in words."""
        side = "under" if self.keeps == "at least" else "above"
        return f"{self.score} {row[self.score]:.4g}, {side} {self.setting} {self.number:g}"


def rules(config: CurateConfig) -> tuple[Rule, ...]:
    """All rules on scores, in the order in which they are asked."""
    low, high = "at least", "at most"
    m, q, a, o = config.motion, config.quality, config.aesthetics, config.overlay
    found = [
        Rule(
            reason="static",
            setting="motion.min",
            score="motion",
            keeps=low,
            number=m.min,
            title="Motion",
            scale="log",
        ),
        Rule(
            reason="shaking",
            setting="motion.max_shake",
            score="shake",
            keeps=high,
            number=m.max_shake,
            title="Shake",
        ),
        Rule(
            reason="low_quality",
            setting="quality.min",
            score="quality",
            keeps=low,
            number=q.min,
            title="Quality",
        ),
    ]
    shots = config.shots
    blank = Rule(
        reason="blank",
        setting="shots.max_blank",
        score="blank",
        keeps=high,
        number=shots.max_blank,
        title="Blank",
    )
    found.insert(0, blank)
    if q.model == "dover":
        found.append(
            Rule(
                reason="low_quality",
                setting="quality.min_dover",
                score="dover",
                keeps=low,
                number=q.min_dover,
                title="DOVER",
            )
        )
    if a.model != "none":
        found.append(
            Rule(
                reason="ugly",
                setting="aesthetics.min",
                score="aesthetics",
                keeps=low,
                number=a.min,
                title="Aesthetics",
            )
        )
    found.append(
        Rule(
            reason="overlay_text",
            setting="overlay.max",
            score="overlay_text",
            keeps=high,
            number=o.max,
            title="Overlaid text",
        )
    )
    return tuple(found)


def judge(
    rows: Sequence[Row],
    config: CurateConfig,
    *,
    analyses: Analyses,
    vectors: Mapping[str, Any] | None = None,
    similarities: Similarities | None = None,
) -> list[Row]:
    """Decide rows that are not decided yet.

    ``vectors`` are embeddings by clip, where a model gives them; ``similarities`` know some pairs and learn the others.
    """
    rows = screen(rows, config)
    _drop_copies(rows, config, analyses, vectors or {}, similarities or Similarities())
    left = [row for row in rows if not row["decision"]]
    repeats = choose_mix(
        [row.get("type") or "" for row in left], [row["clip_id"] for row in left], config.type
    )
    for row, repeat in zip(left, repeats, strict=True):
        row["repeat"] = repeat
        if repeat:
            row["decision"] = "kept"
        else:
            reject(row, "mix", f"type {row.get('type')!r} has more clips than its share of the target")
    return rows


def screen(rows: Sequence[Row], config: CurateConfig) -> list[Row]:
    """Copies of rows after the rules on single clips; those that pass have no decision yet."""
    asked = rules(config)
    rows = [dict(row) for row in rows]
    for row in rows:
        if row["decision"]:
            continue
        broken = next((rule for rule in asked if not rule.passes(row)), None)
        if broken is not None:
            reject(row, broken.reason, broken.broken_by(row))
        elif row.get("type") in config.type.drop:
            reject(row, "unwanted_type", f"type {row['type']!r} is in type.drop")
    return rows


def rank_of(row: Row) -> tuple[Any, ...]:
    """Sorts copies of one clip: more pixels, better quality, longer; the id makes the order total."""
    quality = row.get("quality")
    length = row["end_s"] - row["start_s"]
    return (
        row["source_width"] * row["source_height"],
        quality if quality is not None else 0.0,
        length,
        row["clip_id"],
    )


def _drop_copies(
    rows: Sequence[Row],
    config: CurateConfig,
    analyses: Analyses,
    vectors: Mapping[str, Any],
    similarities: Similarities,
) -> None:
    left = [row for row in rows if not row["decision"]]
    if not (config.dedup.perceptual or vectors):
        return
    described = _Descriptors(left, analyses)
    embeddings = [vectors.get(row["clip_id"]) for row in left] if vectors else None
    found = find_duplicates(
        described,
        [rank_of(row) for row in left],
        config.dedup,
        embeddings=embeddings,
        similarity=lambda a, b, compare: similarities.of((left[a]["clip_id"], left[b]["clip_id"]), compare),
    )
    for row, copy in zip(left, found, strict=True):
        if copy is not None:
            original = left[copy.of]
            row.update(duplicate_of=original["clip_id"], similarity=copy.similarity)
            name, start = original["source"], original["start_s"]
            reject(
                row,
                "duplicate",
                f"a copy of {original['clip_id']} ({name} at {start:.2f} s), similarity {copy.similarity:.3f}",
            )


class _Descriptors(Sequence[Any]):
    """Descriptors of rows, made when asked for; the analysis of one source is held at a time."""

    def __init__(self, rows: Sequence[Row], analyses: Analyses):
        self._rows, self._analyses = rows, analyses
        self._held: tuple[str, Analysis] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, k: Any) -> Any:
        row = self._rows[k]
        if self._held is None or self._held[0] != row["source_id"]:
            self._held = (row["source_id"], self._analyses(row["source_id"]))
        return descriptor.score(self._held[1].timelines["descriptor"], row["start_s"], row["end_s"])

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(len(self)))


_DECIDED_HERE = ("reason", "detail", "duplicate_of", "similarity", "repeat", "shard", "path")
_ABOUT_LENGTH = frozenset(("too_short",))


def undecided(rows: Sequence[Row]) -> list[Row]:
    """Copies of rows of an index as they were before the rules."""
    fresh: list[Row] = []
    for row in rows:
        if row["clip_id"] and row["decision"] in ("kept", "rejected") and row["reason"] not in _ABOUT_LENGTH:
            row = {**row, "decision": "", **dict.fromkeys(_DECIDED_HERE)}
            row |= {"width": row["source_width"], "height": row["source_height"]}
        fresh.append(dict(row))
    return fresh


def decide_again(
    rows: Sequence[Row],
    before: CurateConfig,
    config: CurateConfig,
    *,
    analyses: Analyses,
    detectors: Sequence[Detector],
    vectors: Mapping[str, Any] | None = None,
    similarities: Similarities | None = None,
) -> list[Row]:
    """The rows of a finished set as other settings would have them; clips keep the ids of the set's own encoding."""
    config = dataclasses.replace(config, encode=before.encode)
    if (config.shots, config.max_damage) == (before.shots, before.max_damage):
        return judge(undecided(rows), config, analyses=analyses, vectors=vectors, similarities=similarities)
    asked = [c.model for c in (config.quality, config.aesthetics, config.type, config.embed)]
    if any(model not in ("own", "none") for model in asked):
        raise ConfigError(
            f"shots and max_damage must stay as they are where models scored the clips ({', '.join(asked)}), since other spans "
            "have no scores; use 'worldfoundry curate run' with the new settings"
        )
    fresh: list[Row] = []
    seen: set[str] = set()
    for row in rows:
        if row["decision"] in ("failed", "quarantined") or (not row["clip_id"] and row["duplicate_of"]):
            fresh.append(dict(row))
        elif row["source_id"] not in seen:
            seen.add(row["source_id"])
            try:
                analysis = analyses(row["source_id"])
            except FileNotFoundError:  # the file could not be read at all, whatever the settings
                fresh.append(dict(row))
                continue
            named = dataclasses.replace(
                analysis, info=dataclasses.replace(analysis.info, source=row["source"])
            )
            fresh += candidates(named, config, detectors)
    return judge(fresh, config, analyses=analyses, vectors=vectors, similarities=similarities)
