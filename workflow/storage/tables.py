"""Tables written whole or not at all."""

import pyarrow as pa
import pyarrow.parquet as pq

from workflow.storage.places import Place, read_with
from workflow.storage.whole_files import write_whole


def write_table(path: Place, table: pa.Table) -> None:
    """Write a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_whole(path, sink.getvalue().to_pybytes())


def read_table(path: Place, columns: list[str] | None = None) -> pa.Table:
    """Read a Parquet file, or some of its columns."""
    return read_with(path, lambda file: pq.read_table(file, columns=columns))


def read_schema(path: Place) -> pa.Schema:
    """The schema of a Parquet file; its rows are not read."""
    return read_with(path, pq.read_schema)
