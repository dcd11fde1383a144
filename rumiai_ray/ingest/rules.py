"""What a row of a manifest may name: kinds of input, directories, buckets, hosts, networks. For manifests that strangers write."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rumiai_ray.errors import InputError
from rumiai_ray.ingest.host_names import canonical_host

if TYPE_CHECKING:
    from rumiai_ray.ingest.location import Location

NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""IPv6 addresses of hosts that have IPv4 only: the last four bytes are the host's address (RFC 6052)."""

INPUT_KINDS = ("web", "file", "store")

_SAME = {"s3a": "s3", "gcs": "gs", "abfss": "abfs"}
"""Schemes that name the same stores as another."""
_BUCKET = re.compile(r"[a-z][a-z0-9]*://[^/\s]+(/\S*)?")
_HOST = re.compile(r"\.?[a-z0-9_]([a-z0-9._:-]*[a-z0-9_])?")


@dataclass(frozen=True)
class InputRules:
    """What may be read. An empty tuple allows everything of its kind; the texts are the settings', see `check_rule`."""

    inputs: tuple[str, ...] = INPUT_KINDS
    roots: tuple[str, ...] = ()
    buckets: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    denied_networks: tuple[str, ...] = ()

    def checked(self, location: Location) -> str:
        """The address to read: that of `location`; of a file that must lie in `roots` the path without links, so that none is swapped.

        Raises:
            InputError: the rules do not allow the kind, the directory, the bucket or the host.
        """
        if location.kind not in self.inputs:
            raise _refused(f"inputs of the kind {location.kind!r} are not allowed", location.address, "--limits-inputs")
        if location.kind == "file" and self.roots:
            return self._in_a_root(location.address)
        if location.kind == "store" and self.buckets and not any(_is_in(location.address, bucket) for bucket in self.buckets):
            raise _refused("this bucket or prefix is not allowed", location.address, "--limits-buckets")
        return location.address

    def check_host(self, host: str) -> None:
        """Raises `InputError` for a host that may not be connected to. Compared by `canonical_host`."""
        if not self.hosts:
            return
        try:
            name = canonical_host(host)
        except InputError as error:  # what is no host is none of those that are allowed
            raise _refused("this host is not allowed", host, "--limits-hosts") from error
        if not any(name.endswith(one) if one.startswith(".") else name == one for one in map(_canonical_rule, self.hosts)):
            raise _refused("this host is not allowed", host, "--limits-hosts")

    def denies(self, address: str) -> bool:
        """Whether an address lies in a denied network, also one inside an IPv6 address that carries IPv4."""
        ip = ipaddress.ip_address(address.partition("%")[0])
        carried = [ip]
        if isinstance(ip, ipaddress.IPv6Address):
            behind = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in NAT64 else None
            inside = (ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ()), behind)
            carried += [one for one in inside if one is not None]
        networks = [ipaddress.ip_network(one, strict=False) for one in self.denied_networks]
        return any(one in network for one in carried for network in networks)

    def _in_a_root(self, path: str) -> str:
        whole = Path(os.path.realpath(path))
        if not any(whole.is_relative_to(os.path.realpath(Path(root).expanduser())) for root in self.roots):
            raise _refused("a file outside the directories that are allowed", path, "--limits-roots")
        return str(whole)


ANYTHING = InputRules()
"""No rules."""


def check_rule(name: str, texts: tuple[str, ...]) -> None:
    """Raises `ValueError` where a value of the setting `limits.<name>` can match nothing that it seems to mean."""
    if name == "inputs" and not texts:
        raise ValueError(f"give at least one of {', '.join(INPUT_KINDS)}")
    for text in texts:
        if name == "inputs" and text not in INPUT_KINDS:
            raise ValueError(f"unknown kind of input {text!r}; choose from {', '.join(INPUT_KINDS)}")
        if name == "roots" and not Path(text).expanduser().is_absolute():
            raise ValueError(f"not an absolute path: {text!r}")
        if name == "buckets" and not _BUCKET.fullmatch(text):
            raise ValueError(f"not a bucket: {text!r}; write it as s3://bucket or s3://bucket/prefix")
        if name == "hosts" and not _HOST.fullmatch(text.lower()):
            raise ValueError(f"not a host: {text!r}; write a name without scheme, port and path, or .example.com for all below it")
        if name == "hosts":
            _check_host_rule(text)
        if name == "denied_networks":
            ipaddress.ip_network(text, strict=False)


def _check_host_rule(text: str) -> None:
    try:
        _canonical_rule(text)
    except InputError as error:
        raise ValueError(f"not a host: {text!r}: {error.what}") from error


def _canonical_rule(text: str) -> str:
    return f".{canonical_host(text[1:])}" if text.startswith(".") else canonical_host(text)


def _is_in(uri: str, bucket: str) -> bool:
    """Whether an object lies in a bucket, below the prefix if there is one. Object stores do not resolve `..`; drivers may."""
    (scheme, name, key), (wanted_scheme, wanted_name, prefix) = _parts(uri), _parts(bucket)
    if (scheme, name) != (wanted_scheme, wanted_name) or {".", ".."} & set(key.replace("\\", "/").split("/")):
        return False
    prefix = prefix.rstrip("/")
    return not prefix or key == prefix or key.startswith(f"{prefix}/")


def _parts(uri: str) -> tuple[str, str, str]:
    # Not urlsplit, which drops tabs and newlines without a word, and cuts a key at its '#'.
    scheme, _, rest = uri.partition("://")
    name, _, key = rest.partition("/")
    return _SAME.get(scheme.lower(), scheme.lower()), name, key


def _refused(what: str, subject: str, flag: str) -> InputError:
    return InputError(what, subject, f"{flag} limits what a row may name")
