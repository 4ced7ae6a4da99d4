"""Suites run and printed; kept apart from the command's parser because it imports the models."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from worldfoundry.cli.evaluate_tokenizer_work import run_tokenizer, tokenizer_table, write_page
from worldfoundry.core.config import save_config, to_json
from worldfoundry.core.errors import CheckpointError, DataError
from worldfoundry.core.runs import new_run_folder
from worldfoundry.data.files import find_videos
from worldfoundry.data.fit import centre_crop, first_frames
from worldfoundry.data.video_io import read_video, resample_rate
from worldfoundry.evaluate.config import EvalResult, ReconstructionConfig, RolloutConfig
from worldfoundry.evaluate.reconstruction import evaluate_reconstruction
from worldfoundry.evaluate.rollout import (
    Predict,
    batched,
    evaluate_rollout,
    frames_to_predict,
    simulated_clips,
)
from worldfoundry.evaluate.rollout import Progress as Report
from worldfoundry.evaluate.tokenizer import Example
from worldfoundry.evaluate.tokenizer_config import TokenizerSuiteConfig
from worldfoundry.inference.session import load_tokenizer, load_world, rollout
from worldfoundry.models.pretrained.config import read_release
from worldfoundry.models.pretrained.release import tensors_digest, weights_digest
from worldfoundry.protocols.models import Conditioning, Tokenizer, WorldModel
from worldfoundry.protocols.video import Clip

_FILE_COLUMNS = 200
"""Room for the table where stdout is no terminal."""


def evaluate(
    config: RolloutConfig | ReconstructionConfig | TokenizerSuiteConfig, out: Path | None, *, as_json: bool
) -> None:
    """Run the suite of ``config``, store the result in ``out``, by default a new run folder, and print the scores.

    The ``tokenizer`` suite has a page beside the result, of the same name.
    """
    examples: list[Example] | None = None
    with progress_bars() as report:
        if isinstance(config, TokenizerSuiteConfig):
            result, examples = run_tokenizer(config, report)
        elif isinstance(config, RolloutConfig):
            result = run_rollout(config, report)
        else:
            result = run_reconstruction(config, report)
    out = out or new_run_folder("runs", f"evaluate-{result.protocol['id']}") / "eval.json"
    save_config(result, out)
    if examples is not None:
        write_page(out.with_suffix(".html"), result, examples)
    if as_json:
        sys.stdout.write(json.dumps(to_json(result)) + "\n")
        return
    width = None if sys.stdout.isatty() else _FILE_COLUMNS
    Console(file=sys.stdout, width=width).print(
        _table(result) if examples is None else tokenizer_table(result)
    )
    sys.stdout.write(f"{out}\n" if examples is None else f"{out}\n{out.with_suffix('.html')}\n")


def run_rollout(config: RolloutConfig, report: Report) -> EvalResult:
    """The ``rollout`` suite with the models of ``config``."""
    world = load_world(config.model)
    return score_world(config, world, world.tokenizer, models=world_identity(config.model), report=report)


def score_world(
    config: RolloutConfig,
    world: WorldModel,
    tokenizer: Tokenizer,
    *,
    models: dict[str, dict[str, str]],
    report: Report,
) -> EvalResult:
    """The ``rollout`` suite with models that are loaded already, on simulated clips at the world's own rate and size."""
    truths = {
        scene: batched(
            simulated_clips(
                scene,
                first_seed=config.first_seed,
                num_clips=config.num_clips,
                num_frames=total_frames(config, world),
                fps=world.spec.fps,
                height=world.spec.height,
                width=world.spec.width,
            ),
            config.batch_size,
        )
        for scene in config.scenes
    }
    return evaluate_rollout(
        config, truths, predict=predictor(world), tokenizer=tokenizer, models=models, progress=report
    )


def total_frames(config: RolloutConfig, world: WorldModel) -> int:
    """Context and prediction of one clip, a length that the tokenizer takes."""
    return config.context_frames + frames_to_predict(
        seconds=config.horizons_seconds[-1],
        fps=world.spec.fps,
        context_frames=config.context_frames,
        temporal_stride=world.spec.tokenizer.temporal_stride,
    )


def predictor(world: WorldModel) -> Predict:
    """The world as the suites call it: no conditioning but the context."""

    def predict(context: Clip, num_frames: int, seeds: Sequence[int]) -> Clip:
        return rollout(world, context, num_frames=num_frames, conditioning=Conditioning(), seeds=seeds)

    return predict


def run_reconstruction(config: ReconstructionConfig, report: Report) -> EvalResult:
    """The ``reconstruction`` suite with the tokenizer of ``config``."""
    tokenizer = load_tokenizer(config.model)
    tokenizer.spec.latent_shape(num_frames=config.num_frames, height=config.size_px, width=config.size_px)
    truths: dict[str, Iterator[Clip]] = {
        scene: batched(
            simulated_clips(
                scene,
                first_seed=config.first_seed,
                num_clips=config.num_clips,
                num_frames=config.num_frames,
                fps=config.fps,
                height=config.size_px,
                width=config.size_px,
            ),
            config.batch_size,
        )
        for scene in config.scenes
    }
    if config.clips:
        truths["real"] = batched(real_clips(config), config.batch_size)
    digest = tensors_digest(tokenizer.state_dict())
    models = {"tokenizer": {"name": config.model, "sha256": digest}}
    return evaluate_reconstruction(config, truths, tokenizer=tokenizer, models=models, progress=report)


def real_clips(config: ReconstructionConfig) -> Iterator[Clip]:
    """The first frames of each video; those that cannot give them are named on stderr and left out."""
    side, seconds = config.size_px, config.num_frames / config.fps + 1.0
    for path in find_videos(Path(config.clips)):
        try:
            frames = resample_rate(read_video(path, end_seconds=seconds), config.fps)
            yield centre_crop(first_frames(frames, config.num_frames), side, side).to_clip()
        except DataError as error:
            sys.stderr.write(f"left out {path}: {error}\n")


def identity(name: str) -> dict[str, str]:
    """Name and digest of the weights of a shipped model or of a checkpoint folder."""
    return {"name": name, "sha256": weights_digest(name)}


def world_identity(name: str) -> dict[str, dict[str, str]]:
    """Name and digest of a world's weights and of those of the tokenizer it lives in."""
    _, release = read_release(name)
    if release.world is None:
        raise CheckpointError(
            f"{name!r} must be a world model, got a {release.family}; see 'worldfoundry models list'"
        )
    return {"world": identity(name), "tokenizer": identity(release.world.tokenizer)}


@contextmanager
def progress_bars() -> Iterator[Report]:
    """A bar for each thing reported, on stderr."""
    columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.stderr)) as bars:
        tasks = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=max(done, total))

        yield report


def _table(result: EvalResult) -> Table:
    """Scores over each horizon (or the whole clip), a line a group and row."""
    first = next(iter(next(iter(result.groups.values())).values()))
    curves = [c for c in first if c.endswith(("_horizon", "_clip"))]
    names = ["group", "row", *(f"{c.split('_')[0]} {at}" for c in curves for at in first[c])]
    table = Table(
        *(Column(name, overflow="fold") for name in names)
    )  # a name cut short would be another name
    for group, rows in result.groups.items():
        for row, scores in rows.items():
            cells = []
            for score in (s for c in curves for s in scores[c].values()):
                half = f" ±{(score.ci95[1] - score.ci95[0]) / 2:.2f}" if score.ci95 else ""
                cells.append(f"{score.mean:.3f}{half}")
            table.add_row(group, row, *cells)
        table.add_section()
    return table
