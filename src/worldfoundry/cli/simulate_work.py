"""Simulated clips to files; kept apart from the command's parser because it imports the simulator.

Each clip is written by the process that made it, whole or not at all, into a folder that outlives a crash: the same command
goes on from there.
"""

import json
import logging
import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from worldfoundry.core.config import from_json, to_json
from worldfoundry.core.errors import WorldFoundryError
from worldfoundry.core.files import atomic_path, resumable_folder
from worldfoundry.data.clip_set import NewClip, write_clip_set
from worldfoundry.data.stored.convert import convert
from worldfoundry.data.stored.folder import FolderDataset
from worldfoundry.data.video_write import write_video
from worldfoundry.protocols.control import ControlSpec, check_match
from worldfoundry.simulate.film import SimulatedClip, simulate
from worldfoundry.simulate.render.context import import_mujoco, usable_renderer

if TYPE_CHECKING:
    from worldfoundry.cli.simulate import SimulateArgs

_CHUNK = 4


class _Job(NamedTuple):
    """One clip."""

    scene: str
    seed: int

    @property
    def stem(self) -> str:
        return f"{self.scene.replace('/', '-')}-{self.seed:07d}"


def check(options: "SimulateArgs") -> None:
    """Refuse what ``write`` would refuse for want of MuJoCo or OpenGL."""
    import_mujoco()
    usable_renderer(options.renderer)


def write(options: "SimulateArgs") -> None:
    """Make ``options.out``, or go on making it."""
    plan = options.plan | {"renderer": usable_renderer(options.renderer)}
    seeds = range(options.seed, options.seed + options.clips)
    jobs = [_Job(scene, seed) for scene, seed in product(options.scenes, seeds)]
    if options.format == "videos":
        with resumable_folder(options.out, plan) as folder:
            _make(options, plan, jobs, folder)
        return
    with resumable_folder(options.out, plan, content="set") as folder:
        if not (folder / "set").exists():
            if options.format == "clip-set" and len(options.scenes) > 1:
                # One clip of each scene tells whether they can be stored together, before the others are made.
                firsts = jobs[:: options.clips]
                _make(options, plan, firsts, folder)
                _controls_of(firsts, folder)
            _make(options, plan, jobs, folder)
            if options.format == "shards":
                convert(FolderDataset(folder), folder / "set", "webdataset")
                return
            clips = _stored(jobs, folder)
            write_clip_set(
                folder / "set",
                clips,
                num_clips=len(jobs),
                fps=options.fps,
                controls=_controls_of(jobs, folder),
            )


def _make(options: "SimulateArgs", plan: dict[str, Any], jobs: list[_Job], folder: Path) -> None:
    """Write the clips that are not there yet."""
    missing = [job for job in jobs if not (folder / f"{job.stem}.npz").exists()]
    if len(missing) < len(jobs):
        sys.stderr.write(f"going on: {len(jobs) - len(missing)} of {len(jobs)} clips are there\n")
    for _ in track(
        _worked(options.workers, partial(_write, plan, folder), missing),
        "simulating",
        total=len(missing),
        console=Console(file=sys.stderr),
    ):
        pass


def _worked(workers: int, work: Any, jobs: list[_Job]) -> Iterator[None]:
    """Do every job, in this process or in several."""
    if workers == 1:
        yield from map(work, jobs)
        return
    # Not multiprocessing.Pool, which waits for ever for the clips of a worker that died.
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_one_thread
    )
    try:
        yield from pool.map(work, jobs, chunksize=_CHUNK)
    except BrokenProcessPool as error:
        raise WorldFoundryError(
            f"one of the {workers} workers died, often for want of memory; lower --workers and give the command again: "
            "it goes on from the clips that are there"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _one_thread() -> None:
    """Processes share the cores already. The renderer's fallback has been told once, by the parent."""
    os.environ["OMP_NUM_THREADS"] = "1"
    logging.getLogger("worldfoundry.simulate").setLevel(logging.ERROR)


def _write(plan: dict[str, Any], folder: Path, job: _Job) -> None:
    """Simulate one clip and store it."""
    clip = simulate(
        job.scene,
        seed=job.seed,
        num_frames=plan["num_frames"],
        fps=plan["fps"],
        height=plan["size"],
        width=plan["size"],
        renderer=plan["renderer"],
    )
    store(clip, folder / job.stem, plan["format"])


def store(clip: SimulatedClip, stem: Path, format: str) -> None:
    """Write what ``format`` keeps of a clip; ``<stem>.npz`` comes last and says that all is there."""
    meta = json.dumps(_told(clip))
    if format != "clip-set":
        _write_videos(stem, clip)
    with atomic_path(stem.with_name(f"{stem.name}.npz")) as temporary:
        if format != "clip-set":
            np.savez_compressed(temporary, **_truth(clip), meta=meta)
        else:
            np.savez(temporary, **_per_frame(clip), meta=meta)


def _write_videos(stem: Path, clip: SimulatedClip) -> None:
    """``<stem>.mp4`` to watch (``<stem>.<view>.mp4`` of several) and ``<stem>.json`` to read."""
    for view in clip.views:
        name = f"{stem.name}.{view.name}.mp4" if len(clip.views) > 1 else f"{stem.name}.mp4"
        with atomic_path(stem.with_name(name)) as temporary:
            write_video(temporary, view.frames)
    with atomic_path(stem.with_name(f"{stem.name}.json")) as temporary:
        temporary.write_text(json.dumps(_told(clip), indent=1) + "\n", encoding="utf-8")


def _per_frame(clip: SimulatedClip) -> dict[str, Any]:
    """Of the main view what training takes: pixels, camera, actions."""
    t = len(clip.frames.pixels)
    intrinsics = np.broadcast_to(clip.camera.intrinsics, (t, 3, 3))
    kept: dict[str, Any] = {
        "pixels": clip.frames.pixels,
        "intrinsics_px": np.ascontiguousarray(intrinsics, np.float32),
        "world_from_camera": clip.camera.world_from_camera.astype(np.float32),
    }
    return kept if clip.actions is None else kept | {"actions": clip.actions}


def _told(clip: SimulatedClip) -> dict[str, Any]:
    """What is known in words and numbers."""
    return {
        "scene": clip.scene,
        "seed": clip.seed,
        "caption": clip.caption,
        "success": clip.success,
        "views": [view.name for view in clip.views],
        "controls": to_json(clip.controls),
        "facts": clip.facts,
    }


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


def _stored(jobs: list[_Job], folder: Path) -> Iterator[NewClip]:
    for job in jobs:
        with np.load(folder / f"{job.stem}.npz") as stored:
            told = json.loads(str(stored["meta"]))
            arrays = {name: stored[name] for name in stored.files if name not in ("pixels", "meta")}
            row = {name: told[name] for name in ("scene", "seed", "caption", "success")}
            row |= {name: told["facts"][name] for name in ("instruction",) if name in told["facts"]}
            yield NewClip(stored["pixels"], row, arrays)


def _controls_of(jobs: list[_Job], folder: Path) -> ControlSpec | None:
    """What the actions and the trajectory mean, if there are any; each clip brings its own camera."""
    found: ControlSpec | None = None
    for job in jobs:
        with np.load(folder / f"{job.stem}.npz") as stored:
            told = json.loads(str(stored["meta"]))
        controls = replace(from_json(ControlSpec, told["controls"], where=job.stem), cameras=())
        if found is None:
            found = controls
        check_match(found, controls, where="simulate --format clip-set", their_name=job.scene)
    return None if found == ControlSpec() else found
