"""What is written of an entry's way into the run's log, and what is left out where the log gets long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from fakes import SAMPLED
from rumiai_ray.engine.cell.messages import Failure, Index, Outcome
from rumiai_ray.engine.results.entry_tracker import Ended, Settled
from rumiai_ray.engine.results.history_records import log_ended, log_lost, log_readings
from rumiai_ray.engine.work.arrow_ipc import pack
from rumiai_ray.engine.work.entry_registry import ReadingBegun
from rumiai_ray.engine.work.item import Header, Stretch, VideoPlan
from rumiai_ray.ingest.entries import Entry
from rumiai_ray.runs.history_log import HistoryLine, HistoryLog, read_history
from rumiai_ray.storage import Store

if TYPE_CHECKING:
    from pathlib import Path

PLAN = VideoPlan("v", {}, (), {}, (), (), 2, SAMPLED)


def settled(entry_id: str, *answers: Index) -> Settled:
    header = Header(Entry(entry_id, f"{entry_id}.mp4"), pack(pa.table({})), PLAN, reading=Stretch("reader", 100.0, 1.25))
    return Settled(header, tuple((index, None) for index in answers))


def answer(number: int, node: str, began: float, *, sent: int = 1, attempts: int = 1, failure: Failure | None = None) -> Index:
    outcome = Outcome(attempts, None if failure else 0.5, 3, (), 0.0, (), failure, cpu_s=1.0)
    return Index("e", "v", number, 2, {"yolo": outcome}, done=Stretch(node, began, 2.0), sent=sent)


def lines(run: Store) -> list[HistoryLine]:
    return [line for _, line in read_history(run)]


def test_an_entry_that_ended_is_told_with_nodes_rows_attempts_and_cost(tmp_path: Path) -> None:
    log = HistoryLog(Store.at(tmp_path))
    log_ended(log, Ended(settled("e", answer(0, "n1", 110.0, sent=3), answer(1, "n2", 111.0, attempts=2, failure=Failure("Crash", "no")))))
    log.ends("done")
    line = lines(Store.at(tmp_path))[0]
    assert (line.entry, line.outcome) == ("e", "committed")
    assert line.reading is not None
    assert (line.reading.node, line.reading.took_s) == ("reader", 1.25)
    analysis = line.analysis
    assert analysis is not None
    assert (analysis.rows, analysis.nodes, analysis.resent, analysis.began, analysis.ended) == (2, {"n1": 1, "n2": 1}, 2, 110.0, 113.0)
    yolo = analysis.models["yolo"]
    assert (yolo.attempts, yolo.failed_rows, yolo.seconds, yolo.cpu_s) == (2, 1, 0.5, 2.0)


def test_a_long_log_leaves_out_entries_that_go_well_and_keeps_those_that_do_not_and_its_size_is_bounded(tmp_path: Path) -> None:
    log = HistoryLog(Store.at(tmp_path), most_bytes=20_000)
    for number in range(200):
        log_ended(log, Ended(settled(f"well{number}", answer(0, "n1", 110.0))))
    log_readings(log, [ReadingBegun("trouble", "n1", 2)])
    log_lost(log, ["trouble"], "the entry's rows were lost")
    known = {line.entry for line in _flushed(log, tmp_path)}
    assert "well0" in known
    assert "well199" not in known
    assert "trouble" in known
    for _ in range(2000):
        log_lost(log, ["more"], "the entry's rows were lost")
    log.ends("done")
    (path,) = (tmp_path / "logs").iterdir()
    assert path.stat().st_size < 20_500
    assert b'"full"' in path.read_bytes()


def _flushed(log: HistoryLog, folder: Path) -> list[HistoryLine]:
    log.ends("a look")
    return lines(Store.at(folder))
