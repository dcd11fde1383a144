"""What fetching one video may cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class FetchLimits:
    """Limits of one `fetch`. None changes what a video is; they only end a fetch early."""

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
