"""The head of a request to an HTTP proxy: RFC 9112, as far as yt-dlp's handlers use it."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_HEAD_BYTES = 64 * 1024

_LINE = re.compile(r"([A-Z]{1,16}) ([^\s\x00-\x20\x7f]+) HTTP/1\.[01]")
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/?#@\s]+)):(\d{1,5})")
_PLAIN = re.compile(r"http://(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/?#@\s]+))(?::(\d{1,5}))?([/?][^\s#]*)?", re.IGNORECASE)
_HOP_BY_HOP = frozenset(("connection", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "upgrade", "expect"))
_ONCE = ("host", "content-length")
"""Headers whose second one another reader may take for the true one: the rest of the body would be a request that nobody has checked."""
_LAST_PORT = 65535
_PLAIN_PORT = 80
_LENGTH_DIGITS = 18
"""Longest announced length of a body; Python turns no number of more than 4,300 digits into an integer."""


class BadRequestError(Exception):
    """No request that this proxy understands."""


@dataclass(frozen=True)
class ProxyRequest:
    """What a client asks of the proxy."""

    method: str
    tunnel: bool
    """CONNECT: bytes are passed on, whatever they are. Else one request in plain HTTP."""
    host: str
    """Without brackets."""
    port: int
    url: str
    """As it was given."""
    path: str
    """Path and query; empty for a tunnel."""
    authorization: bytes
    """Value of `Proxy-Authorization`; empty where there is none."""
    headers: tuple[tuple[str, str], ...]
    """All that are for the server, but for `Host`, which is made of the address that was checked."""
    body_bytes: int
    """Announced length of the body."""

    def head(self, *, whole_url: bool, authorization: str | None = None) -> bytes:
        """The head of the request to the server, which is asked to close the connection.

        Args:
            whole_url: the server is a proxy itself.
            authorization: for that proxy.
        """
        lines = [f"{self.method} {self.url if whole_url else self.path} HTTP/1.1"]
        name = f"[{self.host}]" if ":" in self.host else self.host
        lines.append(f"Host: {name}" if self.port == _PLAIN_PORT else f"Host: {name}:{self.port}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += [f"Proxy-Authorization: {authorization}"] if authorization else []
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


def parse_request(head: bytes) -> ProxyRequest:
    """Read a head that ends with an empty line.

    Raises:
        BadRequestError: it is none, or asks for something else than a tunnel or a request in plain HTTP.
    """
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise BadRequestError("not an HTTP request")
    headers = [_header(text) for text in lines]
    known = {name.lower(): value for name, value in headers}
    names = [name.lower() for name, _ in headers]
    if any(names.count(name) > 1 for name in _ONCE):
        raise BadRequestError("a repeated header that may occur only once")
    method, target = line[1], line[2]
    tunnel = method == "CONNECT"
    address = (_AUTHORITY if tunnel else _PLAIN).fullmatch(target)
    if address is None:
        raise BadRequestError("the proxy takes CONNECT host:port and http:// addresses only")
    host, port = address[1] or address[2], int(address[3] or _PLAIN_PORT)
    if not host.isascii() or not 0 < port <= _LAST_PORT:
        raise BadRequestError("not a valid host or port")
    length = known.get("content-length", "0")
    if "transfer-encoding" in known or not (length.isascii() and length.isdigit() and len(length) <= _LENGTH_DIGITS):
        raise BadRequestError("the body of a request needs a Content-Length")
    path = "" if tunnel else address[4] or "/"
    return ProxyRequest(
        method=method,
        tunnel=tunnel,
        host=host,
        port=port,
        url=target,
        path=path if path.startswith("/") or tunnel else f"/{path}",
        authorization=known.get("proxy-authorization", "").encode("latin-1"),
        headers=tuple((name, value) for name, value in headers if name.lower() not in (*_HOP_BY_HOP, "host")),
        body_bytes=int(length),
    )


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or re.search(r"[\x00\r\n]", value):
        raise BadRequestError("a malformed header line")
    return name, value.strip()


def closing_head(head: bytes) -> bytes:
    """The head of an answer, changed so that it tells the client that the connection ends with this answer."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    kept = [line for line in lines if line.partition(b":")[0].strip().lower() not in (b"connection", b"keep-alive", b"proxy-connection")]
    return b"\r\n".join([first, *kept, b"Connection: close", b"", b""])
