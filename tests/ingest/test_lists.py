"""Lists of posts: over extractors that exist in these tests only and read pages of JSON from the local server."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rumiai_ray.cli.list_posts import _row
from rumiai_ray.errors import InputError, RumiaiError, TransientError
from rumiai_ray.ingest.entries import read_manifest
from rumiai_ray.ingest.outcomes import NoListError, PrivateError
from rumiai_ray.ingest.sites import lists
from rumiai_ray.ingest.sites import process as _site_process
from rumiai_ray.ingest.sites.job import described_item
from rumiai_ray.ingest.sites.lists import ListedPost, Walked, Wanted, post_of, rows_of, walked_list
from rumiai_ray.runs.text import write_csv
from rumiai_ray.shown import guarded, unguarded

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.ingest.fetch import FetchLimits
    from tests.ingest.conftest import Request, Site

POST = {
    "id": "7301234567890123456",
    "title": "Dance\n  #one",
    "uploader": "someone",
    "timestamp": 1571246252,
    "duration": 12.3456,
    "view_count": 5,
    "like_count": 0,
    "repost_count": 2,
}


@pytest.fixture(autouse=True)
def fake_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_site_process, "WORKER", "fake_site")


def serve(site: Site, kind: str, *pages: list[dict[str, Any]]) -> str:
    for number, page in enumerate([*pages, []], 1):
        site.serve(f"/pages/{kind}/{number}", body=json.dumps(page).encode())
    return site.url(f"/list/{kind}")


def until_the_end(request: Request) -> None:
    request.server.ended.wait(60)


def item(site: Site, name: object, **said: Any) -> dict[str, Any]:
    return {"url": site.url(f"/post/{name}"), "ie": "FakeSite", "id": str(name), **said}


def walk(url: str, limits: FetchLimits, **wanted: Any) -> tuple[list[ListedPost], Walked]:
    walked = Walked()
    return list(walked_list(url, Wanted(**wanted), limits, walked)), walked


def test_a_list_gives_a_row_for_each_post_and_fetches_none(site: Site, limits: FetchLimits) -> None:
    url = serve(site, "user", [item(site, "a", **POST)], [item(site, "b", title="T")])
    posts, walked = walk(url, limits)
    assert posts[0] == ListedPost(
        url=site.url("/post/a"),
        id="7301234567890123456",
        author="someone",
        title="Dance #one",
        posted_at=datetime(2019, 10, 16, 17, 17, 32, tzinfo=UTC),
        posted_on=date(2019, 10, 16),
        duration_s=12.346,
        view_count=5,
        like_count=0,
        comment_count=None,
        share_count=2,
    )
    assert posts[1] == ListedPost(site.url("/post/b"), "b", None, "T", *[None] * 7)
    assert (walked.kept, walked.stopped) == (2, "")
    assert site.requests == ["/pages/user/1", "/pages/user/2", "/pages/user/3"]


def test_rows_come_while_the_list_is_still_walked(site: Site, limits: FetchLimits) -> None:
    url = serve(site, "user", [item(site, "a")], [item(site, "b")])
    site.on("/pages/user/2", until_the_end)
    posts = walked_list(url, Wanted(), limits, Walked())
    assert next(posts).id == "a"
    posts.close()


def test_a_limit_ends_the_walk_and_is_told(site: Site, limits: FetchLimits) -> None:
    url = serve(site, "user", [item(site, n) for n in range(3)], [item(site, n) for n in range(3, 6)])
    posts, walked = walk(url, limits, limit=2)
    assert [post.id for post in posts] == ["0", "1"]
    assert walked.stopped == "--limit 2 is reached"


def test_only_the_days_that_are_wanted_are_kept(site: Site, limits: FetchLimits) -> None:
    days = ["20260105", "20260104", None, "20260103", "20260101"]
    url = serve(site, "user", [item(site, n, upload_date=day) for n, day in enumerate(days)])
    posts, walked = walk(url, limits, since=date(2026, 1, 3), until=date(2026, 1, 4))
    assert [post.posted_on for post in posts] == [date(2026, 1, 4), date(2026, 1, 3)]
    assert (walked.undated, walked.other_days) == (1, 2)


def test_a_list_that_goes_back_in_time_is_not_walked_to_its_end(site: Site, limits: FetchLimits) -> None:
    old = [item(site, n, timestamp=10**9 - n) for n in range(200)]
    newest = [item(site, "pinned", timestamp=10**8), item(site, "new", timestamp=2 * 10**9)]
    posts, walked = walk(serve(site, "user", [*newest, *old]), limits, since=date(2020, 1, 1))
    assert [post.id for post in posts] == ["new"]
    assert walked.items < 100
    assert "older than --since" in walked.stopped


def test_a_list_in_another_order_is_walked_to_its_end(site: Site, limits: FetchLimits) -> None:
    items = [item(site, n, timestamp=10**9 + n) for n in range(200)] + [item(site, "new", timestamp=2 * 10**9)]
    posts, walked = walk(serve(site, "user", items), limits, since=date(2020, 1, 1))
    assert ([post.id for post in posts], walked.stopped) == (["new"], "")


def test_lists_in_a_list_are_walked(site: Site, limits: FetchLimits) -> None:
    serve(site, "one", [item(site, "a")])
    serve(site, "two", [item(site, "b"), item(site, "a")])
    posts, walked = walk(site.url("/list/tabs"), limits)
    assert [post.url for post in posts] == [site.url(f"/post/{name}") for name in ("a", "b", "inner")]
    assert walked.repeated == 1
    assert [post.id for post in walk(site.url("/list/short"), limits)[0]] == ["a"]


def test_an_item_without_an_address_is_counted(site: Site, limits: FetchLimits) -> None:
    bad: list[dict[str, Any]] = [{"url": "javascript:alert(1)", "id": "x"}, {"reference": False, "id": "y"}]
    posts, walked = walk(serve(site, "user", [*bad, item(site, "a")]), limits)
    assert ([post.id for post in posts], walked.unusable) == (["a"], 2)


@pytest.mark.parametrize(
    ("path", "error", "complaint"),
    [
        ("/tag/dance", NoListError, "cannot walk lists of this kind.*scraper"),
        ("/list/to-a-post", NoListError, "a single post"),
        ("/post/good", NoListError, "a single post"),
        ("/list/loop", NoListError, "redirects more than 5 times"),
        ("/search?q=x", NoListError, "scraper"),
        ("/list/private", PrivateError, "private"),
        ("/list/nothing-there", RumiaiError, "404"),
    ],
)
def test_what_is_no_list_is_said_in_one_line(site: Site, limits: FetchLimits, path: str, error: type[RumiaiError], complaint: str) -> None:
    with pytest.raises(error, match=complaint) as caught:
        walk(site.url(path), limits)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_a_file_is_no_list(limits: FetchLimits) -> None:
    with pytest.raises(NoListError, match="not a list on a site"):
        walk("/some/where.csv", limits)


def test_a_page_that_fails_is_asked_for_again(site: Site, limits: FetchLimits) -> None:
    url = serve(site, "user", [item(site, "a")])
    statuses = iter([500, 500])
    body = json.dumps([item(site, "a")]).encode()
    site.on("/pages/user/1", lambda request: request.send(next(statuses, 200), body))
    assert [post.id for post in walk(url, limits)[0]] == ["a"]


def test_a_list_that_breaks_off_has_given_its_first_rows(site: Site, limits: FetchLimits) -> None:
    url = serve(site, "user", [item(site, "a")])
    site.serve("/pages/user/2", 429, b"no")
    walked = Walked()
    posts = walked_list(url, Wanted(), limits, walked)
    assert next(posts).id == "a"
    with pytest.raises(TransientError, match="429"):
        next(posts)
    assert walked.kept == 1


def test_the_time_and_the_bytes_of_a_list_are_limited(site: Site, limits: FetchLimits, monkeypatch: pytest.MonkeyPatch) -> None:
    url = serve(site, "user", [item(site, "a")])
    site.on("/pages/user/2", until_the_end)
    with pytest.raises(TransientError, match="not done after"):
        walk(url, dataclasses.replace(limits, total_s=6))
    monkeypatch.setattr(lists, "_MAX_LIST_BYTES", 1)
    site.serve("/pages/user/2", body=b" " * 80 * 2**20)
    with pytest.raises(InputError, match="the pages of the list are larger"):
        walk(url, limits)


def test_a_list_on_this_machine_is_refused_by_default(site: Site, limits: FetchLimits) -> None:
    url = serve(site, "user", [item(site, "a")])
    with pytest.raises(InputError, match="not on the public internet"):
        walk(url, dataclasses.replace(limits, allow_private_hosts=False))
    assert site.requests == []


FIELDS = ("id", "title", "uploader", "timestamp", "upload_date", "duration", "view_count", "like_count", "repost_count")
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2)
INFOS = st.fixed_dictionaries(
    {"webpage_url": st.just("https://h.example/p/1")},
    optional=dict.fromkeys(FIELDS, VALUES),
)


@settings(deadline=None)
@given(INFOS)
def test_whatever_a_site_says_becomes_a_row_that_a_table_can_hold(info: dict[str, Any]) -> None:
    for said in (info, described_item(info)):
        post = post_of(said)
        assert post is not None
        assert rows_of([post]).num_rows == 1
        assert "\n" not in (post.title or "")


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(["url", "webpage_url"]), VALUES | st.sampled_from(["http://h/ x", "https://", "file:///etc/passwd"]))
)
def test_an_item_whose_address_is_none_gives_no_row(info: dict[str, Any]) -> None:
    post = post_of(info)
    assert post is None or post.url.lower().startswith(("http://", "https://"))


@settings(deadline=None)
@given(st.text(st.sampled_from("'=+-@＝ ;\t\n\rax") | st.characters()))
def test_a_guard_against_formulas_can_be_taken_away_again(text: str) -> None:
    assert unguarded(guarded(text)) == text


TEXTS = st.text(
    st.sampled_from("'=+-@;\t ,\"ax7") | st.characters(exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp", "Co", "Cn")), max_size=20
)


@settings(deadline=None)
@given(TEXTS, TEXTS, st.from_regex(r"[\w-]{1,20}", fullmatch=True) | st.just("7301234567890123456"))
def test_a_manifest_of_a_list_reads_back_the_same(tmp_path_factory: pytest.TempPathFactory, title: str, author: str, post_id: str) -> None:
    said = {"webpage_url": "https://h.example/p/1", "id": post_id, "title": title, "uploader": author, "timestamp": 10**9}
    post = post_of(said)
    assert post is not None
    paper = io.StringIO()
    write_csv(rows_of([post]), paper)
    path = tmp_path_factory.mktemp("m") / "m.csv"
    path.write_text(paper.getvalue(), encoding="utf-8", newline="")
    (entry,) = read_manifest(str(path))
    assert (entry.problem, entry.input, entry.entry_id) == (None, post.url, post.id)
    assert entry.columns["title"] == (post.title or "")
    assert entry.columns["author"] == (post.author or "")
    assert entry.columns["posted_at"] == "2001-09-09T01:46:40+00:00"
    assert not any(cell[:1] in "=+-@" for cell in next(csv.reader(io.StringIO(paper.getvalue().splitlines()[1]))) if cell)


def test_ids_of_many_digits_survive_a_spreadsheet(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("url,id,title\nhttps://h/1,'7301234567890123456,'=1+1\nhttps://h/2,'-dQw4w9WgXc,'60s music\n")
    entries = list(read_manifest(str(tmp_path / "m.csv")))
    assert [entry.entry_id for entry in entries] == ["7301234567890123456", "-dQw4w9WgXc"]
    assert [entry.columns["title"] for entry in entries] == ["=1+1", "'60s music"]


@settings(deadline=None)
@given(
    st.text(st.sampled_from("'=+-@;\"<>“”7E+.١²x"), min_size=1, max_size=20)
    | st.from_regex(r"[0-9]{11,20}|'[0-9]{3,20}|[0-9]E[+][0-9]{2}|[١²]{11,20}", fullmatch=True)
    | st.text(st.characters(codec="utf-8"), min_size=1),
    st.text(st.sampled_from("'=+-@;\"<>,%\u202e\u00adé?x"), max_size=20),
    st.booleans(),
)
def test_what_a_list_writes_is_read_back_or_left_out(tmp_path_factory: pytest.TempPathFactory, post_id: str, path: str, raw: bool) -> None:  # noqa: FBT001 -- hypothesis gives it by position
    post = post_of({"webpage_url": f"https://h.example/{path}", "id": post_id})
    assert post is not None
    paper = io.StringIO()
    row = _row(post, raw=raw)
    write_csv(row, paper, raw=raw)
    file = tmp_path_factory.mktemp("m") / "m.csv"
    file.write_text(paper.getvalue(), encoding="utf-8", newline="")
    (entry,) = read_manifest(str(file))
    assert (entry.problem, entry.location) == (None, post.url)
    kept = row.column("id").to_pylist() != [None]
    assert entry.entry_id == post.id or not kept
    assert kept or not post_id.isascii() or not post_id.isalnum()


def test_the_input_of_a_guarded_manifest_is_what_it_was(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("input\nhttps://e.com/a;'=b\n'@someone/clip.mp4\n")
    address, clip = read_manifest(str(tmp_path / "m.csv"))
    assert (address.location, clip.input) == ("https://e.com/a;=b", "@someone/clip.mp4")
