"""How often a host is asked, and when it is left alone; on a clock of the tests' own."""

from __future__ import annotations

import heapq
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumiai_ray.engine.results.history_records import log_put_off, refused_before
from rumiai_ray.engine.work.host_turn import HostTurn
from rumiai_ray.errors import InputError, RumiaiError, TransientError
from rumiai_ray.ingest.entries import Entry, Problem
from rumiai_ray.ingest.limits import Manners
from rumiai_ray.ingest.manners import Host, HostBook, Paused, host_of
from rumiai_ray.ingest.outcomes import BlockedError, HostPausedError, LoginWallError, PrivateError, RateLimitedError, RemovedError
from rumiai_ray.ingest.sites import fetch as sites
from rumiai_ray.runs.history_log import HistoryLog
from rumiai_ray.storage import Store

if TYPE_CHECKING:
    from pathlib import Path

SITE = Host("site.example", paced=True)
FILES = Host("files.example", paced=False)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now_s += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_posts_of_one_site_start_one_after_another_and_files_at_once(clock: Clock) -> None:
    book = HostBook(Manners(downloads=10, interval_s=2.0), clock)
    assert [book.ask(SITE, entry) for entry in "abc"] == [0.0, 2.0, 4.0]
    assert book.ask(Host("other.example", paced=True), "d") == 0.0
    assert [book.ask(FILES, entry) for entry in "efg"] == [0.0, 0.0, 0.0]
    clock.sleep(2.0)
    assert [book.ask(SITE, entry) for entry in "abc"] == [0.0, 0.0, 2.0], "who asks again has the same turn"


def test_no_more_than_so_many_download_from_one_host(clock: Clock) -> None:
    book = HostBook(Manners(downloads=2, lease_s=60.0), clock)
    assert [book.ask(FILES, entry) for entry in "abc"] == [0.0, 0.0, 1.0]
    book.ended(FILES.name, "a", answered=True)
    assert [book.ask(FILES, entry) for entry in "cd"] == [0.0, 1.0]
    clock.sleep(61.0)
    assert book.ask(FILES, "d") == 0.0, "readers that were killed give nothing back"


def test_all_readers_wait_as_long_as_a_host_asks(clock: Clock) -> None:
    book = HostBook(Manners(), clock)
    assert book.refused(FILES.name, "HTTP 429", 30.0, "a") is None
    assert book.ask(FILES, "a") == 30.0
    clock.sleep(30.0)
    assert book.ask(FILES, "a") == 0.0


def test_a_host_that_asks_for_too_long_is_left_alone_at_once(clock: Clock) -> None:
    book = HostBook(Manners(longest_wait_s=60.0), clock)
    paused = Paused(SITE.name, "HTTP 429", clock.now_s + 3600.0)
    assert book.refused(SITE.name, "HTTP 429", 3600.0, "a") == paused
    assert book.ask(SITE, "a") == paused
    assert book.ask(FILES, "a") == 0.0


def test_a_host_that_asks_for_a_year_is_believed_for_hours(clock: Clock) -> None:
    paused = HostBook(Manners(), clock).refused(SITE.name, "HTTP 429", 366 * 86400.0, "a")
    assert paused is not None
    assert paused.until_s == clock.now_s + 6 * 3600.0


def test_only_entries_that_are_refused_in_a_row_count(clock: Clock) -> None:
    book = HostBook(Manners(refusals=3, pause_s=900.0), clock)
    for _ in range(5):
        assert book.refused(SITE.name, "no", None, "a") is None
        assert book.refused(SITE.name, "no", None, "b") is None
        assert book.ended(SITE.name, "c", answered=True) is None
    for entry in "ab":
        assert book.refused(SITE.name, "no", None, entry) is None
        book.ended(SITE.name, entry, answered=False)
    assert book.refused(SITE.name, "no", None, "c") == Paused(SITE.name, "no", clock.now_s + 900.0)


def test_an_entry_that_is_refused_at_each_of_its_attempts_counts_once(clock: Clock) -> None:
    book = HostBook(Manners(refusals=3), clock)
    for entry in "ab":
        turn = HostTurn(SITE, entry, book, clock.sleep)
        assert turn.wait() is None
        for _ in range(5):
            turn.refused(RateLimitedError("HTTP 429", "u"))
        assert turn.ended(RateLimitedError("HTTP 429", "u")) is None
    third = HostTurn(SITE, "c", book, clock.sleep)
    assert third.wait() is None
    with pytest.raises(HostPausedError):
        third.refused(RateLimitedError("HTTP 429", "u"))


@given(st.lists(st.none() | st.floats(0, 10**7)))
def test_without_a_limit_no_host_is_left_alone(waits: list[float | None]) -> None:
    book = HostBook(Manners(refusals=0), Clock())
    assert [book.refused(SITE.name, "no", wait_s, str(number)) for number, wait_s in enumerate(waits)] == [None] * len(waits)
    assert isinstance(book.ask(SITE, "a"), float)


@given(st.lists(st.floats(0.0, 20.0), min_size=1, max_size=12), st.integers(1, 3), st.integers(1, 6), st.floats(0.1, 5.0))
def test_however_long_downloads_take_starts_keep_their_distance_and_their_number(
    lengths_s: list[float], downloads: int, readers: int, interval_s: float
) -> None:
    clock = Clock()
    book = HostBook(Manners(downloads=downloads, interval_s=interval_s), clock)
    waiting = [(clock.now_s, reader, "") for reader in range(readers)]
    starts: list[float] = []
    running: set[str] = set()
    left = [f"e{number}" for number in range(len(lengths_s))]
    heapq.heapify(waiting)
    while waiting:
        clock.now_s, reader, entry = heapq.heappop(waiting)
        if entry in running:
            running.remove(entry)
            book.ended(SITE.name, entry, answered=True)
            entry = ""
        if not entry and not left:
            continue
        entry = entry or left.pop()
        wait_s = book.ask(SITE, entry)
        assert isinstance(wait_s, float)
        if not wait_s:
            running.add(entry)
            starts.append(clock.now_s)
            wait_s = lengths_s[int(entry[1:])]
        heapq.heappush(waiting, (clock.now_s + wait_s, reader, entry))
        assert len(running) <= downloads
    assert len(starts) == len(lengths_s)
    assert all(later - earlier > interval_s * 0.999 for earlier, later in pairwise(starts))


@pytest.mark.parametrize(
    ("error", "counts", "undone"),
    [
        (RateLimitedError("HTTP 429", "u"), 0, True),  # each attempt has told of itself
        (BlockedError("captcha", "u"), 1, True),
        (LoginWallError("login", "u"), 1, True),
        (HostPausedError("HTTP 429", "u"), 0, True),
        (PrivateError("private", "u"), 0, False),
        (RemovedError("gone", "u"), 0, False),
        (TransientError("reset", "u"), 0, False),
        (None, 0, False),
    ],
)
def test_what_an_entry_ended_with_says_whether_it_is_left_undone(
    clock: Clock,
    error: RumiaiError | None,
    counts: int,
    undone: bool,  # noqa: FBT001 -- a table
) -> None:
    book = HostBook(Manners(refusals=1), clock)
    turn = HostTurn(SITE, "a", book, clock.sleep)
    assert turn.wait() is None
    if not counts:
        assert book.refused(SITE.name, "before", None, "other")
    paused = turn.ended(error)
    assert (paused is not None) is undone
    assert isinstance(turn.wait(), Paused)


def test_a_host_is_not_charged_with_what_another_one_says_to_which_it_redirects(clock: Clock) -> None:
    book = HostBook(Manners(refusals=1), clock)
    error = RateLimitedError("HTTP 429", "u", "", 366 * 86400.0)
    error.answered_by = "evil.example"
    turn = HostTurn(SITE, "a", book, clock.sleep)
    assert turn.wait() is None
    turn.refused(error)
    assert turn.ended(error) is None, "the entry is a dead letter"
    assert book.ask(SITE, "b") == 1.0, "the next download of a site starts a second later, as always"
    error.answered_by = f"www.{SITE.name}"
    with pytest.raises(HostPausedError):
        turn.refused(error)


def test_an_error_of_our_own_is_no_answer_of_the_host(clock: Clock) -> None:
    book = HostBook(Manners(refusals=2), clock)
    assert book.refused(SITE.name, "no", None, "before") is None
    HostTurn(SITE, "a", book, clock.sleep).ended(InputError("the rules forbid it"))
    assert book.refused(SITE.name, "no", None, "after") is not None


def test_a_turn_is_waited_for_and_a_refusal_ends_the_attempts(clock: Clock) -> None:
    book = HostBook(Manners(interval_s=5.0, refusals=2), clock)
    first, second = (HostTurn(SITE, entry, book, clock.sleep) for entry in "ab")
    assert first.wait() is None
    assert (second.wait(), clock.now_s) == (None, 1005.0)
    first.refused(RateLimitedError("HTTP 429", "u"))
    with pytest.raises(HostPausedError, match="HTTP 429"):
        second.refused(RateLimitedError("HTTP 429", "u"))
    assert HostTurn().wait() is None
    assert HostTurn().ended(BlockedError("no")) is None


def _asked(book: HostBook, entry: str, clock: Clock, error: RumiaiError | None) -> Paused | None:
    """Ask a site for an entry, which ends with `error`; why the entry is left undone."""
    turn = HostTurn(SITE, entry, book, clock.sleep)
    if paused := turn.wait():
        return paused
    try:
        if isinstance(error, RateLimitedError):
            turn.refused(error)
    except HostPausedError as pause:
        error = pause
    return turn.ended(error)


@pytest.mark.parametrize(
    "refusal", [RateLimitedError("HTTP 429", "u", "", 3600.0), BlockedError("captcha", "u"), LoginWallError("login", "u")]
)
def test_an_entry_that_has_its_host_left_alone_is_a_dead_letter_when_it_is_refused_again_after_the_pause(
    tmp_path: Path, clock: Clock, refusal: RumiaiError
) -> None:
    """Each session is one of a run that is resumed; its book knows what the run's log of the sessions before says."""
    run = Store.at(tmp_path)

    def session(host_has_calmed_down: bool) -> dict[str, str]:  # noqa: FBT001 -- private to the test
        book = HostBook(Manners(refusals=1), clock, refused_before(run, clock()))
        log = HistoryLog(run)
        ended = {}
        for entry in ("bad", "other", "another"):
            error = refusal if entry == "bad" or not host_has_calmed_down else None
            paused = _asked(book, entry, clock, error)
            if paused is not None:
                log_put_off(log, entry, paused)
            ended[entry] = "dead letter" if paused is None and error is not None else "committed" if paused is None else "left undone"
        log.close()
        return ended

    undone = dict.fromkeys(("bad", "other", "another"), "left undone")
    assert session(host_has_calmed_down=False) == undone
    assert session(host_has_calmed_down=True) == undone, "the pause is not over: the host may still mean every request"
    clock.sleep(3600.0)
    assert session(host_has_calmed_down=True) == {"bad": "dead letter", "other": "committed", "another": "committed"}
    assert session(host_has_calmed_down=False) == {"bad": "dead letter", "other": "left undone", "another": "left undone"}


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), max_size=40), st.integers(1, 5))
def test_rows_that_were_refused_before_pause_a_host_only_when_it_refuses_so_many_different_ones_in_a_row(
    said: list[tuple[str, bool]], refusals: int
) -> None:
    book = HostBook(Manners(refusals=refusals), Clock(), refused_before="abcdef")
    in_a_row: set[str] = set()
    for entry, answers in said:
        if answers:
            assert book.ended(SITE.name, entry, answered=True) is None
            in_a_row.clear()
            continue
        in_a_row.add(entry)
        paused = book.refused(SITE.name, "no", 3600.0, entry)
        assert (paused is not None) is (len(in_a_row) >= max(refusals, 2)), "one row says nothing of its host, however often it is refused"
        if paused is not None:
            assert book.ended(SITE.name, entry, answered=False) == paused, "the row is left undone"
            assert book.ask(SITE, "another") == paused
            break


def test_rows_that_were_refused_before_and_others_are_in_one_row(clock: Clock) -> None:
    book = HostBook(Manners(refusals=3), clock, refused_before="ab")
    assert [book.refused(SITE.name, "no", None, entry) for entry in "aabb"] == [None] * 4
    assert book.refused(SITE.name, "no", None, "new") is not None


@pytest.mark.parametrize(
    "refusal", [RateLimitedError("HTTP 429", "u", "", 3600.0), BlockedError("captcha", "u"), LoginWallError("login", "u")]
)
def test_a_host_that_refuses_every_row_is_left_alone_although_all_of_them_were_refused_before(clock: Clock, refusal: RumiaiError) -> None:
    entries = [f"e{number}" for number in range(30)]
    left = list(entries)
    while left:  # each round is a session of its own, and the pause is over
        book = HostBook(Manners(refusals=10), clock, refused_before=entries)
        ended: dict[str, Paused | None] = {}
        for entry in left:
            ended[entry] = _asked(book, entry, clock, refusal)
        dead = [entry for entry, paused in ended.items() if paused is None]
        assert dead == left[:9], "the tenth refusal in a row is about the host, and nobody is asked after that"
        assert [entry for entry, paused in ended.items() if paused is not None and paused.of_entry] == left[9:10]
        left = left[9:]


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("https://vm.tiktok.com/x", Host("tiktok.com", paced=True)),
        ("https://www.bbc.co.uk/x", Host("bbc.co.uk", paced=True)),
        ("https://192.0.2.7:8000/x", Host("192.0.2.7", paced=True)),
        ("https://bucket.s3.example.com/a.mp4", Host("bucket.s3.example.com", paced=False)),
        ("/some/file.mp4", None),
        ("s3://bucket/a.mp4", None),
        ("ftp://h/a", None),
    ],
)
def test_subdomains_of_a_site_are_one_host_and_those_of_files_are_not(
    text: str, host: Host | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def knows(url: str) -> bool:
        if url.endswith("broken"):
            raise InputError("an address of 9,000 characters")
        return ".mp4" not in url

    monkeypatch.setattr(sites, "knows", knows)
    assert host_of(Entry("e", text)) == host
    assert host_of(Entry("e", "https://h/broken")) == Host("h", paced=False)
    assert host_of(Entry("e", "https://h/x", problem=Problem("no", "", ""))) is None
