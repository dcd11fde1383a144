"""Questions to a large corpus: time and memory of each, in a process of its own, over runs of made rows.

`python tests/soak/corpus_scale.py --runs 1000 --videos 100 --place build/corpus` makes the corpus where it is not there yet (100,000
videos, `faces` included; seeded, so that two machines ask the same), asks every question, and ends with 1 where one took more than a
minute or 4 GB. Nothing but the runs' own files is in any cache of ours; the kernel's page cache is warm, since they were just written.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "support"), str(Path(__file__).resolve().parents[2])]

import numpy as np  # noqa: E402 -- found on the path just set
import pyarrow as pa  # noqa: E402

from rumiai_ray import open_corpus  # noqa: E402
from rumiai_ray.runs.writer import SUMMARY, RunWriter  # noqa: E402
from rumiai_ray.schema.registry import TABLES_BY_NAME  # noqa: E402
from synthetic_run import analysis_row, manifest, video_key, video_row  # noqa: E402

MOST_S = 60.0
MOST_BYTES = 4 * 2**30
FACES = 100
"""Of a video: one a frame, 5 frames a second, 20 s."""
FAMILIES = ("mediapipe", "yolo", "ocr", "whisper", "emotion")
QUESTIONS = {
    "videos": "SELECT count(*) AS n, sum(duration_s) AS length_s FROM videos",
    "entries": "SELECT count(DISTINCT input) AS n FROM entries",
    "faces": "SELECT found_by, count(*) AS n, avg(height_share) AS height, count(DISTINCT video_key) AS videos FROM faces GROUP BY ALL",
    "objects": "SELECT label, count(*) AS n, avg(confidence) AS confidence FROM objects GROUP BY ALL ORDER BY n DESC",
    "analyses": "SELECT model_name, status, count(*) AS n FROM analyses GROUP BY ALL ORDER BY ALL",
    "windows": "SELECT name, count(*) AS n, median(cuts_per_minute) AS cuts FROM windows GROUP BY ALL ORDER BY ALL",
    "runs": "SELECT count(*) AS n, sum(counted) AS counted FROM runs",
    "summary": "SELECT count(*) AS n, avg(hook_cuts_per_minute) AS cuts, avg(video_words_per_minute) AS words FROM summary",
}


def main() -> None:
    """Make the corpus, ask, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--videos", type=int, default=100, help="of a run")
    parser.add_argument("--place", type=Path, default=Path("build/corpus-scale"))
    parser.add_argument("--ask", help="ask this question alone, in this process")
    arguments = parser.parse_args()
    if arguments.ask:
        print(json.dumps(ask(arguments.place, arguments.ask)))
        return
    begun = time.perf_counter()
    made = make(arguments.place, arguments.runs, arguments.videos)
    size = sum(file.stat().st_size for file in arguments.place.rglob("*.parquet"))
    took_s = time.perf_counter() - begun
    print(f"{arguments.runs} runs of {arguments.videos} videos, {size / 1e9:.2f} GB of Parquet; {made} runs made in {took_s:.0f} s")
    too_much = []
    for name in QUESTIONS:
        command = [sys.executable, __file__, "--place", str(arguments.place), "--ask", name]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(f"{name:10} {told['wall_s']:7.2f} s wall  {told['cpu_s']:7.2f} s CPU  {told['peak_bytes'] / 1e9:5.2f} GB  {told['first']}")
        if told["wall_s"] > MOST_S or told["peak_bytes"] > MOST_BYTES:
            too_much.append(name)
    if too_much:
        sys.exit(f"more than {MOST_S:.0f} s or {MOST_BYTES / 2**30:.0f} GiB: {', '.join(too_much)}")


def ask(place: Path, name: str) -> dict[str, Any]:
    """One question from the opening of the corpus to its answer, with the most memory that this process has had."""
    wall, cpu = time.perf_counter(), time.process_time()
    rows = open_corpus([f"{place}/*"]).query(QUESTIONS[name]).to_pylist()
    took = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {**took, "peak_bytes": peak, "first": str(rows[:1])}


def make(place: Path, runs: int, videos: int) -> int:
    """Make the runs that are not there yet; gives their number."""
    vars(os)["fsync"] = lambda _: None  # power cuts are not what is measured
    made = 0
    for number in range(runs):
        run_id = f"scale-{number:05}"
        if not (place / run_id / SUMMARY).exists():
            shutil.rmtree(place / run_id, ignore_errors=True)  # broken off
            _make_run(place, run_id, number, videos)
            made += 1
    return made


def _make_run(place: Path, run_id: str, number: int, videos: int) -> None:
    rng = np.random.default_rng(number)
    entries = [f"{run_id}-{place_in_run:04}" for place_in_run in range(videos)]
    keys = [video_key(entry) for entry in entries]
    writer = RunWriter.create(place, manifest(run_id))
    writer.add(
        {
            "videos": _rows("videos", run_id, keys, [video_row(entry, like_count=int(rng.integers(1_000_000))) for entry in entries]),
            "analyses": _rows(
                "analyses", run_id, np.repeat(keys, len(FAMILIES)).tolist(), [analysis_row(family) for _ in entries for family in FAMILIES]
            ),
            "faces": _frames("faces", run_id, keys, rng, {"found_by": ["mesh", "detector"]}),
            "objects": _frames("objects", run_id, keys, rng, {"label": ["person", "dog", "chair", "bottle"]}),
            "windows": _windows(run_id, keys, rng),
        }
    )
    writer.commit(entries)
    writer.finish("complete", {})


def _rows(table: str, run_id: str, keys: list[str], rows: list[dict[str, Any]]) -> pa.Table:
    declared = TABLES_BY_NAME[table]
    return _stamped(table, run_id, keys, {name: declared.rows(rows)[name] for name in declared.row_schema.names})


def _frames(table: str, run_id: str, keys: list[str], rng: np.random.Generator, names: dict[str, list[str]]) -> pa.Table:
    """A box a frame of every video."""
    count = len(keys) * FACES
    frame = np.tile(np.arange(FACES), len(keys))
    given: dict[str, Any] = {"frame_index": frame, "time_s": frame / 5, "face_index": frame * 0, "object_index": frame * 0}
    given |= {name: pa.array(rng.choice(values, count)) for name, values in names.items()}
    return _stamped(table, run_id, np.repeat(keys, FACES).tolist(), _filled(table, count, rng, given))


def _windows(run_id: str, keys: list[str], rng: np.random.Generator) -> pa.Table:
    count = 3 * len(keys)
    index = np.tile(np.arange(3), len(keys))
    given = {"window_index": index, "name": pa.array(np.array(["hook", "closing", "video"])[index]), "not_measured": pa.array([[]] * count)}
    return _stamped("windows", run_id, np.repeat(keys, 3).tolist(), _filled("windows", count, rng, given))


def _filled(table: str, count: int, rng: np.random.Generator, given: dict[str, Any]) -> dict[str, Any]:
    """Every column of a table's rows: numbers of chance where nothing is given."""

    def of_chance(kind: pa.DataType) -> Any:
        if pa.types.is_string(kind):
            return pa.array(rng.choice(["one", "other"], count))
        if pa.types.is_boolean(kind):
            return rng.random(count) < 0.5
        return rng.integers(0, 100, count) if pa.types.is_integer(kind) else rng.random(count)

    return {
        field.name: given[field.name] if field.name in given else of_chance(field.type) for field in list(TABLES_BY_NAME[table].schema)[2:]
    }


def _stamped(table: str, run_id: str, keys: list[str], columns: dict[str, Any]) -> pa.Table:
    schema = TABLES_BY_NAME[table].schema
    all_columns = {"run_id": pa.array([run_id] * len(keys)), "video_key": pa.array(keys), **columns}
    cast = [_as(all_columns[name], schema.field(name).type) for name in schema.names]
    return pa.Table.from_arrays(cast, schema=schema)


def _as(column: Any, kind: pa.DataType) -> Any:
    arrow = column if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(column)
    return (arrow if isinstance(arrow, pa.ChunkedArray) else pa.chunked_array([arrow])).cast(kind, safe=False)


if __name__ == "__main__":
    main()
