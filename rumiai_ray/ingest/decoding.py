"""Content encodings. None is asked for, but servers that compress everything compress videos, too."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Protocol

from rumiai_ray.errors import MediaError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE_BYTES = 1024**2


class Decoder(Protocol):
    """Undoes a content encoding, piece by piece."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` decodes to, in pieces of bounded size: 1 MB of zeros is 1 KB of gzip."""

    def finish(self) -> None:
        """Raises `TransientError` where the encoded data has not come to its end."""


def decoder(encoding: str | None, subject: str) -> Decoder:
    """The decoder for a Content-Encoding header.

    Raises:
        MediaError: an encoding that nobody asked for and that is not gzip or deflate.
    """
    name = (encoding or "identity").strip().lower()
    if name in ("", "identity"):
        return _Identity()
    if name in ("gzip", "x-gzip", "deflate"):
        return _Zlib(subject)
    raise MediaError(
        f"the server sent the file encoded as {name}, which was not asked for", subject, "fetch the file first and give its path"
    )


class _Identity:
    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def finish(self) -> None:
        return


class _Zlib:
    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._inflate = self._new()

    @staticmethod
    def _new() -> zlib._Decompress:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # 32: tells gzip and zlib headers apart by itself

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            while data:
                if self._inflate.eof:  # gzip files may be put one after another
                    self._inflate = self._new()
                if piece := self._inflate.decompress(data, _PIECE_BYTES):
                    yield piece
                data = self._inflate.unconsumed_tail or self._inflate.unused_data
        except zlib.error as error:
            raise MediaError(
                f"the server's compression is broken: {error}", self._subject, "fetch the file first and give its path"
            ) from error

    def finish(self) -> None:
        if not self._inflate.eof:
            raise TransientError("the compressed data broke off", self._subject, "try again")
