"""Decided sets of made-up clips, in memory and on disk, for tests of pages."""

import json
import math
import random
import re
from types import SimpleNamespace

import numpy as np

from worldfoundry.core.config import to_json
from worldfoundry.curate.config import CurateConfig, TypeConfig
from worldfoundry.curate.decide import rules, screen
from worldfoundry.curate.detect import thumbnails
from worldfoundry.curate.index import CuratedSet, schema_of, write_index
from worldfoundry.curate.records import SCHEMA, Analysis, save_analysis, source_path, write_json
from worldfoundry.curate.report.facts import SetFacts
from worldfoundry.curate.report.whatif import countable
from worldfoundry.curate.store import open_store
from worldfoundry.protocols.curation import SourceInfo

CONFIG = CurateConfig(type=TypeConfig(drop=("screen",), target={"driving": 0.5}))
RULES = rules(CONFIG)
NASTY = "<script>alert(1)</script>\"'&\u202e\udcff.mp4"
JPEG = b"\xff\xd8not a picture\xff\xd9"


def undecided(seed=0, number=300):
    """Spans with scores of every kind: on a threshold, just beside it, missing, not a number."""
    rng = random.Random(seed)
    rows = []
    for k in range(number):
        row = {
            "clip_id": f"{seed:02d}{k:06d}",
            "source": f"films/{k // 7}.mp4",
            "source_id": f"{k // 7:040d}",
            "start_s": float(k % 7 * 5),
            "end_s": k % 7 * 5 + rng.uniform(2, 5),
            "width": 640,
            "height": 360,
            "decision": "",
            "type": rng.choice(["driving", "people", "screen"]),
            "camera_motion": rng.choice(["static", "pan left,shake", ""]),
            "caption": "a <b>car</b>",
        }
        for rule in RULES:
            near = [
                rule.number,
                math.nextafter(rule.number, 9),
                math.nextafter(rule.number, -9),
                None,
                float("nan"),
            ]
            row[rule.score] = rng.choice(near) if rng.random() < 0.2 else rng.lognormvariate(-4, 2) % 1
        rows.append(row)
    return rows


def decided(config=CONFIG, seed=0, number=300):
    """Rows as a run leaves them: rules, then a few copies, the mix, accidents, sources without clips."""
    rows = screen(undecided(seed, number), config)
    first = ""
    for k, row in enumerate([row for row in rows if not row["decision"]]):
        row["decision"], row["path"] = "kept", f"clips/{row['clip_id'][:2]}/{row['clip_id']}.mp4"
        if k % 9 == 1:
            row.update(decision="rejected", reason="duplicate", duplicate_of=first, similarity=0.97)
        elif k % 9 == 2:
            row.update(decision="rejected", reason="mix")
        elif k % 9 == 3:
            row.update(decision="failed", reason="timeout")
        else:
            first = row["clip_id"]
    for k, row in enumerate(rows):
        if k % 41 == 0:
            row.update(decision="rejected", reason="too_short", duplicate_of=None)
    empty = {"clip_id": "", "source_id": "", "start_s": None, "end_s": None}
    lost = [("failed", "error"), ("quarantined", "crash"), ("rejected", "damaged"), ("rejected", "damaged")]
    rows += [
        {**empty, "source": f"{NASTY}{k}", "decision": d, "reason": r, "detail": NASTY}
        for k, (d, r) in enumerate(lost)
    ]
    return rows


def facts(rows, **more):
    settings = {
        "rules": RULES,
        "blocked": lambda row: row.get("type") in CONFIG.type.drop,
        "pictures": lambda row: [(row["start_s"], JPEG)] * 3,
        "reproduce": lambda row: f"worldfoundry curate run {row['source']}",
        "durations": {row["source"]: 40.0 for row in rows},
        "target": CONFIG.type.target,
    }
    return SetFacts(rows=rows, **(settings | more))


class Decided(CuratedSet):
    """A set whose copies and mix need no descriptors."""

    def decided(self, config):
        return screen([{**row, "decision": "", "reason": ""} for row in countable(facts(self.rows))], config)


def stored(root, rows):
    """A set on disk as a run leaves it, with the thumbnails of one source."""
    store = open_store(root)
    plain = {k: NASTY.replace("\udcff", "") for k in ("source", "detail")}  # Parquet holds UTF-8 only
    rows = [row if row["clip_id"] else {**row, **plain} for row in rows]
    info = SourceInfo(source="", source_id="0" * 40, width=64, height=48, fps=8.0, duration_s=40.0)
    meter = thumbnails.Detector().begin(info)
    for k in range(40):
        pixels = np.full((48, 64, 3), 6 * k, np.uint8)
        meter.observe(SimpleNamespace(seconds=float(k), small=pixels, luma=pixels[..., 0]))
    times = np.arange(40.0)
    analysis = Analysis(
        info=info,
        seconds=times,
        damage_s=times[:0],
        num_promised=40,
        is_cut_short=False,
        timelines={"thumbnails": meter.finish()},
    )
    save_analysis(store, source_path("analysis", info.source_id, "-ab12.npz"), analysis, {})
    write_index(store, "index.parquet", rows, schema_of({"shake": float}))
    manifest = {
        "schema": SCHEMA,
        "state": "finished",
        "inputs": ["my films"],
        "detectors": ["camera@3"],
        "fingerprints": {"analysis": "ab12"},
        "config": to_json(CONFIG),
    }
    write_json(store, "manifest.json", manifest)
    return store


def embedded_data(page):
    return json.loads(re.search(r'id="whatif">(.*?)</script>', page)[1])
