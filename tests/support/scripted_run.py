"""One small run, written as the product writes runs, with or without interruptions, and what must be true of it afterwards."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyarrow as pa

import fakes
from rumiai_ray.config import load_config
from rumiai_ray.engine.cell.messages import Index, Outcome, Payload
from rumiai_ray.engine.results.assemble import assemble
from rumiai_ray.engine.results.commit_task import Target, write_group
from rumiai_ray.engine.results.entry_tracker import Settled
from rumiai_ray.engine.setup.resume import given_entries
from rumiai_ray.engine.setup.run_setup import thresholds
from rumiai_ray.engine.work.arrow_ipc import pack
from rumiai_ray.engine.work.item import Header, VideoPlan
from rumiai_ray.ingest.entries import Entry
from rumiai_ray.ingest.table import EntryFile
from rumiai_ray.insights.derive import VideoInsights, derive
from rumiai_ray.runs.datafile import PART
from rumiai_ray.runs.reader import open_run, run_at
from rumiai_ray.runs.writer import RunWriter
from rumiai_ray.schema.registry import TABLES_BY_NAME
from rumiai_ray.storage import Store
from synthetic_run import RUN_ID, dead_letter_row, manifest, stamped, video_key, video_row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rumiai_ray.insights.thresholds import Thresholds
    from rumiai_ray.insights.video import AnalysedVideo

GROUPS = (("a", "b"), ("bad", "c"))
"""Entries in the order they are committed; `bad` is a dead letter."""
ENTRIES = [Entry(name, f"{name}.mp4") for group in GROUPS for name in group]
INSIGHT = "person_framing"
"""The one insight table of these runs; see `one_insight`."""
TABLES = {**{name: TABLES_BY_NAME[name] for name in ("videos", "analyses", "dead_letter", "texts", INSIGHT)}, "seen": fakes.SEEN}
MODEL = fakes.plan("reader", "Reader")
THRESHOLDS = thresholds(load_config())


def one_insight(video: AnalysedVideo, of: Thresholds) -> VideoInsights:
    """In place of `derive`: every further table is a further file like this one, and interrupting all of them took twice the time."""
    found = derive(video, of)
    return VideoInsights({INSIGHT: found.tables[INSIGHT]}, found.tracks)


def in_the_driver(writer: RunWriter, names: Sequence[str]) -> None:
    """Write and commit a group through the writer's own buffers."""
    for name in names:
        settled = settled_entry(name)
        if settled.header.plan is None:
            writer.add({"dead_letter": settled.header.row})
        else:
            writer.add({"videos": settled.header.row, **assemble(RUN_ID, settled.header.plan, [MODEL], settled.answers, THRESHOLDS)})
    writer.commit([name for name in names if name != "bad"], [name for name in names if name == "bad"])


def in_a_task(writer: RunWriter, names: Sequence[str]) -> None:
    """Write and commit a group as `batch` does. `ray.get` in `commit_task` must hand payloads through: no Ray is running."""
    target = Target(writer.run, RUN_ID, (MODEL,), writer.tables, THRESHOLDS)
    written = write_group(target, [settled_entry(name) for name in names], writer.next_sequence, 60)
    writer.commit_files(written.files, written.committed, written.dead_lettered)


def go_on(out: Path | str, write: Callable[[RunWriter, Sequence[str]], None]) -> None:
    """Start the run, or go on with it where there is one, and bring it to its end."""
    entries = EntryFile.of(ENTRIES)
    versions = {name: table.version for name, table in TABLES.items()}
    now = manifest(entries=len(ENTRIES), entries_sha256=entries.sha256, tables=versions)
    before = run_at(Store.at(out).below(RUN_ID))
    done: set[str] = set()
    if before is None:
        writer = RunWriter.create(out, now, TABLES, entries=entries.data)
    else:
        assert list(given_entries(before)) == ENTRIES
        done = set(before.entries())
        writer = RunWriter.resume(before, now, TABLES)
    for group in GROUPS:
        left = [name for name in group if name not in done]
        if left:
            write(writer, left)
    writer.finish("partial", {"videos": 3})


def check_interrupted(out: Path | str) -> None:
    """What is there is no run yet, or one that can be read: whole groups, all of their rows, and nothing wrong but a record cut short."""
    run = run_at(Store.at(out).below(RUN_ID))
    if run is None:
        return
    assert list(given_entries(run)) == ENTRIES
    assert all("was cut short: its writer died" in problem for problem in run.verify())
    done = list(run.entries())
    assert done in [[name for group in GROUPS[:count] for name in group] for count in range(len(GROUPS) + 1)]
    assert [row["entry_id"] for row in run.table("videos", ["entry_id"]).to_pylist()] == [name for name in done if name != "bad"]


def check_finished(out: Path | str) -> None:
    """Exactly what an undisturbed process would have left, and no file besides."""
    run = open_run(Store.at(out).below(RUN_ID).uri())
    assert run.verify() == []
    assert (run.status, run.summary) == ("partial", {"videos": 3})
    assert run.entries() == {entry.entry_id: "dead_lettered" if entry.entry_id == "bad" else "committed" for entry in ENTRIES}
    videos = [name for group in GROUPS for name in group if name != "bad"]
    assert [row["entry_id"] for row in run.table("videos").to_pylist()] == videos
    assert [row["entry_id"] for row in run.table("dead_letter").to_pylist()] == ["bad"]
    assert [(row["video_key"], row["status"]) for row in run.table("analyses").to_pylist()] == [(video_key(name), "ok") for name in videos]
    assert run.table("seen").equals(_seen(videos))
    assert run.table(INSIGHT, ["video_key"])["video_key"].to_pylist() == [video_key(name) for name in videos]
    assert run.table("texts").num_rows == 0
    for table in TABLES:
        named = {address.rpartition("/")[2] for address in run.files(table)}
        assert {name for name in run.store.names(table) if re.fullmatch(PART, name)} == named
        assert named


def begun(out: Path | str) -> RunWriter:
    """A new run that nothing is committed to."""
    versions = {name: table.version for name, table in TABLES.items()}
    entries = EntryFile.of(ENTRIES)
    now = manifest(entries=len(ENTRIES), entries_sha256=entries.sha256, tables=versions)
    return RunWriter.create(out, now, TABLES, entries=entries.data)


def settled_entry(name: str) -> Settled:
    """An entry of `ENTRIES` all of whose answers are back; its payload is at hand, not a reference."""
    if name == "bad":
        return Settled(Header(Entry(name, "bad.mp4"), pack(stamped("dead_letter", [dead_letter_row(name)], name)), None))
    key = video_key(name)
    outcome = Outcome(1, 0.1, rows=2, frames=(0, 1), audio_s=0.0, missed=(), failure=None)
    payload: Payload = {MODEL.name: {"seen": pack(_rows(name))}}
    plan = VideoPlan(key, {MODEL.name: 2}, (), {}, (), (), batch_count=1, sampled=fakes.SAMPLED)
    header = Header(Entry(name, f"{name}.mp4"), pack(stamped("videos", [video_row(name)], name)), plan)
    return Settled(header, ((Index(name, key, 0, 1, {MODEL.name: outcome}), payload),))


def _rows(name: str) -> pa.Table:
    return fakes.SEEN.rows([{"frame_index": index, "time_s": index / 5, "number": ord(name), "pid": 1} for index in range(2)])


def _seen(names: Sequence[str]) -> pa.Table:
    return pa.concat_tables([fakes.SEEN.stamp(_rows(name), run_id=RUN_ID, video_key=video_key(name)) for name in names])
