"""What an input is, by its spelling alone: a local file, a web address or an object in a store. Nothing is opened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from rumiai_ray.errors import InputError
from rumiai_ray.ingest.host_names import canonical_url

LocationKind = Literal["file", "web", "store"]

WEB_SCHEMES = ("http", "https")

STORE_SCHEMES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "hf", "memory")
"""fsspec protocols taken as inputs: stores whose server is the operator's configuration. Left out are those whose URI names any
host (ftp, sftp, smb, hdfs), for which nobody would check the address, and those that wrap others (zip, simplecache, reference)."""

URL_CHARS = 8192
"""Longest URL or URI taken; signed ones have up to about 4,000 characters."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_QUOTES = (('"', '"'), ("'", "'"), ("“", "”"), ("<", ">"))


@dataclass(frozen=True)
class Location:
    """Where an input is."""

    kind: LocationKind
    address: str
    """Absolute path; or the URL as it was given, but for its host's spelling (`canonical_url`); or the URI as it was given."""


def locate(text: str) -> Location:
    """The location `text` spells.

    Args:
        text: a path (relative to the working directory; `~` is the home directory), a `file://` or http(s) URL, or a URI of one of
            `STORE_SCHEMES`.

    Raises:
        InputError: empty, not expressible as UTF-8, too long, a scheme that is not supported, or an address without a host.
    """
    if not text.strip():
        raise InputError("an empty input", repr(text), "give a path or a URL")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError("the name is not valid UTF-8", ascii(text), "rename the file: no table can hold such a name") from error
    if "\0" in text:
        raise InputError("the name contains a NUL character", repr(text), "no file can have such a name; check where it came from")
    match = _SCHEME.match(text)
    if not match:
        return Location("file", str(_from_home(text).absolute()))
    if len(text) > URL_CHARS:
        raise InputError(f"the URL has {len(text):,} characters", f"{text[:100]}…", f"at most {URL_CHARS:,} characters are allowed")
    scheme = match[1].lower()
    if scheme == "file":
        return Location("file", _file_path(text))
    if scheme in WEB_SCHEMES:
        _check_web(text)
        return Location("web", canonical_url(text))
    if scheme in STORE_SCHEMES:
        if "::" in text:
            raise InputError("chained URIs are not supported", text, "name the object itself, without '::'")
        return Location("store", text)
    supported = ", ".join(("file", *WEB_SCHEMES, *STORE_SCHEMES))
    raise InputError(
        f"unsupported scheme {scheme}://", text, f"supported are paths and {supported}; write ./{text} for a file of that name"
    )


def unquoted(text: str) -> str:
    """`text` without blanks around it and without one pair of quotes around all of it, as file managers copy paths."""
    text = text.strip()
    for opening, closing in _QUOTES:
        inside = text[1:-1]
        if text.startswith(opening) and text.endswith(closing) and inside.strip() and not {opening, closing} & set(inside):
            return inside.strip()
    return text


def _from_home(text: str) -> Path:
    if not text.startswith("~"):
        return Path(text)
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        if not text.startswith("~/"):  # no user of that name: a file whose name begins so
            return Path(text)
        raise InputError("the home directory is not known", text, "set HOME, or give the full path") from error


def _file_path(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InputError(f"not a valid URL: {error}", url, "write it with three slashes: file:///path") from error
    if parts.netloc not in ("", "localhost"):
        raise InputError(f"a file on another machine, {parts.netloc}", url, "write it with three slashes: file:///path")
    if parts.query or parts.fragment:
        raise InputError("'?' and '#' must be percent-encoded in a file URL", url, "write %3F and %23, or give the plain path")
    path = unquote(parts.path, errors="surrogateescape")
    if not path.startswith("/"):
        raise InputError("a file URL needs an absolute path", url, "file:///path/to/video.mp4")
    return locate(path).address


def _check_web(url: str) -> None:
    # urlsplit drops tabs and newlines without a word; a header could be smuggled in where something else does not.
    if _CONTROL.search(url):
        raise InputError("control characters in a URL", repr(url), "percent-encode them")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"not a valid URL: {error}", url, "check the host and the port") from error
    if not host:
        raise InputError("a URL without a host", url, "https://host/path")
    if "@" in parts.netloc:
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        raise InputError(
            "a user name or password in a URL", bare, "it would be written to every table; use a signed URL or fetch the file first"
        )
