"""Actions as they lie in data, held against the ``ControlSpec`` that says what they mean."""

import math
from collections.abc import Mapping

import numpy as np

from worldfoundry.core.config import from_json
from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.protocols.control import ControlSpec

ACTIONS = ("actions", "action")
"""Names that the array of actions goes by."""
_SAME_RATE = 1e-2
"""Rates of containers are measured."""


def read_controls(where: str, document: object) -> ControlSpec:
    """Controls as they lie in data; what they must not be is a ``DataError``, for the command is not to blame."""
    try:
        return from_json(ControlSpec, document, where=where)
    except ConfigError as error:
        raise DataError(str(error)) from error


def check_controls(
    where: str, controls: ControlSpec | None, arrays: Mapping[str, np.ndarray], fps: float
) -> None:
    """Raise a ``DataError`` unless the actions, a row a frame, have the width and the rate that ``controls`` say."""
    spec = controls.actions if controls else None
    rows = next((arrays[name] for name in ACTIONS if name in arrays), None)
    if spec is None or rows is None:
        return
    width = math.prod(rows.shape[1:])
    if width != spec.width:
        names = ", ".join(channel.name for channel in spec.channels)
        raise DataError(
            f"{where}: actions must be the {spec.width} numbers that controls name ({names}), got {width}; correct one of the two"
        )
    if abs(spec.rate_hz - fps) > _SAME_RATE * fps:
        raise DataError(
            f"{where}: actions must come at the {spec.rate_hz:g} Hz that controls say, got a row for each frame at {fps:g} fps; "
            "correct one of the two"
        )
