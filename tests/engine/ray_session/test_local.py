"""The Ray a command starts for itself."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import ray
from ray import JobID
from ray._private import worker as ray_worker
from ray.exceptions import AuthenticationError, RuntimeEnvSetupError

from ray_head import psutil
from rumiai_ray.engine.cell.call_journal import NoteBook, read
from rumiai_ray.engine.interactive import Stopped
from rumiai_ray.engine.ray_session import local
from rumiai_ray.errors import ConfigError, TransientError

if TYPE_CHECKING:
    from rumiai_ray.engine.ray_session.local import LocalRay
    from rumiai_ray.errors import RumiaiError


def test_it_listens_on_loopback_only(ray_here: LocalRay) -> None:
    """The token is a second line: what it guards is not to be reached from another machine in the first place."""
    del ray_here
    assert ray.get(ray.remote(lambda: 42).remote()) == 42  # so that there is a worker
    listening = set[tuple[str, str]]()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # a worker that has ended since
            name, connections = process.name(), process.net_connections(kind="inet")
            listening |= {(name, connection.laddr.ip) for connection in connections if connection.status == psutil.CONN_LISTEN}
    assert "raylet" in {name for name, _ in listening}
    assert {address.removeprefix("::ffff:") for _, address in listening} == {"127.0.0.1"}


def test_it_leaves_the_handler_of_sigterm_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(ray, "init", lambda **_: signal.signal(signal.SIGTERM, lambda *_: None))  # as Ray's does
    local.start_ray()
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_a_raylet_tells_is_logged_and_does_not_end_among_the_command_s_results(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    class Publisher:
        """One word of a raylet's, then the end."""

        def __init__(self) -> None:
            self.said = [(b"", {"job_id": None, "error_message": "A worker died or was killed while executing a task"})]

        def subscribe(self) -> None: ...

        def poll(self) -> tuple[bytes | None, dict[str, Any] | None]:
            if self.said:
                return self.said.pop()
            over.set()
            return None, None

    over = threading.Event()
    monkeypatch.setattr(ray, "init", lambda **_: None)
    local.start_ray()
    monkeypatch.setattr(ray_worker, "_internal_kv_initialized", lambda: False)
    driver: Any = SimpleNamespace(gcs_error_subscriber=Publisher(), current_job_id=JobID.from_int(1))
    with caplog.at_level("INFO", "rumiai_ray"):
        ray_worker.listen_error_messages(driver, over)
    assert capfd.readouterr().out == ""
    assert "Ray's raylet: A worker died or was killed" in caplog.text


def test_a_ray_that_does_not_come_up_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_slow(**_: object) -> None:
        raise Exception("The current node timed out during startup.\nDetails")  # noqa: TRY002 -- as Ray does

    monkeypatch.setattr(ray, "init", too_slow)
    with pytest.raises(TransientError, match=r"Ray: did not start: The current node timed out during startup\. \(the machine"):
        local.start_ray()


@pytest.mark.parametrize(
    ("raised", "named", "told"),
    [
        (
            RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 1.0\n"),
            ConfigError,
            "cluster was started with: Ray: 1.0",
        ),
        (AuthenticationError("wrong token"), ConfigError, "wrong token"),
        (ConnectionError("Failed to connect to Ray cluster"), TransientError, "cannot be reached: Failed to connect"),
        (RuntimeEnvSetupError("Failed to upload"), TransientError, "cannot be reached: .*Failed to upload"),
    ],
)
def test_a_cluster_that_does_not_take_us_is_named(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, named: type[RumiaiError], told: str
) -> None:
    def refuse(**_: object) -> None:
        raise raised

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(named, match=f"Ray at head:6379: .*{told}"):
        local.start_ray(address="head:6379")


def test_a_mistake_of_ours_is_not_taken_for_a_trouble_of_rays(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise TypeError("unexpected keyword")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(TypeError):
        local.start_ray(address="head:6379")


@pytest.mark.parametrize(
    ("trouble", "asked", "kept"),
    [
        (ConfigError("a run of this name exists already"), False, False),
        (TransientError("it hung"), False, True),
        (KeyboardInterrupt(), False, True),
        (Stopped(), False, True),
        (None, False, False),
        (None, True, True),
    ],
)
def test_logs_are_kept_of_a_run_that_is_not_complete(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    trouble: BaseException | None,
    asked: bool,  # noqa: FBT001 -- a parameter
    kept: bool,  # noqa: FBT001
) -> None:
    def start(**options: Any) -> None:
        logs = Path(options["_temp_dir"]) / "session_2026" / "logs"
        logs.mkdir(parents=True)
        (logs / "gcs_server.out").write_text("what went wrong")

    monkeypatch.setattr(local, "start_ray", start)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with suppress(BaseException), local.local_ray() as here:
        if asked:
            here.keep_logs()
        if trouble is not None:
            raise trouble
    logs = here.scratch / "logs"
    assert here.scratch.exists() == kept
    assert (f"logs are kept in {logs}" in caplog.text) == kept
    if kept:
        assert (logs / "gcs_server.out").read_text() == "what went wrong"
        shutil.rmtree(here.scratch)


def test_the_users_own_token_is_out_of_the_way_of_our_ray_and_back_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"RAY_AUTH_TOKEN": "of a cluster", "RAY_AUTH_MODE": "disabled"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    before = local.use_environment({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/nowhere/token"})
    assert (os.environ["RAY_AUTH_MODE"], os.environ.get("RAY_AUTH_TOKEN")) == ("token", None)
    local.restore_environment(before)
    assert {name: os.environ[name] for name in given} == given
    assert "RAY_AUTH_TOKEN_PATH" not in os.environ


def test_an_actor_makes_the_folder_of_its_notes_where_the_driver_could_not(tmp_path: Path) -> None:
    path = tmp_path / "another" / "node" / "yolo-1"
    NoteBook(path).begin("f-1")
    note = read(path)
    assert note is not None
    assert note.call == "f-1"
