"""The loopback proxy: whom it serves, where it connects, and when it stops."""

from __future__ import annotations

import base64
import dataclasses
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumiai_ray.errors import ConfigError, InputError, MediaError, TransientError
from rumiai_ray.ingest import addresses, web
from rumiai_ray.ingest.limits import FetchLimits
from rumiai_ray.ingest.network import Network
from rumiai_ray.ingest.sites.proxy import CheckingProxy
from rumiai_ray.ingest.sites.proxy_request import BadRequestError, parse_request
from rumiai_ray.ingest.upstream import ENVIRONMENT, Upstream, proxy_from_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.ingest.conftest import Request, Site


@contextmanager
def opened(limits: FetchLimits) -> Iterator[tuple[CheckingProxy, Network]]:
    with Network(limits) as network, CheckingProxy(network, limits, "https://example.com/post") as proxy:
        yield proxy, network


def login_of(url: str) -> str:
    parts = urlsplit(url)
    return "Proxy-Authorization: Basic " + base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode() + "\r\n"


def asked(proxy: CheckingProxy, text: str, *, login: bool = True) -> bytes:
    """Everything the proxy answers to one request, given as text after its first line break."""
    with socket.create_connection(("127.0.0.1", proxy.port), 10) as client:
        first, _, rest = text.partition("\r\n")
        client.sendall(f"{first}\r\n{login_of(proxy.url) if login else ''}{rest}".encode("latin-1"))
        answer = b""
        try:
            while block := client.recv(65536):
                answer += block
        except ConnectionResetError:
            pass
        return answer


def test_without_the_password_nothing_is_reached(site: Site, limits: FetchLimits) -> None:
    site.serve("/secret", body=b"inside")
    with opened(limits) as (proxy, _), opened(limits) as (other, _):
        for text in (
            f"GET {site.url('/secret')} HTTP/1.1\r\n\r\n",
            f"CONNECT 127.0.0.1:{site.server_port} HTTP/1.1\r\n\r\n",
            f"GET {site.url('/secret')} HTTP/1.1\r\n{login_of(other.url)}\r\n",
            f"GET {site.url('/secret')} HTTP/1.1\r\nProxy-Authorization: Basic\r\n\r\n",
        ):
            assert asked(proxy, text, login=False).startswith(b"HTTP/1.1 407 "), text
    assert site.requests == []


def test_a_plain_request_is_passed_on_without_the_password(site: Site, limits: FetchLimits) -> None:
    seen: list[dict[str, str]] = []

    def answer(request: Request) -> None:
        seen.append(dict(request.headers))
        request.send(200, b"here", Connection="keep-alive")
        request.close_connection = True

    with opened(limits) as (proxy, _):
        answered = asked(proxy, f"GET {site.on('/a?b=c', answer)} HTTP/1.1\r\nHost: x\r\nX-Own: 1\r\nProxy-Connection: keep-alive\r\n\r\n")
    assert answered.endswith(b"\r\n\r\nhere")
    assert b"keep-alive" not in answered, "the next request may be for another host"
    assert seen[0]["X-Own"] == "1"
    assert not [name for name in seen[0] if name.lower().startswith("proxy")]


def test_what_follows_a_plain_request_is_not_passed_on(site: Site, limits: FetchLimits) -> None:
    site.serve("/a", body=b"here")
    with opened(limits) as (proxy, _):
        asked(proxy, f"GET {site.url('/a')} HTTP/1.1\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    assert site.requests == ["/a"]


@pytest.mark.parametrize(
    "target",
    ["127.0.0.1", "localhost", "169.254.169.254", "[::1]", "2130706433", "0x7f.1", "10.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]"],  # noqa: S104 -- an address
)
@pytest.mark.parametrize("form", ["CONNECT {}:443 HTTP/1.1\r\n\r\n", "GET http://{}:443/ HTTP/1.1\r\n\r\n"])
def test_an_inside_address_is_refused_and_the_reason_kept(target: str, form: str) -> None:
    with opened(FetchLimits()) as (proxy, network):
        assert asked(proxy, form.format(target)).startswith(b"HTTP/1.1 403 the host's address ")
        assert isinstance(network.refusal, InputError)
        assert "not on the public internet" in str(network.refusal)


def test_a_name_that_resolves_anew_is_checked_at_every_connection(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["127.0.0.1", "169.254.169.254"])

    def lookup(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), site.server_port))]

    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")
    monkeypatch.setattr(addresses, "own_addresses", frozenset)
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    site.serve("/a", body=b"here")
    with Network(FetchLimits()) as network:
        network.connect("rebinding.example", 80).close()
        with pytest.raises(InputError, match="not on the public internet"):
            network.connect("rebinding.example", 80)


@pytest.mark.parametrize(
    "text",
    [
        "GET / HTTP/1.1\r\n\r\n",
        "GET https://example.com/ HTTP/1.1\r\n\r\n",
        "GET ftp://example.com/ HTTP/1.1\r\n\r\n",
        "GET http://user@example.com/ HTTP/1.1\r\n\r\n",
        "CONNECT example.com HTTP/1.1\r\n\r\n",
        "CONNECT example.com:0 HTTP/1.1\r\n\r\n",
        "CONNECT example.com:70000 HTTP/1.1\r\n\r\n",
        "POST http://example.com/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST http://example.com/ HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "GET http://example.com/ HTTP/1.1\r\nBad Header: 1\r\n\r\n",
        "GET http://example.com/\0 HTTP/1.1\r\n\r\n",
        "GET http://example.com/\x7f HTTP/1.1\r\n\r\n",
        "GET http://example.com/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "POST http://example.com/ HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 40\r\n\r\n",
        f"POST http://example.com/ HTTP/1.1\r\nContent-Length: {'9' * 5000}\r\n\r\n",
        "\x16\x03\x01 \r\n\r\n",
    ],
)
def test_other_requests_are_bad(text: str) -> None:
    with opened(FetchLimits()) as (proxy, _):
        assert asked(proxy, text).startswith(b"HTTP/1.1 400 ")


@given(st.binary(max_size=300))
def test_any_head_is_read_or_refused(head: bytes) -> None:
    for text in (head, b"GET http://a.example/ HTTP/1.1\r\n" + head + b"\r\n\r\n", b"CONNECT " + head + b" HTTP/1.1\r\n\r\n"):
        try:
            request = parse_request(text)
        except BadRequestError:
            continue
        passed_on = request.head(whole_url=False)
        assert passed_on.count(b"\r\n\r\n") == 1
        assert b"\n" not in passed_on.replace(b"\r\n", b"")


def test_all_connections_together_are_cut_at_the_largest_video(site: Site, limits: FetchLimits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rumiai_ray.ingest.sites.proxy._BESIDE_THE_VIDEO_BYTES", 1000)
    site.serve("/a", body=bytes(600_000))
    with opened(dataclasses.replace(limits, max_bytes=1_000_000)) as (proxy, network):
        assert len(asked(proxy, f"GET {site.url('/a')} HTTP/1.1\r\n\r\n")) > 600_000
        assert network.refusal is None
        assert len(asked(proxy, f"GET {site.url('/a')} HTTP/1.1\r\n\r\n")) < 600_000
        assert isinstance(network.refusal, MediaError)


def test_a_tunnel_is_cut_when_the_time_is_up(limits: FetchLimits) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, opened(dataclasses.replace(limits, total_s=1.0)) as (proxy, network):
        answer = asked(proxy, f"CONNECT 127.0.0.1:{silent.getsockname()[1]} HTTP/1.1\r\n\r\n")
        assert answer == b"HTTP/1.1 200 Connection established\r\n\r\n"
        assert network.remaining_s == 0


def test_neighbours_that_connect_and_wait_are_let_go(limits: FetchLimits, site: Site) -> None:
    site.serve("/a", body=b"here")
    with opened(dataclasses.replace(limits, stall_s=0.5)) as (proxy, _):
        waiting = [socket.create_connection(("127.0.0.1", proxy.port), 10) for _ in range(100)]
        for client in waiting:
            assert client.recv(1) == b""
            client.close()
        assert asked(proxy, f"GET {site.url('/a')} HTTP/1.1\r\n\r\n").endswith(b"here")


def test_the_port_is_closed_afterwards(limits: FetchLimits) -> None:
    with opened(limits) as (proxy, _):
        port = proxy.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)


class Company:
    """A company's proxy that knows names which this machine does not, and asks for a password."""

    def __init__(self, site: Site) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._site = site
        self.heads: list[str] = []
        self.url = f"http://user:pass%40word@127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            client, _ = self._server.accept()
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += client.recv(1)
            self.heads.append(head.decode())
            with client, socket.create_connection(("127.0.0.1", self._site.server_port)) as server:
                if head.startswith(b"CONNECT"):
                    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    head = client.recv(65536)
                server.sendall(head)
                while block := server.recv(65536):
                    client.sendall(block)


LOGIN = "Basic " + base64.b64encode(b"user:pass@word").decode()


def test_a_companys_proxy_stands_behind_this_one(site: Site, limits: FetchLimits) -> None:
    company = Company(site)
    site.serve("http://unknown.invalid:80/a", body=b"plain")
    site.serve("/a", body=b"tunnelled")
    with opened(dataclasses.replace(limits, proxy=company.url, allow_private_hosts=False)) as (proxy, _):
        assert asked(proxy, "GET http://unknown.invalid:80/a HTTP/1.1\r\n\r\n").endswith(b"plain")
        tunnelled = asked(proxy, "CONNECT unknown.invalid:443 HTTP/1.1\r\n\r\nGET /a HTTP/1.1\r\n\r\n")
        assert tunnelled.endswith(b"tunnelled")
        assert asked(proxy, "CONNECT 10.0.0.1:443 HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 403 ")
        assert asked(proxy, "CONNECT localhost:443 HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 403 ")
    assert len(company.heads) == 2
    assert all(f"Proxy-Authorization: {LOGIN}" in head for head in company.heads)


@pytest.mark.parametrize(
    "host",
    [
        *("169.254.169.254.", "127.0.0.1.", "127.1.", "0x7f000001.", "4294967297", "1.2.3.4.5", "08.8.8.8", "0xzz.0x"),
        *("169.254.169.254\\.a.example", "127%2e0.0.1", "127.0.0.1%2f.a.example", "a..example", "127.0.0.1;.a.example", "a,b.example"),
    ],
)
def test_no_host_that_a_companys_proxy_may_read_otherwise_reaches_it(host: str, site: Site, limits: FetchLimits, tmp_path: Path) -> None:
    company = Company(site)
    through = dataclasses.replace(limits, proxy=company.url, allow_private_hosts=False)
    with opened(through) as (proxy, _):
        for text in (f"GET http://{host}/a HTTP/1.1\r\n\r\n", f"CONNECT {host}:443 HTTP/1.1\r\n\r\n"):
            assert asked(proxy, text).startswith(b"HTTP/1.1 403 "), text
    for scheme in ("http", "https"):
        with Network(through) as network, pytest.raises(InputError):
            web.download(f"{scheme}://{host}/a.mp4", tmp_path, network, through)
    assert company.heads == []


def test_the_host_that_was_checked_is_the_host_that_is_asked_for(site: Site, limits: FetchLimits) -> None:
    company = Company(site)
    site.serve("http://unknown.invalid/a", body=b"plain")
    with opened(dataclasses.replace(limits, proxy=company.url, allow_private_hosts=False)) as (proxy, _):
        assert asked(proxy, "GET http://unknown.invalid/a HTTP/1.1\r\nHost: inside.example\r\n\r\n").endswith(b"plain")
    assert "\r\nHost: unknown.invalid\r\n" in company.heads[0]
    assert "inside.example" not in company.heads[0]


def test_a_media_file_is_fetched_through_a_companys_proxy(site: Site, limits: FetchLimits, tmp_path: Path) -> None:
    company = Company(site)
    site.serve("http://unknown.invalid:80/a.mp4", body=b"film")
    through = dataclasses.replace(limits, proxy=company.url, allow_private_hosts=False)
    with Network(through) as network:
        video = web.download("http://unknown.invalid/a.mp4", tmp_path, network, through)
    assert video.path.read_bytes() == b"film"
    assert LOGIN in company.heads[0]


def test_a_proxy_that_refuses_is_named_and_its_password_is_not(limits: FetchLimits) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://user:s3cret@127.0.0.1:{server.getsockname()[1]}"

        def refuse() -> None:
            client, _ = server.accept()
            client.recv(65536)
            client.sendall(b"HTTP/1.1 407 Login\r\n\r\n")
            client.close()

        threading.Thread(target=refuse, daemon=True).start()
        through = dataclasses.replace(limits, proxy=url, allow_private_hosts=False)
        with Network(through) as network, pytest.raises(TransientError, match="407") as caught:
            network.connect("unknown.invalid", 443)
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(through)
    assert "user name or password" in str(caught.value)


@pytest.mark.parametrize("url", ["socks5://a:1", "https://a:1", "http://", "http://a:99999", "http://[", ""])
def test_a_proxy_that_cannot_be_used_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigError):
        Upstream.parse(url)


def test_the_proxy_of_the_environment_is_taken_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match=ENVIRONMENT):
        proxy_from_environment()
    monkeypatch.setenv("https_proxy", "http://u:p@proxy:3128")
    assert Upstream.parse(proxy_from_environment()) == Upstream("proxy", 3128, "Basic dTpw")
