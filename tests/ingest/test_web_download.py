from __future__ import annotations

import dataclasses
import gzip
import hashlib
import http.client
import os
import socket
import ssl
import struct
import threading
import time
import zlib
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rumiai_ray.errors import InputError, MediaError, RumiaiError, StorageError, TransientError
from rumiai_ray.ingest import addresses
from rumiai_ray.ingest.fetch import FetchLimits
from rumiai_ray.ingest.outcomes import BlockedError, NoVideoError, PrivateError, RateLimitedError, RemovedError
from rumiai_ray.ingest.saving import Saving
from rumiai_ray.ingest.web import status_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from rumiai_ray.ingest.fetch import FetchedVideo
    from tests.ingest.conftest import Request, Site

    Got = Callable[..., AbstractContextManager[FetchedVideo]]

FILM = b"\0\0\0\x20ftypisom" + os.urandom(200_000)


def failure(got: Got, url: str, *limits: FetchLimits) -> RumiaiError:
    """The error of fetching `url`, which names something and says what to do about it."""
    with pytest.raises(RumiaiError) as caught, got(url, *limits):
        pass
    assert caught.value.hint
    assert caught.value.subject
    return caught.value


def test_a_good_file_is_there_while_the_context_is_open_and_gone_afterwards(site: Site, got: Got) -> None:
    url = site.serve("/a.mp4", body=FILM)
    with got(url) as video:
        assert video.path.read_bytes() == FILM
        assert (video.video_key, video.size_bytes) == (hashlib.sha256(FILM).hexdigest(), len(FILM))
        assert (video.source_url, video.metadata.title) == (url, None)
        path = video.path
    assert not path.exists()


def test_a_download_is_deleted_when_its_user_fails(site: Site, got: Got) -> None:
    with pytest.raises(ZeroDivisionError), got(site.serve("/a.mp4", body=FILM)):
        _ = 1 / 0


def test_a_real_clip_arrives_byte_for_byte(site: Site, got: Got, media: Path) -> None:
    clip = media / "d_emotion" / "pyfeat_single_face_neutral_to_smile.mp4"
    with got(site.serve("/clip.mp4", body=clip.read_bytes())) as video:
        assert video.video_key == "95ee1a41bfd0f50a2f9d3384eeb11dfe7601db3a173f24825d5146369216f571"


@pytest.mark.parametrize("path", ["/a b.mp4", "/日本語.mp4", "/100%.mp4", "/it's [1].mp4", "/a;b=c,d.mp4"])
def test_odd_names_are_asked_for_encoded_or_not(site: Site, got: Got, path: str) -> None:
    site.serve(path, body=FILM)
    encoded = "".join(f"%{byte:02X}" if byte > 126 or chr(byte) in " %[]" else chr(byte) for byte in path.encode())
    spellings = [encoded] if "%" in path else [encoded, path]
    for spelling in spellings:
        with got(site.url(spelling)) as video:
            assert video.size_bytes == len(FILM)


def test_the_query_is_sent_and_the_fragment_is_not(site: Site, got: Got) -> None:
    site.serve("/a.mp4?token=a/b+c&t=é", body=FILM)
    with got(site.url("/a.mp4?token=a/b+c&t=é#start")) as video:
        assert video.size_bytes == len(FILM)


class Times:
    """Answers the first `count` requests badly, the others well."""

    def __init__(self, count: int, bad: Callable[[Request], None]) -> None:
        self.left, self.bad = count, bad

    def __call__(self, request: Request) -> None:
        self.left -= 1
        if self.left >= 0:
            self.bad(request)
        else:
            request.send(200, FILM)


def truncated(request: Request) -> None:
    request.start(Content_Length=str(len(FILM)))
    request.wfile.write(FILM[:1000])


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> Callable[[Request], None]:
    def answer(request: Request) -> None:
        request.start(Transfer_Encoding="chunked")
        for chunk in chunks:
            request.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        request.wfile.write(end)

    return answer


def reset(request: Request) -> None:
    request.start(Content_Length=str(len(FILM)))
    request.wfile.write(FILM[:1000])
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.connection.close()


def garbage(request: Request) -> None:
    request.wfile.write(b"not HTTP at all\r\n\r\n")


@pytest.mark.parametrize("bad", [truncated, chunked(FILM[:1000], end=b""), chunked(FILM[:1000], end=b"zz\r\n"), reset, garbage])
def test_a_body_that_breaks_off_is_tried_again_and_never_taken_for_a_video(site: Site, got: Got, bad: Callable[[Request], None]) -> None:
    with got(site.on("/a.mp4", Times(2, bad))) as video:
        assert video.size_bytes == len(FILM)
    assert isinstance(failure(got, site.on("/b.mp4", bad)), TransientError)
    assert site.requests == ["/a.mp4"] * 3 + ["/b.mp4"] * 3


def test_a_truncated_body_says_how_much_came(site: Site, got: Got) -> None:
    assert f"after 1000 of {len(FILM)} bytes" in str(failure(got, site.on("/a.mp4", truncated)))


def test_a_chunked_body_without_a_length_is_taken_whole(site: Site, got: Got) -> None:
    with got(site.on("/a.mp4", chunked(FILM[:70_000], FILM[70_000:]))) as video:
        assert video.path.read_bytes() == FILM


def test_no_more_than_the_announced_bytes_are_taken(site: Site, got: Got) -> None:
    def answer(request: Request) -> None:
        request.start(Content_Length="1000")
        request.wfile.write(FILM[:1000] + b"HTTP/1.1 200 smuggled")

    with got(site.on("/a.mp4", answer)) as video:
        assert video.path.read_bytes() == FILM[:1000]


def test_a_body_that_ends_with_its_connection_is_taken(site: Site, got: Got) -> None:
    def answer(request: Request) -> None:
        request.start()
        request.wfile.write(FILM)

    with got(site.on("/a.mp4", answer)) as video:
        assert video.size_bytes == len(FILM)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_compressed_body_is_unpacked(site: Site, got: Got, encoding: str) -> None:
    body = gzip.compress(FILM[:100]) + gzip.compress(FILM[100:]) if encoding == "gzip" else zlib.compress(FILM)
    with got(site.serve("/a.mp4", body=body, Content_Encoding=encoding)) as video:
        assert video.path.read_bytes() == FILM


def test_broken_and_unknown_compression_is_an_error(site: Site, got: Got, limits: FetchLimits) -> None:
    assert "broke off" in str(failure(got, site.serve("/cut", body=gzip.compress(FILM)[:-20], Content_Encoding="gzip")))
    assert isinstance(failure(got, site.serve("/junk", body=b"junk", Content_Encoding="gzip")), MediaError)
    assert "encoded as br" in str(failure(got, site.serve("/br", body=FILM, Content_Encoding="br")))
    bomb = site.serve("/bomb", body=gzip.compress(bytes(20_000_000)), Content_Encoding="gzip")
    assert "larger than" in str(failure(got, bomb, dataclasses.replace(limits, max_bytes=1_000_000)))


def test_too_large_a_file_is_refused_announced_or_not(site: Site, got: Got, limits: FetchLimits) -> None:
    small = dataclasses.replace(limits, max_bytes=100_000)
    for url in (site.serve("/a.mp4", body=FILM), site.on("/b.mp4", chunked(FILM))):
        error = failure(got, url, small)
        assert isinstance(error, MediaError)
        assert "larger than" in str(error)


def drip(request: Request) -> None:
    """A byte now and then: no silence is ever long enough for a socket's timeout."""
    request.start(Content_Length="1000000")
    _drip(request)


def drip_without_length(request: Request) -> None:
    request.start()
    _drip(request)


def drip_header(request: Request) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    _drip(request)


def _drip(request: Request) -> None:
    try:
        while not request.server.ended.wait(0.02):
            request.wfile.write(b"\0")
    except OSError:
        return


@pytest.mark.parametrize("answer", [drip, drip_without_length, drip_header])
def test_a_slow_drip_ends_with_the_total_time(site: Site, got: Got, limits: FetchLimits, answer: Callable[[Request], None]) -> None:
    error = failure(got, site.on("/a.mp4", answer), dataclasses.replace(limits, total_s=0.4))
    assert isinstance(error, TransientError)
    assert "not done after 0.4 s" in str(error)


def test_a_silent_server_is_given_up_and_tried_again(site: Site, got: Got, limits: FetchLimits) -> None:
    def silent(request: Request) -> None:
        request.start(Content_Length="1000")
        request.server.ended.wait(5)

    url = site.on("/a.mp4", Times(1, silent))
    with got(url, dataclasses.replace(limits, stall_s=0.2)) as video:
        assert video.size_bytes == len(FILM)
    silent_url = site.on("/b.mp4", silent)
    assert "went silent" in str(failure(got, silent_url, dataclasses.replace(limits, stall_s=0.1, attempts=1)))


def test_redirects_are_followed_also_to_raw_utf8(site: Site, got: Got) -> None:
    site.serve("/ü.mp4", body=FILM)
    site.serve("/2", 307, Location="/ü.mp4".encode().decode("latin-1"))
    url = site.serve("/1", 302, Location="2")
    with got(url) as video:
        assert (video.size_bytes, video.source_url) == (len(FILM), url)


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("/loop", "more than 8 redirects"),
        ("file:///etc/passwd", "not http"),
        ("ftp://127.0.0.1/a.mp4", "forbidden address"),
        ("s3://bucket/a.mp4", "not http"),
        ("http://", "more than 8 redirects"),
        ("http://user@127.0.0.1/", "forbidden address"),
    ],
)
def test_redirects_that_lead_nowhere_good_are_refused(site: Site, got: Got, target: str, complaint: str) -> None:
    error = failure(got, site.serve("/loop", 302, Location=target))
    assert type(error) is InputError
    assert complaint in str(error)


def test_a_refusal_names_the_host_that_has_answered(site: Site, got: Got) -> None:
    """Not that of the input, which may redirect to anybody's."""
    site.serve("/busy", 429)
    error = failure(got, site.serve("/go", 302, Location=site.url("/busy").replace("127.0.0.1", "localhost")))
    assert isinstance(error, RateLimitedError)
    assert error.answered_by == "localhost"


def test_a_redirect_without_a_target_is_refused(site: Site, got: Got) -> None:
    assert "without a Location" in str(failure(got, site.serve("/a", 302)))


def test_an_ipv6_address_without_a_port_is_refused_for_what_it_is(got: Got) -> None:
    assert "the host's address ::1 is" in str(failure(got, "http://[::1]/a.mp4", FetchLimits()))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"])
def test_the_local_machine_is_refused_by_default(site: Site, got: Got, host: str) -> None:
    site.serve("/a.mp4", body=FILM)
    error = failure(got, site.url("/a.mp4").replace("127.0.0.1", host), FetchLimits())
    assert type(error) is InputError
    assert "not on the public internet" in str(error)
    assert site.requests == []


def test_a_redirect_to_an_inside_address_is_refused_after_the_first_hop(site: Site, got: Got, monkeypatch: pytest.MonkeyPatch) -> None:
    """The local server plays a public one; the metadata service it redirects to must not be asked."""
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")
    monkeypatch.setattr(addresses, "own_addresses", frozenset)
    error = failure(got, site.serve("/a.mp4", 302, Location="http://169.254.169.254/latest/meta-data"), FetchLimits())
    assert "169.254.169.254 is not on the public internet" in str(error)
    assert site.requests == ["/a.mp4"]


def test_the_connection_goes_to_the_address_that_was_checked(site: Site, got: Got, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that answers with another address the second time is not asked a second time."""
    lookups = []
    real = socket.getaddrinfo

    def rebinding(host: str, *args: object, **kwargs: object) -> object:
        lookups.append(host)
        return real("127.0.0.1" if len(lookups) == 1 else "127.0.0.99", *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    site.serve("/a.mp4", body=FILM)
    with got(site.url("/a.mp4").replace("127.0.0.1", "rebind.example")) as video:
        assert video.size_bytes == len(FILM)
    assert lookups == ["rebind.example"]


@pytest.mark.parametrize(
    ("status", "kind", "asked"),
    [
        (400, InputError, 1),
        (401, PrivateError, 1),
        (403, BlockedError, 1),
        (404, RemovedError, 1),
        (410, RemovedError, 1),
        (451, BlockedError, 1),
        (204, InputError, 1),
        (408, TransientError, 3),
        (429, RateLimitedError, 3),
        (500, TransientError, 3),
        (503, RateLimitedError, 3),
    ],
)
def test_an_http_status_says_whether_to_ask_again(site: Site, got: Got, status: int, kind: type[RumiaiError], asked: int) -> None:
    error = failure(got, site.serve("/a.mp4", status, b"no"))
    assert type(error) is kind
    assert str(status) in str(error)
    assert len(site.requests) == asked


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_fault_is_outlasted(site: Site, got: Got, status: int) -> None:
    with got(site.on("/a.mp4", Times(2, lambda request: request.send(status)))) as video:
        assert video.size_bytes == len(FILM)


@pytest.mark.parametrize("retry_after", ["1", formatdate(time.time() + 3600, usegmt=True)], ids=["seconds", "date"])
def test_a_server_that_asks_for_more_patience_than_we_have_is_not_asked_again(
    site: Site, got: Got, limits: FetchLimits, retry_after: str
) -> None:
    url = site.serve("/a.mp4", 429, Retry_After=retry_after)
    error = failure(got, url, dataclasses.replace(limits, retry_max_s=0.5))
    assert isinstance(error, RateLimitedError)
    assert len(site.requests) == 1


def test_the_wait_a_server_asks_for_is_kept(site: Site, got: Got, limits: FetchLimits, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("rumiai_ray.ingest.retry.time.sleep", waits.append)
    url = site.on("/a.mp4", Times(1, lambda request: request.send(429, Retry_After="2")))
    with got(url, dataclasses.replace(limits, retry_max_s=5)):
        assert waits == [2.0]


@pytest.mark.parametrize(
    ("body", "content_type", "kind"),
    [
        (b"\n<!DOCTYPE html><title>Sorry</title>", "video/mp4", "an HTML page"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><Error/>', "video/mp4", "XML"),
        (b'{"error": "expired"}', "application/octet-stream", "JSON"),
        (b"#EXTM3U\n#EXT-X-VERSION:3\n", "video/mp4", "HLS playlist"),
        (b"Video not found", "text/plain; charset=utf-8", "text"),
    ],
)
def test_a_page_that_is_served_as_a_video_is_no_video(site: Site, got: Got, body: bytes, content_type: str, kind: str) -> None:
    error = failure(got, site.serve("/a.mp4", body=body, Content_Type=content_type))
    assert isinstance(error, NoVideoError)
    assert kind in str(error)


def test_a_video_that_is_called_text_is_a_video(site: Site, got: Got) -> None:
    with got(site.serve("/a.mp4", body=FILM, Content_Type="text/plain")) as video:
        assert video.size_bytes == len(FILM)


def test_an_empty_body_is_a_media_error(site: Site, got: Got) -> None:
    assert isinstance(failure(got, site.serve("/a.mp4")), MediaError)


def test_nobody_there_is_transient(got: Got) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/a.mp4"
        assert isinstance(failure(got, url), TransientError)


def test_a_server_that_does_not_speak_tls_is_transient_and_drips_no_handshake(site: Site, got: Got, limits: FetchLimits) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def hold() -> None:
        connection, _ = listener.accept()
        with connection:
            site.ended.wait(5)

    threading.Thread(target=hold, daemon=True).start()
    url = f"https://127.0.0.1:{listener.getsockname()[1]}/a.mp4"
    error = failure(got, url, dataclasses.replace(limits, total_s=0.3))
    listener.close()
    assert isinstance(error, TransientError)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_https_works_with_a_companys_authority_and_a_certificate_nobody_signed_is_refused(
    site: Site, got: Got, certificate: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for name in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate)
    site.socket = server_side.wrap_socket(site.socket, server_side=True)
    site.serve("/a.mp4", body=FILM)
    site.on("/drip.mp4", drip)
    url = site.url("/a.mp4").replace("http:", "https:")
    error = failure(got, url)
    assert type(error) is InputError
    assert "certificate is not valid" in str(error)
    monkeypatch.setenv(variable, str(certificate))
    with got(url) as video:
        assert video.path.read_bytes() == FILM
    assert "not done after" in str(failure(got, url.replace("a.mp4", "drip.mp4"), FetchLimits(total_s=0.5, allow_private_hosts=True)))


def test_a_file_of_certificates_that_is_not_there_is_named(site: Site, got: Got, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    error = failure(got, site.url("/a.mp4").replace("http:", "https:"))
    assert type(error) is InputError
    assert "SSL_CERT_FILE" in str(error)


@given(st.text() | st.from_regex(r"\A\w{3}, \d{1,2} \w{3} \d{1,6} \d{2}:\d{2}:\d{2} [+-]\d{1,12}\Z"))
@example("Mon, 01 Jan 2024 00:00:00 +99999999999999")
@example("Mon, 01 Jan 0001 00:00:00 +0000")
@example("Mon, 01 Jan 2024 00:00:00 -0000")
@example("9" * 5000)
@example("²")
def test_any_retry_after_is_a_wait_of_at_most_a_year_or_none(said: str) -> None:
    error = status_error(429, "https://example.com", said)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_s is None or 0 <= error.retry_after_s <= 366 * 86400


def test_an_address_that_no_server_takes_is_not_asked_for(site: Site, got: Got) -> None:
    error = failure(got, site.url("/" + "a" * 9000))
    assert type(error) is InputError
    assert len(str(error)) < 1000
    assert site.requests == []


def test_a_full_disk_is_a_storage_error(limits: FetchLimits) -> None:
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(StorageError, match="No space left") as caught:  # noqa: PTH123 -- a device
        Saving("a.mp4", limits, full).write(b"film")
    assert caught.value.hint


def test_environment_proxies_are_not_used(site: Site, got: Got, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with got(site.serve("/a.mp4", body=FILM)) as video:
        assert video.size_bytes == len(FILM)


def test_headers_without_end_are_cut_off(site: Site, got: Got) -> None:
    def answer(request: Request) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(http.client._MAXHEADERS + 5)))  # type: ignore[attr-defined]

    assert isinstance(failure(got, site.on("/a.mp4", answer)), TransientError)
