"""How fast worlds are made: clips per CPU-minute by world and size, and where the time goes.

    python benchmarks/simulate.py [--worlds dominoes,room] [--sizes 64,128] [--num-frames 33] [--clips 3] [--renderer raycast]
        [--out results.json]

CPU seconds of one thread, which a busy machine does not change much: recording (mechanics and behaviour), filming (every
view, with depth and segmentation), writing (mp4, json, npz).
"""

import argparse
import itertools
import json
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from worldfoundry.cli.simulate_work import store
from worldfoundry.simulate.film import simulate
from worldfoundry.simulate.worlds import WORLDS, find_world


def measure(world: str, *, size: int, num_frames: int, clips: int, renderer: str) -> dict[str, Any]:
    """CPU seconds a clip, by part."""
    kind, variant = find_world(world)
    settings = {"num_frames": num_frames, "fps": 10.0}
    spent = {"record": 0.0, "film": 0.0, "write": 0.0}
    views = 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(-1, clips):  # the first one warms up
            times = [time.process_time()]
            kind.record(seed=max(seed, 0), variant=variant, **settings)
            times.append(time.process_time())
            clip = simulate(world, seed=max(seed, 0), height=size, width=size, renderer=renderer, **settings)
            times.append(time.process_time())
            store(clip, Path(folder) / str(seed), "videos")
            times.append(time.process_time())
            views = len(clip.views)
            if seed >= 0:
                record, both, write = (b - a for a, b in itertools.pairwise(times))
                for name, value in zip(spent, (record, both - record, write), strict=True):
                    spent[name] += value
    seconds = {name: round(value / clips, 3) for name, value in spent.items()}
    total = sum(seconds.values())
    return {
        "world": world,
        "size": size,
        "views": views,
        "cpu_seconds_a_clip": seconds,
        "frames_per_cpu_second": round(num_frames * views / seconds["film"], 1),
        "clips_per_cpu_minute": round(60 / total, 1),
    }


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--worlds", default=",".join(WORLDS))
    parser.add_argument("--sizes", default="64,128")
    parser.add_argument("--num-frames", type=int, default=33)
    parser.add_argument("--clips", type=int, default=3)
    parser.add_argument("--renderer", default="raycast")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for world in options.worlds.split(","):
        for size in map(int, options.sizes.split(",")):
            row = measure(
                world,
                size=size,
                num_frames=options.num_frames,
                clips=options.clips,
                renderer=options.renderer,
            )
            rows.append(row)
            sys.stdout.write(
                f"{world:16} {size:4} px  {row['views']} views  {row['frames_per_cpu_second']:7.1f} frames per CPU-s  "
                f"{row['clips_per_cpu_minute']:7.1f} clips per CPU-min  {row['cpu_seconds_a_clip']}\n"
            )
            sys.stdout.flush()
    if options.out:
        told = {
            "command": " ".join(sys.argv),
            "machine": f"{platform.machine()}, one thread",
            "num_frames": options.num_frames,
            "renderer": options.renderer,
            "rows": rows,
        }
        options.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
