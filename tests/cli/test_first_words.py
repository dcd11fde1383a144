"""The first argument: a verb, something like one, or an input."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from command_line import run_main
from rumiai_ray.cli import analyze, app, interpreter
from rumiai_ray.cli.exits import Exit
from rumiai_ray.errors import ConfigError
from rumiai_ray.runs.find import find_run
from rumiai_ray.runs.writer import RunWriter
from synthetic_run import manifest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("anlyze", "analyze"), ("analyse", "analyze"), ("Doctor", "doctor"), ("qeury", "query"), ("run", "runs"), ("weigths", "weights")],
)
def test_a_misspelt_command_is_answered_with_the_nearest(typed: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"no such command .did you mean `{meant}`"):
        app.understood([typed, "x"])


def test_a_word_like_no_command_names_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"the commands are analyze, batch.*\./zzzz"):
        app.understood(["-v", "zzzz"])


@pytest.mark.parametrize(
    "given", ["clip.mp4", "dir/clip", "./clip", "https://h/x", "s3://b/x", "*.mp4", "~", "-", "--profile", "data:x", "there", "C[1]"]
)
def test_what_can_be_an_input_is_analysed(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").touch()
    assert app.understood([given, "x"]) == [given, "x"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--profile", "offline", "anlyze", "x"], "'anlyze': no such command (did you mean `analyze`?)"),
        (["--profile=offline", "-v", "doctro"], "'doctro': no such command (did you mean `doctor`?)"),
        (["--json", "zzzz"], "write ./zzzz for a file of that name"),
        (["-v", "--out", "there", "zzzz"], "write ./zzzz for a file of that name"),
        (["--", "anlyze"], "'anlyze': no such command (did you mean `analyze`?)"),
        (["--profile", "offline", "runs", "ls"], "'runs': a command comes before its options (rumiai-ray runs …; write ./runs for"),
    ],
)
def test_the_first_input_after_options_is_looked_at_as_one_before_them_is(
    typed: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    monkeypatch.setattr(analyze, "analyze_inputs", lambda *_, **__: Exit.COMPLETE)
    ended = run_main(tuple(typed), monkeypatch, capsys)
    assert ended.code == Exit.USAGE
    assert said in ended.err


@pytest.mark.parametrize(
    "typed",
    [
        ["--profile", "offline", "clip.mp4", "other"],
        ["--json", "there"],
        ["--out", "anlyze", "./clip"],
        ["--run-id", "doctor", "https://h/x", "--profile", "offline"],
        ["--", "./runs"],
    ],
)
def test_what_follows_options_and_can_be_an_input_is_analysed(
    typed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").touch()
    analysed: list[list[str]] = []

    def analyse(inputs: list[str], *_: object, **__: object) -> Exit:
        analysed.append(inputs)
        return Exit.COMPLETE

    monkeypatch.setattr(analyze, "analyze_inputs", analyse)
    assert run_main(tuple(typed), monkeypatch, capsys).code == Exit.COMPLETE
    assert len(analysed) == 1


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["help"], ["--help"]),
        (["help", "runs"], ["runs", "--help"]),
        (["-v", "help", "runs", "show"], ["-v", "runs", "show", "--help"]),
        (["runs", "help"], ["runs", "help"]),
        ([], []),
    ],
)
def test_help_is_a_verb_too(given: list[str], meant: list[str]) -> None:
    assert app.understood(given) == meant


def test_help_on_nothing_there_is_names_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="did you mean `runs`"):
        app.understood(["help", "rusn"])


def test_the_version_has_a_short_flag(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["rumiai-ray", "-V"])
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("rumiai_ray ")


def test_a_run_is_found_by_the_word_latest_and_by_the_beginning_of_its_name(tmp_path: Path) -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    for hours, run_id in ((2, "alpha-1"), (5, "alpha-2"), (3, "beta")):
        changes = {"run_id": run_id, "created_at": began + timedelta(hours=hours)}
        RunWriter.create(tmp_path, manifest().model_copy(update=changes)).finish("complete", {})
    assert find_run("latest", tmp_path).run_id == "alpha-2"
    assert find_run("b", tmp_path).run_id == "beta"
    assert find_run("alpha-1", tmp_path).run_id == "alpha-1"
    with pytest.raises(ConfigError, match=r"2 runs match .*alpha-1, alpha-2"):
        find_run("alph", tmp_path)
    with pytest.raises(ConfigError, match="no such run"):
        find_run("gamma", tmp_path)
    RunWriter.create(tmp_path, manifest().model_copy(update={"run_id": "latest"})).finish("complete", {})
    assert find_run("latest", tmp_path).run_id == "latest"


def test_there_is_no_latest_where_there_are_no_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there are no runs"):
        find_run("latest", tmp_path)


@pytest.mark.parametrize("start", ["jobs/batch.py", "jobs/prefetch.py", "jobs/bench.py", "rumiai_ray/__main__.py"])
def test_a_python_without_the_packages_is_named_in_one_line(start: str, tmp_path: Path) -> None:
    # -S: without site-packages, which is what another Python's are to this package.
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-S", str(ROOT / start), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(sys.executable)
    assert "typer" in line
    assert "make venv" in line or ".venv/bin/python" in line


def test_an_environment_that_may_not_be_looked_into_is_none(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Its Python is a link into somebody else's home, as uv and pyenv make them."""

    def refused(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(interpreter, "_NEEDED", ("a_package_that_is_not_there",))
    monkeypatch.setattr(Path, "stat", refused)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(SystemExit) as ended:
        interpreter.check_interpreter()
    assert ended.value.code == 2
    assert "`make venv` in the checkout" in capsys.readouterr().err


# What the installed program does: its own folder, not the working directory, is first on the path.
INSTALLED = ["-P", "-c", "import sys; sys.argv[0] = 'rumiai-ray'; from rumiai_ray.cli.app import program; program()"]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["doctor", "--help"], ["runs", "ls"], ["plan", "--profile", "offline", "--models", "shots"]]
)
@pytest.mark.parametrize(
    ("start", "beyond_reach"),
    [
        (INSTALLED, set()),
        # Python itself imports these before the first line of ours: see docs/faq.md.
        (["-m", "rumiai_ray"], {"types"}),
        (["-P", "-m", "rumiai_ray"], set()),
    ],
    ids=["installed", "module", "safe-path"],
)
def test_modules_of_the_working_directory_do_not_end_a_command(
    start: list[str], beyond_reach: set[str], arguments: list[str], tmp_path: Path
) -> None:
    for name in {"types", "random", "tokenize", "typing", "csv", "json", "dataclasses", "logging"} - beyond_reach:
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('a module of the working directory was imported')")
    command = [sys.executable, *start, *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [["--version"], ["runs", "ls"]])
def test_a_checkout_that_is_not_installed_can_be_run_in_its_own_directory(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "rumiai_ray").symlink_to(ROOT / "rumiai_ray")
    (tmp_path / "random.py").write_text("raise RuntimeError('a module of the working directory was imported')")
    packages = [entry for entry in sys.path if entry and not Path(entry, "rumiai_ray").exists() and Path(entry).resolve() != ROOT]
    # -S: without the .pth file of a development installation.
    command = [sys.executable, "-S", "-m", "rumiai_ray", *arguments]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(packages)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0, done.stderr


def test_a_working_directory_that_was_removed_does_not_end_in_a_traceback(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = f"import os, sys; os.rmdir({str(gone)!r}); os.execv(sys.executable, [sys.executable, '-m', 'rumiai_ray', '--version'])"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=gone, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_user_without_a_home_gets_help_and_a_directory_of_its_own() -> None:
    code = (
        "import pwd, sys; sys.argv[1:] = ['--help']\n"
        "def unknown(uid): raise KeyError(uid)\n"
        "pwd.getpwuid = unknown\n"
        "from rumiai_ray.models.weights.places import user_cache\n"
        "print(user_cache()); from rumiai_ray.cli.app import main; main()"
    )
    with tempfile.TemporaryDirectory() as folder:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TMPDIR": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd="/", check=False)
        assert done.returncode == 0, done.stderr
        home = Path(done.stdout.splitlines()[0]).parents[1]
        assert home.parent == Path(folder)
        assert home.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["schema"], ["schema", "--markdown"], ["runs", "ls"]])
def test_output_that_cannot_be_written_is_said_in_one_line(arguments: list[str], tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-P", "-m", "rumiai_ray", *arguments]
        ended = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}
        )
    assert ended.returncode == 3
    assert ended.stderr.splitlines() == [
        "standard output cannot be written: No space left on device; free space where it goes, or send it elsewhere"
    ]


@pytest.mark.parametrize(
    "error", ["OSError(28, 'No space left on device')", "OSError(27, 'File too large')", "BrokenPipeError(32, 'Broken pipe')"]
)
def test_an_error_of_another_file_or_pipe_is_not_blamed_on_standard_output(error: str, tmp_path: Path) -> None:
    program = (
        "import sys; sys.argv[1:] = ['schema', '--markdown']\n"
        f"def broken(*_, **__): raise {error}\n"
        "import rumiai_ray.cli.schema, rumiai_ray.cli.app as app\n"
        "rumiai_ray.cli.schema.say = broken\n"
        "app.main()"
    )
    ended = subprocess.run(
        [sys.executable, "-P", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert ended.returncode == 3
    (line,) = ended.stderr.splitlines()
    assert "standard output" not in line
    assert error.split("'")[1] in line


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_error_of_standard_output_is_told_from_others(unbuffered: str) -> None:
    program = (
        "import sys; from rumiai_ray.cli.output import OutputError, mark_errors\n"
        "mark_errors(sys.stdout)\n"
        "try: print('x'); sys.stdout.flush()\n"
        "except OutputError as error: print(error.reason, isinstance(error, OSError), file=sys.stderr)\n"
        "import os; os.dup2(2, 1)"
    )
    with Path("/dev/full").open("w") as full:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
        ended = subprocess.run(
            [sys.executable, "-P", "-c", program], stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environment
        )
    assert ended.stderr.splitlines()[0] == "No space left on device False"


@pytest.mark.parametrize("line", ["rumiai-ray --profile ", "rumiai-ray --json --pro", "rumiai-ray --json foo --pro"])
def test_the_shell_completes_behind_an_option_without_a_word_of_complaint(line: str, tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "rumiai-ray"
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1), "_RUMIAI_RAY_COMPLETE": "complete_bash"}
    ended = subprocess.run([program], cwd=tmp_path, env=os.environ | asked, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "rror" not in ended.stdout
    assert ("--profile" in ended.stdout.split()) == line.endswith("--pro")
