"""Every handler of yt-dlp goes through the checking proxy; curl_cffi gives the fingerprint of a browser."""

from __future__ import annotations

import dataclasses
import json
import ssl
from typing import TYPE_CHECKING

import pytest
from yt_dlp.networking.common import _REQUEST_HANDLERS

from rumiai_ray.errors import InputError, RumiaiError
from rumiai_ray.ingest.sites import process as _site_process
from rumiai_ray.ingest.sites.proxy import CheckingProxy

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from rumiai_ray.ingest.fetch import FetchedVideo, FetchLimits
    from tests.ingest.conftest import Request, Site

    Got = Callable[..., AbstractContextManager[FetchedVideo]]

FILM = b"\0\0\0\x20ftypisom" + bytes(50_000)
HANDLERS = ("Urllib", "Requests", "CurlCFFI")


@pytest.fixture(autouse=True)
def fake_site(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    monkeypatch.setattr(_site_process, "WORKER", "fake_site")
    site.serve("/page", body=b"<html>")
    for kind in ("browser", *(f"handler-{name}" for name in HANDLERS)):
        site.serve(f"/media/{kind}.mp4", body=FILM)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each connection that the proxy has served."""
    counted: list[int] = []
    answer = CheckingProxy._answer

    def counting(self: CheckingProxy, client: socket.socket) -> None:
        counted.append(1)
        answer(self, client)

    monkeypatch.setattr(CheckingProxy, "_answer", counting)
    return counted


def test_the_handlers_named_here_are_all_that_yt_dlp_has() -> None:
    assert set(_REQUEST_HANDLERS) - {"Websockets"} == set(HANDLERS)


@pytest.fixture
def secured(site: Site, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The site speaks TLS with this certificate, which nobody trusts so far."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate)
    site.socket = server_side.wrap_socket(site.socket, server_side=True)
    return certificate


@pytest.mark.parametrize("name", HANDLERS)
def test_a_handler_goes_through_the_proxy_whatever_an_extractor_asks_for(
    site: Site, got: Got, limits: FetchLimits, name: str, served: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with got(site.url(f"/post/handler-{name}"), dataclasses.replace(limits, attempts=1)) as video:
        assert json.loads(video.metadata.title or "") == [200, 200, 200]
    assert len(served) >= 4


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("name", HANDLERS)
def test_a_handler_trusts_a_companys_authority_through_the_tunnel(
    site: Site, got: Got, limits: FetchLimits, name: str, variable: str, secured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(secured))
    with got(site.url(f"/post/handler-{name}").replace("http:", "https:"), dataclasses.replace(limits, attempts=1)) as video:
        assert json.loads(video.metadata.title or "") == [200, 200, 200]


@pytest.mark.parametrize("kind", ["page", "browser"])
def test_a_certificate_that_no_trusted_authority_signed_is_refused_by_yt_dlp(
    site: Site, got: Got, limits: FetchLimits, secured: Path, kind: str
) -> None:
    assert secured
    with pytest.raises(InputError, match="certificate"), got(site.url(f"/post/{kind}").replace("http:", "https:"), limits):
        pass
    assert site.requests == []


@pytest.mark.parametrize("impersonate", [True, False])
def test_a_page_that_wants_a_browser_gets_one_unless_it_is_switched_off(
    site: Site,
    got: Got,
    limits: FetchLimits,
    impersonate: bool,  # noqa: FBT001 -- a table
) -> None:
    seen: list[dict[str, str]] = []

    def answer(request: Request) -> None:
        seen.append({name.lower(): value for name, value in request.headers.items()})
        request.send(200, b"<html>")

    site.on("/page", answer)
    with got(site.url("/post/browser"), dataclasses.replace(limits, attempts=1, impersonate=impersonate)) as video:
        assert video.size_bytes == len(FILM)
    assert ("sec-ch-ua" in seen[0]) is impersonate


def test_a_redirect_of_a_browsers_request_to_an_inside_address_is_refused(
    site: Site, got: Got, limits: FetchLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rumiai_ray.ingest.addresses.is_public", lambda address: address == "127.0.0.1")
    monkeypatch.setattr("rumiai_ray.ingest.addresses.own_addresses", frozenset)
    site.serve("/page", 302, Location="http://169.254.169.254/latest/meta-data")
    refused = dataclasses.replace(limits, attempts=1, allow_private_hosts=False)
    with pytest.raises(RumiaiError, match=r"169\.254\.169\.254 is not on the public internet"), got(site.url("/post/browser"), refused):
        pass


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://www.tiktok.com/@someone/video/6748451240264420610", "www.tiktok.com"),
        ("https://www.instagram.com/reel/CDUMkliABpa/", "www.instagram.com"),
        ("https://www.youtube.com/shorts/BGQWPY4IigY", "www.youtube.com"),
    ],
)
def test_a_real_extractor_asks_the_proxy_for_its_site(
    got: Got, limits: FetchLimits, url: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def resolve(name: str, port: int, **_: object) -> list[object]:
        asked.append((name, port))
        raise InputError("refused by this test", name)

    monkeypatch.setattr(_site_process, "WORKER", "rumiai_ray.ingest.sites.worker")
    monkeypatch.setattr("rumiai_ray.ingest.network.resolve", resolve)
    with pytest.raises(InputError, match="refused by this test"), got(url, dataclasses.replace(limits, attempts=1)):
        pass
    assert asked[0] == (host, 443)
