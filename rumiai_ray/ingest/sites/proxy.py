"""An HTTP proxy on the loopback address for one confined process: it checks every address before it connects.

The process that runs yt-dlp can reach nothing but this port. So the checks hold for each of yt-dlp's ways to send a request, for
redirects and for names that resolve anew; TLS stays between that process and the site. Only who has the password, which is made
anew for each proxy, is served: every process of this machine can connect to the port.
"""

from __future__ import annotations

import base64
import hmac
import logging
import secrets
import select
import socket
import threading
from typing import TYPE_CHECKING, Self

from rumiai_ray.errors import RumiaiError, TransientError
from rumiai_ray.ingest.local import too_large
from rumiai_ray.ingest.sites.proxy_request import MAX_HEAD_BYTES, BadRequestError, ProxyRequest, closing_head, parse_request
from rumiai_ray.logs import swallowed

if TYPE_CHECKING:
    from rumiai_ray.ingest.limits import FetchLimits
    from rumiai_ray.ingest.network import Network

_LOG = logging.getLogger(__name__)

_BESIDE_THE_VIDEO_BYTES = 64 * 2**20
"""Allowance beside the largest video for pages, scripts, cover pictures and TLS."""
_MAX_CONNECTIONS = 64
_HEAD_S = 10.0
"""Time for a request's head. The client is on this machine; a neighbour that connects and waits is let go."""
_BLOCK_BYTES = 256 * 1024
_USER = "rumiai"
_BAD, _REFUSED, _LOGIN, _FAILED = 400, 403, 407, 502


class CheckingProxy:
    """The proxy, open from entering the context to leaving it. What it refuses is kept in `network.refusal`.

    Args:
        network: opens and checks connections, and cuts them when the time is up.
        limits: for the silence of a connection and the bytes of all connections together.
        subject: the URL that is being fetched, for messages.
    """

    def __init__(self, network: Network, limits: FetchLimits, subject: str) -> None:
        self._network = network
        self._limits = limits
        self._subject = subject
        self._budget_bytes = limits.max_bytes + _BESIDE_THE_VIDEO_BYTES
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        password = secrets.token_urlsafe(32)
        self._expected = b"Basic " + base64.b64encode(f"{_USER}:{password}".encode())
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=_MAX_CONNECTIONS)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://{_USER}:{password}@127.0.0.1:{self.port}"
        """With the password; never to be written anywhere."""
        self._accepting = threading.Thread(target=self._accept, name="checking-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        with swallowed(_LOG, "closing the proxy's listener", OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`
        self._listener.close()
        self._accepting.join()
        with self._lock:
            for connection in self._connections:
                with swallowed(_LOG, "closing a connection of the proxy", OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError as error:  # closed
                _LOG.debug("the proxy takes no more connections: %s", error)
                return
            with self._lock:
                full = len(self._connections) >= _MAX_CONNECTIONS
                if not full:
                    self._connections.add(client)
            if full:
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client,), name="checking-proxy-connection", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with swallowed(_LOG, "answering a client of the proxy", OSError):  # the client went away, or the time is up
                self._answer(client)
        finally:
            with self._lock:
                self._connections.discard(client)
            client.close()

    def _answer(self, client: socket.socket) -> None:
        client.settimeout(min(_HEAD_S, self._limits.stall_s))
        head, rest = _read_head(client)
        try:
            request = parse_request(head)
        except BadRequestError as error:
            _reply(client, _BAD, str(error))
            return
        if not hmac.compare_digest(request.authorization, self._expected):
            _reply(client, _LOGIN, "Proxy Authentication Required")
            return
        client.settimeout(self._limits.stall_s)
        self._network.watch(client)
        try:
            connect = self._network.connect if request.tunnel else self._network.connect_plain
            server = connect(request.host, request.port)
        except RumiaiError as error:
            self._network.refuse(error)
            _reply(client, _FAILED if isinstance(error, TransientError) else _REFUSED, error.what)
            return
        except OSError as error:
            _reply(client, _FAILED, f"no server answers: {error.strerror or error}")
            return
        with server:
            if request.tunnel:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                self._relay(client, server, rest)
            else:
                self._forward(client, server, request, rest)

    def _forward(self, client: socket.socket, server: socket.socket, request: ProxyRequest, rest: bytes) -> None:
        """One request in plain HTTP and its answer; then the connection is closed, for the next request may be meant for another host."""
        upstream = self._network.upstream
        server.sendall(request.head(whole_url=upstream is not None, authorization=upstream.authorization if upstream else None))
        missing = request.body_bytes - len(rest)
        server.sendall(rest[: request.body_bytes])
        while missing > 0 and (block := client.recv(min(_BLOCK_BYTES, missing))):
            self._count(len(block))
            server.sendall(block)
            missing -= len(block)
        head, rest = _read_head(server)
        self._count(len(head) + len(rest))
        client.sendall(closing_head(head) + rest)
        self._relay(server, client, b"", both=False)

    def _relay(self, one: socket.socket, other: socket.socket, first: bytes, *, both: bool = True) -> None:
        """Pass bytes on until one side ends or nothing is heard for `stall_s`.

        Args:
            one: its bytes go to `other`.
            other: its bytes go to `one`, where `both`; else they only tell that it has ended.
            first: of `one`, read already.
            both: whether `other` is listened to.
        """
        other.sendall(first)
        poll = select.poll()
        for side in (one, other):
            poll.register(side, select.POLLIN)
        buffer = memoryview(bytearray(_BLOCK_BYTES))
        while events := poll.poll(self._limits.stall_s * 1000):
            for descriptor, _ in events:
                source, target = (one, other) if descriptor == one.fileno() else (other, one)
                count = source.recv_into(buffer)
                if not count or (source is other and not both):
                    return
                self._count(count)
                target.sendall(buffer[:count])

    def _count(self, count: int) -> None:
        with self._lock:
            self._budget_bytes -= count
            spent = self._budget_bytes < 0
        if spent:
            self._network.refuse(too_large(self._subject, self._limits))
            raise ConnectionAbortedError("too many bytes")
        try:
            self._network.take(count, self._subject)
        except RumiaiError as error:
            self._network.refuse(error)
            raise ConnectionAbortedError("no room on the disk") from error


def _read_head(sock: socket.socket) -> tuple[bytes, bytes]:
    """The head of a request or an answer, with the empty line, and what came after it.

    Raises:
        OSError: the other side ended or went silent before, or its head is too long.
    """
    data = b""
    while b"\r\n\r\n" not in data:
        if len(data) > MAX_HEAD_BYTES:
            raise ConnectionAbortedError("a head that is too long")
        block = sock.recv(MAX_HEAD_BYTES)
        if not block:
            raise ConnectionAbortedError("no head")
        data += block
    head, _, rest = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


def _reply(client: socket.socket, status: int, reason: str) -> None:
    """An answer of the proxy itself, with the reason in its first line, where every client shows it."""
    words = "".join(c if c.isascii() and c.isprintable() else "?" for c in reason)[:200]
    login = 'Proxy-Authenticate: Basic realm="rumiai"\r\n' if status == _LOGIN else ""
    client.sendall(f"HTTP/1.1 {status} {words}\r\n{login}Content-Length: 0\r\nConnection: close\r\n\r\n".encode("ascii"))
