"""What a tokenizer needs in memory at once, over the length of a clip: one pass, streams, and a stream that forgets.

    python benchmarks/tokenizer_memory.py [--model cv8x8x8] [--size-px 64] [--frames 17 65 257 1025] [--peer] [--out results.json]

Each figure is from a process of its own: peak resident memory while clips are encoded and decoded, less what it was before
the first frame (weights, libraries). Streams get 8 frames at a time, made as they are needed, and give each frame away; one
pass holds the clip, as it has to. ``kept`` is what a stream carries from piece to piece. The difference is the largest
between latents or pixels of a stream and of one pass. ``cv8x8x8`` is the full-size network with random weights; any other
name is loaded. ``--peer`` adds one pass of diffusers' ``AutoencoderKLCosmos`` of the same size (``pip install diffusers``),
and both directions alone, each as a stream here and in one pass there.
"""

import argparse
import itertools
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from worldfoundry.models.pretrained.release import load_tokenizer
from worldfoundry.models.tokenizer.config import official_cv8x8x8
from worldfoundry.models.tokenizer.initialise import initialise
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.models.tokenizer.stream import TokenizerStream

MODES = {"one pass": -1, "stream": 0, "stream, 16 latents": 16}
_PEER = "diffusers, one pass"
_HALVES = tuple(f"{who}, {half}" for half in ("encode", "decode") for who in ("stream", "diffusers"))
_CHUNK_FRAMES = 8
_MIB = 2**20


def make_model(name: str) -> WaveletTokenizer:
    """The full-size network with random weights, or a tokenizer by name."""
    if name != "cv8x8x8":
        return load_tokenizer(name)
    model = WaveletTokenizer(official_cv8x8x8())
    initialise(model, torch.Generator().manual_seed(0))
    return model.eval().requires_grad_(False)


def frame_at(number: int, size_px: int) -> Tensor:
    """A moving pattern with detail at every scale, [1 3 1 h w] in [-1, 1]."""
    axis = torch.arange(size_px) / size_px
    phase = torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1) + number / 7
    waves = torch.sin(20 * axis[:, None] + phase) + torch.sin(37 * axis[None] - 2 * phase)
    noise = torch.rand((3, size_px, size_px), generator=torch.Generator().manual_seed(number))
    return (0.4 * waves + 0.2 * noise - 0.1)[None, :, None]


def pieces(num_frames: int, size_px: int) -> Iterator[Tensor]:
    """One frame and a chunk, then chunks."""
    bounds = [0, *range(1 + _CHUNK_FRAMES, num_frames, _CHUNK_FRAMES), num_frames]
    for start, stop in itertools.pairwise(bounds):
        yield torch.cat([frame_at(n, size_px) for n in range(start, stop)], dim=2)


def status(field: str) -> int:
    """Bytes that the kernel states for this process, such as VmRSS or VmHWM."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(f"{field}:")).split()[1])


def kept_bytes(stream: TokenizerStream) -> int:
    """What a stream carries from piece to piece."""
    states = (*stream.encoder_past, *stream.decoder_past)
    tensors = [t for state in states for t in (state if isinstance(state, tuple) else (state,))]
    return sum(t.numel() * t.element_size() for t in tensors)


def streamed(
    model: WaveletTokenizer, num_frames: int, size_px: int, attended: int
) -> tuple[list[Tensor], int]:
    """Latents of the pieces, each decoded at once and its frames dropped; and what was kept at the end."""
    stream, latents = model.stream(attended_latents=attended), []
    for piece in pieces(num_frames, size_px):
        latents.append(stream.encode(piece))
        stream.decode(latents[-1])
    return latents, kept_bytes(stream)


def passed_by_peer(half: str = "") -> Callable[[Tensor], object]:
    """Encoding and decoding by diffusers, or one of them."""
    from diffusers import AutoencoderKLCosmos  # noqa: PLC0415  only here: nothing else needs it

    model = AutoencoderKLCosmos().eval().requires_grad_(False)
    encode = lambda clip: model.encode(clip).latent_dist.mode()  # noqa: E731  as short as its two siblings
    return {"encode": encode, "decode": model.decode}.get(half, lambda clip: model.decode(encode(clip)))


def passed_by_us(model: WaveletTokenizer) -> Callable[[Tensor], object]:
    """The same by the network here."""
    return lambda clip: model.decode(model.encode(clip))


@torch.no_grad()
def measure(name: str, mode: str, num_frames: int, size_px: int) -> dict[str, object]:
    """One figure, in this process."""
    kept, model = 0, None if mode == _PEER else make_model(name)
    passed = passed_by_peer() if model is None else passed_by_us(model)
    for _ in range(2):  # what libraries set up with the first frames
        passed(frame_at(0, size_px))
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak from here on
    began = time.perf_counter()
    if model is None or MODES[mode] < 0:
        passed(torch.cat([frame_at(n, size_px) for n in range(num_frames)], dim=2))
    else:
        _, kept = streamed(model, num_frames, size_px, MODES[mode])
    seconds = time.perf_counter() - began
    return {
        "model": name,
        "size_px": size_px,
        "frames": num_frames,
        "mode": mode,
        "peak_mib": round((status("VmHWM") - before) / _MIB, 1),
        "kept_mib": round(kept / _MIB, 2),
        "seconds": round(seconds, 1),
    }


@torch.no_grad()
def measure_half(name: str, mode: str, num_frames: int, size_px: int) -> dict[str, object]:
    """Encoding or decoding alone, in this process."""
    who, half = mode.split(", ")
    model = make_model(name) if who == "stream" else None
    (passed_by_peer() if model is None else passed_by_us(model))(frame_at(0, size_px))
    shape = (1, 16, 1 + (num_frames - 1) // 8, size_px // 8, size_px // 8)
    latents = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    peer = passed_by_peer(half) if model is None else None
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    if peer is not None:
        frames = (frame_at(n, size_px) for n in range(num_frames))
        peer(latents if half == "decode" else torch.cat([*frames], dim=2))
    else:
        assert model is not None, "one of the two is measured"
        stream = model.stream()
        for piece in latents.split(1, dim=2) if half == "decode" else pieces(num_frames, size_px):
            (stream.decode if half == "decode" else stream.encode)(piece)
    peak = round((status("VmHWM") - before) / _MIB, 1)
    return {"model": name, "size_px": size_px, "frames": num_frames, "mode": mode, "peak_mib": peak}


@torch.no_grad()
def compare(name: str, num_frames: int, size_px: int) -> dict[str, object]:
    """The largest difference of a stream from one pass."""
    model = make_model(name)
    whole = model.encode(torch.cat([*pieces(num_frames, size_px)], dim=2))
    latents, _ = streamed(model, num_frames, size_px, 0)
    stream, frames, largest, start = model.stream(), model.decode(whole), 0.0, 0
    for piece in whole.split(2, dim=2):
        pixels = stream.decode(piece)
        expected = frames[:, :, start : start + pixels.shape[2]]
        largest, start = max(largest, float((pixels - expected).abs().max())), start + pixels.shape[2]
    difference = float((torch.cat(latents, dim=2) - whole).abs().max())
    return {
        "frames": num_frames,
        "latents": difference,
        "largest_latent": float(whole.abs().max()),
        "pixels": largest,
        "largest_pixel": float(frames.abs().max()),
    }


def main() -> None:
    """Measure every length and mode, each in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="cv8x8x8")
    parser.add_argument("--size-px", type=int, default=64)
    parser.add_argument("--frames", type=int, nargs="+", default=[17, 65, 257, 1025])
    parser.add_argument("--compare", type=int, default=65, help="frames of the comparison with one pass")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--peer", action="store_true", help="diffusers too")
    parser.add_argument(
        "--only", choices=[*MODES, _PEER, *_HALVES, "compare"], help="one figure, in this process"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.only:
        args = options.model, options.frames[0], options.size_px
        measured = measure_half if options.only in _HALVES else measure
        found = compare(*args) if options.only == "compare" else measured(args[0], options.only, *args[1:])
        sys.stdout.write(json.dumps(found) + "\n")
        return
    rows = []
    for frames in options.frames:
        for mode in [*MODES, *([_PEER, *_HALVES] if options.peer else [])]:
            rows.append(_run(options, mode, frames))
            sys.stdout.write(json.dumps(rows[-1]) + "\n")
            sys.stdout.flush()
    result = {
        "command": " ".join(["python", *sys.argv]),
        "commit": _git("rev-parse", "--short", "HEAD"),
        "machine": f"{platform.machine()}, one thread, torch {torch.__version__}",
        "rows": rows,
        "difference": _run(options, "compare", options.compare),
    }
    sys.stdout.write(json.dumps(result["difference"]) + "\n")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _run(options: argparse.Namespace, only: str, frames: int) -> dict[str, object]:
    command = [sys.executable, __file__, "--model", options.model, "--size-px", str(options.size_px)]
    done = subprocess.run(
        [*command, "--frames", str(frames), "--only", only], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def _git(*args: str) -> str:
    return subprocess.run(["git", *args], capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
