"""The numbers behind the sliders: exact counts at every stop of every rule, in one byte a clip and rule.

A slider has up to 201 stops. Of each clip and rule the page holds the number of stops at which the clip passes. Because a
rule is monotone, that says for any stop whether the clip passes, by the same comparison as in Python: the page itself never
compares a score with a threshold, so rounding cannot make the two disagree.
"""

import base64
import hashlib
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from worldfoundry.curate.decide import Rule
from worldfoundry.curate.report.facts import Row, SetFacts, is_clip, is_failure, length
from worldfoundry.curate.report.text import Number

MOST_CLIPS = 50_000
"""Larger sets are counted on a sample, chosen by the clips' ids."""
_STOPS = 200
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A range of scores, evenly spread or by their logarithm; what lies outside is shown at its ends."""

    low: float
    """Left end."""
    high: float
    """Right end."""
    log: bool = False
    """Whether equal ratios are equally far apart."""

    def place(self, score: Number) -> float:
        """Where a score lies, 0 to 1."""
        score = min(max(score, self.low), self.high)
        if self.log:
            return math.log(score / self.low) / math.log(self.high / self.low)
        return (score - self.low) / (self.high - self.low)

    def at(self, place: float) -> float:
        """The score at a place."""
        if self.log:
            return self.low * (self.high / self.low) ** place
        return self.low + (self.high - self.low) * place


def axis_of(rules: Sequence[Rule], scores: Sequence[Number]) -> Axis:
    """The axis of one score: every rule's number and nearly all scores, between round numbers."""
    numbers = [rule.number for rule in rules]
    if any(rule.scale == "log" for rule in rules):
        some = [v for v in (*scores, *numbers) if v > 0] or [0.01, 1.0]
        low, high = math.floor(math.log10(max(min(some), max(some) * 1e-4))), math.ceil(math.log10(max(some)))
        return Axis(low=10.0**low, high=10.0 ** max(high, low + 1), log=True)
    some = [*scores, *numbers] or [0.0]
    if min(some) >= 0 and max(some) <= 1:
        return Axis(low=0.0, high=1.0)
    edges = np.quantile(scores, [0.001, 0.999]).tolist() if scores else []
    low, high = min(0.0, *edges, *numbers), max(0.0, *edges, *numbers)
    step = _round_step((high - low or 1.0) / 10)
    return Axis(low=math.floor(low / step) * step, high=math.ceil((high or 1.0) / step) * step)


def stops_of(rule: Rule, axis: Axis) -> list[Number]:
    """The numbers that a rule's slider can take, rising; the one in force is among them, so that it can be returned to."""
    if axis.log:
        grid = [float(f"{axis.at(k / _STOPS):.3g}") for k in range(_STOPS + 1)]
    else:
        step = _round_step((axis.high - axis.low) / _STOPS)
        digits = max(0, 1 - math.floor(math.log10(step)))
        first, last = math.ceil(axis.low / step - 1e-9), math.floor(axis.high / step + 1e-9)
        grid = [round(k * step, digits) for k in range(first, last + 1)]
    near = min(range(len(grid)), key=lambda k: abs(axis.place(grid[k]) - axis.place(rule.number)))
    return sorted({*grid[:near], *grid[near + 1 :], rule.number})


def _round_step(least: float) -> float:
    """The smallest round number that is not smaller."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(nice * power for nice in _NICE if nice * power >= least * (1 - 1e-9))


def codes_of(rule: Rule, stops: Sequence[Number], scores: Sequence[Number | None]) -> np.ndarray:
    """Of each score, the number of stops at which it passes, uint8 [n]."""
    rising = rule.keeps == "at most"
    variants = [replace(rule, number=number) for number in stops]

    def passed(score: Number | None) -> int:
        # Whether it passes changes once along the stops, so the rule itself can be asked by bisection.
        row = {rule.score: score}
        first = bisect_left(variants, True, key=lambda variant: bool(variant.passes(row)) is rising)
        return len(stops) - first if rising else first

    known = {score: passed(score) for score in set(scores)}
    return np.array([known[score] for score in scores], np.uint8)


def countable(facts: SetFacts) -> list[Row]:
    """Clips that only rules with a number decide about: those that are kept, rejected by one, or dropped after them all."""
    asked = {rule.reason for rule in facts.rules}

    def counts(row: Row) -> bool:
        if not is_clip(row) or is_failure(row) or facts.blocked(row):
            return False
        after = bool(row.get("duplicate_of")) or row.get("reason") == "mix"
        return row.get("decision") == "kept" or after or row.get("reason") in asked

    return [row for row in facts.rows if counts(row)]


def sampled(rows: Sequence[Row], most: int = MOST_CLIPS) -> Sequence[Row]:
    """At most so many rows, the same ones whatever the order."""
    if len(rows) <= most:
        return rows
    return sorted(rows, key=lambda r: hashlib.blake2b(str(r["clip_id"]).encode(), digest_size=8).digest())[
        :most
    ]


def payload(facts: SetFacts, axes: Sequence[Axis]) -> dict[str, Any]:
    """What the sliders' script reads: lengths and codes of clips, and each rule's stops and place of its number."""
    every = countable(facts)
    rows = sampled(every)
    rules = []
    for rule, axis in zip(facts.rules, axes, strict=True):
        stops = stops_of(rule, axis)
        codes = codes_of(rule, stops, [row.get(rule.score) for row in rows])
        rules.append(
            {
                "setting": rule.setting,
                "least": rule.keeps == "at least",
                "stops": stops,
                "places": [round(100 * axis.place(number), 2) for number in stops],
                "now": stops.index(rule.number),
                "codes": base64.b64encode(codes.tobytes()).decode(),
            }
        )
    milliseconds = np.array([round(1000 * length(row)) for row in rows], "<u4")
    return {
        "clips": len(every),
        "sample": len(rows),
        "lengths": base64.b64encode(milliseconds.tobytes()).decode(),
        "rules": rules,
    }
