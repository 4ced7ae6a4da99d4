"""Other tools find in an export what they look for: their readers are repeated here in a few lines."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.unit.curate.sets import make_set, row_of

from worldfoundry.core.errors import DataError, UnknownNameError
from worldfoundry.curate.export import FORMATS, export
from worldfoundry.curate.index import read_index, schema_of_index, write_embeddings, write_index
from worldfoundry.curate.store import open_store
from worldfoundry.data.video_io import probe


@pytest.fixture
def curated(tmp_path):
    rows = [
        row_of(0),
        row_of(1, caption=""),
        row_of(2, decision="rejected", reason="static", path=None),
        row_of(3, source="films/0.mp4", source_id=f"{0:040x}", start_s=0.0),
        {
            "clip_id": "",
            "source": "films/bad.mp4",
            "source_id": "f" * 40,
            "decision": "failed",
            "reason": "timeout",
        },
    ]
    return make_set(tmp_path / "set", rows)


def predict2_items(folder: Path, num_frames: int) -> list[tuple[Path, str]]:
    """As the public loader does: list the videos, pair by base name, refuse clips with too few frames."""
    items = []
    for video in sorted((folder / "videos").glob("*.mp4")):
        assert probe(video).num_frames >= num_frames
        items.append((video, (folder / "metas" / f"{video.stem}.txt").read_text()))
    return items


def test_predict2_pairs_every_captioned_clip_with_its_text(curated, tmp_path):
    facts = export(curated, "predict2", open_store(tmp_path / "out"))
    items = predict2_items(tmp_path / "out", 80)
    assert sorted(text for _, text in items) == ["caption 0", "caption 3"]
    assert facts == {"clips": 2, "left_out": 1, "files": 4}


def test_predict2_holds_a_clip_as_often_as_the_mix_repeats_it(curated, tmp_path):
    rows = read_index(curated)
    for row in rows:
        row["repeat"] = 3 if row["caption"] == "caption 3" else row["repeat"]
    write_index(curated, "index.parquet", rows, schema_of_index(curated))
    facts = export(curated, "predict2", open_store(tmp_path / "out"))
    texts = [text for _, text in predict2_items(tmp_path / "out", 80)]
    assert sorted(texts) == ["caption 0", *["caption 3"] * 3]
    assert facts == {"clips": 4, "left_out": 1, "files": 8}


def test_cosmos_curate_summary_leads_to_every_clip_and_its_record(curated, tmp_path):
    write_embeddings(curated, "clip", {f"{0:020x}": np.ones(3, np.float32)})
    export(curated, "cosmos-curate", open_store(tmp_path / "out"))
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    videos = {
        k: v for k, v in summary.items() if isinstance(v, dict) and "clips" in v
    }  # as its sharding finds inputs
    assert summary["num_input_videos"] == len(videos) == 4
    clips = [clip for video in videos.values() for clip in video["clips"]]
    assert len(clips) == len(set(clips)) == 3
    assert sum(len(v["filtered_clips"]) for v in videos.values()) == 1
    for clip in clips:
        meta = json.loads((tmp_path / f"out/metas/v0/{clip}.json").read_text())
        info = probe(tmp_path / "out" / meta["clip_location"])
        assert (meta["span_uuid"], meta["num_frames"]) == (clip, info.num_frames)
        assert meta["num_bytes"] == (tmp_path / "out" / meta["clip_location"]).stat().st_size
        assert all(w["measured_caption"].startswith("caption") for w in meta["windows"])


def test_duckdb_opens_the_parquet_export(curated, tmp_path):
    import duckdb

    export(curated, "parquet", open_store(tmp_path / "out"))
    clips = tmp_path / "out/clips.parquet"
    found = duckdb.sql(
        f"select type, count(*), sum(end_s - start_s) from '{clips}' where quality > 0.3 group by type"
    ).fetchall()
    assert found == [("robot", 3, 12.0)]
    paths = duckdb.sql(f"select path from '{clips}' order by path").fetchall()
    assert all((tmp_path / "out" / path).is_file() for (path,) in paths)
    rest = duckdb.sql(
        f"select decision, reason from '{tmp_path / 'out/rejected.parquet'}' order by decision"
    ).fetchall()
    assert rest == [("failed", "timeout"), ("rejected", "static")]


def test_duckdb_reads_the_index_itself(curated, tmp_path):
    import duckdb

    found = duckdb.sql(
        f"select decision, count(*) from '{tmp_path / 'set/index.parquet'}' group by all order by all"
    ).fetchall()
    assert found == [("failed", 1), ("kept", 3), ("rejected", 1)]


@pytest.mark.parametrize("fmt", FORMATS)
def test_an_export_made_again_is_the_same_and_drops_what_the_set_dropped(curated, tmp_path, fmt):
    out = open_store(tmp_path / "out")
    export(curated, fmt, out)
    before = {name: out.read_bytes(name) for name in out.names()}
    out.write_bytes("videos/left-over.mp4", b"of an older set")
    export(curated, fmt, out)
    assert {name: out.read_bytes(name) for name in out.names()} == before


def test_a_folder_with_other_files_is_left_alone(curated, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("precious")
    with pytest.raises(DataError, match="another folder"):
        export(curated, "parquet", open_store(tmp_path / "mine"))
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    with pytest.raises(DataError, match="set itself"):
        export(curated, "parquet", curated)
    with pytest.raises(UnknownNameError, match="predict2"):
        export(curated, "predict", open_store(tmp_path / "new"))
    export(curated, "parquet", open_store(tmp_path / "new"))
    with pytest.raises(DataError, match="another form"):
        export(curated, "predict2", open_store(tmp_path / "new"))
