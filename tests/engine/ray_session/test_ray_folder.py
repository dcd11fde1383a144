"""The directory of a Ray of our own: who may read it, what is kept of it, and when it counts as left behind."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rumiai_ray.engine.ray_session import folder as ray_folder
from rumiai_ray.engine.ray_session.folder import LOG_FILE_BYTES, LOGS_BYTES, RayFolder, left_behind
from rumiai_ray.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(ray_folder, "_SHORT", tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def dead(place: Path) -> Path:
    """What a process left that was killed."""
    program = (
        "import os, signal, tempfile, sys; from pathlib import Path; from rumiai_ray.engine.ray_session import folder as ray_folder;"
        f"ray_folder._SHORT = Path({str(place)!r}); folder = ray_folder.RayFolder.make(); folder.write_token();"
        "print(folder.path, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    return Path(done.stdout.strip())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_directory_token_and_kept_logs_are_the_users_alone() -> None:
    before = os.umask(0)
    try:
        folder = RayFolder.make()
        folder.write_token()
    finally:
        os.umask(before)
    assert (mode(folder.path), mode(folder.token_path), mode(folder.path / "owner")) == (0o700, 0o600, 0o600)
    assert len(folder.token_path.read_text()) == 64
    folder.remove()
    assert not folder.path.exists()


@pytest.mark.parametrize("fails", ["mkdtemp", "open", "write"])
def test_a_disk_that_takes_no_directory_is_named(place: Path, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    open_file = os.open

    def full(path: object = "", *further: Any, **named: Any) -> int:
        if fails == "open" and not str(path).endswith(".part"):  # removing the directory opens it
            return open_file(str(path), *further, **named)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(tempfile if fails == "mkdtemp" else os, fails, full)
        with pytest.raises(StorageError, match="No space left on device") as caught:
            RayFolder.make()
    assert caught.value.subject.startswith(str(place))
    assert not list(place.iterdir())


def test_two_folders_have_two_tokens() -> None:
    folders = [RayFolder.make() for _ in range(2)]
    for folder in folders:
        folder.write_token()
    assert len({folder.token_path.read_text() for folder in folders}) == 2
    for folder in folders:
        folder.remove()


def test_a_directory_is_left_behind_when_its_owner_has_died_and_not_before(dead: Path) -> None:
    living = RayFolder.make()
    assert [(left.path, left.kind) for left in left_behind()] == [(dead, "killed")]
    assert left_behind()[0].clear()
    assert (dead.exists(), living.path.exists()) == (False, True)
    living.remove()


def test_a_directory_that_a_child_process_has_taken_over_is_not_left_behind(place: Path) -> None:
    folder = RayFolder.make()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[folder.lock])
    folder.release()
    assert left_behind() == []
    child.communicate(b"\n")
    assert [left.path.parent for left in left_behind()] == [place]


def test_what_is_found_as_left_behind_is_not_cleared_when_somebody_has_locked_it_since(dead: Path) -> None:
    (left,) = left_behind()
    with (dead / "owner").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert not left.clear()
    assert dead.exists()


@pytest.mark.parametrize("kind", ["without a lock", "a file", "a link", "a lock that is a link"])
def test_what_only_looks_like_such_a_directory_is_not_touched(place: Path, dead: Path, kind: str) -> None:
    other = place / "rr-other"
    match kind:
        case "without a lock":
            (other / "code").mkdir(parents=True)
        case "a file":
            other.touch()
        case "a link":
            other.symlink_to(dead)
        case _:
            other.mkdir()
            (other / "owner").symlink_to(dead / "owner")
    assert [left.path for left in left_behind()] == [dead]


def test_another_users_directory_is_not_touched(dead: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: dead.stat().st_uid + 1)
    assert left_behind() == []


def logs_of(folder: RayFolder, *names: str) -> Iterator[Path]:
    logs = folder.path / "ray" / "session_2026" / "logs"
    logs.mkdir(parents=True)
    (folder.path / "ray" / "session_latest").symlink_to(logs.parent)
    for name in names:
        (logs / name).parent.mkdir(exist_ok=True)
        yield logs / name


def test_of_a_ray_whose_logs_are_kept_nothing_else_is_left() -> None:
    folder = RayFolder.make()
    folder.write_token()
    for path in logs_of(folder, "gcs_server.out", "old/worker.err"):
        path.write_text(f"said by {path.name}")
    (folder.path / "code").mkdir()
    kept = folder.keep_logs()
    assert kept is not None
    assert {path.name: path.read_text() for path in kept.iterdir()} == {
        "gcs_server.out": "said by gcs_server.out",
        "worker.err": "said by worker.err",
    }
    assert {path.name for path in folder.path.iterdir()} == {"logs", "owner"}
    assert [(left.path, left.kind) for left in left_behind()] == [(folder.path, "logs")]


def test_kept_logs_are_bounded_and_of_a_long_log_the_end_is_kept() -> None:
    folder = RayFolder.make()
    for number, path in enumerate(logs_of(folder, *(f"worker-{number}.out" for number in range(30)))):
        path.write_bytes(bytes(LOG_FILE_BYTES) + b"the end")
        os.utime(path, (number, number))
    kept = folder.keep_logs()
    assert kept is not None
    assert sum(path.stat().st_size for path in kept.iterdir()) <= LOGS_BYTES
    assert (kept / "worker-29.out").read_bytes().endswith(b"the end"), "the newest are kept"
    assert not (kept / "worker-0.out").exists()


def test_a_ray_without_logs_leaves_nothing() -> None:
    folder = RayFolder.make()
    folder.write_token()
    assert folder.keep_logs() is None
    assert not folder.path.exists()


def test_kept_logs_do_not_pile_up() -> None:
    for _ in range(12):
        folder = RayFolder.make()
        for path in logs_of(folder, "gcs_server.out"):
            path.write_text("said")
        folder.keep_logs()
    assert len(left_behind()) == 10
    assert folder.path.exists()
