"""What becomes of a command whose standard output or standard error cannot be written: a full disk, or a reader that has gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rumiai_ray.cli import end_hook, endings
from rumiai_ray.cli.end_hook import EndHook, RunEnd
from rumiai_ray.cli.endings import run_to_the_end
from rumiai_ray.runs.writer import RunWriter
from synthetic_run import RUN_ID, manifest, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
RUMIAI = [sys.executable, "-P", "-m", "rumiai_ray"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A directory of runs with one complete run in it."""
    writer = RunWriter.create(tmp_path / "runs", manifest())
    writer.add(rows_of("clip"))
    writer.commit(["clip"])
    writer.finish("complete", {})
    return tmp_path


def reader_gone() -> int:
    """The writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


@pytest.mark.parametrize("opened", [full, reader_gone])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["query", "nosuch", "SELECT 1"], 2),
        (["--no-such-option"], 2),
        (["runs"], 2),
        (["qeury", "x"], 2),
        (["runs", "ls", "--out", "runs"], 0),
        (["export", "latest", "--out", "runs", "--to", "csv"], 0),
    ],
)
def test_a_command_keeps_its_exit_code_where_standard_error_cannot_be_written(
    arguments: list[str], code: int, opened: Callable[[], int], runs: Path
) -> None:
    descriptor = opened()
    ended = subprocess.run(
        [*RUMIAI, *arguments], stdout=subprocess.PIPE, stderr=descriptor, cwd=runs, env=ENVIRONMENT, check=False, timeout=600
    )
    os.close(descriptor)
    assert ended.returncode == code
    assert (runs / "csv").is_dir() == (arguments[0] == "export")


@pytest.mark.parametrize(("end", "code"), [("sys.exit(1)", 1), ("os.kill(os.getpid(), 9)", 3)])
def test_the_process_above_a_driver_keeps_the_exit_code_where_standard_error_cannot_be_written(end: str, code: int, tmp_path: Path) -> None:
    """Of a driver that was killed it has the last word."""
    program = f"import os, sys, rumiai_ray.cli.app as app; sys.argv[1:] = ['analyze', 'x']; app.main = lambda: {end}; app.program()"
    with Path("/dev/full").open("w") as error:
        ended = subprocess.run([sys.executable, "-P", "-c", program], stderr=error, cwd=tmp_path, env=ENVIRONMENT, check=False, timeout=600)
    assert ended.returncode == code


def test_where_neither_stream_can_be_written_the_exit_code_is_that_of_standard_output(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as output:
        ended = subprocess.run([*RUMIAI, "schema"], stdout=output, stderr=output, cwd=tmp_path, env=ENVIRONMENT, check=False, timeout=600)
    assert ended.returncode == 3


def test_noise_that_standard_error_does_not_take_is_not_taken_for_output() -> None:
    program = (
        "import sys; from rumiai_ray.cli.endings import noise_to_stderr; from rumiai_ray.cli.output import mark_streams\n"
        "mark_streams()\n"
        "with noise_to_stderr() as out:\n"
        "    print('noise' * 5000); print('noise', flush=True); print('{}', file=out)\n"
        "print('after', flush=True)"
    )
    with Path("/dev/full").open("w") as error:
        ended = subprocess.run(
            [sys.executable, "-P", "-c", program],
            stdout=subprocess.PIPE,
            stderr=error,
            text=True,
            env=ENVIRONMENT,
            check=False,
            timeout=600,
        )
    assert (ended.returncode, ended.stdout) == (0, "{}\nafter\n")


class _Engine:
    def stop(self) -> None:
        raise AssertionError("nobody asked")


def test_a_run_whose_end_cannot_be_told_calls_its_hook_and_keeps_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[RunEnd] = []

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(end_hook, "call", lambda _hook, end: told.append(end))
    monkeypatch.setattr(endings, "print_overview", broken)
    writer = RunWriter.create(tmp_path, manifest())
    writer.add(rows_of("clip"))
    writer.commit(["clip"])
    assert run_to_the_end(_Engine(), lambda: "partial", writer, resumable=True, on_end=EndHook("anything")) == 1
    assert [(end.run_id, end.status, end.exit_code) for end in told] == [(RUN_ID, "partial", 1)]
    assert "No space left on device" in capfd.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["help", "query"],
        ["--version"],
        ["schema"],
        ["schema", "--markdown"],
        ["query", "latest", "SELECT 1", "--out", "runs"],
        ["query", "latest", "SELECT 1", "--csv", "--out", "runs"],
        ["query", "latest", "SELECT 1", "--json", "--out", "runs"],
        ["runs", "show", "latest", "--out", "runs"],
    ],
    ids=" ".join,
)
def test_a_reader_that_has_gone_ends_a_command_without_a_word(arguments: list[str], runs: Path) -> None:
    assert gone([*RUMIAI, *arguments], runs) == (3, "")


@pytest.mark.parametrize("job", ["prefetch", "bench", "batch"])
def test_a_reader_that_has_gone_ends_a_job_without_a_word(job: str, tmp_path: Path) -> None:
    assert gone([sys.executable, str(ROOT / "jobs" / f"{job}.py"), "--help"], tmp_path) == (3, "")


def test_a_job_whose_output_cannot_be_written_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "videos.txt").write_text("missing.mp4\n")
    arguments = ["--manifest", "videos.txt", "--store", "store"]
    with Path("/dev/full").open("w") as output:
        ended = subprocess.run(
            [sys.executable, str(ROOT / "jobs" / "prefetch.py"), *arguments],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            check=False,
            timeout=600,
        )
    assert ended.returncode == 3
    assert ended.stderr.splitlines()[1:] == [
        "standard output cannot be written: No space left on device; free space where it goes, or send it elsewhere"
    ]


def gone(command: list[str], folder: Path) -> tuple[int, str]:
    """The exit code and standard error of a command whose standard output is a pipe that nobody reads."""
    output = reader_gone()
    ended = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, cwd=folder, env=ENVIRONMENT, check=False, timeout=600)
    os.close(output)
    return ended.returncode, ended.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_slow_reader_of_a_non_blocking_pipe_gets_everything(stream: str, unbuffered: str) -> None:
    """Node gives its children such pipes. Four times what a pipe holds is printed, and nobody reads at first."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    program = (
        "import sys, rumiai_ray.cli.boundary as boundary, rumiai_ray.cli.output as output; output.mark_streams()\n"
        f"sys.exit(boundary.exit_code_of(lambda: print('x' * 262_144, file=sys.{stream})))"
    )
    out, err = (writing, subprocess.DEVNULL) if stream == "stdout" else (subprocess.DEVNULL, writing)
    environment = ENVIRONMENT | {"PYTHONUNBUFFERED": unbuffered}
    process = subprocess.Popen([sys.executable, "-P", "-c", program], env=environment, stdout=out, stderr=err)
    os.close(writing)
    with os.fdopen(reading, "rb", 0) as pipe:
        first = pipe.read(1)  # comes when the pipe is full
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        assert len(first + pipe.readall()) == 262_145
    assert process.wait(60) == 0


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
@pytest.mark.parametrize(
    ("arguments", "code"), [("schema", 0), ("runs ls --out runs", 0), ("query nosuch 'SELECT 1'", 2), ("absent.mp4 --json --out runs", 1)]
)
def test_a_stream_that_was_closed_at_the_start_leads_to_nowhere(arguments: str, code: int, closed: str, runs: Path) -> None:
    line = f"{sys.executable} -P -m rumiai_ray {arguments} {closed}"
    ended = subprocess.run(["bash", "-c", line], capture_output=True, cwd=runs, env=ENVIRONMENT, check=False, timeout=600)  # noqa: S607
    assert (ended.returncode, b"Traceback" in ended.stdout + ended.stderr) == (code, False)
    assert b"{" not in ended.stderr, "what is meant for standard output is not on standard error"


def test_a_broken_pipe_that_is_not_standard_output_is_said(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, typer\n"
        "from rumiai_ray.cli.boundary import exit_code_of, pipes_apart\n"
        "def work():\n    raise BrokenPipeError(32, 'Broken pipe', '/run/other')\n"
        "app = typer.Typer(add_completion=False)\napp.command()(pipes_apart()(work))\n"
        "sys.exit(exit_code_of(lambda: app(standalone_mode=False)))\n"
    )
    ended = subprocess.run([sys.executable, "-P", program], capture_output=True, text=True, env=ENVIRONMENT, check=False, timeout=600)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith("BrokenPipeError: /run/other: Broken pipe")
