"""Entries that were refused, kept between calls: what the file says is only data."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest

from rumiai_ray.ingest.entries import Entry
from rumiai_ray.ingest.refused_entries import RefusedEntries

if TYPE_CHECKING:
    from pathlib import Path

BAD, GOOD = Entry("1", "https://h.example/@zoe/1"), Entry("2", "https://h.example/@zoe/2")


def test_an_entry_is_remembered_once_its_pause_is_over_until_it_is_had(tmp_path: Path) -> None:
    path = tmp_path / "refused.json"
    kept = RefusedEntries(path)
    kept.refused(BAD, 100.5)
    kept.refused(BAD, 900)
    kept.save()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "zoe" not in path.read_text()
    again = RefusedEntries(path)
    assert again.over([BAD, GOOD], 99) == frozenset()
    assert again.over([BAD, GOOD], 100) == {"1"}
    assert again.over([Entry("1", "https://h.example/@ann/1")], 100) == frozenset(), "another manifest's entry of that id"
    again.answered(BAD)
    again.save()
    assert RefusedEntries(path).over([BAD], 100) == frozenset()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff", b"[" * 100_000, b"[]", b"null", b"7", b'{"a": 1}', b'{"%s": true}' % (b"0" * 64), b'{"%s": NaN}' % (b"0" * 64),
        b'{"%s": "x"}' % (b"0" * 64), b'{"%s": -1}' % (b"0" * 64), b'{"%s": 1%s}' % (b"0" * 64, b"0" * 5000), b" " * 2_000_000,
    ],
)  # fmt: skip
def test_a_strangers_file_counts_as_empty_and_is_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "refused.json"
    path.write_bytes(content)
    kept = RefusedEntries(path)
    assert kept.over([BAD], 1e12) == frozenset()
    kept.refused(BAD, 1)
    kept.save()
    assert len(json.loads(path.read_text())) == 1


def test_a_pipe_and_a_directory_are_not_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "directory"):
        kept = RefusedEntries(tmp_path / name)
        assert f"is not known: {tmp_path / name}: " in caplog.text
        assert kept.over([BAD], 1e12) == frozenset()
        kept.refused(BAD, 1)
        kept.save()
    assert RefusedEntries(tmp_path / "pipe").over([BAD], 1) == {"1"}, "the file has taken the place of the pipe"
    assert "cannot be kept" in caplog.text


def test_a_link_is_not_read_and_what_it_leads_to_stays_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    victims = RefusedEntries(tmp_path / "victim")
    victims.refused(BAD, 1)
    victims.save()
    before = (tmp_path / "victim").read_bytes()
    assert RefusedEntries(tmp_path / "victim").over([BAD], 1) == {"1"}
    (tmp_path / "link").symlink_to("victim")
    kept = RefusedEntries(tmp_path / "link")
    assert f"is not known: {tmp_path / 'link'}: " in caplog.text
    assert kept.over([BAD, GOOD], 1e12) == frozenset()
    kept.refused(GOOD, 1)
    kept.save()
    assert (tmp_path / "victim").read_bytes() == before
    assert RefusedEntries(tmp_path / "link").over([BAD, GOOD], 1) == {"2"}


def test_the_file_has_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "refused.json"
    kept = RefusedEntries(path)
    for number in range(10_050):
        kept.refused(Entry(str(number), f"https://h.example/{number}"), number)
    kept.save()
    again = RefusedEntries(path)
    assert len(json.loads(path.read_text())) == 10_000
    assert again.over([Entry("49", "https://h.example/49"), Entry("50", "https://h.example/50")], 1e6) == {"50"}


def test_what_was_refused_before_comes_after_the_rest_and_those_refused_longest_ago_first(tmp_path: Path) -> None:
    entries = [Entry(name, f"https://h.example/{name}") for name in "abcdef"]
    kept = RefusedEntries(tmp_path / "refused.json")
    for entry, until_s in zip(entries, (10, 20, 30, 999), strict=False):
        kept.refused(entry, until_s)
    kept.failed_again(entries[0], 40)
    kept.save()
    again = RefusedEntries(tmp_path / "refused.json")
    assert "".join(entry.entry_id for entry in again.last(entries, 100)) == "defbca"
    assert again.over(entries, 100) == {"a", "b", "c"}
