"""What is asked of a tokenizer once, not of every clip: causality, speed, memory, bits."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from worldfoundry.models.tokenizer.quantize import num_bits
from worldfoundry.protocols.models import Tokenizer, TokenizerSpec
from worldfoundry.training.memory import peak_bytes


def latent_bits(spec: TokenizerSpec, num_values: int, *, bits_per_number: int) -> int:
    """Bits of stored latents: packed indices, or numbers of ``bits_per_number``; no entropy coding."""
    return num_values * (num_bits(spec.codebook_size) if spec.codebook_size else bits_per_number)


@torch.inference_mode()
def check_causality(tokenizer: Tokenizer, pixels: Float[Tensor, "1 3 t h w"]) -> dict[str, Any]:
    """Change everything behind a frame, and look whether anything up to it changes; in both directions, at every latent.

    ``largest_change`` is over all of them, of latents (or indices) and of pixels; a causal tokenizer has 0 exactly.
    ``is_causal`` is None where there is no position to look at: in a clip of one latent nothing comes later.
    """
    stride = tokenizer.spec.temporal_stride
    latents = tokenizer.encode(pixels)
    decoded = tokenizer.decode(latents)
    encoder = decoder = 0.0
    positions = latents.shape[-3] - 1
    for k in range(positions):
        changed = pixels.clone()
        changed[:, :, stride * k + 1 :] = -changed[:, :, stride * k + 1 :].flip(-1)
        past = (..., slice(k + 1), slice(None), slice(None))
        encoder = max(encoder, _largest(tokenizer.encode(changed)[past], latents[past]))
        others = latents.clone()
        others[..., k + 1 :, :, :] = others[..., k + 1 :, :, :].flip(-1, -2)
        frames = slice(stride * k + 1)
        decoder = max(decoder, _largest(tokenizer.decode(others)[:, :, frames], decoded[:, :, frames]))
    return {
        "positions": positions,
        "encoder_largest_change": encoder,
        "decoder_largest_change": decoder,
        "is_causal": encoder == decoder == 0.0 if positions else None,
    }


def _largest(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).abs().max())


@torch.inference_mode()
def measure_speed(
    tokenizer: Tokenizer, pixels: Float[Tensor, "1 3 t h w"], *, fps: float, repeats: int
) -> dict[str, Any]:
    """Medians over ``repeats`` of encoding and of decoding one clip, and by how much each raises the peak of memory.

    Memory is the peak of the first call above what was in use before the encoding. On a CPU, where a process keeps some of what
    it freed, the figure of decoding has in it what encoding left behind.
    """
    seconds = pixels.shape[2] / fps
    found: dict[str, Any] = {
        "clip": list(pixels.shape),
        "clip_seconds": seconds,
        "threads": torch.get_num_threads(),
        "repeats": repeats,
    }
    before = peak_bytes(pixels.device, restart=True)
    latents = tokenizer.encode(pixels)
    encoding = peak_bytes(pixels.device) - before
    peak_bytes(pixels.device, restart=True)
    tokenizer.decode(latents)
    grown = {"encode": encoding, "decode": peak_bytes(pixels.device) - before}
    works = {"encode": lambda: tokenizer.encode(pixels), "decode": lambda: tokenizer.decode(latents)}
    for name, work in works.items():
        wall, cpu = _timed(work, repeats, pixels.device)
        found[name] = {
            "seconds": round(wall, 5),
            "times_realtime": round(seconds / wall, 3),
            "cpu_seconds_per_video_second": round(cpu / seconds, 5),
            "frames_per_second": round(pixels.shape[2] / wall, 3),
            "peak_bytes": max(0, grown[name]),
        }
    return found


def _timed(work: Callable[[], Tensor], repeats: int, device: torch.device) -> tuple[float, float]:
    """Medians of wall-clock and of CPU seconds, the first calls behind."""
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return statistics.median(walls), statistics.median(cpus)
