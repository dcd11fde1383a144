"""Which network addresses a fetch may connect to. A URL from a manifest must not read the cluster's own services."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Any

import psutil

from rumiai_ray.errors import InputError, TransientError
from rumiai_ray.ingest.host_names import check_host_name
from rumiai_ray.ingest.rules import ANYTHING, NAT64, InputRules

_CLOSED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # looks public, but is the host agent of Azure's virtual machines
        "161.26.0.0/16",  # look public, but are the services of IBM Cloud inside it
        "166.8.0.0/14",
        "192.0.0.0/24",  # protocol assignments (RFC 6890) and Oracle's metadata service; older Pythons call most of it global
    )
)
"""Closed beside what `ipaddress` knows. The other clouds' metadata services are link-local, private or shared space anyway."""

_UNICAST6 = ipaddress.ip_network("2000::/3")
"""All of IPv6 that is given out to the public (IANA); outside it are site-local, local NAT64 and other addresses of the inside."""


@dataclass(frozen=True)
class Address:
    """What a socket is opened with."""

    family: socket.AddressFamily
    sockaddr: tuple[Any, ...]


def is_public(address: str) -> bool:
    """Whether `address` (IPv4 or IPv6, a zone is ignored) is a unicast address of the public internet.

    IPv6 addresses that carry an IPv4 one (mapped, 6to4, Teredo, NAT64) are public only where the carried one is.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not ip.is_multicast and not any(ip in network for network in _CLOSED)
    if ip.ipv4_mapped is not None:
        return is_public(str(ip.ipv4_mapped))
    if ip in NAT64:
        return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    carried = [v4 for v4 in (ip.sixtofour, *(ip.teredo or ())) if v4 is not None]
    return ip in _UNICAST6 and ip.is_global and all(is_public(str(v4)) for v4 in carried)


def own_addresses() -> frozenset[str]:
    """The addresses of this machine's network interfaces, without zones: a public one of them leads to what listens here, too."""
    kinds = (socket.AF_INET, socket.AF_INET6)
    return frozenset(_bare(one.address) for found in psutil.net_if_addrs().values() for one in found if one.family in kinds)


def resolve(host: str, port: int, *, allow_private: bool, rules: InputRules = ANYTHING) -> list[Address]:
    """The addresses of `host`, all of them checked. Connect to these, not to the name: a second lookup may answer otherwise.

    Args:
        host: a name or an address.
        port: of the host.
        allow_private: allow addresses that are not public, and this machine's own.
        rules: hosts and networks that `allow_private` does not open.

    Raises:
        InputError: no such host; the rules do not allow it; or one of its addresses is not public, or this machine's own, while
            `allow_private` is false.
        TransientError: the name server did not answer.
    """
    rules.check_host(host)
    check_host_name(host)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise TransientError("the name server did not answer", host, "check this machine's network") from error
        raise InputError("no such host", host, "check the URL, and that this machine can look up names of the internet") from error
    except UnicodeError as error:
        raise InputError("not a valid host name", host, "check the URL") from error
    addresses = [Address(family, sockaddr) for family, _, _, _, sockaddr in found]
    own = frozenset() if allow_private else own_addresses()
    for address in addresses:
        ip = _bare(str(address.sockaddr[0]))
        if rules.denies(ip):
            raise InputError(f"the host's address {ip} lies in a denied network", host, "--limits-denied-networks names it")
        if allow_private:
            continue
        hint = "if you trust the input: --limits-private-hosts"
        if not is_public(ip):
            raise InputError(f"the host's address {ip} is not on the public internet", host, hint)
        if {ip, _carried(ip)} & own:
            raise InputError(f"the host's address {ip} is this machine's own", host, hint)
    return addresses


def _bare(address: str) -> str:
    """An address in its shortest spelling, without a zone."""
    return str(ipaddress.ip_address(address.partition("%")[0]))


def _carried(address: str) -> str | None:
    """The IPv4 address that an IPv6 one carries (mapped)."""
    mapped = getattr(ipaddress.ip_address(address), "ipv4_mapped", None)
    return None if mapped is None else str(mapped)
