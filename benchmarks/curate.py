"""What curation costs: CPU seconds per second of video, by stage, beside bare decoding and beside the usual way.

    python benchmarks/curate.py FOLDER [--most-s 20] [--only analysis,usual,workers,ray,memory] [--out results.json]

The usual way, on the same files in the same process: PySceneDetect finds cuts, every clip is cut out and encoded with the
same x264 settings as ours, then OpenCV's Farneback flow runs over every clip, twice a second at its own resolution, which are
the defaults of Data-Juicer's motion filter. Ours
decodes each file once, and encodes the fifth of the clips that moves most. CPU seconds of one thread; wall seconds only
where workers are compared.
"""

import argparse
import dataclasses
import json
import multiprocessing
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from worldfoundry.curate.analyse import Analyse, AnalyseJob, detectors_of
from worldfoundry.curate.config import (
    AnnotateConfig,
    CurateConfig,
    MotionConfig,
    OverlayConfig,
    QualityConfig,
)
from worldfoundry.curate.index import load_set
from worldfoundry.curate.ingest import Inspect, Source, find_sources
from worldfoundry.curate.local import LocalExecutor
from worldfoundry.curate.pipeline import Request, run
from worldfoundry.curate.progress import Progress
from worldfoundry.curate.ray import RayExecutor
from worldfoundry.curate.store import open_store
from worldfoundry.data.video_write import VideoWriter
from worldfoundry.data.views import Views

LOOSE = CurateConfig(
    motion=MotionConfig(min=0.0, max_shake=1.0),
    quality=QualityConfig(min=0.0),
    overlay=OverlayConfig(max=1.0),
    annotate=AnnotateConfig(captioner="none"),
)
SURVIVORS = 0.2


def cpu(function, *args) -> float:
    """CPU seconds of a call."""
    began = time.process_time()
    function(*args)
    return time.process_time() - began


def decode(path: Path) -> int:
    """Decode all frames and throw them away: nothing can be cheaper."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_count = 1
        return sum(1 for _ in container.decode(video=0))


def small(path: Path) -> int:
    """Decode all frames and make the small picture of each."""
    return sum(view.small.shape[0] > 0 for view in Views(path))


def timed_detectors(path: Path, source: Source, work: Path) -> dict[str, float]:
    """CPU seconds of each detector on one file, by showing it every frame."""
    info = Inspect(open_store(work), "").__call__(source).info
    assert info is not None
    meters = {d.name: d.begin(info) for d in detectors_of(CurateConfig())}
    spent = dict.fromkeys(meters, 0.0)
    for view in Views(path):
        view.small  # noqa: B018  charged to the small picture, not to the first detector
        for name, meter in meters.items():
            began = time.process_time()
            meter.observe(view)
            spent[name] += time.process_time() - began
    for name, meter in meters.items():
        spent[name] += cpu(meter.finish)
    return spent


def analysis(sources: list[Source], work: Path) -> dict[str, Any]:
    """Decoding, small pictures, each detector and the whole analysis, a second of video."""
    store = open_store(work / "analysis")
    table: dict[str, float] = {}
    seconds = 0.0
    per_source: dict[str, float] = {}
    for source in sources:
        info = Inspect(store, "")(source).info
        assert info is not None
        seconds += info.duration_s
        path = Path(source.url)
        bare = min(cpu(decode, path) for _ in range(2))
        step = Analyse(store, detectors_of(CurateConfig()))
        whole = min(cpu(step, AnalyseJob(url=source.url, info=info)) for _ in range(2))
        per_source[source.name] = whole / bare
        costs = {"decode": bare, "decode + small": cpu(small, path), "analyse": whole}
        costs |= {f"  {k}": v for k, v in timed_detectors(path, source, work).items()}
        for name, value in costs.items():
            table[name] = table.get(name, 0.0) + value
    ratio = table["analyse"] / table["decode"]
    return {
        "video_s": seconds,
        "cpu_s_per_video_s": {name: value / seconds for name, value in table.items()},
        "analyse_over_decode": ratio,
        "by_source": per_source,
    }


def staged(sources: list[Source], config: CurateConfig, out: Path) -> dict[str, float]:
    """CPU seconds of each stage of a run in this process."""
    spent: dict[str, float] = {}
    last = ["start", time.process_time()]

    def watch(progress: Progress) -> None:
        now = time.process_time()
        spent[last[0]] = spent.get(last[0], 0.0) + now - last[1]
        last[:] = [progress.stage, now]

    request = Request(inputs=tuple(s.url for s in sources), out=out, config=config)
    run(request, executor=LocalExecutor(num_workers=0), progress=watch)
    spent[last[0]] = spent.get(last[0], 0.0) + time.process_time() - last[1]
    return spent


def fifth(sources: list[Source], work: Path) -> CurateConfig:
    """Settings that keep the clips that move most, as near to a fifth of the footage as whole clips allow."""
    loose = dataclasses.replace(LOOSE, dedup=dataclasses.replace(LOOSE.dedup, perceptual=False))
    out = work / "scores"
    request = Request(inputs=tuple(s.url for s in sources), out=out, config=loose)
    run(request, executor=LocalExecutor(num_workers=0))
    rows = [r for r in load_set(open_store(out)).rows if r["clip_id"] and r["motion"] is not None]
    rows.sort(key=lambda r: -r["motion"])
    lengths = np.cumsum([r["end_s"] - r["start_s"] for r in rows])
    last = int(np.abs(lengths - SURVIVORS * lengths[-1]).argmin())
    return dataclasses.replace(LOOSE, motion=MotionConfig(min=rows[last]["motion"], max_shake=1.0))


def usual(sources: list[Source], work: Path) -> dict[str, float]:
    """CPU seconds of detect, cut every clip, flow on every clip."""
    import scenedetect  # noqa: PLC0415  only this comparison needs it

    folder = work / "usual"
    folder.mkdir(exist_ok=True)
    spent = {"detect": 0.0, "cut and encode": 0.0, "flow": 0.0}
    for k, source in enumerate(sources):
        began = time.process_time()
        scenes = scenedetect.detect(source.url, scenedetect.AdaptiveDetector(), start_in_scene=True)
        spans = [(a.seconds, b.seconds) for a, b in scenes]
        spent["detect"] += time.process_time() - began
        for n, (start, end) in enumerate(spans):
            clip = folder / f"{k}-{n}.mp4"
            spent["cut and encode"] += cpu(_cut, source.url, start, end, clip)
            if clip.exists():
                spent["flow"] += cpu(_flow, clip)
    return spent


def _cut(path: str, start_s: float, end_s: float, out: Path) -> None:
    views = Views(path, start_s, end_s)
    frames = iter(views)
    first = next(frames)
    with av.open(path) as container:
        rate = container.streams.video[0].average_rate
    assert rate
    with VideoWriter(out, fps=rate, pad_to_even=True) as writer:
        writer.write(first.pixels(*first.size))
        for view in frames:
            writer.write(view.pixels(*view.size))


def _flow(path: Path) -> None:
    before, due = None, 0.0
    for view in Views(path):
        if view.seconds < due:
            continue
        due += 0.5
        grey = view.luma
        if before is not None:
            cv2.calcOpticalFlowFarneback(before, grey, np.zeros(0), 0.5, 3, 15, 3, 5, 1.2, 0)
        before = grey


def against_usual(sources: list[Source], work: Path, video_s: float) -> dict[str, Any]:
    """Both ways on the same files."""
    config = fifth(sources, work)
    ours = staged(sources, config, work / "ours")
    theirs = usual(sources, work)
    rows = load_set(open_store(work / "ours")).rows
    kept = sum(r["end_s"] - r["start_s"] for r in rows if r["decision"] == "kept")
    return {
        "kept_share": kept / video_s,
        "ours_cpu_s_per_video_s": {k: v / video_s for k, v in ours.items()},
        "usual_cpu_s_per_video_s": {k: v / video_s for k, v in theirs.items()},
        "usual_over_ours": sum(theirs.values()) / sum(ours.values()),
    }


def walls(sources: list[Source], work: Path, *, ray: bool) -> dict[str, Any]:
    """Wall seconds of whole runs with one and two workers, or with Ray beside one worker."""
    inputs = tuple(s.url for s in sources)
    executors: dict[str, Any] = {f"local {n}": LocalExecutor(num_workers=n) for n in (1, 2)}
    if ray:
        executors = {"local 1": LocalExecutor(num_workers=1), "ray 1": RayExecutor(num_workers=1)}
        executors["ray 1, started"] = executors["ray 1"]
    spent: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "wall_s": {}}
    for k, (name, executor) in enumerate(executors.items()):
        out = work / f"walls-{'ray' if ray else 'local'}-{k}"
        began = time.perf_counter()
        run(Request(inputs=inputs, out=out, config=LOOSE), executor=executor)
        spent["wall_s"][name] = time.perf_counter() - began
    return spent


def memory(work: Path) -> dict[str, float]:
    """Peak memory, in MB, of a process that analyses ten minutes and two hours."""
    peaks: dict[str, float] = {}
    context = multiprocessing.get_context("spawn")
    for minutes in (10, 120):
        path = work / f"{minutes}.mp4"
        _film(path, minutes)
        queue = context.Queue()
        process = context.Process(target=_peak, args=(str(path), str(work / f"memory-{minutes}"), queue))
        process.start()
        peaks[f"{minutes} min"] = queue.get()
        process.join()
    return peaks


def _film(path: Path, minutes: int) -> None:
    rng = np.random.default_rng(0)
    wide = cv2.resize(rng.integers(0, 255, (9, 60, 3), np.uint8), (640, 54), interpolation=cv2.INTER_CUBIC)
    with VideoWriter(path, fps=24, crf=30) as writer:
        for k in range(minutes * 60 * 24):
            writer.write(np.roll(wide, -k, axis=1)[:, :96])


def _peak(path: str, out: str, queue: Any) -> None:
    store = open_store(out)
    source = Source(url=path, name="film.mp4")
    info = Inspect(store, "")(source).info
    assert info is not None
    Analyse(store, detectors_of(CurateConfig()))(AnalyseJob(url=path, info=info))
    # Not ru_maxrss, which a child takes over from the parent that it was forked from.
    status = Path("/proc/self/status").read_text()
    queue.put(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def shortened(folder: str, work: Path, most_s: float, most_files: int) -> list[Source]:
    """The first seconds of each real file, re-muxed without encoding where they are longer."""
    cut = work / "footage"
    cut.mkdir()
    sources = [s for s in find_sources([folder]) if s.name.endswith(".mp4")]
    for source in sources[:: max(1, len(sources) // most_files)][:most_files]:
        with av.open(source.url) as inside, av.open(str(cut / Path(source.name).name), "w") as outside:
            stream = inside.streams.video[0]
            target = outside.add_stream_from_template(stream)
            for packet in inside.demux(stream):
                if packet.dts is None or (packet.pts is not None and packet.pts * packet.time_base > most_s):
                    continue
                packet.stream = target
                outside.mux(packet)
    return find_sources([str(cut)])


def main() -> None:
    """Measure what is asked for and print it as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder")
    parser.add_argument("--most-s", type=float, default=20.0)
    parser.add_argument("--most-files", type=int, default=12)
    parser.add_argument("--only", default="analysis,usual,workers,ray,memory")
    parser.add_argument("--out", default="")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    wanted = set(options.only.split(","))
    work = Path(tempfile.mkdtemp(prefix="worldfoundry-benchmark-"))
    found: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
    }
    try:
        sources = shortened(options.folder, work, options.most_s, options.most_files)
        found["files"] = [s.name for s in sources]
        if "analysis" in wanted:
            found["analysis"] = analysis(sources, work)
        if "usual" in wanted:
            video_s = sum(float(np.ptp([v.seconds for v in Views(s.url)])) for s in sources)
            found["usual"] = against_usual(sources, work, video_s)
        for name in ("workers", "ray"):
            if name in wanted:
                found[name] = walls(sources, work, ray=name == "ray")
        if "memory" in wanted:
            found["memory_mb"] = memory(work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    text = json.dumps(found, indent=1)
    sys.stdout.write(text + "\n")
    if options.out:
        Path(options.out).write_text(text + "\n")


if __name__ == "__main__":
    main()
