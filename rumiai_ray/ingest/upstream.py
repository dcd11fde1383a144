"""A company's own HTTP proxy, behind which this machine sits."""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from rumiai_ray.errors import ConfigError, TransientError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

ENVIRONMENT = "env"
"""Value of the setting `proxy` that stands for the variables below."""
_VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
_MAX_HEAD_BYTES = 16 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)[ \r]([^\r\n]*)")
_OK, _NEEDS_LOGIN = 200, 407


@dataclass(frozen=True)
class Upstream:
    """Where that proxy is and how it is asked."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)
    """Value of the header `Proxy-Authorization`."""

    @classmethod
    def parse(cls, url: str) -> Upstream:
        """From `http://[user:password@]host[:port]`.

        Raises:
            ConfigError: another scheme, or no host. The message never holds the password.
        """
        hint = "write it as http://host:port; for a user name and password set HTTPS_PROXY and give `env`"
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ConfigError("not a valid proxy address", "setting proxy", hint) from error
        if parts.scheme != "http" or not host:
            raise ConfigError("only proxies that speak HTTP are supported", "setting proxy", hint)
        login = None
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            login = "Basic " + base64.b64encode(pair.encode()).decode()
        return cls(host, port or 80, login)

    def tunnel(self, host: str, port: int, connect: Callable[[], socket.socket]) -> socket.socket:
        """A connection through the proxy to `host`.

        Args:
            host: a name or an address without brackets.
            port: of the host.
            connect: opens a connection to the proxy.

        Raises:
            TransientError: the proxy refuses.
            OSError: the connection broke.
        """
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        if self.authorization:
            lines.append(f"Proxy-Authorization: {self.authorization}")
        sock = connect()
        try:
            sock.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
            answer = _head(sock)
        except BaseException:
            sock.close()
            raise
        status = _STATUS.match(answer)
        if status is None or int(status[1]) != _OK:
            sock.close()
            said = status[0].decode("latin-1").strip() if status else "no HTTP"
            login = status is not None and int(status[1]) == _NEEDS_LOGIN
            hint = "its user name or password is missing or wrong" if login else "ask the proxy's administrator"
            raise TransientError(f"the proxy {self.host}:{self.port} does not connect to {target}: {said}", host, hint)
        return sock


def _head(sock: socket.socket) -> bytes:
    """The head of the answer; not a byte more, for what follows belongs to the tunnel."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and len(head) < _MAX_HEAD_BYTES:
        byte = sock.recv(1)
        if not byte:
            break
        head += byte
    return head


def proxy_from_environment() -> str:
    """The proxy that the environment names.

    Raises:
        ConfigError: no variable names one.
    """
    found = next((value for name in _VARIABLES if (value := os.environ.get(name))), None)
    if found is None:
        raise ConfigError("proxy is `env`, and no variable names a proxy", "setting proxy", f"set {_VARIABLES[0]}, or give the address")
    return found
