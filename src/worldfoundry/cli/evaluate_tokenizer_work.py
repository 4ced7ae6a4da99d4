"""The ``tokenizer`` suite run, stored with its page, and printed."""

import sys
from pathlib import Path

from rich.table import Column, Table

from worldfoundry.core.files import atomic_path
from worldfoundry.evaluate.config import EvalResult, Score
from worldfoundry.evaluate.features import FeatureSet, i3d_file, inception_file, random_clips, random_frames
from worldfoundry.evaluate.rollout import Progress
from worldfoundry.evaluate.tokenizer import Example, evaluate_tokenizer
from worldfoundry.evaluate.tokenizer_clips import open_clips
from worldfoundry.evaluate.tokenizer_config import TokenizerSuiteConfig
from worldfoundry.evaluate.tokenizer_report import tokenizer_page
from worldfoundry.models.pretrained.release import load_tokenizer, tensors_digest
from worldfoundry.models.pretrained.source import OpenOptions


def run_tokenizer(config: TokenizerSuiteConfig, report: Progress) -> tuple[EvalResult, list[Example]]:
    """The suite with the tokenizer of ``config``; videos that cannot be used are named on stderr."""
    tokenizer = load_tokenizer(config.model, options=OpenOptions(norm_groups=config.norm_groups or None))
    size = config.size_px if config.shape == "square" else tokenizer.spec.spatial_stride
    tokenizer.spec.latent_shape(num_frames=config.num_frames, height=size, width=size)
    features = load_features(config)
    left_out: list[str] = []

    def leave_out(reason: str) -> None:
        left_out.append(reason)
        sys.stderr.write(f"left out {reason}\n")

    layout, num_videos, clips = open_clips(
        config, spatial_stride=tokenizer.spec.spatial_stride, left_out=leave_out
    )
    models = {"tokenizer": {"name": config.model, "sha256": tensors_digest(tokenizer.state_dict())}}
    result, examples = evaluate_tokenizer(
        config,
        clips,
        tokenizer=tokenizer,
        features=features,
        models=models,
        num_videos=num_videos,
        progress=report,
    )
    result.data["layout"] = layout
    result.facts["left_out"] = left_out
    return result, examples


def load_features(config: TokenizerSuiteConfig) -> list[FeatureSet]:
    """Of frames and of clips, official where files are given."""
    return [
        inception_file(Path(config.inception)) if config.inception else random_frames(),
        i3d_file(Path(config.i3d)) if config.i3d else random_clips(),
    ]


def write_page(path: Path, result: EvalResult, examples: list[Example]) -> None:
    """The page beside the result."""
    with atomic_path(path) as temporary:
        temporary.write_text(tokenizer_page(result, examples), encoding="utf-8")


def tokenizer_table(result: EvalResult) -> Table:
    """A line a score, a column a row of the result."""
    table = Table(Column("group", overflow="fold"), Column("score", overflow="fold"))
    rows = sorted({row for scores in result.groups.values() for row in scores}, key=_ROWS.index)
    for row in rows:
        table.add_column(row)
    for group, scores in result.groups.items():
        for name in dict.fromkeys(name for curves in scores.values() for name in curves):
            cells = [_cell(scores[row][name]) if name in scores.get(row, {}) else "" for row in rows]
            table.add_row(group, name.rsplit("_", 1)[0], *cells)
        table.add_section()
    return table


_ROWS = ("model", "h264", "real")


def _cell(curve: dict[str, Score]) -> str:
    score = next(iter(curve.values()))
    half = f" ±{(score.ci95[1] - score.ci95[0]) / 2:.3f}" if score.ci95 else ""
    return f"{score.mean:.3f}{half}"
