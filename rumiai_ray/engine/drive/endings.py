"""How a run ends before all of its entries are in it; whatever was committed stays."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rumiai_ray.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rumiai_ray.ingest.manners import Paused


class Stopped(BaseException):
    """The run was told to stop; everything committed stays."""


class HostsRefuse(Stopped):
    """Hosts have refused so often that entries of theirs were left undone. All others are in the run, which can be resumed.

    Args:
        hosts: which, and why.
        entries: how many entries are left undone.
    """

    def __init__(self, hosts: Sequence[Paused], entries: int) -> None:
        super().__init__(hosts, entries)
        self.hosts = tuple(hosts)
        self.entries = entries

    @property
    def until(self) -> datetime:
        """When it is worth asking the first of them again, UTC."""
        return datetime.fromtimestamp(min(host.until_s for host in self.hosts), UTC)


class StalledError(TransientError):
    """Nothing has come back for longer than the configured time. What was committed stays."""
