"""How often a host is asked, and when it is left alone: one book for all readers of a run, in whatever processes they are."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rumiai_ray.errors import RumiaiError
from rumiai_ray.ingest.host_names import is_spelled_as_address
from rumiai_ray.ingest.location import locate
from rumiai_ray.ingest.outcomes import BlockedError, LoginWallError, RateLimitedError
from rumiai_ray.ingest.sites import fetch as sites

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.ingest.limits import Manners

_LOG = logging.getLogger(__name__)

LEFT_ALONE = "if the posts themselves are refused, and not you: --limits-host-refusals 0"
_LONGEST_PAUSE_S = 6 * 3600.0
"""Most that is believed of a Retry-After: one answer says little of next year."""
_FULL_S = 1.0
"""After which a reader asks again where as many as allowed download from its host."""
_SHORT_LABEL = 3
"""Most letters of a second-level domain under a country's: `co.uk`, `com.br`."""


@dataclass(frozen=True)
class Host:
    """Whom a download asks."""

    name: str
    """A site's domain (`tiktok.com`), or the host of a media file."""
    paced: bool
    """It is a site with posts."""


@dataclass(frozen=True)
class Paused:
    """A host that is left alone for the rest of the run."""

    host: str
    why: str
    """What it said last."""
    until_s: float
    """When it is worth asking again; seconds since 1970."""
    of_entry: bool = False
    """The host has refused the very entry that is left undone, and not only others before it."""


class HostBook:
    """Hands out turns and counts refusals. A reader that asks again, as a repeated task does, gets the turn that it has already.

    Threads may share one.

    Args:
        manners: what to keep to.
        clock: seconds since 1970.
        refused_before: entries that a host refused in an earlier session, whose pause is over. A further refusal of one of them says
            something of the entry, not of the host: it pauses no host, or one such entry would pause its host at each resume for ever.
            Several such entries refused in a row do count: `manners.refusals` entries refused in a row pause the host.
    """

    def __init__(self, manners: Manners, clock: Callable[[], float] = time.time, refused_before: Collection[str] = ()) -> None:
        self._manners = manners
        self._refused_before = frozenset(refused_before)
        self._clock = clock
        self._one_at_a_time = threading.Lock()
        self._turns: dict[str, dict[str, float]] = {}
        """Start of each turn that is taken or waited for, by host and entry."""
        self._next_s: dict[str, float] = {}
        """Before which no further download of posts from a site starts."""
        self._quiet_until_s: dict[str, float] = {}
        """Before which a host is not asked, because it said so."""
        self._refused: dict[str, set[str]] = {}
        """By host: the entries that it has refused since it last answered. An entry counts once, however often it was tried."""
        self._refuse_all: set[str] = set()
        """Hosts that are paused for refusing one entry after another, not for the `Retry-After` of one refusal."""
        self._paused: dict[str, Paused] = {}

    def ask(self, host: Host, entry_id: str) -> float | Paused:
        """Seconds to wait before asking again, 0 for a turn that begins now; or why the host is left alone."""
        with self._one_at_a_time:
            if paused := self._paused.get(host.name):
                return paused
            now_s, manners = self._clock(), self._manners
            turns = self._turns.setdefault(host.name, {})
            for forgotten in [entry for entry, start_s in turns.items() if start_s + manners.lease_s < now_s]:
                del turns[forgotten]
            if entry_id not in turns:
                if len(turns) >= manners.downloads:
                    return _FULL_S
                turns[entry_id] = max(now_s, self._next_s.get(host.name, 0.0))
                if host.paced:
                    self._next_s[host.name] = turns[entry_id] + manners.interval_s
            return max(0.0, turns[entry_id] - now_s, self._quiet_until_s.get(host.name, 0.0) - now_s)

    def refused(self, host: str, why: str, retry_after_s: float | None, entry_id: str) -> Paused | None:
        """Note that a host has refused an entry. Further refusals of that entry, such as of its own retries, are not counted again.

        Args:
            host: its name.
            why: what it said.
            retry_after_s: how long it asks to be left alone; None where it does not say.
            entry_id: whom it refused.

        Returns:
            Why the entry is left undone: its host is paused. None if the host is not paused, or if the entry was refused before and the
            host does not refuse one entry after another.
        """
        with self._one_at_a_time:
            now_s, manners = self._clock(), self._manners
            asked_s = min(retry_after_s or 0.0, _LONGEST_PAUSE_S)
            too_long = asked_s > manners.longest_wait_s
            if not too_long:
                self._quiet_until_s[host] = max(self._quiet_until_s.get(host, 0.0), now_s + asked_s)
            refused = self._refused.setdefault(host, set())
            refused.add(entry_id)
            before = entry_id in self._refused_before
            # One entry that was refused before is no evidence against its host, whatever the limit is.
            refuses_all = len(refused) >= manners.refusals and not (before and len(refused) == 1)
            if manners.refusals and (refuses_all or (too_long and not before)):
                until_s = now_s + (asked_s if too_long else max(asked_s, manners.pause_s))
                self._paused.setdefault(host, Paused(host, why, until_s))
                self._refuse_all |= {host} if refuses_all else set()
            return self._reason(host, entry_id)

    def ended(self, host: str, entry_id: str, *, answered: bool) -> Paused | None:
        """Note that a turn is over; returns why the entry, if it was refused, is left undone, as `refused` does.

        Args:
            host: its name.
            entry_id: whose turn.
            answered: the host has said something of the post, good or bad, so that refusals are no longer in a row.
        """
        with self._one_at_a_time:
            self._turns.get(host, {}).pop(entry_id, None)
            if answered:
                self._refused.pop(host, None)
            return self._reason(host, entry_id)

    def _reason(self, host: str, entry_id: str) -> Paused | None:
        """Why a refused entry is left undone; see `refused`."""
        return self._paused.get(host) if entry_id not in self._refused_before or host in self._refuse_all else None


def host_of(entry: Entry) -> Host | None:
    """Whom reading `entry` asks; None for files and objects in stores, and for what cannot be read anyway."""
    try:
        location = None if entry.problem else locate(entry.location or entry.input)
    except RumiaiError as error:
        _LOG.debug("%s asks no host: %s", entry.entry_id, error)
        return None
    if location is None or location.kind != "web":
        return None
    name = urlsplit(location.address).hostname or ""
    try:
        has_posts = sites.knows(location.address)
    except RumiaiError as error:  # `fetch` will meet it again
        _LOG.debug("%s is paced as a media file: %s", entry.entry_id, error)
        has_posts = False
    return Host(_site(name) if has_posts else name, has_posts)


def refusal_of(error: BaseException) -> RumiaiError | None:
    """`error`, where it says that the host refuses all requests of this machine: too many requests, access refused, captcha, login wall."""
    return error if isinstance(error, RateLimitedError | BlockedError | LoginWallError) else None


def refuses(host: Host, refusal: RumiaiError) -> bool:
    """Whether it is this host that refuses, and not another one to which it has redirected."""
    answered_by = str(getattr(refusal, "answered_by", ""))
    return not answered_by or answered_by == host.name or answered_by.endswith(f".{host.name}")


def _site(host: str) -> str:
    """The domain that a site is known by: `vm.tiktok.com` and `www.tiktok.com` are served and limited together."""
    labels = host.split(".")
    if is_spelled_as_address(host):
        return host
    below_country = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= _SHORT_LABEL  # noqa: PLR2004 -- two letters are a country
    return ".".join(labels[-3 if below_country else -2 :])
