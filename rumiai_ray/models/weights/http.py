"""Downloads over HTTPS that go on where they were cut. Whether the bytes are the right ones is for the caller to check."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import logging
import os
import re
import shutil
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from rumiai_ray.errors import WeightsError
from rumiai_ray.logs import swallowed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_LOG = logging.getLogger(__name__)

READ_TIMEOUT_S = 20
URL_LIMIT_BYTES = 4 << 30
"""More than any weights of the catalogue have (Whisper large-v3: 3.1 GB): a server must not fill the disk."""
CHUNK_BYTES = 1 << 20
_SPARE_BYTES = 64 << 20
"""Left free on the disk: a full disk ends more than this download."""
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_BROKEN = (TimeoutError, ConnectionError, http.client.HTTPException, ssl.SSLError)
_COMMIT_HEADER = "X-Repo-Commit"
PARTIAL = ".partial"
"""Directory of a weights directory with downloads that were cut."""


class SilentHostError(WeightsError):
    """The host could not be connected to, or sent nothing in time: asking it for the next file would only take as long again."""


@dataclass
class Download:
    """One file on its way."""

    url: str
    path: Path
    """Where the bytes go; what is there already is kept if the server says that its file is still the same."""
    bar: Callable[[int, int | None], None]
    """Is told the bytes that are there and, if the server says, the bytes there will be."""
    commit: str | None = None
    """The commit of the hub's repository that the first answer named."""
    total: int | None = None
    """The file's length in bytes, where the server says."""
    resumed: bool = False
    """Whether bytes of an earlier process were used."""

    def run(self) -> None:
        """Get the whole file. A connection that breaks is made again as long as each one brings something.

        Raises:
            SilentHostError: nothing was heard.
            WeightsError: the server refuses, keeps breaking off, sends too much, or the disk has no room.
            OSError: `path` cannot be written.
        """
        with self.path.open("ab") as out:
            self.resumed = out.tell() > 0
            while True:
                before = out.tell()
                try:
                    return self._ask(out)
                except _BROKEN as error:
                    if out.tell() <= before:
                        of = f" of {self.total}" if self.total else ""
                        what = f"the download broke off after {out.tell()}{of} bytes: {type(error).__name__}"
                        kind = WeightsError if out.tell() else SilentHostError
                        raise kind(what, self.url, "try again: what is here is kept") from error

    @property
    def _etag_file(self) -> Path:
        return self.path.with_suffix(".etag")

    def _ask(self, out: BinaryIO) -> None:
        check_scheme(self.url, self.url)
        have = out.tell()
        etag = self._etag_file.read_text(encoding="latin-1") if have and self._etag_file.exists() else ""
        headers = {"User-Agent": "rumiai-ray", "Accept-Encoding": "identity"}
        # Without a strong ETag nothing says that the server's file is still the one whose beginning is here.
        if etag and not etag.startswith("W/"):
            headers |= {"Range": f"bytes={have}-", "If-Range": etag}
        try:
            request = urllib.request.Request(self.url, headers=headers)  # noqa: S310 -- the scheme was checked
            with urllib.request.build_opener(_Redirects(self)).open(request, timeout=READ_TIMEOUT_S) as response:
                self._take(response, out)
        except urllib.error.HTTPError as error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
                self._begin_again(out)  # the server's file ends where ours does, or before
                self._ask(out)
                return
            raise WeightsError(
                f"the server answered {error.code} {error.reason}", self.url, "the file may have moved: try again later, or report it"
            ) from error
        except urllib.error.URLError as error:
            hint = "no network, or a firewall: `--profile offline`"
            raise SilentHostError(f"cannot be reached: {error.reason}", self.url, hint) from error

    def _take(self, response: http.client.HTTPResponse, out: BinaryIO) -> None:
        check_scheme(response.url, self.url)
        self.commit = self.commit or response.headers.get(_COMMIT_HEADER)
        sent = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if response.status == http.client.PARTIAL_CONTENT and sent is not None and int(sent[1]) == out.tell():
            self.total = int(sent[2]) if sent[2].isdigit() else None
        else:
            self._begin_again(out)
            length = response.headers.get("Content-Length")
            self.total = int(length) if length is not None and length.isdigit() else None
            self._etag_file.write_text(response.headers.get("ETag", ""), encoding="latin-1")
        total = self.total
        self._see_that_it_fits(total, out.tell())
        self.bar(out.tell(), total)
        while chunk := response.read(CHUNK_BYTES):
            if out.tell() + len(chunk) > URL_LIMIT_BYTES:
                raise WeightsError(
                    f"sent more than {URL_LIMIT_BYTES} bytes", self.url, "no weights file is that large: check what this address serves"
                )
            out.write(chunk)
            self.bar(out.tell(), total)
        out.flush()
        if total is not None and out.tell() != total:
            raise http.client.IncompleteRead(b"", total - out.tell())

    def _see_that_it_fits(self, total: int | None, have: int) -> None:
        if total is None:
            return
        if total > URL_LIMIT_BYTES:
            raise WeightsError(f"is {total} bytes long", self.url, "no weights file is that large: check what this address serves")
        see_that_it_fits(total - have, self.path.parent, self.url)

    def _begin_again(self, out: BinaryIO) -> None:
        out.truncate(0)
        out.seek(0)
        self.resumed = False


def see_that_it_fits(size_bytes: int, folder: Path, subject: str) -> None:
    """Look whether the disk of `folder` has room for `size_bytes` more.

    Raises:
        WeightsError: it has not; `subject` is what does not fit.
    """
    free = shutil.disk_usage(folder).free
    needed = size_bytes + _SPARE_BYTES
    if needed > free:
        hint = f"make room at {folder}, or name another weights directory"
        raise WeightsError(f"needs {needed / 1e6:.0f} MB of disk, {free / 1e6:.0f} MB are free", subject, hint)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https only, and reads the commit from the first answer: the hub's, before its file server's."""

    def __init__(self, download: Download) -> None:
        self._download = download

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: Any,
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        check_scheme(newurl, self._download.url)
        self._download.commit = self._download.commit or headers.get(_COMMIT_HEADER)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_scheme(url: str, subject: str) -> None:
    """HTTPS only, redirects included; plain HTTP to this very machine is no risk.

    Raises:
        WeightsError: it is another scheme.
    """
    split = urlsplit(url)
    if split.scheme != "https" and not (split.scheme == "http" and split.hostname in _LOOPBACK):
        raise WeightsError(f"not an https address: {url}", subject, "weights come over https only")


@contextlib.contextmanager
def place_for(url: str, directory: Path, scratch: Path) -> Iterator[Path]:
    """A file to download `url` to: the one an earlier process was cut at, unless a process that lives is using it.

    Args:
        url: what is downloaded.
        directory: the weights directory.
        scratch: a directory of this process alone, for the second of two processes at the same file.
    """
    name = hashlib.sha256(url.encode()).hexdigest()[:24]
    own = scratch / name
    partial = directory / PARTIAL / name
    try:
        partial.parent.mkdir(exist_ok=True)
        lock = partial.open("ab")
    except (FileExistsError, FileNotFoundError):  # another process has just removed the empty directory
        yield own
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The lock's last holder may have moved the file to its name: then it is a finished file that must not be written to.
            free = _is_at(lock, partial)
        except OSError as error:
            _LOG.debug("the partial file %s is in use: %s", partial, error)
            free = False
        try:
            yield partial if free else own
        finally:
            if free:
                _tidy(lock, partial)


def _is_at(opened: BinaryIO, path: Path) -> bool:
    """Whether `path` still names the file that was opened."""
    try:
        return path.stat().st_ino == os.fstat(opened.fileno()).st_ino
    except FileNotFoundError:
        return False


def forget(path: Path) -> None:
    """Remove a download that turned out wrong, or the note that belonged to one that is done."""
    path.unlink(missing_ok=True)
    path.with_suffix(".etag").unlink(missing_ok=True)


def _tidy(lock: BinaryIO, partial: Path) -> None:
    """Remove a download that brought nothing, and what belonged to one that was moved to its name.

    Only a file that still is the locked one is removed: after a move, another process may have begun its own under the same name.
    """
    if not _is_at(lock, partial):
        partial.with_suffix(".etag").unlink(missing_ok=True)  # where it is another's by now, that download begins anew if it is cut
    elif not partial.stat().st_size:
        forget(partial)
    with swallowed(_LOG, f"removing {partial.parent}", OSError):  # others are in it
        partial.parent.rmdir()
