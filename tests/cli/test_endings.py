"""What a batch says when it ends."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rumiai_ray.cli.endings import run_to_the_end
from rumiai_ray.cli.exits import Exit
from rumiai_ray.engine.drive.endings import HostsRefuse
from rumiai_ray.errors import ModelError, StorageError
from rumiai_ray.ingest.manners import Paused
from rumiai_ray.runs.reader import open_run
from rumiai_ray.runs.writer import RunWriter
from synthetic_run import analysis_row, dead_letter_row, manifest, rows_of, stamped

if TYPE_CHECKING:
    from typing import Literal


class _Engine:
    def __init__(self, writer: RunWriter, dead: int) -> None:
        self._writer = writer
        self._dead = dead

    def run(self) -> Literal["complete", "partial"]:
        failed = analysis_row("yolo", "failed", error_class="ModelError", error_message="it crashed")
        self._writer.add(rows_of("clip"))
        self._writer.add({"analyses": stamped("analyses", [analysis_row("ocr"), failed], "clip")})
        for number in range(self._dead):
            self._writer.add({"dead_letter": stamped("dead_letter", [dead_letter_row(f"dead{number}")], f"dead{number}")})
        self._writer.commit(["clip"], [f"dead{number}" for number in range(self._dead)])
        return "partial"

    def stop(self) -> None:
        raise AssertionError("nobody asked")


def end(place: Path, dead: int, capfd: pytest.CaptureFixture[str]) -> list[str]:
    writer = RunWriter.create(place, manifest())
    engine = _Engine(writer, dead)
    assert run_to_the_end(engine, engine.run, writer, resumable=True) == 1
    return capfd.readouterr().err.splitlines()


def test_a_batch_names_what_failed_and_where_the_run_is(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    dead, failed, *_, last = end(tmp_path, 1, capfd)
    assert dead == "dead letter: InputError: no such file [dead0.mp4]"
    assert failed == "failed: yolo: ModelError: it crashed [clip.mp4]"
    assert last.endswith(f": partial, in {tmp_path}/{manifest().run_id}")


def test_a_batch_whose_host_refuses_is_incomplete_and_says_when_to_go_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    writer = RunWriter.create(tmp_path, manifest())
    engine = _Engine(writer, 1)

    def run() -> Literal["complete", "partial"]:
        engine.run()
        raise HostsRefuse([Paused("tiktok.com", "the server answered HTTP 429", 4000.0), Paused("other.example", "no", 9000.0)], 1234)

    assert run_to_the_end(engine, run, writer, resumable=True) == Exit.ABORTED
    dead, *_, ended, refused, other, last = capfd.readouterr().err.splitlines()
    assert dead == "dead letter: InputError: no such file [dead0.mp4]"
    assert ": incomplete, in " in ended
    assert refused == "tiktok.com refuses: the server answered HTTP 429; worth asking again after 1970-01-01 01:06 UTC"
    assert other == "other.example refuses: no; worth asking again after 1970-01-01 02:30 UTC"
    assert last.startswith("incomplete: 1,234 entries are left undone; resume after 1970-01-01 01:06 UTC with: rumiai-ray runs resume ")
    assert open_run(writer.run.uri()).status == "incomplete"


def test_of_many_failures_a_batch_names_some_and_counts_the_rest(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lines = end(tmp_path, 30, capfd)
    assert sum(line.startswith(("dead letter:", "failed:")) for line in lines) == 20
    assert lines[20] == "and 11 more, in the tables dead_letter and analyses"


@pytest.mark.parametrize("error", [ModelError("not even a dead letter can be written", "clip.mp4"), RuntimeError("a bug")])
def test_a_batch_that_breaks_off_says_how_to_go_on(tmp_path: Path, capfd: pytest.CaptureFixture[str], error: Exception) -> None:
    writer = RunWriter.create(tmp_path, manifest())

    def run() -> Literal["complete", "partial"]:
        raise error

    assert run_to_the_end(_Engine(writer, 0), run, writer, resumable=True) == Exit.ABORTED
    said = capfd.readouterr().err
    assert str(error) in said
    assert "Traceback" not in said
    assert said.splitlines()[-1] == f"what was committed stays; continue with: rumiai-ray runs resume {writer.run.uri()}"


def test_the_traceback_of_a_bug_is_kept_with_the_run_and_the_message_says_where(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    writer = RunWriter.create(tmp_path, manifest())

    def run() -> Literal["complete", "partial"]:
        raise RuntimeError("a bug")

    assert run_to_the_end(_Engine(writer, 0), run, writer) == Exit.ABORTED
    (path,) = re.findall(r"with the traceback in (\S+)\)", capfd.readouterr().err)
    assert Path(path).read_text().endswith("RuntimeError: a bug\n")


def test_a_traceback_that_no_file_can_hold_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = RunWriter.create(tmp_path, manifest())

    def full(*_: object) -> None:
        raise StorageError("cannot be written: No space left on device", str(tmp_path))

    def run() -> Literal["complete", "partial"]:
        monkeypatch.setattr(type(writer.run), "replace", full)
        raise RuntimeError("a bug beside https://user:geheim@example.org/")

    assert run_to_the_end(_Engine(writer, 0), run, writer, resumable=True) == Exit.ABORTED
    said = capfd.readouterr().err
    assert "with the traceback in" not in said, "there is no such file"
    assert "No space left on device" in said
    assert "Traceback (most recent call last)" in said
    assert "in run\n" in said, "whole: it is nowhere else"
    assert "geheim" not in said
    assert said.splitlines()[-1].startswith("what was committed stays; continue with: ")


def test_a_single_command_that_breaks_off_offers_no_resume(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    writer = RunWriter.create(tmp_path, manifest())

    def run() -> Literal["complete", "partial"]:
        raise ModelError("it crashed")

    assert run_to_the_end(_Engine(writer, 0), run, writer) == Exit.ABORTED
    assert "runs resume" not in capfd.readouterr().err
