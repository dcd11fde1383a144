"""The lines of a text manifest, whatever its encoding and line ends."""

from __future__ import annotations

import codecs
import re
from typing import IO, TYPE_CHECKING

from rumiai_ray.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE_CHARS = 16_000_000
"""Longest line taken."""

_CHUNK_BYTES = 64 * 1024
_NEWLINE = re.compile(r"\r\n|\r|\n")
"""Not `str.splitlines`, which also splits at the line separators that captions contain."""
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_NO_TEXT = (
    (b"PK\x03\x04", "an Excel workbook or a ZIP archive, not a text file", "save the sheet as CSV UTF-8"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook, not a text file", "save the sheet as CSV UTF-8"),
    (b"\x1f\x8b", "a gzip archive, not a text file", "unpack it first"),
    (b"PAR1", "a Parquet file under another ending", "rename it to end in .parquet"),
)

_WEB_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE)


class Overlong(str):
    """The beginning of a line that is longer than `LINE_CHARS`."""

    __slots__ = ()


def lines(stream: IO[bytes], uri: str) -> Iterator[str]:
    r"""The lines of a text file, each with its line end (LF, CR or CR LF); the last one may have none.

    UTF-8, or UTF-16 and UTF-32 with a byte order mark; UTF-16 also without one. Bytes that are no UTF-8 become lone surrogates
    (`surrogateescape`), which `cleaning` replaces with a note and `locate` refuses: one bad line costs no other.

    Raises:
        InputError: the file is no text: names what it is instead.
    """
    pending: list[str] = []
    size, held = 0, ""
    for piece, final in pieces(stream, uri):
        text = held + piece
        # A CR at the end of a chunk may be the first half of CR LF.
        text, held = (text[:-1], "\r") if text.endswith("\r") and not final else (text, "")
        start = 0
        for end in _NEWLINE.finditer(text):
            pending.append(text[start : end.end()])
            yield _line(pending)
            pending, size, start = [], 0, end.end()
        if start < len(text) and size <= LINE_CHARS:
            pending.append(text[start:])
            size += len(text) - start
    if pending:
        yield _line(pending)


def pieces(stream: IO[bytes], uri: str) -> Iterator[tuple[str, bool]]:
    """The text of a file in pieces, decoded as `lines` says, and of each whether it is the last one.

    Raises:
        InputError: as `lines`.
    """
    head = chunk = _read(stream)
    for mark, what, hint in _NO_TEXT:
        if head.startswith(mark):
            raise InputError(what, uri, hint)
    if _WEB_PAGE.match(head):
        raise InputError("a web page, not a list of videos", uri, "perhaps the download required a login; export the file again")
    encoding = _encoding(head)
    decoder = codecs.getincrementaldecoder(encoding)("surrogateescape" if encoding.startswith("utf-8") else "surrogatepass")
    while chunk:
        yield _decoded(decoder, chunk, uri, encoding), False
        chunk = _read(stream)
    yield _decoded(decoder, b"", uri, encoding), True


def _line(parts: list[str]) -> str:
    line = "".join(parts)
    return Overlong(line[:100]) if len(line) > LINE_CHARS else line


def _read(stream: IO[bytes]) -> bytes:
    """The next bytes, as many as asked for unless the file ends: some drivers give out fewer."""
    parts, missing = [], _CHUNK_BYTES
    while missing and (part := stream.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _encoding(head: bytes) -> str:
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    match [byte == 0 for byte in head[:4]]:
        case [False, True, False, True]:
            return "utf-16-le"
        case [True, False, True, False]:
            return "utf-16-be"
    return "utf-8"


def _decoded(decoder: codecs.IncrementalDecoder, chunk: bytes, uri: str, encoding: str) -> str:
    try:
        return decoder.decode(chunk, final=not chunk)
    except UnicodeDecodeError as error:
        raise InputError(f"broken {encoding.upper()} text: {error.reason}", uri, "save the manifest as UTF-8") from error
