"""The Parquet files of a LeRobotDataset, written."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def to_array(values: np.ndarray) -> pa.Array:
    """``[t]`` as plain values, ``[t, n]`` as lists of that fixed size."""
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def write_tables(path: Path, tables: list[pa.Table]) -> None:
    """One row group a table, so that reading one episode leaves the others on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, tables[0].schema) as writer:
        for table in tables:
            writer.write_table(table)


def tasks_table(tasks: Mapping[str, int]) -> pa.Table:
    """Readers by pandas expect the text to be the index of the frame, which is said in the metadata of the schema."""
    table = pa.table({"task_index": list(tasks.values()), "task": list(tasks)})
    kinds = {"task_index": ("int64", "int64"), "task": ("unicode", "object")}
    columns = [
        {"name": n, "field_name": n, "pandas_type": p, "numpy_type": t, "metadata": None}
        for n, (p, t) in kinds.items()
    ]
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": columns,
        "pandas_version": "2.0.0",
    }
    return table.replace_schema_metadata({"pandas": json.dumps(pandas)})
