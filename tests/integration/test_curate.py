"""The command as a user sees it, with the detectors that ship."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.unit.curate.standins import video

from worldfoundry.cli import curate as command
from worldfoundry.core.errors import ConfigError, DataError, UsageError
from worldfoundry.curate.index import read_index, schema_of_index, write_index
from worldfoundry.curate.store import open_store
from worldfoundry.data.video_io import probe, read_video

SETTINGS = ["--shots.min-s", "0.5"]


@pytest.fixture(scope="module")
def footage(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("footage")
    video(folder / "pan.mp4", (1, 30, 2))
    video(folder / "b" / "static.mp4", (3, 24, 0))
    (folder / "text.avi").write_text("not a video")
    return folder


@pytest.fixture(scope="module")
def finished(footage, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out") / "set"
    loose = ["--quality.min", "0", "--overlay.max", "1"]
    assert command.run(["run", str(footage), "--out", str(out), *SETTINGS, *loose]) == 0
    return out


def told(capsys, *args: str) -> dict:
    assert command.run([*args, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_plan_touches_nothing(footage, tmp_path, capsys):
    plan = told(capsys, "run", str(footage), "--out", str(tmp_path / "out"), *SETTINGS, "--dry-run")
    assert plan["config"]["shots"]["min_s"] == 0.5
    assert plan["sources"] == ["b/static.mp4", "pan.mp4", "text.avi"]
    assert not (tmp_path / "out").exists()


def test_what_moves_is_kept_and_what_does_not_is_told(finished):
    rows = {r["source"]: r for r in read_index(open_store(finished))}
    assert {name: (r["decision"], r["reason"]) for name, r in rows.items()} == {
        "b/static.mp4": ("rejected", "static"),
        "pan.mp4": ("kept", None),
        "text.avi": ("rejected", "damaged"),
    }
    assert "pan-right" in rows["pan.mp4"]["camera_motion"]
    assert rows["pan.mp4"]["caption"]


def test_other_thresholds_are_tried_without_touching_the_set(finished, capsys):
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*")}
    told_now = told(capsys, "report", str(finished), "--set", "motion.min=0")
    assert (told_now["now"]["kept"], told_now["then"]["kept"]) == (1, 2)
    assert told(capsys, "report", str(finished), "--set", "shots.min_s=30", "shots.max_s=60")["then"] == {
        "rejected: damaged": 1,
        "rejected: too_short": 2,
    }
    assert {p: p.stat().st_mtime_ns for p in finished.rglob("*")} == before
    page = Path(told(capsys, "report", str(finished), "--set", "motion.min=0", "--page")["report"])
    assert "Decided again from stored scores" in page.read_text()
    page.unlink()
    with pytest.raises(ConfigError, match="--page needs --set"):
        command.run(["report", str(finished), "--page"])
    with pytest.raises(
        UsageError, match=r"unknown setting of --set 'motion\.mini'; did you mean 'motion\.min'"
    ):
        command.run(["report", str(finished), "--set", "motion.mini=0"])


def test_a_stricter_subset_comes_from_stored_scores(finished, capsys):
    chosen = told(capsys, "select", str(finished), "--name", "fine", "--set", "motion.min=0.01")
    assert (chosen["clips"], chosen["of"]) == (1, 1)
    (row,) = read_index(open_store(finished), "sets/fine.parquet")
    assert (row["source"], (finished / row["path"]).is_file()) == ("pan.mp4", True)
    assert told(capsys, "select", str(finished), "--name", "none", "--set", "motion.min=9")["clips"] == 0


def test_what_is_found_is_shown_on_a_page(finished, capsys):
    (hit,) = told(capsys, "search", str(finished), "pan-right", "--page")
    assert hit["source"] == "pan.mp4"
    page = finished / "search.html"
    assert "pan.mp4" in page.read_text()
    page.unlink()


def test_status_retry_and_gc(finished, capsys):
    status = told(capsys, "status", str(finished))
    assert (status["state"], status["analysed"], status["clips"]) == ("finished", 2, 1)
    assert told(capsys, "gc", str(finished), "--dry-run")["files"] == []
    rows = [{**row, "path": "clips/zz/yy.mp4"} for row in read_index(open_store(finished)) if row["clip_id"]]
    write_index(open_store(finished), "sets/old.parquet", rows[:1], schema_of_index(open_store(finished)))
    stray = finished / "clips" / "zz" / "zz.mp4"
    stray.parent.mkdir()
    stray.touch()
    (stray.parent / "yy.mp4").touch()
    assert told(capsys, "gc", str(finished))["files"] == ["clips/zz/zz.mp4"]
    assert not stray.exists()
    assert (stray.parent / "yy.mp4").exists(), "a subset still names it"
    (finished / "sets" / "old.parquet").unlink()
    assert told(capsys, "gc", str(finished))["files"] == ["clips/zz/yy.mp4"]
    assert told(capsys, "retry", str(finished))["kept"] == 1
    with pytest.raises(DataError, match="must be a curated set"):
        command.run(["status", str(finished / "clips")])


@pytest.mark.slow
def test_sigterm_finishes_what_is_under_way(footage, finished, tmp_path):
    loose = ["--quality.min", "0", "--overlay.max", "1"]
    line = ["run", str(footage), "--out", str(tmp_path / "out"), *SETTINGS, *loose]
    code = f"import sys\nfrom worldfoundry.cli.main import main\nif __name__ == '__main__': sys.exit(main(['curate', *{line!r}]))"
    script = tmp_path / "once.py"
    script.write_text(code)
    run = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "out" / "manifest.json").exists():
        assert run.poll() is None
        time.sleep(0.05)
    run.send_signal(signal.SIGTERM)
    _, said = run.communicate(timeout=300)
    assert run.returncode == 143
    assert "the same command goes on from here" in said
    assert not list((tmp_path / "out").rglob("*.tmp-*"))
    assert command.run(line) == 0
    for path in finished.glob("clips/*/*"):
        assert (tmp_path / "out" / path.relative_to(finished)).read_bytes() == path.read_bytes()


def test_help_needs_neither_torch_nor_opencv():
    code = (
        "import sys, worldfoundry.cli.curate as c\n"
        "try: c.run(['run', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(bool({'torch', 'cv2', 'av', 'pyarrow', 'ray', 'fsspec'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, "--motion.min" in done.stdout) == (0, True)


def test_workers_need_no_torch():
    code = "import sys, worldfoundry.curate.pipeline; sys.exit(bool({'torch', 'ray'} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_the_samples_are_small_licensed_and_as_described():
    folder = Path(__file__).parents[2] / "samples"
    licences = (folder / "LICENSES.md").read_text()
    clips = sorted(folder.glob("*.mp4"))
    assert len(clips) == 6
    assert sum(p.stat().st_size for p in clips) < 5e6
    for path in clips:
        assert f"`{path.name}`" in licences
        if path.name == "broken.mp4":
            with pytest.raises(DataError, match=r"got \d+ of 150 frames"):
                read_video(path, height=32)
        else:
            info = probe(path)
            assert f"{info.num_frames} frames, {info.width}x{info.height}" in licences
            assert 3 <= info.duration_seconds <= 8.1
