"""Score: the spans of a source with the columns of all detectors, from stored timelines; nothing is decided but lengths."""

import dataclasses
import functools
import importlib
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any, get_origin, get_type_hints

from worldfoundry.curate.config import CurateConfig
from worldfoundry.curate.detect.rows import forget
from worldfoundry.curate.encode import encode_key
from worldfoundry.curate.records import Analysis, Row, Trouble, clip_id_of
from worldfoundry.curate.spans import Piece, pieces_of
from worldfoundry.protocols.curation import Detector, SourceInfo, Span

_STILL_HAS_NO = frozenset(("motion", "camera_motion", "shake"))
"""Columns that stay empty for images."""


def module_of(detector: Detector) -> ModuleType:
    """Where the functions beside a detector are."""
    return importlib.import_module(type(detector).__module__)


@functools.cache
def score_fields(kind: type) -> tuple[dataclasses.Field[Any], ...]:
    """Fields of what the ``score`` beside a detector gives; empty where that is no set of plain values."""
    module = importlib.import_module(kind.__module__)
    if not hasattr(module, "score"):
        return ()
    result = get_type_hints(module.score)["return"]
    hints = get_type_hints(result)
    is_plain = all(h in (float, int, bool, str) or get_origin(h) is tuple for h in hints.values())
    return dataclasses.fields(result) if is_plain else ()


def score_columns(detectors: Sequence[Detector]) -> dict[str, type]:
    """Column -> plain type of all scores; a name that an earlier detector has is told apart by its own."""
    columns: dict[str, type] = {}
    for detector in detectors:
        for each in score_fields(type(detector)):
            hint = get_type_hints(get_type_hints(module_of(detector).score)["return"])[each.name]
            name = each.name if each.name not in columns else f"{detector.name}_{each.name}"
            columns[name] = hint if isinstance(hint, type) else tuple
    return columns


def candidates(analysis: Analysis, config: CurateConfig, detectors: Sequence[Detector]) -> list[Row]:
    """Rows of all spans of a source with their scores, not decided yet except those that are too short."""
    if analysis.share_lost > config.max_damage:
        lost, n = analysis.share_lost, len(analysis.seconds)
        cut = (
            f"got {n} of {analysis.num_promised} frames"
            if analysis.is_cut_short
            else f"{len(analysis.damage_s)} damaged"
        )
        detail = f"{lost:.1%} of the frames are lost ({cut}), above max_damage {config.max_damage:g}"
        return [source_row(analysis.info, Trouble(state="rejected", reason="damaged", detail=detail))]
    shots = _shots(analysis, config, detectors)
    pieces = pieces_of(analysis, shots, config.shots)
    rows = [_row(analysis, piece, config) for piece in pieces]
    for detector in detectors:  # one timeline after the other, so that only one of them is in memory
        _score(rows, analysis, detector)
    for row, piece in zip(rows, pieces, strict=True):
        if piece.is_short:
            length = piece.end_s - piece.start_s
            reject(row, "too_short", f"{length:.2f} s, under shots.min_s {config.shots.min_s:g}")
    return rows


def _shots(analysis: Analysis, config: CurateConfig, detectors: Sequence[Detector]) -> list[Span]:
    wanted = {"own": "shots"}.get(config.shots.detector, config.shots.detector)
    for detector in detectors:
        if detector.name == wanted and not analysis.info.is_still:
            timeline = analysis.timelines[wanted]
            return module_of(detector).spans(timeline, analysis.end_s, config.shots.threshold)
    return [Span(start_s=-math.inf, end_s=math.inf)]


def _row(analysis: Analysis, piece: Piece, config: CurateConfig) -> Row:
    info = analysis.info
    clip_id = clip_id_of(info.source_id, piece.start_s, piece.end_s, encode_key(config.encode))
    return {
        "clip_id": clip_id,
        "source": info.source,
        "source_id": info.source_id,
        **{k: getattr(piece, k) for k in ("start_s", "end_s", "num_frames", "fps")},
        "width": info.width,
        "height": info.height,
        "source_width": info.width,
        "source_height": info.height,
        "is_still": info.is_still,
        "is_variable": piece.is_variable,
        "decision": "",
    }


def _score(rows: Sequence[Row], analysis: Analysis, detector: Detector) -> None:
    """Put a detector's scores into the rows of a source."""
    names = [f.name for f in score_fields(type(detector))]
    if not names:
        return
    timeline, module = analysis.timelines[detector.name], module_of(detector)
    for row in rows:
        scores = module.score(timeline, row["start_s"], row["end_s"])
        for name in names:
            column = name if name not in row else f"{detector.name}_{name}"
            row[column] = None if row["is_still"] and name in _STILL_HAS_NO else getattr(scores, name)
        for array in timeline.values():
            forget(array)


def source_row(info: SourceInfo, trouble: Trouble, *, duplicate_of: str = "") -> Row:
    """The row of a source that yields no clip."""
    return {
        "clip_id": "",
        "source": info.source,
        "source_id": "" if info.source_id.startswith("?") else info.source_id,
        "width": info.width or None,
        "height": info.height or None,
        "fps": info.fps or None,
        "is_still": info.is_still,
        "decision": trouble.state,
        "reason": trouble.reason,
        "detail": trouble.detail,
        "duplicate_of": duplicate_of or None,
    }


def reject(row: Row, reason: str, detail: str) -> None:
    """Put down why a row is not kept."""
    row.update(decision="rejected", reason=reason, detail=detail)
