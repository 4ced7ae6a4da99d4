"""Parquet tables of a set."""

import pyarrow as pa
import pyarrow.parquet as pq

from worldfoundry.curate.store import Store


def read_table(store: Store, name: str) -> pa.Table:
    """A whole table; ``FileNotFoundError`` if there is none.

    Read by this thread alone: pyarrow's own threads may still hold the bytes when a short command ends, and then abort it.
    """
    content = pa.BufferReader(store.read_bytes(name))
    return pq.ParquetFile(content, pre_buffer=False).read(use_threads=False)
