"""However a host is spelled, it is one host: to the rules, to the book of hosts, to yt-dlp's patterns and to its cookies."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumiai_ray.config import load_config
from rumiai_ray.errors import ConfigError, InputError
from rumiai_ray.ingest.entries import Entry
from rumiai_ray.ingest.host_names import canonical_host, canonical_url
from rumiai_ray.ingest.location import locate
from rumiai_ray.ingest.manners import Host, host_of
from rumiai_ray.ingest.rules import InputRules

SPELLINGS = (
    "www.tiktok.com", "WWW.TikTok.COM", "www.tiktok.com.", "www.tiktok.com。", "www。tiktok．com", "ｗｗｗ.ｔｉｋｔｏｋ.com",
    "www.tik\u00adtok.com", "www.tiktok.com:443", "www.tiktok.com.:", "WWW.TIKTOK.COM｡:0443",
)  # fmt: skip
NO_HOSTS = (
    "www.tiktok.com%2e",
    "www%2etiktok.com",
    "www..tiktok.com",
    "www.tiktok.com..",
    ".",
    "。",
    "tik tok.com",
    "a" * 64 + ".com",
    "[::1",
    "[v1.x]",
)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_a_site_has_one_book_one_rule_and_its_extractor(spelling: str) -> None:
    url = f"HTTPS://{spelling}/@somebody/video/7301234567890123456?a#b"
    assert host_of(Entry("e", url)) == Host("tiktok.com", paced=True)
    assert locate(url).address == "https://www.tiktok.com/@somebody/video/7301234567890123456?a#b"
    host = urlsplit(url).hostname or ""
    InputRules(hosts=("www.tiktok.com",)).check_host(host)
    InputRules(hosts=(".TikTok.com",)).check_host(host)
    with pytest.raises(InputError, match="not allowed"):
        InputRules(hosts=("tiktok.com",)).check_host(host)


@pytest.mark.parametrize("host", NO_HOSTS)
def test_what_some_program_might_take_for_another_host_is_refused_before_anybody_is_asked(host: str) -> None:
    with pytest.raises(InputError):
        locate(f"https://{host}/a.mp4")
    assert host_of(Entry("e", f"https://{host}/a.mp4")) is None


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("[2001:DB8:0:0::1]", "2001:db8::1"),
        ("2001:db8::0001", "2001:db8::1"),
        ("192.0.2.7.", "192.0.2.7"),
        ("0xC0.0.2.7", "192.0.2.7"),
        ("3221225991", "192.0.2.7"),
        ("MÜNCHEN.example", "xn--mnchen-3ya.example"),
        ("xn--MNCHEN-3ya.example", "xn--mnchen-3ya.example"),
    ],
)
def test_addresses_and_names_of_other_scripts_have_one_spelling(spelling: str, name: str) -> None:
    assert canonical_host(spelling) == name
    assert canonical_host(name) == name


@given(st.text(st.sampled_from("aA0.-_xX:%[]。é\u00ad1279"), max_size=24))
def test_a_canonical_host_is_its_own_canonical_form(text: str) -> None:
    try:
        host = canonical_host(text)
    except InputError:
        return
    assert canonical_host(host) == host
    assert host.isascii()
    assert host == host.lower()


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("http://h:80/", "http://h/"),
        ("http://h:443/", "http://h:443/"),
        ("https://H?", "https://h?"),
        ("https://h/a%2Fb/?X=Y&sig=A%2B#", "https://h/a%2Fb/?X=Y&sig=A%2B#"),
        ("https://[2001:DB8::1]:8443/a", "https://[2001:db8::1]:8443/a"),
        ("https://h/é?ü", "https://h/é?ü"),
    ],
)
def test_only_the_host_of_an_address_changes(url: str, canonical: str) -> None:
    assert canonical_url(url) == canonical


def test_a_rule_that_names_no_host_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigError, match="not a host"):
        load_config(flags={"limits": {"hosts": ["a..example"]}})


def test_an_address_that_the_resolver_takes_for_one_is_that_address() -> None:
    for spelling in ("0x7f.1", "2130706433", "0177.0.0.1", "127.1"):
        assert canonical_host(spelling) == socket.getaddrinfo(spelling, 80)[0][4][0]
