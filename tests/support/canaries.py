"""A file and a server that see whether anybody has opened them."""

from __future__ import annotations

import ctypes
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

_IN_ACCESS, _IN_OPEN = 0x1, 0x20


class Canaries:
    """Watches one file through inotify, and a TCP and a UDP port of 127.0.0.1 with the same number.

    Args:
        file: is opened by nobody meanwhile.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        libc = ctypes.CDLL(None, use_errno=True)
        self._watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._watch < 0 or libc.inotify_add_watch(self._watch, os.fsencode(file), _IN_OPEN | _IN_ACCESS) < 0:
            raise OSError(ctypes.get_errno(), "inotify")
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._tcp.getsockname()[1]
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", self.port))
        for one in (self._tcp, self._udp):
            one.setblocking(False)  # noqa: FBT003 -- the only way to say it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tcp.close()
        self._udp.close()
        os.close(self._watch)

    def seen(self) -> list[str]:
        """What has been opened since the last call: `file`, `connection`, `datagram`."""
        found = []
        with suppress(BlockingIOError):
            os.read(self._watch, 4096)
            found.append("file")
        with suppress(BlockingIOError):
            self._tcp.accept()[0].close()
            found.append("connection")
        with suppress(BlockingIOError):
            self._udp.recv(1)
            found.append("datagram")
        return found
