"""A media file straight from a web server: one attempt."""

from __future__ import annotations

import http.client
import logging
import ssl
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from time import time
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

from rumiai_ray.errors import InputError, TransientError
from rumiai_ray.ingest.certificates import tls_context
from rumiai_ray.ingest.decoding import decoder
from rumiai_ray.ingest.host_names import canonical_host
from rumiai_ray.ingest.limits import MAX_URL_CHARS
from rumiai_ray.ingest.local import too_large
from rumiai_ray.ingest.location import locate
from rumiai_ray.ingest.network import Connection, Network, SecureConnection
from rumiai_ray.ingest.outcomes import BlockedError, NoVideoError, PrivateError, RateLimitedError, RemovedError
from rumiai_ray.ingest.saving import saved_video, saving
from rumiai_ray.ingest.sniffing import page_kind
from rumiai_ray.ingest.video import FetchedVideo, VideoMetadata

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rumiai_ray.ingest.limits import FetchLimits

_log = logging.getLogger(__name__)

_REDIRECTS = (301, 302, 303, 307, 308)
_LONGEST_WAIT_S = 366 * 86400.0
"""Longest Retry-After that is told; `retry` gives up long before."""
_CHUNK_BYTES = 256 * 1024
_HEAD_BYTES = 512
_HEADERS = {"User-Agent": "Mozilla/5.0 (compatible; rumiai-ray)", "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
_SAFE = "%/:?#[]@!$&'()*+,;=~-._"
"""RFC 3986's reserved and unreserved characters, and '%': what is encoded already stays as it is."""


def download(url: str, folder: Path, network: Network, limits: FetchLimits) -> FetchedVideo:
    """Fetch the media file at `url` into `folder`; redirects are followed, every hop's address is checked.

    Raises:
        InputError: refused address, redirect trouble, certificate, or an HTTP status that will not change by asking again;
            `RemovedError`, `PrivateError`, `BlockedError` and `NoVideoError` where that is known.
        MediaError: empty, too large, or encoded in a way that cannot be undone.
        TransientError: no answer, an answer that broke off, HTTP 5xx, or the time is up; `RateLimitedError` for 429 and 503.
    """
    with _translated(url, network):
        target = url
        for _ in range(limits.max_redirects + 1):
            response = _request(target, network)
            try:
                if response.status in _REDIRECTS:
                    target = _redirected(target, response)
                    continue
                if error := status_error(response.status, url, response.getheader("Retry-After")):
                    if isinstance(error, RateLimitedError | BlockedError):
                        error.answered_by = canonical_host(urlsplit(target).hostname or "")
                    raise error
                return _save(response, url, folder, network, limits)
            finally:
                response.close()
        raise InputError(f"more than {limits.max_redirects} redirects", url, "open it in a browser and give the final address")


_STATUSES: dict[int, tuple[type[InputError | TransientError], str, str]] = {
    401: (PrivateError, "the address needs a login", "use a signed URL, or fetch the file first"),
    403: (BlockedError, "access refused", "the link may have expired, or the site refuses this address"),
    404: (RemovedError, "nothing is at this address", "check the URL; the video may have been removed"),
    408: (TransientError, "the request took too long", "try again later"),
    410: (RemovedError, "the file is gone", "the video has been removed"),
    425: (TransientError, "too early", "try again later"),
    451: (BlockedError, "withheld for legal reasons", "it may be available from another country"),
}


def status_error(status: int, subject: str, retry_after: str | None = None) -> InputError | TransientError | None:
    """What an HTTP status means for the input `subject`; None for 200.

    Args:
        status: of the final response.
        subject: the URL that was asked for.
        retry_after: the Retry-After header.
    """
    if status == http.HTTPStatus.OK:
        return None
    what, asked_s = f"the server answered HTTP {status}", _seconds(retry_after)
    if status in (http.HTTPStatus.TOO_MANY_REQUESTS, http.HTTPStatus.SERVICE_UNAVAILABLE):
        wait = "" if asked_s is None else f", asking to wait {asked_s:.0f} s"
        return RateLimitedError(
            f"{what}{wait}", subject, "try again later, or ask less often: --limits-host-interval-s, --limits-host-downloads", asked_s
        )
    if status in _STATUSES:
        error, meaning, hint = _STATUSES[status]
        return error(f"{what}: {meaning}", subject, hint)
    if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return TransientError(what, subject, "try again later")
    return InputError(what, subject, "open the URL in a browser to see what it serves")


def post_json(url: str, document: bytes, limits: FetchLimits) -> None:
    """Post a JSON document, through the same checked connections as downloads; redirects are not followed.

    Raises:
        InputError: no valid address, an address that is not allowed, or an answer that is no success.
        TransientError: the network, the server or the time.
    """
    with Network(limits) as network, _translated(url, network):
        response = _request(url, network, "POST", document)
        try:
            success = http.HTTPStatus.OK <= response.status < http.HTTPStatus.MULTIPLE_CHOICES
            error = None if success else status_error(response.status, url)
            if error is not None:
                raise error
        finally:
            response.close()


def _request(url: str, network: Network, method: str = "GET", body: bytes | None = None) -> http.client.HTTPResponse:
    if len(url) > MAX_URL_CHARS:
        raise InputError(f"the address has {len(url)} characters", f"{url[:200]}…", f"servers accept {MAX_URL_CHARS} at most")
    parts = urlsplit(url)
    host, path = canonical_host(parts.hostname or ""), quote(parts.path or "/", safe=_SAFE)
    # The port is always given: without one http.client takes the end of an IPv6 address for it.
    connection: Connection | SecureConnection
    query = f"?{quote(parts.query, safe=_SAFE)}" if parts.query else ""
    target, headers = path + query, _HEADERS if body is None else {**_HEADERS, "Content-Type": "application/json"}
    if parts.scheme.lower() == "https":
        connection = SecureConnection(host, parts.port or http.client.HTTPS_PORT, network=network, context=tls_context())
    else:
        port = parts.port or http.client.HTTP_PORT
        connection = Connection(host, port, network=network)
        if network.upstream is not None:
            target = f"http://{f'[{host}]' if ':' in host else host}:{port}{target}"
            headers = {**headers, **({"Proxy-Authorization": login} if (login := network.upstream.authorization) else {})}
    connection.request(method, target, body, headers)
    return connection.getresponse()


def _redirected(url: str, response: http.client.HTTPResponse) -> str:
    location = response.getheader("Location")
    if not location:
        raise InputError(f"HTTP {response.status} without a Location", url, "open it in a browser to see what it serves")
    # Servers send raw UTF-8 in headers; http.client reads headers as Latin-1.
    given = location.encode("latin-1").decode("utf-8", errors="replace")
    try:
        target = urljoin(url, given)
    except ValueError as error:  # brackets that are no IPv6 address
        raise InputError(f"redirected to an invalid URL: {error}", f"{url} → {given}", "give the video's own address") from error
    try:
        is_web = locate(target).kind == "web"
    except InputError as error:
        raise InputError(f"redirected to a forbidden address: {error.what}", f"{url} → {target}", "give the video's own address") from error
    if not is_web:
        raise InputError("redirected to something that is not http(s)", f"{url} → {target}", "give the video's own address")
    return target


def _save(response: http.client.HTTPResponse, url: str, folder: Path, network: Network, limits: FetchLimits) -> FetchedVideo:
    expected = response.length
    if expected is not None and expected > limits.max_bytes:
        raise too_large(url, limits)
    received, head = 0, b""
    decode = decoder(response.getheader("Content-Encoding"), url)
    with saving(folder, url, limits) as target:
        # read1, not read, which would wait for a full chunk; and no more than was announced, whatever the server sends after it.
        while data := response.read1(_CHUNK_BYTES if expected is None else min(_CHUNK_BYTES, expected - received)):
            received += len(data)
            for piece in decode.feed(data):
                network.take(len(piece), url)
                target.write(piece)
                head += piece[: _HEAD_BYTES - len(head)]
        # Not before the deadline was looked at: a body without a length ends just so when its connection is cut.
        network.check(url)
        if expected is not None and received < expected:
            raise TransientError(f"the connection ended after {received} of {expected} bytes", url, "try again")
        decode.finish()
        if kind := page_kind(head, response.getheader("Content-Type") or ""):
            raise NoVideoError(
                f"the server sent {kind}, not a video", url, "give the video file's own address, or a page of a site yt-dlp knows"
            )
    return saved_video(folder, target, VideoMetadata(source_url=url))


@contextmanager
def _translated(url: str, network: Network) -> Iterator[None]:
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise InputError(
            f"the server's certificate is not valid: {error.verify_message}", url, "check the URL and this machine's clock"
        ) from error
    except http.client.InvalidURL as error:
        raise InputError(f"not a valid URL: {error}", url, "percent-encode special characters") from error
    except (OSError, http.client.HTTPException) as error:
        network.check(url)
        reason = "the server went silent" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        raise TransientError(f"the connection failed: {reason}", url, "try again; check this machine's network") from error


def _seconds(retry_after: str | None) -> float | None:
    """A Retry-After header in seconds, at most a year: RFC 9110 allows a number and a date. None where it is neither."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_WAIT_S)
    try:
        asked_s = parsedate_to_datetime(text).timestamp() - time()
    except (ValueError, OverflowError, OSError, TypeError, IndexError) as error:  # a year 0, an offset of a million hours: no date at all
        _log.debug("Retry-After says %r, which is no time: %s", retry_after, error)
        return None
    return min(max(0.0, asked_s), _LONGEST_WAIT_S)
