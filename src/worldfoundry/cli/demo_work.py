"""The demo's steps and its report; kept apart from the command's parser because it imports the models."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worldfoundry.cli.demo_chapters import SCENE_TITLES, clip_title, is_kept
from worldfoundry.cli.demo_report import tell
from worldfoundry.cli.evaluate_work import predictor, progress_bars, score_world, total_frames, world_identity
from worldfoundry.core.config import save_config
from worldfoundry.core.errors import DataError, require_package
from worldfoundry.core.runs import new_run_folder, write_manifest
from worldfoundry.curate.index import read_index
from worldfoundry.curate.local import LocalExecutor
from worldfoundry.curate.pipeline import Request
from worldfoundry.curate.pipeline import run as curate
from worldfoundry.curate.progress import Progress as CurateProgress
from worldfoundry.curate.store import open_store
from worldfoundry.data.files import find_videos
from worldfoundry.data.fit import centre_crop, first_frames
from worldfoundry.data.video_io import read_video, resample_rate
from worldfoundry.data.video_write import write_video
from worldfoundry.evaluate.config import (
    CEILING,
    MODEL,
    EvalResult,
    RolloutConfig,
    Row,
)
from worldfoundry.evaluate.floors import ceiling
from worldfoundry.evaluate.rollout import (
    Progress,
    RolloutTable,
    noise_seed,
    roll_out,
    score_rows,
    simulated_clips,
    summarise,
)
from worldfoundry.inference.session import load_world
from worldfoundry.protocols.models import Tokenizer, WorldModel
from worldfoundry.protocols.video import Clip

if TYPE_CHECKING:
    from worldfoundry.cli.demo import DemoArgs
    from worldfoundry.models.diffusion.world import DiffusionWorld

TOKENIZER_PX = 256
"""Side of the squares of the tokenizer chapter; it takes any multiple of its stride, the world does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A clip with what the models made of it."""

    title: str
    """Heading."""
    truth: Clip
    """What happened."""
    rows: dict[str, Clip]
    """Row -> what was made of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All that the report tells."""

    clips: list[dict[str, Any]]
    """Rows of the curation's index."""
    samples: Path
    """Folder of the raw footage."""
    round_trips: list[Told]
    """Real clips through the tokenizer at ``TOKENIZER_PX``."""
    simulated: dict[str, Told]
    """Scene -> one held-out clip and its rows."""
    real: list[Told]
    """Real clips and their rows, at the world's size and rate."""
    real_scores: dict[str, Row]
    """Scores over the clips of ``real``."""
    result: EvalResult
    """Scores on held-out simulated clips."""
    world: WorldModel
    """The model."""
    tokenizer_px: int
    """Side of the squares in ``round_trips``."""
    seconds: dict[str, float]
    """Step -> time it took."""


def make(options: "DemoArgs") -> dict[str, Any]:
    """Run every step, write the report, return a summary. What cannot work is refused before a folder is made."""
    watch = _Watch()
    for package in ("cv2", "pyarrow"):
        require_package(package, "curate")
    find_videos(options.samples)
    world, models = load_world(options.model), world_identity(options.model)
    watch.lap("load models")
    out = options.out or new_run_folder("runs", "demo")
    out.mkdir(parents=True, exist_ok=True)
    config = RolloutConfig(model=options.model, num_clips=options.num_clips)
    write_manifest(out, seed=config.model_seed, samples=str(options.samples))
    with progress_bars() as progress:
        story = _live(options, config, world, models, out=out, watch=watch, progress=progress)
    began = time.perf_counter()
    text = tell(story, options)
    path = out / "report.html"
    path.write_text(text, encoding="utf-8")
    story.seconds["report"] = time.perf_counter() - began
    save_config(story.result, out / "eval.json")
    return {
        "report": str(path),
        "eval": str(out / "eval.json"),
        "clips_kept": sum(is_kept(r) for r in story.clips),
        "clips_rejected": sum(not is_kept(r) for r in story.clips),
        "seconds": {k: round(v, 1) for k, v in story.seconds.items()},
    }


class _Watch:
    """Times steps by name."""

    def __init__(self):
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = now - self._last
        self._last = now


def _live(
    options: "DemoArgs",
    config: RolloutConfig,
    world: "DiffusionWorld",
    models: dict[str, dict[str, str]],
    *,
    out: Path,
    watch: _Watch,
    progress: Progress,
) -> Story:
    tokenizer = world.tokenizer
    clips = _curate(options, out / "curated", progress)
    seconds = total_frames(config, world) / world.spec.fps
    chosen = choose(clips, options.num_real_clips, seconds=seconds, fps=world.spec.fps)
    watch.lap("curate")
    round_trips = [_round_trip(r, out / "curated", tokenizer, config, world) for r in chosen]
    watch.lap("tokenizer round trip")
    real = [_continue_real(r, out / "curated", tokenizer, config, world) for r in chosen]
    real_scores = _scores(real, config)
    watch.lap("real clips onward")
    simulated = {scene: _continue_scene(scene, tokenizer, config, world) for scene in config.scenes}
    result = score_world(config, world, tokenizer, models=models, report=progress)
    watch.lap("simulated clips onward")
    _write_films(out / "films", simulated, real)
    watch.lap("write films")
    return Story(
        clips=clips,
        samples=options.samples,
        round_trips=round_trips,
        simulated=simulated,
        real=real,
        real_scores=real_scores,
        result=result,
        world=world,
        tokenizer_px=TOKENIZER_PX,
        seconds=watch.seconds,
    )


def _curate(options: "DemoArgs", folder: Path, progress: Progress) -> list[dict[str, Any]]:
    def show(now: CurateProgress) -> None:
        progress(f"curate: {now.stage}", now.done, max(1, now.total))

    request = Request(inputs=(str(options.samples),), out=folder)
    curate(request, executor=LocalExecutor(num_workers=options.workers), progress=show)
    return read_index(open_store(folder))


def choose(
    clips: Sequence[dict[str, Any]], count: int, *, seconds: float, fps: float
) -> list[dict[str, Any]]:
    """Kept clips that are long enough and as fast as the model: one a source before any source gives a second."""
    usable = [
        r for r in clips if is_kept(r) and r["end_s"] - r["start_s"] >= seconds and r["fps"] >= fps * 0.99
    ]
    if not usable:
        raise DataError(
            f"a kept clip must last {seconds:.1f} s and run at {fps:g} fps or more for the world model, got none; see "
            "curated/report.html for the reasons, or name another folder with --samples"
        )
    seen: Counter[str] = Counter()
    turns = []
    for row in usable:
        turns.append((seen[row["source"]], row))
        seen[row["source"]] += 1
    return [row for _, row in sorted(turns, key=lambda pair: pair[0])][:count]


def _square(row: dict[str, Any], folder: Path, *, fps: float, size_px: int, num_frames: int) -> Clip:
    frames = read_video(folder / row["path"], end_seconds=(num_frames + 2) / fps)
    return centre_crop(first_frames(resample_rate(frames, fps), num_frames), size_px, size_px).to_clip()


def _round_trip(
    row: dict[str, Any], folder: Path, tokenizer: Tokenizer, config: RolloutConfig, world: WorldModel
) -> Told:
    num_frames = total_frames(config, world)
    truth = _square(row, folder, fps=world.spec.fps, size_px=TOKENIZER_PX, num_frames=num_frames)
    return Told(title=clip_title(row), truth=truth, rows={CEILING: ceiling(tokenizer, truth)})


def _continue_real(
    row: dict[str, Any], folder: Path, tokenizer: Tokenizer, config: RolloutConfig, world: WorldModel
) -> Told:
    num_frames = total_frames(config, world)
    truth = _square(row, folder, fps=world.spec.fps, size_px=world.spec.height, num_frames=num_frames)
    return _continued(clip_title(row), truth, tokenizer, config, world)


def _continue_scene(scene: str, tokenizer: Tokenizer, config: RolloutConfig, world: WorldModel) -> Told:
    spec = world.spec
    truth = next(
        simulated_clips(
            scene,
            first_seed=config.first_seed,
            num_clips=1,
            num_frames=total_frames(config, world),
            fps=spec.fps,
            height=spec.height,
            width=spec.width,
        )
    )
    return _continued(SCENE_TITLES.get(scene, scene), truth, tokenizer, config, world)


def _continued(
    title: str, truth: Clip, tokenizer: Tokenizer, config: RolloutConfig, world: WorldModel
) -> Told:
    rows = roll_out(
        truth,
        predict=predictor(world),
        tokenizer=tokenizer,
        context_frames=config.context_frames,
        seeds=[noise_seed(config.model_seed, config.first_seed)],  # as the suite's first clip
    )
    return Told(title=title, truth=truth, rows=rows)


def _scores(told: Sequence[Told], config: RolloutConfig) -> dict[str, Row]:
    table = RolloutTable.joined(score_rows(t.truth, t.rows) for t in told)
    return summarise(table, fps=told[0].truth.fps, horizons=config.horizons_seconds)


def _write_films(folder: Path, simulated: dict[str, Told], real: Sequence[Told]) -> None:
    folder.mkdir()
    for name, told in [*simulated.items(), *((f"real-{k}", t) for k, t in enumerate(real, start=1))]:
        write_video(folder / f"{name}-truth.mp4", told.truth.to_frames())
        write_video(folder / f"{name}-predicted.mp4", told.rows[MODEL].to_frames())
