"""Arrow tables as bytes, for the way from one process to another.

Ray takes a table apart column by column when it pickles one: 5 ms for the 36 columns of one row of `videos`, at every hop, which was
most of what the driver and the fronts did (measured). As an Arrow stream a table is packed once where it is made and unpacked once
where it is used.
"""

from __future__ import annotations

import pyarrow as pa


def pack(table: pa.Table) -> bytes:
    """The table as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


def unpack(packed: bytes) -> pa.Table:
    """The inverse of `pack`; the columns point into `packed`."""
    return pa.ipc.open_stream(packed).read_all()
