from __future__ import annotations

import socket

import pytest

from rumiai_ray.errors import InputError, TransientError
from rumiai_ray.ingest.addresses import is_public, resolve


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8", "2002:808:808::1"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.1",
        "0.0.0.0",  # noqa: S104 -- to be refused
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "100.100.100.200",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.0.192",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2001:db8::1",
        "64:ff9b:1::a00:1",
        "fec0::1",
        "::7f00:1",
        "5f00::1",
    ],
)
def test_addresses_of_the_inside_are_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "::1", "0"])
def test_loopback_is_refused_however_it_is_spelled(host: str) -> None:
    with pytest.raises(InputError, match="not on the public internet") as caught:
        resolve(host, 80, allow_private=False)
    assert host in str(caught.value)


def test_loopback_is_allowed_where_that_is_asked_for() -> None:
    assert [address.sockaddr for address in resolve("127.0.0.1", 80, allow_private=True)] == [("127.0.0.1", 80)]


def test_one_inside_address_among_several_refuses_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(InputError, match=r"10\.0\.0\.1"):
        resolve("rebind.example", 80, allow_private=False)


@pytest.mark.parametrize(("code", "error"), [(socket.EAI_NONAME, InputError), (socket.EAI_AGAIN, TransientError)])
def test_an_unknown_host_is_the_inputs_fault_and_a_silent_name_server_is_not(
    monkeypatch: pytest.MonkeyPatch, code: int, error: type[Exception]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(code, "as told")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(error):
        resolve("host.example", 80, allow_private=False)
