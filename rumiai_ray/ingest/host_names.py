"""One spelling for each host, so that hosts can be compared: with rules, with one another, with what yt-dlp's patterns look for.

`WWW.TikTok.com`, `www.tiktok.com.`, `www.tiktok.com。` and `www.tiktok.com:443` are one host to every program that connects.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import socket
from urllib.parse import urlsplit

from rumiai_ray.errors import InputError

_LOG = logging.getLogger(__name__)

_HOST = re.compile(r"[\w-]+(\.[\w-]+)*\.?|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(%[\w.-]+)?")
"""A name, or an address. In anything else (`169.254.169.254\\.a.example`, `127%2e1`) another program may see another host."""
_ENDS_IN_A_NUMBER = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)\.?", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


def check_host_name(host: str) -> None:
    """Raise `InputError` where `host`, without brackets, is neither a name nor an address."""
    if not _HOST.fullmatch(host):
        raise InputError("not a valid host name", host, "check the URL")


def is_spelled_as_address(host: str) -> bool:
    """Whether some program may take `host` for an address: it has a colon, or ends in a number (WHATWG's rule for the hosts of URLs)."""
    return ":" in host or _ENDS_IN_A_NUMBER.fullmatch(host) is not None


def canonical_host(host: str) -> str:
    """The one spelling of a host: ASCII (IDNA), in lower case, without a dot at its end; an address in its shortest form.

    Args:
        host: a name or an address, with or without brackets.

    Raises:
        InputError: it is neither.
    """
    bare = host.strip("[]")
    try:
        name = bare.encode("ascii" if ":" in bare else "idna").decode()
    except UnicodeError as error:
        raise InputError("not a valid host name", host, "check the URL") from error
    check_host_name(name)
    name = name.lower() if ":" in name else name.lower().removesuffix(".")
    if not is_spelled_as_address(name):
        return name
    try:
        return str(ipaddress.ip_address(name))
    except ValueError as error:
        _LOG.debug("%a is no address as addresses are written: %s", name, error)
    try:
        return socket.inet_ntoa(socket.inet_aton(name))  # what the system's resolver takes for an address, too: 0x7f.1
    except OSError as error:
        _LOG.debug("%a is no address: %s", name, error)
    return name


def canonical_url(url: str) -> str:
    """A web address with its host as `canonical_host` spells it, and without the port that its scheme has anyway.

    Args:
        url: with a host, and without a user.

    Raises:
        InputError: the host is neither a name nor an address.
    """
    parts = urlsplit(url)
    host, scheme = canonical_host(parts.hostname or ""), parts.scheme.lower()
    if "[" in parts.netloc and ":" not in host:  # RFC 3986's addresses of the future: `[v1.x]` is not the host `v1.x`
        raise InputError("not a valid host name", parts.netloc, "check the URL")
    port = "" if parts.port in (None, _PORTS.get(scheme)) else f":{parts.port}"
    place = f"[{host}]{port}" if ":" in host else f"{host}{port}"
    rest = url[url.index("://") + len("://") + len(parts.netloc) :]  # letter for letter: `urlunsplit` drops an empty query
    return f"{scheme}://{place}{rest}"
