"""JSON beside a clip: which of it is a caption, controls, numbers per frame, or a plain fact."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from worldfoundry.core.errors import DataError
from worldfoundry.data.actions import read_controls
from worldfoundry.protocols.control import ControlSpec

_CAPTIONS = ("caption", "text", "prompt")
_SOURCES = ("source", "episode_id", "video_id")


class Told(NamedTuple):
    """What a JSON document says."""

    caption: str
    source: str
    controls: ControlSpec | None
    facts: dict[str, Any]
    arrays: dict[str, np.ndarray]


def parse(where: str, document: Any, num_frames: int | None) -> Told:
    """Sort out one document; lists with a row of numbers for each of ``num_frames`` become arrays."""
    if not isinstance(document, dict):
        raise DataError(f"{where} must hold a JSON object, got {type(document).__name__}; write {{...}}")
    left = (
        {**document, **document.get("facts", {})}
        if isinstance(document.get("facts"), dict)
        else dict(document)
    )
    left.pop("facts", None)
    caption = next((str(left.pop(name)) for name in _CAPTIONS if left.get(name)), "")
    source = next((str(left[name]) for name in _SOURCES if left.get(name)), "")
    controls = left.pop("controls", None)
    arrays = {name: rows for name, value in left.items() if (rows := _rows(value, num_frames)) is not None}
    return Told(
        caption=caption,
        source=source,
        controls=None if controls is None else read_controls(f"{where}: controls", controls),
        facts={name: value for name, value in left.items() if name not in arrays and value is not None},
        arrays=arrays,
    )


def read_json(path: Path) -> Any:
    """A JSON file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} must hold JSON, got {error}; correct it") from error


def _rows(value: Any, num_frames: int | None) -> np.ndarray | None:
    """Numbers [t, n] with a row for each frame, or nothing."""
    if not isinstance(value, list) or num_frames is None or len(value) != num_frames or num_frames < 2:
        return None
    try:
        rows = np.array(value, np.float32)
    except (TypeError, ValueError):
        return None
    return rows if rows.ndim == 2 else None
