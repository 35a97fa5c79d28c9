"""Rows that are made chunk by chunk and never all in memory."""

import tempfile
from collections.abc import Iterable, Iterator

import pyarrow as pa


def sliced(chunks: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of at most so many; empty tables are left out."""
    for chunk in chunks:
        for start in range(0, chunk.num_rows, rows):
            yield chunk.slice(start, rows)


def spooled(tables: Iterable[pa.Table]) -> pa.RecordBatchReader:
    """Take in all of the tables, and hand them out again one by one.

    What is known only when the last one has been made (counts, an error) is known when this
    returns, although the tables wait on the disk: in a temporary file without a name, which is gone
    when the reader is.

    Args:
        tables: At least one; all have the columns of the first one, and its types.

    Raises:
        ValueError: There is none.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the reader keeps it open
    writer = None
    for table in tables:
        if writer is None:
            options = pa.ipc.IpcWriteOptions(compression="zstd")
            writer = pa.ipc.new_stream(file, table.schema, options=options)
        writer.write_table(table)
    if writer is None:
        file.close()
        raise ValueError("there are no tables to hand out")
    writer.close()
    file.seek(0)
    return pa.ipc.open_stream(file)
