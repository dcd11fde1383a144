"""Every listening socket of the Rays this package starts, knocked at by a process that has no token."""

from __future__ import annotations

import http.client
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import psutil
import pytest
import ray

from rumiai_ray.engine.ray_session import local_head as head

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rumiai_ray.engine.ray_session.local import LocalRay

ACTING = (
    "/ray.rpc.InternalKVGcsService/InternalKVPut",
    "/ray.rpc.NodeManagerService/GetNodeStats",
    "/ray.rpc.ObjectManagerService/Push",
    "/ray.rpc.CoreWorkerService/GetCoreWorkerStats",
    "/ray.rpc.ReporterService/GetTraceback",
    "/ray.rpc.RayletDriver/KVList",
)
"""One method of each service that acts; each answers a request without content. `RayletDriver` is the Ray client server's."""
HEALTH = "/grpc.health.v1.Health/Check"
POSTS = ("/api/job_agent/jobs/", "/get_or_create_runtime_env", "/api/jobs/")
GETS = ("/metrics", "/", "/api/healthz", "/api/local_raylet_healthz", "/api/gcs_healthz")
OPEN = {"metrics", "health"}
"""What Ray answers to anybody: figures for Prometheus, and whether it lives. The content is searched for secrets."""
_SETTLED_S = 60.0
_PLANTED = "planted-secret-5d1e"


@dataclass
class Answers:
    """What one socket says."""

    kinds: set[str] = field(default_factory=set)
    """`refused`, `acted`, and those of `OPEN`."""
    said: list[str] = field(default_factory=list)
    """For the message of a failure."""
    bodies: bytes = b""


def knock(port: int, sign: Path, token: str = "") -> Answers:
    """Ask one socket for everything; with `token` where one is given."""
    answers = Answers()
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    job = f'{{"entrypoint": "touch {sign}"}}'.encode()
    for path, body in [*((path, None) for path in GETS), *((path, job) for path in POSTS)]:
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310
                content = response.read()
            answers.bodies += content
            answers.kinds.add("acted" if body else "metrics" if b"# TYPE" in content else "health" if len(content) < 100 else "acted")
            answers.said.append(f"{path}: 200")
        except urllib.error.HTTPError as error:
            answers.said.append(f"{path}: {error.code}")
            answers.kinds |= {"refused"} if error.code in {401, 403} else {"acted"} if error.code not in {404, 405} else set()
        except http.client.BadStatusLine:  # gRPC
            break
    else:
        return answers
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for method in (*ACTING, HEALTH):
            try:
                metadata = [("authorization", f"Bearer {token}")] if token else []
                answers.bodies += channel.unary_unary(method)(b"", timeout=20, metadata=metadata)
                code = "OK"
            except grpc.RpcError as error:
                code = error.code().name
            answers.said.append(f"{method}: {code}")
            if code == "OK" and method == HEALTH:
                answers.kinds.add("health")
            elif code != "UNIMPLEMENTED":  # whatever else the error is, the request was let in
                answers.kinds.add("refused" if code == "UNAUTHENTICATED" else "acted")
    return answers


def listening(root: psutil.Process) -> dict[int, str]:
    """Ports at which this process and those below it listen, and each process's name."""
    found: dict[int, str] = {}
    for process in [root, *root.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):  # a worker that has ended since
            name = process.name()
            found |= {one.laddr.port: name for one in process.net_connections(kind="inet") if one.status == psutil.CONN_LISTEN}
    return found


def settled(root: psutil.Process, *ports: int) -> dict[int, str]:
    """`listening`, when Ray's agents have opened their sockets and these ports are among them."""
    deadline = time.monotonic() + _SETTLED_S
    while True:
        found = listening(root)
        agents = sum("Agent" in name for name in found.values())
        if agents >= 3 and set(ports) <= found.keys():
            return found
        assert time.monotonic() < deadline, f"these listen: {found}"
        time.sleep(0.5)


def check(sockets: dict[int, str], folder: Path, sign: Path) -> None:
    token = (folder / "token").read_text()
    assert (folder / "token").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700, "still, though Ray has been told to keep its files there"
    for port, name in sockets.items():
        answers = knock(port, sign)
        told = f"{name} at {port}: {answers.said}"
        assert "acted" not in answers.kinds, told
        assert "refused" in answers.kinds or answers.kinds == {"metrics"}, told
        for secret in (token, _PLANTED):
            assert secret.encode() not in answers.bodies, told
        if "refused" in answers.kinds:
            wrong = knock(port, sign, "0" * 64)
            assert "acted" not in wrong.kinds, f"with another token: {name} at {port}: {wrong.said}"
    assert not sign.exists(), "a job without a token has run"


@pytest.fixture(autouse=True)
def _secret_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", _PLANTED)


@pytest.mark.timeout(300)
def test_nothing_that_listens_for_a_run_acts_without_the_token(ray_here: LocalRay, tmp_path: Path) -> None:
    assert ray.get(ray.remote(lambda: len(_PLANTED)).remote()) == len(_PLANTED)  # so that there is a worker, which knows the secret
    sockets = settled(psutil.Process())
    assert {"gcs_server", "raylet"} <= set(sockets.values())
    check(sockets, ray_here.scratch, tmp_path / "sign")
    gcs = int(ray.get_runtime_context().gcs_address.rpartition(":")[2])
    assert "acted" in knock(gcs, tmp_path / "sign", (ray_here.scratch / "token").read_text()).kinds, "the token opens what it closes"


@pytest.fixture
def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[head.Head]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with head.alone():
        yield head.start_head(2)
        head.stop_head()


@pytest.mark.timeout(300)
def test_nothing_that_listens_for_warm_cells_acts_without_the_token(up: head.Head, tmp_path: Path) -> None:
    root = psutil.Process(up.process.pid)
    (agent,) = [part for part in root.cmdline() if part.startswith("--dashboard-agent-listen-port=")]
    sockets = settled(root, int(agent.partition("=")[2]), int(up.address.rpartition(":")[2]))
    check(sockets, Path(up.folder), tmp_path / "sign")
