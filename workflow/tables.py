"""Tables written whole or not at all."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from workflow.layout import write_whole


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_whole(path, sink.getvalue().to_pybytes())
