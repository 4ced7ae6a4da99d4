"""Simulated clips to files; kept apart from the command's parser because it imports the simulator."""

import json
import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import track

from worldfoundry.core.config import to_json
from worldfoundry.core.errors import WorldFoundryError
from worldfoundry.core.files import atomic_folder
from worldfoundry.data.clip_set import write_clip_set
from worldfoundry.data.video_write import write_video
from worldfoundry.simulate.film import SimulatedClip, simulate
from worldfoundry.simulate.render.context import import_mujoco, usable_renderer

if TYPE_CHECKING:
    from worldfoundry.cli.simulate import SimulateArgs

Job = tuple[str, int, int, float, int, str]


def _simulate(job: Job) -> SimulatedClip:
    scene, seed, num_frames, fps, size, renderer = job
    return simulate(
        scene, seed=seed, num_frames=num_frames, fps=fps, height=size, width=size, renderer=renderer
    )


def _simulated(options: "SimulateArgs") -> Iterator[SimulatedClip]:
    """Clips in a fixed order, whatever the number of processes."""
    seeds = range(options.seed, options.seed + options.clips)
    renderer = usable_renderer(options.renderer)
    jobs: list[Job] = [
        (scene, seed, options.num_frames, options.fps, options.size, renderer)
        for scene, seed in product(options.scenes, seeds)
    ]
    console = Console(file=sys.stderr)
    if options.workers == 1:
        yield from track(map(_simulate, jobs), "simulating", total=len(jobs), console=console)
        return
    # Not multiprocessing.Pool, which waits for ever for the clips of a worker that died.
    pool = ProcessPoolExecutor(options.workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        clips = pool.map(_simulate, jobs, chunksize=4)
        yield from track(clips, "simulating", total=len(jobs), console=console)
    except BrokenProcessPool as error:
        raise WorldFoundryError(
            f"one of the {options.workers} workers died, often for want of memory; lower --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def check(options: "SimulateArgs") -> None:
    """Refuse what ``write`` would refuse for want of MuJoCo or OpenGL."""
    import_mujoco()
    usable_renderer(options.renderer)


def write(options: "SimulateArgs") -> None:
    """Make ``options.out``."""
    if options.format == "clip-set":
        total = options.clips * len(options.scenes)
        pairs = (
            (c.frames.pixels, {"scene": c.scene, "seed": c.seed, "caption": c.caption})
            for c in _simulated(options)
        )
        write_clip_set(options.out, pairs, num_clips=total, fps=options.fps)
        return
    with atomic_folder(options.out) as folder:
        for clip in _simulated(options):
            _write_clip(folder / f"{clip.scene.replace('/', '-')}-{clip.seed:07d}", clip)


def _write_clip(stem: Path, clip: SimulatedClip) -> None:
    """``<stem>.mp4`` to watch (``<stem>.<view>.mp4`` of several), ``<stem>.json`` to read, ``<stem>.npz`` with every array."""
    several = len(clip.views) > 1
    for view in clip.views:
        name = f"{stem.name}.{view.name}.mp4" if several else f"{stem.name}.mp4"
        write_video(stem.with_name(name), view.frames)
    told = {
        "scene": clip.scene,
        "seed": clip.seed,
        "caption": clip.caption,
        "success": clip.success,
        "views": [view.name for view in clip.views],
        "controls": to_json(clip.controls),
        "facts": clip.facts,
    }
    stem.with_name(f"{stem.name}.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    np.savez_compressed(stem.with_name(f"{stem.name}.npz"), **_truth(clip), meta=json.dumps(told))


def _truth(clip: SimulatedClip) -> dict[str, Any]:
    """Arrays by name: of the main view as they are, of each further view behind ``<view>.``."""
    truth: dict[str, Any] = {
        "fps": clip.frames.fps,
        "body_names": np.array(clip.body_names),
        "body_positions_m": clip.body_positions,
        "body_quaternions_wxyz": clip.body_quaternions,
        "body_velocities": clip.body_velocities,
        "contacts": clip.contacts,
    }
    for index, view in enumerate(clip.views):
        prefix = f"{view.name}." if index else ""
        truth |= {
            f"{prefix}pixels": view.frames.pixels,
            f"{prefix}segmentation": view.segmentation,
            f"{prefix}depth_m": view.depth,
            f"{prefix}intrinsics_px": view.camera.intrinsics,
            f"{prefix}world_from_camera": view.camera.world_from_camera,
        }
    for name in ("actions", "trajectory"):
        values = getattr(clip, name)
        if values is not None:
            truth[name] = values
    return truth
