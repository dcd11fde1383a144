"""Whether two analyses of the same pictures and sound are the same analysis; and other bytes with the same pictures and sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from rumiai_ray.runs.reader import Run

_WHOSE = {"run_id", "video_key"}
_INDIVIDUAL = {
    "videos": {"entry_id", "input", "frame_store", "frames_key", "size_bytes", "columns", "manifest_line", "notes"},
    # A time is never the same twice. Attempts are compared: a repeated call would be worth knowing.
    "analyses": {"processing_time_s"},
    "dead_letter": {"entry_id", "input", "traceback_sha256", "manifest_line", "notes"},
}
_EBML = {".mkv", ".webm"}
_ISO = {".mp4", ".mov"}


def padded_copy(source: Path, target: Path, number: int) -> Path:
    """A file with the same pictures and sound and other bytes: padding is appended that its container provides for.

    MP4 and MOV get a `free` box, Matroska and WebM a Void element, others (MPEG-PS, GIF) bytes that come after the end of the stream.
    """
    payload = number.to_bytes(4, "big") * 8
    if source.suffix in _ISO:
        padding = (8 + len(payload)).to_bytes(4, "big") + b"free" + payload
    elif source.suffix in _EBML:
        padding = b"\xec" + (0x80 | len(payload)).to_bytes(1, "big") + payload
    elif source.suffix == ".mpg":
        padding = b"\x00\x00\x01\xbe" + len(payload).to_bytes(2, "big") + payload  # a padding stream's packet
    else:
        padding = payload
    target.write_bytes(source.read_bytes() + padding)
    return target


def key_of(run: Run, entry_id: str) -> str | None:
    """The video of an entry; None where it is a dead letter."""
    videos = run.table("videos", ["entry_id", "video_key"]).to_pylist()
    return next((row["video_key"] for row in videos if row["entry_id"] == entry_id), None)


def differences(one: Run, one_entry: str, other: Run, other_entry: str) -> list[str]:
    """Where the rows of two entries differ, in words, one item a column; nothing where they are the same analysis.

    Compared is everything but whose rows they are, where the file lay, how large it is and how long a model took.
    """
    found = []
    for name in one.tables():
        left, right = (_rows(run, name, entry) for run, entry in ((one, one_entry), (other, other_entry)))
        if left.num_rows != right.num_rows:
            found.append(f"{name}: {left.num_rows} rows and {right.num_rows}")
            continue
        found += [
            f"{name}.{column}: {_first(left[column], right[column])}" for column in left.column_names if left[column] != right[column]
        ]
    return found


def _rows(run: Run, name: str, entry_id: str) -> pa.Table:
    """What one entry left in one table, without what may differ."""
    rows = run.table(name)
    key = key_of(run, entry_id)
    whose, mine = ("entry_id", entry_id) if "entry_id" in rows.column_names else ("video_key", key)
    return rows.filter(pc.field(whose) == mine).drop_columns(sorted((_WHOSE | _INDIVIDUAL.get(name, set())) & set(rows.column_names)))


def _first(left: pa.ChunkedArray[Any], right: pa.ChunkedArray[Any]) -> str:
    pairs = list(zip(left.to_pylist(), right.to_pylist(), strict=True))
    unequal = [(number, pair) for number, pair in enumerate(pairs) if pair[0] != pair[1]]
    number, (mine, theirs) = unequal[0]
    return f"{len(unequal)} of {len(pairs)} rows, first row {number}: {str(mine)[:80]} and {str(theirs)[:80]}"
