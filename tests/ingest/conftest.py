"""A web server on 127.0.0.1 that behaves as badly as each test needs."""

from __future__ import annotations

import shutil
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from post_sites import post_sites
from rumiai_ray.ingest.entries import entries_from_inputs
from rumiai_ray.ingest.fetch import FetchedVideo, FetchLimits, fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from post_sites import PostSites


class Request(BaseHTTPRequestHandler):
    """One request; `send` answers it."""

    protocol_version = "HTTP/1.1"
    server: Site

    def do_GET(self) -> None:
        path = unquote(self.path)
        self.server.requests.append(path)
        self.close_connection = True
        answer = self.server.answers.get(path)
        if answer is None:
            self.send(404, b"gone")
        else:
            answer(self)

    do_HEAD = do_GET  # noqa: N815 -- http.server's

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.start(status, **{"Content_Length": str(len(body)), **headers})
        if self.command == "GET":
            self.wfile.write(body)

    def start(self, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


class Site(ThreadingHTTPServer):
    """Answers by path; remembers what was asked."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 32

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.answers: dict[str, Callable[[Request], None]] = {}
        self.requests: list[str] = []
        self.ended = threading.Event()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are what these tests are about."""

    def serve(self, path: str, status: int = 200, body: bytes = b"", **headers: str) -> str:
        """Answer `path` so; returns its URL."""
        return self.on(path, lambda request: request.send(status, body, **headers))

    def on(self, path: str, answer: Callable[[Request], None]) -> str:
        self.answers[path] = answer
        return self.url(path)


@pytest.fixture
def site() -> Iterator[Site]:
    server = Site()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.ended.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostSites]:
    """TikTok, Instagram and YouTube, whose certificate is trusted; they are behind the proxy `sites.proxy`."""
    with post_sites(tmp_path) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        yield server


@pytest.fixture
def limits() -> FetchLimits:
    """Fast to give up, and allowed to see the local server."""
    return FetchLimits(total_s=120, stall_s=30, retry_base_s=0.01, retry_max_s=0.5, allow_private_hosts=True)


@pytest.fixture
def got(tmp_path: Path, limits: FetchLimits) -> Iterator[Callable[..., AbstractContextManager[FetchedVideo]]]:
    """`fetch` of one input into a work directory that must be empty afterwards, however it went."""
    workdir = tmp_path / "work"
    workdir.mkdir()

    @contextmanager
    def get(text: str, with_limits: FetchLimits = limits) -> Iterator[FetchedVideo]:
        with fetch(entries_from_inputs([text])[0], with_limits, workdir) as video:
            yield video

    yield get
    assert list(workdir.iterdir()) == [], "nothing of a download is left"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    both = tmp_path / "certificate.pem"
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([openssl, "req", *kind, *name, "-keyout", both, "-out", f"{both}.crt"], check=True, capture_output=True)
    both.write_bytes(both.read_bytes() + both.with_name("certificate.pem.crt").read_bytes())
    return both
