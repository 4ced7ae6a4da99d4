"""What perturbs the world, as one declarative JSON: actions, cameras, trajectory.

A ``ControlSpec`` is stored in the dataset, the run and the checkpoint, and compared wherever two of them meet: a model
that was trained on metres in the gripper's frame must not be driven with millimetres in the robot's. Everything that
changes what a number means is a field; ``check_match`` compares all of them, the order of channels and cameras included.

Frames of reference are names, such as ``world``, ``robot_base``, ``end_effector``, ``ego``. Poses are 4x4 matrices, metres,
OpenCV axes for cameras (x right, y down, z forward). ``save_config``, ``load_config``, ``to_json`` and ``from_json`` of
``core.config`` write and read it; a field that is not known is an error that names it.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from worldfoundry.core.config import to_json
from worldfoundry.core.errors import ConfigError

Matrix = tuple[tuple[float, ...], ...]
_IDENTITY: Matrix = tuple(tuple(float(row == column) for column in range(4)) for row in range(4))
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionChannel:
    """One number of an action vector and all that it means."""

    name: str
    """Such as ``dx``; unique in its action."""
    unit: str
    """Of the value after scaling: ``m``, ``rad``, ``m/s``, ``open fraction``."""
    frame: str
    """Frame of reference, such as ``end_effector``; ``none`` where there is none (a gripper)."""
    mode: Literal["delta", "absolute"]
    """Change since the action before, or a target."""
    scale: float = 1.0
    """Value in ``unit`` = scale x stored value."""

    def __post_init__(self):
        for field in ("name", "unit", "frame"):
            if not getattr(self, field).strip():
                raise ConfigError(f"{field} must not be empty, got {getattr(self, field)!r}; name it")
        if not math.isfinite(self.scale) or self.scale == 0:
            raise ConfigError(
                f"scale must be finite and not 0, got {self.scale}; 1 if values are stored in the unit"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSpec:
    """A vector of actions of any width, at a constant rate."""

    channels: tuple[ActionChannel, ...]
    """In the order of the stored vector."""
    rate_hz: float
    """Actions per second."""
    per_latent: int
    """Actions for each latent frame after the first: rate x temporal stride / fps. In data that of the shipped tokenizers
    (stride 4); a release says its own."""

    def __post_init__(self):
        if not self.channels:
            raise ConfigError("channels must name at least one action, got none; leave actions out instead")
        _check_unique("channels", [c.name for c in self.channels])
        _check_positive("rate_hz", self.rate_hz)
        _check_positive("per_latent", self.per_latent)

    @property
    def width(self) -> int:
        """Numbers of one action."""
        return len(self.channels)

    def at_clock(self, *, fps: float, temporal_stride: int) -> "ActionSpec":
        """The same actions with the ``per_latent`` of such a video and tokenizer, which must be whole: nothing is resampled."""
        wanted = self.rate_hz * temporal_stride / fps
        if round(wanted) < 1 or abs(wanted - round(wanted)) > _TOLERANCE * wanted:
            raise ConfigError(
                f"per_latent must be whole: rate_hz x stride / fps = {self.rate_hz:g} x {temporal_stride} / {fps:g}, got "
                f"{wanted:g}; take data of another rate, or another tokenizer"
            )
        return replace(self, per_latent=round(wanted))


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSpec:
    """One named view: a pinhole camera and where it is mounted."""

    name: str
    """Unique in its rig, such as ``front`` or ``wrist``."""
    width: int
    """Columns that the intrinsics are for, pixels."""
    height: int
    """Rows that the intrinsics are for, pixels."""
    intrinsics: Matrix
    """K [3, 3], pixels; that of the first frame where ``lens`` is ``zoom``."""
    lens: Literal["fixed", "zoom"] = "fixed"
    """Whether ``intrinsics`` holds for all frames, or each frame of the data brings its own."""
    mount: str = "world"
    """Frame of reference of the pose: ``world``, ``robot_base``, ``end_effector``, ``ego``."""
    pose: Literal["fixed", "per_frame"] = "fixed"
    """Whether ``mount_from_camera`` holds for all frames, or each frame of the data brings its own."""
    mount_from_camera: Matrix = _IDENTITY
    """Pose [4, 4], metres; the identity where each frame brings its own."""
    model: Literal["pinhole"] = "pinhole"
    """Projection."""

    def __post_init__(self):
        _check_positive("width", self.width)
        _check_positive("height", self.height)
        for field in ("name", "mount"):
            if not getattr(self, field).strip():
                raise ConfigError(f"{field} must not be empty, got {getattr(self, field)!r}; name it")
        _check_intrinsics(self.intrinsics)
        _check_rigid("mount_from_camera", self.mount_from_camera)
        if self.pose == "per_frame" and self.mount_from_camera != _IDENTITY:
            raise ConfigError(
                f"mount_from_camera must be the identity where pose is 'per_frame', got {self.mount_from_camera}; "
                "leave it out, or set pose to 'fixed'"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrajectorySpec:
    """A future path, given as points at equal times."""

    num_points: int
    """Points of the path, the start excluded."""
    spacing_seconds: float
    """Time between two points."""
    axes: tuple[str, ...] = ("x", "y", "z")
    """Coordinates of a point, in order."""
    frame: str = "ego"
    """Frame of reference, at the time of the start."""
    unit: str = "m"
    """Of the coordinates."""

    def __post_init__(self):
        _check_positive("num_points", self.num_points)
        _check_positive("spacing_seconds", self.spacing_seconds)
        if not self.axes:
            raise ConfigError("axes must name at least one coordinate, got none; such as x, y")
        _check_unique("axes", list(self.axes))


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlSpec:
    """Everything that perturbs a world, by name and unit; what is left out is not there."""

    SCHEMA: ClassVar[int] = 1

    actions: ActionSpec | None = None
    """Robot actions."""
    cameras: tuple[CameraSpec, ...] = ()
    """Views in the order of the data, any number."""
    trajectory: TrajectorySpec | None = None
    """Path to follow."""

    def __post_init__(self):
        _check_unique("cameras", [c.name for c in self.cameras])


def bridge_actions(
    *, rate_hz: float = 5.0, per_latent: int = 1, frame: str = "end_effector", scale: float = 1.0
) -> ActionSpec:
    """The 7-D actions of Bridge: six deltas of the end effector and an absolute gripper, 0 closed to 1 open.

    Which frame the deltas are in differs between the copies that circulate: say that of yours.
    Source: BridgeData V2, arXiv 2308.12952 (7-D, 5 Hz); gripper coordinates as in arXiv 2501.03575.

    >>> [c.name for c in bridge_actions().channels]
    ['dx', 'dy', 'dz', 'droll', 'dpitch', 'dyaw', 'gripper']
    """
    units = {"dx": "m", "dy": "m", "dz": "m", "droll": "rad", "dpitch": "rad", "dyaw": "rad"}
    moves = [
        ActionChannel(name=name, unit=unit, frame=frame, mode="delta", scale=scale)
        for name, unit in units.items()
    ]
    gripper = ActionChannel(name="gripper", unit="open fraction", frame="none", mode="absolute")
    return ActionSpec(channels=(*moves, gripper), rate_hz=rate_hz, per_latent=per_latent)


def differences(ours: ControlSpec | None, theirs: ControlSpec | None) -> dict[str, tuple[Any, Any]]:
    """Dotted field to its two values, for the fields that differ only; a part that one side lacks is ``None`` there."""
    found: dict[str, tuple[Any, Any]] = {}
    a, b = (None if spec is None else to_json(spec) for spec in (ours, theirs))
    _compare("", a, b, found)
    return found


def check_match(
    ours: ControlSpec | None,
    theirs: ControlSpec | None,
    *,
    where: str,
    our_name: str = "ours",
    their_name: str = "theirs",
) -> None:
    """Raise a ``ConfigError`` that shows both sides of every field that differs; ``where`` names the join."""
    found = differences(ours, theirs)
    if found:
        sides = "; ".join(
            f"{field}: {our_name} {_shown(a)}, {their_name} {_shown(b)}" for field, (a, b) in found.items()
        )
        raise ConfigError(
            f"{where}: controls must be the same on both sides, got {sides}; convert the data, or correct the spec "
            "that is wrong"
        )


def _compare(field: str, ours: Any, theirs: Any, found: dict[str, tuple[Any, Any]]) -> None:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in dict.fromkeys((*ours, *theirs)):
            _compare(f"{field}.{name}" if field else name, ours.get(name), theirs.get(name), found)
    elif _are_records(ours) and _are_records(theirs) and len(ours) == len(theirs):
        for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            _compare(f"{field}[{index}]", a, b, found)
    elif ours != theirs:
        found[field or "the whole"] = (ours, theirs)


def _are_records(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, dict) for v in value)


def _shown(value: Any) -> str:
    """One value on one line; records by their names, since the rest of them is not comparable one by one."""
    if _are_records(value):
        return f"{len(value)} ({', '.join(str(v.get('name')) for v in value)})" if value else "none"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_shown(v)}" for k, v in value.items()) + "}"
    return "none" if value is None else repr(value)


def _check_unique(field: str, names: list[str]) -> None:
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise ConfigError(
            f"{field} must have names that differ, got {', '.join(map(repr, twice))} twice; rename one"
        )


def _check_positive(field: str, value: float | int) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(f"{field} must be above 0 and finite, got {value}; give the true one")


def _check_shape(field: str, matrix: Matrix, size: int) -> None:
    if [len(row) for row in matrix] != [size] * size or not all(math.isfinite(x) for r in matrix for x in r):
        raise ConfigError(
            f"{field} must be {size} rows of {size} finite numbers, got {matrix}; write all rows"
        )


def _check_intrinsics(matrix: Matrix) -> None:
    _check_shape("intrinsics", matrix, 3)
    if matrix[0][0] <= 0 or matrix[1][1] <= 0 or matrix[1][0] != 0 or matrix[2] != (0, 0, 1):
        raise ConfigError(
            f"intrinsics must be ((fx, skew, cx), (0, fy, cy), (0, 0, 1)) with fx, fy above 0, got {matrix}; "
            "focal lengths and centre are in pixels"
        )


def _check_rigid(field: str, matrix: Matrix) -> None:
    _check_shape(field, matrix, 4)
    r = [row[:3] for row in matrix[:3]]
    gram = [sum(a * b for a, b in zip(p, q, strict=True)) - (p is q) for p in r for q in r]
    cross = [r[0][(i + 1) % 3] * r[1][(i + 2) % 3] - r[0][(i + 2) % 3] * r[1][(i + 1) % 3] for i in range(3)]
    handed = sum(a * b for a, b in zip(cross, r[2], strict=True))
    if matrix[3] != (0, 0, 0, 1) or handed < 0 or max(map(abs, gram)) > 1e-4:
        raise ConfigError(
            f"{field} must be a rotation and a translation over (0, 0, 0, 1), got {matrix}; no scale, no mirror, not transposed"
        )
