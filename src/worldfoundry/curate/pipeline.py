"""The order of the stages for one video, and a run over a folder of them.

One decode of the small frames feeds the measures of all stages; then each stage judges, and only what is kept is encoded.
Running the same command again continues: finished videos are taken from their part files. An output folder belongs to one
source folder and one configuration; anything else is refused, so that a set is never a mixture. One run at a time may
write to it.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2

from worldfoundry.core.config import digest, to_json
from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.curate.config import CurateConfig
from worldfoundry.curate.filmstrip import Filmstrip
from worldfoundry.curate.index import Row, find_part, part_path, row_of, write_index, write_json
from worldfoundry.curate.ingest import describe, find_videos, sha256_of
from worldfoundry.curate.local import LocalExecutor
from worldfoundry.curate.motion import Motion
from worldfoundry.curate.report import write_report
from worldfoundry.curate.split import Split
from worldfoundry.curate.transcode import Transcode
from worldfoundry.data.video_io import iter_frames
from worldfoundry.protocols.curation import Executor, Failure, Reason, Record, Rejection, Stage

Progress = Callable[[int, int, str], None]
"""Called after each video with how many are done, how many there are, and its name."""

_PACKAGES = ("worldfoundry", "av", "opencv-python-headless", "scenedetect-headless", "scenedetect", "pyarrow")


@dataclass(frozen=True, slots=True, kw_only=True)
class CurateResult:
    """What a run made."""

    num_videos: int
    """Videos found."""
    kept: int
    """Clips kept."""
    rejected: dict[str, int]
    """Rejections by reason."""
    index_path: Path
    """The index."""
    report_path: Path
    """The report, to open in a browser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoJob:
    """One video to curate; all that a worker process needs."""

    video: Path
    """Where it lies."""
    source: str
    """Its name in the index."""
    out: Path
    """The output folder."""
    config: CurateConfig
    """The run's settings."""


def run(
    source_dir: Path,
    out: Path,
    config: CurateConfig,
    *,
    num_workers: int = 1,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> CurateResult:
    """Curate every video below ``source_dir`` into ``out``; an interrupted run is continued by calling it again.

    ``executor`` replaces the local processes. The result does not depend on who runs what, nor on the order.
    """
    videos = find_videos(source_dir)
    jobs = [
        VideoJob(video=v, source=v.relative_to(source_dir).as_posix(), out=out, config=config) for v in videos
    ]
    manifest = _claim(source_dir, out, config)
    parts: dict[int, Row] = {}
    for k, result in (executor or LocalExecutor(num_workers))(curate_video, jobs):
        parts[k] = _failed_part(jobs[k], result) if isinstance(result, Failure) else result
        if progress is not None:
            progress(len(parts), len(jobs), jobs[k].source)
    rows = _assemble(jobs, [parts[k] for k in range(len(jobs))])
    reasons = Counter(row["reason"] for row in rows if not row["kept"])
    kept = sum(row["kept"] for row in rows)
    write_index(out / "index.parquet", rows)
    counts = {"videos": len(videos), "kept": kept, "rejected": dict(sorted(reasons.items()))}
    write_json(out / "manifest.json", {**manifest, "counts": counts})
    return CurateResult(
        num_videos=len(videos),
        kept=kept,
        rejected=counts["rejected"],
        index_path=out / "index.parquet",
        report_path=write_report(out),
    )


def curate_video(job: VideoJob) -> Row:
    """Curate one video, or find its finished part; a damaged video is a row, anything unforeseen raises."""
    sha = sha256_of(job.video)
    path = part_path(job.out, sha, digest(job.config))
    part = find_part(path, job.out)
    if part is None:
        with _one_opencv_thread():
            part = _curate(job, sha)
        _failed_path(job).unlink(missing_ok=True)
        write_json(path, part)
    return part


def stages(job: VideoJob) -> tuple[Stage, ...]:
    """The stages in their order."""
    return Split(job.config), Motion(job.config), Transcode(job.config, job.video, job.out)


def _curate(job: VideoJob, sha: str) -> Row:
    try:
        source = describe(job.video, job.source, sha)
        order = stages(job)
        measures = [stage.begin(source) for stage in order]
        film = Filmstrip()
        width = min(job.config.analysis_width, source.width)
        for pixels, seconds in iter_frames(job.video, width=width):
            for measure in (*measures, film):
                if measure is not None:
                    measure.observe(pixels, seconds)
    except DataError as error:
        detail = str(error).replace(f"{job.video} ", "").replace(str(job.video), "the file")
        damaged = Record(source=job.source, source_sha256=sha)
        return _part(job, sha, [Rejection(record=damaged, reason=Reason.DAMAGED, detail=detail)], None)
    records, rejections = [source], []
    for stage, measure in zip(order, measures, strict=True):
        outcomes = [outcome for record in records for outcome in stage.judge(record, measure)]
        records = [o for o in outcomes if isinstance(o, Record)]
        rejections += [o for o in outcomes if isinstance(o, Rejection)]
    return _part(job, sha, [*records, *rejections], film)


def _part(job: VideoJob, sha: str, outcomes: list[Record | Rejection], film: Filmstrip | None) -> Row:
    # A part belongs to content, not to a name: copies of one file, done at the same time, write the same bytes.
    rows = sorted(({**row_of(o), "source": ""} for o in outcomes), key=lambda row: row["start_seconds"])
    strips = {
        row["clip_id"]: film.strip(row["start_seconds"], row["end_seconds"])
        for row in rows
        if film is not None
    }
    traces = [o.traceback for o in outcomes if isinstance(o, Rejection) and o.traceback]
    return {
        "schema": 1,
        "source_sha256": sha,
        "config_digest": digest(job.config),
        "rows": rows,
        "strips": strips,
        "tracebacks": dict.fromkeys([job.source] if traces else [], "\n".join(traces)),
    }


def _failed_part(job: VideoJob, failure: Failure) -> Row:
    """What nobody foresaw, stored with its trace; unlike a finished part it is tried again by the next run."""
    error = failure.error.replace(str(job.video), job.source)
    rejection = Rejection(
        record=Record(source=job.source, source_sha256=""),
        reason=Reason.FAILED,
        detail=" ".join(error.split()),
        traceback=failure.traceback,
    )
    part = _part(job, "", [rejection], None)
    write_json(_failed_path(job), part)
    return part


def _failed_path(job: VideoJob) -> Path:
    name = hashlib.sha256(job.source.encode()).hexdigest()
    return part_path(job.out, name, digest(job.config)).with_suffix(".failed.json")


def _assemble(jobs: list[VideoJob], parts: list[Row]) -> list[Row]:
    """All rows in the order of the sources; a file that equals an earlier one is a row that says so."""
    rows: list[Row] = []
    first: dict[str, str] = {}
    for job, part in zip(jobs, parts, strict=True):
        sha = part["source_sha256"]
        if sha and sha in first:
            copy = Record(source=job.source, source_sha256=sha)
            detail = f"the same bytes as {first[sha]}"
            rows.append(row_of(Rejection(record=copy, reason=Reason.DUPLICATE_SOURCE, detail=detail)))
            continue
        first[sha] = job.source
        rows += [{**row, "source": job.source} for row in part["rows"]]
    return rows


def _claim(source_dir: Path, out: Path, config: CurateConfig) -> Row:
    """Make ``out`` this run's, or refuse: it must be empty or hold the same settings and source folder."""
    path = out / "manifest.json"
    manifest = {
        "schema": 1,
        "source_dir": str(source_dir.resolve()),
        "config": to_json(config),
        "config_digest": digest(config),
        "versions": {name: v for name in _PACKAGES if (v := _version(name))},
    }
    if path.exists():
        stored = _read_manifest(path)
        theirs, ours = stored.get("config", {}), manifest["config"]
        changed = [f"{k} {theirs.get(k)!r} -> {ours[k]!r}" for k in ours if theirs.get(k) != ours[k]]
        if stored.get("source_dir") != manifest["source_dir"]:
            changed.append(f"source folder {stored.get('source_dir')!r} -> {manifest['source_dir']!r}")
        if changed:
            raise ConfigError(
                f"out {str(out)!r} holds a set made with other settings ({'; '.join(changed)}); "
                "give another folder or remove this one"
            )
    elif out.exists() and any(out.iterdir()):
        raise ConfigError(
            f"out {str(out)!r} must be empty or a curated set, got other files; give another folder"
        )
    if out.resolve() == source_dir.resolve() or source_dir.resolve() in out.resolve().parents:
        raise ConfigError(
            f"out {str(out)!r} must lie outside the source folder {str(source_dir)!r}; give another folder"
        )
    for leftover in (*out.glob("clips/.*.tmp-*"), *out.glob("work/.*.tmp-*"), *out.glob(".*.tmp-*")):
        leftover.unlink()  # half-written files of a killed run
    write_json(path, manifest)
    return manifest


def _read_manifest(path: Path) -> Row:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(
            f"{path} must be JSON, got {error}; give another folder or remove this one"
        ) from error


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """Optical flow depends on how OpenCV divides a picture among threads, so there is one."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
