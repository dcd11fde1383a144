"""The batch engine on a real Ray with fake models: numbered clips in, a committed run out."""

from __future__ import annotations

import json
import random
import shutil
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import ray
from ray.util.placement_group import placement_group, remove_placement_group

import fakes
from batches import WELL, Kit, check_attribution, clips, ray_processes
from numbered_clips import numbered_clip
from poison import INFOS, PoisonedStage
from rumiai_ray.engine.batch import StalledError
from rumiai_ray.engine.drive.endings import HostsRefuse
from rumiai_ray.engine.interactive import Stopped
from rumiai_ray.engine.results.progress import Phase
from rumiai_ray.engine.work.counts import tally_of
from rumiai_ray.errors import ModelError, TransientError
from rumiai_ray.ingest.entries import Entry, read_manifest
from rumiai_ray.ingest.table import EntryFile
from rumiai_ray.runs.reader import open_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rumiai_ray.engine.batch import BatchRun
    from rumiai_ray.engine.ray_session.local import LocalRay


@pytest.fixture
def kit(ray_here: LocalRay, tmp_path: Path) -> Kit:
    return Kit(ray_here, tmp_path)


@contextmanager
def somebody_else_holds(cpus: int) -> Iterator[None]:
    group = placement_group([{"CPU": 1}] * cpus)
    ray.get(group.ready())
    try:
        yield
    finally:
        remove_placement_group(group)


def test_every_row_of_a_batch_belongs_to_its_own_video(kit: Kit) -> None:
    kit.cells = None
    entries = clips(kit.place, 24)
    run = kit.run("plain", entries)
    assert run.status == "complete"
    assert not tally_of(run).troubled
    check_attribution(run, entries)
    assert len(run.files("seen")) < len(entries), "files hold many videos each"


def test_a_batch_tells_what_it_does_and_its_seconds_of_video_add_up(kit: Kit) -> None:
    entries = clips(kit.place, 6)
    shutil.copy(kit.place / "clip3.mkv", kit.place / "copy.mkv")
    (kit.place / "broken.mkv").write_bytes(b"no video at all" * 100)
    strays = [Entry(name, str(kit.place / f"{name}.mkv"), {}, str(kit.place / f"{name}.mkv")) for name in ("copy", "broken")]
    kit.models = (*WELL, fakes.plan("stove", "Reader", behave="burn"))
    run = kit.run("told", [*entries, *strays])
    assert kit.watcher is not None
    told = kit.watcher.seen
    phases = list(dict.fromkeys(progress.phase for progress in told))
    begun = phases.index(Phase.ANALYSING)
    assert phases[0] in {Phase.WAITING_FOR_CELLS, Phase.LOADING_MODELS}, "a cell may be placed before the first look"
    assert not {Phase.WAITING_FOR_CELLS, Phase.LOADING_MODELS} & set(phases[begun:])
    assert phases[-1] == Phase.DONE
    by_key = {row["video_key"]: row["duration_s"] for row in run.table("videos", ["video_key", "duration_s"]).to_pylist()}
    last = told[-1]
    assert [last.video_s_known, last.video_s_analysed, last.tally.video_s] == pytest.approx([sum(by_key.values())] * 3)
    assert last.eta_s == 0.0
    assert (last.analysed, last.done, last.total) == (8, 8, 8)
    assert all(one.video_s_analysed <= one.video_s_known + 1e-6 for one in told)
    assert max(one.models_loaded for one in told) == 3
    assert max(one.busy["stove"] or 0 for one in told) > max(one.busy["ears"] or 0 for one in told)


def test_one_bad_file_one_poison_and_one_copy_cost_nobody_else_anything(kit: Kit) -> None:
    kit.cells = None
    entries = clips(kit.place, 8)
    (kit.place / "broken.mkv").write_bytes(b"no video at all" * 100)
    shutil.copy(kit.place / "clip3.mkv", kit.place / "copy.mkv")
    strays = [
        Entry(name, str(kit.place / f"{name}.mkv"), {"number": "3"}, str(kit.place / f"{name}.mkv"))
        for name in ("broken", "copy", "missing")
    ]
    kit.models = (*WELL, fakes.plan("bad", "Reader", behave="exit", on=5))
    run = kit.run("troubled", [*entries, *strays])
    assert run.status == "partial"
    assert {row["entry_id"]: row["error_class"] for row in run.table("dead_letter").to_pylist()} == {
        "broken": "MediaError",
        "missing": "InputError",
    }
    videos = run.table("videos").to_pylist()
    assert len(videos) == 9
    assert len({row["video_key"] for row in videos}) == 8
    analyses = run.table("analyses").to_pylist()
    assert len(analyses) == 8 * 3
    (failed,) = [row for row in analyses if row["status"] == "failed"]
    (poisoned,) = [row["video_key"] for row in videos if row["entry_id"] == "e5"]
    assert (failed["model_name"], failed["video_key"], failed["error_class"], failed["attempts"]) == ("bad", poisoned, "Crash", 2)
    tally = tally_of(run)
    assert tally.troubled
    assert tally.entries == {"committed": 9, "dead_letter": 2}
    assert tally.failures == {"frames: MediaError": 1, "ingest: InputError": 1, "bad: Crash": 1}
    assert (tally.statuses["bad", "ok"], tally.statuses["bad", "failed"], tally.statuses["reader", "ok"]) == (7, 1, 8)


def test_poisoned_titles_numbers_errors_and_manifest_rows_cost_no_other_row_anything(kit: Kit) -> None:
    kinds = [*INFOS, "raise", "unreadable"]
    rows = [{"id": kind, "url": str(numbered_clip(kit.place / f"{kind}.mkv", at + 1)), "poison": kind} for at, kind in enumerate(kinds)]
    bad = [{"id": "\ud800"}, {"url": "http://u:p@h/x"}, {"url": "ftp://h/x", "n\ud800": "\ud800"}, {"url": "http:///x"}, ["no object"]]
    clean = clips(kit.place, 4)
    lines = [*rows, *bad, *({"id": one.entry_id, "url": one.input} for one in clean)]
    (kit.place / "m.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n" + "9" * 5000)
    entries = list(EntryFile.of(read_manifest(str(kit.place / "m.jsonl"))))
    kit.stage_type = PoisonedStage
    run = kit.run("poisoned", entries)
    assert run.status == "partial"
    assert run.verify() == []
    assert {row["entry_id"] for row in run.table("videos").to_pylist()} == {*INFOS, *(entry.entry_id for entry in clean)}
    dead = {row["entry_id"]: row for row in run.table("dead_letter").to_pylist()}
    assert {name: row["error_class"] for name, row in dead.items() if row["error_class"] != "ManifestRowError"} == {
        "raise": "RuntimeError",
        "unreadable": "UnreadableError",
    }
    first = len(kinds) + 1
    assert sorted(row["manifest_line"] for row in dead.values() if row["error_class"] == "ManifestRowError") == [
        *range(first, first + len(bad)),
        len(lines) + 1,
    ]
    assert "u:p" not in f"{run.table('dead_letter').to_pylist()}"
    notes = {row["entry_id"]: row["notes"] for row in run.table("videos").to_pylist()}
    assert {name for name, told in notes.items() if told} == set(INFOS) - {"pair"}


def test_a_stopped_run_resumes_to_what_an_undisturbed_one_would_be(kit: Kit) -> None:
    entries = clips(kit.place, 16)
    kit.settings = {"group_age_s": 0.1}

    def stop_early(batch: BatchRun, done: int) -> None:
        if done >= 3:
            batch.stop()

    batch, writer = kit.batch("stopped", stop_early)
    with pytest.raises(Stopped):
        batch.run(entries, len(entries))
    half = open_run(writer.run.uri())
    done = half.entries()
    assert half.status == "incomplete"
    assert 3 <= len(done) < len(entries)
    batch, writer = kit.batch("stopped", again=True)
    analysed: list[Any] = half.table("videos", ["video_key"])["video_key"].to_pylist()
    left = [entry for entry in entries if entry.entry_id not in done]
    writer.finish(batch.run(left, len(left), analysed), {})
    run = open_run(writer.run.uri())
    assert run.status == "complete"
    check_attribution(run, entries)


def test_a_run_that_died_between_its_last_commit_and_its_end_record_has_nothing_left_to_wait_for(kit: Kit) -> None:
    kit.settings = {"stall_timeout_s": 20}
    entries = clips(kit.place, 2)
    batch, _ = kit.batch("nearly")
    batch.run(entries, len(entries))
    batch, writer = kit.batch("nearly", again=True)
    analysed: list[Any] = open_run(writer.run.uri()).table("videos")["video_key"].to_pylist()
    writer.finish(batch.run([], 0, analysed), {})
    run = open_run(writer.run.uri())
    assert run.status == "complete"
    check_attribution(run, entries)


def test_a_host_that_refuses_costs_no_dead_letters_and_a_resumed_run_takes_its_rows_up(kit: Kit) -> None:
    kit.limits = {"private_hosts": True}
    entries = clips(kit.place, 8)
    served = {Path(entry.input).name: Path(entry.input).read_bytes() for entry in entries}
    patience = iter(range(2))

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = served[self.path.removeprefix("/")] if next(patience, None) is not None else b""
            self.send_response(200 if body else 429)
            self.send_header("Content-Length", str(len(body)))
            if not body:
                self.send_header("Retry-After", "3600")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    entries[::2] = [replace(entry, input=f"{url}/{Path(entry.input).name}", location="") for entry in entries[::2]]
    batch, writer = kit.batch("refused")
    with pytest.raises(HostsRefuse) as caught:
        batch.run(entries, len(entries))
    half = open_run(writer.run.uri())
    assert (half.status, sorted(half.entries().values())) == ("incomplete", ["committed"] * 6)
    assert (caught.value.entries, [host.host for host in caught.value.hosts]) == (2, ["127.0.0.1"])
    assert "429" in caught.value.hosts[0].why
    assert caught.value.until > datetime.now(UTC) + timedelta(minutes=50)

    patience = iter(range(100))
    batch, writer = kit.batch("refused", again=True)
    left = [entry for entry in entries if entry.entry_id not in half.entries()]
    analysed: list[Any] = half.table("videos", ["video_key"])["video_key"].to_pylist()
    writer.finish(batch.run(left, len(left), analysed), {})
    server.shutdown()
    run = open_run(writer.run.uri())
    assert run.status == "complete"
    check_attribution(run, entries)


def test_a_batch_for_which_there_is_no_room_ends_and_says_so(kit: Kit) -> None:
    kit.settings = {"place_timeout_s": 2}
    with somebody_else_holds(4), pytest.raises(TransientError, match="no node had"):
        kit.run("homeless", clips(kit.place, 2))


def test_a_model_that_hangs_past_the_stall_limit_ends_the_run_which_can_be_resumed(kit: Kit) -> None:
    entries = clips(kit.place, 4)
    kit.settings = {"stall_timeout_s": 5, "call_timeout_s": 900}
    kit.models = (*WELL, fakes.plan("bad", "Reader", behave="hang", on=3))
    with pytest.raises(StalledError, match="no result has come back for 5 s"):
        kit.run("stalled", entries)
    kit.settings = {"call_timeout_s": 4}
    batch, writer = kit.batch("stalled", again=True)
    done = open_run(writer.run.uri()).entries()
    left = [entry for entry in entries if entry.entry_id not in done]
    writer.finish(batch.run(left, len(left), []), {})
    run = open_run(writer.run.uri())
    assert [row["error_class"] for row in run.table("analyses").to_pylist() if row["status"] == "failed"] == ["Hang"]
    check_attribution(run, entries)


def test_a_model_that_no_cell_can_load_ends_the_run_instead_of_failing_for_every_video(kit: Kit) -> None:
    kit.cells = None
    kit.models = (*WELL, fakes.plan("sour", "Reader", behave="unloadable"))
    with pytest.raises(ModelError, match="weights are not to my taste") as caught:
        kit.run("sour", clips(kit.place, 12))
    assert caught.value.subject == "sour"


def test_kills_of_models_fronts_and_ray_data_workers_lose_and_double_nothing(kit: Kit) -> None:
    kit.cells = None
    entries = clips(kit.place, 40)
    # An innocent call may be in flight at every kill: more attempts than kills, or a slow machine gives it up.
    kit.settings = {"attempts": 10}
    finished = threading.Event()
    killed: list[str] = []

    def kill_now_and_then() -> None:
        dice = random.Random(11)
        while len(killed) < 8 and not finished.wait(4.0):
            victims = ray_processes()
            if victims:
                name, process = dice.choice(victims)
                killed.append(name)
                process.send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill_now_and_then, daemon=True)
    killer.start()
    try:
        run = kit.run("killed", entries, lambda _batch, _done: time.sleep(0.05))
    finally:
        finished.set()
        killer.join()
    assert killed, "nothing was killed"
    assert run.status == "complete", run.table("analyses").to_pylist()
    check_attribution(run, entries)
