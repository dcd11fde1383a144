"""What is called at the end of a run: what it is told, that no shell reads it, and that nothing it does changes how the run has ended."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from rumiai_ray.cli import end_hook
from rumiai_ray.cli.end_hook import EndHook, RunEnd, call, environment
from rumiai_ray.cli.endings import run_to_the_end
from rumiai_ray.cli.exits import Exit
from rumiai_ray.config import load_config
from rumiai_ray.engine.interactive import Stopped
from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.runs.manifest import RunManifest
from rumiai_ray.runs.writer import RunWriter
from synthetic_run import RUN_ID, dead_letter_row, manifest, rows_of, stamped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

END = RunEnd("r; touch /tmp/pwned", "/runs/$(id)", "partial", 1, 5, 2)
ADDRESS = "https://hooks.example/services/T0/hunter2"


def python(code: str, *arguments: str) -> EndHook:
    """A hook that is a command of Python."""
    return EndHook(shlex.join([sys.executable, "-c", code, *arguments]))


@contextmanager
def server(status: int = 200, pause_s: float = 0.0) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """A web server; gives its address and (content type, document) of each post."""
    got: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.headers["Content-Type"], json.loads(body)))
            time.sleep(pause_s)
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}/hunter2", got
        made.shutdown()


def test_a_command_gets_the_end_as_json_and_in_its_environment_and_its_arguments_as_they_are(tmp_path: Path) -> None:
    code = "import json, os, sys; json.dump([json.load(sys.stdin), dict(os.environ), sys.argv[2:]], open(sys.argv[1], 'w'))"
    call(python(code, str(tmp_path / "told"), "$(id)", "a b;c", "*"), END)
    document, variables, arguments = json.loads((tmp_path / "told").read_text())
    assert document == {
        "run_id": END.run_id, "run": END.run, "status": "partial", "exit_code": 1, "committed": 5, "dead_letters": 2, "format": 1,
    }  # fmt: skip
    assert (variables["RUN_ID"], variables["RUN_PATH"]) == (END.run_id, END.run)
    assert (variables["RUN_STATUS"], variables["RUN_EXIT_CODE"]) == ("partial", "1")
    assert arguments == ["$(id)", "a b;c", "*"]


def test_a_hook_that_starts_a_run_is_not_that_runs_hook() -> None:
    handed_on = environment(END, {"RUMIAI_ON_END": "me", "RUMIAI_RUN_ID": "monday", "RUMIAI_OUT": "runs", "PATH": "/bin"})
    assert handed_on.keys() == {"RUMIAI_OUT", "PATH", "RUN_ID", "RUN_PATH", "RUN_STATUS", "RUN_EXIT_CODE"}


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        (python("import sys; sys.exit(7)"), "failed with exit code 7"),
        (python("import os; os.kill(os.getpid(), 9)"), "failed with signal 9"),
        (EndHook("/no/such/program --please"), "FileNotFoundError"),
        (EndHook("/"), "PermissionError"),
        (EndHook("http://127.0.0.1:9/hunter2"), "failed"),
        (EndHook("https:///hunter2"), "failed"),
        (EndHook("http://[::hunter2"), "failed"),
    ],
    ids=["exit code", "signal", "no program", "a directory", "nobody answers", "no host", "no address"],
)
def test_a_hook_that_fails_is_said_and_raises_nothing(hook: EndHook, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    call(hook, END)
    out, err = capfd.readouterr()
    assert said in err
    assert out == ""
    assert "hunter2" not in err


def test_a_hook_that_hangs_is_killed_with_what_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(end_hook, "LIMIT_S", 1.0)
    child = "import time; time.sleep(3); open(__import__('sys').argv[1], 'w')"
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}, sys.argv[1]]).wait()"
    call(python(code, str(tmp_path / "late")), END)
    assert "changes nothing about the run: the command did not end within 1 s and was killed" in capfd.readouterr().err
    time.sleep(3.5)
    assert not (tmp_path / "late").exists()


@contextmanager
def signal_sent_when(begun: Callable[[], object], number: int) -> Iterator[None]:
    """This process gets a signal as soon as `begun` says so."""

    def send() -> None:
        end_s = time.monotonic() + 30
        while not begun() and time.monotonic() < end_s:
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    ignored = signal.getsignal(number) is signal.SIG_IGN  # as in the background of a shell
    if ignored:
        signal.signal(number, signal.SIG_DFL)
    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        sender.join()
        if ignored:
            signal.signal(number, signal.SIG_IGN)


ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("resumable", [True, False])
def test_a_signal_while_a_hook_works_ends_all_that_it_has_started_and_the_exit_code_stays_the_runs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], number: signal.Signals, *, resumable: bool
) -> None:
    before = [signal.getsignal(one) for one in ENDING]
    child = "import signal, sys, time; signal.signal(15, signal.SIG_IGN); open(sys.argv[1], 'w'); time.sleep(3); open(sys.argv[2], 'w')"
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}, *sys.argv[1:]]).wait()"
    hook = python(code, str(tmp_path / "begun"), str(tmp_path / "late"))
    writer = RunWriter.create(tmp_path, manifest())
    writer.add(rows_of("clip"))
    writer.commit(["clip"])
    with signal_sent_when((tmp_path / "begun").exists, number):
        begun_s = time.monotonic()
        assert run_to_the_end(_Engine(), lambda: "partial", writer, resumable=resumable, on_end=hook) == Exit.TROUBLED
    assert f"the end hook was stopped by {number.name}; the run ended as stated above" in capfd.readouterr().err
    assert [signal.getsignal(one) for one in ENDING] == before
    time.sleep(max(0.0, begun_s + 5 - time.monotonic()))
    assert not (tmp_path / "late").exists()


def test_a_signal_while_an_address_is_posted_to_ends_that(capfd: pytest.CaptureFixture[str]) -> None:
    with server(pause_s=5.0) as (url, got), signal_sent_when(lambda: got, signal.SIGTERM):
        begun_s = time.monotonic()
        call(EndHook(url), END)
        assert time.monotonic() - begun_s < 4
    assert "the end hook was stopped by SIGTERM" in capfd.readouterr().err


def test_a_hook_that_reads_nothing_and_prints_goes_well_and_standard_output_stays_ours(capfd: pytest.CaptureFixture[str]) -> None:
    call(python("print('noted')"), END)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "noted\n")


def test_an_address_is_posted_to_and_no_redirect_is_followed(capfd: pytest.CaptureFixture[str]) -> None:
    with server() as (url, got):
        call(EndHook(url), END)
    assert [(kind, document["status"]) for kind, document in got] == [("application/json", "partial")]
    assert capfd.readouterr().err == ""
    for status in (302, 404, 500):
        with server(status) as (url, got):
            call(EndHook(url), END)
        err = capfd.readouterr().err
        assert len(got) == 1
        assert str(status) in err
        assert "hunter2" not in err


def test_a_server_that_hangs_is_left_when_the_time_is_up(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(end_hook, "LIMIT_S", 0.5)
    with server(pause_s=2.0) as (url, _):
        call(EndHook(url), END)
    assert "the end hook failed" in capfd.readouterr().err


class _Engine:
    def stop(self) -> None:
        raise AssertionError("nobody asked")


@pytest.mark.parametrize("resumable", [True, False])
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(None, "partial", Exit.TROUBLED), (Stopped(), "stopped", Exit.ABORTED), (StorageError("disk full"), "aborted", Exit.ABORTED)],
)
def test_a_run_that_ends_in_any_way_calls_its_hook_and_keeps_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, resumable: bool, error: BaseException | None, status: str, code: Exit
) -> None:
    told: list[RunEnd] = []
    monkeypatch.setattr(end_hook, "call", lambda _hook, end: told.append(end))
    writer = RunWriter.create(tmp_path, manifest())

    def run() -> Any:
        writer.add(rows_of("clip"))
        writer.add({"dead_letter": stamped("dead_letter", [dead_letter_row("gone")], "gone")})
        writer.commit(["clip"], ["gone"])
        if error is not None:
            raise error
        return "partial"

    assert run_to_the_end(_Engine(), run, writer, resumable=resumable, on_end=EndHook("anything")) == code
    (end,) = told
    assert end.status == ("aborted" if status == "stopped" and not resumable else status)
    assert (end.run_id, end.exit_code, end.committed, end.dead_letters) == (RUN_ID, code, 1, 1)


def test_the_hook_is_in_no_manifest_and_in_no_message() -> None:
    config = load_config(flags={"on_end": ADDRESS})
    command = ["rumiai-ray", "batch", "--on-end", ADDRESS, f"--on-end={ADDRESS}", "--manifest", "m.csv"]
    made = RunManifest.of_now("r", command=command, config=config, plans=[], sampling={})
    assert b"hunter2" not in made.to_json()
    assert made.command[-2:] == ("--manifest", "m.csv")
    assert "hunter2" not in repr(config)
    assert EndHook.of(config) == EndHook(ADDRESS)
    assert EndHook.of(load_config()) is None
    with pytest.raises(ConfigError, match="on_end") as refused:
        load_config(flags={"on_end": "notify 'hunter2"})
    assert "hunter2" not in str(refused.value)
