"""The connections of one fetch: checked addresses, a limit on silence, one deadline for everything."""

from __future__ import annotations

import http.client
import logging
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from rumiai_ray.errors import InputError, RumiaiError, TransientError
from rumiai_ray.ingest.addresses import resolve
from rumiai_ray.ingest.host_names import is_spelled_as_address
from rumiai_ray.ingest.upstream import Upstream
from rumiai_ray.logs import swallowed

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    from rumiai_ray.ingest.addresses import Address
    from rumiai_ray.ingest.limits import FetchLimits
    from rumiai_ray.ingest.room import Room

_log = logging.getLogger(__name__)


class Network:
    """Opens the sockets of one fetch and cuts them all when its time is up.

    A socket's own timeout starts anew with every byte, so a server that drips holds it open for ever, in the body, in a header
    or in the TLS handshake. Hence a timer that shuts the sockets down; what was being read then ends, and `check` says why.
    Proxies from the environment are not used unasked. Behind one (`FetchLimits.proxy`) addresses are checked as far as this machine
    can look names up; for other names the rules of that proxy apply.
    """

    def __init__(self, limits: FetchLimits, room: Room | None = None) -> None:
        self._limits = limits
        self._room = room
        self._end_s = time.monotonic() + limits.total_s
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(limits.total_s, self._cut)
        self._timer.daemon = True
        self.upstream = Upstream.parse(limits.proxy) if limits.proxy else None
        self.refusal: RumiaiError | None = None
        """The first connection that was refused here, for callers whose library turns exceptions into its own."""

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()
        with self._lock:
            for sock in self._sockets:
                sock.close()

    @property
    def remaining_s(self) -> float:
        """Time left, ≥ 0."""
        return max(0.0, self._end_s - time.monotonic())

    def check(self, subject: str) -> None:
        """Raises `TransientError` where the time is up. To be asked before anything that was read is believed to be whole."""
        if not self.remaining_s:
            raise TransientError(f"not done after {self._limits.total_s:g} s", subject, "try again, or raise --limits-download-timeout-s")

    def take(self, count: int, subject: str) -> None:
        """Count bytes that are about to be written to disk; see `Room.take`, whose errors it raises."""
        if self._room is not None:
            self._room.take(count, subject)

    def look(self, subject: str) -> None:
        """Look at the disk on which a process writes by itself; see `Room.look`, whose errors it raises."""
        if self._room is not None:
            self._room.look(subject)

    def connect(self, host: str, port: int) -> socket.socket:
        """A connection to one of the checked addresses of `host`, through the company's proxy where there is one.

        Raises:
            InputError: no such host, or an address that is not allowed.
            TransientError: the name server, the proxy or the time.
            OSError: nobody answers there.
        """
        addresses = self._checked(host, port)
        if self.upstream is None:
            return self._open(addresses)
        return self.upstream.tunnel(host, port, self._to_upstream)

    def connect_plain(self, host: str, port: int) -> socket.socket:
        """A connection for a request in plain HTTP. Where `upstream` is set it leads to the proxy, which wants the whole URL.

        Raises:
            As `connect`.
        """
        if self.upstream is None:
            return self.connect(host, port)
        self._checked(host, port)
        return self._to_upstream()

    def refuse(self, error: RumiaiError) -> None:
        """Keep `error` as the reason why this fetch fails, unless there is one."""
        self.refusal = self.refusal or error

    def _checked(self, host: str, port: int) -> list[Address]:
        try:
            self.check(host)
            return self._addresses(host, port)
        except RumiaiError as error:
            self.refuse(error)
            raise

    def _addresses(self, host: str, port: int) -> list[Address]:
        try:
            return resolve(host, port, allow_private=self._limits.allow_private_hosts, rules=self._limits.rules)
        except (InputError, TransientError) as error:
            # Behind a company's proxy names of the internet are often unknown inside. What is known, and not public, stays refused.
            if self.upstream is None or not isinstance(error.__cause__, socket.gaierror) or is_spelled_as_address(host):
                raise
            return []

    def _to_upstream(self) -> socket.socket:
        if self.upstream is None:
            raise RuntimeError("there is no proxy")
        # The user named this host: it may be a private one.
        return self._open(resolve(self.upstream.host, self.upstream.port, allow_private=True))

    def _open(self, addresses: list[Address]) -> socket.socket:
        failure = OSError("no address")
        for address in addresses:
            sock = socket.socket(address.family, socket.SOCK_STREAM)
            try:
                sock.settimeout(max(0.001, min(self._limits.stall_s, self.remaining_s)))
                sock.connect(address.sockaddr)
                sock.settimeout(self._limits.stall_s)
            except OSError as error:
                sock.close()
                failure = error
            else:
                self.watch(sock)
                return sock
        raise failure

    def secure(self, sock: socket.socket, host: str, context: ssl.SSLContext) -> ssl.SSLSocket:
        """TLS over `sock`, with the certificate checked against the name `host`."""
        # The handshake only after the socket is watched: it can be dripped, too.
        secured = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
        self.watch(secured)
        secured.do_handshake()
        return secured

    def watch(self, sock: socket.socket) -> None:
        """Cut `sock`, too, when the time is up, and close it with this network."""
        with self._lock:
            self._sockets = [known for known in self._sockets if known.fileno() >= 0]
            self._sockets.append(sock)
        if not self.remaining_s:  # the timer may have gone off just before this one was added
            self._cut()

    def _cut(self) -> None:
        with self._lock:
            for sock in self._sockets:
                # Not SSLSocket.shutdown, which would hand the rest of the ciphertext to the reader as if it were data.
                with swallowed(_log, "cutting a connection", OSError):  # closed by the peer or by its user: nothing left to cut
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)


class Connection(http.client.HTTPConnection):
    """Plain HTTP over a `Network`."""

    def __init__(self, host: str, *args: Any, network: Network, **kwargs: Any) -> None:
        super().__init__(host, *args, **kwargs)
        self._network = network

    def connect(self) -> None:  # noqa: D102 -- http.client's
        self.sock = self._network.connect_plain(self.host, self.port)


class SecureConnection(http.client.HTTPSConnection):
    """HTTPS over a `Network`."""

    def __init__(self, host: str, *args: Any, network: Network, context: ssl.SSLContext, **kwargs: Any) -> None:
        super().__init__(host, *args, context=context, **kwargs)
        self._network = network
        self._tls = context

    def connect(self) -> None:  # noqa: D102 -- http.client's
        self.sock = self._network.secure(self._network.connect(self.host, self.port), self.host, self._tls)
