"""A disk that takes no more, other than standard output's: one line that names the path and the reason, and exit code 3."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rumiai_ray.cli import app
from rumiai_ray.cli.demo import verb
from rumiai_ray.runs.writer import RunWriter
from synthetic_run import manifest, rows_of

ROOT = Path(__file__).resolve().parents[2]
RUMIAI = [sys.executable, "-P", "-m", "rumiai_ray"]


def on_full_disk(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to which every file system refuses the first byte of a file (EFBIG); Python ignores the signal that comes with that."""
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | variables,
        check=False,
        timeout=600,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
    )


@pytest.mark.parametrize("kind", ["csv", "parquet", "json", "feature-csv", "coco"])
def test_an_export_to_a_full_disk_is_no_wrong_usage(kind: str, tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path / "runs", manifest())
    writer.add(rows_of("clip"))
    writer.commit(["clip"])
    writer.finish("complete", {})
    options = ["--no-pictures"] if kind == "coco" else []
    ended = on_full_disk([*RUMIAI, "export", "latest", "--out", "runs", "--format", kind, "--to", "there", *options], tmp_path)
    assert ended.returncode == 3, ended.stderr
    (line,) = ended.stderr.splitlines()
    assert "there" in line
    assert "File too large" in line
    assert not (tmp_path / "there").exists()


def test_an_export_into_a_directory_that_may_not_be_made_is_wrong_usage(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path / "runs", manifest())
    writer.finish("complete", {})
    (tmp_path / "file").touch()
    ended = subprocess.run(
        [*RUMIAI, "export", "latest", "--out", "runs", "--to", "file/there"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
        timeout=600,
    )
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)


def test_prefetch_without_room_for_temporary_files_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "videos.txt").write_text("missing.mp4\n")
    (tmp_path / "temporary").mkdir()
    command = [sys.executable, str(ROOT / "jobs" / "prefetch.py"), "--manifest", "videos.txt", "--store", "store"]
    ended = on_full_disk(command, tmp_path, TMPDIR=str(tmp_path / "temporary"))
    assert ended.returncode == 3, ended.stderr
    (line,) = ended.stderr.splitlines()
    assert str(tmp_path / "temporary") in line
    assert "temporary directory" in line


def test_a_demo_without_room_for_temporary_files_says_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "rumiai-demo-x"))

    monkeypatch.setattr(verb, "fetch_missing", lambda _config: None)
    monkeypatch.setattr(tempfile, "mkdtemp", full)
    monkeypatch.setattr(sys, "argv", ["rumiai-ray", "demo"])
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 3
    assert capfd.readouterr().err.splitlines() == [f"OSError: {tmp_path}/rumiai-demo-x: No space left on device (free space there)"]


def test_the_traceback_of_an_error_of_the_machine_can_be_had(tmp_path: Path) -> None:
    program = (
        "import sys; sys.argv[1:] = ['schema']\n"
        "def broken(*_, **__): raise FileNotFoundError(2, 'No such file or directory', 'gone')\n"
        "import rumiai_ray.cli.schema, rumiai_ray.cli.app as app\n"
        "rumiai_ray.cli.schema.say = rumiai_ray.cli.schema.SafeConsole = broken\n"
        "app.main()"
    )
    for level, lines in (("warning", 1), ("debug", 5)):
        environment = os.environ | {"PYTHONPATH": str(ROOT), "RUMIAI_LOG": level}
        ended = subprocess.run(
            [sys.executable, "-P", "-c", program], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False, timeout=600
        )
        told = ended.stderr.splitlines()
        assert (ended.returncode, told[-1].startswith("FileNotFoundError: gone: No such file or directory (")) == (3, True)
        assert min(len(told), 5) == lines
        assert ("Traceback (most recent call last):" in told) == (level == "debug")
