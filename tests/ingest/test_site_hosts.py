"""The literals of hosts that choose extractors, against yt-dlp's own test addresses and against patterns of every shape."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yt_dlp.extractor import gen_extractor_classes

from rumiai_ray.ingest.sites.hosts import Literals, SiteHosts, literals_of
from rumiai_ray.ingest.sites.ytdlp import known_sites, site_hosts

PATTERNS = (
    r"https?://(?:www\.)?tiktok\.com/@(?P<id>[\w.-]{1,9})/video/\d{1,5}",
    r"https?://(?:[^/]+\.)?example\.(?:com|org)/\d{1,4}",
    r"https?://.+?\.example\.com/x",
    r"https?://[^/]+/Mediasite/Play/[0-9a-f]{4}",
    r"(?:https?:)?//(?:www\.|cdn\.|)(?:tvopen|ethnos).gr/embed/\d{1,3}",
    r"(?:npo:|https?://(?:www\.)?npo\.nl/)[a-z]{1,4}",
    r"(?x) https?:// (?P<host> t\.me | telegram\.me ) / \w{1,5}",
    r"https?://(?P<a>a{2,3})\.host(?:\d+)?\.net",
    r"(?i)https?://(?:WWW\.)?Upper\.Com/[A-Z]{1,3}",
    r"https?://[ab]lpha\.io/|https?://beta\.io/",
    r"https?://?(?:www\.)?croatian\.film/[a-z]{2}",
    r"https?://(?!evil)[a-z]{1,5}\.good\.org(?:/|$)",
    r"(?:https?://)?(?:\w+\.)?(?:youtube\.com/watch\?v=)?[0-9A-Za-z_-]{11}",
)


@pytest.fixture(scope="module")
def hosts() -> SiteHosts:
    return site_hosts()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_address_that_a_pattern_matches_has_one_of_its_literals(pattern: str) -> None:
    known = literals_of([pattern])

    @settings(max_examples=60, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow], deadline=None)
    @given(st.from_regex(rf"\A(?:{pattern.removeprefix('(?x)').removeprefix('(?i)')})" if "(?x)" not in pattern else pattern))
    def holds(url: str) -> None:
        if re.match(r"https?://", url) and re.match(pattern, url):
            host = url.lower().partition("://")[2]
            for end in "/?#":
                host = host.partition(end)[0]
            assert known.fit(url.lower(), "://" + host), (known, url)

    holds()


def test_every_test_address_of_yt_dlp_is_a_candidate_of_its_extractor(hosts: SiteHosts) -> None:
    """All 5,800 of them, so that an update of yt-dlp with a pattern of a new shape is noticed."""
    asked, missed = 0, []
    for site in gen_extractor_classes():
        if site.IE_NAME == "generic" or not getattr(site, "_ENABLED", True):
            continue
        for case in site.get_testcases(include_onlymatching=True):
            url = case["url"]
            if re.match(r"https?://", url) and site.suitable(url):
                asked += 1
                # An extractor with a literal of its own is a candidate whatever the others are: to ask them too takes 1,800 times as long.
                known = hosts.literals.get(site.__name__, Literals())
                table = hosts if known.always else SiteHosts({site.__name__: known})
                if site.__name__ not in table.candidates(url):
                    missed.append((site.__name__, url))
    assert asked > 5000
    assert missed == []


def test_few_patterns_are_matched_with_one_address(hosts: SiteHosts) -> None:
    assert len(hosts.candidates("https://www.tv2.no/v/" + "a/" * 60)) <= 5
    assert len(hosts.candidates("https://www.tiktok.com/@a/video/6748451240264420610")) <= 15
    assert hosts.candidates("https://cdn.example.com/video/clip.mp4") == []


def test_nearly_every_extractor_has_a_literal(hosts: SiteHosts) -> None:
    assert len(known_sites()) > 1500
    assert sum(known.always for known in hosts.literals.values()) <= 3


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    table = SiteHosts({"AIE": Literals(("://a.example",)), "BIE": Literals((), ("/b/",)), "CIE": Literals(always=True)})
    for url in (text, f"https://{text}", f"https://a.example/{text}"):
        assert set(table.candidates(url)) <= {"AIE", "BIE", "CIE"}
    assert "AIE" in table.candidates(f"https://a.example/{text}")
