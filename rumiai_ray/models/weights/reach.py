"""Whether the hosts that weights come from can be reached at all: asked before anything waits for them."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rumiai_ray.models.weights.files import HubSource, PackageSource, UrlSource, WeightSource

if TYPE_CHECKING:
    from collections.abc import Iterable

_PORTS = {"http": 80, "https": 443}

PROBE_S = 2.0
"""A host that accepts no connection within this time is one that does not answer."""

_LOG = logging.getLogger(__name__)


def answering(sources: Iterable[WeightSource], timeout_s: float = PROBE_S) -> dict[str, bool]:
    """Whether the host of each source (or the proxy before it) accepts a connection within `timeout_s`, by host name.

    Packages are left out: only the package manager knows its registry's host.
    """
    doors = {host_of(source): _door(_url_of(source)) for source in sources if not isinstance(source, PackageSource)}
    answers = dict.fromkeys(doors, False)

    def knock(host: str, door: tuple[str, int]) -> None:
        try:
            socket.create_connection(door, timeout=timeout_s).close()
        except OSError as error:
            _LOG.debug("%s cannot be reached: %s: %s", host, type(error).__name__, error)
            return
        answers[host] = True

    # Looking up a name has no time limit of its own, so it happens in threads that may be left behind.
    threads = [threading.Thread(target=knock, args=item, daemon=True) for item in doors.items()]
    deadline_s = time.monotonic() + timeout_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline_s - time.monotonic()))
    return dict(answers)


def host_of(source: UrlSource | HubSource) -> str:
    """Name of the host a source is asked of."""
    url = _url_of(source)
    return urlsplit(url).hostname or url


def _url_of(source: UrlSource | HubSource) -> str:
    return source.url if isinstance(source, UrlSource) else hub_endpoint()


def hub_endpoint() -> str:
    """Address of the Hugging Face hub, or of the mirror that `HF_ENDPOINT` names."""
    return os.environ.get("HF_ENDPOINT") or "https://huggingface.co"


def _door(url: str) -> tuple[str, int]:
    """(host, port) that a connection to `url` is made to first: the proxy's where the environment names one."""
    split = urlsplit(url)
    host = split.hostname or ""
    proxy = None if urllib.request.proxy_bypass(host) else urllib.request.getproxies().get(split.scheme)
    if proxy:
        split = urlsplit(proxy if "//" in proxy else f"//{proxy}", scheme="http")
    return split.hostname or "", split.port or _PORTS.get(split.scheme, 443)
