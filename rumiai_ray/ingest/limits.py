"""What fetching one video may cost, which way it goes, and how hosts are treated meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rumiai_ray.ingest.rules import ANYTHING, InputRules

if TYPE_CHECKING:
    from pathlib import Path

MAX_URL_CHARS = 8192
"""Longest web address that is asked for. Common servers refuse a longer request line; signed addresses have up to 3,000 characters."""
MAX_POST_URL_CHARS = 2048
"""Longest address that is given to yt-dlp's patterns. Addresses of posts have a few hundred characters at most."""


@dataclass(frozen=True)
class FetchLimits:
    """Limits of one `fetch`. But for `resolution_px` none changes what a video is; they only end a fetch early."""

    max_bytes: int = 2 * 1024**3
    """Largest video, downloaded or local."""
    total_s: float = 600.0
    """All attempts together, waiting included. Without it a server that drips a byte at a time holds a worker for ever."""
    stall_s: float = 30.0
    """Longest silence of a connection, connecting included."""
    max_redirects: int = 8
    """Browsers follow 20; a chain of media hosts needs 2 or 3."""
    attempts: int = 3
    """Attempts where the failure is the world's, not the input's."""
    retry_base_s: float = 1.0
    """Wait before the second attempt; doubles with each further one."""
    retry_max_s: float = 60.0
    """Longest wait before an attempt. A server that asks for more ends the fetch."""
    allow_private_hosts: bool = False
    """Connect to loopback, private and link-local addresses too. Off, because a manifest is often written by strangers."""
    cookies_file: Path | None = None
    """Cookies in Netscape format for yt-dlp; read, never written."""
    site_memory_bytes: int = 1024 * 2**20
    """Address space of the process that runs yt-dlp (setting `download_memory_mb`); about 70 MiB of it are Python and the libraries."""
    site_cpu_s: float = 120.0
    """CPU time of one attempt of yt-dlp. A post takes about 2 s; a pattern that backtracks would take hours."""
    impersonate: bool = True
    """Send the fingerprint of a browser where yt-dlp asks for one and curl_cffi is installed."""
    resolution_px: int = 1080
    """Shorter side of the pictures that are fetched where a site offers several sizes: the largest size that is no longer."""
    rules: InputRules = ANYTHING
    """What a row may name, for manifests of strangers."""
    scratch_bytes: int = 20 * 1024**3
    """Most bytes of all downloads that are under way in one work directory."""
    reserve_bytes: int = 1024**3
    """Free space of the work directory's disk below which no download goes on."""
    proxy: str | None = field(default=None, repr=False)
    """A company's HTTP proxy, `http://[user:password@]host:port`, that every connection goes through; None to connect directly."""
    require_sandbox: bool = False
    """Fetch no post where the kernel cannot confine the process that runs yt-dlp in full."""


@dataclass(frozen=True)
class Manners:
    """How hosts are treated by all readers of a run together; see `manners.HostBook`."""

    downloads: int = 8
    """Downloads at a time from one host, over all readers."""
    interval_s: float = 1.0
    """Between the starts of two downloads of posts from one site. Media files on other hosts are not paced."""
    refusals: int = 10
    """Entries refused in a row after which a host is left alone; 0: never, however long it asks to wait."""
    longest_wait_s: float = 60.0
    """Longest wait that a host may ask for; one that asks for more is left alone at once."""
    pause_s: float = 900.0
    """After which it is worth asking a host again that refuses without saying for how long."""
    lease_s: float = 660.0
    """Longest that a download counts whose reader has never told of its end: readers are killed now and then."""
