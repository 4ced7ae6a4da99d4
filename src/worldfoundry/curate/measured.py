"""Captions without a model: only what the detectors measured, in plain words.

They say nothing of what is seen, because nothing here has looked at it; a column of the index says that they are measured.
"""

import math
from collections.abc import Mapping
from typing import Any

_CAMERA = {
    "static": "The camera stands still.",
    "pan-left": "pans to the left",
    "pan-right": "pans to the right",
    "tilt-up": "tilts up",
    "tilt-down": "tilts down",
    "zoom-in": "moves or zooms in",
    "zoom-out": "moves or zooms out",
    "roll-cw": "rolls clockwise",
    "roll-ccw": "rolls counter-clockwise",
    "shake": "shakes",
    "handheld": "is held by hand",
}


_SURE = 0.7  # confidence from which a type is named


def describe_row(row: Mapping[str, Any]) -> str:
    """A few sentences from the scores of a clip; what was not measured is not mentioned.

    >>> describe_row({"is_still": False, "start_s": 0.0, "end_s": 4.0, "type": "driving", "camera_motion": "pan-left"})
    'A video of type driving, 4.0 seconds long. The camera pans to the left.'
    """
    sentences = [
        _first(row),
        _camera(row),
        _moving(row),
        _level(row, "brightness", ("dark", "bright"), (0.25, 0.75)),
    ]
    if _number(row, "overlay_text") > 0.5:
        sentences.append("Text or a logo is laid over it.")
    return " ".join(s for s in sentences if s)


def _first(row: Mapping[str, Any]) -> str:
    kind = "An image" if row["is_still"] else "A video"
    # A type that the detector itself doubts was guessed, not measured; types from elsewhere come without a confidence.
    is_known = bool(row.get("type")) and not _number(row, "type_confidence") < _SURE
    named = f" of type {row['type'].replace('_', ' ')}" if is_known else ""
    length = "" if row["is_still"] else f", {row['end_s'] - row['start_s']:.1f} seconds long"
    return f"{kind}{named}{length}."


def _camera(row: Mapping[str, Any]) -> str:
    tags = [tag for tag in (row.get("camera_motion") or "").split(",") if tag]
    if tags == ["static"]:
        return _CAMERA["static"]
    said = [_CAMERA.get(tag, tag.replace("_", " ").replace("-", " ")) for tag in tags if tag != "static"]
    if not said:
        return ""
    listed = said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"
    return f"The camera {listed}."


def _moving(row: Mapping[str, Any]) -> str:
    moving = _number(row, "object_motion")
    if not math.isfinite(moving) or row["is_still"]:
        return ""
    # Picture diagonals a second: a slow walker in a wide view is at about a hundredth.
    return (
        "Little moves in it."
        if moving < 0.01
        else "Things move in it."
        if moving < 0.08
        else "Things move fast in it."
    )


def _level(row: Mapping[str, Any], column: str, words: tuple[str, str], limits: tuple[float, float]) -> str:
    value = _number(row, column)
    if not math.isfinite(value) or limits[0] <= value <= limits[1]:
        return ""
    return f"The picture is {words[0] if value < limits[0] else words[1]}."


def _number(row: Mapping[str, Any], column: str) -> float:
    value = row.get(column)
    return float(value) if isinstance(value, int | float) else math.nan
