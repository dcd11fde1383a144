"""What a row may name, where a manifest comes from strangers."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumiai_ray.config import load_config
from rumiai_ray.engine.setup.run_setup import decode_limits, fetch_limits
from rumiai_ray.errors import ConfigError, InputError
from rumiai_ray.ingest import addresses
from rumiai_ray.ingest.addresses import is_public, own_addresses, resolve
from rumiai_ray.ingest.location import locate
from rumiai_ray.ingest.rules import InputRules

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.ingest.limits import FetchLimits
    from tests.ingest.conftest import Site

ONE_OF_EACH = {"web": "https://example.com/a.mp4", "file": "/srv/a.mp4", "store": "s3://bucket/a.mp4"}


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_a_kind_of_input_that_is_not_allowed_is_refused_before_anything_is_opened(kind: str) -> None:
    others = tuple(other for other in ONE_OF_EACH if other != kind)
    with pytest.raises(InputError, match=rf"kind '{kind}' are not allowed.*--limits-inputs"):
        InputRules(inputs=others).checked(locate(ONE_OF_EACH[kind]))
    assert InputRules(inputs=(kind,)).checked(locate(ONE_OF_EACH[kind])) == ONE_OF_EACH[kind]


def test_files_are_read_below_the_roots_only_whatever_links_and_dots_say(got: Any, limits: FetchLimits, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "deep").mkdir(parents=True)
    (root / "deep/a.mp4").write_bytes(b"inside")
    (tmp_path / "secret.mp4").write_bytes(b"outside")
    (tmp_path / "root-beside.mp4").write_bytes(b"outside")
    (root / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    (root / "up").symlink_to(tmp_path)
    (tmp_path / "in").symlink_to(root)
    bound = replace(limits, rules=InputRules(roots=(str(root),)))
    for name in ("root/deep/a.mp4", "root/deep/../deep/a.mp4", "in/deep/a.mp4", "root/up/root/deep/a.mp4"):
        with got(f"{tmp_path}/{name}", bound) as video:
            assert video.path.read_bytes() == b"inside"
    outside = ("secret.mp4", "root-beside.mp4", "root/link.mp4", "root/up/secret.mp4", "root/../secret.mp4", "root/deep/../../secret.mp4")
    for name in (*outside, "root/../../../../../../../../etc/passwd"):
        for text in (f"{tmp_path}/{name}", f"file://{tmp_path}/{name}"):
            with pytest.raises(InputError, match=r"outside the directories|no such file"), got(text, bound):
                pass


@pytest.mark.parametrize(
    ("uri", "allowed"),
    [
        ("s3://videos/a.mp4", True),
        ("S3A://videos/a.mp4", True),
        ("s3://videos2/a.mp4", False),
        ("s3://Videos/a.mp4", False),
        ("gs://videos/a.mp4", False),
        ("s3://vid\teos/a.mp4", False),
        ("s3://me@videos/a.mp4", False),
        ("s3://videos@other/a.mp4", False),
        ("s3://other/public/a.mp4", True),
        ("s3://other/public", True),
        ("s3://other/publicity/a.mp4", False),
        ("s3://other/public/../private/a.mp4", False),
        ("s3://other/public/%2e%2e/private/a.mp4", True),  # a key that is spelled so: nobody decodes it
        ("s3://other//public/a.mp4", False),
    ],
)
def test_objects_are_read_from_the_buckets_and_prefixes_that_are_allowed(uri: str, allowed: bool) -> None:  # noqa: FBT001 -- a table
    rules = InputRules(buckets=("s3://videos", "s3://other/public/"))
    if allowed:
        assert rules.checked(locate(uri)) == uri
    else:
        with pytest.raises(InputError, match=r"--limits-buckets"):
            rules.checked(locate(uri))


@given(st.text(max_size=40))
def test_no_spelling_of_an_object_leaves_its_prefix(key: str) -> None:
    uri = f"s3://other/{key}"
    try:
        InputRules(buckets=("s3://other/public",)).checked(locate(uri))
    except InputError:
        return
    assert uri == "s3://other/public" or uri.startswith("s3://other/public/")
    assert ".." not in key.split("/")


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("example.com", True),
        ("EXAMPLE.com.", True),
        ("www.example.com", False),
        ("notexample.com", False),
        ("v1.tiktokcdn.com", True),
        ("tiktokcdn.com", False),
        ("tiktokcdn.com.evil.org", False),
        ("eviltiktokcdn.com", False),
        ("example.com@evil.org", False),
    ],
)
def test_hosts_are_allowed_by_their_whole_name_or_by_what_they_are_below(host: str, allowed: bool) -> None:  # noqa: FBT001 -- a table
    rules = InputRules(hosts=("example.com", ".tiktokcdn.com"))
    if allowed:
        rules.check_host(host)
    else:
        with pytest.raises(InputError, match=r"--limits-hosts"):
            rules.check_host(host)


def test_a_redirect_leads_to_no_host_that_is_not_allowed(site: Site, got: Any, limits: FetchLimits) -> None:
    elsewhere = site.url("/a.mp4").replace("127.0.0.1", "localhost")
    url = site.serve("/hop.mp4", 302, Location=elsewhere)
    with pytest.raises(InputError, match="this host is not allowed"), got(url, replace(limits, rules=InputRules(hosts=("127.0.0.1",)))):
        pass


def test_a_denied_network_stays_closed_where_private_hosts_are_allowed(site: Site, got: Any, limits: FetchLimits) -> None:
    url = site.serve("/a.mp4", 200, b"\0\0\0\x18ftypmp42")
    with pytest.raises(InputError, match="denied network"), got(url, replace(limits, rules=InputRules(denied_networks=("127.0.0.0/8",)))):
        pass
    rules = InputRules(denied_networks=("10.0.0.0/8",))
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203", "2002:a01:203::1"):
        assert rules.denies(address), address
    for address in ("11.0.0.1", "2600::a01:203"):
        assert not rules.denies(address), address


def test_services_of_the_ibm_cloud_are_not_public() -> None:
    for address in ("161.26.0.10", "161.26.255.255", "166.8.0.1", "166.11.255.255", "::ffff:166.9.1.1"):
        assert not is_public(address), address
    for address in ("161.25.255.255", "161.27.0.0", "166.7.255.255", "166.12.0.0"):
        assert is_public(address), address


def test_the_machines_own_addresses_are_inside_even_where_they_are_public(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "127.0.0.1" in own_addresses()
    monkeypatch.setattr(addresses, "own_addresses", lambda: frozenset({"8.8.4.4", "2600::1"}))
    for host in ("8.8.4.4", "0x08080404", "2600:0:0::1"):
        with pytest.raises(InputError, match="this machine's own"):
            resolve(host, 80, allow_private=False)
        assert resolve(host, 80, allow_private=True)
    assert resolve("8.8.8.8", 80, allow_private=False)


def test_own_addresses_are_those_the_kernel_lets_us_bind() -> None:
    for address in own_addresses():
        if address.startswith("fe80"):
            continue  # needs its zone
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as sock:
            sock.bind((address, 0))


def test_the_settings_reach_a_fetch() -> None:
    given = {
        "inputs": "web,store",
        "roots": "/srv,/mnt",
        "buckets": "s3://a/b",
        "hosts": ".example.com",
        "denied_networks": "203.0.113.0/24",
        "scratch_max_mb": 5,
        "disk_reserve_mb": 7,
    }
    config = load_config(flags={"limits": given})
    limits = fetch_limits(config)
    assert decode_limits(config).reserve_bytes == 7 * 2**20
    assert limits.rules == InputRules(("web", "store"), ("/srv", "/mnt"), ("s3://a/b",), (".example.com",), ("203.0.113.0/24",))
    assert (limits.scratch_bytes, limits.reserve_bytes) == (5 * 2**20, 7 * 2**20)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("inputs", "web,ftp"),
        ("inputs", ""),
        ("roots", "relative/path"),
        ("buckets", "videos"),
        ("hosts", "https://example.com"),
        ("hosts", "*.example.com"),
        ("denied_networks", "10.0.0.0/33"),
        ("denied_networks", "intern.example"),
    ],
)
def test_a_rule_that_would_match_nothing_is_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"limits\.{name}"):
        load_config(flags={"limits": {name: value}})
