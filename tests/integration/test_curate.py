"""Curation end to end: interrupted equals straight, one worker equals two, and everything found is in the index."""

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from worldfoundry.cli import curate as command
from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.curate import pipeline
from worldfoundry.curate.config import CurateConfig
from worldfoundry.curate.index import read_index
from worldfoundry.curate.report import write_report
from worldfoundry.data.video_io import probe, read_video
from worldfoundry.data.video_write import write_video
from worldfoundry.protocols.video import Frames

CONFIG = CurateConfig(min_clip_seconds=0.5, analysis_width=96)
FPS = 12.0


def blobs(seed: int, num_frames: int, step: int) -> list[np.ndarray]:
    coarse = np.random.default_rng(seed).integers(0, 255, (7, 20, 3), np.uint8)
    wide = cv2.resize(coarse, (240, 72), interpolation=cv2.INTER_CUBIC)
    return [wide[:, step * k : step * k + 96] for k in range(num_frames)]


def video(path: Path, *shots: tuple[int, int, int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.stack([frame for shot in shots for frame in blobs(*shot)])
    write_video(path, Frames.at_constant_rate(pixels, FPS))
    return path


@pytest.fixture(scope="module")
def footage(tmp_path_factory) -> Path:
    """A cut, a static shot, a short shot, a damaged file, a copy and a text that is no video."""
    folder = tmp_path_factory.mktemp("footage")
    video(folder / "a.mp4", (1, 14, 2), (2, 12, 3))
    video(folder / "b" / "static.mp4", (3, 12, 0))
    short = video(folder / "b" / "short.mp4", (4, 12, 2), (5, 4, 2))
    data = (folder / "a.mp4").read_bytes()
    (folder / "c-broken.mp4").write_bytes(data[: len(data) * 2 // 3])
    (folder / "d-copy.mp4").write_bytes(short.read_bytes())
    (folder / "e-text.avi").write_text("not a video")
    (folder / ".hidden.mp4").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def straight(footage, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out") / "straight"
    result = pipeline.run(footage, out, CONFIG)
    assert (result.num_videos, result.kept) == (6, 3)
    assert result.rejected == {"damaged": 2, "duplicate_source": 1, "static": 1, "too_short": 1}
    return out


def everything(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_the_index_has_a_row_for_everything_that_was_found(straight):
    rows = read_index(straight / "index.parquet")
    facts = [(r["source"], r["num_frames"], r["kept"], r["reason"]) for r in rows]
    assert facts == [
        ("a.mp4", 14, True, ""),
        ("a.mp4", 12, True, ""),
        ("b/short.mp4", 12, True, ""),
        ("b/short.mp4", 4, False, "too_short"),
        ("b/static.mp4", 12, False, "static"),
        ("c-broken.mp4", 0, False, "damaged"),
        ("d-copy.mp4", 0, False, "duplicate_source"),
        ("e-text.avi", 0, False, "damaged"),
    ]
    assert [r["start_seconds"] for r in rows[:2]] == [0, pytest.approx(14 / FPS, abs=1e-6)]
    assert re.search(r"got \d+ of 26 frames", rows[5]["detail"])
    assert rows[6]["detail"] == "the same bytes as b/short.mp4"
    clips = {p.relative_to(straight).as_posix() for p in straight.glob("clips/*")}
    assert clips == {r["path"] for r in rows if r["kept"]}
    assert len({r["clip_id"] for r in rows if r["clip_id"]}) == 5


def test_a_clip_has_the_frames_of_its_span(straight, footage):
    row = read_index(straight / "index.parquet")[1]
    clip, source = read_video(straight / row["path"]), read_video(footage / "a.mp4")
    assert (clip.fps, clip.pixels.shape) == (FPS, (12, 72, 96, 3))
    assert clip.pts_seconds[0] == 0
    error = np.abs(clip.pixels.astype(int) - source.pixels[14:]).mean()
    assert error < 3


def test_killed_half_way_and_run_again_is_the_same_as_straight(straight, footage, tmp_path):
    def kill(done: int, total: int, name: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(footage, out, CONFIG, progress=kill)
    assert not (out / "index.parquet").exists()
    parts = {p: p.stat().st_mtime_ns for p in out.glob("work/*.json")}
    assert len(parts) == 2
    next(out.glob("clips/*")).unlink()  # its video is done again
    (out / "clips" / ".half.tmp-0123.mp4").write_bytes(b"as kill -9 leaves it")
    pipeline.run(footage, out, CONFIG)
    assert sum(p.stat().st_mtime_ns == t for p, t in parts.items()) == 1
    assert everything(out) == everything(straight)


def test_two_workers_give_the_same_bytes_as_one(straight, footage, tmp_path):
    pipeline.run(footage, tmp_path / "out", CONFIG, num_workers=2)
    assert everything(tmp_path / "out") == everything(straight)


def test_a_finished_run_done_again_writes_no_clip(straight, footage):
    before = {p: p.stat().st_mtime_ns for p in straight.glob("clips/*")}
    pipeline.run(footage, straight, CONFIG)
    assert {p: p.stat().st_mtime_ns for p in straight.glob("clips/*")} == before


def test_what_nobody_foresaw_is_a_row_that_is_tried_again(footage, tmp_path, monkeypatch):
    source, out = tmp_path / "in", tmp_path / "out"
    for name in ("a", "b"):
        video(source / f"{name}.mp4", (ord(name), 12, 2))
    honest = pipeline.describe

    def broken(path, name, sha):
        if name == "a.mp4":
            raise ZeroDivisionError("surprise")
        return honest(path, name, sha)

    monkeypatch.setattr(pipeline, "describe", broken)
    assert pipeline.run(source, out, CONFIG).rejected == {"failed": 1}
    row = read_index(out / "index.parquet")[0]
    assert (row["reason"], row["detail"]) == ("failed", "ZeroDivisionError: surprise")
    assert "in broken" in (out / "report.html").read_text()
    monkeypatch.setattr(pipeline, "describe", honest)
    assert pipeline.run(source, out, CONFIG).kept == 2
    assert not list(out.glob("work/*.failed.json"))


def test_a_set_is_never_a_mixture(straight, footage, tmp_path):
    with pytest.raises(ConfigError, match=r"crf 18 -> 20.*give another folder"):
        pipeline.run(footage, straight, CurateConfig(min_clip_seconds=0.5, analysis_width=96, crf=20))
    other = video(tmp_path / "in" / "a.mp4", (1, 12, 2)).parent
    with pytest.raises(ConfigError, match="source folder"):
        pipeline.run(other, straight, CONFIG)
    with pytest.raises(ConfigError, match="must be empty"):
        pipeline.run(footage, other, CONFIG)
    with pytest.raises(ConfigError, match="outside the source folder"):
        pipeline.run(footage, footage / "out", CONFIG)
    assert not (footage / "out").exists()
    with pytest.raises(DataError, match="must hold videos"):
        pipeline.run(straight / "work", tmp_path / "new", CONFIG)
    with pytest.raises(DataError, match="must be a folder"):
        pipeline.run(tmp_path / "absent", tmp_path / "new", CONFIG)
    assert not (tmp_path / "new").exists()


def test_a_height_cap_scales_down_and_never_up(tmp_path):
    video(tmp_path / "in" / "a.mp4", (1, 12, 2))
    for cap, size in ((48, (48, 64)), (200, (72, 96))):
        out = tmp_path / str(cap)
        pipeline.run(tmp_path / "in", out, CurateConfig(min_clip_seconds=0.5, max_height=cap))
        (row,) = read_index(out / "index.parquet")
        info = probe(out / row["path"])
        assert (info.height, info.width) == (row["height"], row["width"]) == size


def test_the_report_needs_nothing_but_itself(straight, tmp_path):
    page = (straight / "report.html").read_text()
    assert len(re.findall(r'src="data:image/jpeg;base64,', page)) == 5
    assert not re.findall(r'(?:src|href)="(?!data:|clips/)', page)
    for word in ("too_short", "static", "damaged", "duplicate_source", "c-broken.mp4", "min_motion"):
        assert word in page
    assert write_report(straight).read_text() == page
    with pytest.raises(DataError, match="curated set"):
        write_report(tmp_path)


def test_names_from_outside_cannot_write_into_the_report(tmp_path):
    video(tmp_path / "in" / "<b>&.mp4", (1, 12, 2))
    pipeline.run(tmp_path / "in", tmp_path / "out", CONFIG)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "&lt;b&gt;&amp;.mp4" in page
    assert "<b>&.mp4" not in page


def test_help_needs_neither_torch_nor_opencv():
    code = (
        "import sys, worldfoundry.cli.curate as c\n"
        "try: c.run(['run', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(bool({'torch', 'cv2', 'av', 'pyarrow', 'scenedetect'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, "--min-motion" in done.stdout) == (0, True)


def test_the_command_runs_plans_and_reports(footage, tmp_path, capsys):
    out = tmp_path / "out"
    settings = ["--out", str(out), "--min-clip-seconds", "0.5", "--analysis-width", "96"]
    assert command.run(["run", str(footage), *settings, "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["config"]["min_clip_seconds"] == 0.5
    assert len(plan["videos"]) == 6
    assert not out.exists()
    assert command.run(["run", str(footage), *settings, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["videos"], facts["kept"]) == (6, 3)
    assert command.run(["report", str(out)]) == 0
    assert capsys.readouterr().out == f"report {out / 'report.html'}\n"


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
