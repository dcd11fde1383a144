"""Lists of posts (creators, playlists) as rows of a manifest; yt-dlp walks them in its confined process, as it fetches posts."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyarrow as pa

from rumiai_ray.errors import InputError, MediaError, RumiaiError
from rumiai_ray.ingest.cleaning import NAME_CHARS, SHORT_CHARS, Cleaner, cleaned
from rumiai_ray.ingest.location import locate
from rumiai_ray.ingest.network import Network
from rumiai_ray.ingest.outcomes import NoListError
from rumiai_ray.ingest.sites import fetch as sites
from rumiai_ray.ingest.sites.job import described_item
from rumiai_ray.ingest.sites.list_items import NO_LIST_HINT
from rumiai_ray.ingest.sites.metadata import handle_fields
from rumiai_ray.shown import terminal_safe, unguarded

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from rumiai_ray.ingest.limits import FetchLimits

_LOG = logging.getLogger(__name__)

_MAX_LIST_BYTES = 512 * 2**20
"""Most bytes of a list's pages. A page of TikTok's with 15 posts has about 100 KB."""
_MAX_ITEMS = 100_000
"""Most items of a list that are looked at, wanted or not."""
_OLD_IN_A_ROW = 50
"""Posts before `since`, each no newer than the one before it, after which a list is taken to go back in time. Creators pin a few old
posts to the top, and playlists have any order."""
_TITLE_CHARS = 5000
_MAX_DURATION_S = 10**7

_COLUMNS: dict[str, pa.DataType] = {
    "url": pa.string(),
    "id": pa.string(),
    "author": pa.string(),
    "title": pa.string(),
    "posted_at": pa.timestamp("s", "UTC"),
    "posted_on": pa.date32(),
    "duration_s": pa.float64(),
    "view_count": pa.int64(),
    "like_count": pa.int64(),
    "comment_count": pa.int64(),
    "share_count": pa.int64(),
}
LISTED_SCHEMA = pa.schema([pa.field(name, type_, nullable=name != "url") for name, type_ in _COLUMNS.items()])


@dataclass(frozen=True)
class ListedPost:
    """One post as its list tells of it: the columns of `LISTED_SCHEMA`. None wherever the list says nothing."""

    url: str
    """Of the post's page."""
    id: str | None
    """The site's own; None where an earlier post of the list has the same."""
    author: str | None
    title: str | None
    """In one line."""
    posted_at: datetime | None
    """Timezone-aware UTC, whole seconds."""
    posted_on: date | None
    """Day in UTC; some lists tell the day only."""
    duration_s: float | None
    view_count: int | None
    like_count: int | None
    comment_count: int | None
    share_count: int | None


@dataclass(frozen=True)
class Wanted:
    """Which posts of a list are wanted."""

    limit: int = 10_000
    """Most posts."""
    since: date | None = None
    """First day, in UTC."""
    until: date | None = None
    """Last day, in UTC."""

    @property
    def dated(self) -> bool:
        """Whether a post's day matters."""
        return self.since is not None or self.until is not None

    def takes(self, day: date) -> bool:
        """Whether posts of this day are wanted."""
        return (self.since is None or day >= self.since) and (self.until is None or day <= self.until)


@dataclass
class Walked:
    """What has become of a list's items so far."""

    kept: int = 0
    other_days: int = 0
    """Before `Wanted.since` or after `Wanted.until`."""
    undated: int = 0
    """Left out because days are asked for and the list tells none of these."""
    unusable: int = 0
    """Without an address on the web."""
    repeated: int = 0
    """With the address of an earlier one."""
    stopped: str = ""
    """Why the walk ended before the list did; empty where it did not."""
    _urls: set[str] = field(default_factory=set, repr=False)
    _ids: set[str] = field(default_factory=set, repr=False)
    _old: list[datetime] = field(default_factory=list, repr=False)
    """Times of the last posts, all before `Wanted.since` and none newer than the one before it."""

    @property
    def items(self) -> int:
        """Items looked at."""
        return self.kept + self.other_days + self.undated + self.unusable + self.repeated

    def row(self, info: Mapping[str, Any], wanted: Wanted) -> ListedPost | None:
        """The row of one item, or None where it is left out; counts either way, and says in `stopped` when enough was seen."""
        post = post_of(info)
        if post is None:
            self.unusable += 1
        elif post.url in self._urls:
            self.repeated += 1
        elif wanted.dated and post.posted_on is None:
            self.undated += 1
        elif post.posted_on is not None and not wanted.takes(post.posted_on):
            self.other_days += 1
            self._look_back(post.posted_on, post.posted_at, wanted)
        else:
            self._old.clear()
            self.kept += 1
            self._urls.add(post.url)
            if post.id in self._ids:
                post = replace(post, id=None)
            self._ids.add(post.id or "")
            if self.kept == wanted.limit:
                self.stopped = f"--limit {wanted.limit} is reached"
            return post
        if self.items >= _MAX_ITEMS:
            self.stopped = f"{_MAX_ITEMS:,} items of the list have been read, the maximum"
        return None

    def _look_back(self, day: date, at: datetime | None, wanted: Wanted) -> None:
        at = at or datetime.combine(day, time.min, UTC)
        is_old = wanted.since is not None and day < wanted.since
        if not is_old or (self._old and at > self._old[-1]):
            self._old.clear()
        if is_old:
            self._old.append(at)
        if len(self._old) >= _OLD_IN_A_ROW:
            self.stopped = f"{_OLD_IN_A_ROW} posts in a row were older than --since, each older than the one before"


def walk(url: str, wanted: Wanted, network: Network, limits: FetchLimits, walked: Walked, folder: Path) -> Iterator[ListedPost]:
    """The posts of the list at `url`, one by one as they come.

    Args:
        url: of a creator's page, a playlist or another list.
        wanted: which of them.
        network: the walk's own; its time is the walk's.
        limits: of the walk: time, and as `fetch` has them.
        walked: counts what comes and why the walk ended.
        folder: an empty directory for the process.

    Raises:
        NoListError: yt-dlp cannot walk what is there; says what to do instead.
        InputError: the address is none, the site refuses, or the list is too large.
        TransientError: network trouble, rate limit, or the time is up.
    """
    address = limits.rules.checked(locate(url))
    if locate(url).kind != "web" or not sites.knows(address):
        raise NoListError("not a list on a site that yt-dlp knows", url, NO_LIST_HINT)
    bounded = replace(limits, max_bytes=min(limits.max_bytes, _MAX_LIST_BYTES))
    with sites.site_process(address, folder, network, bounded, "list") as process:
        while not walked.stopped:
            answer = sites.next_answer(process, url, folder, network, bounded)
            if answer["kind"] == "end":
                return
            if answer["kind"] != "item":
                raise _ended(answer, url, network.refusal, bounded)
            if post := walked.row(described_item(answer.get("info")), wanted):
                yield post


def _ended(answer: Mapping[str, Any], url: str, refusal: RumiaiError | None, limits: FetchLimits) -> RumiaiError:
    """Why there is no next item."""
    if isinstance(refusal, MediaError):
        what = f"the pages of the list are larger than {limits.max_bytes // 2**20} MB together"
        return InputError(what, url, "take a part of it: --limit")
    if refusal is not None:
        return refusal
    if answer["kind"] == "unknown":
        return NoListError("yt-dlp cannot walk lists of this kind", url, NO_LIST_HINT)
    error = sites.told_error(dict(answer), url)
    return NoListError(error.what, url, NO_LIST_HINT) if "Unsupported URL" in error.what else error


def walked_list(url: str, wanted: Wanted, limits: FetchLimits, walked: Walked) -> Generator[ListedPost, None, None]:
    """`walk` with a network and a directory of its own."""
    with TemporaryDirectory(prefix="rumiai-list-") as folder, Network(limits) as network:
        yield from walk(url, wanted, network, limits, walked, Path(folder))


def rows_of(posts: list[ListedPost]) -> pa.Table:
    """Rows of `LISTED_SCHEMA`."""
    return pa.Table.from_pylist([vars(post) for post in posts], schema=LISTED_SCHEMA)


def post_of(info: Mapping[str, Any]) -> ListedPost | None:
    """What yt-dlp's description of an item says; None where it has no address on the web. Never raises, whatever the values are."""
    addresses = (_encoded(info.get(name)) for name in ("webpage_url", "url"))
    url = next((address for address in addresses if address), None)
    if url is None:
        return None
    cleaner = Cleaner()
    posted_at = _time(info.get("timestamp"))
    author = _line(info, SHORT_CHARS, *handle_fields(info))
    duration_s = info.get("duration")
    known = isinstance(duration_s, int | float) and not isinstance(duration_s, bool) and 0 <= duration_s <= _MAX_DURATION_S
    return ListedPost(
        url=url,
        id=_id(info.get("id")),
        author=author.removeprefix("@") or None if author else None,
        title=_line(info, _TITLE_CHARS, "title"),
        posted_at=posted_at,
        posted_on=posted_at.date() if posted_at else _day(info.get("upload_date")),
        duration_s=round(float(duration_s), 3) if known and duration_s is not None else None,
        view_count=cleaner.count("view_count", info.get("view_count")),
        like_count=cleaner.count("like_count", info.get("like_count")),
        comment_count=cleaner.count("comment_count", info.get("comment_count")),
        share_count=cleaner.count("share_count", info.get("repost_count")),
    )


def _encoded(text: object) -> str | None:
    """An address on the web, percent-encoded where a manifest could not hold it as it is; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        if locate(text).kind != "web" or any(map(str.isspace, text)):
            return None
        encoded = "".join(quote(character) if terminal_safe(character) != character else character for character in text)
        if unguarded(encoded) != encoded:  # an apostrophe that a manifest's reader would take for a guard
            encoded = encoded.replace("'", "%27")
        return locate(encoded).address
    except InputError as error:
        _LOG.debug("an item of a list has no address: %s", error)
        return None


def _id(value: object) -> str | None:
    text = value.strip() if isinstance(value, str) else ""
    return text if text and len(text) <= NAME_CHARS and text.isprintable() else None


def _line(info: Mapping[str, Any], limit: int, *names: str) -> str | None:
    """The first of these texts that is not blank, in one line."""
    texts = (" ".join(value.split()) for name in names if isinstance(value := info.get(name), str))
    return next((cleaned(text, limit) for text in texts if text), None)


def _time(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    try:
        return datetime.fromtimestamp(int(value), UTC)
    except (OverflowError, ValueError, OSError) as error:
        _LOG.debug("the timestamp %r is no date: %s", value, error)
        return None


def _day(value: object) -> date | None:
    if not isinstance(value, str) or len(value) != len("YYYYMMDD") or not value.isascii() or not value.isdigit():
        return None
    try:
        return date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError as error:
        _LOG.debug("%r is no day: %s", value, error)
        return None
