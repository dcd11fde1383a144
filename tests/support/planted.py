"""Planted secrets: a server that quotes all it is asked for, and the look for them in everything that a run leaves."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRETS = [f"planted{number}hunter2" for number in range(11)]
SIGNATURE, TOKEN, LATER, PASSWORD, COOKIE, ID, COLUMN, REFUSED, REFLECTED, PROXY, VARIABLE = SECRETS


class Origin(ThreadingHTTPServer):
    """Serves one clip to every client with the right signature, and quotes what it was asked for in all it says."""

    daemon_threads = True

    def __init__(self, clip: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.clip = clip
        self.open = False
        """Whether the token is good by now."""


class Handler(BaseHTTPRequestHandler):
    server: Origin

    def do_GET(self) -> None:
        asked = urlsplit(self.path)  # as a proxy this server is asked with the whole address
        path, query = asked.path, asked.query
        if path == "/signed.mp4" and f"X-Amz-Signature={SIGNATURE}" in query:
            self.answer(200, self.server.clip)
        elif path == "/token.mp4" and self.server.open and query == f"token={TOKEN}":
            self.answer(200, self.server.clip + bytes(4))
        elif path == "/away.mp4":
            self.answer(302, b"", Location=f"http://user:{PASSWORD}@127.0.0.1/x?later={LATER}")
        elif path == "/reflect.mp4":
            self.answer(200, b"x", **{"Content-Encoding": f"odd-{query.rpartition('=')[2]}"})
        else:
            self.answer(404, self.path.encode())

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status, f"said of {self.path}")
        for name, value in {**headers, "Set-Cookie": f"session={COOKIE}", "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


def everything(place: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file below a directory but the private ones; of Parquet files also what is in them."""
    for path in sorted(place.rglob("*")):
        if path.is_file() and path.parent.name != "private":
            yield path, path.read_bytes()
            if path.suffix == ".parquet":
                table = pq.read_table(path)
                yield path, f"{table.schema.metadata} {table.to_pylist()}".encode()


def leaks(files: Iterator[tuple[Path, bytes]]) -> list[str]:
    return [f"{path}: {secret}" for path, content in files for secret in SECRETS if secret.encode() in content]
