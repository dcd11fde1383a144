"""Entries committed one by one in the driver's process, without a Ray."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from ray.exceptions import ObjectLostError

from rumiai_ray.engine.results import commit_at_once
from rumiai_ray.engine.results.commit_at_once import AtOnce
from rumiai_ray.errors import StorageError
from rumiai_ray.runs.datafile import write_data_file
from rumiai_ray.runs.reader import open_run
from scripted_run import MODEL, THRESHOLDS, begun, one_insight, settled_entry
from synthetic_run import RUN_ID

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rumiai_ray.runs.writer import RunWriter


@pytest.fixture
def writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunWriter:
    monkeypatch.setattr("rumiai_ray.engine.results.commit_task.ray.get", lambda payload: payload)
    monkeypatch.setattr("rumiai_ray.engine.results.commit_task._PAUSES_S", (0.0, 0.0))
    monkeypatch.setattr("rumiai_ray.engine.results.assemble.derive", one_insight)
    return begun(tmp_path / "runs")


class _Thread:
    """One that runs when it is started."""

    def __init__(self, target: Callable[[], object], **_: object) -> None:
        self.start = target


def sink_of(writer: RunWriter) -> AtOnce:
    stage: Any = SimpleNamespace(run_id=RUN_ID, models=(MODEL,), thresholds=THRESHOLDS)
    return AtOnce(writer, stage)


def test_each_entry_is_in_the_run_with_its_rows_at_hand_before_the_next_is_looked_at(writer: RunWriter) -> None:
    sink = sink_of(writer)
    sink.add([settled_entry("a"), settled_entry("bad")])
    (first,) = sink.ready()
    assert open_run(writer.run.uri()).entries() == {"a": "committed"}
    assert first.tables is not None
    assert first.tables["videos"]["entry_id"].to_pylist() == ["a"]
    (second,) = sink.ready()
    assert second.tables is not None
    assert list(second.tables) == ["dead_letter"]
    assert (sink.ready(), sink.open, sink.full, sink.waits()) == ([], 0, False, [])
    assert open_run(writer.run.uri()).entries() == {"a": "committed", "bad": "dead_lettered"}
    assert dict(sink.tally.entries) == {"committed": 1, "dead_letter": 1}
    assert sink.tally.troubled


def test_an_entry_whose_payload_is_lost_leaves_nothing_and_is_told_to_be_lost(writer: RunWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(_: object) -> None:
        raise ObjectLostError("00", None, "")

    monkeypatch.setattr("rumiai_ray.engine.results.commit_task.ray.get", lost)
    sink = sink_of(writer)
    sink.add([settled_entry("a")])
    (ended,) = sink.ready()
    assert ended.lost
    assert open_run(writer.run.uri()).entries() == {}
    assert not sink.tally.entries


def test_a_file_that_cannot_be_written_is_tried_three_times(writer: RunWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    good, failures = write_data_file, [2]

    def write(*arguments: Any, **more: Any) -> Any:
        if failures[0]:
            failures[0] -= 1
            raise StorageError("no space left", "/runs", "make room")
        return good(*arguments, **more)

    monkeypatch.setattr("rumiai_ray.engine.results.commit_task.write_data_file", write)
    sink = sink_of(writer)
    sink.add([settled_entry("a"), settled_entry("b")])
    assert [one.error for one in sink.ready()] == [None]
    failures[0] = 3
    with pytest.raises(StorageError, match="no space left"):
        sink.ready()
    assert open_run(writer.run.uri()).entries() == {"a": "committed"}


def test_rows_that_no_table_takes_cost_their_entry_and_not_the_run(writer: RunWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: object) -> Any:
        raise ArithmeticError("these rows do not add up")

    sink = sink_of(writer)
    with monkeypatch.context() as broken:
        broken.setattr("rumiai_ray.engine.results.assemble.assemble", wrong)
        sink.add([settled_entry("a")])
        (ended,) = sink.ready()
    assert isinstance(ended.error, ArithmeticError)
    good = write_data_file

    def write(run: Any, table: Any, rows: Any, **more: Any) -> Any:
        if table.name == "videos":
            raise TypeError("no such column")
        return good(run, table, rows, **more)

    monkeypatch.setattr("rumiai_ray.engine.results.commit_task.write_data_file", write)
    sink.add([settled_entry("b")])
    (ended,) = sink.ready()
    assert isinstance(ended.error, TypeError)
    assert open_run(writer.run.uri()).entries() == {"a": "dead_lettered", "b": "dead_lettered"}


def test_what_the_first_commit_needs_is_imported_once_and_aside(writer: RunWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []
    monkeypatch.setattr(commit_at_once, "import_module", imported.append)
    monkeypatch.setattr("rumiai_ray.engine.results.commit_at_once.threading.Thread", _Thread)
    sink = sink_of(writer)
    for _ in range(3):
        sink.import_ahead()
    assert imported == list(commit_at_once._FOR_THE_END)
