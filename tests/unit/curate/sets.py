"""A small finished set on disk, as the pipeline leaves it, made of drawn clips."""

import functools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from tests.unit.curate.planted import filmed, timeline_of

from worldfoundry.core.config import to_json
from worldfoundry.curate.config import CurateConfig
from worldfoundry.curate.index import schema_of, write_index
from worldfoundry.curate.records import SCHEMA, Analysis, Row, save_analysis, source_path, write_json
from worldfoundry.curate.store import Store, open_store
from worldfoundry.data.video_write import VideoWriter
from worldfoundry.protocols.curation import SourceInfo, Timeline

FPS = 20.0
FINGERPRINT = "0" * 16


def row_of(k: int, **changes: Any) -> Row:
    row: Row = {
        "clip_id": f"{k:020x}",
        "source": f"films/{k}.mp4",
        "source_id": f"{k:040x}",
        "start_s": 0.0,
        "end_s": 4.0,
        "num_frames": 80,
        "width": 160,
        "height": 96,
        "fps": FPS,
        "is_still": False,
        "decision": "kept",
        "reason": "",
        "repeat": 1,
        "motion": 0.1,
        "camera_motion": "static",
        "quality": 0.5,
        "type": "robot",
        "caption": f"caption {k}",
        "caption_by": "measured",
        "caption_state": "success",
        "path": f"clips/{k:02x}/{k:020x}.mp4",
    }
    return {**row, **changes}


@functools.cache
def clip_of(k: int) -> tuple[bytes, Timeline]:
    """A clip that shows moment k, and its timeline; encoded once for all tests."""
    pixels = filmed(moment=k)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        with VideoWriter(path, fps=FPS) as writer:
            for picture in pixels:
                writer.write(picture)
        return path.read_bytes(), timeline_of(pixels, FPS)


def make_set(folder: Path, rows: list[Row], config: CurateConfig | None = None) -> Store:
    """Write a set; the clip of row k shows moment k of the drawn scene, and its analysis is that of the clip."""
    store = open_store(folder)
    for k, row in enumerate(rows):
        if row["decision"] == "kept":
            clip, timeline = clip_of(k)
            store.write_bytes(row["path"], clip)
            info = SourceInfo(
                source="", source_id=row["source_id"], width=160, height=96, fps=FPS, duration_s=4.0
            )
            analysis = Analysis(
                info=info,
                seconds=np.arange(80) / FPS,
                damage_s=np.zeros(0),
                num_promised=80,
                is_cut_short=False,
                timelines={"descriptor": timeline},
            )
            save_analysis(
                store, source_path("analysis", row["source_id"], f"-{FINGERPRINT}.npz"), analysis, {}
            )
    write_index(store, "index.parquet", rows, schema_of({}))
    manifest = {
        "schema": SCHEMA,
        "state": "finished",
        "inputs": ["films"],
        "config": to_json(config or CurateConfig()),
        "fingerprints": {"analysis": FINGERPRINT},
    }
    write_json(store, "manifest.json", manifest)
    return store
