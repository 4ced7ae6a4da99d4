import base64
import random
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.curate.decided import (
    CONFIG,
    RULES,
    decided,
    embedded_data,
    facts,
)

from worldfoundry.curate.config import MotionConfig
from worldfoundry.curate.decide import screen
from worldfoundry.curate.report.page import report_page
from worldfoundry.curate.report.whatif import axis_of, countable, payload, sampled, stops_of


def passing_by_page(data, stops):
    """Counts as the page's script makes them: from codes and stops alone."""
    whole = np.ones(data["sample"], bool)
    for rule, stop in zip(data["rules"], stops, strict=True):
        codes = np.frombuffer(base64.b64decode(rule["codes"]), np.uint8)
        whole &= stop < codes if rule["least"] else stop >= len(rule["stops"]) - codes
    milliseconds = np.frombuffer(base64.b64decode(data["lengths"]), "<u4")
    return int(whole.sum()), int(milliseconds[whole].sum())


@pytest.mark.parametrize("seed", range(3))
def test_what_if_counts_equal_a_decision_made_again(seed):
    rows = decided(seed=seed)
    told = facts(rows)
    data = embedded_data(report_page(told))
    held = [{**row, "decision": ""} for row in countable(told)]
    rng = random.Random(seed)
    for trial in range(25):
        stops = [rule["now"] if trial == 0 else rng.randrange(len(rule["stops"])) for rule in data["rules"]]
        numbers = {
            rule["setting"]: rule["stops"][stop] for rule, stop in zip(data["rules"], stops, strict=True)
        }
        moved = [replace(rule, number=numbers[rule.setting]) for rule in RULES]
        left = [row for row in held if all(rule.passes(row) for rule in moved)]
        clips, milliseconds = passing_by_page(data, stops)
        assert clips == len(left)
        assert milliseconds == sum(round(1000 * (row["end_s"] - row["start_s"])) for row in left)
        if trial == 0:  # what passed the rules is what was kept or dropped after them
            after = ("duplicate", "mix")
            assert clips == sum(
                row["decision"] == "kept" or row["reason"] in after for row in countable(told)
            )


def test_what_if_equals_screening_with_other_settings():
    told = facts(decided())
    data = embedded_data(report_page(told))
    stop = 120
    stops = [stop if rule["setting"] == "motion.min" else rule["now"] for rule in data["rules"]]
    least = next(r["stops"][stop] for r in data["rules"] if r["setting"] == "motion.min")
    other = replace(CONFIG, motion=MotionConfig(min=least, max_shake=CONFIG.motion.max_shake))
    fresh = [{**row, "decision": "", "reason": ""} for row in countable(told)]
    left = sum(not row["decision"] for row in screen(fresh, other))
    assert passing_by_page(data, stops)[0] == left


def test_each_number_in_force_is_a_stop_and_every_stop_fits_a_byte():
    rng = random.Random(1)
    for _ in range(100):
        rule = replace(
            rng.choice(RULES),
            number=rng.choice([0.0, 1.0, 1e-6, rng.uniform(-3, 40), rng.lognormvariate(0, 3)]),
        )
        scores = [rng.lognormvariate(0, 2) * rng.choice([1, 0, -1]) for _ in range(rng.choice([0, 1, 50]))]
        axis = axis_of([rule], scores)
        stops = stops_of(rule, axis)
        assert rule.number in stops
        assert stops == sorted(set(stops))
        assert 2 <= len(stops) <= 254
        assert all(0 <= axis.place(stop) <= 1 for stop in stops)


def test_a_sample_does_not_depend_on_the_order():
    rows = decided(number=500)[:500]
    assert sampled(rows, 100) == sampled(rows[::-1], 100)
    assert len(sampled(rows, 100)) == 100
    assert sampled(rows, 500) is rows
    told = facts(rows)
    assert payload(told, [axis_of([rule], []) for rule in RULES])["sample"] == len(countable(told))
