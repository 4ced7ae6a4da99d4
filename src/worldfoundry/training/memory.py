"""The most memory that was in use."""

import contextlib
import sys
from pathlib import Path

import torch


def peak_bytes(device: torch.device, *, restart: bool = False) -> int:
    """The most memory that was in use since the last restart: allocated on a GPU, resident on a CPU.

    Only Linux can restart the resident peak; elsewhere it is that of the process so far.
    """
    if device.type == "cuda":
        if restart:
            torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if not status.exists():
        import resource  # noqa: PLC0415  not on every system

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    if restart:
        with contextlib.suppress(OSError):  # some containers forbid it
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024
