"""Who analyses a video that several entries of a run share: the first entry that claims its bytes, and only that one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Claims:
    """A small Ray actor of a batch run. Claiming is idempotent: a retried task gets the answer its first attempt got.

    Args:
        owners: claims known from before, by video key: those of a run that is being resumed.
    """

    def __init__(self, owners: Mapping[str, str]) -> None:
        self._owners = dict(owners)

    def claim(self, video_key: str, entry_id: str) -> bool:
        """Whether `entry_id` is the one that analyses `video_key`."""
        return self._owners.setdefault(video_key, entry_id) == entry_id
