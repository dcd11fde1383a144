"""The table `reviews` of a run: files under `reviews/` in its directory, each named after the digest of its bytes.

Reviews are no output of a model: no commit record names them, they may come at any time, and a run without them is whole. What the run
forgets is taken out of them, too (`runs.forget`).
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rumiai_ray.errors import StorageError
from rumiai_ray.runs.commits import read_log
from rumiai_ray.runs.forgotten import Remembered
from rumiai_ray.runs.manifest import RunManifest
from rumiai_ray.runs.writer import MANIFEST
from rumiai_ray.schema.table import STAMP, column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rumiai_ray.schema.table import Row
    from rumiai_ray.storage import Store

REVIEWS = "reviews"
"""The table, and the directory of its files."""
REVIEW_FILE = r"[0-9a-f]{64}\.parquet"
"""What a file's name looks like."""

_TIME = pa.timestamp("ms", tz="UTC")


class ReviewVerdict(StrEnum):
    """What a review says of one box."""

    CONFIRMED = "confirmed"
    """Box and label of the detector are there."""
    RELABELLED = "relabelled"
    """The box is there under another label."""
    REMOVED = "removed"
    """The detector's box is not there."""
    MISSED = "missed"
    """The reviewer's box is one that the detector has not."""
    EMPTY = "empty"
    """The frame has no box, neither the detector's nor the reviewer's."""


def _edges(prefix: str, whose: str) -> tuple[pa.Field[Any], ...]:
    return tuple(
        column(f"{prefix}{name}", pa.float32(), f"{side} edge of {whose} box.", unit="px", nullable=True)
        for name, side in (("x1", "Left"), ("y1", "Top"), ("x2", "Right"), ("y2", "Bottom"))
    )


SCHEMA = pa.schema(
    (
        *STAMP,
        column("frame_index", pa.int32(), "Position among the video's sampled frames, 0 first."),
        column("verdict", pa.string(), "What the review says of the box.", range_="|".join(ReviewVerdict)),
        column("object_index", pa.int32(), "The detector's box in `objects`; null for a box that it missed.", nullable=True),
        column("label", pa.string(), "The detector's label.", nullable=True),
        column("confidence", pa.float64(), "The detector's confidence.", range_="0..1", nullable=True),
        *_edges("", "the detector's"),
        column("reviewed_label", pa.string(), "The reviewer's label; null for a box that was removed.", nullable=True),
        *_edges("reviewed_", "the reviewer's"),
        column("iou", pa.float64(), "Intersection over union of the two boxes; null where one is missing.", range_="0..1", nullable=True),
        column("reviewer", pa.string(), "Who reviewed the frame, as the tool or `--by` says.", nullable=True),
        column("reviewed_at", _TIME, "When, as the tool says.", nullable=True),
        column("imported_at", _TIME, "When the review was read."),
        column("tool", pa.string(), "In whose format the review was read.", range_="labelstudio|coco|fiftyone"),
        column("file_sha256", pa.string(), "Digest of the file that was read."),
        column("model_name", pa.string(), "The family whose boxes were reviewed."),
        column("backend", pa.string(), "What ran as the family."),
        column("model_version", pa.string(), "Version of its library."),
        column("weights_sha256", pa.string(), "Digest of its weights."),
        column("source_sha256", pa.string(), "Digest of this package's source that ran it: the release."),
    ),
    metadata={"table": REVIEWS, "definition": "One box of a reviewed frame, by reviewer; or a reviewed frame without any."},
)


def table_of(rows: list[Row]) -> pa.Table:
    """Rows as the table."""
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def write_reviews(run: Store, rows: pa.Table) -> str:
    """Keep rows beside a run; the same rows are kept once.

    Returns:
        The file's path in the run's directory.

    Raises:
        StorageError: they cannot be written.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd")
    data = sink.getvalue().to_pybytes()
    path = f"{REVIEWS}/{hashlib.sha256(data).hexdigest()}.parquet"
    with suppress(FileExistsError):
        run.publish(path, data)
    return path


def review_files(run: Store) -> Iterator[tuple[str, pa.Table]]:
    """Each file of reviews with its rows.

    Raises:
        StorageError: a file is not what was written.
    """
    for name in sorted(run.names(REVIEWS)):
        if re.fullmatch(REVIEW_FILE, name):
            path = f"{REVIEWS}/{name}"
            yield path, _read(run, path, name.partition(".")[0])


def read_reviews(run: Store) -> pa.Table:
    """The reviews of a run that count: none of a video that the run has forgotten, though its files may still hold them.

    Of several imports of one file the last one counts, and of several reviews of a frame by one reviewer the one that was imported last.

    Raises:
        StorageError: a file is not what was written, or the run's manifest is damaged.
    """
    return newest_reviews([_counting(run)])


def newest_reviews(places: Sequence[pa.Table]) -> pa.Table:
    """Of several reviews of a run's frame by one reviewer the one that was imported last, once.

    Args:
        places: the reviews in each directory of a run; a run may have been copied. Of copies of a review the one in the last place counts.
    """
    rows = pa.concat_tables([SCHEMA.empty_table(), *places])
    cells: dict[str, list[Any]] = rows.select(["run_id", "video_key", "frame_index", "reviewer", "imported_at", "file_sha256"]).to_pydict()
    frames = list(zip(*(cells[name] for name in ("run_id", "video_key", "frame_index", "reviewer")), strict=True))
    numbers = [number for number, place in enumerate(places) for _ in range(place.num_rows)]
    files = list(zip(cells["imported_at"], cells["file_sha256"], numbers, strict=True))
    newest: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for frame, file in zip(frames, files, strict=True):
        newest[frame] = max(newest.get(frame, file), file)
    return rows.filter(pa.array([newest[frame] == file for frame, file in zip(frames, files, strict=True)], pa.bool_()))


def last_import(run: Store, file_sha256: str) -> pa.Table:
    """What counts of the last import of a file; no row where it was never imported.

    Raises:
        StorageError: a file of reviews is not what was written, or the run's manifest is damaged.
    """
    rows = _counting(run)
    return rows.filter(pa.array([digest == file_sha256 for digest in rows["file_sha256"].to_pylist()], pa.bool_()))


def _counting(run: Store) -> pa.Table:
    """The last import of each file, without what the run has forgotten."""
    files = [rows for _, rows in review_files(run)]
    if not files:
        return SCHEMA.empty_table()
    gone = _gone(run)
    rows = _each_once([without_rows_of(part, gone) for part in files])
    times: list[Any] = rows["imported_at"].to_pylist()
    digests: list[Any] = rows["file_sha256"].to_pylist()
    last: dict[str, Any] = {}
    for time, digest in zip(times, digests, strict=True):
        last[digest] = max(last.get(digest, time), time)
    return rows.filter(pa.array([last[digest] == time for time, digest in zip(times, digests, strict=True)], pa.bool_()))


def without_rows_of(rows: pa.Table, gone: Remembered) -> pa.Table:
    """Reviews without those of videos that a run has forgotten."""
    return rows.filter(pa.array([("video", key) not in gone for key in rows["video_key"].to_pylist()], pa.bool_()))


def _gone(run: Store) -> Remembered:
    """What the run has forgotten by now."""
    run_id = RunManifest.from_json(run.read(MANIFEST), run.uri(MANIFEST)).run_id
    return Remembered.of(read_log(run, run_id).forgettings)


def _each_once(files: list[pa.Table]) -> pa.Table:
    """The rows of all files. A stop in `without_videos` leaves the rows of the videos that stay in two files: one of the two counts."""
    seen: set[tuple[Any, ...]] = set()
    parts = [SCHEMA.empty_table()]
    for rows in files:
        cells: dict[str, list[Any]] = rows.select(["file_sha256", "imported_at", "video_key"]).to_pydict()
        videos = list(zip(*cells.values(), strict=True))
        parts.append(rows.filter(pa.array([one not in seen for one in videos], pa.bool_())))
        seen.update(videos)
    return pa.concat_tables(parts)


def without_videos(run: Store, is_gone: Callable[[str], bool]) -> bool:
    """Take the reviews of some videos out of a run's files.

    Args:
        run: the run's directory; nobody else may be writing it.
        is_gone: whether a video's rows go, by its key.

    Returns:
        Whether there were any.

    Raises:
        StorageError: a file is not what was written, or cannot be replaced. The same call again goes on.
    """
    found = False
    for path, rows in list(review_files(run)):
        kept = rows.filter(pa.array([not is_gone(str(key)) for key in rows["video_key"].to_pylist()], pa.bool_()))
        if kept.num_rows < rows.num_rows:
            found = True
            if kept.num_rows:
                write_reviews(run, kept)
            with suppress(FileNotFoundError):
                run.remove(path)
    return found


def _read(run: Store, path: str, digest: str) -> pa.Table:
    def damaged(what: str) -> StorageError:
        return StorageError(what, run.uri(path), "remove the file, and import its review again: `rumiai-ray corpus review`")

    data = run.read(path)
    if hashlib.sha256(data).hexdigest() != digest:
        raise damaged("the file's SHA-256 is not the one in the file's name")
    try:
        rows = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
        rows.validate(full=True)
        if rows.schema.names != SCHEMA.names or rows.schema.types != SCHEMA.types:
            raise damaged("the columns are not those of reviews")
        for field in SCHEMA:
            if not field.nullable and rows[field.name].null_count:
                raise damaged(f"the column {field.name!r} has nulls")
        for name in ("reviewed_at", "imported_at"):
            pc.min_max(rows[name]).as_py()
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise damaged(f"not a readable Parquet file: {error}") from error
    return pa.Table.from_arrays(rows.columns, schema=SCHEMA)
