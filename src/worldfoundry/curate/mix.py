"""The mix of types: frequent types are thinned, rare ones repeated, until the shares are those that were asked for.

Which clips of a type are left out or repeated is decided by a hash of their ids: each clip has a fixed place in its type,
whatever the order in which clips come and whatever else there is, and a larger quota only ever adds clips.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

from worldfoundry.curate.config import TypeConfig


def choose_mix(types: Sequence[str], ids: Sequence[str], config: TypeConfig) -> list[int]:
    """How often each clip is taken: 0 leaves it out; without a target each is taken once.

    The result does not depend on the order of the clips. Shares are met to within one clip a type, unless a type of the
    target is missing altogether: then the others keep their proportions.
    """
    if not config.target:
        return [1] * len(types)
    places: dict[str, list[int]] = {}
    order = sorted(range(len(ids)), key=lambda k: (_hash(config.seed, ids[k]), ids[k]))
    for k in order:
        places.setdefault(types[k], []).append(k)
    quotas = quotas_of(Counter(types), config)
    taken = [0] * len(ids)
    for name, members in places.items():
        whole, rest = divmod(quotas[name], len(members))
        for place, k in enumerate(members):
            taken[k] = whole + (place < rest)
    return taken


def quotas_of(counts: Mapping[str, int], config: TypeConfig) -> dict[str, int]:
    """How many clips of each type there are to be, repeats counted: as many as the target allows, not more than there are."""
    shares = shares_of(counts, config)
    # What each type can give at most bounds the whole: total * share <= count * max_repeat for every type.
    limits = [counts[name] * config.max_repeat / share for name, share in shares.items() if share > 0]
    total = min([*limits, float(sum(counts.values()))])
    return {
        name: min(counts[name] * config.max_repeat, int(total * shares.get(name, 0.0) + 0.5))
        for name in counts
    }


def shares_of(counts: Mapping[str, int], config: TypeConfig) -> dict[str, float]:
    """The share of each type that occurs: those of the target, and what is left for the others as they come."""
    named = {name: share for name, share in config.target.items() if counts.get(name)}
    others = {name: n for name, n in counts.items() if name not in config.target and n}
    left = 1 - sum(config.target.values())
    shares = dict(named)
    if others and left > 1e-9:
        shares |= {name: left * n / sum(others.values()) for name, n in others.items()}
    whole = sum(shares.values())
    return {name: share / whole for name, share in shares.items()} if whole else {}


def _hash(seed: int, clip_id: str) -> bytes:
    return hashlib.blake2b(f"{seed}/{clip_id}".encode(), digest_size=8).digest()
