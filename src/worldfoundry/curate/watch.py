"""The circuit breaker, and the end of a run that was asked to stop or has nowhere to write."""

import errno
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from worldfoundry.core.errors import WorldFoundryError
from worldfoundry.curate.config import LimitsConfig
from worldfoundry.protocols.curation import Failure


class BreakerTrippedError(WorldFoundryError, RuntimeError):
    """So many sources failed in one way that the fault is likely not theirs; nothing that was done is lost."""


class DrainedError(WorldFoundryError, RuntimeError):
    """The run was asked to stop; sources under way were finished, and the same command goes on."""


def watched(
    results: Iterable[tuple[int, Any | Failure]], num_items: int, limits: LimitsConfig
) -> Iterator[tuple[int, Any | Failure]]:
    """Pass results on; raise where a fault is not that of one item, or where some items were not begun.

    A full disk is an OSError, too many failures of one kind are a BreakerTrippedError, missing items a DrainedError.
    """
    failures: Counter[str] = Counter()
    done = 0
    for k, result in results:
        done += 1
        if isinstance(result, Failure):
            if result.kind == "disk":
                full = str(errno.ENOSPC) in result.error
                raise OSError(errno.ENOSPC, "No space left on device" if full else result.error)
            if not result.error.startswith("DataError"):
                failures[f"{result.kind}: {result.error.split(':')[0]}"] += 1
        yield k, result
        worst, count = failures.most_common(1)[0] if failures else ("", 0)
        if done >= limits.breaker_after and count > limits.breaker_share * done:
            raise BreakerTrippedError(
                f"{count} of {done} sources failed in the same way ({worst}), above limits.breaker_share "
                f"{limits.breaker_share:g}; mend the cause and run the same command again"
            )
    if done < num_items:
        raise DrainedError(
            f"stopped with {done} of {num_items} sources done; the same command goes on from here"
        )
