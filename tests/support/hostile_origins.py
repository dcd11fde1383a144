"""Web servers that mean harm, each a way to answer one request. A trap on another loopback address counts the clients led inside."""

from __future__ import annotations

import gzip
import socket
import socketserver
import struct
import threading
import time
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ORIGIN = "127.0.0.77"
"""The address that tests call public; every other loopback address stays inside."""
TRAP = "127.0.0.78"
_END_S = 30.0
"""A handler that nobody cuts ends by itself after that."""


@dataclass
class Talk:
    """One connection after its request was read."""

    connection: socket.socket
    path: str
    origin: str
    """`http://host:port` of this server."""
    trap: str
    """The same of the trap inside."""

    def say(self, data: bytes) -> Self:
        """Send bytes as they are."""
        self.connection.sendall(data)
        return self

    def head(self, status: str = "200 OK", *lines: str) -> Self:
        """Send a status line and header lines."""
        self.say("\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1"))
        return self

    def body(self, data: bytes, *lines: str, status: str = "200 OK") -> Self:
        """Send a whole answer with a length that is true."""
        self.head(status, f"Content-Length: {len(data)}", *lines)
        self.say(data)
        return self

    def to(self, location: str, status: str = "302 Found") -> Self:
        """Send a redirect."""
        self.head(status, f"Location: {location}", "Content-Length: 0")
        return self

    def wait(self, seconds: float = _END_S) -> Self:
        """Say nothing for a while."""
        time.sleep(seconds)
        return self

    def reset(self) -> Self:
        """End the connection with a TCP reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        return self

    def drip(self, piece: bytes, pause_s: float = 0.2) -> Self:
        """Send `piece` again and again, slowly, until the other side has gone."""
        end_s = time.monotonic() + _END_S
        while time.monotonic() < end_s:
            self.say(piece)
            time.sleep(pause_s)
        return self

    def pour(self, piece: bytes) -> Self:
        """Send `piece` again and again, fast."""
        end_s = time.monotonic() + _END_S
        while time.monotonic() < end_s:
            self.say(piece)
        return self


FILM = b"\0\0\0\x20ftypisom" + bytes(range(256)) * 400
_CHUNKED = "Transfer-Encoding: chunked"


def _bomb() -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(64)) + packer.flush()


BOMB = _bomb()
"""64 MB in 65 KB."""


def _chunks(*sizes_and_data: tuple[bytes, bytes]) -> bytes:
    return b"".join(size + b"\r\n" + data + b"\r\n" for size, data in sizes_and_data)


def _inside(spelling: str) -> Callable[[Talk], object]:
    return lambda talk: talk.to(f"http://{spelling}:{talk.trap.rpartition(':')[2]}/latest/meta-data")


def _page(page: str, kind: str = "video/mp4") -> Callable[[Talk], object]:
    return lambda talk: talk.body(page.replace("TRAP", talk.trap).encode(), f"Content-Type: {kind}")


def _loop(talk: Talk) -> None:
    talk.to(f"{talk.origin}{talk.path}x")


ORIGINS: dict[str, Callable[[Talk], object]] = {
    # Lengths that lie.
    "length-too-long": lambda t: (t.head("200 OK", f"Content-Length: {len(FILM) * 2}"), t.say(FILM)),
    "length-too-short": lambda t: (t.head("200 OK", "Content-Length: 100"), t.say(FILM)),
    "length-negative": lambda t: (t.head("200 OK", "Content-Length: -1"), t.say(FILM)),
    "length-no-number": lambda t: (t.head("200 OK", "Content-Length: 0x10, 99"), t.say(FILM)),
    "length-of-4300-digits": lambda t: (t.head("200 OK", "Content-Length: " + "9" * 5000), t.say(FILM)),
    "length-beyond-the-limit": lambda t: t.head("200 OK", f"Content-Length: {2**62}"),
    "lengths-that-differ": lambda t: (t.head("200 OK", "Content-Length: 5", f"Content-Length: {len(FILM)}"), t.say(FILM)),
    "length-and-chunks": lambda t: (t.head("200 OK", _CHUNKED, "Content-Length: 3"), t.say(_chunks((b"5", b"video"), (b"0", b"")))),
    "nothing": lambda t: t.body(b""),
    "no-length-endless": lambda t: (t.head(), t.pour(FILM)),
    # Silence and drips.
    "silent-before-the-status": lambda t: t.wait(),
    "silent-in-the-body": lambda t: (t.head("200 OK", "Content-Length: 100000"), t.say(FILM[:10]), t.wait()),
    "drips-status": lambda t: t.drip(b"H"),
    "drips-headers": lambda t: (t.say(b"HTTP/1.1 200 OK\r\n"), t.drip(b"X: y\r\n")),
    "drips-body": lambda t: (t.head("200 OK", "Content-Length: 100000"), t.drip(b"\0")),
    "drips-chunks": lambda t: (t.head("200 OK", _CHUNKED), t.drip(b"1\r\n\0\r\n")),
    "drips-gzip": lambda t: (t.head("200 OK", "Content-Encoding: gzip"), [(t.say(BOMB[n : n + 1]), t.wait(0.2)) for n in range(200)])[0],
    "continues-for-ever": lambda t: t.drip(b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
    # Bombs.
    "gzip-bomb": lambda t: t.body(BOMB, "Content-Encoding: gzip"),
    "gzip-bombs-endless": lambda t: (t.head("200 OK", "Content-Encoding: gzip"), t.pour(BOMB)),
    "gzip-in-gzip": lambda t: t.body(gzip.compress(BOMB), "Content-Encoding: gzip, gzip"),
    "gzip-broken": lambda t: t.body(BOMB[:500] + b"\xff" * 500, "Content-Encoding: gzip"),
    "gzip-cut": lambda t: t.body(gzip.compress(FILM)[:100], "Content-Encoding: gzip"),
    "encoding-unknown": lambda t: t.body(FILM, "Content-Encoding: br\x1b[31m"),
    "headers-endless": lambda t: (t.say(b"HTTP/1.1 200 OK\r\n"), t.pour(b"X: y\r\n")),
    "header-of-10-mb": lambda t: t.head("200 OK", "X: " + "y" * 10**7),
    "status-line-of-10-mb": lambda t: t.say(b"HTTP/1.1 200 " + b"y" * 10**7),
    # Chunks that lie.
    "chunk-size-huge": lambda t: (t.head("200 OK", _CHUNKED), t.say(_chunks((b"7fffffffffffffff", FILM)))),
    "chunk-size-negative": lambda t: (t.head("200 OK", _CHUNKED), t.say(_chunks((b"-5", FILM)))),
    "chunk-size-no-number": lambda t: (t.head("200 OK", _CHUNKED), t.say(_chunks((b"zz", FILM)))),
    "chunk-size-too-short": lambda t: (t.head("200 OK", _CHUNKED), t.say(_chunks((b"2", FILM)))),
    "chunk-without-end": lambda t: (t.head("200 OK", _CHUNKED), t.say(_chunks((b"5", b"video")))),
    "chunk-extension-endless": lambda t: (t.head("200 OK", _CHUNKED), t.pour(b"5;" + b"x" * 1000)),
    "chunk-trailers-endless": lambda t: (t.head("200 OK", _CHUNKED), t.say(b"5\r\nvideo\r\n0\r\n"), t.pour(b"X: y\r\n")),
    # Redirects.
    "redirect-loop": _loop,
    "redirect-to-itself": lambda t: t.to(t.origin + t.path),
    "redirect-without-location": lambda t: t.head("302 Found", "Content-Length: 0"),
    "redirect-multiple-choices": lambda t: t.head("300 Multiple Choices", f"Location: {t.trap}"),
    "redirect-to-trap": lambda t: t.to(t.trap),
    "redirect-308-to-trap": lambda t: t.to(t.trap, "308 Permanent Redirect"),
    "redirect-to-localhost": _inside("localhost"),
    "redirect-to-decimal": _inside("2130706510"),
    "redirect-to-octal": _inside("0177.0.0.116"),
    "redirect-to-hexadecimal": _inside("0x7f00004e"),
    "redirect-to-short-form": _inside("127.78"),
    "redirect-to-mapped-ipv6": _inside("[::ffff:127.0.0.78]"),
    "redirect-to-unspecified": _inside("0.0.0.0"),  # noqa: S104 -- an address to be refused
    "redirect-to-metadata": lambda t: t.to("http://169.254.169.254/latest/meta-data"),
    "redirect-to-private": lambda t: t.to("http://10.0.0.1/"),
    "redirect-to-wide-digits": lambda t: t.to(t.trap.encode().decode().replace("127", "１２７").encode().decode("latin-1")),
    "redirect-to-file": lambda t: t.to("file:///etc/passwd"),
    "redirect-to-store": lambda t: t.to("s3://bucket/key"),
    "redirect-to-gopher": lambda t: t.to(f"gopher://{TRAP}/_x"),
    "redirect-scheme-relative": lambda t: t.to("//" + t.trap.removeprefix("http://")),
    "redirect-with-user": lambda t: t.to(t.trap.replace("http://", "http://example.com@")),
    "redirect-with-backslash": lambda t: t.to(f"{t.origin}\\@{TRAP}/"),
    "redirect-with-brackets": lambda t: t.to("http://[::1"),
    "redirect-with-port-99999": lambda t: t.to("http://example.com:99999/"),
    "redirect-with-header-inside": lambda t: t.to(t.origin + "/\rX-Evil: 1"),
    "redirect-of-1-mb": lambda t: t.to(t.origin + "/" + "a" * 60_000),
    "redirect-with-refresh": lambda t: t.body(
        b"<meta http-equiv=refresh content='0;url=%s'>" % t.trap.encode(), f"Refresh: 0; url={t.trap}"
    ),
    # Not a video.
    "page-as-video": _page("<!doctype html><video src='TRAP'></video>"),
    "playlist-hls-inside": _page("#EXTM3U\n#EXTINF:1,\nTRAP/seg.ts\n", "application/vnd.apple.mpegurl"),
    "playlist-hls-file": _page("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
    "playlist-hls-key-inside": _page('#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="TRAP/key"\n#EXTINF:1,\nTRAP/seg.ts\n'),
    "playlist-dash-inside": _page("<?xml version='1.0'?><MPD><Period><BaseURL>TRAP/</BaseURL></Period></MPD>"),
    "playlist-concat-inside": _page("ffconcat version 1.0\nfile TRAP/a.mp4\n"),
    "description-sdp-inside": _page("v=0\no=- 0 0 IN IP4 127.0.0.78\ns=x\nc=IN IP4 127.0.0.78\nm=video 5004 RTP/AVP 96\n"),
    "playlist-after-blanks": _page("\ufeff \n\n#EXTM3U\n#EXTINF:1,\nTRAP/seg.ts\n"),
    "svg-with-entities": _page("<!DOCTYPE s [<!ENTITY a SYSTEM 'TRAP'>]><svg>&a;</svg>", "image/svg+xml"),
    # Broken or odd answers.
    "no-http": lambda t: t.say(b"220 ftp ready\r\n"),
    "http-0.9": lambda t: t.say(FILM),
    "status-no-number": lambda t: t.say(b"HTTP/1.1 abc OK\r\n\r\n"),
    "status-0": lambda t: t.head("000 Zero"),
    "status-999": lambda t: t.head("999 Denied"),
    "status-206-unasked": lambda t: t.body(FILM, f"Content-Range: bytes 5-10/{2**63}", status="206 Partial Content"),
    "range-that-lies": lambda t: t.body(FILM, "Content-Range: bytes 999999-1/3", "Accept-Ranges: bytes"),
    "status-204": lambda t: t.head("204 No Content"),
    "status-101": lambda t: t.head("101 Switching Protocols", "Upgrade: websocket"),
    "status-401": lambda t: t.head("401 Unauthorized", "WWW-Authenticate: Negotiate", "Content-Length: 0"),
    "status-407": lambda t: t.head("407 Proxy Authentication Required", "Proxy-Authenticate: Basic", "Content-Length: 0"),
    "retry-after-for-ever": lambda t: t.head("429 Slow", f"Retry-After: {'9' * 400}", "Content-Length: 0"),
    "retry-after-absurd-offset": lambda t: t.head("503 Busy", "Retry-After: Mon, 01 Jan 2026 00:00:00 +99999999", "Content-Length: 0"),
    "retry-after-escape": lambda t: t.head("429 Slow", "Retry-After: \x1b]0;x\x07", "Content-Length: 0"),
    "header-without-colon": lambda t: t.body(FILM, "this is no header"),
    "header-folded": lambda t: t.body(FILM, "X: a", " folded: b"),
    "header-with-nul": lambda t: t.body(FILM, "X: a\0b"),
    "header-not-ascii": lambda t: t.body(FILM, "X: \xff\xfe"),
    "disposition-traversal": lambda t: t.body(FILM, 'Content-Disposition: attachment; filename="../../../escaped"'),
    "cookie-flood": lambda t: t.body(FILM, *(f"Set-Cookie: c{n}={'x' * 3000}" for n in range(90))),
    "reset-at-once": lambda t: t.reset(),
    "reset-in-headers": lambda t: (t.say(b"HTTP/1.1 200 OK\r\nContent-"), t.reset()),
    "reset-in-the-body": lambda t: (t.head("200 OK", f"Content-Length: {len(FILM)}"), t.say(FILM[:500]), t.reset()),
    "closed-at-once": lambda t: t,
    "tls-that-is-none": lambda t: t.say(b"HTTP/1.1 200 OK\r\n\r\nplain"),
    "tls-alert": lambda t: t.say(b"\x15\x03\x03\x00\x02\x02\x28"),
    "tls-hello-endless": lambda t: (t.say(b"\x16\x03\x03\x40\x00"), t.drip(b"\0")),
    "tls-record-too-long": lambda t: t.say(b"\x16\x03\x03\xff\xff" + bytes(65_535)),
    "good": lambda t: t.body(FILM, "Content-Type: video/mp4"),
}
"""What an origin answers, by name; a name that begins with `tls-` is asked by https."""


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64


@dataclass
class Scene:
    """The bad origin and the trap."""

    origin: str
    trap: str
    trapped: list[str] = field(default_factory=list)
    """First line of each request that reached the trap."""

    def url(self, kind: str) -> str:
        """The address that is answered so."""
        origin = self.origin.replace("http", "https", 1) if kind.startswith("tls-") else self.origin
        return f"{origin}/{kind}"


@contextmanager
def scene() -> Iterator[Scene]:
    """Both servers, running."""
    here = Scene("", "")

    class Bad(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            connection: socket.socket = self.request
            connection.settimeout(_END_S)
            head = connection.recv(65_536)
            path = head.split(b" ")[1].decode("latin-1") if head.startswith(b"GET /") else "/"
            kind = path[1:].rstrip("x") if path.startswith("/redirect-loop") else path[1:]
            if not head.startswith(b"GET"):
                kind = _tls_kind.get("kind", "closed-at-once")
            answer = ORIGINS.get(kind, ORIGINS["good"])
            try:
                answer(Talk(connection, path, here.origin, here.trap))
            except OSError:
                return  # the client has gone

    class Trap(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            here.trapped.append(self.request.recv(200).partition(b"\r")[0].decode("latin-1"))
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")

    servers = [_Server((ORIGIN, 0), Bad), _Server((TRAP, 0), Trap)]
    here.origin, here.trap = (f"http://{server.server_address[0]!s}:{server.server_address[1]}" for server in servers)
    for server in servers:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield here
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


_tls_kind: dict[str, str] = {}


def ask_by_tls(kind: str) -> None:
    """Inside a TLS handshake no path can be read, so the origin is told before."""
    _tls_kind["kind"] = kind
