"""How fast batches come: samples per second of ours beside a plain PyTorch loader over the same files.

    python benchmarks/data.py FOLDER [--num-frames 17] [--size 128] [--batches 20] [--workers 0,2] [--out results.json]

The plain loader is what is usually written: a map-style ``Dataset`` whose item opens the file with PyAV, decodes from the
start up to the end of the window, resizes with torch and crops the middle; shuffled by ``DataLoader``. Both give uint8 batches
of one shape from the same windows. ``decode`` is the share of CPU time that decoding alone takes, by a profile of ours.
"""

import argparse
import cProfile
import itertools
import json
import platform
import pstats
import sys
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from worldfoundry.data.files import find_videos
from worldfoundry.data.fit import resize
from worldfoundry.data.loading.buckets import Bucket
from worldfoundry.data.loading.loader import ClipLoader, LoaderConfig
from worldfoundry.data.loading.plan import PlanConfig
from worldfoundry.data.loading.source import FileSource


class Plain(Dataset[torch.Tensor]):
    """(file, first frame) to a resized, cropped window."""

    def __init__(self, windows: list[tuple[Path, int]], bucket: Bucket):
        self.windows, self.bucket = windows, bucket

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, k: int) -> torch.Tensor:
        path, first = self.windows[k]
        b = self.bucket
        with av.open(str(path)) as container:
            container.streams.video[0].thread_count = 1
            frames = itertools.islice(container.decode(video=0), first, first + b.num_frames)
            pixels = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
        h, w = pixels.shape[1:3]
        scale = max(b.height / h, b.width / w)
        pixels = resize(pixels, round(h * scale), round(w * scale))
        top, left = (pixels.shape[1] - b.height) // 2, (pixels.shape[2] - b.width) // 2
        return torch.from_numpy(pixels[:, top : top + b.height, left : left + b.width].copy())


def rate(batches: Any, count: int, batch_size: int) -> float:
    """Samples per wall second, the first batch (start of workers) apart."""
    iterator = iter(batches)
    next(iterator)
    began = time.perf_counter()
    for _ in range(count):
        next(iterator)
    return count * batch_size / (time.perf_counter() - began)


def decode_share(loader: ClipLoader, count: int) -> float:
    """Share of the time in this process that ``read_video`` takes."""
    profile = cProfile.Profile()
    profile.enable()
    for _ in itertools.islice(loader, count):
        pass
    profile.disable()
    stats = pstats.Stats(profile).stats  # pyright: ignore[reportAttributeAccessIssue]
    total = max(row[3] for row in stats.values())
    decoding = next(row[3] for (_, _, name), row in stats.items() if name == "read_video")
    return decoding / total


def main() -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--num-frames", type=int, default=17)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--workers", default="0,2")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    bucket = Bucket(height=options.size, width=options.size, num_frames=options.num_frames)
    source = FileSource(find_videos(options.folder), name=str(options.folder))
    plan = PlanConfig(buckets=(bucket,), batch_size=options.batch_size, enlarge=True)
    ours = ClipLoader([source], LoaderConfig(plan=plan))
    files = find_videos(options.folder)
    windows = [(files[w.clip], w.first) for n in range(options.batches + 8) for w in ours.plan.batch(n)[1]]
    rows = []
    for workers in map(int, options.workers.split(",")):
        loader = ClipLoader([source], LoaderConfig(plan=plan, workers=workers))
        plain = DataLoader(
            Plain(windows, bucket),
            batch_size=options.batch_size,
            num_workers=workers,
            multiprocessing_context="spawn" if workers else None,
        )
        mine, theirs = (rate(x, options.batches, options.batch_size) for x in (loader, plain))
        rows.append(
            {
                "workers": workers,
                "ours": round(mine, 2),
                "plain": round(theirs, 2),
                "ratio": round(mine / theirs, 2),
            }
        )
        sys.stdout.write(f"{rows[-1]}\n")
    share = round(decode_share(ours, options.batches), 3)
    sys.stdout.write(f"decode: {share:.0%} of our time\n")
    if options.out:
        told = {
            "command": " ".join(sys.argv),
            "machine": platform.machine(),
            "files": len(files),
            "rows": rows,
            "decode_share": share,
        }
        options.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
