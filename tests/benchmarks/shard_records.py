"""What the manifest and the records of a large run cost to write and to read: `python tests/benchmarks/shard_records.py [ENTRIES]`.

Entries are made up, no video is read. A record names 1,000 entries and a file in each of 30 tables, in four shards.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from rumiai_ray.ingest.entries import Entry  # noqa: E402 -- found on the path just set
from rumiai_ray.ingest.table import EntryFile  # noqa: E402
from rumiai_ray.runs.commits import CommitLog, read_log, record_path, write_head  # noqa: E402
from rumiai_ray.runs.datafile import DataFile  # noqa: E402
from rumiai_ray.runs.shards import Shard  # noqa: E402
from rumiai_ray.schema.registry import TABLES_BY_NAME  # noqa: E402
from rumiai_ray.storage import Store  # noqa: E402

SHARDS, A_RECORD, TABLES = 4, 1000, list(TABLES_BY_NAME)[:30]


def told(what: str, began_s: float, count: int) -> None:
    """Print CPU time, which other work on the machine hardly changes."""
    print(f"{what}: {(time.process_time() - began_s) / count * 1e6:.1f} CPU-µs each, of {count:,}")


def main(count: int) -> None:
    """Measure and print."""
    began_s = time.process_time()
    made = (Entry(f"73{n:017}", f"https://h.example/@user{n % 5000}/video/73{n:017}", {"views": str(n)}) for n in range(count))
    entries = EntryFile.of(made)
    told("entries packed", began_s, count)
    began_s = time.process_time()
    part = entries.only(Shard(1, SHARDS).has)
    told("entries looked at for one shard", began_s, count)
    began_s = time.process_time()
    unpacked = sum(1 for _ in part)
    told("entries of the shard unpacked", began_s, unpacked)
    with tempfile.TemporaryDirectory() as folder:
        store = Store.at(folder)
        write_head(store, "r", SHARDS)
        records = count // A_RECORD // SHARDS
        for number in range(1, SHARDS + 1):
            log = CommitLog(store, "r", shard=Shard(number, SHARDS))
            for record in range(records):
                names = [f"{table}/part-{number:04d}-{record:08d}-{uuid4().hex}.parquet" for table in TABLES]
                files = [
                    DataFile(table=table, path=path, rows=1000, size_bytes=100_000, sha256="0" * 64)
                    for table, path in zip(TABLES, names, strict=True)
                ]
                log.append(files, [f"73{number:02}{record:05}{place:010}" for place in range(A_RECORD)])
        print(f"a record: {len(store.read(record_path(0, Shard(1, SHARDS)))):,} bytes")
        began_s = time.process_time()
        read = len(read_log(store, "r").records)
        told("records read", began_s, read)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
