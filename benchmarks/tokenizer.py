"""The full-size CV8x8x8 tokenizer beside diffusers' ``AutoencoderKLCosmos``: time and memory with the same weights, as ratios.

    pip install diffusers
    python benchmarks/tokenizer.py [--frames 17,33] [--size 256] [--runs 5] [--threads 1] [--out results.json]

Both sit in one process and run in turn, so that whatever else the machine does falls on both. Time is CPU time of the
process, the median of the runs; memory is the peak above what the loaded models take, which Linux tells of a process
(``VmHWM``), with the allocator told to give freed memory back at once. bfloat16 is ours alone, against diffusers' float32:
diffusers' average pooling has no bfloat16 on a CPU. The numbers of both are compared in the same run. Weights are random.
"""

import argparse
import ctypes
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from worldfoundry.models.tokenizer.config import official_cv8x8x8
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.models.tokenizer.official import diffusers_from_official

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def give_back_freed_memory() -> None:
    """Let glibc return freed blocks at once: peaks are then those of what is alive."""
    libc = ctypes.CDLL("libc.so.6")
    libc.mallopt(_M_MMAP_THRESHOLD, 1 << 16)
    libc.mallopt(_M_TRIM_THRESHOLD, 0)


def peak_mb(function: Callable[[], Any]) -> float:
    """Memory above what is taken already, in MB, that a call needs."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    function()
    return _status("VmHWM") - before


def _status(name: str) -> float:
    return int(Path("/proc/self/status").read_text().split(f"{name}:")[1].split()[0]) / 1024


def models() -> tuple[WaveletTokenizer, Any]:
    """Ours and theirs with the same random weights."""
    from diffusers import AutoencoderKLCosmos  # noqa: PLC0415  only here: nothing else needs it

    torch.manual_seed(0)
    ours = WaveletTokenizer(official_cv8x8x8()).eval()
    theirs = AutoencoderKLCosmos().eval()
    theirs.load_state_dict(diffusers_from_official(ours.state_dict()), strict=False)
    missing = theirs.load_state_dict(diffusers_from_official(ours.state_dict()), strict=False)
    assert not missing.unexpected_keys, missing.unexpected_keys[:3]
    assert all("wavelet" in k or "_arange" in k or "patch" in k for k in missing.missing_keys), (
        missing.missing_keys
    )
    return ours, theirs


def compare(
    ours: WaveletTokenizer, half: WaveletTokenizer, theirs: Any, frames: int, size: int, runs: int
) -> dict[str, Any]:
    """Both directions of one clip."""
    pixels = torch.rand((1, 3, frames, size, size), generator=torch.Generator().manual_seed(frames)) * 2 - 1
    latents = ours.encode(pixels)
    rows: dict[str, Any] = {}
    for name, calls in {
        "encode": {
            "ours": lambda: ours.encode(pixels),
            "ours, bfloat16": lambda: half.encode(pixels.bfloat16()),
            "ours, streamed": lambda: _stream_encode(ours, pixels),
            "diffusers": lambda: theirs.encode(pixels).latent_dist.mode(),
        },
        "decode": {
            "ours": lambda: ours.decode(latents),
            "ours, bfloat16": lambda: half.decode(latents.bfloat16()),
            "ours, streamed": lambda: _stream_decode(ours, latents),
            "diffusers": lambda: theirs.decode(latents).sample,
        },
    }.items():
        results = {who: call() for who, call in calls.items()}
        spent: dict[str, list[float]] = {who: [] for who in calls}
        for _ in range(runs):
            for who, call in calls.items():
                began = time.process_time()
                call()
                spent[who].append(time.process_time() - began)
        peaks = {who: peak_mb(call) for who, call in calls.items()}
        rows[name] = {
            who: {
                "cpu_s": round(statistics.median(spent[who]), 3),
                "times_faster": round(
                    statistics.median(b / a for a, b in zip(spent[who], spent["diffusers"], strict=True)),
                    3,
                ),
                "peak_mb": round(peaks[who]),
                "peak_ratio": round(peaks[who] / peaks["diffusers"], 3),
                "relative_error": float(f"{_relative(results[who], results['diffusers']):.2e}"),
            }
            for who in calls
        }
    return rows


def _stream_encode(tokenizer: WaveletTokenizer, pixels: Tensor) -> Tensor:
    stream, stride = tokenizer.stream(), tokenizer.spec.temporal_stride
    pieces = [pixels[:, :, :1], *pixels[:, :, 1:].split(stride, dim=2)]
    return torch.cat([stream.encode(piece) for piece in pieces], dim=2)


def _stream_decode(tokenizer: WaveletTokenizer, latents: Tensor) -> Tensor:
    stream = tokenizer.stream()
    return torch.cat([stream.decode(piece) for piece in latents.split(1, dim=2)], dim=2)


def _relative(found: Tensor, expected: Tensor) -> float:
    return float((found.float() - expected).norm() / expected.norm())


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", default="17,33")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    give_back_freed_memory()
    torch.set_num_threads(options.threads)
    with torch.inference_mode():
        ours, theirs = models()
        half = WaveletTokenizer(ours.config).eval()
        half.load_state_dict(ours.state_dict())
        half.to(torch.bfloat16)
        found: dict[str, Any] = {
            "machine": f"{platform.machine()}, {options.threads} threads",
            "torch": torch.__version__,
            "size": options.size,
            "runs": options.runs,
        }
        for frames in map(int, options.frames.split(",")):
            found[f"{frames} frames"] = compare(ours, half, theirs, frames, options.size, options.runs)
            sys.stderr.write(f"{frames} frames: {json.dumps(found[f'{frames} frames'])}\n")
    text = json.dumps(found, indent=1)
    sys.stdout.write(text + "\n")
    if options.out is not None:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
