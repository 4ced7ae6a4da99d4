"""What a LeRobotDataset holds, whether it can be used, and what stands out; no picture is decoded."""

from pathlib import Path
from typing import Any

from worldfoundry.core.config import load_config
from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.data.action_report import (
    action_warnings,
    describe_actions,
    idle_share,
    jitter_seconds,
    jitter_warnings,
)
from worldfoundry.data.actions import check_controls
from worldfoundry.data.lerobot import LeRobotDataset, find_problems, open_lerobot
from worldfoundry.data.lerobot_rows import Rows
from worldfoundry.data.lerobot_write import CONTROLS_PATH
from worldfoundry.protocols.control import ControlSpec


def inspect_lerobot(root: Path) -> dict[str, Any]:
    """A report as JSON values; ``problems`` has one line for each episode that cannot be used."""
    dataset = open_lerobot(root)
    problems: list[str] = []
    good: list[Rows] = []
    for _, found in find_problems(dataset):
        if isinstance(found, DataError):
            problems.append(str(found))
        else:
            good.append({n: v for n, v in found.items() if n in ("timestamp", "action", "observation.state")})
    info, warnings, num_bad = dataset.info, list[str](), len(problems)
    try:
        controls = load_controls(root)
        if controls is None:
            warnings.append(
                f"actions and cameras have no units or frames: write {root / CONTROLS_PATH} (a ControlSpec)"
            )
        for rows in good[:1]:
            check_controls(str(root / CONTROLS_PATH), controls, rows, info.fps)
    except DataError as error:
        controls = None
        problems.append(str(error))
    spec = controls.actions if controls else None
    feature = dataset.info.features.get("action")
    recorded = [] if feature is None else [rows["action"] for rows in good]
    actions = describe_actions(recorded, feature.names if feature else (), spec)
    jitter = max((jitter_seconds(rows["timestamp"], info.fps) for rows in good), default=0.0)
    idle = _idle_share(good)
    warnings += _warnings(dataset, actions, jitter=jitter, idle=idle)
    return {
        "path": str(root),
        "format": f"LeRobotDataset {info.version}",
        "robot_type": info.robot_type,
        "episodes": len(dataset),
        "episodes_with_problems": num_bad,
        "rows": info.num_rows,
        "seconds": info.num_rows / info.fps,
        "fps": info.fps,
        "jitter_ms": jitter * 1000,
        "idle_share": idle,
        "tasks": list(dataset.tasks.values()),
        "features": [
            {"name": f.name, "dtype": f.dtype, "shape": list(f.shape), "names": list(f.names)}
            for f in info.features.values()
        ],
        "actions": actions,
        "warnings": warnings,
        "problems": problems,
        "next": _next(dataset, problems),
    }


def load_controls(root: Path) -> ControlSpec | None:
    """What the data set says its actions and cameras mean, if it does."""
    path = root / CONTROLS_PATH
    if not path.is_file():
        return None
    try:
        return load_config(ControlSpec, path)
    except ConfigError as error:
        raise DataError(str(error)) from error


def _idle_share(good: list[Rows]) -> float | None:
    """Idle rows by the state, without one by the action."""
    name = next((n for n in ("observation.state", "action") if good and n in good[0]), None)
    return None if name is None else idle_share([rows[name] for rows in good])


def _warnings(
    dataset: LeRobotDataset,
    actions: list[dict[str, Any]],
    *,
    jitter: float,
    idle: float | None,
) -> list[str]:
    info, found = dataset.info, []
    if "action" not in info.features:
        found.append("there is no feature named action: a world model cannot learn to be controlled")
    if not info.cameras:
        found.append("there is no camera: nothing to learn a world from")
    found += jitter_warnings(jitter, info.fps)
    found += action_warnings(actions, idle)
    if any(not task.strip() for task in dataset.tasks.values()):
        found.append("a task has no text")
    return found


def _next(dataset: LeRobotDataset, problems: list[str]) -> str:
    root, info = dataset.root, dataset.info
    if problems:
        return "mend or drop the episodes with problems, then inspect again"
    if not info.cameras:
        return f"worldfoundry.data.lerobot.open_lerobot({str(root)!r}), then read_rows by episode"
    shortest = min(e.num_rows for e in dataset.episodes)
    frames = 1 + min(32, shortest - 1) // 4 * 4
    others = "".join(f" --drop {camera}" for camera in info.cameras[1:])
    return f"worldfoundry data prepare {root} --out datasets/{root.name} --num-frames {frames}{others}"
