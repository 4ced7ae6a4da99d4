"""Keep freed memory in the process while training on a CPU.

glibc hands large blocks back to the kernel as soon as they are freed and asks for fresh, zeroed pages a moment later. A training
step frees and takes the same gigabytes again and again: on two cores half of the time of the nano world model went into the
kernel's page faults. Nothing about the results changes.
"""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # malloc.h
_GIB = 1 << 30


def keep_freed_memory() -> bool:
    """Ask glibc to keep what is freed; says whether it agreed (elsewhere there is nothing to do)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl has no mallopt
        return False
    return all(
        (mallopt(_MMAP_THRESHOLD, _GIB), mallopt(_TRIM_THRESHOLD, 2 * _GIB - 1), mallopt(_TOP_PAD, _GIB // 4))
    )
