"""moto's S3 on loopback, in a thread of this process. On order it loses requests, loses answers, or turns everybody away."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

Fate = Literal["answered", "lost", "unanswered", "denied", "done and denied"]
"""`lost`: it never arrives; `unanswered`: it is done, but the connection breaks before the answer; `denied`: it is not done and the
client is told something it does not try again after; `done and denied`: it is done and the client is told that."""

_DENIED = b"<Error><Code>AccessDenied</Code><Message>turned away by the test</Message></Error>"


class S3Server:
    """A WSGI application: moto's, with faults."""

    def __init__(self) -> None:
        self.fate_of: Callable[[str, str], Fate] = _answered
        """What becomes of a request, by method and path; called once for each, one at a time."""
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self.address = ""
        """URL of the endpoint."""

    @property
    def variables(self) -> Mapping[str, str]:
        """Environment under which every S3 client, s3fs included, talks to this server and to nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        # moto looks whether a key is there and then puts it; S3 does that in one step.
        with self._lock:
            fate = self.fate_of(environ["REQUEST_METHOD"], environ["PATH_INFO"])
            if fate == "lost":
                raise ConnectionResetError
            if fate == "denied":
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            else:
                answer = self._moto(environ, start_response if fate == "answered" else _ignored)
                body = list(answer)
            if fate == "unanswered":
                raise ConnectionResetError
            if fate == "answered":
                return body
            start_response("403 FORBIDDEN", [("Content-Type", "application/xml"), ("Content-Length", str(len(_DENIED)))])
            return [_DENIED]

    def copy(self, uri: str, directory: Path) -> None:
        """Write every object under a URI below a directory, past all requests: reading a run to check it costs a hundred."""
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        keys = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[bucket].keys
        for key in [key for key in keys if key.startswith(f"{prefix}/")]:
            path = directory / key.removeprefix(f"{prefix}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(keys[key].value)

    @contextmanager
    def with_fates(self, fate_of: Callable[[str, str], Fate]) -> Iterator[None]:
        """Faults for a while."""
        self.fate_of = fate_of
        try:
            yield
        finally:
            self.fate_of = _answered


def _answered(method: str, path: str) -> Fate:
    del method, path
    return "answered"


def _ignored(*_: object) -> Callable[[bytes], None]:
    return lambda _body: None


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """A server on a free port, until the end of the block."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    ours = S3Server()
    server = make_server("127.0.0.1", 0, ours, threaded=True, request_handler=MotoRequestHandler)
    ours.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield ours
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
