"""Every source gets one recorded outcome, whatever it does to its worker, and the same request ends in the same bytes."""

import dataclasses
import os
import re
import types
from pathlib import Path

import numpy as np
import pytest
from tests.unit.curate.faults import Fault
from tests.unit.curate.standins import FPS, Change, blobs, video

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.curate import encode, enrich
from worldfoundry.curate.config import (
    AnnotateConfig,
    CurateConfig,
    DedupConfig,
    EncodeConfig,
    LimitsConfig,
    MotionConfig,
    QualityConfig,
    ShotsConfig,
    TypeConfig,
)
from worldfoundry.curate.decide import decide_again
from worldfoundry.curate.detect.descriptor import DescriptorDetector
from worldfoundry.curate.index import load_set, read_index
from worldfoundry.curate.local import LocalExecutor
from worldfoundry.curate.pipeline import Request, run
from worldfoundry.curate.store import open_store
from worldfoundry.curate.watch import BreakerTrippedError, DrainedError
from worldfoundry.data.video_io import probe, read_video
from worldfoundry.data.video_write import write_image, write_video
from worldfoundry.protocols.frames import Frames

CONFIG = CurateConfig(
    shots=ShotsConfig(min_s=0.5, max_s=4.0),
    motion=MotionConfig(min=0.5),
    dedup=DedupConfig(perceptual=False),
    annotate=AnnotateConfig(captioner="none"),
    limits=LimitsConfig(base_s=120.0, memory_gb=6.0),
)
DETECTORS = (Change(), Fault())


def everything(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def request(source: Path, out: Path, config: CurateConfig = CONFIG, **settings) -> Request:
    return Request(inputs=(str(source),), out=out, config=config, **{"detectors": DETECTORS, **settings})


def curate(source: Path, out: Path, config: CurateConfig = CONFIG, *, workers: int = 0, **settings):
    executor = LocalExecutor(num_workers=workers, memory_gb=config.limits.memory_gb)
    return run(request(source, out, config, **settings), executor=executor)


def rows_of(out: Path) -> list[dict]:
    return read_index(open_store(out))


@pytest.fixture(scope="module")
def footage(tmp_path_factory) -> Path:
    """A cut, a static shot, a short shot, an image, a damaged file, a copy, a gap, and a text that is no video."""
    folder = tmp_path_factory.mktemp("footage")
    video(folder / "a.mp4", (1, 14, 2), (2, 12, 3))
    video(folder / "b" / "static.mp4", (3, 12, 0))
    short = video(folder / "b" / "short.mp4", (4, 12, 2), (5, 4, 2))
    data = (folder / "a.mp4").read_bytes()
    (folder / "c-broken.mp4").write_bytes(data[: len(data) * 2 // 3])
    (folder / "d-copy.mp4").write_bytes(short.read_bytes())
    (folder / "e-text.avi").write_text("not a video")
    times = np.arange(24) / FPS + np.where(np.arange(24) >= 12, 5.0, 0.0)
    video(folder / "f-gap.mp4", (6, 24, 1), seconds=times)
    write_image(folder / "g-image.png", blobs(7, 1, 0)[0])
    (folder / ".hidden.mp4").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def straight(footage, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out") / "straight"
    result = curate(footage, out)
    assert result.exit_code == 0
    assert (result.num_sources, result.kept) == (8, 6)
    assert result.rejected == {"damaged": 2, "duplicate_source": 1, "static": 1, "too_short": 1}
    return out


def test_the_index_has_a_row_for_everything_that_was_found(straight):
    rows = rows_of(straight)
    assert [(r["source"], r["num_frames"], r["decision"], r["reason"]) for r in rows] == [
        ("a.mp4", 14, "kept", None),
        ("a.mp4", 12, "kept", None),
        ("b/short.mp4", 12, "kept", None),
        ("b/short.mp4", 4, "rejected", "too_short"),
        ("b/static.mp4", 12, "rejected", "static"),
        ("c-broken.mp4", None, "rejected", "damaged"),
        ("d-copy.mp4", None, "rejected", "duplicate_source"),
        ("e-text.avi", None, "rejected", "damaged"),
        ("f-gap.mp4", 12, "kept", None),
        ("f-gap.mp4", 12, "kept", None),
        ("g-image.png", 1, "kept", None),
    ]
    assert [r["start_s"] for r in rows[:2]] == [0, pytest.approx(14 / FPS, abs=1e-6)]
    gap = [(r["start_s"], r["end_s"]) for r in rows[8:10]]
    assert gap == [pytest.approx(p, abs=1e-4) for p in ((0, 1), (6, 7))]
    assert rows[6]["duplicate_of"] == "b/short.mp4"
    assert {p.relative_to(straight).as_posix() for p in straight.glob("clips/*/*")} == {
        r["path"] for r in rows if r["decision"] == "kept"
    }
    assert re.fullmatch(r"motion 0(\.[0-4]\d*)?, under motion.min 0.5", rows[4]["detail"])
    assert rows[-1]["motion"] is None
    needed = "clip_id source start_s end_s decision reason duplicate_of width height fps motion camera_motion quality"
    assert set(f"{needed} overlay_text type caption shard path".split()) <= set(rows[0])


def test_a_clip_has_the_frames_of_its_span(straight, footage):
    row = rows_of(straight)[1]
    clip, source = read_video(straight / row["path"]), read_video(footage / "a.mp4")
    assert (clip.fps, clip.pixels.shape) == (FPS, (12, 72, 96, 3))
    assert np.abs(clip.pixels.astype(int) - source.pixels[14:]).mean() < 3
    picture = read_video(straight / rows_of(straight)[-1]["path"])
    assert picture.pixels.shape == (1, 72, 96, 3)


@pytest.mark.parametrize("workers", [1, 2])
def test_child_processes_give_the_same_bytes(straight, footage, tmp_path, workers):
    curate(footage, tmp_path / "out", workers=workers)
    assert everything(tmp_path / "out") == everything(straight)


def test_a_finished_run_done_again_makes_nothing(straight, footage):
    before = {p: p.stat().st_mtime_ns for p in straight.rglob("*/*") if p.is_file()}
    expected = everything(straight)
    curate(footage, straight)
    assert everything(straight) == expected
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_a_source_that_harms_its_worker_is_charged_alone(footage, tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    for k, name in enumerate(("good", "crash", "oom", "killed", "error", "last")):
        video(source / f"{name}.mp4", (10 + k, 12, 2))
    result = curate(source, out, workers=2)
    found = {r["source"].split(".")[0]: (r["decision"], r["reason"]) for r in rows_of(out)}
    assert found == {
        "good": ("kept", None),
        "last": ("kept", None),
        "crash": ("quarantined", "crash"),
        "oom": ("quarantined", "memory"),
        "killed": ("quarantined", "memory"),
        "error": ("failed", "error"),
    }
    assert result.exit_code == 3
    before = everything(out)
    assert curate(source, out, workers=1).exit_code == 3
    assert everything(out) == before


def test_a_source_that_hangs_is_killed_at_its_deadline(tmp_path):
    video(tmp_path / "in" / "hang.mp4", (10, 12, 2))
    limits = LimitsConfig(base_s=3.0, analyse_factor=1.0, attempts=1)
    result = curate(tmp_path / "in", tmp_path / "out", dataclasses.replace(CONFIG, limits=limits), workers=1)
    assert (result.failed, result.exit_code) == ({"timeout": 1}, 3)
    assert "so the worker was killed" in rows_of(tmp_path / "out")[0]["detail"]


def test_failed_is_tried_again_and_quarantined_only_when_asked(tmp_path):
    source, out, mended = tmp_path / "in", tmp_path / "out", tmp_path / "mended"
    for k, name in enumerate(("crash", "error")):
        video(source / f"{name}.mp4", (20 + k, 12, 2))
    detectors = (Change(), Fault(mended=str(mended)))
    assert curate(source, out, workers=1, detectors=detectors).kept == 0
    mended.touch()
    result = curate(source, out, workers=1, detectors=detectors)
    assert (result.kept, result.failed) == (1, {"crash": 1})
    result = curate(source, out, workers=1, detectors=detectors, retry=True)
    assert (result.kept, result.exit_code) == (2, 0)
    curate(source, tmp_path / "fresh", workers=1, detectors=detectors)
    assert everything(out) == everything(tmp_path / "fresh")


def test_a_source_whose_clips_eat_all_memory_is_left_alone_until_asked(tmp_path, monkeypatch):
    source, out = tmp_path / "in", tmp_path / "out"
    for k, name in enumerate(("a", "b")):
        video(source / f"{name}.mp4", (25 + k, 12, 2))
    asked = []

    def clips(self, job):
        asked.append(job.info.source)
        if job.info.source == "b.mp4":
            raise MemoryError
        return real(self, job)

    real = encode.Encode.__call__
    monkeypatch.setattr(encode.Encode, "__call__", clips)
    result = curate(source, out)
    assert (result.kept, result.failed, asked) == (1, {"memory": 1}, ["a.mp4", "b.mp4"])
    before = everything(out)
    assert curate(source, out).failed == {"memory": 1}
    assert (everything(out), len(asked)) == (before, 2)
    monkeypatch.setattr(encode.Encode, "__call__", real)
    assert curate(source, out, retry=True).kept == 2
    curate(source, tmp_path / "fresh")
    assert everything(out) == everything(tmp_path / "fresh")


def test_models_that_cannot_answer_stop_a_run_before_anything_long(tmp_path):
    source, out = video(tmp_path / "in" / "a.mp4", (1, 12, 2)).parent, tmp_path / "out"
    asked = AnnotateConfig(captioner="endpoint", url="http://127.0.0.1:9/v1", model="vlm")
    with pytest.raises(DataError, match=r"endpoint must run with 'vlm', got .*refused"):
        curate(source, out, dataclasses.replace(CONFIG, annotate=asked))
    assert not list(out.glob("analysis/*/*"))


def test_a_full_disk_stops_the_run_and_loses_nothing(tmp_path):
    source, out, mended = tmp_path / "in", tmp_path / "out", tmp_path / "mended"
    for k, name in enumerate(("a", "full", "z")):
        video(source / f"{name}.mp4", (30 + k, 12, 2))
    detectors = (Change(), Fault(mended=str(mended)))
    with pytest.raises(DataError, match="must have room"):
        curate(source, out, detectors=detectors)
    assert not (out / "index.parquet").exists()
    assert len(list(out.glob("analysis/*/*.npz"))) == 1
    mended.touch()
    assert curate(source, out, detectors=detectors).kept == 3
    curate(source, tmp_path / "fresh", detectors=detectors)
    assert everything(out) == everything(tmp_path / "fresh")


def test_the_circuit_breaker_stops_a_run_that_fails_in_one_way(tmp_path):
    source = tmp_path / "in"
    for k, name in enumerate(["a", *(f"error{k}" for k in range(5))]):
        video(source / f"{name}.mp4", (40 + k, 12, 2))
    config = dataclasses.replace(CONFIG, limits=LimitsConfig(breaker_after=4))
    with pytest.raises(BreakerTrippedError, match="3 of 4 sources failed in the same way"):
        curate(source, tmp_path / "out", config)
    (source / "a.mp4").unlink()
    with pytest.raises(DataError, match="surprise' for each of 3 that were tried"):
        curate(source, tmp_path / "other", config)


def test_a_run_that_is_asked_to_stop_finishes_what_is_under_way(straight, footage, tmp_path):
    out, asked = tmp_path / "out", []

    def watch(progress):
        if progress.stage == "analyse" and progress.done == 2:
            asked.append(1)

    with pytest.raises(DrainedError, match="same command"):
        run(request(footage, out), executor=LocalExecutor(), progress=watch, stopped=lambda: bool(asked))
    assert 2 <= len(list(out.glob("analysis/*/*.npz"))) <= 3
    curate(footage, out)
    assert everything(out) == everything(straight)


def test_changed_settings_redo_only_what_they_concern(straight, footage, tmp_path):
    out = tmp_path / "out"
    curate(footage, out)

    def stamps(pattern: str) -> dict[Path, int]:
        return {p: p.stat().st_mtime_ns for p in out.glob(pattern)}

    analyses, clips = stamps("analysis/*/*.npz"), stamps("clips/*/*")
    looser = dataclasses.replace(CONFIG, motion=MotionConfig(min=0.0))
    assert curate(footage, out, looser).kept == 7
    assert stamps("analysis/*/*.npz") == analyses
    assert clips.items() <= stamps("clips/*/*").items()
    coarser = dataclasses.replace(CONFIG, encode=EncodeConfig(crf=40))
    assert curate(footage, out, coarser).kept == 6
    assert stamps("analysis/*/*.npz") == analyses
    assert len(stamps("clips/*/*")) == 13
    newer = (Change(version=2), Fault())
    assert curate(footage, out, detectors=newer).kept == 6
    assert len(stamps("analysis/*/*.npz")) == 2 * len(analyses)


def test_the_types_that_are_not_wanted_are_rejected(straight, footage, tmp_path):
    config = dataclasses.replace(CONFIG, type=TypeConfig(drop=("fast",)))
    curate(footage, tmp_path / "out", config)
    dropped = {r["clip_id"] for r in rows_of(tmp_path / "out") if r["reason"] == "unwanted_type"}
    assert dropped == {
        r["clip_id"] for r in rows_of(straight) if r["decision"] == "kept" and r["type"] == "fast"
    }


def test_a_height_cap_scales_down_and_never_up(tmp_path):
    video(tmp_path / "in" / "a.mp4", (1, 12, 2))
    for cap, size in ((48, (48, 64)), (200, (72, 96))):
        config = dataclasses.replace(CONFIG, encode=EncodeConfig(max_height=cap))
        curate(tmp_path / "in", tmp_path / str(cap), config)
        (row,) = rows_of(tmp_path / str(cap))
        info = probe(tmp_path / str(cap) / row["path"])
        assert (info.height, info.width) == (row["height"], row["width"]) == size


def test_the_best_copy_is_told_by_its_source_whatever_its_clip_became(tmp_path):
    """The larger of two copies stays, also where clips are scaled down, also when decided again from the index."""
    pixels = np.stack(blobs(5, 24, 3))
    large = np.repeat(np.repeat(pixels, 2, 1), 2, 2)
    (tmp_path / "in").mkdir()
    for name, frames in (("large", large), ("small", pixels)):
        write_video(tmp_path / "in" / f"{name}.mp4", Frames.at_constant_rate(frames, FPS), crf=10)
    config = dataclasses.replace(
        CONFIG, encode=EncodeConfig(max_height=48), dedup=DedupConfig(min_similarity=0.4)
    )
    detectors = (Change(), Fault(), DescriptorDetector())
    curate(tmp_path / "in", tmp_path / "out", config, detectors=detectors)
    curated = load_set(open_store(tmp_path / "out"))
    found = {row["source"]: (row["decision"], row["reason"]) for row in curated.rows}
    assert found == {"large.mp4": ("kept", None), "small.mp4": ("rejected", "duplicate")}
    again = decide_again(
        curated.rows, curated.config, curated.config, analyses=curated.analysis, detectors=detectors
    )
    assert {row["source"]: (row["decision"], row["reason"]) for row in again} == found


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_what_is_no_file_is_not_waited_for(tmp_path):
    video(tmp_path / "in" / "a.mp4", (1, 12, 2))
    os.mkfifo(tmp_path / "in" / "b.mp4")
    curate(tmp_path / "in", tmp_path / "out")
    assert [row["source"] for row in rows_of(tmp_path / "out")] == ["a.mp4"]


def test_a_broken_analysis_is_made_anew(tmp_path):
    source, out = video(tmp_path / "in" / "a.mp4", (1, 12, 2)).parent, tmp_path / "out"
    curate(source, out)
    expected = everything(out)
    (analysis,) = out.glob("analysis/*/*.npz")
    analysis.write_bytes(analysis.read_bytes()[:300])
    assert curate(source, out).failed == {"error": 1}
    assert curate(source, out).kept == 1
    assert everything(out) == expected


def choosy(weights: str):
    """A model that cannot look at some sources; the file of its weights says at how bright ones."""
    least = float(Path(weights).read_text())

    class Model:
        name, version, num_frames, max_side_px = "choosy", "1", 2, 64

        def __call__(self, frames, seconds):
            if frames.mean() < least:
                raise ValueError("too dark")
            return {"dover": 0.5}

    return Model()


def test_a_source_that_a_model_fails_on_is_failed_alone_and_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(enrich, "ENRICHERS", types.SimpleNamespace(get=lambda _: choosy))
    for name, shift in (("dark", 0), ("light", 120)):
        pixels = np.stack(blobs(5 + shift, 12, 2)) // 2 + np.uint8(shift)
        (tmp_path / "in").mkdir(exist_ok=True)
        write_video(tmp_path / "in" / f"{name}.mp4", Frames.at_constant_rate(pixels, FPS))
    weights = tmp_path / "weights"
    weights.write_text("125")
    quality = QualityConfig(model="dover", weights=str(weights))
    config = dataclasses.replace(CONFIG, quality=quality)
    result = curate(tmp_path / "in", tmp_path / "out", config)
    assert (result.kept, result.failed) == (1, {"error": 1})
    (row,) = (r for r in rows_of(tmp_path / "out") if r["decision"] == "failed")
    assert (row["source"], row["detail"]) == ("dark.mp4", "dover: ValueError: too dark")
    curated = load_set(open_store(tmp_path / "out"))
    with pytest.raises(ConfigError, match="models scored the clips"):
        curated.decided(dataclasses.replace(config, shots=ShotsConfig(min_s=0.25)))
    weights.write_text("0")
    enrich.loaded.cache_clear()
    assert curate(tmp_path / "in", tmp_path / "out", config).kept == 2
    weights.write_text("999")
    enrich.loaded.cache_clear()
    with pytest.raises(DataError, match=r"dover must run with '.*', got ValueError: too dark"):
        curate(tmp_path / "in", tmp_path / "other", config)


def test_types_that_no_detector_gives_are_refused_before_anything_is_made(footage, tmp_path):
    for asked in (TypeConfig(drop=("stil",)), TypeConfig(target={"driving": 0.5})):
        config = dataclasses.replace(CONFIG, type=asked)
        with pytest.raises(
            ConfigError, match=r"must name types .*natural, rendered.* got \['(stil|driving)'\]"
        ):
            curate(footage, tmp_path / "out", config, detectors=())
    assert not (tmp_path / "out").exists()


def test_a_set_is_never_a_mixture(straight, footage, tmp_path):
    other = video(tmp_path / "in" / "a.mp4", (1, 12, 2)).parent
    with pytest.raises(ConfigError, match="other inputs"):
        curate(other, straight)
    with pytest.raises(ConfigError, match="must be empty"):
        curate(footage, other)
    with pytest.raises(ConfigError, match="outside the input"):
        curate(footage, footage / "out")
    assert not (footage / "out").exists()


def test_a_name_that_is_no_text_is_told_apart_from_its_content(tmp_path):
    source = tmp_path / "in"
    path = video(source / "a.mp4", (1, 12, 2))
    try:
        path.rename(os.fsdecode(os.fsencode(source) + b"/\xff.mp4"))
    except OSError:
        pytest.skip("this file system takes text only")
    curate(source, tmp_path / "out")
    (row,) = rows_of(tmp_path / "out")
    assert (row["source"], row["decision"]) == ("\\xff.mp4", "kept")
