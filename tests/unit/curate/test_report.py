import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from tests.unit.curate.decided import (
    CONFIG,
    NASTY,
    RULES,
    Decided,
    decided,
    embedded_data,
    facts,
    stored,
    undecided,
)

from worldfoundry.curate.config import MotionConfig
from worldfoundry.curate.decide import rules, screen
from worldfoundry.curate.index import load_set
from worldfoundry.curate.report import facts as facts_module
from worldfoundry.curate.report import loading, write_report
from worldfoundry.curate.report.browse import browse_page
from worldfoundry.curate.report.facts import SetFacts, funnel
from worldfoundry.curate.report.page import report_page


def test_the_funnel_accounts_for_every_row_and_second():
    rows = decided()
    steps = funnel(facts(rows))
    files, clips = ([s for s in steps if s.unit == unit] for unit in ("file", "clip"))
    assert sum(s.clips for s in files if s.kind == "loss") + sum(
        s.clips for s in clips if s.kind != "stock"
    ) == len(rows)
    assert clips[0].clips == sum(s.clips for s in clips[1:]) == sum(bool(r["clip_id"]) for r in rows)
    assert clips[0].seconds == pytest.approx(sum(s.seconds for s in clips[1:]))
    assert files[0].clips == len({r["source"] for r in rows})
    assert clips[-1].kind == "kept"
    assert clips[-1].clips == sum(r["decision"] == "kept" for r in rows) > 0
    order = [s.reason for s in clips[1:-1]]
    assert order == [
        "too_short",
        "unwanted_type",
        "blank",
        "static",
        "shaking",
        "low_quality",
        "overlay_text",
        "duplicate",
        "mix",
        "timeout",
    ]


def test_equal_sets_give_equal_bytes_and_need_nothing_but_themselves():
    page = report_page(facts(decided()))
    assert report_page(facts(decided())) == page
    assert not re.findall(r'(?:src|href)="(?!data:image/jpeg|clips/|#)', page)
    assert "http://" not in page.replace("http-equiv", "")
    page.encode("utf-8")


class Tags(HTMLParser):
    """Every tag that a browser would see, and whether each is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "input", "path"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag == "path" or self.open.pop() == tag


@pytest.mark.parametrize(
    "make",
    [
        lambda f: report_page(f),
        lambda f: browse_page(f.rows, f.pictures, title=NASTY, intro=NASTY, scores=["motion"]),
    ],
)
def test_nothing_from_outside_becomes_markup(make):
    rows = [
        {**row, "source": NASTY, "caption": NASTY, "type": NASTY, "camera_motion": NASTY}
        for row in decided(number=60)
    ]
    for row in rows:
        row["reason"] = row.get("reason") and NASTY if row["decision"] == "failed" else row.get("reason")
        row["path"] = 'javascript:alert("1")' if row.get("path") else None
    told = facts(
        rows,
        origin=NASTY,
        notice=NASTY,
        settings={NASTY: NASTY},
    )
    page = make(told)
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert "alert(1)</script" not in page
    assert "\u202e" not in page
    page.encode("utf-8")
    names = {tag for tag, _ in tags.seen}
    assert names <= set(
        "html head meta title style body a header h1 h2 h3 h4 p code div b span nav main section table thead tbody tr th td "
        "svg path i input label output details summary article img caption button script select option pre".split()
    )
    for tag, attributes in tags.seen:
        assert not [name for name in attributes if name.startswith("on")]
        if tag == "a":
            assert attributes["href"].startswith(("#", "javascript%3A"))


def test_a_page_of_a_set_without_kept_clips_says_so():
    strict = replace(CONFIG, motion=MotionConfig(min=1e9))
    rows = screen([{**row, "motion": 0.5} for row in undecided()], strict)
    page = report_page(facts(rows, rules=rules(strict)))
    assert "No clip was kept." in page
    assert "static" in page
    assert embedded_data(page)["sample"] == sum(row["type"] != "screen" for row in rows)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [r for r in decided() if not r["clip_id"]],
        screen([{**undecided(number=1)[0], "shake": None}], CONFIG),
    ],
)
def test_small_sets_and_missing_scores_have_pages(rows):
    assert "Curation report" in report_page(facts(rows))
    assert "Curation report" in report_page(SetFacts(rows=rows))
    bare = [
        {k: v for k, v in row.items() if k in ("clip_id", "source", "decision", "start_s", "end_s")}
        for row in rows
    ]
    assert "Curation report" in report_page(facts(bare, pictures=lambda row: ()))
    assert "0 clips" in browse_page([], lambda row: ()) + "0 clips"


def test_a_large_set_has_a_page_of_bounded_size():
    rows = decided(number=900)
    large = [(0.0, bytes(40_000))] * 3
    page = report_page(facts(rows, pictures=lambda row: large))
    assert len(page) < 14e6
    assert re.search(r"nearest to [\d.]+, [\d,]+ more", page)
    gallery = browse_page(rows, lambda row: large, most=40)
    assert gallery.count("<article") == 40
    assert "The first 40 are here" in gallery


def test_the_gallery_keeps_the_order_and_holds_what_it_filters_and_sorts_by():
    rows = [row for row in decided() if row["clip_id"]][::-1]
    page = browse_page(rows, lambda row: (), scores=["motion"])
    tags = Tags()
    tags.feed(page)
    cards = [attributes for tag, attributes in tags.seen if tag == "article"]
    assert len(cards) == len(rows)
    for row, card in zip(rows, cards, strict=True):
        assert row["source"] in card["data-find"]
        assert "a <b>car</b>" in card["data-find"]
        assert json.loads(card["data-type"]) == [row["type"]]
        assert json.loads(card["data-camera"]) == [tag for tag in row["camera_motion"].split(",") if tag]
        motion = row["motion"]
        assert json.loads(card["data-scores"]) == (
            {} if motion is None or motion != motion else {"motion": motion}
        )


def test_a_report_is_written_from_what_is_stored(tmp_path):
    rows = decided(number=40)
    pages = []
    for name in ("one", "two"):
        store = stored(tmp_path / name, rows)
        assert write_report(store) == "report.html"
        pages.append(store.read_bytes("report.html"))
    assert pages[0] == pages[1]
    told = loading.facts_of(load_set(store))
    assert told.durations == {"films/0.mp4": 40.0}
    first = next(row for row in told.rows if row["source_id"] == "0" * 40 and row["start_s"] == 5)
    times = [seconds for seconds, _ in told.pictures(first)]
    assert times == sorted(set(times))
    assert all(first["start_s"] <= seconds < first["end_s"] for seconds in times)
    assert told.pictures({**first, "source_id": "1" * 40}) == ()
    assert all(data.startswith(b"\xff\xd8") for _, data in told.pictures(first))
    assert b"camera" in pages[0]


def test_a_report_of_other_settings_says_what_they_are(tmp_path):
    whole = load_set(stored(tmp_path, decided()))
    loaded = Decided(whole.store, whole.manifest, whole.config, whole.rows)
    told = loading.facts_of(
        loaded, replace(CONFIG, motion=MotionConfig(min=0.25, max_shake=CONFIG.motion.max_shake))
    )
    assert "motion.min 0.002 \u2192 0.25" in told.notice
    assert "worldfoundry curate run 'my films' --out OUT --motion.min 0.25" in told.notice
    assert {rule.setting: rule.number for rule in told.rules}["motion.min"] == 0.25
    assert told.settings["motion.min"] == 0.25
    assert "Decided again from stored scores" in report_page(told)
    assert loading.facts_of(loaded).notice == ""


def test_reasons_of_the_rules_have_words():
    assert {rule.reason for rule in RULES} <= set(facts_module.LABELS)
