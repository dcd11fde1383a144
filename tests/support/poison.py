"""What a hostile platform says of posts, given to clips in place of a platform's own answer. Imported by Ray's workers."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from rumiai_ray.engine.work.entry_reader import NO_HOST, Stage
from rumiai_ray.ingest.fetch import fetch
from rumiai_ray.ingest.sites.metadata import metadata_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from rumiai_ray.engine.work.host_turn import HostTurn
    from rumiai_ray.engine.work.item import Work
    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.ingest.limits import FetchLimits
    from rumiai_ray.ingest.video import FetchedVideo

INFOS: Mapping[str, dict[str, Any]] = {
    "surrogate": {"title": "half an emoji \ud83d", "uploader": "\udfff", "tags": ["a\ud800", "a\udbff"]},
    "pair": {"title": "\ud83d\ude00 whole"},
    "nul": {"title": "a\0b", "description": "\0"},
    "long": {"title": "t" * 60_000_000, "tags": ["x" * 5000] * 3000},
    "huge": {"view_count": 2**63, "like_count": 10**5000, "comment_count": float("inf"), "repost_count": float("nan")},
    "negative": {"view_count": -1, "like_count": True, "comment_count": "12", "timestamp": 10**30},
    "types": {"title": 7, "description": ["x"], "uploader": None, "tags": 5, "timestamp": "now", "webpage_url": {}},
    "ages": {"timestamp": float("nan"), "tags": {"a": 1}, "webpage_url": "https://h/" + "p" * 100_000},
}
"""By the entry's column `poison`."""


class UnreadableError(Exception):
    """Its message cannot even be asked for."""

    def __str__(self) -> str:
        raise ValueError("\ud800")


@contextmanager
def poisoned(entry: Entry, limits: FetchLimits, workdir: Path, **refused: Any) -> Iterator[FetchedVideo]:
    """`fetch`, then what the entry's platform says; `raise` and `unreadable` end in an error that quotes it."""
    kind = entry.columns.get("poison", "")
    if kind == "raise":
        raise RuntimeError("the title is \ud800\0" + "x" * 50_000_000)
    if kind == "unreadable":
        raise UnreadableError
    with fetch(entry, limits, workdir, **refused) as video:
        yield replace(video, metadata=metadata_from(INFOS.get(kind, {}), "https://h/post")) if kind else video


@dataclass(frozen=True)
class PoisonedStage(Stage):
    """Fetches through `poisoned`."""

    def work_of(self, entry: Entry, claim: Callable[[str, str], bool], turn: HostTurn = NO_HOST) -> Iterator[Work]:
        with patch("rumiai_ray.engine.work.entry_reader.fetch", poisoned):
            yield from super().work_of(entry, claim, turn)
