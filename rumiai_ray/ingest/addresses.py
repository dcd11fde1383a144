"""Which network addresses a fetch may connect to. A URL from a manifest must not read the cluster's own services."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Any

from rumiai_ray.errors import InputError, TransientError

_CLOSED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # looks public, but is the host agent of Azure's virtual machines
        "192.0.0.0/24",  # protocol assignments (RFC 6890) and Oracle's metadata service; older Pythons call most of it global
    )
)
"""Closed beside what `ipaddress` knows. The other clouds' metadata services are link-local, private or shared space anyway."""

_UNICAST6 = ipaddress.ip_network("2000::/3")
"""All of IPv6 that is given out to the public (IANA); outside it are site-local, local NAT64 and other addresses of the inside."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


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
    if ip in _NAT64:
        return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    carried = [v4 for v4 in (ip.sixtofour, *(ip.teredo or ())) if v4 is not None]
    return ip in _UNICAST6 and ip.is_global and all(is_public(str(v4)) for v4 in carried)


def resolve(host: str, port: int, *, allow_private: bool) -> list[Address]:
    """The addresses of `host`, all of them checked. Connect to these, not to the name: a second lookup may answer otherwise.

    Raises:
        InputError: no such host, or one of its addresses is not public while `allow_private` is false.
        TransientError: the name server did not answer.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise TransientError("the name server did not answer", host, "check this machine's network") from error
        raise InputError("no such host", host, "check the URL, and that this machine can look up names of the internet") from error
    except UnicodeError as error:
        raise InputError("no valid host name", host, "check the URL") from error
    addresses = [Address(family, sockaddr) for family, _, _, _, sockaddr in found]
    for address in addresses:
        if not allow_private and not is_public(str(address.sockaddr[0])):
            what = f"its address {address.sockaddr[0]} is not on the public internet"
            raise InputError(what, host, "if you trust the input: --limits-private-hosts")
    return addresses
