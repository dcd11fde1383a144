"""Runs over made-up videos whose commits have made-up times, and what a corpus of them must say, computed row by row in Python."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from report_run import table_row, text_row
from rumiai_ray.runs.datafile import read_data_file
from rumiai_ray.runs.manifest import ModelRecord, WeightsRecord
from rumiai_ray.runs.reader import open_run
from rumiai_ray.runs.writer import RunWriter
from rumiai_ray.schema.registry import TABLES_BY_NAME
from synthetic_run import WEIGHTS, analysis_row, dead_letter_row, manifest, object_row, rewrite, video_key, video_row

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from rumiai_ray.runs.reader import Run

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
FAMILIES = ("yolo", "ocr", "mediapipe")
ANSWERED = {"ok", "empty", "degraded"}
TABLES = ("entries", "videos", "dead_letter", "analyses", "objects", "texts", "tracks", "person_framing")
"""Those that `expected` knows."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Made:
    """One entry of a run."""

    input: str
    content: str
    """What its bytes are; the video's key is the digest of this text."""
    entry_id: str = ""
    """By default the input."""
    ends: dict[str, str] = field(default_factory=lambda: dict.fromkeys(FAMILIES, "ok"))
    """How each family ended. Empty: the bytes were analysed as another entry of the run."""
    mark: int = 0
    """Put into the entry's rows: `objects.class_id`, `texts.block_index`, `videos.view_count`, …"""
    dead: bool = False


@dataclass(frozen=True)
class Commit:
    """One commit record."""

    at: int
    """Minutes after `BEGAN`."""
    entries: Sequence[Made]


def model(name: str, **changes: Any) -> ModelRecord:
    """What ran as a family."""
    weights = (WeightsRecord(role="network", name=f"{name}.pt", sha256=WEIGHTS),)
    values: Row = {
        "name": name, "backend": f"{name}/backend", "version": "1.0", "stand_in": False, "files": weights, "weights_sha256": WEIGHTS,
        "device": "cpu", "precision": "fp32", "settings": {"threads": 1}, "result_settings": {"confidence": 0.25},
    }  # fmt: skip
    return ModelRecord(**values | changes)


def made_run(
    out: str | os.PathLike[str],
    run_id: str,
    commits: Sequence[Commit],
    families: Iterable[str] = FAMILIES,
    *,
    finish: bool = True,
    **changes: Any,
) -> Run:
    """Write a run.

    Args:
        out: the directory for runs.
        run_id: its id.
        commits: its records, in order.
        families: what the manifest says that ran.
        finish: write the end record, too.
        changes: of the manifest.
    """
    models = {"models": tuple(model(name) for name in families)}
    writer = RunWriter.create(out, manifest(run_id, **models | changes))
    for commit in commits:
        for made in commit.entries:
            writer.add(_rows(run_id, made))
        ended = [[made.entry_id or made.input for made in commit.entries if made.dead is dead] for dead in (False, True)]
        writer.commit(*ended)
    if finish:
        writer.finish("complete", {})
    run = open_run(writer.run.uri())
    for record in run.records:
        at = commits[min(record.sequence, len(commits) - 1)].at if commits else 0
        rewrite(run.store, record.model_copy(update={"written_at": BEGAN + timedelta(minutes=at)}))
    return run.again()


def _rows(run_id: str, made: Made) -> dict[str, pa.Table]:
    """An entry's rows, stamped."""
    entry_id = made.entry_id or made.input
    key = video_key(made.content)
    rows: dict[str, list[Row]] = {}
    if made.dead:
        rows["dead_letter"] = [{**dead_letter_row(entry_id), "input": made.input, "video_key": None, "attempts": made.mark}]
    else:
        rows["videos"] = [video_row(entry_id, input=made.input, view_count=made.mark)]
    if made.ends and not made.dead:
        rows["analyses"] = [analysis_row(family, status, rows=made.mark) for family, status in made.ends.items()]
        rows["person_framing"] = [_of_any("person_framing", face_frames=made.mark)]
        if made.ends.get("yolo") in ANSWERED:
            rows["objects"] = [object_row(frame, class_id=made.mark) for frame in range(2)]
            rows.setdefault("tracks", []).append(_track("objects", made.mark))
        if made.ends.get("ocr") in ANSWERED:
            rows["texts"] = [text_row(0, "BUY NOW", index=made.mark)]
        if made.ends.get("mediapipe") in ANSWERED:
            rows.setdefault("tracks", []).append(_track("faces", made.mark))
    declared = {name: TABLES_BY_NAME[name] for name in rows}
    return {name: table.stamp(table.rows(rows[name]), run_id=run_id, video_key=key) for name, table in declared.items()}


def _track(of: str, mark: int) -> Row:
    times = {"first_seen_s": 0.0, "last_seen_s": 1.0, "seen_until_s": 1.0}
    return table_row("tracks", track_id=0, of=of, label=of, sightings=mark + 1, mean_area_share=0.5, **times)


def _of_any(table: str, **values: Any) -> Row:
    """A row of a table: null where it may be, else 0 or nothing."""
    plain: Row = {}
    for column in TABLES_BY_NAME[table].columns:
        kind = str(column.type)
        empty: Any = [] if kind.startswith("list") else "" if kind == "string" else kind == "bool" and False
        plain[column.name] = None if column.nullable else empty if empty is not False or kind == "bool" else 0
    return plain | values


@dataclass(frozen=True)
class Told:
    """A committed row with the time at which it was committed."""

    order: tuple[Any, ...]
    row: Row

    @property
    def record(self) -> tuple[Any, ...]:
        """Its commit record's place among all."""
        return self.order[:4]


def committed_rows(runs: Sequence[Run]) -> dict[str, list[Told]]:
    """All committed rows of all runs by table, oldest commit first."""
    found: dict[str, list[Told]] = defaultdict(list)
    for run in runs:
        for record in run.records:
            for file in record.files:
                for place, row in enumerate(read_data_file(run.store, file).to_pylist()):
                    found[file.table].append(Told((record.written_at, run.run_id, run.store.uri(), record.sequence, place), row))
    return {table: sorted(rows, key=lambda told: told.order) for table, rows in found.items()}


def expected(runs: Sequence[Run], table: str) -> list[Row]:
    """The rows that a table of a corpus must have, by its definition."""
    rows = committed_rows(runs)
    if table in {"entries", "videos", "dead_letter"}:
        return _expected_by_entry(rows, table)
    analyses: dict[tuple[str, str], Told] = {}
    for wanted in (False, True):  # an answer counts before any failure
        for told in rows.get("analyses", []):
            if (told.row["status"] in ANSWERED) is wanted:
                analyses[told.row["video_key"], told.row["model_name"]] = told
    if table == "analyses":
        return [told.row for told in analyses.values()]
    answers: dict[str, dict[tuple[Any, ...], int]] = defaultdict(lambda: defaultdict(int))
    for told in rows.get("analyses", []):
        answers[told.row["video_key"]][told.record] += told.row["status"] in ANSWERED

    def counts(told: Told) -> bool:
        key = told.row["video_key"]
        if not TABLES_BY_NAME[table].made_by:
            most = max(answers[key].items(), key=lambda found: (found[1], found[0]))
            return told.record == most[0]
        (family,) = TABLES_BY_NAME[told.row["of"] if table == "tracks" else table].made_by
        return (key, family) in analyses and analyses[key, family].record == told.record

    return [told.row for told in rows.get(table, []) if counts(told)]


def _expected_by_entry(rows: dict[str, list[Told]], table: str) -> list[Row]:
    if table == "dead_letter":
        dead = {told.row["input"]: told for told in rows.get(table, [])}
        read = {told.row["input"]: told for told in rows.get("videos", [])}
        return [told.row for name, told in dead.items() if name not in read or read[name].record < told.record]
    entries = {(told.row["input"], told.row["video_key"]): told for told in rows.get("videos", [])}
    newest = sorted(entries.values(), key=lambda told: told.order)
    if table == "entries":
        return [told.row for told in newest]
    return list({told.row["video_key"]: told.row for told in newest}.values())


def in_order(rows: Iterable[Row]) -> list[str]:
    """Rows in an order of their own, to be compared."""
    return sorted(repr(sorted(row.items(), key=lambda cell: cell[0])) for row in rows)


_ENDS = st.dictionaries(st.sampled_from(FAMILIES), st.sampled_from(["ok", "empty", "degraded", "failed", "skipped"]))
_MADE = st.builds(
    Made,
    input=st.sampled_from(["a.mp4", "b.mp4", "c.mp4"]),
    content=st.sampled_from(["a", "b", "c"]),
    ends=_ENDS,
    mark=st.integers(0, 99),
    dead=st.sampled_from([False, False, False, True]),
)
COMMITS = st.lists(st.builds(Commit, at=st.integers(0, 4), entries=st.lists(_MADE, min_size=1, max_size=3)), max_size=3)


def possible(commits: list[Commit]) -> list[Commit]:
    """The commits as a run could have made them: each content is analysed once, and every entry has an id of its own."""
    analysed: set[str] = set()
    changed = []
    for number, commit in enumerate(commits):
        entries = []
        for place, made in enumerate(commit.entries):
            ends = {} if made.content in analysed or made.dead else made.ends
            analysed |= {made.content} if ends else set()
            entries.append(Made(made.input, made.content, f"entry-{number}-{place}", ends, made.mark, made.dead))
        changed.append(Commit(commit.at, entries))
    return changed
