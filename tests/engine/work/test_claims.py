"""What extraction tasks agree on."""

from __future__ import annotations

from rumiai_ray.engine.work.entry_registry import Claims, ReadingBegun


def test_the_first_entry_that_claims_a_video_owns_it_and_may_ask_again() -> None:
    claims = Claims({"known": ""})
    assert claims.claim("v", "a")
    assert not claims.claim("v", "b")
    assert claims.claim("v", "a")
    assert not claims.claim("known", "a")


def test_only_the_entry_that_was_being_read_when_the_worker_died_is_charged() -> None:
    claims = Claims({})
    for deaths in range(3):
        assert claims.begin("innocent") == 0
        assert claims.begin("killer", "innocent") == deaths
    assert claims.begin("next", "killer") == 0
    assert claims.begin("killer", "next") == 0


def test_an_entry_that_was_ended_is_not_charged() -> None:
    claims = Claims({})
    assert claims.begin("last") == 0
    claims.end("last")
    assert claims.begin("last") == 0


def test_what_a_dead_letter_had_claimed_goes_to_the_next_who_asks() -> None:
    claims = Claims({"known": ""})
    assert claims.claim("v", "a")
    claims.release("a")
    claims.release("never claimed anything")
    assert claims.claim("v", "b")
    assert not claims.claim("v", "a")
    assert not claims.claim("known", "a")


def test_the_lengths_that_were_told_are_taken_once_and_the_last_word_on_an_entry_counts() -> None:
    claims = Claims({})
    claims.has_length("a", 3.0)
    claims.has_length("a", 4.0)
    claims.has_length("copy of a", 0.0)
    assert claims.take_news().lengths_s == {"a": 4.0, "copy of a": 0.0}
    assert claims.take_news().lengths_s == {}


def test_it_tells_once_who_began_to_read_what_for_the_how_manieth_time_and_always_what_is_being_read() -> None:
    claims = Claims({})
    claims.begin("a", None, "one")
    claims.begin("b", "a", "one")
    claims.begin("b", None, "two")  # the process on node one has died
    news = claims.take_news()
    assert news.begun == (ReadingBegun("a", "one", 1), ReadingBegun("b", "one", 1), ReadingBegun("b", "two", 2))
    ((under_way),) = news.under_way
    assert (under_way.entry_id, under_way.node) == ("b", "two")
    assert under_way.for_s >= 0
    assert claims.take_news().begun == ()
    claims.end("b")
    assert claims.take_news().under_way == ()
