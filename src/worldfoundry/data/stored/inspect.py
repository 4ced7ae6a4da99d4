"""What a stored data set holds, whether it can be used, and what stands out."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from worldfoundry.core.errors import DataError
from worldfoundry.data.action_report import (
    action_warnings,
    describe_actions,
    idle_share,
    jitter_seconds,
    jitter_warnings,
)
from worldfoundry.data.actions import ACTIONS
from worldfoundry.data.fit import resize
from worldfoundry.data.stored.clip import StoredClip, StoredDataset, as_file
from worldfoundry.data.stored.selection import Selection, dropping
from worldfoundry.data.video_io import read_seconds
from worldfoundry.data.video_write import write_image
from worldfoundry.protocols.control import ActionSpec

_SHEET_CLIPS, _SHEET_FRAMES, _SHEET_ROWS_PX = 12, 6, 96
_STATES = ("robot_state", "observation.state", "state")


def inspect_dataset(dataset: StoredDataset) -> dict[str, Any]:
    """A report as JSON values; ``problems`` has one line for each clip that cannot be used."""
    problems, good = list(dataset.problems), list[int]()
    for index in range(len(dataset.clips)):
        try:
            dataset.verify(index)
            good.append(index)
        except DataError as error:
            problems.append(str(error))
    clips = [dataset.clips[k] for k in good]
    arrays = [dataset.read_arrays(k) for k in good]
    specs = {c.controls.actions for c in clips if c.controls is not None}
    spec = next(iter(specs)) if len(specs) == 1 else None
    acted = [found for a in arrays if (found := _one_of(a, ACTIONS)) is not None]
    widths = Counter(rows.shape[1:] for rows in acted)
    actions = describe_actions(acted, (), spec) if len(widths) == 1 else []
    idle = _idle_share([found for a in arrays if (found := _one_of(a, (*_STATES, *ACTIONS))) is not None])
    jitters = [(_jitter_seconds(dataset, k), dataset.clips[k].entry.fps) for k in good]
    jitter, jitter_fps = max(jitters, key=lambda j: j[0] * j[1], default=(0.0, 1.0))
    rates = Counter(round(c.entry.fps, 3) for c in clips)
    return {
        "path": str(dataset.path),
        "format": dataset.form,
        "robot_type": "",
        "episodes": len(clips) + len(problems),
        "episodes_with_problems": len(problems),
        "clips": len(clips),
        "rows": sum(c.entry.num_frames for c in clips),
        "seconds": sum(c.entry.num_frames / c.entry.fps for c in clips),
        "fps": rates.most_common(1)[0][0] if rates else 0.0,
        "all_fps": sorted(rates),
        "sizes": sorted({f"{c.entry.width}x{c.entry.height}" for c in clips}),
        "lengths": sorted({c.entry.num_frames for c in clips}),
        "sources": len({c.source for c in clips}),
        "captions": sum(bool(c.caption) for c in clips),
        "jitter_ms": jitter * 1000,
        "idle_share": idle,
        "tasks": list(
            dict.fromkeys(str(c.facts.get("instruction") or c.caption) for c in clips if c.caption)
        ),
        "features": _features(clips, arrays),
        "actions": actions,
        "warnings": [
            *_warnings(clips, rates, actions, spec, widths),
            *jitter_warnings(jitter, jitter_fps),
            *action_warnings(actions, idle),
        ],
        "problems": problems,
        "next": _next(dataset, clips, problems),
    }


def write_sheet(dataset: StoredDataset, out: Path) -> None:
    """A picture of the first clips that can be decoded: one a row, frames from first to last."""
    rows: list[np.ndarray] = []
    for index, clip in enumerate(dataset.clips):
        if len(rows) == _SHEET_CLIPS:
            break
        try:
            pixels = dataset.read_frames(index, clip.views[0]).pixels
        except DataError:
            continue  # the report tells it
        chosen = pixels[np.linspace(0, len(pixels) - 1, _SHEET_FRAMES).round().astype(int)]
        width = max(1, round(_SHEET_ROWS_PX * pixels.shape[2] / pixels.shape[1]))
        rows.append(np.concatenate(list(resize(chosen, _SHEET_ROWS_PX, width)), axis=1))
    if not rows:
        raise DataError(f"{dataset.path} must hold a clip to be pictured, got none; see its problems")
    widest = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 2), (0, widest - row.shape[1]), (0, 0))) for row in rows]
    write_image(out, np.concatenate(padded))


def _jitter_seconds(dataset: StoredDataset, index: int) -> float:
    """By the times of the frames of the main view; 0 where pixels alone are stored."""
    clip = dataset.clips[index]
    stored = dataset.video(index, clip.views[0])
    if stored is None or clip.entry.num_frames < 2:
        return 0.0
    if isinstance(stored.content, Path):
        return jitter_seconds(read_seconds(stored.content), clip.entry.fps)
    with as_file(stored.content, stored.suffix) as file:
        return jitter_seconds(read_seconds(file), clip.entry.fps)


def _idle_share(signals: list[np.ndarray]) -> float | None:
    """Of all steps; signals of one width tell the range of each other."""
    widths = {signal.shape[1:] for signal in signals}
    groups = [[s for s in signals if s.shape[1:] == width] for width in widths]
    steps = [sum(len(s) - 1 for s in group) for group in groups]
    shares = [(idle_share(group), n) for group, n in zip(groups, steps, strict=True) if n]
    return sum((share or 0.0) * n for share, n in shares) / sum(steps) if shares else None


def _one_of(arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray | None:
    return next((arrays[name] for name in names if name in arrays), None)


def _features(clips: list[StoredClip], arrays: list[dict[str, np.ndarray]]) -> list[dict[str, Any]]:
    views = Counter(view for c in clips for view in c.views)
    found = [
        {"name": view, "dtype": "video", "shape": ["t", "h", "w", 3], "names": [f"{n} of {len(clips)} clips"]}
        for view, n in views.items()
    ]
    kinds = Counter((name, str(v.dtype), v.shape[1:]) for a in arrays for name, v in a.items())
    found += [
        {
            "name": name,
            "dtype": dtype,
            "shape": ["t", *shape],
            "names": [] if n == len(clips) else [f"{n} of {len(clips)} clips"],
        }
        for (name, dtype, shape), n in kinds.items()
    ]
    return found


def _warnings(
    clips: list[StoredClip],
    rates: Counter[float],
    actions: list[Any],
    spec: ActionSpec | None,
    widths: Counter[tuple[int, ...]],
) -> list[str]:
    found: list[str] = []
    if len(rates) > 1:
        found.append(
            f"clips have different rates: {', '.join(f'{n} at {fps:g} fps' for fps, n in rates.most_common(4))}"
        )
    missing = sum(not c.caption for c in clips)
    if missing and clips:
        found.append(f"{missing} of {len(clips)} clips have no caption")
    if len(widths) > 1:
        found.append(
            f"clips have actions of different widths: {', '.join(f'{n} of {list(w)}' for w, n in widths.most_common(4))}"
        )
    if (actions or len(widths) > 1) and spec is None:
        found.append(
            "actions have no units or frames, or not the same in all clips: give each its controls (a ControlSpec)"
        )
    return found


def _next(dataset: StoredDataset, clips: list[StoredClip], problems: list[str]) -> str:
    if problems:
        return "mend or remove what has problems, then inspect again"
    if not clips:
        return "name a folder that holds clips"
    if dataset.form == "clip-set":
        return f"worldfoundry train RECIPE --data {dataset.path}"
    others = sorted({view for c in clips for view in c.views[1:]} - {c.views[0] for c in clips})
    chosen = Selection(dataset, tuple(others))
    drop, slowest = [*others, *chosen.uneven()], ""
    entries = [c.entry for c in clips]
    rates = sorted({e.fps for e in entries})
    if rates[-1] - rates[0] > 1e-3 * rates[-1]:
        drop, slowest = (
            [*others, *sorted({n for k in range(len(clips)) for n in chosen.arrays(k)})],
            f" --fps {rates[0]:g}",
        )
    if len({c.controls.actions for c in clips if c.controls is not None}) > 1:
        drop = [*drop, "controls"]
    shortest = min(int(e.num_frames * rates[0] / e.fps + 1e-6) for e in entries)
    frames = 1 + min(32, max(1, shortest) - 1) // 4 * 4
    size = max(8, min(64, *(min(e.height, e.width) for e in entries)) // 8 * 8)
    line = (
        f"worldfoundry data prepare {dataset.path} --out datasets/{dataset.path.stem} --size {size} "
        f"--num-frames {frames}{slowest} {dropping(drop)}"
    )
    return line.strip()
