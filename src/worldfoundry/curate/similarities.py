"""What comparing pairs of clips gave: stored, so that other settings ask only about pairs that nobody has compared.

To compare a pair costs milliseconds, and footage of one camera has many pairs that look alike. A set holds the pairs that
its own decision looked at, in ``similarities.parquet``; what is in it depends on footage and settings alone.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from worldfoundry.curate.detect import alignment, descriptor
from worldfoundry.curate.records import timeline_key
from worldfoundry.curate.store import Store
from worldfoundry.curate.tables import read_table

NAME = "similarities.parquet"
"""Name in a set."""
_KEY = b"worldfoundry.compared_by"

Pair = tuple[str, str]
"""The better clip and the lesser one, by their ids."""


@dataclass(frozen=True)
class Similarities:
    """Similarities of pairs: those known before, and those that one decision asked for."""

    known: Mapping[Pair, float] = field(default_factory=dict)
    """Of an earlier decision by the same detector."""
    asked: dict[Pair, float] = field(default_factory=dict)
    """Of this one."""

    def of(self, pair: Pair, compare: Callable[[], float]) -> float:
        """The similarity of a pair, compared if it is not known."""
        value = self.known.get(pair)
        self.asked[pair] = value = compare() if value is None else value
        return value


def read_similarities(store: Store) -> dict[Pair, float]:
    """Stored similarities; none where another version of the detector compared."""
    try:
        table = read_table(store, NAME)
    except FileNotFoundError:
        return {}
    if (table.schema.metadata or {}).get(_KEY) != _compared_by():
        return {}
    better, lesser, value = (table[name].to_pylist() for name in ("better", "lesser", "similarity"))
    return dict(zip(zip(better, lesser, strict=True), value, strict=True))


def write_similarities(store: Store, pairs: Mapping[Pair, float]) -> None:
    """Store similarities in the order of the pairs; equal pairs give equal bytes."""
    if not pairs:
        store.remove(NAME)
        return
    rows = sorted(pairs.items())
    columns = {
        "better": [a for (a, _), _ in rows],
        "lesser": [b for (_, b), _ in rows],
        "similarity": [value for _, value in rows],
    }
    table = pa.table(columns).replace_schema_metadata({_KEY: _compared_by()})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    store.write_bytes(NAME, buffer.getvalue())


def _compared_by() -> bytes:
    return f"{timeline_key(descriptor.DescriptorDetector())} alignment@{alignment.VERSION}".encode()
